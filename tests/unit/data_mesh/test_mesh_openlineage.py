"""OpenLineage events: what they say, and that neither the file nor the server can hurt a publication."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from unittest import mock

import attr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogniforge_pipeline import openlineage, publish, runner, written
from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.openlineage import Source, emitter, events
from cogniforge_pipeline.publish import AuditFailed, Circumstances, Mode, Superseded
from cogniforge_pipeline.recipes import Recipe
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.sre.service import SREService
from tests.support.pipeline import HEALTH, Pipeline, at, csv

ROLLUP = "aiops.rollup_5m"
EMPTY_HEALTH = f"FROM {HEALTH} LIMIT 0"
Json = dict[str, Any]


def told(folder: Path) -> list[Json]:
    """All events of a home's file, each checked against the classes of OpenLineage's own client."""
    from openlineage.client.event_v2 import RunEvent

    lines = (folder / "state" / emitter.FILE).read_text().splitlines()
    found: list[Json] = [json.loads(line) for line in lines]
    for event in found:
        conforms(RunEvent, event)
    return found


def of(found: list[Json], job: str, kind: str = "COMPLETE") -> list[Json]:
    return [event for event in found if event["job"]["name"] == job and event["eventType"] == kind]


def conforms(kind: Any, value: Any) -> Any:
    """Builds a value of a type of the client from JSON, with its validators; a facet's type is the one it names itself."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else conforms(next(a for a in arguments if a is not type(None)), value)
    if origin is list:
        return [conforms(arguments[0], item) for item in value]
    if origin is dict:
        return {key: conforms(arguments[1], item) for key, item in value.items()}
    if isinstance(value, dict) and "_schemaURL" in value:
        kind = facet_type(value["_schemaURL"])
    if not attr.has(kind):
        assert kind is Any or not isinstance(kind, type) or isinstance(kind(value), kind), (kind, value)
        return kind(value) if isinstance(kind, type) else value
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in attr.fields(kind)}
    assert set(value) <= set(known), (kind, set(value) - set(known))
    for name in ("_schemaURL", "schemaURL"):
        assert name not in known or value[name] == kind._get_schema()
    values = {known[name].alias: conforms(hints[name], item) for name, item in value.items() if known[name].init}
    return kind(**values)


def facet_type(url: str) -> type:
    """The client's class of a facet's schema URL, which ends in the class's name."""
    from openlineage.client import facet_v2

    name = url.rpartition("/")[2]
    for module in facet_v2.__all__:
        place = getattr(facet_v2, module)
        if isinstance(place, types.ModuleType) and hasattr(place, name):
            return typing.cast(type, getattr(place, name))
    raise AssertionError(f"the client knows no facet {url}")


class Server:
    """An OpenLineage server: keeps what it was sent. Answers `status`, or not at all while `silent` is not set."""

    def __init__(self, status: int = 201, *, silent: bool = False) -> None:
        self.requests: list[tuple[str, dict[str, str], Json]] = []
        self.go = Event()
        if not silent:
            self.go.set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append((self.path, dict(self.headers), body))
                server.go.wait(30)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    @contextmanager
    def running(self) -> Iterator[Server]:
        thread = Thread(target=self.http.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.go.set()
            self.http.shutdown()
            self.http.server_close()
            thread.join()


def home_with(folder: Path, **environ: str) -> Home:
    settings = load_settings(folder, {f"COGNIFORGE_OPENLINEAGE{name}": value for name, value in environ.items()})
    (folder / "platform").mkdir(parents=True, exist_ok=True)
    return open_home(settings)


def publish_health(home: Home, *, run: str = "run", select: str = EMPTY_HEALTH) -> publish.Publication:
    cursor = home.lake.cursor()
    contract = home.contracts[HEALTH]
    with publish.stage(cursor, contract, [select], mode=Mode.REPLACE, run_id=run) as staged:
        return publish.publish(home.lake, cursor, [staged], Circumstances(run))[0]


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Json]]:
    """A home with two days of one service, its events, and its rollups and health computed without Dagster."""
    work = Pipeline(tmp_path_factory.mktemp("lineage") / "home")
    points = [
        (at(f"2026-03-0{day} {hour:02}:00"), "web", "latency_ms", 1.0 + hour) for day in (1, 2) for hour in range(24)
    ]
    work.drop("web.csv", csv([*points, points[0]]))
    work.ingest()
    work.facts()
    work.compute(HEALTH, as_of=at("2026-03-02 23:00"))
    return work.folder, told(work.folder)


