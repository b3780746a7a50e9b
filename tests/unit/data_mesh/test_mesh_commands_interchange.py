"""`cogniforge contract import` and `export`: files into the platform folder, and registered contracts out of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from rich.console import Console

from cogniforge_pipeline import cli as command
from cogniforge_pipeline.contracts import load_contract
from cogniforge_pipeline.data_mesh.evolution import propose, version_of_file
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.settings import load_settings

Run = Callable[..., tuple[int, str, str]]

SCHEMA = {
    "title": "shop.orders",
    "type": "object",
    "properties": {"id": {"type": "integer"}, "mail": {"type": "string", "format": "email", "default": ""}},
    "required": ["id"],
}
TABLE = """\
# what came back
apiVersion: v3.1.0
kind: DataContract
id: refunds
name: shop.refunds
version: 1.0.0
status: active
schema:
  - name: refunds
    physicalType: table
    properties:
      - {name: order_id, physicalType: BIGINT, primaryKey: true}
      - {name: amount, physicalType: INTEGER}
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `cogniforge contract` in this process; gives the exit code and what was printed on either stream."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr("sys.argv", ["cogniforge", "contract", *map(str, arguments)])
        monkeypatch.setattr(command, "err", Console(width=400, stderr=True))
        with pytest.raises(SystemExit) as ended:
            command.main()
            raise SystemExit(0)
        return int(ended.value.code or 0), *capsys.readouterr()

    return call


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home without a lake."""
    (tmp_path / "home" / "platform").mkdir(parents=True)
    return tmp_path / "home"


def saved(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_json_schema_becomes_a_file_of_the_platform_folder(run: Run, home: Path, tmp_path: Path) -> None:
    code, out, err = run("import", saved(tmp_path / "order.json", SCHEMA), "--home", home)
    assert code == 0
    contract = load_contract(home / "platform" / "contracts" / "shop" / "orders.yaml")
    assert [(column.name, column.type) for column in contract.columns] == [("id", "BIGINT"), ("mail", "VARCHAR")]
    assert "wrote contracts/shop/orders.yaml, 2 columns, 2 rules" in out and "sql/shop/orders.sql" in out
    assert [line.strip() for line in err.splitlines()] == [
        "order.json says, and the contract does not:",
        "#: properties that it does not name; a table is closed",
        "#: optional properties that refuse null: mail; here they may be null",
        "#/properties/mail: default ''",
    ]


@pytest.mark.parametrize(
    ("file", "schema", "name", "table"),
    [
        ("order.json", SCHEMA, "shop.sales", "sales"),
        ("shop.bills.json", {**SCHEMA, "title": "Bills"}, None, "bills"),
        ("shop.bills.schema.yaml", {**SCHEMA, "title": "Bills"}, None, "bills"),
    ],
)
def test_the_table_is_named_by_the_option_the_title_or_the_file(
    run: Run, home: Path, tmp_path: Path, file: str, schema: Any, name: str | None, table: str
) -> None:
    assert run("import", saved(tmp_path / file, schema), "--home", home, *(["--name", name] if name else []))[0] == 0
    assert load_contract(home / "platform" / "contracts" / "shop" / f"{table}.yaml").table == table


def test_an_odcs_file_is_copied_word_for_word_and_once(run: Run, home: Path, tmp_path: Path) -> None:
    source = saved(tmp_path / "any.yaml", TABLE)
    assert run("import", source, "--home", home)[0] == 0
    target = home / "platform" / "contracts" / "shop" / "refunds.yaml"
    assert target.read_text() == TABLE
    code, out, _ = run("import", source, "--home", home)
    assert code == 0 and "is there already" in out


@pytest.mark.parametrize("suffix", ["yaml", "yml"])
def test_another_contract_of_the_name_stays_as_it_is(run: Run, home: Path, tmp_path: Path, suffix: str) -> None:
    target = home / "platform" / "contracts" / "shop" / f"refunds.{suffix}"
    target.parent.mkdir(parents=True)
    saved(target, TABLE)
    source = saved(tmp_path / "new.yaml", TABLE.replace("INTEGER", "BIGINT"))
    code, _, err = run("import", source, "--home", home)
    assert code == 1 and "is different; nothing was written" in err and f"contract diff {target} {source}" in err
    assert target.read_text() == TABLE and len(list(target.parent.iterdir())) == 1


@pytest.mark.parametrize(
    ("file", "content", "options", "message"),
    [
        ("a.json", {**SCHEMA, "title": "Orders"}, [], "name it: --name schema.table"),
        ("a.json", SCHEMA, ["--name", "../../etc.passwd"], "names no table"),
        ("a.json", SCHEMA, ["--name", "Shop.Orders"], "names no table"),
        ("a.json", SCHEMA, ["--name", "sre.orders"], "the schema sre is not free"),
        ("a.json", SCHEMA, ["--name", "main.orders"], "the schema main is not free"),
        ("a.yaml", TABLE, ["--name", "shop.orders"], "is the contract of shop.refunds, not of shop.orders"),
        ("a.yaml", TABLE.replace("shop.refunds", "refunds"), [], "'refunds' is not schema.table"),
        ("a.yaml", TABLE.replace("BIGINT", "BIGGER"), [], "a.yaml:12:"),
        ("a.json", {"type": "array"}, ["--name", "shop.orders"], "a row is an object with properties"),
        ("a.json", "{", [], "is not JSON"),
        ("a.json", "[]", [], "expected a JSON Schema or an ODCS contract"),
    ],
)
def test_what_cannot_be_imported_says_what_to_do_and_writes_nothing(
    run: Run, home: Path, tmp_path: Path, file: str, content: Any, options: list[str], message: str
) -> None:
    code, _, err = run("import", saved(tmp_path / file, content), "--home", home, *options)
    assert code == 1 and message in err, err
    assert not [path for path in home.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose registry keeps shop.refunds 1.0.0 and 1.1.0, and whose file says 1.2.0."""
    folder = tmp_path_factory.mktemp("export") / "home"
    home = Home(load_settings(folder, environ={}), ())
    path = folder / "platform" / "contracts" / "shop" / "refunds.yaml"
    path.parent.mkdir(parents=True)
    for version, kind in (("1.0.0", "INTEGER"), ("1.1.0", "BIGINT")):
        path.write_text(TABLE.replace("1.0.0", version).replace("INTEGER", kind))
        assert propose(home, version_of_file(load_contract(path)), who="ana").accepted
    path.write_text(TABLE.replace("1.0.0", "1.2.0").replace("INTEGER", "HUGEINT"))
    home.lake.close()
    return folder


