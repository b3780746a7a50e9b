"""The rule of quality trends against the statistics module."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.data_mesh.trends import HISTORY, KEPT, LEAST, LIMIT, SHARE_FLOOR, VOLUME_FLOOR
from tests.support.tables import compute

START = datetime(2026, 3, 1, tzinfo=UTC)
FIGURES = st.tuples(st.integers(0, 3000), st.sampled_from([0.9, 0.99, 1.0]), st.sampled_from([0.0, 0.001, 0.2]))


def trends(figures: list[tuple[int, float, float]], product: str = "shop.orders") -> list[dict[str, Any]]:
    log = [
        {
            "product_id": product,
            "timestamp": START + timedelta(minutes=n),
            "version": n,
            "volume": volume,
            "completeness": completeness,
            "error_rate": error_rate,
        }
        for n, (volume, completeness, error_rate) in enumerate(figures)
    ]
    return compute("data_mesh.quality_trends", {"data_mesh.quality_metrics": log}, {"as_of": START})


def score(history: list[float], value: float, floor: float) -> float | None:
    if len(history) < LEAST:
        return None
    middle = median(history)
    return (value - middle) / max(1.4826 * median(abs(x - middle) for x in history), floor)


@given(st.lists(FIGURES, min_size=1, max_size=HISTORY + 5))
@settings(max_examples=30, deadline=None)
def test_every_score_is_the_distance_from_the_median_of_what_came_before(
    figures: list[tuple[int, float, float]],
) -> None:
    for n, row in enumerate(trends(figures)):
        past = figures[max(n - HISTORY, 0) : n]
        volumes, completes, errors = ([float(entry[i]) for entry in past] for i in range(3))
        volume = score(volumes, row["volume"], max(VOLUME_FLOOR * median(volumes), 1) if volumes else 1)
        completeness = score(completes, row["completeness"], SHARE_FLOOR)
        error_rate = score(errors, row["error_rate"], SHARE_FLOOR)
        assert row["history"] == len(past)
        found = [row["volume_score"], row["completeness_score"], row["error_rate_score"]]
        assert found == [None if s is None else pytest.approx(s, abs=1e-9) for s in (volume, completeness, error_rate)]
        unusual = [s for s in found[:2] if s is not None and s <= -LIMIT]
        unusual += [s for s in found[2:] if s is not None and s >= LIMIT]
        assert (row["is_anomaly"], len(row["reasons"])) == (bool(unusual), len(unusual))


@given(st.integers(100, 10_000), st.integers(LEAST, 30), st.floats(0.81, 3))
@settings(max_examples=20, deadline=None)
def test_a_volume_that_never_varied_may_lose_less_than_a_fifth(usual: int, count: int, factor: float) -> None:
    last = trends([(usual, 1.0, 0.0)] * count + [(round(usual * factor), 1.0, 0.0)])[-1]
    assert not last["is_anomaly"]


def test_a_drop_that_lasts_becomes_usual() -> None:
    rows = trends([(1000, 1.0, 0.0)] * HISTORY + [(100, 1.0, 0.0)] * HISTORY)
    assert [row["is_anomaly"] for row in rows[HISTORY:]] == [True] * 10 + [False] * 10


def test_an_empty_publication_after_full_ones_is_an_anomaly_and_after_empty_ones_is_not() -> None:
    assert trends([(1000, 1.0, 0.0)] * LEAST + [(0, 1.0, 0.0)])[-1]["reasons"] == ["0 rows, usually 1000"]
    assert not trends([(0, 1.0, 0.0)] * (LEAST + 1))[-1]["is_anomaly"]


def test_of_each_product_the_last_publications_are_kept_with_their_whole_history() -> None:
    rows = trends([(1000, 1.0, 0.0)] * (KEPT + HISTORY + 5))
    assert [row["version"] for row in rows] == list(range(HISTORY + 5, KEPT + HISTORY + 5))
    assert {row["history"] for row in rows} == {HISTORY}
