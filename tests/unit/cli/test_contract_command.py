"""`cogniforge contract`: two files of schemas, and the platform folder against what is registered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cogniforge_pipeline.contracts import load_contract, model
from cogniforge_pipeline.data_mesh.commands import Mode
from cogniforge_pipeline.data_mesh.compatibility.model import MODES
from cogniforge_pipeline.data_mesh.evolution import MODE_PROPERTY, propose, version_of_file
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.settings import load_settings

Cli = Callable[..., Any]

OLD = {"type": "object", "properties": {"id": {"type": "integer"}}, "additionalProperties": False}
WIDER = {**OLD, "properties": {"id": {"type": "number"}, "name": {"type": "string"}}}
OTHER = {**OLD, "properties": {"id": {"type": "string"}}}


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, Any], Path]:
    """Writes a file of this name: a text as it is, another value as JSON or YAML by the name."""

    def write(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dump = yaml.safe_dump if path.suffix == ".yaml" else json.dumps
        path.write_text(content if isinstance(content, str) else dump(content), encoding="utf-8")
        return path

    return write


def table(version: str = "1.0.0", kind: str = "INTEGER", *, mode: str | None = None, **changed: Any) -> dict[str, Any]:
    """An ODCS contract of shop.refunds with a column of that type."""
    columns = [
        {"name": "order_id", "physicalType": "BIGINT", "primaryKey": True, "required": True},
        {"name": "amount", "physicalType": kind},
    ]
    custom = {"customProperties": [{"property": "compatibilityMode", "value": mode}]} if mode else {}
    return {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "refunds", "name": "shop.refunds", "version": version,
        "status": "active", "schema": [{"name": "refunds", "physicalType": "table", "properties": columns}],
        **custom, **changed,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("new", "mode", "compatible", "rules"),
    [
        (OLD, "BACKWARD", True, set()),
        (WIDER, "BACKWARD", True, {"TYPE_EXTENDED", "OPTIONAL_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"}),
        (WIDER, "FORWARD", False, {"TYPE_NARROWED", "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL"}),
        (OTHER, "BACKWARD", False, {"TYPE_CHANGED"}),
        (OTHER, "NONE", True, {"TYPE_CHANGED"}),
    ],
)
@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_the_exit_code_says_whether_it_is_compatible_and_the_rules_say_why(
    cli: Cli, file: Callable[..., Path], new: Any, mode: str, compatible: bool, rules: set[str], suffix: str
) -> None:
    pair = file("old.json", OLD), file(f"new.{suffix}", new)
    shown, told = (cli("contract", "diff", *pair, "--mode", mode, *extra) for extra in ([], ["--json"]))
    assert shown.code == told.code == (0 if compatible else 1)
    assert ("not compatible" in shown.out) is not compatible
    found = json.loads(told.out)
    assert list(found) == ["compatible", "mode", "differences"]
    assert (found["compatible"], found["mode"]) == (compatible, mode)
    assert {item["rule"] for item in found["differences"]} == rules
    assert all(list(item) == ["rule", "path", "direction", "breaking", "message"] for item in found["differences"])


def test_every_difference_is_a_row_of_the_table(
    cli: Cli, file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    answer = cli("contract", "diff", file("old.json", OLD), file("new.json", OTHER))
    (row,) = (line for line in answer.out.splitlines() if "TYPE_CHANGED" in line)
    assert all(part in row for part in ("#/properties/id", "BACKWARD", "yes", "integer became string"))


def test_a_transitive_mode_asks_every_file_of_the_history(cli: Cli, file: Callable[..., Path]) -> None:
    pair = file("old.json", WIDER), file("new.json", {**WIDER, "title": "new"})
    history = ["--history", file("first.json", OTHER), "--history", file("second.json", OLD)]
    assert cli("contract", "diff", *pair, "--mode", "BACKWARD").code == 0
    answer = cli("contract", "diff", *pair, *history, "--mode", "BACKWARD_TRANSITIVE", "--json")
    assert answer.code == 1
    assert [item["rule"] for item in json.loads(answer.out)["differences"] if item["breaking"]] == ["TYPE_CHANGED"]


def test_files_commands_and_comparisons_know_the_same_modes() -> None:
    assert model.MODES == MODES and set(model.MODES) == set(Mode)
    assert model.MODE_PROPERTY == MODE_PROPERTY


@pytest.mark.parametrize("mode", [["--mode", "FULL"], []])
def test_a_history_that_the_mode_would_not_ask_is_wrong_usage(
    cli: Cli, file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "600")
    old = file("old.json", OLD)
    answer = cli("contract", "diff", old, old, "--history", old, *mode)
    assert (answer.code, answer.out) == (2, "")
    assert "BACKWARD_TRANSITIVE, FORWARD_TRANSITIVE, FULL_TRANSITIVE" in answer.err


@pytest.mark.parametrize(("kind", "code"), [("INTEGER", 0), ("BIGINT", 0), ("SMALLINT", 1), ("VARCHAR", 1)])
def test_contracts_of_tables_are_told_by_their_content(
    cli: Cli, file: Callable[..., Path], kind: str, code: int
) -> None:
    answer = cli("contract", "diff", file("old.yaml", table()), file("new.yaml", table("2.0.0", kind)), "--json")
    assert answer.code == code
    assert {item["path"] for item in json.loads(answer.out)["differences"]} <= {"#/properties/amount"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("new.json", "{", "is not JSON"),
        ("new.json", '{"type": "object", "type": "string"}', "the key 'type' is there twice"),
        ("new.json", '{"const": NaN}', "NaN is no JSON number"),
        ("new.json", '{"type": "txet"}', "txet"),
        ("new.json", "[]", "expected a JSON Schema or an ODCS contract, got list"),
        ("new.yaml", "a: 1\n---\nb: 2\n", "expected one document, got 2"),
        ("new.yaml", "a: [1\n", "is not closed"),
        ("new.yaml", table(), "expected documents of one kind"),
        ("new.yaml", table(status="alive"), "new.yaml:"),
    ],
)
def test_a_file_that_cannot_be_used_is_wrong_usage(
    cli: Cli, file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, name: str, content: Any, message: str
) -> None:
    monkeypatch.setenv("COLUMNS", "600")
    answer = cli("contract", "diff", file("old.json", OLD), file(name, content), "--json")
    assert (answer.code, answer.out) == (2, "") and message in answer.err


def test_a_missing_file_and_an_unknown_mode_are_wrong_usage(
    cli: Cli, file: Callable[..., Path], tmp_path: Path
) -> None:
    old = file("old.json", OLD)
    assert cli("contract", "diff", old, tmp_path / "gone.json").code == 2
    assert cli("contract", "diff", old, old, "--mode", "SIDEWAYS").code == 2


def test_true_and_false_are_schemas(cli: Cli, file: Callable[..., Path]) -> None:
    pair = file("true.json", "true"), file("false.json", "false")
    assert cli("contract", "diff", *pair).code == 1
    assert cli("contract", "diff", *reversed(pair)).code == 0


def test_a_comparison_of_schemas_opens_no_lake(file: Callable[..., Path], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom cogniforge_pipeline.cli import app\n"
        f"app(['contract', 'diff', {str(file('a.json', OLD))!r}, {str(file('b.json', WIDER))!r}], standalone_mode=False)\n"
        "assert not {'duckdb', 'dagster', 'pandas'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "b.json"}


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose registry holds shop.refunds 1.0.0, and 1.1.0 with a wider column."""
    folder = tmp_path_factory.mktemp("check") / "home"
    home = Home(load_settings(folder, environ={}), ())
    path = folder / "platform" / "contracts" / "shop" / "refunds.yaml"
    path.parent.mkdir(parents=True)
    for contract in (table(), table("1.1.0", "BIGINT")):
        path.write_text(yaml.safe_dump(contract))
        assert propose(home, version_of_file(load_contract(path)), who="ana").accepted
    return home


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (table("1.1.0", "BIGINT"), 0, ["unchanged", "contracts/shop/refunds.yaml"]),
        (table("1.2.0", "HUGEINT"), 0, ["accepted", "1.1.0 → 1.2.0", "TYPE_EXTENDED"]),
        (
            table("2.0.0", "INTEGER"),
            1,
            ["refused", "contracts/shop/refunds.yaml", "TYPE_NARROWED", "#/properties/amount"],
        ),
        (table("1.1.1", "HUGEINT"), 1, ["refused", "TYPE_EXTENDED", "the change needs a minor one"]),
        (table("1.1.0", "HUGEINT"), 1, ["refused", "version 1.1.0 does not follow 1.1.0"]),
        (table("1.0.0"), 1, ["refused", "version 1.0.0 does not follow 1.1.0"]),
        (table("1.2.0", "BIGINT", status="alive"), 1, ["refused", "contracts/shop/refunds.yaml:", "alive"]),
        (table("1.2", "BIGINT"), 1, ["refused", "'1.2' is no semantic version"]),
        (table("1.2.0", "BIGINT", mode="SIDEWAYS"), 1, ["refused", "SIDEWAYS", "use one of NONE, BACKWARD, "]),
        (
            table("1.2.0", "BIGINT", mode="BACKWRD"),
            1,
            ["contracts/shop/refunds.yaml:4: compatibilityMode 'BACKWRD' is unknown", "did you mean BACKWARD?"],
        ),
        (
            table("1.2.0", "BIGINT", slaProperties=[{"property": "availabilty", "value": 0.9}]),
            1,
            ["contracts/shop/refunds.yaml:", "'availabilty' is unknown", "did you mean availability?"],
        ),
        (
            "name: a\nschema:\n  - [b\n",
            1,
            ["contracts/shop/refunds.yaml:3:5: a list that starts with '[' is not closed"],
        ),
        (None, 1, ["refused", "has no file any more"]),
    ],
)
def test_the_gate_tells_every_difference_and_writes_nothing(
    cli: Cli, registered: Home, content: Any, code: int, words: list[str]
) -> None:
    path = registered.settings.platform / "contracts" / "shop" / "refunds.yaml"
    path.unlink(missing_ok=True)
    if content:
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    before = registered.lake.snapshot_id(registered.lake.cursor())
    answer = cli("contract", "check", "--home", registered.settings.home)
    assert answer.code == code
    assert all(word in answer.out for word in words), answer.out
    assert registered.lake.snapshot_id(registered.lake.cursor()) == before