@pytest.mark.parametrize(
    ("version", "kind"), [(None, "BIGINT"), ("1.0.0", "INTEGER"), ("1.1.0", "BIGINT"), ("1.2.0", "HUGEINT")]
)
def test_every_version_that_is_kept_goes_out(
    run: Run, registered: Path, tmp_path: Path, version: str | None, kind: str
) -> None:
    options = ["--home", registered, *(["--version", version] if version else [])]
    code, out, err = run("export", "shop.refunds", *options)
    assert (code, err) == (0, "")
    found = yaml.safe_load(out)
    assert found["schema"][0]["properties"][1]["physicalType"] == kind and found["version"] == (version or "1.1.0")
    written = tmp_path / "out.yaml"
    assert run("export", "shop.refunds", *options, "--out", written)[:2] == (0, "")
    assert load_contract(written).raw == found and written.read_text() == out


def test_a_schema_is_printed_and_what_it_lacks_is_told_beside_it(run: Run, registered: Path) -> None:
    code, out, err = run("export", "shop.refunds", "--format", "json-schema", "--home", registered)
    schema = json.loads(out)
    jsonschema.Draft202012Validator(schema).validate({"order_id": 1, "amount": None})
    assert code == 0 and schema["required"] == ["order_id"]
    assert "the contract says, and json-schema does not:" in err and "the rule unique_order_id" in err


def test_a_table_of_the_package_goes_out_without_a_lake(run: Run, home: Path) -> None:
    code, out, _ = run("export", "sre.burn_rates", "--home", home)
    assert code == 0 and yaml.safe_load(out)["name"] == "sre.burn_rates"


def test_what_was_imported_goes_out_as_the_same_file(run: Run, home: Path, tmp_path: Path) -> None:
    run("import", saved(tmp_path / "a.yaml", TABLE), "--home", home)
    assert run("export", "shop.refunds", "--home", home)[:2] == (0, TABLE)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("shop.nothing", [], "there is no contract 'shop.nothing'"),
        ("../refunds", [], "there is no contract '../refunds'"),
        ("shop.refunds", ["--version", "9.0.0"], "kept are 1.0.0, 1.1.0, 1.2.0"),
        ("shop.refunds", ["--out", "/nowhere/at/all.yaml"], "/nowhere/at/all.yaml cannot be written"),
    ],
)
def test_what_is_not_there_cannot_be_exported(
    run: Run, registered: Path, name: str, options: list[str], message: str
) -> None:
    code, out, err = run("export", name, "--home", registered, *options)
    assert (code, out) == (1, "") and message in err
