"""`cogniforge slo burn` and `cogniforge slo import`: files in, figures and files out, and what is said to mistakes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from cogniforge_pipeline.declarations import load_platform
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sre.burn_files import BurnReport, burn_from_files
from cogniforge_pipeline.sre.burn_rate import WINDOWS
from cogniforge_pipeline.sre.openslo import OPENSLO_KIND
from cogniforge_pipeline.sre.resolve import resolve
from cogniforge_pipeline.sre.slo_files import read_objectives
from tests.unit.cli.conftest import Cli, cli  # noqa: F401

SLOTH = Path(__file__).parents[4] / "shared/data/sre/sloth_examples"
START = datetime(2024, 5, 1, tzinfo=UTC)
Row = tuple[Any, ...]


def minute(number: float) -> datetime:
    return START + timedelta(minutes=number)


def slo(*, name: str = "checkout", service: str = "shop", target: float = 0.99, **spec: Any) -> dict[str, Any]:
    """Errors by code over all requests."""
    total = {"metricSource": {"type": "cogniforge", "spec": {"metric": "requests_total"}}}
    bad = {"metricSource": {"type": "cogniforge", "spec": {"metric": "requests_total", "labels": ['code=~"5.."']}}}
    indicator = {"metadata": {"name": name}, "spec": {"ratioMetric": {"bad": bad, "total": total}}}
    window = [{"duration": "30d", "isRolling": True}]
    body = {"service": service, "indicator": indicator, "timeWindow": window, "budgetingMethod": "Occurrences"}
    spec = {**body, "objectives": [{"target": target}], **spec}
    return {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": name}, "spec": spec}


def rows(minutes: int, bad_from: int = 10**9, *, stamp: Any = datetime.isoformat) -> Iterable[Row]:
    """100 requests a minute, all good until `bad_from`, from then half of them bad: time, series, value, code."""
    for number in range(minutes):
        bad = 50 * max(0, number - bad_from + 1)
        yield stamp(minute(number)), "requests_total", 100 * number - bad, "200"
        yield stamp(minute(number)), "requests_total", bad, "500"


@pytest.fixture
def files(tmp_path: Path) -> Any:
    """Writes counters and SLOs, and gives both paths."""

    def make(
        counted: Iterable[Row] | str, *documents: dict[str, Any], header: str = "ts,series,value,code"
    ) -> tuple[Path, Path]:
        lines = counted if isinstance(counted, str) else "".join(",".join(map(str, row)) + "\n" for row in counted)
        counters, declared = tmp_path / "counters.csv", tmp_path / "slos.yaml"
        counters.write_text(f"{header}\n{lines}", encoding="utf-8")
        declared.write_text(yaml.safe_dump_all(documents or [slo()]), encoding="utf-8")
        return counters, declared

    return make


def only(report: BurnReport) -> dict[str, Any]:
    (found,) = report.slos
    return found


def test_burn_rates_of_all_windows_are_the_share_of_bad_events_in_each_over_the_budget(files: Any) -> None:
    report = burn_from_files(*files(rows(121, bad_from=111)))
    assert report.at == minute(120)
    # the last 10 minutes are half bad: 500 of the 500, 3000, 6000 and 12000 events of the windows
    expected = {"5m": 50.0, "30m": 500 / 3000 * 100, "1h": 500 / 6000 * 100}
    expected |= dict.fromkeys(list(WINDOWS)[3:], 500 / 12000 * 100)
    assert only(report)["burn_rates"] == pytest.approx(expected, rel=1e-12)


def test_alerts_say_whether_they_fire_since_when_and_the_budget_what_is_left(files: Any) -> None:
    found = only(burn_from_files(*files(rows(121, bad_from=61))))
    alerts = {alert["alert"]: alert for alert in found["alerts"]}
    assert list(alerts) == ["page-1h", "page-6h", "ticket-1d", "ticket-3d"]
    # 14.4 % of an hour's 6000 events are 864, the 18th bad minute is the first with more
    assert (alerts["page-1h"]["firing"], alerts["page-1h"]["fired_at"]) == (True, minute(78).isoformat())
    assert (alerts["page-1h"]["long_window"], alerts["page-1h"]["short_window"]) == ("1h", "5m")
    budget = found["budget"]
    assert (budget["total"], budget["bad"], budget["budget_events"]) == (12000, 3000, pytest.approx(120))
    assert (budget["consumed"], budget["remaining"]) == (pytest.approx(25), pytest.approx(-24))
    assert budget["status"] == "exhausted"


def test_a_rate_above_the_factor_on_too_few_events_does_not_fire_and_says_why(files: Any) -> None:
    counted = [(minute(n).isoformat(), "requests_total", n, "200") for n in range(10)]
    counted += [(minute(n).isoformat(), "requests_total", n // 9, "500") for n in range(10)]
    found = only(burn_from_files(*files(counted, slo(target=0.999))))
    page = found["alerts"][0]
    assert found["burn_rates"]["1h"] == pytest.approx(100)
    assert page["firing"] is False and "too few events" in page["reason"]


def test_a_declared_alert_fires_once_its_condition_has_held_long_enough(files: Any) -> None:
    condition = {"kind": "burnrate", "op": "gt", "threshold": 2, "lookbackWindow": "10m", "alertAfter": "20m"}
    spec = {"severity": "page", "condition": condition}
    document = {"kind": "AlertCondition", "metadata": {"name": "fast"}, "spec": spec}
    target = {"kind": "AlertNotificationTarget", "metadata": {"name": "us"}, "spec": {"target": "mail"}}
    policy = {"conditions": [document], "notificationTargets": [target], "alertWhenBreaching": True}
    declared = slo(alertPolicies=[{"kind": "AlertPolicy", "metadata": {"name": "held"}, "spec": policy}])
    counters, slos = files(rows(121, bad_from=60), declared)
    (early,) = only(burn_from_files(counters, slos, minute(70)))["alerts"]
    assert (early["firing"], early["reason"]) == (False, "it has not held long enough")
    (late,) = only(burn_from_files(counters, slos))["alerts"]
    # over 10 minutes 2 % of 1,000 events are 20; the condition holds from the first bad minute on
    assert (late["firing"], late["fired_at"]) == (True, minute(80).isoformat())


@pytest.mark.parametrize("table", ["csv", "tsv", "gz", "parquet", "epoch", "floats", "naive", "series text", "quoted"])
def test_every_spelling_of_the_same_counters_gives_the_same_report(files: Any, tmp_path: Path, table: str) -> None:
    expected = burn_from_files(*files(rows(90, bad_from=80)))
    stamps = {"epoch": lambda t: int(t.timestamp()), "floats": datetime.timestamp, "naive": lambda t: f"{t:%F %T}"}
    counters, declared = files(rows(90, bad_from=80, stamp=stamps.get(table, datetime.isoformat)))
    text = counters.read_text()
    match table:
        case "tsv":
            counters.write_text(text.replace(",", "\t"))
        case "gz":
            import gzip

            counters = tmp_path / "counters[1]*.csv.gz"
            counters.write_bytes(gzip.compress(text.encode()))
        case "parquet":
            duckdb.sql("SET TimeZone = 'UTC'")
            duckdb.read_csv(str(counters)).write_parquet(str(tmp_path / "counters.parquet"))
            counters = tmp_path / "counters.parquet"
        case "series text":
            lines = [line.split(",") for line in text.splitlines()[1:]]
            body = "".join(f'{ts},"{name}{{code=""{code}""}}",{value}\n' for ts, name, value, code in lines)
            counters.write_text("ts,series,value\n" + body)
        case "quoted":
            counters.write_text("\ufeff" + text.replace("requests_total", '"requests_total"').replace("\n", "\r\n"))
    assert burn_from_files(counters, declared) == expected


def test_the_moment_asked_for_is_taken_down_to_its_minute_and_later_samples_do_not_count(files: Any) -> None:
    counters, declared = files(rows(121, bad_from=60))
    early = burn_from_files(counters, declared, minute(59) + timedelta(seconds=40))
    assert early.at == minute(59)
    assert only(early)["burn_rates"]["1h"] == 0
    assert only(burn_from_files(counters, declared, minute(64)))["burn_rates"]["5m"] == pytest.approx(50)


def test_without_events_there_is_no_rate_never_a_number(files: Any) -> None:
    counters, declared = files(rows(61))
    found = only(burn_from_files(counters, declared, minute(90)))
    assert found["burn_rates"]["5m"] is None and found["burn_rates"]["1h"] == 0
    before = only(burn_from_files(counters, declared, minute(-90)))
    assert set(before["burn_rates"].values()) == {None}
    assert before["budget"]["consumed"] is None and before["budget"]["status"] == "no_data"
    assert not any(alert["firing"] for alert in before["alerts"])


def test_the_service_column_is_the_service_and_without_one_services_do_not_matter(files: Any) -> None:
    of_two = [(*row, name) for name in ("shop", "other") for row in rows(61, bad_from=0 if name == "other" else 99)]
    header = "ts,series,value,code,service"
    found = burn_from_files(*files(of_two, slo(), slo(name="second", service="other"), header=header))
    assert [row["burn_rates"]["1h"] for row in found.slos] == pytest.approx([0, 50])
    with pytest.raises(CogniforgeError, match="of service third") as raised:
        burn_from_files(*files(of_two, slo(service="third"), header=header))
    assert "requests_total" in str(raised.value) and "other, shop" in str(raised.value)


def test_a_sloth_file_is_read_with_its_job_as_a_label(files: Any, tmp_path: Path) -> None:
    query = 'sum(rate(requests_total{job="shop"%s}[{{.window}}]))'
    events = {"error_query": query % ',code=~"5.."', "total_query": query % ""}
    spec = {"name": "requests", "objective": 99, "sli": {"events": events}}
    sloth = tmp_path / "sloth.yml"
    sloth.write_text(yaml.safe_dump({"version": "prometheus/v1", "service": "web", "slos": [spec]}))
    jobs = [(*row, job) for job in ("shop", "other") for row in rows(61, bad_from=60 if job == "shop" else 0)]
    counters, _ = files(jobs, header="ts,series,value,code,job")
    found = only(burn_from_files(counters, sloth))
    assert (found["slo_id"], found["service"]) == ("web-requests", "web")
    assert found["burn_rates"]["1h"] == pytest.approx(50 / 6000 * 100)


def test_an_slo_that_cannot_be_computed_says_so_beside_those_that_can(files: Any) -> None:
    recorded = {"metricSource": {"type": "recorded", "spec": {}}}
    indicator = {"metadata": {"name": "r"}, "spec": {"ratioMetric": {"raw": recorded, "rawType": "success"}}}
    report = burn_from_files(*files(rows(61), slo(), slo(name="told", indicator=indicator)))
    assert report.slos[0]["burn_rates"]["1h"] == 0
    told = report.slos[1]
    assert set(told["burn_rates"].values()) == {None} and told["budget"] is None and "record_sli" in told["note"]


def test_a_query_of_an_slo_file_can_read_the_counters_and_no_file(files: Any, tmp_path: Path) -> None:
    def of(query: str) -> dict[str, Any]:
        source = {"metricSource": {"type": "sql", "spec": {"query": query}}}
        return slo(
            indicator={"metadata": {"name": "q"}, "spec": {"ratioMetric": {"raw": source, "rawType": "success"}}}
        )

    report = burn_from_files(*files(rows(61), of("SELECT ts, 9 AS good, 10 AS total FROM aiops.telemetry")))
    assert only(report)["burn_rates"]["1h"] == pytest.approx(10)
    (tmp_path / "secret.csv").write_text("ts,good,total\n2024-05-01,1,1\n")
    with pytest.raises(CogniforgeError, match="cannot be computed"):
        burn_from_files(*files(rows(61), of(f"SELECT * FROM read_csv('{tmp_path}/secret.csv')")))


@pytest.mark.parametrize(
    ("header", "text", "message"),
    [
        ("ts,name,value", "2024-05-01,a,1\n", "no column series; its columns are ts, name, value"),
        ("ts,series,value", "2024-05-01T00:00:00Z,a,1\nyesterday,a,2\n", "row 2 after the header: ts is 'yesterday'"),
        ("ts,series,value", "1714521600000,a,1\n", "ts is '1714521600000'"),
        ("ts,series,value", "2024-05-01,a,1\n2024-05-02,a,many\n2024-05-03,a,x\n", "value is 'many', and in 1 more"),
        ("ts,series,value", "2024-05-01,a,inf\n", "value is 'inf'"),
        ("ts,series,value", "2024-05-01,,1\n", "series is ''"),
        ("ts,series,value", "2024-05-01,a{b=~'c'},1\n", "labels with ="),
        ("ts,series,value", "2024-05-01,a,1\n2024-05-01,a,2\n", "two values at 2024-05-01T00:00:00"),
        ("ts,series,value", "", "has no samples"),
        ("ts,series,value", "2024-05-01,other,\n2024-05-02,other,NaN\n", "has no samples"),
        ("ts,series,value", "2024-05-01,other,1\n", "no series matches requests_total"),
    ],
)
def test_counters_that_cannot_be_used_are_refused_with_the_place(
    files: Any, header: str, text: str, message: str
) -> None:
    with pytest.raises(CogniforgeError) as raised:
        burn_from_files(*files(text, header=header))
    assert message in raised.value.message
    assert raised.value.hint


def test_a_raw_ratio_outside_0_to_1_is_refused_with_its_time(files: Any) -> None:
    source = {"metricSource": {"type": "cogniforge", "spec": {"metric": "ratio"}}}
    indicator = {"metadata": {"name": "r"}, "spec": {"ratioMetric": {"raw": source, "rawType": "success"}}}
    text = "2024-05-01T00:00:00Z,ratio,0.9\n2024-05-01T00:01:00Z,ratio,1.5\n"
    with pytest.raises(CogniforgeError, match="checkout: a raw ratio in the minute to 2024-05-01T00:01:00"):
        burn_from_files(*files(text, slo(indicator=indicator), header="ts,series,value"))
    found = only(
        burn_from_files(*files(text.replace("1.5", "0.7"), slo(indicator=indicator), header="ts,series,value"))
    )
    assert found["burn_rates"]["5m"] == pytest.approx(20)


@pytest.mark.parametrize("kind", ["missing", "binary", "torn parquet"])
def test_a_file_that_is_no_table_is_an_error_that_names_it(files: Any, tmp_path: Path, kind: str) -> None:
    counters, declared = files(rows(2))
    counters = tmp_path / "odd"
    if kind != "missing":
        counters.write_bytes(b"PAR1 no more" if kind == "torn parquet" else bytes(range(256)) * 20)
    with pytest.raises(CogniforgeError, match="odd"):
        burn_from_files(counters, declared)


def test_broken_slos_are_named_by_file_and_line(files: Any, tmp_path: Path) -> None:
    counters, declared = files(rows(2), slo(), {**slo(), "kind": "SLOO"})
    with pytest.raises(CogniforgeError, match=r"slos\.yaml:\d+:\d+: kind: expected one of"):
        burn_from_files(counters, declared)
    with pytest.raises(CogniforgeError, match="more than once"):
        burn_from_files(*files(rows(2), slo(), slo()))


def test_the_command_prints_json_or_a_table(files: Any, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("COLUMNS", "250")
    counters, declared = files(rows(121, bad_from=100))
    asked = ("slo", "burn", "--counters", counters, "--slo", declared)
    told = json.loads(cli(*asked, "--json").out)
    assert told == burn_from_files(counters, declared).to_json()
    assert told["at"] == "2024-05-01T02:00:00+00:00"
    assert json.loads(cli(*asked, "--json", "--at", "1714521600").out)["at"] == "2024-05-01T00:00:00+00:00"
    shown = cli(*asked, "--at", "2024-05-01T02:00:00Z").out
    assert "checkout" in shown and "page-1h" in shown and "50" in shown
    wrong = cli(*asked, "--at", "noon")
    assert wrong.code == 1 and "not a time: 'noon'" in wrong.err


@pytest.mark.skipif(not SLOTH.is_dir(), reason="the Sloth examples are not beside the checkout")
@pytest.mark.parametrize("path", sorted(SLOTH.glob("*")) if SLOTH.is_dir() else [], ids=lambda path: path.name)
def test_an_example_of_sloth_becomes_files_that_say_the_same(cli: Cli, tmp_path: Path, path: Path) -> None:  # noqa: F811
    answer = cli("slo", "import", path, "--output", tmp_path / "slos")
    assert answer.code == 0, answer.err
    loaded = load_platform(tmp_path, [OPENSLO_KIND]).check()
    written = {objective.slo_id: objective for objective in resolve(loaded.declarations).check()}
    told = {objective.slo_id: objective for objective in read_objectives(path)}
    assert {name: (o.target, o.window, o.alert_severities) for name, o in written.items()} == {
        name: (o.target, o.window, o.alert_severities) for name, o in told.items()
    }
    assert ("not computable here" in answer.out) == any(o.not_computable for o in told.values())


def sloth_file(folder: Path, name: str = "requests", **slo: Any) -> Path:
    query = 'sum(rate(requests_total{job="shop"}[{{.window}}]))'
    one = {"name": name, "objective": 99, "sli": {"events": {"error_query": query, "total_query": query}}, **slo}
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump({"version": "prometheus/v1", "service": "web", "slos": [one]}))
    return path


def test_what_an_import_loses_is_said(cli: Cli, tmp_path: Path) -> None:  # noqa: F811
    alerting = {"name": "Odd", "labels": {"team": "1e3"}, "page_alert": {"disable": True}}
    answer = cli("slo", "import", sloth_file(tmp_path, alerting=alerting), "--output", tmp_path / "slos")
    assert "alerts are kept as text" in answer.out
    (objective,) = read_objectives(tmp_path / "slos" / "web-requests.yaml")
    assert objective.alert_severities == ("ticket",)
    off = {"page_alert": {"disable": True}, "ticket_alert": {"disable": True}}
    assert "!" not in cli("slo", "import", sloth_file(tmp_path, "quiet", alerting=off), "--output", tmp_path / "s").out


def test_an_import_overwrites_only_when_forced_and_writes_all_or_nothing(cli: Cli, tmp_path: Path) -> None:  # noqa: F811
    folder = tmp_path / "home"
    assert cli("init", folder).code == 0
    first, second = sloth_file(tmp_path), sloth_file(tmp_path, "latency")
    assert cli("slo", "import", first, "--home", folder).code == 0
    target = folder / "platform" / "slos" / "web-requests.yaml"
    target.write_text("mine")
    refused = cli("slo", "import", first, second, "--home", folder)
    assert refused.code == 1 and "web-requests.yaml already" in refused.err
    assert target.read_text() == "mine" and not (target.parent / "web-latency.yaml").exists()
    assert cli("slo", "import", first, second, "--home", folder, "--force").code == 0
    assert "kind: SLO" in target.read_text()


def test_an_slo_that_another_file_declares_is_not_imported_beside_it(cli: Cli, tmp_path: Path) -> None:  # noqa: F811
    folder = tmp_path / "slos"
    folder.mkdir()
    (folder / "mine.yaml").write_text(yaml.safe_dump(slo(name="web-requests")))
    refused = cli("slo", "import", sloth_file(tmp_path), "--output", folder, "--force")
    assert refused.code == 1 and "also in slos/mine.yaml:1" in refused.err
    assert not (folder / "web-requests.yaml").exists()


def test_two_files_that_become_the_same_slo_are_refused(cli: Cli, tmp_path: Path) -> None:  # noqa: F811
    other = tmp_path / "other"
    other.mkdir()
    refused = cli("slo", "import", sloth_file(tmp_path), sloth_file(other), "--output", tmp_path / "slos")
    assert refused.code == 1 and "more than one SLO becomes 'web-requests'" in refused.err
    assert not (tmp_path / "slos").exists()