def test_every_publication_is_a_run_that_starts_and_completes(two_days: tuple[Path, list[Json]]) -> None:
    _, found = two_days
    assert [event["job"]["name"] for event in found[::2]] == [
        *("aiops/series", "aiops/telemetry", "aiops/ingest_ledger"),
        *("aiops/rollup_5m", "aiops/anomaly_scores", "aiops/anomaly_points", "aiops/detector_states"),
        "aiops/service_health",
    ]
    for start, end in zip(found[::2], found[1::2], strict=True):
        assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
        assert start["run"]["runId"] == end["run"]["runId"]
        assert start["eventTime"] <= end["eventTime"]
    assert len({event["run"]["runId"] for event in found}) == len(found) / 2


def test_a_table_is_named_by_its_place_and_by_its_name_in_the_catalog(two_days: tuple[Path, list[Json]]) -> None:
    folder, found = two_days
    (output,) = of(found, "aiops/rollup_5m")[0]["outputs"]
    assert (output["namespace"], output["name"]) == ("file", f"{folder}/lake/data/aiops/rollup_5m")
    assert list(Path(output["name"]).rglob("*.parquet")), "the table's files lie there"
    symlink = {"namespace": f"ducklake:sqlite:{folder}/lake/catalog.sqlite", "name": ROLLUP, "type": "TABLE"}
    assert output["facets"]["symlinks"]["identifiers"] == [symlink]


def test_an_event_names_the_versions_read_and_written(two_days: tuple[Path, list[Json]]) -> None:
    folder, found = two_days
    event = of(found, "aiops/rollup_5m")[0]
    place = f"{folder}/lake/data/aiops"
    versions = {table["name"]: table["facets"]["version"]["datasetVersion"] for table in event["inputs"]}
    assert versions == {f"{place}/series": "1", f"{place}/telemetry": "1"}
    assert event["outputs"][0]["facets"]["version"]["datasetVersion"] == "1"


def test_the_output_shows_columns_figures_and_every_rule_of_its_contract(two_days: tuple[Path, list[Json]]) -> None:
    _, found = two_days
    contract = Pipeline(two_days[0]).home.contracts["aiops.telemetry"]
    (output,) = of(found, "aiops/telemetry")[0]["outputs"]
    fields = output["facets"]["schema"]["fields"]
    assert [(f["name"], f["type"]) for f in fields] == [(c.name, c.type) for c in contract.columns]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 48
    metrics = output["facets"]["dataQualityMetrics"]
    assert metrics["rowCount"] == 48
    assert metrics["columnMetrics"] == {column.name: {"nullCount": 0} for column in contract.columns}
    assertions = output["facets"]["dataQualityAssertions"]["assertions"]
    assert [assertion["name"] for assertion in assertions] == [rule.name for rule in contract.rules]
    assert all(assertion["success"] for assertion in assertions)
    not_null = next(a for a in assertions if a["name"] == "ts_not_null")
    assert (not_null["assertion"], not_null["column"], not_null["severity"]) == ("not_null", "ts", "error")


