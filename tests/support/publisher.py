"""A process that publishes rows of small tables, for tests of several at once.

Belongs here: what such a process does and prints. Does not: what must hold afterwards.

`python -m tests.support.publisher MODE TABLE...` on the lake that the environment names:
`many` publishes each table ROUNDS times in turns, again when superseded; `hold` stops inside its commit until a line
comes; `once` reads the version, waits for a line, and publishes.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from cogniforge_pipeline import publish
from cogniforge_pipeline.contracts import Contract, load_contract, load_contracts
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.lake import Lake
from cogniforge_pipeline.publish import Circumstances, Mode, Superseded
from cogniforge_pipeline.settings import load_settings, packaged

ROUNDS = 4
TEXT = """\
apiVersion: v3.1.0
kind: DataContract
id: test-{name}
name: test.{name}
version: 1.0.0
status: active
schema:
  - name: {name}
    physicalType: table
    description: Counts its publications.
    properties:
      - {{name: at, logicalType: timestamp, physicalType: TIMESTAMPTZ, description: When.}}
      - {{name: n, logicalType: integer, physicalType: BIGINT, description: The version that was read plus one.}}
      - name: words
        logicalType: array
        physicalType: VARCHAR[]
        items: {{logicalType: string}}
        description: Any.
      - name: labels
        logicalType: map
        physicalType: MAP(VARCHAR, BIGINT)
        description: Any.
"""
ROW = (
    "SELECT TIMESTAMPTZ '2026-03-29 01:30:00+01' AS at, {n} AS n, ['a', NULL, 'é'] AS words, MAP {{'k': {n}}} AS labels"
)


def contract(table: str) -> Contract:
    """The contract of `test.<name>`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{table.partition('.')[2]}.yaml"
        path.write_text(TEXT.format(name=path.stem))
        return load_contract(path)


def opened(tables: list[str]) -> tuple[Lake, dict[str, Contract]]:
    """The lake that the environment names, with these tables and the log."""
    lake = Lake.of(load_settings())
    found = {table: contract(table) for table in tables}
    logs = load_contracts(packaged("contracts"))
    publish.prepare(lake, [*found.values(), logs[publish.MATERIALIZATIONS], logs[publish.QUALITY]])
    return lake, found


def main(mode: str, tables: list[str]) -> None:
    lake, contracts = opened(tables)
    cursor = lake.cursor()

    def say(word: str) -> None:
        print(word, flush=True)  # noqa: T201

    def attempt(table: str, wait: bool = False) -> bool:
        version = publish.versions(cursor).get(table, 0)
        circumstances = Circumstances(run_id="test", expected={table: version})
        rows = [ROW.format(n=version + 1)]
        with publish.stage(cursor, contracts[table], rows, mode=Mode.REPLACE, run_id="test") as staged:
            if wait:
                say("ready")
                sys.stdin.readline()
            try:
                publish.publish(lake, cursor, [staged], circumstances)
            except Superseded:
                return False
        return True

    say("open")
    if mode == "many":
        superseded = 0
        for table in tables * ROUNDS:
            while not attempt(table):
                superseded += 1
        say(json.dumps({"superseded": superseded}))
    elif mode == "once":
        try:
            say("published" if attempt(tables[0], wait=True) else "superseded")
        except CogniforgeError as error:
            say(f"refused: {error.message}")
    else:
        staging = publish.stage(cursor, contracts[tables[0]], [ROW.format(n=1)], mode=Mode.REPLACE, run_id="test")
        try:
            with staging as staged, lake.transaction(cursor):
                publish.commit(cursor, [staged], Circumstances(run_id="test"))
                say("holding")
                sys.stdin.readline()
            say("published")
        except CogniforgeError as error:
            say(f"refused: {error.message}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
