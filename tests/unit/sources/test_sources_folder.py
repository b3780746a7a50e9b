"""Which files a source takes, and which it must not."""

from __future__ import annotations

import os

import pytest
from pydantic import ValidationError

from cogniforge_pipeline.sources import LANDING, SOURCE, landing_sources

CSV = "ts,value,service,metric\n2026-01-01,1,s,m\n"


def items(station) -> list[str]:
    return [item.item for item in station.items]


def test_globs_go_down_folders_only_where_they_say_so(station):
    for name in ("d/a.csv", "d/x/b.csv", "d/x/y/c.csv", "d/note.txt", "d/.hidden.csv", "d/e.csv.part"):
        station.write(name, CSV)
    expected = {
        "d/*.csv": ["a.csv"],
        "d/**/*.csv": ["a.csv", "x/b.csv", "x/y/c.csv"],
        "d/*/*.csv": ["x/b.csv"],
        "d/[ab].csv": ["a.csv"],
        "d/[!a].csv": [],
        "d/x/b.csv": ["b.csv"],
        "d/**/c?csv": ["x/y/c.csv"],
    }
    for pattern, names in expected.items():
        station.ledger.clear()
        station.read(station.files(pattern))
        assert (pattern, items(station)) == (pattern, names)


def test_several_globs_read_each_file_once_and_leave_out_what_is_excluded(station):
    for name in ("d/one/a.csv", "d/two/a.csv", "d/two/b.csv"):
        station.write(name, CSV)
    station.read(station.files(["d/one/*.csv", "d/**/*.csv", "d/two/*.csv"], exclude="d/**/b.csv"))
    assert sorted(items(station)) == ["one/a.csv", "two/a.csv"]


def test_a_folder_that_does_not_exist_is_said(station):
    assert "no folder" in station.refused(station.files("nowhere/*.csv")).reason
    assert station.read(station.files("nowhere/*.csv")) == [] and station.refusals == []


def test_links_out_of_the_folder_and_special_files_are_refused(station):
    secret = station.write("secret/a.csv", CSV)
    station.write("landing/own.csv", CSV)
    (station.home / "landing/stolen.csv").symlink_to(secret)
    (station.home / "landing/deep").symlink_to(secret.parent)
    (station.home / "landing/inner.csv").symlink_to(station.home / "landing/own.csv")
    os.mkfifo(station.home / "landing/pipe.csv")
    station.read(LANDING)
    assert items(station) == ["inner.csv", "own.csv"]
    assert {r.item: r.reason for r in station.refusals} == {
        "deep": "a link that leads out of the source's folder",
        "stolen.csv": "a link that leads out of the source's folder",
        "pipe.csv": "not a regular file",
    }


@pytest.mark.parametrize("path", ["landing/../../etc/*.csv", "data/*/../../*.csv", "landing/**/../x.csv"])
def test_a_glob_must_not_climb(station, path):
    with pytest.raises(ValidationError, match=r"\.\.|leads out"):
        SOURCE.validate_python(station.files(path))


def test_a_declared_source_may_lie_beside_the_home(station):
    station.write("data/a.csv", CSV)
    home = station.home / "home"
    home.mkdir()
    station.home = home
    assert len(station.read(station.files("../data/*.csv"))) == 1


def test_landing_refuses_what_it_has_no_reader_for(station):
    station.write("landing/report.xlsx", "x")
    refusal = station.refused(LANDING)
    assert ".xlsx" in refusal.reason and ".csv" in refusal.hint


def test_landing_leaves_files_to_declared_sources_and_otlp_to_its_reader(station):
    request = '{"resourceMetrics": []}\n'
    for name, text in [
        ("a.csv", CSV),
        ("mine/b.csv", CSV),
        ("c.otlp.jsonl", request),
        ("otlp/d.json", request),
        ("team/otlp/e.json", request),
    ]:
        station.write(f"landing/{name}", text)
    files, otlp = landing_sources([SOURCE.validate_python(station.files("landing/mine/*.csv"))])
    station.read(files)
    assert (items(station), station.refusals) == (["a.csv"], [])
    station.read(otlp)
    assert (items(station), station.refusals) == (["c.otlp.jsonl", "otlp/d.json", "team/otlp/e.json"], [])


def test_a_home_without_landing_has_nothing_to_read(station):
    assert station.read(LANDING) == [] and station.refusals == []
