from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, RootModel, SecretStr, field_validator

from cogniforge_pipeline.declarations import (
    DeclarationModel,
    DeclarationsInvalid,
    Kind,
    Platform,
    declare,
    load_platform,
)


class Files(DeclarationModel):
    type: Literal["files"]
    path: str
    prometheus: dict[str, int] = Field(default_factory=dict)


class Prometheus(DeclarationModel):
    type: Literal["prometheus"]
    url: str
    step: str = "30s"
    token: SecretStr | None = None

    @field_validator("step")
    @classmethod
    def is_duration(cls, value: str) -> str:
        if not value[0].isdigit():
            raise ValueError(f"expected a duration such as 30s, got {value!r}")
        return value


class Reader(RootModel[Annotated[Files | Prometheus, Field(discriminator="type")]]):
    pass


class Source(DeclarationModel):
    name: str
    spec: Reader | None = None
    parts: list[Reader] = Field(default_factory=list)
    labels: dict[str, int | str] = Field(default_factory=dict)
    every: int | list[int] = Field(default=1, alias="everyMinutes")
    enabled: bool = True
    level: Literal["low", "high"] = "low"


class Topology(DeclarationModel):
    services: list[str]


SOURCE = Kind("source", "sources", Source, companions=(".csv",))
TOPOLOGY = Kind("topology", "topology.yaml", Topology, key=lambda model: "topology", plural=False)
KINDS = [SOURCE, TOPOLOGY]


