"""Burn rates, alerts and budgets at one moment from a file of counters and a file of SLOs, without a home.

Belongs here: what of the SLOs the counters can answer, and the answers. Does not: reading files (`counter_files.py`,
`slo_files.py`), the arithmetic (`sli.py`, `burn_rate.py`, `burn_alerts.py`, `budgets.py`), printing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.maintenance import utc
from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.budgets import error_budgets_sql
from cogniforge_pipeline.sre.burn_alerts import CHANCE, alert_episodes_sql, alert_minutes_sql, rule_windows
from cogniforge_pipeline.sre.burn_rate import WINDOWS, burn_rates_sql, window_name, window_sums_sql
from cogniforge_pipeline.sre.counter_files import Counters, open_counters
from cogniforge_pipeline.sre.objectives import Objective, Ratio, Raw, RecordedRows, SqlQuery, Threshold
from cogniforge_pipeline.sre.selectors import Selector
from cogniforge_pipeline.sre.sli import minute_counts_sql
from cogniforge_pipeline.sre.slo_files import read_objectives
from cogniforge_pipeline.sre.windows import window_at

_MINUTE = timedelta(minutes=1)
Row = dict[str, Any]


@dataclass(frozen=True)
class BurnReport:
    """What holds at `at`, a whole minute in UTC, for each objective in order of the file; plain JSON values.

    Each of `slos` has slo_id, service, target, burn_rates (by window, None without events), alerts, budget, and
    `note`, a sentence where figures are missing or doubtful, else None.
    """

    at: datetime
    slos: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON: `{"at": ..., "slos": [...]}`."""
        return {"at": self.at.isoformat(), "slos": list(self.slos)}


def burn_from_files(counters: Path, slo: Path, at: datetime | None = None) -> BurnReport:
    """The burn rates over all windows of `WINDOWS`, the alerts and the budget of each objective of `slo` at `at`.

    `at` is taken down to its minute; by default it is the newest sample's minute. `slo` is an OpenSLO file or a Sloth
    file. Where no series of the file has a service, the services of the SLOs do not matter. Raises CogniforgeError
    for files that cannot be used, and where no SLO finds any series.
    """
    objectives = read_objectives(slo)
    opened = open_counters(counters)
    with opened.connection as connection:
        moment = _minute(opened.last, up=True) if at is None else _minute(utc(at))
        fitted = [_fitted(objective, opened) for objective in objectives]
        notes = {objective.slo_id: _note(objective, connection) for objective in fitted}
        computed = [o for o in fitted if o.not_computable is None]
        if computed and not any(_found(objective, connection) for objective in computed):
            raise CogniforgeError(f"{counters}: no series matches {_wanted(computed)}", _there(connection))
        rates: dict[str, Row] = {}
        budgets: dict[str, Row] = {}
        alerts: dict[str, list[Row]] = {}
        if computed:
            _count(connection, computed, opened.first, moment)
            rates = _rates(connection, computed, moment)
            budgets = _budgets(connection, computed, moment)
            alerts = _alerts(connection, computed, opened.first, moment)
    slos = [
        {
            "slo_id": objective.slo_id,
            "service": objective.service,
            "target": float(objective.target),
            "burn_rates": {name: rates.get(objective.slo_id, {}).get(name) for name in WINDOWS},
            "alerts": alerts.get(objective.slo_id, []),
            "budget": budgets.get(objective.slo_id),
            "note": notes[objective.slo_id],
        }
        for objective in fitted
    ]
    return BurnReport(moment, tuple(slos))


def _minute(moment: datetime, up: bool = False) -> datetime:
    down = moment.astimezone(UTC).replace(second=0, microsecond=0)
    return down + _MINUTE if up and down < moment else down


