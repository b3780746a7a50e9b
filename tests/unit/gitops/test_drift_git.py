"""Desired state from git: our drift is git's own difference, history follows commits, and repositories made to hurt."""

import random
import subprocess
from copy import deepcopy
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from cogniforge_pipeline.gitops.diff import detect
from cogniforge_pipeline.gitops.drift import ABSENT
from cogniforge_pipeline.gitops.git import GitFailed, fetch_mirror, first_parents, head_of, open_repository, read_commit
from cogniforge_pipeline.gitops.history import Follower, follow
from cogniforge_pipeline.gitops.manifests import read_manifests
from cogniforge_pipeline.gitops.paths import Keyed, Member
from cogniforge_pipeline.gitops.urls import Address, address, check_folder, check_repository, check_revision
from tests.support.gitops import SHARED, Repository, deployment

SALT = b"salt"


def opened(repository):
    return open_repository(str(repository.path), Path("/"), Path("/nowhere"))


def change(rng, files):
    """One change as people make them, on one of the manifests."""
    path = rng.choice(sorted(files))
    manifest = rng.choice(files[path])
    spec = manifest["spec"]
    container = spec["template"]["spec"]["containers"][0]
    match rng.randrange(8):
        case 0:
            container["image"] = f"shop:{rng.randrange(100)}"
        case 1:
            spec["replicas"] = rng.randrange(2, 20)
        case 2:
            container["env"].append({"name": f"V{rng.randrange(1000)}", "value": "x"})
        case 3 if container["env"]:
            container["env"].pop(rng.randrange(len(container["env"])))
        case 4:
            manifest["metadata"]["labels"][f"l{rng.randrange(5)}"] = str(rng.randrange(5))
        case 5:
            manifest["metadata"]["labels"].pop(f"l{rng.randrange(5)}", None)
        case 6:
            container["args"] = [f"--x={rng.randrange(9)}"]
        case 7:
            number = rng.randrange(1000)
            files[f"apps/new-{number}.yaml"] = [named(f"new-{number}")]
    if rng.random() < 0.1 and len(files) > 3:
        del files[rng.choice(sorted(files))]


def named(name):
    made = deployment()
    made["metadata"]["name"] = name
    return made


