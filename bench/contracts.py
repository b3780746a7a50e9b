"""Audit of a million rows against a contract, against the bare one-pass query written by hand.

The hand-written query makes the same checks and figures in the same process: nulls of each column, the ends
of the time column, every row rule, the shares and the extra rows of the key. The data breaks most rules. The
bar is for unique keys; `ratio_duplicates` is the same with duplicate keys, for which the audit looks a second
time to tell how many rows break any rule at all. Both must give the same counts.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from bench.harness import alternate, report
from cogniforge_pipeline.contracts import Contract, audit, load_contract

ROWS = 1_000_000
BAR = 1.3
AS_OF = datetime(2024, 2, 1, tzinfo=UTC)

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: bench
name: bench.orders
version: 1.0.0
status: active
schema:
  - name: orders
    quality:
      - {name: low_below_high, type: sql, query: low <= high, mustBe: true}
    properties:
      - {name: id, physicalType: BIGINT, primaryKey: true}
      - {name: ts, physicalType: TIMESTAMPTZ, required: true, partitioned: true}
      - {name: price, physicalType: DOUBLE, required: true, logicalTypeOptions: {minimum: 0, maximum: 99.5}}
      - {name: service, physicalType: VARCHAR, required: true, logicalTypeOptions: {maxLength: 6}}
      - {name: status, physicalType: VARCHAR, enum: [{value: ok}, {value: late}, {value: lost}]}
      - {name: email, physicalType: VARCHAR, logicalTypeOptions: {pattern: '[^@]+@[^@]+\\.[a-z]+'}}
      - {name: amount, physicalType: INTEGER, logicalTypeOptions: {minimum: 1}}
      - {name: low, physicalType: DOUBLE}
      - {name: high, physicalType: DOUBLE}
      - {name: flag, physicalType: BOOLEAN, required: true}
"""

DATA = f"""
CREATE TABLE orders AS
SELECT CASE WHEN n % 100000 = 7 THEN n - 1 ELSE n END AS id,
       TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL 2 SECOND * n AS ts,
       CASE WHEN hash(n) % 997 <> 0 THEN (hash(n) % 1000) / 10.0 END::DOUBLE AS price,
       'svc-' || (hash(n, 1) % 101) AS service,
       ['ok', 'late', 'lost', 'odd'][CASE WHEN n % 5000 = 0 THEN 4 ELSE 1 + hash(n, 2) % 3 END::INTEGER] AS
       status, 'user' || n || CASE WHEN n % 7000 = 0 THEN '' ELSE '@example.org' END AS email, (hash(n, 3) %
       100)::INTEGER AS amount, (hash(n, 4) % 1000)::DOUBLE AS low, low + (hash(n, 5) % 1000)::DOUBLE - 1 AS
       high, n % 2 = 0 AS flag
FROM range({ROWS}) AS rows(n)
"""

_ACCURACY = r"""
    price >= 0 AND price <= 99.5 AND length(service) <= 6 AND status IN ('ok', 'late', 'lost')
    AND regexp_full_match(email, '[^@]+@[^@]+\.[a-z]+') AND amount >= 1
"""
_COMPLETE = "id IS NOT NULL AND ts IS NOT NULL AND price IS NOT NULL AND NOT isnan(price) "
_COMPLETE += "AND service IS NOT NULL AND flag IS NOT NULL"

BY_HAND = rf"""
SELECT count(*), min(ts), max(ts),
       count(*) - count(id), count(*) - count(ts), count(*) - count(price), count(*) - count(service),
       count(*) - count(status), count(*) - count(email), count(*) - count(amount), count(*) - count(low),
       count(*) - count(high), count(*) - count(flag),
       count(*) FILTER (price IS NULL OR isnan(price)) AS price_not_null,
       count(*) FILTER (price < 0) AS price_min,
       count(*) FILTER (price > 99.5) AS price_max,
       count(*) FILTER (length(service) > 6) AS service_max_length,
       count(*) FILTER (status NOT IN ('ok', 'late', 'lost')) AS status_values,
       count(*) FILTER (NOT regexp_full_match(email, '[^@]+@[^@]+\.[a-z]+')) AS email_pattern,
       count(*) FILTER (amount < 1) AS amount_min,
       count(*) FILTER (low > high) AS low_below_high,
       count(*) FILTER (NOT ({_ACCURACY})),
       count(*) FILTER (NOT ({_COMPLETE} AND low <= high AND {_ACCURACY})),
       count(*) - (SELECT count(*) FROM (SELECT 1 FROM orders GROUP BY id)) AS unique_id
FROM orders
"""


def main() -> None:
    """Compare both on two threads, print the JSON line, leave with 1 when the bar is missed."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as con:
        path = Path(folder) / "orders.yaml"
        path.write_text(CONTRACT, encoding="utf-8")
        contract = load_contract(path)
        con.execute("SET threads = 2")
        con.execute("SET TimeZone = 'UTC'")
        con.execute(DATA)
        _compare(con, contract)
        duplicates = _seconds(con, contract)
        con.execute("CREATE OR REPLACE TABLE orders AS SELECT * REPLACE (rowid AS id) FROM orders")
        _compare(con, contract)
        unique = _seconds(con, contract)
    ratio = round(duplicates["audit"] / duplicates["by hand"], 3)
    ok = report("contracts", unique["audit"], unique["by hand"], BAR, ratio_duplicates=ratio, unit="s")
    sys.exit(0 if ok else 1)


def _seconds(con: duckdb.DuckDBPyConnection, contract: Contract) -> dict[str, float]:
    return alternate(
        {
            "audit": lambda: audit(con, contract, "orders", as_of=AS_OF),
            "by hand": lambda: con.execute(BY_HAND).fetchall(),
        }
    )


def _compare(con: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    seen: dict[str, Any] = {r.rule.name: r.observed for r in audit(con, contract, "orders").results}
    cursor = con.execute(BY_HAND)
    row = cursor.fetchall()[0]
    by_hand = dict(zip((item[0] for item in cursor.description), row, strict=True))
    for name, value in by_hand.items():
        if name in seen and seen[name] != value:
            sys.exit(f"{name}: the audit counts {seen[name]}, the query by hand {value}")


if __name__ == "__main__":
    main()
