"""Files that grow, shrink, change and are half written."""

from __future__ import annotations

import os
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.sources import SOURCE, RefusedItem, reader

HEADER = "timestamp,value,service,metric\n"


def row(day: int, value: float = 1) -> str:
    return f"2026-01-{day:02},{value},pay,m\n"


def jsonl(day: int) -> str:
    return f'{{"ts": "2026-01-{day:02}", "value": {day}, "service": "s", "metric": "m"}}\n'


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_only_the_lines_that_were_appended_are_read(station):
    path = station.write("a.csv", HEADER + row(1) + row(2))
    assert len(station.read(station.files("a.csv"))) == 2
    append(path, row(3, 33))
    [point] = station.read(station.files("a.csv"))
    assert (point["value"], point["position"]) == (33, 4)
    assert station.items[0].size == len(row(3, 33))


def test_half_a_line_waits_for_its_other_half(station):
    path = station.write("a.csv", HEADER + row(1) + "2026-01-02,2")
    assert [p["value"] for p in station.read(station.files("a.csv"))] == [1]
    assert station.read(station.files("a.csv")) == []
    append(path, "2,pay,m\n")
    assert [(p["value"], p["position"]) for p in station.read(station.files("a.csv"))] == [(22, 3)]


def test_a_last_line_without_newline_is_taken_when_nobody_has_written_for_a_minute(station):
    path = station.write("a.csv", HEADER + row(1) + row(2).rstrip())
    assert len(station.read(station.files("a.csv"))) == 1
    station.later(61)
    assert [p["position"] for p in station.read(station.files("a.csv"))] == [3]
    append(path, "\n" + row(3))
    assert [(p["position"], p["problem"]) for p in station.read(station.files("a.csv"))] == [(4, None)]


def test_the_rest_of_a_line_taken_too_early_is_a_problem_and_not_lost(station):
    path = station.write("a.csv", HEADER + "2026-01-01,1,pay,m")
    station.later(61)
    assert len(station.read(station.files("a.csv"))) == 1
    append(path, "ore\n" + row(2))
    rest, good = station.read(station.files("a.csv"))
    assert (rest["raw"], rest["position"]) == ("ore", 2)
    assert rest["problem"] and not good["problem"]


@pytest.mark.parametrize("new", [HEADER, HEADER + row(1, 5) + row(2) + row(3), "x" * 500])
def test_a_file_that_was_truncated_or_changed_in_place_is_refused_with_what_to_do(station, new):
    path = station.write("a.csv", HEADER + row(1) + row(2))
    station.read(station.files("a.csv"))
    path.write_text(new)
    refusal = station.refused(station.files("a.csv"))
    assert "changed since it was ingested" in refusal.reason
    assert "new file name" in refusal.hint
    assert station.read(station.files("a.csv")) == [] and station.refusals == []


def test_a_changed_file_that_is_put_back_goes_on_where_it_was(station):
    text = HEADER + row(1) + row(2)
    path = station.write("a.csv", text)
    station.read(station.files("a.csv"))
    path.write_text("oops")
    station.refused(station.files("a.csv"))
    path.write_text(text + row(3))
    assert [p["position"] for p in station.read(station.files("a.csv"))] == [4]


def test_a_refused_appended_part_is_read_when_it_has_been_repaired(station):
    path = station.write("a.csv", HEADER + row(1))
    station.read(station.files("a.csv"))
    with path.open("ab") as file:
        file.write("2026-01-02,2,caf\u00e9,m\n".encode("latin-1"))
    assert "not UTF-8" in station.refused(station.files("a.csv")).reason
    path.write_text(HEADER + row(1) + "2026-01-02,2,caf\u00e9,m\n")
    assert [p["service"] for p in station.read(station.files("a.csv"))] == ["caf\u00e9"]


def test_a_file_that_only_got_a_new_time_is_not_read_again(station):
    path = station.write("a.csv", HEADER + row(1))
    station.read(station.files("a.csv"))
    os.utime(path, (1, 1))
    assert station.read(station.files("a.csv")) == [] and station.refusals == []


def test_a_file_that_was_out_of_reach_for_a_while_goes_on_where_it_was(station):
    path = station.write("a.csv", HEADER + row(1))
    station.read(station.files("a.csv"))
    path.rename(station.home / "away")
    os.mkfifo(path)
    assert "not a regular file" in station.refused(station.files("a.csv")).reason
    (station.home / "away").replace(path)
    append(path, row(2))
    assert [p["position"] for p in station.read(station.files("a.csv"))] == [3]


def test_a_file_that_changes_between_plan_and_reading_is_refused_and_read_the_next_time(station):
    path = station.write("a.csv", HEADER + row(1))
    source = SOURCE.validate_python(station.files("a.csv"))
    files = reader(source, home=station.home, base=station.home)
    [item] = files.plan({}, station.now())
    path.write_text(HEADER + row(9))
    with pytest.raises(RefusedItem, match="changed while it was read"):
        files.relation(station.con, item)
    assert len(station.read(station.files("a.csv"))) == 1


def test_json_lines_are_followed_too(station):
    path = station.write("a.jsonl", jsonl(1) + jsonl(2)[:20])
    assert [p["value"] for p in station.read(station.files("a.jsonl"))] == [1]
    append(path, jsonl(2)[20:] + jsonl(3))
    assert [(p["value"], p["position"]) for p in station.read(station.files("a.jsonl"))] == [(2, 2), (3, 3)]


LINES = st.lists(
    st.sampled_from([row(1), row(2, 2.5), "\n", "broken\n", '2026-01-03,3,"a,b",m\n', "2026-01-04,4,\u00fc,m\r\n"]),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LINES, cuts=st.lists(st.integers(0, 400), max_size=5), end=st.sampled_from(["", row(5).rstrip()]))
def test_reading_a_file_as_it_grows_gives_the_same_points_as_reading_it_at_once(station, lines, cuts, end):
    station.ledger.clear()
    content = (HEADER + "".join(lines) + end).encode()
    with tempfile.TemporaryDirectory(dir=station.home) as folder:
        name = Path(folder).name
        at_once = station.write(f"{name}/whole.csv", content)
        grown, growing = station.home / name / "grown.csv", []
        for cut in sorted({min(cut, len(content)) for cut in cuts}):
            grown.write_bytes(content[:cut])
            growing += station.read(station.files(f"{name}/grown.csv"))
        grown.write_bytes(content)
        now = station.now() + timedelta(seconds=120)
        growing += station.read(station.files(f"{name}/grown.csv"), now)
        assert growing == station.read(station.files(f"{name}/{at_once.name}"), now)
        assert len(growing) == len([line for line in lines if line.strip()]) + bool(end)
