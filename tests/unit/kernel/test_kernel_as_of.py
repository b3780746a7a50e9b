"""Time is an input: decisions hold for the time of the data, and any moment can be asked again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from cogniforge_pipeline import runner
from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.publish import MATERIALIZATIONS
from cogniforge_pipeline.settings import load_settings
from tests.support.pipeline import HEALTH, Pipeline, at, csv, lean

NEWEST = at("2014-04-05 12:00")
PAST = at("2014-04-05 11:00")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home after its first run over data of 2014; `db` speaks until 11:20, `web` until noon."""
    work = Pipeline(tmp_path_factory.mktemp("past") / "home")
    moments = [NEWEST - timedelta(minutes=5 * n) for n in range(30)]
    rows = [(ts, service, "cpu", 1.0) for ts in moments for service in ("web", "db")]
    work.drop("old.csv", csv(row for row in rows if row[1] == "web" or row[0] <= at("2014-04-05 11:20")))
    with lean():
        home = open_home(load_settings(work.folder, environ={"COGNIFORGE_DOMAINS": "aiops"}))
    assert runner.run(home).success
    yield home


def health(home: Home) -> list[tuple[object, ...]]:
    query = f"SELECT as_of, service, status FROM {HEALTH} ORDER BY service"
    return home.lake.cursor().execute(query).fetchall()


def entries(home: Home) -> int:
    query = f"SELECT count(*) FROM {MATERIALIZATIONS} WHERE table_name = '{HEALTH}'"
    return home.lake.cursor().execute(query).fetchall()[0][0]


def test_data_of_2014_gives_the_decisions_of_2014(home: Home) -> None:
    assert health(home) == [(NEWEST, "db", "unknown"), (NEWEST, "web", "healthy")]


def test_running_again_gives_the_same_answer_and_publishes_nothing(home: Home) -> None:
    before = health(home), entries(home)
    assert runner.run(home).success
    assert (health(home), entries(home)) == before


def test_a_past_moment_can_be_asked_and_then_the_newest_again(home: Home) -> None:
    before = health(home)
    assert runner.run(home, as_of=PAST).success
    assert health(home) == [(PAST, "db", "healthy"), (PAST, "web", "healthy")]
    assert runner.run(home, select="aiops/service_health").success
    assert health(home) == before


def test_without_telemetry_the_clock_tells_the_time(pipeline: Pipeline) -> None:
    before = datetime.now(UTC)
    assert before - timedelta(seconds=1) <= pipeline.home.as_of() <= datetime.now(UTC)
