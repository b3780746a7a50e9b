"""Reading manifests: what is read, where mistakes are, and documents that were made to hurt."""

import pytest

from cogniforge_pipeline.gitops.files import read_path
from cogniforge_pipeline.gitops.manifests import read_manifests

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def test_documents_lists_and_json():
    items = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: p}}\n"
    text = f"# a comment\n{HEAD}---\n\n---\n{items}"
    found, problems = read_manifests(text, "x.yaml")
    assert [(one.body["kind"], one.line) for one in found] == [("ConfigMap", 2), ("Pod", 8)]
    assert problems == []
    (pod,), _ = read_manifests('{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"p"}}]}', "x.json")
    assert pod.body["kind"] == "Pod" and pod.body["apiVersion"] == "v1"


def test_a_bad_document_names_its_line_and_the_others_are_read():
    text = f"a: b: c\n---\n{HEAD}---\n- 1\n---\nfoo: bar\n---\n{HEAD}"
    found, problems = read_manifests(text, "dir/x.yaml")
    assert [one.line for one in found] == [3, 11]
    assert [str(one) for one in problems] == [
        "dir/x.yaml:1: it is not valid YAML: mapping values are not allowed in this context",
        "dir/x.yaml:6: expected a manifest, which is a mapping, got list",
        "dir/x.yaml:8: expected a manifest with apiVersion, got nothing",
    ]


def test_scalars_are_what_kubernetes_reads():
    text = (
        HEAD + "data: {a: 2020-01-01, b: yes, c: 0644, d: 1e3, e: .nan, f: 0x1F, 8080: z, true: y, 1: o, g: '1', h: ~}"
    )
    (found,), _ = read_manifests(text, "x.yaml")
    assert found.body["data"] == {
        **{"a": "2020-01-01", "b": True, "c": 420, "d": 1000.0, "e": ".nan", "f": 31},
        **{"8080": "z", "true": "y", "1": "o", "g": "1", "h": None},
    }


def test_merge_keys_and_aliases():
    (found,), _ = read_manifests(HEAD + "b: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}\nd: *b", "x.yaml")
    assert found.body["c"] == {"x": 1, "y": 3} and found.body["d"] == {"x": 1, "y": 2}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(HEAD + "x: " + "[" * 1_000_000, "nested deeper", id="flow"),
        pytest.param(HEAD + "x:\n " + "- " * 1_000_000 + "a", "nested deeper", id="block"),
        pytest.param(HEAD + "x:\n " + "? " * 100_000 + "a", "nested deeper", id="keys"),
        pytest.param(HEAD + BOMB, "aliases counted", id="aliases"),
        pytest.param("&a\n" + HEAD + "x: *a\n", "nested deeper", id="itself"),
        pytest.param(HEAD + "x: !!python/object/apply:os.system ['id']", "a tag", id="python"),
        pytest.param(HEAD + "x: !Ref y", "a tag", id="tag"),
        pytest.param(HEAD + "x: " + "a" * (9 << 20), "at most", id="huge"),
        pytest.param('{"apiVersion":"v1","x":' + "[" * 100_000 + "]" * 100_000 + "}", "nested deeper", id="json"),
        pytest.param('{"apiVersion":"v1","x":' + "[" * 500 + "]" * 500 + "}", "nested deeper", id="json-500"),
        pytest.param('{"apiVersion":"v1","kind":"Pod","metadata":{"name":"\\ud800"}}', "surrogate", id="surrogate"),
        pytest.param(HEAD + "x: \x00", "not valid YAML", id="zero"),
        pytest.param(HEAD + "? {a: b}\n: c", "a key is", id="key"),
        pytest.param(HEAD.replace("{name: a}", "[]"), "metadata.name", id="metadata"),
        pytest.param(HEAD.replace("{name: a}", "{name: a, labels: 3}"), "metadata.labels", id="labels"),
    ],
)
def test_a_document_that_was_made_to_hurt_is_refused(text, words):
    found, problems = read_manifests(text + f"\n---\n{HEAD}", "x.yaml")
    assert [one.body["metadata"] for one in found] == [{"name": "a"}] or text[0] == "{"
    assert words in problems[0].message


def test_a_file_of_a_hundred_megabytes_is_not_read(tmp_path):
    with (tmp_path / "big.yaml").open("wb") as file:
        file.truncate(100 << 20)
    assert "at most" in read_path(tmp_path)[1][0].message


def test_a_folder_is_read_and_links_out_of_it_are_not(tmp_path):
    outside = tmp_path / "outside.yaml"
    outside.write_text(HEAD.replace("name: a", "name: secret"))
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.yml").write_text(HEAD)
    (folder / "link.yaml").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "kustomization.yaml").write_text("resources: [x]")
    (folder / "notes.txt").write_text("no manifest")
    found, problems = read_path(folder)
    assert {(one.path, one.body["metadata"]["name"]) for one in found} == {("deep/a.yml", "a")}
    assert [(one.path, one.message.split()[0:2]) for one in problems] == [
        ("kustomization.yaml", ["it", "is"]),
        ("link.yaml", ["it", "is"]),
    ]
    assert "Kustomize" in problems[0].message and "symlink" in problems[1].message


def test_not_utf8():
    _, (problem,) = read_manifests(b"\xff\xfe", "x.yaml")
    assert "not UTF-8" in problem.message
