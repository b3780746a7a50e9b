"""Service levels of data products: what a contract promises, and what the log of publications shows.

Belongs here: promises as plain values, and the SQL that measures them. Does not: the declared contract (`contracts`), or
when the table is computed (`tables.py`).

How each is measured:

- freshness: seconds since the newest row of the product. A publication says how old its newest row was then; from then
  on the row ages with the clock. A table that is replaced as a whole has the newest row of its last publication, any
  other one the newest row of all its publications.
- availability: share of the last WINDOW in which the product was as fresh as promised, from its first publication on.
  It cannot be measured without a promise of freshness.
- error_rate: share of the rows of the last publication that were set aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.publish import MATERIALIZATIONS, QUALITY
from cogniforge_pipeline.sqltext import literal

WINDOW = timedelta(days=30)
"""What availability and the breaches look back on."""

_ERROR_RATES = ("errorRate", "error_rate")
_PERCENT = ("%", "percent", "pct")


@dataclass(frozen=True)
class Promise:
    """What one product promises, None where it says nothing: seconds, and two shares of 1."""

    product_id: str
    freshness: float | None = None
    availability: float | None = None
    error_rate: float | None = None


def promises(contracts: Mapping[str, Contract]) -> list[Promise]:
    """The promises of the products whose contract makes any, in order of name.

    Raises CogniforgeError, with the file, for an availability or error rate that is no share.
    """
    found = []
    for product, contract in contracts.items():
        units = {item.get("property"): item.get("unit") for item in contract.raw.get("slaProperties") or ()}
        name = next((name for name in _ERROR_RATES if name in contract.sla), _ERROR_RATES[0])
        availability = _share(contract, "availability", units)
        promise = Promise(product, _freshness(contract), availability, _share(contract, name, units))
        if promise != Promise(product):
            found.append(promise)
    return sorted(found, key=lambda promise: promise.product_id)


def _freshness(contract: Contract) -> float | None:
    value: Any = contract.sla.get("freshness_seconds")
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")):
        return contract.freshness_seconds
    raise CogniforgeError(
        f"{contract.path}: freshness_seconds expects a number above 0, found {value!r}", "promise it in seconds"
    )


def _share(contract: Contract, name: str, units: Mapping[str, str | None]) -> float | None:
    """A promise as a share: 0.999, or 99.9 with unit percent. Availability above 1 can only be percent."""
    value: Any = contract.sla.get(name)
    if value is None:
        return None
    percent = (units.get(name) or "").lower() in _PERCENT
    if isinstance(value, int | float) and not isinstance(value, bool):
        share = value / 100 if percent or (name == "availability" and value > 1) else float(value)
        if 0 <= share <= 1:
            return share
    raise CogniforgeError(
        f"{contract.path}: the SLA property {name} expects a share of 0 to 1, or 0 to 100 with unit percent, "
        f"found {value!r} with unit {units.get(name)!r}",
        "correct value or unit in slaProperties",
    )


def sla_status_sql(promised: Iterable[Promise], now: datetime) -> str:
    """A SELECT of `data_mesh.sla_status` at `now` (aware): one row for each product that promises anything and was ever
    published, and each of the three properties. `promised` must not be empty."""
    start = now - WINDOW
    rows = ", ".join(
        f"({literal(p.product_id)}, {_number(p.freshness)}, {_number(p.availability)}, {_number(p.error_rate)})"
        for p in promised
    )
    return f"""
