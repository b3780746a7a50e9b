"""Row counts, previews, plots, checks and partitions of real runs, as Dagster's instance has them."""

from __future__ import annotations

import base64
import re
import sqlite3
from datetime import date

import dagster as dg
import pytest

from cogniforge_pipeline.contracts import Bounds, Rule
from cogniforge_pipeline.definitions import build_definitions, open_home
from cogniforge_pipeline.metadata import CHANGED_TAG
from cogniforge_pipeline.outcomes import preview
from cogniforge_pipeline.sensors import DECISIONS, FACTS, INGEST
from cogniforge_pipeline.settings import DOMAINS as ALL
from cogniforge_pipeline.settings import load_settings

ROLLUP, SCORES = dg.AssetKey(["aiops", "rollup_5m"]), dg.AssetKey(["aiops", "anomaly_scores"])
DAYS = ["2026-03-01", "2026-03-02", "2026-03-03"]
RANGE = {"dagster/asset_partition_range_start": DAYS[0], "dagster/asset_partition_range_end": DAYS[-1]}
NO_WEB = Rule(
    name="is_not_web",
    kind="row",
    test="sql",
    columns=("service",),
    severity="ERROR",
    dimension="accuracy",
    description="the service is not web",
    predicate="service <> 'web'",
)
NOTHING = Rule(
    name="is_empty",
    kind="table",
    test="rowCount",
    columns=(),
    severity="ERROR",
    dimension="volume",
    description="there are no rows",
    measure="count(*)",
    bounds=Bounds("mustBe", 0),
)


@pytest.fixture(scope="module")
def three_days(worked):
    """The home with three days, one of them with a row that is no number."""
    for day in DAYS[1:]:
        worked.drop_day(day)
    bad = worked.home.settings.landing / "bad.csv"
    bad.write_text("timestamp,service,metric,value\n2026-03-03T10:15:00Z,web,latency_ms,oops\n")
    worked.run()
    return worked


def plot_of(materialization: dg.AssetMaterialization) -> bytes:
    text = materialization.metadata["plot"].value
    return base64.b64decode(re.fullmatch(r"!\[plot\]\(data:image/png;base64,(.+)\)", text)[1])


def test_a_run_marks_the_days_that_it_computed_and_no_others(three_days):
    for key in (ROLLUP, SCORES):
        assert three_days.instance.get_materialized_partitions(key) == set(DAYS)


def test_a_table_tells_how_many_rows_it_has_and_shows_some_of_them(three_days):
    told = three_days.last("aiops/service_health").metadata
    assert (told["dagster/row_count"].value, told["rows_published"].value, told["rows_quarantined"].value) == (1, 1, 0)
    header, _, *rows = told["preview"].value.splitlines()
    assert "service" in header and len(rows) == 1 and " web " in rows[0]


def test_the_plot_is_a_picture_that_fits_the_dialog(three_days):
    for key in ("aiops/anomaly_scores", "aiops/service_health", "data_mesh/quality_metrics"):
        picture = plot_of(three_days.last(key))
        assert picture.startswith(b"\x89PNG\r\n")
        assert 600 <= int.from_bytes(picture[16:20]) <= 1035, f"the width of {key}'s plot"


def test_pictures_are_kept_once_for_a_run_over_many_days(three_days):
    assert three_days.execute(FACTS, **RANGE).success
    events = three_days.instance.fetch_materializations(SCORES, limit=3).records
    shown = {event.partition_key: set(event.asset_materialization.metadata) for event in events}
    assert {day for day, names in shown.items() if "plot" in names} == {DAYS[-1]}
    assert all("dagster/row_count" in names for names in shown.values())


def test_the_preview_of_a_table_with_days_reads_its_newest_day_only(three_days):
    cursor = three_days.home.lake.cursor()
    contract = three_days.home.contracts["aiops.telemetry"]
    shown = preview(cursor, contract, [date(2026, 3, 2), date(2026, 3, 3)]).value
    assert "2026-03-03" in shown and "2026-03-02" not in shown and "2026-03-01" not in shown


def test_a_range_that_is_asked_for_by_hand_is_computed_again_and_a_sensor_s_range_is_not(three_days):
    before = three_days.versions("aiops.rollup_5m")
    assert three_days.execute(FACTS, **RANGE, **{CHANGED_TAG: "true"}).success
    assert three_days.versions("aiops.rollup_5m") == before
    assert three_days.execute(FACTS, **RANGE).success
    assert three_days.versions("aiops.rollup_5m") == [*before, (before[-1][0] + 1, ["03-01", "03-02", "03-03"])]


