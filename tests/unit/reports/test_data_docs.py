"""Data Docs: every rule of a contract is on its page, what is broken is red, and pages neither fetch nor run anything."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg
import pytest
from typer.testing import CliRunner

from cogniforge_pipeline import cli, contracts, publish
from cogniforge_pipeline.contracts import Bounds, Contract, Rule, load_contract
from cogniforge_pipeline.definitions import build_definitions
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.publish import Circumstances, Mode
from cogniforge_pipeline.reports import expectations as rules
from cogniforge_pipeline.reports.data_docs import Verdict, build, expectations
from cogniforge_pipeline.sqltext import ident, literal
from tests.support.chromium import EXECUTABLE, Page
from tests.support.pipeline import Pipeline, at, csv

ORDERS = "shop.orders"
ROLLUP = "aiops.rollup_5m"
TABLES = [ORDERS, ROLLUP, "aiops.series", "sre.deployments"]
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: shop-orders
name: shop.orders
version: 1.2.0
status: active
team: {name: shop}
schema:
  - name: orders
    physicalType: table
    description: Orders <b>of the shop</b>.
    quality:
      - {metric: rowCount, mustBeBetween: [1, 500]}
      - {metric: duplicateValues, arguments: {properties: [status, code]}, mustBe: 0}
      - {name: few_emails_twice, metric: duplicateValues, arguments: {properties: [email]}, unit: percent, mustBeLessThan: 1}
      - {name: many_orders, type: sql, query: "SELECT count(*) FROM ${table}", mustBeGreaterThan: 1000, severity: warning}
      - {name: worth_its_share, type: sql, query: amount >= share, mustBe: true, severity: warning}
    properties:
      - {name: order_id, logicalType: integer, physicalType: BIGINT, primaryKey: true, required: true}
      - {name: email, logicalType: string, physicalType: VARCHAR, logicalTypeOptions: {format: email}}
      - {name: status, logicalType: string, physicalType: VARCHAR, enum: [{value: open}, {value: paid}]}
      - name: amount
        logicalType: number
        physicalType: DOUBLE
        required: true
        logicalTypeOptions: {minimum: 0, maximum: 1000}
        customProperties: [{property: finite, value: true}]
      - {name: share, logicalType: number, physicalType: DOUBLE, logicalTypeOptions: {exclusiveMinimum: 0, exclusiveMaximum: 1}}
      - name: code
        logicalType: string
        physicalType: VARCHAR
        logicalTypeOptions: {pattern: "[A-Z]+[0-9]+", minLength: 2, maxLength: 5}
      - {name: folded, logicalType: string, physicalType: VARCHAR, logicalTypeOptions: {pattern: "[[:lower:]]+"}}
      - {name: quantity, logicalType: integer, physicalType: BIGINT, logicalTypeOptions: {multipleOf: 5}}
      - {name: tags, logicalType: array, physicalType: "VARCHAR[]", logicalTypeOptions: {minItems: 1, uniqueItems: true}}
      - {name: placed_at, logicalType: timestamp, physicalType: TIMESTAMPTZ, logicalTypeOptions: {minimum: "2026-01-01T00:00:00Z"}}
      - {name: day, logicalType: string, physicalType: VARCHAR, logicalTypeOptions: {format: date}}
      - {name: series_id, logicalType: integer, physicalType: BIGINT, relationships: [{to: aiops.series.series_id}]}
      - name: note
        logicalType: string
        physicalType: VARCHAR
        quality:
          - {metric: missingValues, arguments: {missingValues: [null, n/a]}, mustBe: 0, severity: warning}
          - {metric: nullValues, mustBe: 0}
"""
EVIL = "<img src=x onerror=alert(1)>"
BREAKS: dict[str, dict[str, Any]] = {
    "unique_order_id": {"order_id": 3},
    "unique_status_code": {"code": "AB3"},
    "email_format": {"email": EVIL},
    "status_values": {"status": EVIL},
    "amount_not_null": {"amount": None},
    "amount_min": {"amount": -1.0},
    "amount_max": {"amount": 2000.0},
    "amount_finite": {"amount": "inf"},
    "share_exclusive_min": {"share": 0.0},
    "share_exclusive_max": {"share": 1.0},
    "code_pattern": {"code": "ab17"},
    "code_min_length": {"code": "7"},
    "code_max_length": {"code": "ABCDEF7"},
    "folded_pattern": {"folded": "LOUD"},
    "quantity_multiple_of": {"quantity": 7},
    "tags_min_length": {"tags": []},
    "tags_unique_items": {"tags": ["a", "a"]},
    "placed_at_min": {"placed_at": datetime(2025, 12, 31, tzinfo=UTC)},
    "day_format": {"day": "2026-02-30"},
    "series_id_in_aiops_series": {"series_id": -5},
    "note_missing_values": {"note": "n/a"},
    "note_null_values": {"note": None},
    "worth_its_share": {"amount": 0.1, "share": 0.9},
}
"""Each rule that rows can break, with values that do. Three more are about the table."""


