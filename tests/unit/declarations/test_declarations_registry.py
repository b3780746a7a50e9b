from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.declarations import (
    Changes,
    Declaration,
    DeclarationModel,
    Platform,
    Problem,
    changes,
)

START = datetime(2024, 5, 1, tzinfo=UTC)


class Thing(DeclarationModel):
    name: str
    size: int = 0


def thing(name: str, size: int = 0, path: str | None = "things/a.yaml", line: int | None = 1) -> Declaration[Thing]:
    return Declaration(
        "thing",
        name,
        Thing(name=name, size=size),
        {"name": name, "size": size},
        path,
        line,
    )


def platform(*declarations: Declaration[Any], broken: tuple[str, ...] = ()) -> Platform:
    problems = tuple(Problem(path, "wrong") for path in broken)
    return Platform(Path("platform"), frozenset({"thing"}), declarations, problems)


def applied(rows: list[dict[str, Any]], change: Changes) -> list[dict[str, Any]]:
    """The table after a change, as the lake would hold it."""
    replaced = {(row["kind"], row["name"], row["version"]): row for row in (*change.withdraw, *change.moved)}
    kept = [dict(replaced.get((row["kind"], row["name"], row["version"]), row)) for row in rows]
    return [*kept, *map(dict, change.append)]


def in_force(rows: list[dict[str, Any]]) -> dict[str, tuple[int, str]]:
    return {row["name"]: (row["version"], row["origin"]) for row in rows if row["withdrawn_at"] is None}


def test_a_changed_spec_closes_the_old_version_and_appends_the_next() -> None:
    rows = applied([], changes([], platform(thing("a"), thing("b")), origin="file", now=START))
    assert [(row["name"], row["version"], row["spec"]) for row in rows] == [
        ("a", 1, '{"name":"a","size":0}'),
        ("b", 1, '{"name":"b","size":0}'),
    ]
    later = START + timedelta(hours=1)
    change = changes(rows, platform(thing("a", 2), thing("b")), origin="file", now=later)
    assert [(row["name"], row["version"], row["withdrawn_at"]) for row in change.withdraw] == [("a", 1, later)]
    assert [(row["name"], row["version"], row["declared_at"]) for row in change.append] == [("a", 2, later)]


def test_a_file_that_disappears_withdraws_its_own_and_a_return_is_a_new_version() -> None:
    rows = applied([], changes([], [thing("api", path=None)], origin="api", now=START))
    rows = applied(rows, changes(rows, platform(thing("a"), thing("b")), origin="file", now=START))
    rows = applied(rows, changes(rows, platform(thing("b")), origin="file", now=START))
    assert in_force(rows) == {"api": (1, "api"), "b": (1, "file")}
    rows = applied(rows, changes(rows, platform(thing("a"), thing("b")), origin="file", now=START))
    assert in_force(rows) == {"api": (1, "api"), "b": (1, "file"), "a": (2, "file")}


def test_what_stood_in_a_broken_file_stays_in_force() -> None:
    rows = applied(
        [],
        changes(
            [],
            platform(thing("a"), thing("b", path="b.yaml")),
            origin="file",
            now=START,
        ),
    )
    assert not changes(
        rows,
        platform(thing("b", path="b.yaml"), broken=("things/a.yaml",)),
        origin="file",
        now=START,
    )
    assert not changes(rows, platform(broken=(".",)), origin="file", now=START)
    change = changes(rows, platform(broken=("c.yaml",)), origin="file", now=START)
    assert [row["name"] for row in change.withdraw] == ["a", "b"]


def test_kinds_that_were_not_looked_for_are_left_alone() -> None:
    rows = applied([], changes([], platform(thing("a")), origin="file", now=START))
    other = Platform(Path("platform"), frozenset({"other"}))
    assert not changes(rows, other, origin="file", now=START)


def test_a_declaration_that_only_moved_keeps_its_version() -> None:
    rows = applied([], changes([], platform(thing("a")), origin="file", now=START))
    change = changes(
        rows,
        platform(thing("a", path="things/b.yaml", line=9)),
        origin="file",
        now=START,
    )
    assert (change.append, change.withdraw) == ((), ())
    assert [(row["path"], row["line"], row["version"]) for row in change.moved] == [("things/b.yaml", 9, 1)]


def test_a_file_wins_over_the_api_in_either_order_and_says_so() -> None:
    rows = applied([], changes([], [thing("a", 1, path=None, line=None)], origin="api", now=START))
    change = changes(rows, platform(thing("a", 2, line=4)), origin="file", now=START)
    [problem] = change.problems
    assert str(problem).startswith("things/a.yaml:4: the thing 'a' is declared here and by the Python API")
    rows = applied(rows, change)
    assert in_force(rows) == {"a": (2, "file")}

    change = changes(rows, [thing("a", 3, path=None, line=None)], origin="api", now=START)
    assert not change
    assert [(p.path, p.line) for p in change.problems] == [("things/a.yaml", 4)]


@settings(max_examples=100, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["file", "api"]),
            st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), max_size=3),
        ),
        max_size=8,
    )
)
def test_the_history_stays_whole_whatever_is_declared(
    steps: list[tuple[str, dict[str, int]]],
) -> None:
    rows: list[dict[str, Any]] = []
    files: dict[str, int] = {}
    for number, (origin, sizes) in enumerate(steps):
        now = START + timedelta(minutes=number)
        declared = [thing(name, size, None if origin == "api" else "a.yaml") for name, size in sizes.items()]
        source = platform(*declared) if origin == "file" else declared
        before = len(rows)
        rows = applied(rows, changes(rows, source, origin=origin, now=now))  # type: ignore[arg-type]
        assert not changes(rows, source, origin=origin, now=now), "a second time changes nothing"  # type: ignore[arg-type]
        assert len(rows) >= before
        files = sizes if origin == "file" else files
        open_rows = [row for row in rows if row["withdrawn_at"] is None]
        assert len({row["name"] for row in open_rows}) == len(open_rows)
        by_file = {row["name"]: row["spec"] for row in open_rows if row["origin"] == "file"}
        assert by_file == {name: f'{{"name":"{name}","size":{size}}}' for name, size in files.items()}
        for name in "abc":
            versions = [row["version"] for row in rows if row["name"] == name]
            assert versions == list(range(1, len(versions) + 1))


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        changes([], platform(), origin="file", now=datetime(2024, 5, 1))
    with pytest.raises(TypeError, match="Platform"):
        changes([], [thing("a")], origin="file", now=START)
    with pytest.raises(ValueError, match="declared twice"):
        changes([], [thing("a"), thing("a")], origin="api", now=START)
