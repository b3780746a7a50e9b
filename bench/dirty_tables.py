"""Planted errors of two dirty tables that their contracts find, by kind, and what the contracts say of the clean tables.

`python -m bench.dirty_tables [FOLDER]` reads hospital and beers (dirty and clean pairs) from the folder, by default
`../shared/data/mesh`. Every pair goes through the lake: staged, audited, published, and its bad rows quarantined. A wrong
cell counts as found when its row is in quarantine by a rule about that column. The bar is a recall of 99 % of all wrong
cells; no row of a clean table, and no row of a dirty one without a wrong cell, may be refused.
"""

from __future__ import annotations

import math
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.harness import report
from cogniforge_pipeline import publish
from cogniforge_pipeline.contracts import load_contract
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.publish import Circumstances, Mode
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.sqltext import ident, literal, qualified

ROOT = Path(__file__).parents[1]
CONTRACTS = ROOT / "tests" / "data" / "dirty_tables"
DATA = ROOT.parent / "shared" / "data" / "mesh"
TABLES = ("beers", "hospital")
BAR = 0.99
CODES = {
    "State",
    "HospitalType",
    "HospitalOwner",
    "EmergencyService",
    "Condition",
    "MeasureCode",
    "StateAverage",
    "state",
}


@dataclass(frozen=True)
class Findings:
    """What one pair gave. `planted` and `found` count wrong cells by kind, `missed` lists (row, column, wrong value).

    `clean_refused` counts refused rows of the clean table, `right_refused` those of the dirty one without a wrong cell.
    """

    rows: int
    planted: Counter[str]
    found: Counter[str]
    missed: list[tuple[int, str, str | None]]
    clean_refused: int
    right_refused: int


def kind_of(column: str, right: str | None, wrong: str | None) -> str:
    """The kind of error that turned one text of a cell into another."""
    if wrong is None:
        return "missing value"
    if right is None:
        return "placeholder for NULL"
    if wrong.startswith(right) and column == "city":
        return "two values in one cell"
    number = re.match(r"\d+(\.\d+)?", wrong)
    if re.fullmatch(r"\d+(\.\d+)?", right) and number and math.isclose(float(right), float(number[0])):
        return "unit in a number"
    if re.fullmatch(r"[\d.]+(%| patients)?|empty", right):
        return "typo in a number"
    return "typo in a code" if column in CODES else "typo in free text"


def findings(table: str, folder: Path) -> Findings:
    """Publishes the clean and the dirty table of a pair in a lake of its own and compares its quarantine with the pair."""
    contract = load_contract(CONTRACTS / f"{table}.yaml")
    refused: dict[str, dict[int, set[str]]] = {}
    about = {rule.name: rule.columns for rule in contract.rules}
    with tempfile.TemporaryDirectory() as place:
        home = Home(load_settings(Path(place) / "home", environ={}), ())
        cursor = home.lake.cursor()
        publish.prepare(home.lake, [contract])
        for state in ("clean", "dirty"):
            relation = _file(folder, table, state)
            select = f"SELECT * FROM {relation}"
            with publish.stage(cursor, contract, [select], mode=Mode.REPLACE, run_id=state) as staged:
                (made,) = publish.publish(home.lake, cursor, [staged], Circumstances(state))
            bad = cursor.execute(
                f"""SELECT CAST("row" ->> '$.index' AS BIGINT), rules FROM {qualified(publish.quarantine_of(contract))}
                WHERE run_id = {literal(state)}"""
            ).fetchall()
            refused[state] = {index: {column for rule in rules for column in about[rule]} for index, rules in bad}
            rows = made.rows + made.quarantined
        columns = [column.name for column in contract.columns if not column.primary_key]
        wrong = cursor.execute(
            " UNION ALL ".join(
                f"SELECT CAST(d.index AS BIGINT), {literal(name)}, c.{ident(name)}, d.{ident(name)} "
                f"FROM {_file(folder, table, 'dirty')} AS d JOIN {_file(folder, table, 'clean')} AS c USING (index) "
                f"WHERE c.{ident(name)} IS DISTINCT FROM d.{ident(name)}"
                for name in columns
            )
        ).fetchall()
        home.lake.close()
    planted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    missed = []
    for index, column, before, after in wrong:
        kind = kind_of(column, before, after)
        planted[kind] += 1
        if column in refused["dirty"].get(index, ()):
            found[kind] += 1
        else:
            missed.append((index, column, after))
    right = refused["dirty"].keys() - {index for index, *_ in wrong}
    return Findings(rows, planted, found, missed, len(refused["clean"]), len(right))


def _file(folder: Path, table: str, state: str) -> str:
    return f"read_csv({literal(str(folder / f'{table}_{state}.csv'))}, all_varchar = true, header = true)"


def main() -> None:
    """Measure both tables, print the JSON line, leave with 1 when the bar is missed or a right row is refused."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    if not (folder / "hospital_dirty.csv").exists():
        sys.exit(f"there are no dirty tables in {folder}; name their folder")
    planted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wrongly = 0
    for table in TABLES:
        seen = findings(table, folder)
        planted += seen.planted
        found += seen.found
        wrongly += seen.clean_refused + seen.right_refused
        for index, column, value in seen.missed:
            print(f"missed: {table} row {index}, {column}: {value}")
        print(
            f"{table}: {seen.rows} rows, {sum(seen.found.values())} of {sum(seen.planted.values())} wrong cells found"
        )
    recall = {kind: f"{found[kind]}/{count}" for kind, count in sorted(planted.items())}
    ok = report(
        "dirty_tables", sum(found.values()), sum(planted.values()), BAR, at_least=True,
        recall=recall, right_rows_refused=wrongly,
    )  # fmt: skip
    sys.exit(0 if ok and not wrongly else 1)


if __name__ == "__main__":
    main()