@dataclass
class Site:
    """A home with broken orders, and the site that was built of some of its tables."""

    work: Pipeline
    contract: Contract
    folder: Path
    verdicts: dict[str, Verdict]

    def page(self, table: str, kind: str) -> Path:
        name = table.replace(".", "/")
        (found,) = [*self.folder.glob(f"{kind}/{name}/*/*/*.html"), *self.folder.glob(f"{kind}/{name}.html")]
        return found


def order(number: int, **other: Any) -> str:
    """A row that keeps the contract, but for `other`."""
    row = {"order_id": number, "email": f"kim{number}@shop.example", "status": "open", "amount": 10.0, "share": 0.5}
    row |= {
        "code": f"AB{number}",
        "folded": "quiet",
        "quantity": 10,
        "tags": ["new"],
        "day": "2026-03-01",
        "note": "fine",
    }
    row |= {"placed_at": at("2026-03-01 10:00"), "series_id": None, **other}
    shown = ", ".join(f"{literal(value)} AS {ident(name)}" for name, value in row.items())
    return f"SELECT {shown}".replace("[] AS", "CAST([] AS VARCHAR[]) AS").replace("'inf' AS", "'inf'::DOUBLE AS")


def fill(work: Pipeline, contract: Contract, rows: list[str]) -> None:
    """Publishes rows without asking for the contract's rules."""
    lax = replace(contract, rules=())
    cursor = work.home.lake.cursor()
    with publish.stage(cursor, lax, [" UNION ALL BY NAME ".join(rows)], mode=Mode.REPLACE, run_id="test") as staged:
        publish.publish(work.home.lake, cursor, [staged], Circumstances("test"))


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    path = tmp_path_factory.mktemp("contract") / "orders.yaml"
    path.write_text(CONTRACT)
    return load_contract(path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, contract: Contract) -> Site:
    """Ten good orders, one more for each rule that rows can break, and two days of rollups that keep theirs."""
    work = Pipeline(tmp_path_factory.mktemp("docs") / "home")
    optional = tuple(replace(column, required=False) for column in contract.columns)
    work.home.contracts[ORDERS] = replace(contract, columns=optional)
    points = [(at(f"2026-03-0{day} 00:{n:02}"), "web", EVIL, float(n)) for day in (1, 2) for n in range(0, 60, 5)]
    work.drop("web.csv", csv(points))
    work.ingest()
    work.facts()
    rows = [order(number) for number in range(1, 11)]
    fill(work, work.home.contracts[ORDERS], [*rows, *(order(20 + n, **row) for n, row in enumerate(BREAKS.values()))])
    work.home.contracts[ORDERS] = contract
    first, verdicts = build(work.home, TABLES)
    return Site(work, contract, first.parent, {verdict.table: verdict for verdict in verdicts})


def test_exactly_the_rules_that_the_audit_finds_broken_are_broken_here(site: Site) -> None:
    audit = contracts.audit(site.work.home.lake.cursor(), site.contract, ORDERS)
    assert {*BREAKS, "few_emails_twice", "many_orders"} - audit.broken == {"few_emails_twice"}
    found = site.verdicts[ORDERS]
    assert set(found.broken) == audit.broken
    assert not found.failed
    assert set(found.warnings) == {result.rule.name for result in audit.warnings}
    assert (found.rows, found.of, found.rules) == (33, 33, len(site.contract.rules) + 1)


