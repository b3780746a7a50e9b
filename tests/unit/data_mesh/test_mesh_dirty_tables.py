"""Dirty tables: contracts that were written from the clean columns find what is wrong, and refuse nothing that is right.

The contracts stand in `tests/data/dirty_tables`. What no contract finds is a wrong value that fits all that is known: in
these tables, one cell that is wrong in the same way as the cell it is compared with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from bench.dirty_tables import DATA, findings, kind_of
from cogniforge_pipeline import publish
from cogniforge_pipeline.contracts import Contract, audit, bad_rows, good_rows
from cogniforge_pipeline.contracts.odcs import parse_contract
from cogniforge_pipeline.contracts.yaml_text import Document
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.settings import load_settings

BEERS = """\
index,id,beer-name,style,ounces,abv,ibu,brewery_id,brewery-name,city,state
1,11,Pale One,American IPA,12,0.05,60,7,Old Mill,Bend,OR
2,12,Pale Two,American IPA,16,,,7,Old Mill,Bend,OR
3,13,Stout,,8.4,0.128,,7,Old Mill,Bend,OR
4,14,Red,Red Ale,12,0.05,20,8,Two Rivers,St. Paul,MN
5,15,Dark,Stout,12,0.07,,7,Old Mill,Bend,OR
"""
DIRTY_BEERS = """\
index,id,beer-name,style,ounces,abv,ibu,brewery_id,brewery-name,city,state
1,11,Pale One,American IPA,12.0 oz,0.05%,60,7,Old Mill,Bend OR,
2,12,Pale Two,American IPA,16,,N/A,7,Old Mill,Bend,OR
3,13,Stout,,8.4,0.128,,7,Old Mill,Bend,MN
4,14,Red,Red Ale,12,0.06,20,8,Two Rivers,St. Paul,MN
5,15,Dark,Stout,12,0.07,,7,Old Mill,Bend,OR
"""


@pytest.mark.skipif(not (DATA / "hospital_dirty.csv").exists(), reason=f"the dirty tables are not in {DATA}")
@pytest.mark.parametrize(
    ("table", "rows", "planted", "missed"),
    [
        (
            "beers",
            2410,
            {"missing value": 127, "placeholder for NULL": 1005, "two values in one cell": 127, "unit in a number": 3103},
            [],
        ),
        (
            "hospital",
            1000,
            {"typo in a code": 200, "typo in a number": 146, "typo in free text": 163},
            [(843, "StateAverage", "al_pnx6")],
        ),
    ],
)  # fmt: skip
def test_every_planted_kind_is_found_and_no_right_row_is_refused(
    table: str, rows: int, planted: dict[str, int], missed: list[Any]
) -> None:
    seen = findings(table, DATA)
    assert (seen.clean_refused, seen.right_refused, seen.rows) == (0, 0, rows)
    assert seen.planted == planted
    assert seen.missed == missed
    assert seen.found.total() == seen.planted.total() - len(missed) and set(seen.found) == set(planted)


def test_a_small_dirty_table_is_told_apart_cell_by_cell(tmp_path: Path) -> None:
    for state, text in (("clean", BEERS), ("dirty", DIRTY_BEERS)):
        (tmp_path / f"beers_{state}.csv").write_text(text, encoding="utf-8")
    seen = findings("beers", tmp_path)
    assert (seen.clean_refused, seen.right_refused, seen.rows) == (0, 0, 5)
    assert seen.found == {
        "missing value": 1, "placeholder for NULL": 1, "two values in one cell": 1, "unit in a number": 2, "typo in a code": 1
    }  # fmt: skip
    assert seen.missed == [(4, "abv", "0.06")]  # a share of alcohol like any other


@pytest.mark.parametrize(
    ("column", "right", "wrong", "kind"),
    [
        ("state", "OR", None, "missing value"),
        ("ibu", None, "N/A", "placeholder for NULL"),
        ("city", "Bend", "Bend OR", "two values in one cell"),
        ("ounces", "12", "12.0 oz. Alumi-Tek", "unit in a number"),
        ("ounces", "19.2", "19.2 oz", "unit in a number"),
        ("abv", "0.056", "0.055999999999999994%", "unit in a number"),
        ("abv", "0.05", "0.06", "typo in a number"),
        ("Score", "98%", "9x%", "typo in a number"),
        ("Sample", "6 patients", "6xpatients", "typo in a number"),
        ("State", "al", "xl", "typo in a code"),
        ("HospitalName", "flowers hospital", "floxers hospital", "typo in free text"),
    ],
)
def test_a_wrong_cell_has_a_kind(column: str, right: str | None, wrong: str | None, kind: str) -> None:
    assert kind_of(column, right, wrong) == kind


def contract(*rules: str) -> Contract:
    """A table of zip, city and a number that is unique, with these SQL rules about the city."""
    quality = [{"name": f"rule {n}", "type": "sql", "query": rule, "mustBe": True} for n, rule in enumerate(rules)]
    columns = [
        {"name": "n", "physicalType": "BIGINT", "unique": True},
        {"name": "zip", "physicalType": "VARCHAR"},
        {"name": "city", "physicalType": "VARCHAR", "quality": quality},
    ]
    return parse_contract(
        Document(
            Path("places"),
            {
                "apiVersion": "v3.1.0", "kind": "DataContract", "id": "places", "name": "geo.places", "version": "1.0.0",
                "status": "active", "schema": [{"name": "places", "physicalType": "table", "properties": columns}],
            },
            {},
        )
    )  # fmt: skip


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def test_a_row_that_differs_from_its_group_is_refused_and_the_group_is_kept(con: duckdb.DuckDBPyConnection) -> None:
    places = contract("${column} = mode(${column} ORDER BY ${column}) OVER (PARTITION BY zip)")
    con.execute(
        "CREATE TABLE places AS SELECT * FROM (VALUES (1, '97701', 'Bend'), (2, '97701', 'Bend'), (3, '97701', 'Bent'), "
        "(4, '46401', 'Gary'), (5, NULL, 'Rome'), (2, '97701', 'Bend'), (6, '97701', NULL)) AS t(n, zip, city)"
    )
    seen = audit(con, places, "places")
    assert [(result.rule.name, result.failing) for result in seen.results] == [("unique_n", 1), ("rule_0", 1)]
    good = con.execute(good_rows(places, "places")).fetchall()
    bad = con.execute(bad_rows(places, "places", source="", run_id="")).fetchall()
    assert sorted(row[0] for row in good) == [1, 2, 4, 5, 6]
    assert sorted((json.loads(row[0])["n"], tuple(row[1])) for row in bad) == [(2, ("unique_n",)), (3, ("rule_0",))]
    assert seen.bad_rows == len(bad) == 2


def test_rows_that_a_rule_judges_otherwise_each_time_are_not_lost_but_the_table_is_refused(tmp_path: Path) -> None:
    home = Home(load_settings(tmp_path / "home", environ={}), ())
    cursor = home.lake.cursor()
    cursor.execute("SELECT setseed(0.5)")
    rows = "SELECT n, '97701' AS zip, 'Bend' AS city FROM range(1000) AS numbers(n)"
    with (
        pytest.raises(CogniforgeError, match="judged some of the 1000 rows otherwise"),
        publish.stage(cursor, contract("random() < 0.7"), [rows], mode=publish.Mode.REPLACE, run_id="run"),
    ):
        pass
    home.lake.close()