def _fitted(objective: Objective, counters: Counters) -> Objective:
    """The objective as this file can answer it."""
    source = objective.source
    if isinstance(source, RecordedRows):
        return replace(objective, not_computable="its measurements come by record_sli, not from counters")
    if counters.services:
        return objective
    match source:
        case Ratio(total, good, bad, counter):
            return replace(objective, source=Ratio(_open(total), good and _open(good), bad and _open(bad), counter))
        case Raw(selector, success):
            return replace(objective, source=Raw(_open(selector), success))
        case Threshold(selector):
            return replace(objective, source=replace(source, selector=_open(selector)))
    return objective


def _open(selector: Selector) -> Selector:
    return replace(selector, service=None)


def _selectors(objective: Objective) -> dict[str, Selector]:
    """What an objective reads, by its part; nothing for a composite and a SELECT."""
    match objective.source:
        case Ratio(total, good, bad):
            parts = {"total": total, "good": good, "bad": bad}
            return {name: part for name, part in parts.items() if part is not None}
        case Raw(selector) | Threshold(selector):
            return {"series": selector}
    return {}


def _matches(selector: Selector, connection: duckdb.DuckDBPyConnection) -> bool:
    return connection.execute(f"FROM aiops.series WHERE {selector.condition()} LIMIT 1").fetchone() is not None


def _found(objective: Objective, connection: duckdb.DuckDBPyConnection) -> bool:
    if isinstance(objective.source, SqlQuery):
        return True
    return any(_matches(selector, connection) for selector in _selectors(objective).values())


def _note(objective: Objective, connection: duckdb.DuckDBPyConnection) -> str | None:
    if objective.not_computable is not None:
        return objective.not_computable
    missing = {name: s for name, s in _selectors(objective).items() if not _matches(s, connection)}
    if not missing:
        return None
    named = " or ".join(f"{name} ({_shown(selector)})" for name, selector in missing.items())
    effect = {"good": ": all events count as bad", "bad": ": no event counts as bad"}
    return f"no series matches {named}{effect.get(next(iter(missing)), '') if len(missing) == 1 else ''}"


def _shown(selector: Selector) -> str:
    return str(selector) + (f" of service {selector.service}" if selector.service is not None else "")


def _wanted(objectives: Sequence[Objective]) -> str:
    shown = dict.fromkeys(_shown(s) for objective in objectives for s in _selectors(objective).values())
    return " or ".join(list(shown)[:4]) + (f" or {len(shown) - 4} more" if len(shown) > 4 else "")


def _there(connection: duckdb.DuckDBPyConnection) -> str:
    """Which metrics and services the file has."""
    row = connection.execute(
        "SELECT list_sort(list(DISTINCT metric)), "
        "list_sort(coalesce(list(DISTINCT service) FILTER (WHERE service <> ''), [])) FROM aiops.series"
    ).fetchone()
    assert row is not None
    said = [f"the file has the metrics {', '.join(row[0][:15])}" + (", ..." if len(row[0]) > 15 else "")]
    if row[1]:
        said.append(f"of the services {', '.join(row[1][:15])}" + (", ..." if len(row[1]) > 15 else ""))
    return " ".join(said)


def _count(
    connection: duckdb.DuckDBPyConnection, objectives: Sequence[Objective], first: datetime, at: datetime
) -> None:
    start = min(_minute(first), at) - _MINUTE
    try:
        connection.execute(f"CREATE TEMP TABLE counts AS {minute_counts_sql(objectives, start, at)}")
    except duckdb.Error as error:
        raise CogniforgeError(
            f"the SLOs cannot be computed from the file: {str(error).strip().splitlines()[0]}",
            "here a SELECT can read aiops.series and aiops.telemetry",
        ) from error
    odd = connection.execute("SELECT slo_id, minute FROM counts WHERE isnan(good) ORDER BY minute LIMIT 1").fetchone()
    if odd is not None:
        raise CogniforgeError(
            f"SLO {odd[0]}: a raw ratio in the minute to {odd[1].astimezone(UTC).isoformat()} is outside 0 to 1",
            "correct the value, or leave the sample out",
        )