def load(folder: Path, **files: str | bytes) -> Platform:
    for name, content in files.items():
        path = folder / "sources" / name.replace("__", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_platform(folder, KINDS)


def said(platform: Platform) -> list[str]:
    return [str(problem) for problem in platform.problems]


def test_files_of_all_forms_become_typed_declarations_in_order(tmp_path: Path) -> None:
    (tmp_path / "topology.yml").write_text("services: [shop]\n")
    (tmp_path / "sources" / "team").mkdir(parents=True)
    (tmp_path / "sources" / "team" / "d.yaml").write_text("name: d\n")
    (tmp_path / "sources" / "hosts.csv").write_text("a,b\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").write_text("# Ours\n")
    platform = load(
        tmp_path,
        a__yaml="# A comment.\n\nname: a\nspec: {type: files, path: '${DIR}/x'}\n",
        b__yml="name: b\n---\n- name: c1\n- name: c2\n---\n",
        c__json='{"name": "j"}',
        empty__yaml="# nothing yet\n",
    )
    assert platform.check() is platform
    found = [(d.name, d.path, d.line) for d in platform.of(SOURCE)]
    assert found == [
        ("a", "sources/a.yaml", 3),
        ("b", "sources/b.yml", 1),
        ("c1", "sources/b.yml", 3),
        ("c2", "sources/b.yml", 4),
        ("j", "sources/c.json", 1),
        ("d", "sources/team/d.yaml", 1),
    ]
    first = platform.of("source")[0]
    assert first.spec == {"name": "a", "spec": {"type": "files", "path": "${DIR}/x"}}
    assert first.model.spec.root.path == "${DIR}/x"
    assert platform.of(TOPOLOGY)[0].model.services == ["shop"]
    assert [path.name for path in platform.companions(SOURCE)] == ["hosts.csv"]
    with pytest.raises(KeyError, match="slo"):
        platform.of("slo")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "nmae: x",
            [
                "1:1: name: required, but not there",
                "1:1: nmae: unknown key 'nmae' (did you mean 'name'?)",
            ],
        ),
        ("name: 5", ["1:7: name: expected text, got 5 (put it in quotes)"]),
        (
            "name: a\nenabled: maybe",
            ["2:10: enabled: expected true or false, got 'maybe'"],
        ),
        (
            "name: a\nlevel: hihg",
            ["2:8: level: expected 'low' or 'high', got 'hihg' (did you mean 'high'?)"],
        ),
        (
            "name: a\nlabels:\n  x: [1]",
            ["3:6: labels.x: expected a whole number or text, got a list"],
        ),
        (
            "name: a\neveryMinutes: ${N}",
            [
                (
                    "2:15: everyMinutes: expected a whole number or a list, got '${N}' "
                    "(a placeholder can only stand where text is expected)"
                )
            ],
        ),
        (
            "name: a\neveryMinute: 3",
            ["2:1: everyMinute: unknown key 'everyMinute' (did you mean 'everyMinutes'?)"],
        ),
        (
            "name: a\nspec:\n  type: prometheus\n  url: http://x\n  stpe: 1m",
            ["5:3: spec.stpe: unknown key 'stpe' (did you mean 'step'?)"],
        ),
        (
            "name: a\nspec:\n  type: prometheus\n  url: http://x\n  step: soon",
            ["5:9: spec.step: expected a duration such as 30s, got 'soon'"],
        ),
        (
            (
                "name: a\nparts:\n- {type: files, path: x}\n- type: promteheus\n- path: x\n"
                "- type: files\n  path: [x]\n- 3"
            ),
            [
                (
                    "4:9: parts[1].type: expected one of 'files', 'prometheus', got 'promteheus' "
                    "(did you mean 'prometheus'?)"
                ),
                "5:3: parts[2].type: required, but not there: it says which form this is",
                "7:9: parts[3].path: expected text, got a list",
                "8:3: parts[4]: expected a mapping of keys and values, got 3",
            ],
        ),
        (
            "name: a\nspec:\n  type: files\n  path: x\n  prometheus:\n    a: 1\n    b: x",
            ["7:8: spec.prometheus.b: expected a whole number, got 'x'"],
        ),
        (
            "name: a\nspec: {type: prometheus, url: x, token: 12345}",
            ["2:41: spec.token: expected text, got a value that is not shown (put it in quotes)"],
        ),
        ("name: ''", ["1:1: expected a name for the source, got ''"]),
        ("just text", ["1:1: expected a mapping of keys and values, got 'just text'"]),
        ("- name: a\n- 3", ["2:3: [1]: expected a mapping of keys and values, got 3"]),
        (
            "name: a\n<<: {level: low}",
            ["2:1: <<: unknown key '<<' (YAML 1.2 has no merge keys: write the keys out)"],
        ),
    ],
)
def test_what_a_model_refuses_has_line_column_and_hint(tmp_path: Path, body: str, expected: list[str]) -> None:
    found = [problem.removeprefix("sources/x.yaml:") for problem in said(load(tmp_path, x__yaml=body))]
    assert found == expected


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(
        st.lists(st.sampled_from(["", "# note", "   # more"]), max_size=3),
        min_size=1,
        max_size=6,
    ),
    data=st.data(),
)
def test_the_line_of_an_injected_error_is_right(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[list[str]], data: st.DataObject
) -> None:
    wrong = data.draw(st.integers(0, len(gaps) - 1))
    style = data.draw(st.sampled_from(["documents", "list"]))
    lines: list[str] = []
    expected = (0, 0)
    for number, gap in enumerate(gaps):
        start, indent = ("---", "") if style == "documents" else ("-", "  ")
        lines += [
            start,
            f"{indent}name: n{number}",
            f"{indent}parts:",
            *gap,
            f"{indent}- type: files",
        ]
        if number == wrong:
            lines.append(f"{indent}  pth: x")
            expected = (len(lines), len(indent) + 3)
        lines += [*gap, f"{indent}  path: é"]
    platform = load(tmp_path_factory.mktemp("platform"), x__yaml="\n".join(lines))
    [problem] = platform.problems
    assert (problem.line, problem.column) == expected
    assert problem.where.endswith("parts[0].pth")
    assert [d.name for d in platform.of(SOURCE)] == [f"n{n}" for n in range(len(gaps)) if n != wrong]


def test_one_bad_file_never_hides_the_others_and_all_are_told_at_once(
    tmp_path: Path,
) -> None:
    platform = load(
        tmp_path,
        a__yaml="name: [",
        b__yaml="name: fine\n",
        c__yaml=b"name: caf\xe9\n",
        d__yaml=" \n",
        e__yaml="x" * (1024 * 1024 + 1),
        f__yaml="name: g\nname: h\n",
        g__txt="?",
    )
    assert [declaration.name for declaration in platform.declarations] == ["fine"]
    assert said(platform) == [
        "sources/a.yaml:1:8: a value is missing (close what '[' or '{' opened, or add the value)",
        "sources/c.yaml:1:10: not UTF-8 text (save the file as UTF-8)",
        "sources/d.yaml: the file is empty (delete it, or say in a # comment why it is here)",
        "sources/e.yaml: larger than 1048576 bytes (split the file)",
        "sources/f.yaml:2:1: name: the key 'name' is here twice, first in line 1 (keep one of them)",
        "sources/g.txt: expected a file ending in .csv, .json, .yaml, .yml, got '.txt' (rename or remove it)",
    ]
    with pytest.raises(DeclarationsInvalid) as caught:
        platform.check()
    assert all(line in str(caught.value) for line in said(platform))
    assert caught.value.problems == platform.problems