def test_a_rule_that_rows_break_is_an_assertion_that_failed(tmp_path: Path) -> None:
    home = home_with(tmp_path)
    row = "'2026-03-01'::TIMESTAMPTZ AS as_of, 'web' AS service, NULL AS active_anomalies, NULL AS worst_metric"
    rest = "NULL AS worst_score, '2026-03-01'::TIMESTAMPTZ AS last_seen, 1 AS series, 'fine' AS reason"
    others = "NULL AS incident_id, 0 AS slo_alerts, NULL AS slo_budget, []::VARCHAR[] AS dependencies_at_fault"
    made = publish_health(home, select=f"SELECT {row}, {rest}, {others}, 'splendid' AS status")
    assert (made.rows, made.quarantined) == (0, 1)
    event = of(told(tmp_path), "aiops/service_health")[0]
    facets = event["outputs"][0]["facets"]
    failed = {(a["name"], a["column"]) for a in facets["dataQualityAssertions"]["assertions"] if not a["success"]}
    assert failed == {("status_values", "status"), ("active_anomalies_not_null", "active_anomalies")}
    assert facets["dataQualityMetrics"]["columnMetrics"]["active_anomalies"] == {"nullCount": 1}
    assert event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 0
    tags = {tag["key"]: tag["value"] for tag in event["run"]["facets"]["tags"]["tags"]}
    assert (tags["run_id"], tags["rows_quarantined"]) == ("run", "1")


def test_the_sql_and_the_columns_behind_each_column_are_told(two_days: tuple[Path, list[Json]]) -> None:
    folder, found = two_days
    event = of(found, "aiops/rollup_5m")[0]
    assert event["job"]["facets"]["sql"]["query"] == Pipeline(folder).home.queries[ROLLUP].text
    fields = event["outputs"][0]["facets"]["columnLineage"]["fields"]
    places = {(p["name"].rpartition("/")[2], p["field"]) for p in fields["mean"]["inputFields"]}
    assert places == {("telemetry", "value")}
    inputs = {(table["namespace"], table["name"]) for table in event["inputs"]}
    assert {(p["namespace"], p["name"]) for field in fields.values() for p in field["inputFields"]} <= inputs
    assert "sql" not in of(found, "aiops/telemetry")[0]["job"]["facets"], "rows are no source code"


def test_columns_are_followed_once_and_again_when_the_query_is_another_one(tmp_path: Path) -> None:
    from cogniforge_pipeline.data_mesh import openlineage as mesh

    home = home_with(tmp_path)
    query = home.queries[ROLLUP]
    found = mesh.column_origins(query, home.contracts, tmp_path)
    assert ("mean", "aiops.telemetry", "value") in found
    with mock.patch.object(mesh, "column_edges", side_effect=AssertionError("followed again")):
        assert mesh.column_origins(query, home.contracts, tmp_path) == found
    other = type(query)(query.name, "SELECT series_id FROM aiops.series", ("aiops.series",))
    assert mesh.column_origins(other, home.contracts, tmp_path) == [("series_id", "aiops.series", "series_id")]
    (tmp_path / mesh.FILE).write_text("{ not JSON")
    assert mesh.column_origins(query, home.contracts, tmp_path) == found


def test_the_nominal_time_is_the_days_of_a_fact_and_the_moment_of_a_decision(two_days: tuple[Path, list[Json]]) -> None:
    _, found = two_days
    rollup, health = (
        of(found, f"aiops/{name}")[0]["run"]["facets"]["nominalTime"] for name in ("rollup_5m", "service_health")
    )
    assert rollup["nominalStartTime"] == "2026-03-01T00:00:00.000000Z"
    assert rollup["nominalEndTime"] == "2026-03-03T00:00:00.000000Z"
    assert health["nominalStartTime"] == "2026-03-02T23:00:00.000000Z"
    assert "nominalEndTime" not in health
    assert "nominalTime" not in of(found, "aiops/telemetry")[0]["run"]["facets"]


def test_the_python_api_of_another_domain_is_told_of_too(tmp_path: Path) -> None:
    service = SREService(load_settings(tmp_path, {}))
    service.record_deployment("web", deployment_id="d1", author="kim")
    (event,) = of(told(tmp_path), "sre/deployments")
    assert event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 1
    with pytest.raises(written.RowRefused):
        written.append(service.home, "sre.deployments", [{"deployment_id": "d2", "service": None}], run_id="api")
    (failed,) = of(told(tmp_path), "sre/deployments", "FAIL")
    assert "sre.deployments refuses 1 of these rows" in failed["run"]["facets"]["errorMessage"]["message"]


