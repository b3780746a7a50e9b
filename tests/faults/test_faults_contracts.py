"""A broken contract: nothing is published, everybody hears of it; broken rows are set aside with their reasons."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cogniforge_pipeline import cli, definitions
from cogniforge_pipeline.contracts.model import Bounds, Rule
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.publish import AuditFailed
from cogniforge_pipeline.settings import Settings
from tests.support.faults import (
    HEALTH,
    ROLLUP,
    SCORES,
    TELEMETRY,
    add_file,
    answers,
    check_published,
    load_settings,
    look,
    materialize,
    one_pass,
)

NO_ROWS = Rule(
    "no_rows",
    "table",
    "rowCount",
    (),
    "ERROR",
    "consistency",
    "the table is empty",
    measure="count(*)",
    bounds=Bounds("mustBe", 0),
)
FIRST_HALF_HOUR = Rule(
    "first_half_hour",
    "row",
    "sql",
    ("ts",),
    "ERROR",
    "accuracy",
    "ts lies in the first half of its hour",
    predicate="epoch_us(ts) % 3600000000 < 1800000000",
)


def with_rule(home: Home, table: str, rule: Rule) -> None:
    contract = home.contracts[table]
    home.contracts[table] = replace(contract, rules=(*contract.rules, rule))


def test_a_broken_table_rule_stops_the_table_and_what_depends_on_it(
    home: Home, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers(home.settings)
    versions = look(home.lake.cursor())
    add_file(folder, 1)
    opened: list[Home] = []

    def open_home(settings: Settings) -> Home:
        made = Home(settings, definitions.KINDS)
        with_rule(made, ROLLUP, NO_ROWS)
        opened.append(made)
        return made

    monkeypatch.setattr(definitions, "open_home", open_home)
    monkeypatch.setenv("COGNIFORGE_DOMAINS", "aiops")
    outcome = CliRunner().invoke(cli.app, ["run", "--home", str(folder)])
    assert outcome.exit_code == 1, outcome.output
    assert "no_rows" in outcome.output
    after = answers(home.settings)
    assert len(after[TELEMETRY]) > len(before[TELEMETRY]), "what does not depend on it goes on"
    assert after[ROLLUP] == before[ROLLUP]
    now = look(home.lake.cursor())
    for table in (ROLLUP, SCORES, HEALTH):
        assert after[table] == before[table]
        assert now[table] == versions[table], "what depends on it was not computed"
    (told,) = home.events.read(types=["asset.check.failed"])
    assert told.subject == ROLLUP
    assert isinstance(told.data, dict)
    assert told.data["rule"] == "no_rows"
    check_published(home.settings)
    one_pass(home)
    assert len(answers(home.settings)[ROLLUP]) == 2 * len(before[ROLLUP]), "the next run computes what was held back"


def test_a_broken_table_rule_leaves_rows_and_quarantine_as_they_were(home: Home) -> None:
    before = answers(home.settings)
    with_rule(home, HEALTH, NO_ROWS)
    with pytest.raises(AuditFailed, match="no_rows"):
        materialize(home, HEALTH, only_changed=False)
    assert answers(home.settings) == before


def test_rows_that_break_a_row_rule_go_to_quarantine_with_the_reason_and_the_others_are_published(home: Home) -> None:
    rows = answers(load_settings(home.settings.home, {}))[ROLLUP]
    with_rule(home, ROLLUP, FIRST_HALF_HOUR)
    for _ in range(2):
        materialize(home, ROLLUP, only_changed=False)
        cursor = home.lake.cursor()
        kept = cursor.execute(f"SELECT count(*), count_if(minute(ts) >= 30) FROM {ROLLUP}").fetchone()
        assert kept == (len(rows) // 2, 0)
        aside = cursor.execute(
            "SELECT DISTINCT rules, reason, count(*) FROM quarantine.aiops__rollup_5m GROUP BY ALL"
        ).fetchall()
        assert aside == [(["first_half_hour"], FIRST_HALF_HOUR.description, len(rows) // 2)]
