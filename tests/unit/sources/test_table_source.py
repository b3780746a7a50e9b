"""Files become rows of a table with the contract's types, or are set aside with a reason."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cogniforge_pipeline.contracts import load_contract
from cogniforge_pipeline.sources.casting import bad_sql, good_sql, judged_sql
from cogniforge_pipeline.sources.model import TableSource
from cogniforge_pipeline.sqltext import literal
from tests.support.table_files import NOW, ORDERS, Shop, contract

MANY = """\
  - {name: id, logicalType: integer, physicalType: BIGINT, required: true, description: Id.}
  - {name: price, logicalType: number, physicalType: "DECIMAL(12, 3)", description: Price.}
  - {name: weight, logicalType: number, physicalType: DOUBLE, description: Weight.}
  - {name: paid, logicalType: boolean, physicalType: BOOLEAN, description: Whether.}
  - {name: day, logicalType: date, physicalType: DATE, description: Day.}
  - {name: at, logicalType: timestamp, physicalType: TIMESTAMPTZ, description: When.}
  - {name: tags, logicalType: array, physicalType: "VARCHAR[]", items: {logicalType: string}, description: Tags.}
  - {name: name, logicalType: string, physicalType: VARCHAR, description: Name.}
"""
HEAD = "order_id,ordered_at,amount\n"


Cast = Callable[..., tuple[list[tuple[Any, ...]], list[tuple[str, str]]]]


@pytest.fixture
def cast(tmp_path: Path) -> Cast:
    """Texts by column to one column of the good rows, and place and reason of the others."""

    def made(
        column: str, rows: list[dict[str, str | None]], properties: str = ORDERS, **declared: str
    ) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]]]:
        place = tmp_path / "shop" / "orders.yaml"
        place.parent.mkdir(exist_ok=True)
        place.write_text(contract("shop.orders", properties))
        orders = load_contract(place)
        source = TableSource(name="orders", type="table", table="shop.orders", path=("landing/*",), **declared)
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'")
            con.execute("CREATE TABLE texts (item VARCHAR, position BIGINT, row VARCHAR, problem VARCHAR)")
            for number, row in enumerate(rows, 1):
                con.execute(f"INSERT INTO texts VALUES ('a', {number}, {literal(json.dumps(row))}, NULL)")
            con.execute(f"CREATE TABLE landed AS {judged_sql(orders, source, 'FROM texts', NOW)}")
            good = con.execute(f"SELECT {column} FROM ({good_sql(orders, source, 'FROM landed')})").fetchall()
            bad = con.execute(f"SELECT source, reason FROM ({bad_sql(orders, source, 'FROM landed', 'r')})").fetchall()
        return good, bad

    return made


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "tsv", "jsonl", "parquet"])
def test_each_format_gives_the_contract_s_types(tmp_path: Path, kind: str) -> None:
    shop = Shop(tmp_path, MANY)
    lists, at = '["a", "b, c"]', "2026-03-01T10:00:00+02:00"
    values = ["7", "12.345", "1e-3", "true", "2026-03-01", at, lists, 'He said "no"; Zoë']
    names = [column.name for column in shop.contract.columns]
    if kind == "parquet":
        shop.parquet(
            "a.parquet",
            "SELECT 7::UTINYINT AS id, 12.345::DECIMAL(9, 3) AS price, 0.001::FLOAT AS weight, true AS paid, "
            f"DATE '2026-03-01' AS day, TIMESTAMPTZ '{at}' AS at, ['a', 'b, c'] AS tags, 'He said \"no\"; Zoë' AS name",
        )
    elif kind == "jsonl":
        record = dict(zip(names, values, strict=True)) | {"id": 7, "weight": 1e-3, "paid": True}
        shop.write("a.jsonl", json.dumps(record | {"tags": json.loads(lists)}) + "\n")
    else:
        tab = "\t" if kind == "tsv" else ","
        cells = [f'"{value.replace(chr(34), chr(34) * 2)}"' for value in values]
        text = f"{tab.join(names)}\n{tab.join(cells)}\n"
        shop.write(f"a.{kind}", gzip.compress(text.encode()) if kind.endswith("gz") else text)
    assert shop.fill().refused == []
    ((number, price, weight, paid, day, when, tags, name),) = shop.rows()
    assert (number, price, paid, day) == (7, Decimal("12.345"), True, date(2026, 3, 1))
    assert weight == pytest.approx(0.001)
    assert (when, tags, name) == (moment("2026-03-01 08:00"), ["a", "b, c"], 'He said "no"; Zoë')


def test_a_value_that_is_no_such_value_sets_its_row_aside_with_column_type_and_text(tmp_path: Path) -> None:
    shop = Shop(tmp_path, MANY)
    lines = [
        "id,price,weight,paid,day,at,tags",
        "1,12,1,yes,2026-03-01,2026-03-01T10:00:00Z,[]",
        "2.5,12,1,yes,2026-03-01,,",
        '3,"1.234,00",1,maybe,2026-02-30,,',
        "4,,,,,tomorrow,[1",
        "5.0,,,,,infinity,",
        "6,1,1,1",
        '7,"open',
    ]
    shop.write("a.csv", "\n".join(lines) + "\n")
    shop.fill()
    assert shop.rows("id") == [(1,)]
    assert shop.aside() == {
        "a.csv:3": "id: expected BIGINT, got '2.5'",
        "a.csv:4": "price: expected DECIMAL(12,3), got '1.234,00'; paid: expected BOOLEAN, got 'maybe'; "
        "day: expected DATE, got '2026-02-30'",
        "a.csv:5": "at: expected TIMESTAMP WITH TIME ZONE, got 'tomorrow'; tags: expected VARCHAR[], got '[1'",
        "a.csv:6": "at: expected TIMESTAMP WITH TIME ZONE, got 'infinity'",
        "a.csv:7": "expected 7 fields, found 4",
        "a.csv:8": "quotes that do not enclose a whole field of this line",
    }
    ((kept,),) = shop.ask("SELECT row FROM quarantine.shop__orders WHERE source = 'landing/in/a.csv:4'")
    assert json.loads(kept)["price"] == "1.234,00"
    assert shop.ledger() == [("a.csv", "ingested", 7, 1, 6)]


@pytest.mark.parametrize(
    "declared, text, expected",
    [
        ({}, "2026-03-01 10:00:00", "2026-03-01 10:00"),
        ({"timezone": "Europe/Berlin"}, "2026-03-01 10:00:00", "2026-03-01 09:00"),
        ({"timezone": "Europe/Berlin"}, "2026-03-01T10:00:00-05:00", "2026-03-01 15:00"),
        ({"timezone": "Europe/Berlin", "timestamp_format": "%d.%m.%Y %H:%M"}, "01.03.2026 10:00", "2026-03-01 09:00"),
        ({}, "1772359200", "2026-03-01 10:00"),
        ({"timestamp_unit": "ms"}, "1772359200000", "2026-03-01 10:00"),
    ],
)
def test_times_without_an_offset_are_of_the_source_s_time_zone(
    cast: Cast, declared: dict[str, str], text: str, expected: str
) -> None:
    assert cast("ordered_at", [{"order_id": "1", "ordered_at": text}], **declared)[0] == [(moment(expected),)]


def test_dates_follow_the_declared_format_too(cast: Cast) -> None:
    rows = [{"id": "1", "day": "24.12.2025"}, {"id": "2", "day": "2025-12-24"}, {"id": "3", "day": "24/12/2025"}]
    good, bad = cast("day", rows, MANY, timestamp_format="%d.%m.%Y")
    assert good == [(date(2025, 12, 24),)] * 2
    assert bad == [("a:3", "day: expected DATE, got '24/12/2025'")]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_columns_may_have_other_names_in_the_file_and_blank_cells_are_no_value(tmp_path: Path, name: str) -> None:
    shop = Shop(tmp_path, columns={"order_id": "Order/No", "ordered_at": "time"})
    if name == "a.csv":
        shop.write(name, "Order/No,TIME,amount\n 1 ,2026-03-01T10:00:00Z,\n")
    elif name == "a.jsonl":
        shop.write(name, '{"Order/No": "1", "time": "2026-03-01T10:00:00Z", "amount": null}\n')
    else:
        shop.parquet(name, "SELECT 1 AS \"Order/No\", TIMESTAMP '2026-03-01 10:00' AS time, NULL::DOUBLE AS amount")
    shop.fill()
    assert shop.rows() == [(1, moment("2026-03-01 10:00"), None)]


def test_a_column_that_fills_nothing_is_told_and_one_that_is_not_required_may_lack(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("a.csv", "order_id,ordered_at,colour\n1,2026-03-01,red\n")
    totals = shop.fill()
    assert totals.notices == ["landing/in/a.csv: columns that fill none of shop.orders were left out: 'colour'"]
    assert shop.rows("order_id, amount") == [(1, None)]


def test_files_that_cannot_be_read_are_set_aside_once_and_stop_no_other(tmp_path: Path) -> None:
    wrong: dict[str, tuple[str | bytes, str, str]] = {
        "lacks.csv": ("order_id,amount\n1,2\n", "there is no column 'ordered_at'", "columns"),
        "twice.csv": ("order_id,order_id\n1,2\n", "column names that come twice: order_id", "rename"),
        "binary.csv": (b"\x00\x01\x02\x03\n", "binary content", "format"),
        "empty.csv": ("", "the file is empty", "write it again"),
        "blank.csv": ("\n\n", "there is no header line", "first line"),
        "latin.jsonl": ("größe".encode("latin-1") + b"\n", "not UTF-8", "iconv"),
        "torn.csv.gz": (b"no gzip at all", "damaged or incomplete compressed file", "write it again"),
        "half.parquet": (b"PAR1 half", "not a complete Parquet file", "rename"),
        "damaged.parquet": (b"PAR1" + b"\0" * 40 + b"PAR1", "not readable as Parquet", "write the file again"),
        "sheet.xlsx": (b"PK", "no reader for files named *.xlsx", "known are"),
    }
    shop = Shop(tmp_path)
    for name, (content, _, _) in wrong.items():
        shop.write(name, content)
    shop.write("good.csv", f"{HEAD}1,2026-03-01,1\n")
    refused = {refusal.item.removeprefix("landing/in/"): refusal for refusal in shop.fill().refused}
    assert refused.keys() == wrong.keys()
    for name, (_, reason, hint) in wrong.items():
        assert reason in refused[name].reason, name
        assert hint in (refused[name].hint or ""), name
    assert shop.rows("order_id") == [(1,)]
    assert shop.fill().items == 0


def test_a_file_is_tried_again_once_it_or_the_source_is_corrected(tmp_path: Path) -> None:
    shop = Shop(tmp_path, columns={"order_id": "no"})
    shop.write("a.csv", "id,ordered_at\n1,2026-03-01\n")
    shop.write("b.csv", "id,ordered_at,\n2,2026-03-01,,\n")
    assert len(shop.fill().refused) == 2
    shop.declared["columns"] = {"order_id": "id"}
    assert shop.fill().refused == []
    assert shop.rows("order_id") == [(1,)]
    shop.write("b.csv", "id,ordered_at\n2,2026-03-01\n")
    shop.fill()
    assert shop.rows("order_id") == [(1,), (2,)]
    assert shop.aside() == {}


def test_a_row_of_a_table_with_days_needs_a_day_that_can_be(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write("a.csv", f"{HEAD}1,,1\n2,2026-07-01,1\n3,1969-12-31,1\n4,soon,1\n5,2026-06-01T12:00:00Z,1\n")
    shop.fill()
    assert shop.rows("order_id") == [(5,)]
    assert shop.aside() == {
        "a.csv:2": "ordered_at: the timestamp is missing or cannot be read",
        "a.csv:3": "ordered_at: the timestamp is in the future",
        "a.csv:4": "ordered_at: the timestamp is before 1970",
        "a.csv:5": "ordered_at: expected TIMESTAMP WITH TIME ZONE, got 'soon'",
    }
    assert shop.publications() == [(1, ["06-01"])]


def test_lines_that_are_no_records_are_set_aside_as_they_are(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    good = '{"order_id": 1, "ordered_at": "2026-03-01", "amount": 2.50}'
    shop.write("a.jsonl", f'{good}\nnonsense\n[1]\n{{"order_id": 1, "order_id": 2}}\n')
    shop.fill()
    assert shop.rows("order_id, amount") == [(1, Decimal("2.50"))]
    assert shop.aside() == {
        "a.jsonl:2": "not JSON",
        "a.jsonl:3": "not a JSON object",
        "a.jsonl:4": "a name comes twice in the object",
    }
    rows = {row for (row,) in shop.ask("SELECT row FROM quarantine.shop__orders")}
    assert '"nonsense"' in rows


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"table": "orders"}, "String should match pattern"),
        ({"timezone": "Mars/Base"}, "IANA"),
        ({"mode": "merge"}, "'append' or 'replace'"),
        ({"timestamp_format": "%d", "timestamp_unit": "s"}, "give one of them"),
        ({"labels": {"a": "b"}}, "Extra inputs"),
        ({"path": "landing/../etc/*"}, "leads out of landing"),
    ],
)
def test_a_wrong_declaration_says_what_is_expected(wrong: dict[str, object], message: str) -> None:
    right = {"name": "orders", "type": "table", "table": "shop.orders", "path": "landing/*.csv"}
    with pytest.raises(ValidationError, match=message):
        TableSource.model_validate({**right, **wrong})


TEXTS = st.none() | st.text(max_size=12) | st.sampled_from(["1", "2.50", "-3", "2026-03-01", "NaN", "1e99", "\\", "'"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=20))
def test_every_row_is_either_good_or_has_a_reason(cast: Cast, rows: list[tuple[str | None, ...]]) -> None:
    names = ("order_id", "ordered_at", "amount")
    good, bad = cast('"src:place"', [dict(zip(names, row, strict=True)) for row in rows])
    places = [place for (place,) in good] + [place for place, _ in bad]
    assert sorted(places) == sorted(f"a:{number}" for number in range(1, len(rows) + 1))
    assert all(reason for _, reason in bad)