def _rates(connection: duckdb.DuckDBPyConnection, objectives: Sequence[Objective], at: datetime) -> dict[str, Row]:
    """Burn rates by objective; none for one without a minute. Also makes the temp table `rates`."""
    sql = burn_rates_sql(objectives, "counts", at - _MINUTE, at)
    connection.execute(f"CREATE TEMP TABLE rates AS SELECT * RENAME (minute AS ts) FROM ({sql})")
    return {row["slo_id"]: row for row in _rows(connection, "SELECT slo_id, COLUMNS('burn_(.*)') AS '\\1' FROM rates")}


def _budgets(connection: duckdb.DuckDBPyConnection, objectives: Sequence[Objective], at: datetime) -> dict[str, Row]:
    """The columns of `sre.error_budgets` that one moment is enough for, by objective."""
    minutes = "(SELECT slo_id, minute AS ts, good, bad, total FROM counts)"
    sql = error_budgets_sql(objectives, at, minutes=minutes, rates="rates")
    elsewhere = "as_of, service, target, burn_1h, burn_1d, incidents"
    return {row.pop("slo_id"): row for row in _rows(connection, f"SELECT * EXCLUDE ({elsewhere}) FROM ({sql})")}


def _alerts(
    connection: duckdb.DuckDBPyConnection, objectives: Sequence[Objective], first: datetime, at: datetime
) -> dict[str, list[Row]]:
    """Each alert by objective; `reason` says why one whose burn rates are beyond its factor does not fire.

    Only objectives for which something holds at `at` need the history that tells since when.
    """
    plain = [replace(o, minimum_events=0) for o in objectives if o.alert_rules(at)]
    held = _held(connection, plain, at - _MINUTE, at, chance=None)
    beyond = {(row["slo_id"], row["alert"]) for row in _rows(connection, held)} if held else set()
    burning = [o for o in objectives if any(slo_id == o.slo_id for slo_id, _ in beyond)]
    longest = max((end - start for start, end in (window_at(o.window, at) for o in burning)), default=_MINUTE)
    held = _held(connection, burning, max(first, at - longest), at, chance=CHANCE)
    firing = f"FROM ({alert_episodes_sql(f'({held})', literal(at))}) WHERE cleared_at IS NULL"
    episodes = {(row["slo_id"], row["alert"]): row for row in _rows(connection, firing)} if held else {}
    found: dict[str, list[Row]] = {}
    for objective in objectives:
        for rule in objective.alert_rules(at):
            name = (objective.slo_id, rule.name)
            episode = episodes.get(name)
            waits = "it has not held long enough" if rule.hold else "too few events, or too few bad ones, to be sure"
            found.setdefault(objective.slo_id, []).append(
                {
                    "alert": rule.name,
                    "severity": rule.severity,
                    "long_window": window_name(rule.long),
                    "short_window": window_name(rule.short),
                    "factor": float(rule.factor),
                    "firing": episode is not None,
                    "fired_at": episode["fired_at"] if episode else None,
                    "budget_spent": episode["budget_spent"] if episode else None,
                    "reason": waits if episode is None and name in beyond else None,
                }
            )
    return found


def _held(
    connection: duckdb.DuckDBPyConnection,
    objectives: Sequence[Objective],
    start: datetime,
    at: datetime,
    *,
    chance: float | None,
) -> str | None:
    """A SELECT of the minutes in (start, at] at which a rule of these objectives held; None without objectives."""
    if not objectives:
        return None
    among = literal([objective.slo_id for objective in objectives])
    counts = f"(FROM counts WHERE list_contains({among}, slo_id))"
    sums = window_sums_sql(counts, min(start, at - _MINUTE), at, rule_windows(objectives, at))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE sums AS {sums}")
    return alert_minutes_sql(objectives, "sums", at, chance=chance)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]


def _plain(value: Any) -> Any:
    """As JSON can hold it; what is no number is None."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value
