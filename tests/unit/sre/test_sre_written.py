"""Rows from outside a run: appended or written by key at once, checked as in every publication, by many writers."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline import written
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.publish import MATERIALIZATIONS, QUALITY
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.written import RowRefused
from tests.support.pipeline import CONTRACTS

RECORDS, DEPLOYMENTS, RISK = "sre.sli_records", "sre.deployments", "sre.deployment_risk"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


TABLES = {name: CONTRACTS[name] for name in (RECORDS, DEPLOYMENTS, RISK, MATERIALIZATIONS, QUALITY)}


def open_home(folder: Path) -> Home:
    home = Home(load_settings(folder, environ={}), ())
    home.contracts, home.views = TABLES, {}
    return home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return open_home(tmp_path / "home")


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that nothing may be written to."""
    return open_home(tmp_path_factory.mktemp("untouched") / "home")


def rows(home: Home, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    return home.lake.cursor().execute(f"SELECT {columns} FROM {table} ORDER BY ALL").fetchall()


def measurement(sli_id: str, ts: datetime = NOON, **changed: Any) -> dict[str, Any]:
    usual = {"slo_id": "api", "measured_value": 99.5, "target_value": 99, "compliant": True}
    return {"sli_id": sli_id, "ts": ts, **usual, **changed}


def deployment(deployment_id: str, **changed: Any) -> dict[str, Any]:
    usual = {"service": "api", "strategy": "rolling", "status": "planned", "change_type": "normal"}
    return {"deployment_id": deployment_id, **usual, **changed}


def add_measurements(folder: Path, writer: str, count: int) -> None:
    home = open_home(folder)
    for n in range(count):
        written.append(home, RECORDS, [measurement(f"{writer}-{n}")], run_id=writer)


def count_up(folder: Path, writer: str, count: int) -> None:
    """Each time one more than what is there: a lost update would be seen."""
    home = open_home(folder)

    def more(cursor: Any) -> list[dict[str, Any]]:
        (old,) = cursor.execute(f"SELECT coalesce(max(lines_changed), 0) FROM {DEPLOYMENTS}").fetchone()
        return [deployment("counter", lines_changed=old + 1)]

    for _ in range(count):
        written.update(home, DEPLOYMENTS, more, run_id=writer)


def in_processes(work: Callable[[Path, str, int], None], folder: Path, processes: int, count: int) -> list[int | None]:
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=work, args=(folder, f"w{n}", count)) for n in range(processes)]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
    return [process.exitcode for process in started]


def test_appended_rows_are_published_with_their_days_and_their_quality(home: Home) -> None:
    late = NOON - timedelta(days=2)
    made = written.append(home, RECORDS, [measurement("a"), measurement("b", late)], run_id="r1")
    assert made is not None
    assert (made.rows, made.version, made.days) == (2, 1, (date(2026, 2, 27), date(2026, 3, 1)))
    assert [(sli, ts.astimezone(UTC)) for sli, ts in rows(home, RECORDS, "sli_id, ts")] == [("a", NOON), ("b", late)]
    assert rows(home, MATERIALIZATIONS, "table_name, version, row_count, mode, run_id") == [
        (RECORDS, 1, 2, "append", "r1")
    ]
    assert rows(home, QUALITY, "product_id, volume") == [(RECORDS, 2)]


def test_no_rows_write_nothing(home: Home) -> None:
    assert written.append(home, RECORDS, [], run_id="r") is None
    assert written.upsert(home, DEPLOYMENTS, [], run_id="r") is None
    assert rows(home, MATERIALIZATIONS) == []


def test_a_row_of_the_same_key_is_replaced_and_others_stay(home: Home) -> None:
    written.upsert(home, DEPLOYMENTS, [deployment("a"), deployment("b")], run_id="r")
    written.upsert(home, DEPLOYMENTS, [deployment("b", version="2"), deployment("c")], run_id="r")
    assert rows(home, DEPLOYMENTS, "deployment_id, version") == [("a", None), ("b", "2"), ("c", None)]
    assert rows(home, MATERIALIZATIONS, "version, row_count, mode") == [(1, 2, "replace"), (2, 3, "replace")]