def test_what_keeps_its_contract_has_no_broken_rule_and_of_days_the_newest_is_judged(site: Site) -> None:
    assert not site.verdicts["aiops.series"].broken and not site.verdicts[ROLLUP].broken
    assert (site.verdicts[ROLLUP].what, site.verdicts[ROLLUP].of) == ("day 2026-03-02", 12)
    assert (site.verdicts["sre.deployments"].rows, site.verdicts["sre.deployments"].broken) == (0, ())


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", ["expectations", "validations"])
def test_every_rule_of_a_contract_is_on_its_pages(site: Site, table: str, kind: str) -> None:
    text = unescape(site.page(table, kind).read_text())
    for rule in site.work.home.contracts[table].rules:
        assert f"{rule.name}: {rule.description}." in text


def test_the_page_says_where_great_expectations_counts_otherwise(site: Site) -> None:
    said = "Great Expectations counts every row of a repeated key, the audit counts the extra rows"
    for kind in ("expectations", "validations"):
        assert site.page(ORDERS, kind).read_text().count(said) >= 2
    audit = contracts.audit(site.work.home.lake.cursor(), site.contract, ORDERS)
    assert next(result.failing for result in audit.results if result.rule.name == "unique_order_id") == 1
    row = unescape(site.page(ORDERS, "validations").read_text()).split("unique_order_id: ")[1]
    assert "2 unexpected values found" in row[:2000]


def test_the_first_page_lists_broken_tables_first_and_links_to_pages_that_are_there(site: Site) -> None:
    text = (site.folder / "index.html").read_text()
    assert "1 of 4 tables break their contract" in text
    places = [text.index(f">{table}</a>") for table in (ORDERS, ROLLUP, "aiops.series", "sre.deployments")]
    assert places == sorted(places)
    links = [part.partition('"')[0] for part in text.split('href="')[1:]]
    assert len(links) == 8 and all((site.folder / link).is_file() for link in links)
    assert "Orders &lt;b&gt;of the shop&lt;/b&gt;." in text


def test_values_of_a_table_are_no_markup_and_nothing_is_fetched_or_run(site: Site) -> None:
    pages = list(site.folder.rglob("*.html"))
    assert len(pages) == 9
    for page in pages:
        text = page.read_text()
        assert "<script" not in text and EVIL not in text and 'src="http' not in text and "<link" not in text
        assert "default-src 'none'" in text.partition("<title>")[0]


@pytest.mark.skipif(EXECUTABLE is None, reason="there is no chromium; Debian: apt-get install chromium")
def test_a_browser_shows_what_is_broken_in_red_and_what_holds_in_green(site: Site, tmp_path: Path) -> None:
    colour = """(name) => {
      const row = [...document.querySelectorAll('tr')].find(row => row.innerText.includes(name + ':') && row.cells.length == 3)
      return row && [row.cells[0].innerText.trim(), getComputedStyle(row.querySelector('i.fas')).color]
    }"""
    with Page() as page:
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
        page.open(site.page(ORDERS, "validations").as_uri())
        page.wait_for_text("Expectation Validation Result")
        red, green = "rgb(207, 34, 46)", "rgb(26, 127, 55)"
        icon = "getComputedStyle(document.querySelector('td i.fas'), '::before').content"
        shown = {rule.name: page.evaluate(f"({colour})('{rule.name}')") for rule in site.contract.rules}
        broken = set(site.verdicts[ORDERS].broken)
        assert {name: found[1] for name, found in shown.items()} == {
            name: red if name in broken else green for name in shown
        }
        assert page.evaluate(icon) in ('"✓"', '"✗"')
        assert page.evaluate("performance.getEntriesByType('resource').length") == 0
        assert page.evaluate("document.querySelectorAll('img, script').length") == 0
        page.evaluate("document.querySelector('#option2').click()")
        visible = page.evaluate(
            "[...document.querySelectorAll('i.text-success')].filter(e => e.closest('tr')?.offsetHeight).length"
        )
        assert visible == 0, "only what is broken is left"
        page.screenshot(tmp_path / "orders.png")
        page.open((site.folder / "index.html").as_uri())
        page.wait_for_text("1 of 4 tables break their contract")
        assert page.evaluate("getComputedStyle(document.querySelector('td i.fas')).color") == red
        page.screenshot(tmp_path / "index.png")
        assert not page.errors


