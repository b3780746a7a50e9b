"""The known answers are in the data: visible where they act, and nothing else stands out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from generate import simulate
from hypothesis import given
from hypothesis import strategies as st
from shop_incidents import HERE, KINDS, Effect, Incident, read_deployments, read_incidents, read_maintenance
from shop_model import DAY, SERVICES, Floats, Series, seasonal, since_restart

INCIDENTS = read_incidents()
LAG = 15


@pytest.fixture(scope="module")
def runs() -> tuple[list[Series], list[Series]]:
    return simulate()[0], simulate(incidents=[])[0]


def by_5_minutes(series: Series, first: int = 0, last: int | None = None) -> Floats:
    """Means over 5 minutes, of the rise for a counter."""
    values: Floats = series.values
    if series.kind == "counter":
        rise = np.diff(values, prepend=0)
        values = np.where(rise < 0, values, rise)
    values = values[first // series.step : None if last is None else last // series.step]
    group = 5 // series.step
    means: Floats = values[: len(values) // group * group].reshape(-1, group).mean(axis=1)
    return means


def change(actual: Series, healthy: Series, incident: Incident) -> float:
    """The largest relative change in the window; for counts of errors in units of four times the usual."""
    last = incident.minute + incident.minutes + LAG
    if not np.array_equal(actual.present, healthy.present):
        window = slice(incident.minute // actual.step, last // actual.step)
        if not np.array_equal(actual.present[window], healthy.present[window]):
            return 1.0
    before, after = by_5_minutes(healthy, incident.minute, last), by_5_minutes(actual, incident.minute, last)
    rare = actual.labels.get("code") in ("4xx", "5xx")
    return float(np.max(np.abs(after - before) / (4 * (before + 1) if rare else before)))


def at_once(one: Incident, other: Incident) -> bool:
    return one.minute <= other.minute + other.minutes + LAG and other.minute <= one.minute + one.minutes + LAG


def test_there_are_fourteen_incidents_of_ten_kinds_after_a_quiet_week() -> None:
    assert len({incident.id for incident in INCIDENTS}) == 14
    assert {incident.kind for incident in INCIDENTS} == set(KINDS)
    assert len(KINDS) == 10
    assert all(incident.minute >= 7 * DAY for incident in INCIDENTS)
    assert all(incident.minute + incident.minutes < 21 * DAY for incident in INCIDENTS)


def test_the_readme_tells_the_same_answers() -> None:
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    for incident in INCIDENTS:
        (line,) = [line for line in readme.splitlines() if line.startswith(f"| {incident.id} |")]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1:4:2] == [incident.kind.replace("_", " "), incident.cause]
        assert cells[2].startswith(incident.service)
        hours, minutes = divmod(incident.minute % DAY, 60)
        assert cells[4] == f"{incident.minute // DAY}, {hours:02}:{minutes:02}"


def test_answers_name_services_of_the_shop() -> None:
    names = {service.name for service in SERVICES}
    for incident in INCIDENTS:
        assert {incident.service, incident.cause} <= set(incident.affected) <= names


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda incident: incident.id)
def test_an_incident_shows_in_its_metric_and_at_all_affected_services(
    runs: tuple[list[Series], list[Series]], incident: Incident
) -> None:
    seen: dict[str, float] = {}
    for actual, healthy in zip(*runs, strict=True):
        seen[actual.service] = max(seen.get(actual.service, 0.0), change(actual, healthy, incident))
        if (actual.service, actual.metric) == (incident.service, incident.metric):
            seen["metric"] = max(seen.get("metric", 0.0), change(actual, healthy, incident))
    assert incident.metric == "*" or seen["metric"] > 0.25
    assert {service: seen[service] for service in incident.affected if seen[service] < 0.09} == {}
    elsewhere = {s for other in INCIDENTS if at_once(incident, other) for s in other.affected}
    recorded = {"recommendation"} if incident.minute < 18 * DAY else set()
    unexplained = set(seen) - {"metric"} - elsewhere - recorded
    assert {service: seen[service] for service in unexplained if seen[service] > 0.2} == {}


def test_cascades_start_at_the_cause_and_reach_the_user_later(
    runs: tuple[list[Series], list[Series]],
) -> None:
    for incident in (incident for incident in INCIDENTS if incident.kind == "cascading"):
        onset = {}
        for actual, healthy in zip(*runs, strict=True):
            if actual.labels.get("quantile") == "0.99":
                moved = np.abs(actual.values / healthy.values - 1)[incident.minute :] > 0.01
                onset[actual.service] = int(np.argmax(moved))
        assert onset[incident.cause] < onset["api-gateway"] < onset["web"] < 20


def test_without_incidents_nothing_changes_outside_their_windows(
    runs: tuple[list[Series], list[Series]],
) -> None:
    quiet = np.ones(21 * DAY, dtype=np.bool_)
    for incident in INCIDENTS:
        quiet[incident.minute : incident.minute + incident.minutes + LAG] = False
    for actual, healthy in zip(*runs, strict=True):
        if actual.kind == "gauge":
            outside = quiet[:: actual.step]
            np.testing.assert_array_equal(actual.values[outside], healthy.values[outside])


def test_a_healthy_day_looks_like_the_same_day_a_week_before(
    runs: tuple[list[Series], list[Series]],
) -> None:
    expected = np.zeros(21 * DAY, dtype=np.bool_)
    for window in read_maintenance():
        expected[window.minute : window.minute + window.minutes + LAG] = True
    for series in runs[1]:
        if series.labels.get("code") in ("4xx", "5xx"):
            continue
        values = by_5_minutes(series)
        group = DAY * 7 // 5
        usual = ~(expected[::5][group:] | expected[::5][:-group])
        ratio = (values[group:] / values[:-group])[usual]
        tolerance = 0.35 if series.metric == "queue_depth" else 0.25
        assert np.max(np.abs(np.log(ratio))) < tolerance, (series.service, series.metric, series.labels)


def test_each_bad_version_comes_shortly_before_the_incident_it_caused() -> None:
    answers = {incident.id: incident for incident in INCIDENTS}
    blamed = [deployment for deployment in read_deployments() if deployment.incident]
    assert len(blamed) >= 5
    for deployment in blamed:
        incident = answers[str(deployment.incident)]
        assert deployment.service == incident.cause
        assert 0 <= incident.minute - deployment.minute <= 60


def test_an_incident_that_does_not_fit_into_the_days_is_left_out() -> None:
    _, deployments, seeded = simulate(days=9)
    assert [incident.id for incident in seeded] == ["inc-01", "inc-02"]
    assert all(deployment.minute < 9 * DAY for deployment in deployments)


def test_an_unknown_kind_of_incident_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "incidents.yaml"
    path.write_text(
        "incidents: [{id: x, kind: hiccup, service: web, metric: cpu_usage, day: 1, at: '10:00', minutes: 5,"
        " cause: web, affected: [web], note: ''}]",
        encoding="utf-8",
    )
    with pytest.raises(ValueError, match="hiccup"):
        read_incidents(path)
    assert Effect("spike", "web", "cpu_usage", 0, 5).kind == "spike"


@given(
    rises=st.lists(st.integers(0, 50), min_size=1, max_size=60),
    restarts=st.sets(st.integers(1, 70), max_size=4),
)
def test_a_restarted_counter_loses_no_event(rises: list[int], restarts: set[int]) -> None:
    counter = since_restart(np.cumsum(np.array(rises, dtype=np.float64)), sorted(restarts))
    starts = [0, *sorted(minute for minute in restarts if minute < len(rises)), len(rises)]
    for first, last in zip(starts, starts[1:], strict=False):
        np.testing.assert_array_equal(counter[first:last], np.cumsum(rises[first:last]))


@given(minute=st.floats(0, 60 * DAY))
def test_traffic_has_no_jumps(minute: float) -> None:
    now, then = seasonal(datetime(2026, 10, 11, tzinfo=UTC), np.array([minute, minute + 1]))
    assert abs(now / then - 1) < 0.01
