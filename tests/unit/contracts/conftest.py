"""Contracts from a few lines of YAML and a DuckDB session like the platform's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent, indent

import duckdb
import pytest

from cogniforge_pipeline.contracts import Contract, load_contract

HEAD = """\
apiVersion: v3.1.0
kind: DataContract
id: shop-orders
name: shop.orders
version: 1.2.0
status: active
"""

MakeContract = Callable[..., Contract]


@pytest.fixture(scope="session")
def contract_text() -> Callable[..., str]:
    """Text of a contract named shop.orders: `properties`, `table` (below the table) and `top` are YAML."""

    def text(properties: str, table: str = "", top: str = "") -> str:
        parts = [
            HEAD + dedent(top).strip("\n"),
            "schema:",
            "  - name: orders",
            indent(dedent(table).strip("\n"), "    "),
            "    properties:",
            indent(dedent(properties).strip("\n"), "      "),
        ]
        return "\n".join(part for part in parts if part) + "\n"

    return text


@pytest.fixture(scope="session")
def make_contract(contract_text: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> MakeContract:
    """Loads such a contract from a file."""

    def make(properties: str, table: str = "", top: str = "") -> Contract:
        path: Path = tmp_path_factory.mktemp("contract") / "orders.yaml"
        path.write_text(contract_text(properties, table, top), encoding="utf-8")
        return load_contract(path)

    return make


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    """A session in UTC with a table shop.items (id 1 to 3, region) to refer to."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE SCHEMA shop")
        connection.execute(
            "CREATE TABLE shop.items AS SELECT * FROM "
            "(VALUES (1, 'eu'), (2, 'us'), (3, NULL), (NULL, 'eu')) t(id, region)"
        )
        yield connection