def test_an_expectation_names_its_rule_and_whether_duckdb_judges_it(site: Site, contract: Contract) -> None:
    found = expectations(contract)
    assert [each.meta["rule"] for each in found] == ["columns", *(rule.name for rule in contract.rules)]
    native = {each.meta["rule"] for each in found if not each.meta["computed"]}
    assert {"amount_min", "email_format", "status_values", "code_pattern", "unique_status_code", "row_count"} <= native
    assert native.isdisjoint({"folded_pattern", "day_format", "placed_at_min", "tags_min_length", "many_orders"})
    cut = {each.meta["rule"]: each for each in expectations(contract, whole=False)}
    assert cut["row_count"].meta["computed"], "the rows of a sample say nothing of how many there are"


def test_a_sample_is_the_same_each_time_and_keeps_the_rows_of_a_key_together(site: Site, contract: Contract) -> None:
    cursor = site.work.home.lake.cursor()
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE twice AS FROM {ORDERS} UNION ALL FROM {ORDERS}")
    with mock.patch.object(rules, "ROWS", 20):
        first, second = (rules.sample(cursor, contract, "temp.twice", 66) for _ in range(2))
    assert first.equals(second)
    assert len(first) == 20
    counts = first["order_id"].value_counts()
    assert (counts < 2).sum() <= 1, "at most the last key is cut"
    assert set(first["rule row_count"].dropna()) == set() and list(first["rule many_orders"].dropna()) == [
        "observed 66"
    ]


def test_large_identifiers_stay_apart_beside_a_null(site: Site, contract: Contract) -> None:
    cursor = site.work.home.lake.cursor()
    rows = [order(2**53), order(2**53 + 1), order(1).replace('1 AS "order_id"', 'NULL AS "order_id"')]
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE large AS {' UNION ALL BY NAME '.join(rows)}")
    frame = rules.sample(cursor, contract, "temp.large", 3)
    assert frame["order_id"].nunique() == 2 and frame["order_id"].isna().sum() == 1


def test_the_command_builds_the_site_of_some_tables(pipeline: Pipeline) -> None:
    folder = str(pipeline.folder)
    done = CliRunner().invoke(cli.app, ["docs", "--home", folder, "--table", "aiops.series"])
    assert done.exit_code == 0, done.output
    assert "1 of 1 tables keep their contract" in done.output
    assert (pipeline.folder / "reports" / "data_docs" / "index.html").is_file()
    unknown = CliRunner().invoke(cli.app, ["docs", "--home", folder, "--table", "aiops.serie"])
    assert isinstance(unknown.exception, CogniforgeError) and "there is no table aiops.serie" in str(unknown.exception)


def test_the_asset_is_made_on_request_only_and_says_what_is_broken(pipeline: Pipeline) -> None:
    home = pipeline.home
    definitions = build_definitions(home)
    key = dg.AssetKey(["reports", "data_docs"])
    assert definitions.resolve_asset_graph().get(key).automation_condition is None
    jobs = [job for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")]
    assert [job.name for job in jobs if key in job.asset_layer.executable_asset_keys] == ["docs"]
    assert not any("docs" in {t.job_name for t in s.targets} for s in definitions.get_repository_def().sensor_defs)
    some = Rule("some", "table", "rowCount", (), "ERROR", "volume", "some", bounds=Bounds("mustBeGreaterThan", 0))
    _ = home.lake
    home.contracts = {ROLLUP: replace(home.contracts[ROLLUP], rules=(replace(some, measure="count(*)"),))}
    done = definitions.resolve_implicit_global_asset_job_def().execute_in_process(asset_selection=[key])
    (made,) = done.asset_materializations_for_node("reports__data_docs")
    assert made.metadata["broken"].value == {ROLLUP: "some"}
    assert Path(str(made.metadata["page"].value).removeprefix("file://")).is_file()


def test_great_expectations_is_not_imported_before_it_is_used() -> None:
    code = "import sys, cogniforge_pipeline.reports.data_docs; print('great_expectations' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