def test_a_broken_table_rule_is_a_failed_run_with_its_message_and_assertion(tmp_path: Path) -> None:
    from dataclasses import replace

    from cogniforge_pipeline.contracts import Bounds, Rule

    home = home_with(tmp_path)
    rule = Rule(
        "some", "table", "rowCount", (), "ERROR", "volume", "rows", measure="count(*)", bounds=Bounds("mustBe", 3)
    )
    home.contracts[HEALTH] = replace(home.contracts[HEALTH], rules=(rule,))
    with pytest.raises(AuditFailed):
        publish_health(home)
    start, failed = told(tmp_path)
    assert (start["eventType"], failed["eventType"]) == ("START", "FAIL")
    assert "breaks its contract and was not published" in failed["run"]["facets"]["errorMessage"]["message"]
    (output,) = failed["outputs"]
    (assertion,) = output["facets"]["dataQualityAssertions"]["assertions"]
    assert (assertion["name"], assertion["success"], assertion["actual"]) == ("some", False, "0")
    assert "version" not in output["facets"] and not output["outputFacets"]


def test_a_failed_statement_is_told_once_and_a_lost_race_is_not(tmp_path: Path) -> None:
    home = home_with(tmp_path)
    with pytest.raises(CogniforgeError, match="could not be computed"):
        publish_health(home, select="SELECT 1 AS one")
    cursor = home.lake.cursor()
    lost = Circumstances("late", expected={HEALTH: 7})
    with (
        pytest.raises(Superseded),
        publish.stage(cursor, home.contracts[HEALTH], [EMPTY_HEALTH], mode=Mode.REPLACE, run_id="late") as staged,
    ):
        publish.publish(home.lake, cursor, [staged], lost)
    assert [event["eventType"] for event in told(tmp_path)] == ["START", "FAIL"]


def test_a_dagster_step_that_fails_before_it_has_rows_is_told(tmp_path: Path) -> None:
    home = home_with(tmp_path)
    recipe = home.recipe

    def broken(table: str, cursor: Connection) -> Recipe:
        if table == HEALTH:
            raise CogniforgeError("the recipe is of no use")
        return recipe(table, cursor)

    with mock.patch.object(home, "recipe", broken):
        report = runner.run(home, select=HEALTH.replace(".", "/"))
    assert [step for step, _ in report.failed_steps] == ["aiops__service_health"]
    (failed,) = of(told(tmp_path), "aiops/service_health", "FAIL")
    assert failed["run"]["facets"]["errorMessage"]["message"] == "the recipe is of no use"
    tags = {tag["key"]: tag["value"] for tag in failed["run"]["facets"]["tags"]["tags"]}
    assert tags["run_id"] in report.run_ids


def test_events_are_sent_in_order_with_the_key_and_stay_in_the_file(tmp_path: Path) -> None:
    with Server().running() as server:
        publish_health(home_with(tmp_path, _URL=f"{server.url}/api/v1/lineage", _API_KEY="s3cret", _NAMESPACE="shop"))
    assert [path for path, _, _ in server.requests] == ["/api/v1/lineage"] * 2
    assert {headers["Authorization"] for _, headers, _ in server.requests} == {"Bearer s3cret"}
    sent = [body for _, _, body in server.requests]
    assert sent == told(tmp_path)
    assert [event["job"]["namespace"] for event in sent] == ["shop", "shop"]
    assert "s3cret" not in (tmp_path / "state" / emitter.FILE).read_text()