def test_what_another_process_has_written_is_on_disk_when_the_call_returns(home: Home) -> None:
    _ = home.lake
    assert in_processes(add_measurements, home.settings.home, 1, 1) == [0]
    assert rows(home, RECORDS, "sli_id") == [("w0-0",)]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"colour": "red"}, "no column colour"),
        ({"measured_value": "99"}, "expected DOUBLE, got '99'"),
        ({"measured_value": True}, "expected DOUBLE, got True"),
        ({"compliant": 1}, "expected BOOLEAN, got 1"),
        ({"ts": datetime(2026, 3, 1)}, "expected TIMESTAMP WITH TIME ZONE"),
        ({"ts": date(2026, 3, 1)}, "expected TIMESTAMP WITH TIME ZONE"),
        ({"slo_id": 5}, "expected VARCHAR, got 5"),
        ({"slo_id": ["a"]}, "expected VARCHAR"),
        ({"slo_id": "\ud800"}, "expected VARCHAR"),
        ({"slo_id": None}, "slo_id"),
        ({"slo_id": ""}, "slo_id"),
        ({"measured_value": float("nan")}, "measured_value"),
        ({"measured_value": float("inf")}, "measured_value"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_and_nothing_is_written(
    untouched: Home, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(RowRefused) as refused:
        written.append(untouched, RECORDS, [measurement("good"), measurement("bad", **changed)], run_id="r")
    assert message in str(refused.value) and RECORDS in str(refused.value)
    assert rows(untouched, RECORDS) == [] == rows(untouched, "quarantine.sre__sli_records")


def test_a_number_that_is_too_large_is_a_clear_error(home: Home) -> None:
    for write in (written.append, written.upsert):
        with pytest.raises(CogniforgeError, match=r"sre\.deployments could not be computed: .*INT32"):
            write(home, DEPLOYMENTS, [deployment("a", lines_changed=2**40)], run_id="r")
    written.upsert(home, DEPLOYMENTS, [deployment("a", lines_changed=2)], run_id="r")
    assert rows(home, DEPLOYMENTS, "lines_changed") == [(2,)]


def test_a_repeated_key_is_refused_when_appended(home: Home) -> None:
    with pytest.raises(RowRefused, match="refuses 1 of these rows"):
        written.append(home, RECORDS, [measurement("a"), measurement("a")], run_id="r")
    written.append(home, RECORDS, [measurement("a")], run_id="r")
    with pytest.raises(RowRefused, match=r"sli_id, ts a, .* is there already"):
        written.append(home, RECORDS, [measurement("a"), measurement("b")], run_id="r")
    assert rows(home, RECORDS, "sli_id") == [("a",)]


def test_a_rule_between_columns_holds_and_leaves_what_was_written(home: Home) -> None:
    written.upsert(home, DEPLOYMENTS, [deployment("a")], run_id="r")
    with pytest.raises(RowRefused, match="a deployment has finished_at exactly when it ended"):
        written.upsert(home, DEPLOYMENTS, [deployment("a", status="failed", started_at=NOON)], run_id="r")
    assert rows(home, DEPLOYMENTS, "deployment_id, status") == [("a", "planned")]


def test_an_unknown_table_and_one_with_days_are_errors(home: Home) -> None:
    with pytest.raises(CogniforgeError, match=r"there is no table sre\.nothing"):
        written.append(home, "sre.nothing", [{}], run_id="r")
    with pytest.raises(ValueError, match="can only be appended"):
        written.upsert(home, RECORDS, [measurement("a")], run_id="r")


def test_hostile_text_stays_text(home: Home) -> None:
    texts = sorted(["'; DROP TABLE sre.deployments; --", "a\nb\\", "ü\x00x", "{}[]", "NULL"])
    written.upsert(home, DEPLOYMENTS, [deployment(text, description=text) for text in texts], run_id=texts[0])
    assert sorted(rows(home, DEPLOYMENTS, "deployment_id, description")) == [(text, text) for text in texts]


def test_lists_and_structs_keep_their_parts(home: Home) -> None:
    contribution = {"feature": "lines_changed", "value": "9", "usual": "5", "log_odds": 0.5, "words": "it's more"}
    row = {
        "deployment_id": "d", "assessed_at": NOON, "known_at": NOON, "service": "api", "probability": 0.25,
        "recommendation": "wait", "advised_strategy": "hold", "contributions": [contribution, {"feature": "x"}],
        "basis": "prior", "off_hours": 1, "unknown": ["a", "b"],
    }  # fmt: skip
    written.append(home, RISK, [row], run_id="r")
    empty = dict.fromkeys(contribution)
    assert rows(home, RISK, "contributions, unknown") == [([contribution, {**empty, "feature": "x"}], ["a", "b"])]
    with pytest.raises(RowRefused, match=r"contributions\[0\]\.log_odds: expected DOUBLE, got 'much'"):
        written.append(home, RISK, [{**row, "contributions": [{"log_odds": "much"}]}], run_id="r")
    with pytest.raises(RowRefused, match="unknown: expected VARCHAR"):
        written.append(home, RISK, [{**row, "unknown": "a"}], run_id="r")


def test_processes_and_threads_that_append_at_once_lose_nothing(home: Home) -> None:
    _ = home.lake
    with ThreadPoolExecutor(2) as threads:
        here = [threads.submit(add_measurements, home.settings.home, f"t{n}", 4) for n in range(2)]
        assert in_processes(add_measurements, home.settings.home, 2, 4) == [0, 0]
        for future in here:
            future.result()
    names = {f"{writer}-{n}" for writer in ("t0", "t1", "w0", "w1") for n in range(4)}
    assert {sli for (sli,) in rows(home, RECORDS, "sli_id")} == names
    assert [version for (version,) in rows(home, MATERIALIZATIONS, "version")] == list(range(1, 17))


def test_rows_made_from_what_is_there_see_every_write_before(home: Home) -> None:
    _ = home.lake
    with ThreadPoolExecutor(2) as threads:
        here = [threads.submit(count_up, home.settings.home, f"t{n}", 4) for n in range(2)]
        assert in_processes(count_up, home.settings.home, 2, 4) == [0, 0]
        for future in here:
            future.result()
    assert rows(home, DEPLOYMENTS, "deployment_id, lines_changed") == [("counter", 16)]
