"""The UI of a finished home, running, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cogniforge_pipeline import runner
from cogniforge_pipeline.definitions import open_home
from cogniforge_pipeline.settings import load_settings
from tests.support.pipeline import Pipeline, at, csv
from tests.support.webserver import Ui

DAYS = 4


def points(day: int, service: str, *, first: int = 0, step: int = 10) -> str:
    """A file of one service's day: a point every `step` minutes."""
    start = at("2026-03-01 00:00") + timedelta(days=day)
    moments = [start + timedelta(minutes=n) for n in range(first, 1440, step)]
    return csv((ts, service, "latency_ms", 100.0 + ts.minute % 7) for ts in moments)


@pytest.fixture(scope="package")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    """`cogniforge ui` of a home with four days of two services (2026-03-01 to 04), one of them with a bad row.

    Tests may drop files into its landing/, and must leave the home as quiet as they found it.
    """
    folder: Path = tmp_path_factory.mktemp("ui") / "home"
    work = Pipeline(folder)
    for day in range(DAYS):
        work.drop(f"web-{day}.csv", points(day, "web"))
        work.drop(f"api-{day}.csv", points(day, "api"))
    work.drop("bad.csv", "timestamp,service,metric,value\n2026-03-04T10:15:00Z,web,latency_ms,oops\n")
    assert runner.run(open_home(load_settings(folder, environ={}))).success
    with Ui(folder) as running:
        yield running
        left = running.stop()
    assert not left, f"still there after Ctrl-C: {left}"
