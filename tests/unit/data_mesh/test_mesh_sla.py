"""Service levels of products against a simulation that looks at every minute."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.data_mesh.sla import WINDOW, Promise, promises, sla_status_sql
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sqltext import literal
from tests.support.tables import CONTRACTS, PRODUCTS

START = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PRODUCT = "shop.orders"


@dataclass(frozen=True)
class Told:
    """One publication: minutes from START, the newest row's age in minutes, and the share set aside."""

    minute: int
    age: int | None
    error_rate: float


def status(log: list[Told], mode: str, promise: Promise, minutes: int) -> dict[str, dict[str, Any]]:
    """The rows of `data_mesh.sla_status` so many minutes after START, by property."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute("CREATE SCHEMA data_mesh")
        for table in ("quality_metrics", "materializations"):
            columns = ", ".join(f"{c.name} {c.type}" for c in CONTRACTS[f"data_mesh.{table}"].columns)
            con.execute(f"CREATE TABLE data_mesh.{table} ({columns})")
        for version, told in enumerate(log, 1):
            age = None if told.age is None else told.age * 60.0
            con.execute(
                f"INSERT INTO data_mesh.quality_metrics BY NAME SELECT {literal(PRODUCT)} AS product_id, {version} AS version, "
                f"{literal(START + told.minute * MINUTE)} AS timestamp, {literal(age)} AS freshness_seconds, "
                f"{literal(told.error_rate)} AS error_rate"
            )
            con.execute(
                f"INSERT INTO data_mesh.materializations BY NAME SELECT {literal(PRODUCT)} AS table_name, {version} AS version, "
                f"{literal(mode)} AS mode"
            )
        found = con.execute(sla_status_sql([promise], START + minutes * MINUTE))
        names = [column[0] for column in found.description or []]
        return {row[1]: dict(zip(names, row, strict=True)) for row in found.fetchall()}


def simulated(log: list[Told], mode: str, promise: Promise, minutes: int) -> tuple[list[bool | None], list[bool]]:
    """For every minute from the first publication on: whether the product is stale (None: unknown), and whether too many
    rows of its last publication were set aside."""
    stale: list[bool | None] = []
    wrong: list[bool] = []
    for minute in range(log[0].minute, minutes):
        past = [told for told in log if told.minute <= minute]
        ages = past[-1:] if mode == "replace" else past
        newest = max((told.minute - told.age for told in ages if told.age is not None), default=None)
        stale.append(None if newest is None else minute - newest >= (promise.freshness or 0) / 60)
        wrong.append(past[-1].error_rate > (promise.error_rate or 0))
    return stale, wrong


def stretches(broken: list[bool], first: int, minutes: int) -> list[tuple[datetime, datetime | None]]:
    found: list[tuple[datetime, datetime | None]] = []
    start = None
    for minute, is_broken in enumerate([*broken, False], first):
        if is_broken and start is None:
            start = minute
        if not is_broken and start is not None:
            end = None if minute == minutes else START + minute * MINUTE
            found.append((START + start * MINUTE, end))
            start = None
    return found


LOGS = st.lists(
    st.builds(
        Told,
        st.integers(0, 400),
        st.none() | st.integers(-30, 200),
        st.sampled_from([0.0, 0.05, 0.2]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda told: told.minute,
).map(lambda log: sorted(log, key=lambda told: told.minute))


@given(LOGS, st.sampled_from(["replace", "append", "replace_days"]), st.integers(1, 120), st.integers(1, 300))
@settings(max_examples=60, deadline=None)
def test_breaches_and_availability_are_those_of_a_minute_by_minute_simulation(
    log: list[Told], mode: str, allowed: int, more: int
) -> None:
    minutes = log[-1].minute + more
    promise = Promise(PRODUCT, allowed * 60.0, 0.9, 0.1)
    stale, wrong = simulated(log, mode, promise, minutes)
    found = status(log, mode, promise, minutes)

    breaches = {sla: [(b["started_at"], b["ended_at"]) for b in row["breaches"]] for sla, row in found.items()}
    assert breaches["freshness"] == stretches([bool(s) for s in stale], log[0].minute, minutes)
    assert breaches["error_rate"] == stretches(wrong, log[0].minute, minutes)
    known = [s for s in stale if s is not None]
    share = found["availability"]["observed"]
    assert share == (pytest.approx(1 - sum(known) / len(known)) if known else None)
    for sla in ("freshness", "error_rate"):
        goes_on = [start for start, end in breaches[sla] if end is None]
        assert found[sla]["breached_since"] == (goes_on[0] if goes_on else None)


@given(LOGS, st.integers(1, 120))
@settings(max_examples=25, deadline=None)
def test_fresh_until_is_the_moment_at_which_silence_breaks_the_promise(log: list[Told], allowed: int) -> None:
    promise = Promise(PRODUCT, allowed * 60.0)
    row = status(log, "append", promise, log[-1].minute)["freshness"]
    if row["fresh_until"] is None:
        assert row["status"] == "unknown"
        return
    until = int((row["fresh_until"] - START) / MINUTE)
    if until >= log[-1].minute:
        assert status(log, "append", promise, until)["freshness"]["status"] == "ok"
        assert status(log, "append", promise, until + 1)["freshness"]["status"] == "breached"
    else:
        assert row["status"] == "breached"


def test_what_was_published_later_is_not_known_yet() -> None:
    log = [Told(0, 0, 0.0), Told(100, 0, 0.5)]
    found = status(log, "append", Promise(PRODUCT, 600.0, None, 0.1), 50)
    assert found["error_rate"]["status"] == "ok"
    assert found["freshness"]["observed"] == 50 * 60


def test_what_is_not_promised_is_observed_all_the_same() -> None:
    found = status([Told(0, 0, 0.5)], "append", Promise(PRODUCT, 600.0), 20)
    assert {sla: (row["status"], row["observed"]) for sla, row in found.items()} == {
        "freshness": ("breached", 1200.0),
        "availability": ("not_promised", 0.5),
        "error_rate": ("not_promised", 0.5),
    }


def test_availability_without_a_promise_of_freshness_cannot_be_measured() -> None:
    assert status([Told(0, 0, 0.0)], "append", Promise(PRODUCT, None, 0.9), 20)["availability"]["status"] == "unknown"


def test_breaches_of_long_ago_are_left_out_and_those_that_go_on_are_not() -> None:
    days = WINDOW.days + 10
    log = [Told(0, 0, 0.5), Told(1440, 0, 0.0), Told(2880, -days * 1440, 0.5)]
    found = status(log, "append", Promise(PRODUCT, 600.0, None, 0.1), days * 1440)
    assert found["freshness"]["breaches"] == []
    assert [b["started_at"] for b in found["error_rate"]["breaches"]] == [START + timedelta(days=2)]


def test_the_promises_are_those_of_the_contracts_as_shares_and_seconds() -> None:
    assert promises(PRODUCTS) == [Promise("shop.orders", 3600.0, 0.99, 0.05)]


def sla(*properties: dict[str, Any]) -> Any:
    entries = [{"property": p["property"], "value": p["value"], "unit": p.get("unit")} for p in properties]
    raw = {"slaProperties": entries}
    return replace(PRODUCTS["shop.visits"], raw=raw, sla={p["property"]: p["value"] for p in properties})


@pytest.mark.parametrize(
    "value, unit, share",
    [(0.999, None, 0.999), (99.9, None, 0.999), (99.9, "percent", 0.999), (1, None, 1.0), (0.5, "%", 0.005)],
)
def test_an_availability_may_be_a_share_or_in_percent(value: float, unit: str | None, share: float) -> None:
    (promise,) = promises({"shop.orders": sla({"property": "availability", "value": value, "unit": unit})})
    assert promise.availability == pytest.approx(share)


@pytest.mark.parametrize(
    "name, value, unit",
    [("availability", "high", None), ("availability", 101, None), ("errorRate", 5, None), ("errorRate", -1, "percent")],
)
def test_a_promise_that_is_no_share_is_refused_with_its_file(name: str, value: Any, unit: str | None) -> None:
    with pytest.raises(CogniforgeError, match=f"visits.yaml: the SLA property {name}"):
        promises({"shop.orders": sla({"property": name, "value": value, "unit": unit})})