def test_a_name_declared_twice_names_both_places(tmp_path: Path) -> None:
    platform = load(tmp_path, a__yaml="name: x\n", b__yaml="name: y\n---\nname: x\n")
    assert said(platform) == [
        "sources/b.yaml:3: the source 'x' is also in sources/a.yaml:1 (rename or remove one of them)"
    ]


def test_what_belongs_to_no_kind_is_told_once_with_the_places_that_are_known(
    tmp_path: Path,
) -> None:
    (tmp_path / "sorces").mkdir()
    (tmp_path / "sorces" / "a.yaml").write_text("name: a\n")
    (tmp_path / "sorces" / "b.yaml").write_text("name: b\n")
    (tmp_path / "zzz.yaml").write_text("a: 1\n")
    (tmp_path / "topology.yaml").write_text("services: []\n---\nservices: []\n")
    assert said(load_platform(tmp_path, KINDS)) == [
        "sorces/: a folder that belongs to no known kind (did you mean 'sources/'?)",
        "topology.yaml:3:1: expected one topology in this file, got 2 (merge them)",
        "zzz.yaml: a file that belongs to no known kind (known places: sources/, topology.yaml)",
    ]


def test_links_out_of_the_folder_and_special_files_are_refused(tmp_path: Path) -> None:
    home = tmp_path / "platform"
    (home / "sources" / ".data").mkdir(parents=True)
    (home / "sources" / ".data" / "ok.yaml").write_text("name: ok\n")
    (tmp_path / "secret.yaml").write_text("name: secret\n")
    (home / "sources" / "ok.yaml").symlink_to(home / "sources" / ".data" / "ok.yaml")
    (home / "sources" / "out.yaml").symlink_to(tmp_path / "secret.yaml")
    (home / "sources" / "gone.yaml").symlink_to(tmp_path / "gone.yaml")
    (home / "sources" / "self.yaml").symlink_to(home / "sources" / "self.yaml")
    (home / "sources" / "loop").symlink_to(home / "sources")
    (home / "contracts").symlink_to(tmp_path)
    os.mkfifo(home / "sources" / "pipe.yaml")
    linked = tmp_path / "linked"
    linked.symlink_to(home)
    platform = load_platform(linked, KINDS)
    assert [declaration.name for declaration in platform.declarations] == ["ok"]
    assert [problem.path for problem in platform.problems] == [
        "contracts",
        "sources/gone.yaml",
        "sources/loop",
        "sources/out.yaml",
        "sources/pipe.yaml",
        "sources/self.yaml",
    ]


def test_a_platform_folder_that_is_absent_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(DeclarationsInvalid, match=r"no folder .*absent"):
        load_platform(tmp_path / "absent", KINDS).check()


def test_two_kinds_in_one_place_are_a_mistake_of_the_program(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same name or folder"):
        load_platform(tmp_path, [SOURCE, Kind("other", "sources", Source)])


def test_the_api_declares_from_a_mapping_or_a_model() -> None:
    by_mapping = declare(SOURCE, {"name": "a", "everyMinutes": 5})
    by_model = declare(SOURCE, Source(name="a", everyMinutes=5))
    assert by_mapping == by_model
    assert (by_model.spec, by_model.path, by_model.line) == (
        {"name": "a", "everyMinutes": 5},
        None,
        None,
    )
    with pytest.raises(
        DeclarationsInvalid,
        match=r"<python>: nam: unknown key 'nam' \(did you mean 'name'\?\)",
    ):
        declare(SOURCE, {"nam": "a"})
    with pytest.raises(DeclarationsInvalid, match="values that JSON can hold"):
        declare(SOURCE, {"name": {1, 2}})