@pytest.mark.parametrize("trouble", ["refuses", "is silent", "errs"])
def test_a_server_in_trouble_costs_one_warning_and_no_publication(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    server = Server(500, silent=trouble == "is silent")
    if trouble == "refuses":
        server.http.server_close()
    home = home_with(tmp_path, _URL=server.url)
    with caplog.at_level(logging.WARNING), mock.patch.object(emitter, "SECONDS", 0.2):
        if trouble == "refuses":
            versions = [publish_health(home).version for _ in range(3)]
        else:
            with server.running():
                versions = [publish_health(home).version for _ in range(3)]
    assert versions == [1, 2, 3]
    assert len(server.requests) == (0 if trouble == "refuses" else 1), "it is left alone for a while"
    (warning,) = [record.message for record in caplog.records if record.name.startswith("cogniforge")]
    assert server.url in warning and str(tmp_path / "state" / emitter.FILE) in warning
    assert len(told(tmp_path)) == 6


def test_processes_of_one_run_warn_once_and_a_server_that_is_back_is_used_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Server().running() as server, mock.patch.object(emitter, "PAUSE_SECONDS", 0):
        settings = home_with(tmp_path, _URL=server.url).settings
        server.http.server_close()
        for run in ("one", "one", "two"):
            home = open_home(settings)
            home.lake.listener = openlineage.Emitter(settings, dict)  # as another process has it
            publish_health(home, run=run)
    assert len([record for record in caplog.records if "no OpenLineage events" in record.message]) == 2
    with Server().running() as back, mock.patch.object(emitter, "PAUSE_SECONDS", 0):
        publish_health(home_with(tmp_path, _URL=back.url))
        assert len(back.requests) == 2
    assert not (tmp_path / "state" / "openlineage.unreachable").exists()


def test_a_file_that_cannot_be_written_costs_a_warning_and_no_publication(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state" / emitter.FILE).mkdir(parents=True)
    assert publish_health(home_with(tmp_path)).version == 1
    assert "cannot be written" in caplog.text


def test_a_listener_that_fails_does_not_undo_a_publication(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = home_with(tmp_path)
    home.lake.listener = mock.Mock(side_effect=ValueError("oops"))
    assert publish_health(home).version == 1
    assert "could not be told" in caplog.text


def test_others_may_commit_while_an_attempt_is_told(tmp_path: Path) -> None:
    home = home_with(tmp_path)
    heard: list[publish.Attempt] = []

    def listener(attempt: publish.Attempt) -> None:
        heard.append(attempt)
        home.lake.listener = None
        publish_health(home, run="meanwhile")

    home.lake.listener = listener
    publish_health(home)
    assert publish.versions(home.lake.cursor())[HEALTH] == 2
    assert heard[0].publication and heard[0].publication.snapshot > 0


def test_what_a_transaction_takes_back_is_not_told(tmp_path: Path) -> None:
    home = home_with(tmp_path)
    cursor = home.lake.cursor()
    with (
        publish.stage(cursor, home.contracts[HEALTH], [EMPTY_HEALTH], mode=Mode.REPLACE, run_id="r") as staged,
        pytest.raises(RuntimeError, match="changed my mind"),
        home.lake.transaction(cursor),
    ):
        publish.commit(cursor, [staged], Circumstances("r"))
        raise RuntimeError("changed my mind")
    assert not (tmp_path / "state" / emitter.FILE).exists()


def test_switched_off_there_is_no_file(tmp_path: Path) -> None:
    publish_health(home_with(tmp_path, **{"": "off"}))
    assert not (tmp_path / "state" / emitter.FILE).exists()


def test_the_client_is_imported_with_the_first_event_only(tmp_path: Path) -> None:
    code = (
        "import sys; from cogniforge_pipeline.definitions import open_home, build_definitions; "
        "from cogniforge_pipeline.settings import load_settings; home = open_home(load_settings(sys.argv[1], {})); "
        "build_definitions(home); home.lake.cursor(); print([m for m in sys.modules if m.startswith('openlineage')])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=5), st.binary(max_size=90))
def test_what_a_killed_process_left_of_a_line_is_cut_off(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], torn: bytes
) -> None:
    torn = torn.replace(b"\n", b"")
    file = tmp_path_factory.mktemp("torn") / emitter.FILE
    whole = b"".join(line + b"\n" for line in lines)
    file.write_bytes(whole + torn)
    emitter.write(file, [])
    assert file.read_bytes() == whole


def test_a_process_that_is_killed_while_it_writes_leaves_whole_lines(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from cogniforge_pipeline.openlineage import emitter\n"
        "events = [{'n': 'x' * 300_000}] * 4\n"
        "while True: emitter.write(Path(sys.argv[1]), events); print('.', flush=True)"
    )
    file = tmp_path / emitter.FILE
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, file], stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        process.kill()
        process.wait()
        process.stdout.close()
    emitter.write(file, [])
    assert {len(json.loads(line)["n"]) for line in file.read_text().splitlines()} == {300_000}


def test_the_file_does_not_grow_without_end(tmp_path: Path) -> None:
    file = tmp_path / emitter.FILE
    with mock.patch.object(emitter, "LARGEST", 1_000):
        for n in range(40):
            emitter.write(file, [{"n": n, "text": "x" * 200}])  # type: ignore[list-item]
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == ["openlineage.1.jsonl", "openlineage.jsonl"]
    old, new = ((tmp_path / name).read_text().splitlines() for name in ("openlineage.1.jsonl", "openlineage.jsonl"))
    kept = [json.loads(line)["n"] for line in (*old, *new)]
    assert kept == list(range(kept[0], 40)) and len(kept) < 15


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("/srv/lake/data", ("file", "/srv/lake/data/sre/slos")),
        ("/srv/lake/data/", ("file", "/srv/lake/data/sre/slos")),
        ("s3://bucket", ("s3://bucket", "sre/slos")),
        ("s3://bucket/a/b/", ("s3://bucket", "a/b/sre/slos")),
    ],
)
def test_a_dataset_is_named_as_openlineage_names_folders(data: str, expected: tuple[str, str]) -> None:
    assert events.dataset_name("sre.slos", data) == expected


