"""`cogniforge run`, from files in landing/ to a table on the terminal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.pipeline import at, csv

Cli = Callable[..., Any]
HEALTH = "SELECT as_of, service, status FROM aiops.service_health ORDER BY service"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with half an hour of one service in landing/; the tests of this file run on it one after the other."""
    folder = tmp_path_factory.mktemp("run") / "home"
    (folder / "landing").mkdir(parents=True)
    (folder / "platform").mkdir()
    start = at("2026-03-01 10:00")
    points = [(start + timedelta(minutes=n), "web", "cpu", 1.0) for n in range(31)]
    (folder / "landing" / "a.csv").write_text(csv(points))
    return folder


def answers(cli: Cli, folder: Path) -> list[list[str]]:
    found = cli("sql", "--home", folder, "-f", "csv", HEALTH)
    assert found.code == 0, found.err
    return [line.split(",") for line in found.out.splitlines()[1:]]


def test_run_shows_services_and_where_to_look_next(cli: Cli, folder: Path) -> None:
    answer = cli("run", "--home", folder)
    assert answer.code == 0, answer.err
    assert "Services as of 2026-03-01 10:30 UTC" in answer.out
    assert "healthy" in answer.out and "all series as expected" in answer.out
    assert f"cogniforge ui --home {folder}" in answer.out
    assert (folder / "reports" / "cogniforge.duckdb").exists()


def test_run_again_changes_nothing(cli: Cli, folder: Path) -> None:
    log = "SELECT max(version) FROM data_mesh.materializations WHERE table_name LIKE 'aiops.%' GROUP BY table_name ORDER BY ALL"
    before = cli("sql", "--home", folder, "-f", "csv", log).out
    assert cli("run", "--home", folder).code == 0
    assert cli("sql", "--home", folder, "-f", "csv", log).out == before


@pytest.mark.parametrize("moment", ["2026-03-01T10:20:00", "2026-03-01T10:20:00Z", "2026-03-01T12:20:00+02:00"])
def test_run_as_of_decides_for_that_moment(cli: Cli, folder: Path, moment: str) -> None:
    answer = cli("run", "--home", folder, "--as-of", moment, "--select", "aiops/service_health")
    assert answer.code == 0, answer.err
    assert "Services as of 2026-03-01 10:20 UTC" in answer.out


def test_run_select_runs_that_and_nothing_else(cli: Cli, folder: Path) -> None:
    (folder / "landing" / "b.csv").write_text(csv([(at("2026-03-01 11:00"), "db", "cpu", 1.0)]))
    assert cli("run", "--home", folder, "--select", "aiops/service_health").code == 0
    assert [row[1] for row in answers(cli, folder)] == ["web"]
    assert cli("run", "--home", folder).code == 0
    assert [row[1] for row in answers(cli, folder)] == ["db", "web"]


def test_full_refresh_computes_every_day_again(cli: Cli, folder: Path) -> None:
    log = "SELECT count(*) FROM data_mesh.materializations WHERE table_name = 'aiops.rollup_5m'"
    before = int(cli("sql", "--home", folder, "-f", "csv", log).out.split()[1])
    rows = answers(cli, folder)
    assert cli("run", "--home", folder, "--full-refresh").code == 0
    assert int(cli("sql", "--home", folder, "-f", "csv", log).out.split()[1]) == before + 1
    assert answers(cli, folder) == rows


def test_points_of_long_ago_and_of_tomorrow_do_not_stop_a_run(cli: Cli, folder: Path) -> None:
    soon = datetime.now(UTC) + timedelta(hours=23)
    points = [(ts, "odd", "m", 1.0) for ts in (at("1971-01-01 10:00"), soon)]
    (folder / "landing" / "c.csv").write_text(csv(points))
    answer = cli("run", "--home", folder)
    assert answer.code == 0, answer.out
    count = "SELECT count(*) FROM aiops.rollup_5m JOIN aiops.series USING (series_id) WHERE service = 'odd'"
    assert cli("sql", "--home", folder, "-f", "csv", count).out.split()[1] == "2"


@pytest.mark.parametrize(
    ("selection", "hint"),
    [
        ("aiops/rollup", "did you mean aiops/rollup_5m?"),
        ("key:aiops/servicehealth", "did you mean aiops/service_health?"),
        ("group:nothing", "assets: aiops/anomalies"),
        ("foo(", "assets: aiops/anomalies"),
    ],
)
def test_a_selection_of_nothing_is_an_error_with_a_hint(cli: Cli, folder: Path, selection: str, hint: str) -> None:
    answer = cli("run", "--home", folder, "--select", selection)
    assert answer.code == 1
    assert hint in answer.err and "Warning" not in answer.err


def test_a_time_that_is_none_is_wrong_usage(cli: Cli, folder: Path) -> None:
    assert cli("run", "--home", folder, "--as-of", "yesterday").code == 2


def test_a_broken_declaration_is_shown_and_stops_nothing(cli: Cli, folder: Path) -> None:
    broken = folder / "platform" / "sources" / "bad.yaml"
    broken.parent.mkdir()
    broken.write_text("name: bad\ntype: files\n")
    answer = cli("run", "--home", folder, "--select", "platform/declarations")
    broken.unlink()
    assert answer.code == 0, answer.err
    assert "files_valid" in answer.out and "sources/bad.yaml:1" in answer.out
    assert "Services as of" in answer.out


def test_an_empty_home_says_what_to_do_and_knows_nothing_of_other_homes(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "platform").mkdir()
    answer = cli("run", "--home", tmp_path)
    assert answer.code == 0, answer.err
    assert "No telemetry yet" in answer.out and "landing/" in answer.out
    assert answers(cli, tmp_path) == []
    assert answers(cli, folder) != []