@pytest.mark.parametrize(
    ("content", "code", "verdict", "versions", "reason", "rules"),
    [
        (table("1.1.0", "BIGINT"), 0, "unchanged", ("1.1.0", "1.1.0"), "registered already", []),
        (table("1.2.0", "HUGEINT"), 0, "accepted", ("1.1.0", "1.2.0"), "", ["TYPE_EXTENDED"]),
        (table("2.0.0", "INTEGER"), 1, "refused", ("1.1.0", "2.0.0"), "", ["TYPE_NARROWED"]),
        (table("1.2.0", status="alive"), 1, "refused", (None, None), "refunds.yaml:", []),
    ],
)
def test_the_gate_answers_in_json(
    cli: Cli, registered: Home, content: Any, code: int, verdict: str, versions: Any, reason: str, rules: list[str]
) -> None:
    path = registered.settings.platform / "contracts" / "shop" / "refunds.yaml"
    path.write_text(yaml.safe_dump(content))
    answer = cli("contract", "check", "--home", registered.settings.home, "--json")
    assert answer.code == code
    (found,) = json.loads(answer.out)
    assert list(found) == ["path", "verdict", "from_version", "to_version", "reasons", "differences"]
    assert (found["path"], found["verdict"]) == ("contracts/shop/refunds.yaml", verdict)
    assert (found["from_version"], found["to_version"]) == versions
    assert reason in " ".join(found["reasons"])
    assert [item["rule"] for item in found["differences"]] == rules


def test_a_contract_that_nobody_registered_is_accepted_as_the_first_version(cli: Cli, registered: Home) -> None:
    folder = registered.settings.platform / "contracts" / "shop"
    (folder / "refunds.yaml").write_text(yaml.safe_dump(table("1.1.0", "BIGINT")))
    new = table(name="shop.returns")
    new["schema"][0]["name"] = "returns"
    (folder / "returns.yaml").write_text(yaml.safe_dump(new))
    answer = cli("contract", "check", "--home", registered.settings.home)
    (folder / "returns.yaml").unlink()
    assert answer.code == 0
    assert "accepted contracts/shop/returns.yaml 1.0.0" in answer.out and "2 contracts, 0 refused" in answer.out


def test_without_a_lake_the_gate_does_not_let_anything_through(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "platform").mkdir()
    for extra in ([], ["--json"]):
        answer = cli("contract", "check", "--home", tmp_path, *extra)
        assert (answer.code, answer.out) == (2, "")
        assert "there is no lake at" in answer.err and "cogniforge run" in answer.err
    assert cli("contract", "check", "--home", tmp_path / "none").code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["platform"]