def git_leaves(repository, commit):
    """Every field of every manifest of a commit, read by git itself and PyYAML: {(name, path): value}."""
    names = subprocess.run(
        ["git", "-C", str(repository.path), "ls-tree", "-r", "--name-only", commit],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    found = {}
    for name in names:
        text = subprocess.run(
            ["git", "-C", str(repository.path), "show", f"{commit}:{name}"], capture_output=True, text=True, check=True
        ).stdout
        for manifest in yaml.safe_load_all(text):
            for path, value in leaves(manifest):
                found[manifest["metadata"]["name"], path] = value
    return found


KEYS = {"containers": "name", "env": "name", "ports": "containerPort"}


def leaves(value, path=()):
    """Fields by their paths; elements of lists that have a key by that key, other lists as they are."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list) and path[-1] in KEYS:
        for item in value:
            yield from leaves(item, (*path, str(item[KEYS[path[-1]]])))
    else:
        yield path, value


def our_leaves(found):
    """What we say differs, in the same form."""
    said = {}
    for one in found:
        for field in one.fields:
            path = tuple(str(part.pairs[0][1]) if isinstance(part, Keyed) else part for part in field.path)
            assert not any(isinstance(part, Member) for part in path)
            for side, value in enumerate((field.desired, field.live)):
                if value is not ABSENT:
                    for leaf, item in leaves(value, path) if isinstance(value, dict) else [(path, value)]:
                        said.setdefault((one.key.name, leaf), [ABSENT, ABSENT])[side] = item
    return {key: tuple(sides) for key, sides in said.items()}


@pytest.mark.parametrize("seed", range(4))
def test_drift_is_gits_own_difference_field_for_field(tmp_path, seed):
    rng = random.Random(seed)
    repository = Repository(tmp_path / "r.git")
    files = {f"apps/{n}.yaml": [named(f"web-{n}"), named(f"job-{n}")] for n in range(6)}
    for _ in range(12):
        repository.files = {}
        for path, manifests in files.items():
            repository.write(path, manifests)
        repository.commit()
        for _ in range(3):
            change(rng, files)
    git = opened(repository)
    for steps_back in (1, 3, 7):
        desired, live = repository.commits[-1], repository.commits[-1 - steps_back]
        sides = [read_commit(git, git[commit], "") for commit in (desired, live)]
        assert not any(problems for _, problems in sides)
        found = detect(sides[0][0], sides[1][0], SALT)
        ours = our_leaves(found)
        missing = {one.key.name for one in found if one.status == "missing"}
        extra = {one.key.name for one in found if one.status == "extra"}
        new, old = git_leaves(repository, desired), git_leaves(repository, live)
        assert missing == {name for name, _ in new} - {name for name, _ in old}
        assert extra == {name for name, _ in old} - {name for name, _ in new}
        theirs = {
            key: (new.get(key, ABSENT), old.get(key, ABSENT))
            for key in new.keys() | old.keys()
            if new.get(key, ABSENT) != old.get(key, ABSENT) and key[0] not in missing | extra
        }
        assert ours == theirs
        assert theirs


@pytest.mark.skipif(not SHARED.is_dir(), reason="the example manifests are not here")
@pytest.mark.parametrize("shop", ["manifests_sock_shop", "manifests_microservices_demo"])
def test_real_manifests_do_not_drift_from_themselves_and_one_change_is_one_field(shop, tmp_path):
    texts = [path.read_text() for path in sorted((SHARED / shop).rglob("*.yaml")) if path.name != "kustomization.yaml"]
    repository = Repository(tmp_path / "r.git")
    for number, text in enumerate(texts):
        repository.write(f"{number}.yaml", text)
    repository.commit()
    git = opened(repository)
    manifests, _ = read_commit(git, head_of(git, "main", None), "")
    assert len(manifests) > 20
    assert {one.status for one in detect(manifests, manifests, SALT)} == {"synced"}
    for manifest in manifests:
        other = deepcopy(manifest.body)
        other["metadata"]["labels"] = {**other["metadata"].get("labels", {}), "changed": "yes"}
        (found,) = detect([manifest], read_manifests(yaml.safe_dump(other), "x.yaml")[0], SALT)
        assert [one.to_dict() for one in found.fields] == [
            {"path": "metadata.labels.changed", "desired": None, "live": "yes"}
        ]


def test_history_follows_the_branch_at_the_cost_of_what_changed(tmp_path):
    repository = Repository(tmp_path / "r.git")
    repository.write("k8s/a.yaml", named("a"))
    repository.write("k8s/deep/b.yaml", [named("b"), named("c")])
    repository.write("other/z.yaml", named("z"))
    repository.commit("first\n\nmore words")
    changed = named("b")
    changed["spec"]["replicas"] = 7
    repository.write("k8s/deep/b.yaml", [changed, named("c")])
    repository.commit("scale b", at=repository.start - timedelta(days=1))
    del repository.files["k8s/a.yaml"]
    repository.write("k8s/deep/b.yaml", "a: b: c\n---\n" + yaml.safe_dump(changed))
    repository.commit("a goes, c too, and a mistake")
    repository.write("k8s/again.yaml", named("b"))
    repository.commit("b twice")
    git = opened(repository)
    commits = first_parents(head_of(git, None, None), None, 100)
    follower = Follower(git, "k8s", "shop", SALT, "shop")
    steps = list(follow(follower, commits))
    told = [{key.name: bool(state) for key, state in step.changed.items()} for step in steps]
    assert told == [
        {"a": True, "b": True, "c": True},
        {"b": True},
        {"a": False, "c": False},
        {},  # of two files that give b the last by path counts, and that is deep/b.yaml
    ]
    assert [step.resources for step in steps] == [3, 3, 1, 1]
    assert steps[0].commit.message == "first" and steps[0].commit.author == "Ana"
    assert all(later.at > earlier.at for earlier, later in zip(steps, steps[1:], strict=False))
    (problem,) = steps[2].problems
    assert str(problem).startswith(f"shop {repository.commits[2][:12]} k8s/deep/b.yaml:1: it is not valid YAML")
    assert "also given by" in steps[3].problems[-1].message
    assert [
        str(c.id) for c in first_parents(head_of(git, "main", None), repository.commits[1], 100)
    ] == repository.commits[2:]
    assert len(first_parents(head_of(git, "main", None), None, 2)) == 2


def test_tricks_in_trees_are_refused_and_the_rest_goes_on(tmp_path):
    repository = Repository(tmp_path / "r.git")
    repository.write("k8s/good.yaml", named("good"))
    repository.write("k8s/out.yaml", "../../../etc/passwd", 0o120000)
    repository.write("k8s/absolute.yaml", "/etc/passwd", 0o120000)
    repository.write("k8s/folder", "../..", 0o120000)
    repository.write("k8s/inside.yaml", "good.yaml", 0o120000)
    repository.write("k8s/big.yaml", b"#" * (33 << 20))
    repository.write("k8s/kustomization.yaml", "resources: [good.yaml]")
    repository.write("k8s/notes.md", "no manifest")
    repository.commit()
    git = opened(repository)
    manifests, problems = read_commit(git, head_of(git, "main", None), "k8s")
    assert [one.body["metadata"]["name"] for one in manifests] == ["good"]
    told = {problem.path: problem.message for problem in problems}
    assert {path.removeprefix("k8s/") for path in told} == {
        "out.yaml", "absolute.yaml", "folder", "inside.yaml", "big.yaml", "kustomization.yaml",
    }  # fmt: skip
    assert all("out of the tree" in told[f"k8s/{name}"] for name in ("out.yaml", "absolute.yaml", "folder"))
    assert "at most" in told["k8s/big.yaml"]
    assert read_commit(git, head_of(git, "main", None), "nowhere") == ([], [])


def test_a_tree_with_names_that_lead_elsewhere_is_not_read(tmp_path):
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "r.git")], check=True)
    git = ["git", "-C", str(tmp_path / "r.git")]

    def made(arguments, data):
        done = subprocess.run([*git, *arguments], input=data, capture_output=True, check=True)
        return done.stdout.decode().strip()

    blob = made(["hash-object", "-w", "--stdin"], yaml.safe_dump(named("evil")).encode())
    inner = made(["mktree"], f"100644 blob {blob}\tx.yaml\n".encode())
    tree = made(["mktree"], f"040000 tree {inner}\t..\n040000 tree {inner}\tok\n".encode())
    commit = made(["-c", "user.name=a", "-c", "user.email=a@b", "commit-tree", tree, "-m", "x"], b"")
    made(["update-ref", "refs/heads/main", commit], b"")
    repository = open_repository(str(tmp_path / "r.git"), Path("/"), tmp_path)
    manifests, problems = read_commit(repository, head_of(repository, "main", None), "")
    assert [one.path for one in manifests] == ["ok/x.yaml"]
    assert problems[0].path == "../x.yaml"


@pytest.mark.parametrize(
    "text",
    [
        "ext::sh -c touch% /tmp/x",
        "ext::https://x",
        "fd::17",
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=touch x",
        "ssh://-oProxyCommand=touch/x",
        "ssh://user@-oProxyCommand=x/y",
        "-u@host:path",
        "git@-oProxyCommand=x:path",
        "git@host:-path",
        "ssh://host/-path",
        "http://host/x",
        "git://host/x",
        "ftp://host/x",
        "https://host/x?y",
        "https://ho st/x",
        "https:///x",
        "host:path",
        "file://other/x",
        "https://host/x\n--y",
        "",
        "x" * 3000,
    ],
)
def test_an_address_that_could_run_a_command_is_refused(text):
    with pytest.raises(ValueError, match=r"expected|remote helpers|address"):
        check_repository(text)
    with pytest.raises(GitFailed):
        open_repository(text, Path("/"), Path("/nowhere"))


def test_addresses_that_are_taken():
    base = Path("/home/me")
    assert address("repo", base).local == Path("/home/me/repo")
    assert address("/srv/repo.git", base).local == Path("/srv/repo.git")
    assert address("file:///srv/a%20b", base).local == Path("/srv/a b")
    assert address("git@github.com:org/repo.git", base).remote == "ssh://git@github.com/org/repo.git"
    assert address("ssh://git@host:2222/org/repo", base).remote == "ssh://git@host:2222/org/repo"
    told = address("https://me:secret@host/org/repo", base)
    assert told.remote == "https://me:secret@host/org/repo" and "secret" not in str(told)


@pytest.mark.parametrize("text", ["..", "a/../b", "-x", "a..b", "a@{1}", "x.lock", "a b", "", "a//b", "refs^{/x}"])
def test_names_that_are_no_branches(text):
    with pytest.raises(ValueError, match="branch or tag"):
        check_revision(text)


def test_folders_within_a_repository():
    assert check_folder("./k8s//prod/") == "k8s/prod" and check_folder("/") == ""
    for text in ("../x", "a/../../b", ".git/hooks", "a\\b"):
        with pytest.raises(ValueError, match="within the repository"):
            check_folder(text)


def test_branches_tags_and_what_is_not_there(tmp_path):
    repository = Repository(tmp_path / "r.git")
    repository.write("a.yaml", named("a"))
    first = repository.commit()
    repository.git.references.create("refs/tags/v1", first)
    second = repository.commit(branch="next")
    git = opened(repository)
    assert str(head_of(git, "next", None).id) == second
    assert str(head_of(git, None, "v1").id) == first == str(head_of(git, None, None).id)
    assert str(head_of(git, first, None).id) == first
    with pytest.raises(GitFailed, match="no nothing"):
        head_of(git, "nothing", None)
    with pytest.raises(GitFailed, match="no git repository"):
        open_repository(str(tmp_path), Path("/"), tmp_path)


def test_a_mirror_is_fetched_and_follows_a_branch_that_was_rewritten(tmp_path):
    repository = Repository(tmp_path / "r.git")
    repository.write("a.yaml", named("a"))
    first = repository.commit()
    remote = Address(None, str(repository.path))
    mirror = fetch_mirror(remote, tmp_path / "mirrors", True)
    assert mirror.is_bare and str(head_of(mirror, None, None).id) == first
    repository.git.references.delete("refs/heads/main")
    repository.commits = []
    repository.write("a.yaml", named("b"))
    other = repository.commit("rewritten")
    assert str(head_of(fetch_mirror(remote, tmp_path / "mirrors", False), "main", None).id) == first
    assert str(head_of(fetch_mirror(remote, tmp_path / "mirrors", True), "main", None).id) == other
    with pytest.raises(GitFailed, match="cannot be fetched"):
        fetch_mirror(Address(None, str(tmp_path / "nothing")), tmp_path / "mirrors", True)


def test_no_hook_filter_or_config_of_a_repository_runs(tmp_path):
    work = tmp_path / "work"
    subprocess.run(["git", "init", "-q", "-b", "main", str(work)], check=True)
    (work / "a.yaml").write_text(yaml.safe_dump(named("a")))
    (work / ".gitattributes").write_text("* filter=evil\n")
    config = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(work), *config, "add", "."], check=True)
    subprocess.run(["git", "-C", str(work), *config, "commit", "-qm", "x"], check=True)
    mark = tmp_path / "mark"
    for name in ("filter.evil.smudge", "core.fsmonitor", "core.sshCommand", "uploadpack.packObjectsHook"):
        subprocess.run(["git", "-C", str(work), "config", name, f"touch {mark}"], check=True)
    hooks = work / ".git" / "hooks"
    for name in ("post-checkout", "pre-commit"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {mark}\n")
        (hooks / name).chmod(0o755)
    git = open_repository(str(work), Path("/"), tmp_path)
    assert len(read_commit(git, head_of(git, "main", None), "")[0]) == 1
    assert not mark.exists()