WITH promised (product_id, freshness, availability, error_rate) AS (
    VALUES {rows}
),
logged AS (
    SELECT q.product_id, q.timestamp AS told, q.error_rate, coalesce(m.mode, 'replace') = 'replace' AS is_whole,
        q.timestamp - to_microseconds(CAST(1e6 * q.freshness_seconds AS BIGINT)) AS newest
    FROM {QUALITY} AS q
    SEMI JOIN promised USING (product_id)
    LEFT JOIN {MATERIALIZATIONS} AS m ON m.table_name = q.product_id AND m.version = q.version
    WHERE q.timestamp <= {literal(now)}
),
states AS (
    SELECT product_id, told, error_rate, is_whole, newest
    FROM logged
    WHERE told > {literal(start)}
    UNION ALL
    SELECT product_id, max(told), arg_max(error_rate, told), arg_max(is_whole, told),
        CASE WHEN arg_max(is_whole, told) THEN arg_max_null(newest, told) ELSE max(newest) END
    FROM logged
    WHERE told <= {literal(start)}
    GROUP BY product_id
),
spans AS (
    SELECT s.product_id, s.told, s.error_rate, p.freshness, p.error_rate AS error_limit,
        coalesce(lead(s.told) OVER one, {literal(now)}) AS until,
        lead(s.told) OVER one IS NULL AS is_last,
        CASE WHEN s.is_whole THEN s.newest ELSE max(s.newest) OVER (one ROWS UNBOUNDED PRECEDING) END AS newest
    FROM states AS s
    JOIN promised AS p USING (product_id)
    WINDOW one AS (PARTITION BY s.product_id ORDER BY s.told)
),
broken AS (
    SELECT product_id, 'freshness' AS sla, until, is_last,
        greatest(told, newest + to_microseconds(CAST(1e6 * freshness AS BIGINT))) AS since
    FROM spans
    WHERE newest + to_microseconds(CAST(1e6 * freshness AS BIGINT)) < until
    UNION ALL
    SELECT product_id, 'error_rate', until, is_last, told
    FROM spans
    WHERE error_rate > error_limit
),
marked AS (
    SELECT *, since > coalesce(lag(until) OVER (PARTITION BY product_id, sla ORDER BY since), since - INTERVAL 1 HOUR) AS is_new
    FROM broken
),
stretches AS (
    SELECT *, sum(is_new::INTEGER) OVER (PARTITION BY product_id, sla ORDER BY since) AS stretch
    FROM marked
),
episodes AS (
    SELECT product_id, sla, min(since) AS started_at, CASE WHEN NOT bool_or(is_last) THEN max(until) END AS ended_at
    FROM stretches
    GROUP BY product_id, sla, stretch
),
breaches AS (
    SELECT product_id, sla,
        list({{started_at: started_at, ended_at: ended_at}} ORDER BY started_at) AS breaches,
        max(started_at) FILTER (ended_at IS NULL) AS breached_since,
        sum(epoch_us(coalesce(ended_at, {literal(now)})) - epoch_us(greatest(started_at, {literal(start)}))) AS lasted
    FROM episodes
    GROUP BY ALL
),
known AS (
    SELECT s.product_id, arg_max(s.error_rate, s.told) AS error_rate, max(s.told) AS published_at,
        arg_max_null(s.newest, s.told) AS newest,
        sum(epoch_us(s.until) - epoch_us(greatest(s.told, {literal(start)}))) FILTER (s.newest IS NOT NULL) AS counted
    FROM spans AS s
    GROUP BY ALL
),
measured AS (
    SELECT p.*, k.published_at, k.newest, k.error_rate AS observed_errors, f.breaches AS stale, f.breached_since AS stale_since,
        (epoch_us({literal(now)}) - epoch_us(k.newest)) / 1e6 AS age,
        CASE WHEN p.freshness IS NOT NULL THEN 1 - coalesce(f.lasted, 0) / nullif(k.counted, 0) END AS fresh_share,
        e.breaches AS wrong, e.breached_since AS wrong_since
    FROM promised AS p
    JOIN known AS k USING (product_id)
    LEFT JOIN breaches AS f ON f.product_id = p.product_id AND f.sla = 'freshness'
    LEFT JOIN breaches AS e ON e.product_id = p.product_id AND e.sla = 'error_rate'
),
judged AS (
    SELECT product_id, 'freshness' AS sla, 'seconds' AS unit, freshness AS promised, age AS observed,
        age > freshness AS is_breached, stale AS breaches, stale_since AS breached_since, published_at,
        newest + to_microseconds(CAST(1e6 * freshness AS BIGINT)) AS fresh_until
    FROM measured
    UNION ALL
    SELECT product_id, 'availability', 'share', availability, fresh_share, fresh_share < availability,
        stale, CASE WHEN fresh_share < availability THEN stale_since END, published_at, NULL
    FROM measured
    UNION ALL
    SELECT product_id, 'error_rate', 'share', error_rate, observed_errors, observed_errors > error_rate,
        wrong, wrong_since, published_at, NULL
    FROM measured
)
SELECT product_id, sla,
    CASE WHEN promised IS NULL THEN 'not_promised' WHEN is_breached THEN 'breached' WHEN is_breached IS NULL THEN 'unknown'
        ELSE 'ok' END AS status,
    unit, promised, observed, breached_since, coalesce(breaches, []) AS breaches, published_at, fresh_until,
    {literal(now)} AS as_of
FROM judged
"""


def _number(value: float | None) -> str:
    return f"CAST({literal(value)} AS DOUBLE)"


def overdue_sql(promised: Iterable[Promise], now: datetime) -> str:
    """A SELECT of what `sla_status_sql` at `now` would say of each state: product_id, sla, status. When it changes
    without any publication, time alone has broken or mended a promise."""
    return f"SELECT product_id, sla, status FROM ({sla_status_sql(promised, now)}) ORDER BY ALL"