def test_a_catalog_in_postgres_is_named_without_who_connects() -> None:
    url = "postgresql://kim:secret@db.internal:6543/lake"
    settings = load_settings("/srv", {"COGNIFORGE_CATALOG": url, "COGNIFORGE_DATA": "s3://bucket/lake"})
    assert events.catalog_namespace(settings.catalog) == "ducklake:postgres://db.internal:6543/lake"


def test_secrets_are_not_in_the_message_of_an_error(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {"AWS_ACCESS_KEY_ID": "AKIAKEY", "AWS_SECRET_ACCESS_KEY": "hunter2"})
    home = home_with(tmp_path)
    attempt = publish.Attempt(
        home.contracts[HEALTH], "r", datetime.now(UTC), datetime.now(UTC), error=ValueError("cannot use hunter2")
    )
    _, failed = events.run_events(attempt, settings, Source())
    assert failed.run.facets and failed.run.facets["errorMessage"].message == "cannot use ***"  # type: ignore[attr-defined]


def test_another_process_with_the_settings_environment_sends_to_the_same_server(tmp_path: Path) -> None:
    environ = {"_URL": "https://lineage.internal:5000/base/", "_API_KEY": "k3y", "_NAMESPACE": "shop-prod"}
    for chosen in (environ, {"": "off"}, {}):
        settings = load_settings(tmp_path, {f"COGNIFORGE_OPENLINEAGE{name}": value for name, value in chosen.items()})
        assert load_settings(None, settings.environment()) == settings
        assert "k3y" not in repr(settings)
    assert "k3y" not in load_settings(tmp_path, {"COGNIFORGE_OPENLINEAGE_API_KEY": "k3y"}).redact("no k3y")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COGNIFORGE_OPENLINEAGE", "maybe"),
        ("COGNIFORGE_OPENLINEAGE_URL", "marquez:5000"),
        ("COGNIFORGE_OPENLINEAGE_URL", "https://kim:secret@marquez"),
        ("COGNIFORGE_OPENLINEAGE_URL", "file:///etc/passwd"),
    ],
)
def test_a_setting_that_is_not_allowed_is_refused_by_its_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(CogniforgeError, match=f"{name}: expected") as refused:
        load_settings(tmp_path, {name: value})
    assert "secret" not in str(refused.value)