def test_a_run_without_news_keeps_what_the_checks_found_and_what_the_page_shows(three_days):
    three_days.run()
    before = three_days.last("aiops/service_health").metadata
    three_days.run()
    assert three_days.last("aiops/service_health").metadata == before, "the command leaves it out"
    three_days.execute(DECISIONS, **{CHANGED_TAG: "true"})
    after = three_days.last("aiops/service_health").metadata
    assert after["unchanged"].value is True and after["reason"].value == "nothing new"
    for name in ("dagster/row_count", "version", "preview", "plot"):
        assert after[name] == before[name]
    contract = three_days.home.contracts["aiops.service_health"]
    assert all(three_days.check("aiops/service_health", rule.name).passed for rule in contract.rules)


def test_rows_that_break_a_rule_show_as_a_warning_with_their_count_and_where_they_are(three_days):
    with three_days.stricter("aiops.service_health", NO_WEB):
        for tags in ({}, {CHANGED_TAG: "true"}):
            result = three_days.execute(DECISIONS, **tags)
            assert result.success, "a row rule blocks nothing, for the rows that break it are not in the table"
            check = three_days.check("aiops/service_health", NO_WEB.name)
            assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.WARN, False)
            assert check.metadata["failing"].value == 1
            query = re.fullmatch(r"```sql\n(.+)\n```", check.metadata["see"].value, re.DOTALL)[1]
            found = three_days.home.lake.cursor().execute(query).fetchall()
            assert len(found) == 1 and '"web"' in found[0][0] and "the service is not web" in found[0][1]


def test_a_broken_table_rule_fails_the_step_publishes_nothing_and_becomes_an_event(three_days):
    before = three_days.versions("aiops.service_health")
    with three_days.stricter("aiops.service_health", NOTHING):
        result = three_days.execute(DECISIONS)
    assert not result.success
    check = three_days.check("aiops/service_health", NOTHING.name)
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert three_days.versions("aiops.service_health") == before
    told = [event.data for event in three_days.home.events.read(0, limit=100) if "check.failed" in event.type]
    assert [(event["table"], event["rule"]) for event in told] == [("aiops.service_health", "is_empty")]


def test_rows_that_could_not_be_read_are_counted_and_shown_where_they_are(three_days):
    (three_days.home.settings.landing / "worse.csv").write_text(
        "timestamp,service,metric,value\n2026-03-03T10:20:00Z,web,latency_ms,what\n"
    )
    three_days.execute(INGEST)
    check = three_days.check("aiops/telemetry", "rows_readable")
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert check.metadata["quarantined"].value == 1
    query = re.fullmatch(r"```sql\n(.+)\n```", check.metadata["see"].value, re.DOTALL)[1]
    ((row, reason, source),) = three_days.home.lake.cursor().execute(query).fetchall()
    assert "what" in row and "not a number" in reason and "worse.csv" in source
    three_days.execute(INGEST)
    again = three_days.check("aiops/telemetry", "rows_readable")
    assert (again.passed, again.metadata) == (False, check.metadata), "nothing came that would be better"


def test_every_table_of_every_domain_is_described_owned_and_placed(tmp_path):
    graph = build_definitions(
        open_home(load_settings(tmp_path, environ={"COGNIFORGE_DOMAINS": ",".join(ALL)}))
    ).resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description and node.owners and node.group_name == key.path[0] and node.kinds
        if key.path[0] == "reports":
            continue
        assert node.metadata["dagster/table_name"] == ".".join(key.path)
        assert all(column.description for column in node.metadata["dagster/column_schema"].columns)
    for check in graph.asset_check_keys:
        assert graph.get_check_spec(check).description, f"{check} says nothing"


def test_the_events_of_all_runs_lie_in_the_home_in_one_file(three_days):
    folder = three_days.home.settings.dagster_home
    with sqlite3.connect(folder / "event_log.db") as events:
        kept = {run for (run,) in events.execute("SELECT DISTINCT run_id FROM event_logs")}
    assert {run.run_id for run in three_days.instance.get_runs()} <= kept
    assert three_days.instance.telemetry_enabled is False
