"""The figures of slo-generator's own cases, where it gives a report: sli, burn rate and budget left.

Its reports: sli = good / (good + bad), burn rate = (1 - sli) / (1 - goal), nothing where there are no events or too few
of them. Counts of -1 mean that the backend had no such series.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from cogniforge_pipeline.registry import REGISTRY
from tests.support.tables import compute, declared

CASES = Path(__file__).parents[4] / "shared" / "data" / "sre" / "slo_generator_dummy_tests.json"
AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
GOAL = 0.99
SLO = {
    "apiVersion": "openslo/v1",
    "kind": "SLO",
    "metadata": {"name": "dummy", "annotations": {"cogniforge.dev/minimum-events": "10"}},
    "spec": {
        "service": "web",
        "indicator": {
            "metadata": {"name": "dummy"},
            "spec": {
                "ratioMetric": {
                    "counter": True,
                    "good": {"metricSource": {"type": "cogniforge", "spec": {"metric": "good"}}},
                    "total": {"metricSource": {"type": "cogniforge", "spec": {"metric": "total"}}},
                }
            },
        },
        "timeWindow": [{"duration": "30d", "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"target": GOAL}],
    },
}


def cases() -> dict[str, dict[str, Any]]:
    """Those with counts; the others have no number of events, which an SLI as a share of events needs."""
    if not CASES.exists():
        return {}
    found = yaml.safe_load(CASES.read_text())  # not quite JSON: it has commas before closing braces
    return {name: case for name, case in found.items() if case["method"] == "good_bad_ratio"}


@pytest.mark.skipif(not CASES.exists(), reason="slo_generator_dummy_tests.json is not beside the repository")
def test_budgets_agree_with_slo_generator_and_nothing_is_claimed_without_events() -> None:
    judged = []
    for name, case in cases().items():
        counts = [case["good_events"], case["bad_events"]]
        if any(isinstance(count, dict) for count in counts):
            continue  # an answer that is no number does not become telemetry
        good, bad = (max(count or 0, 0) for count in counts)
        row = {"slo_id": "dummy", "ts": AS_OF, "good": good, "bad": bad, "total": good + bad}
        [budget] = compute("sre.error_budgets", {REGISTRY: declared(SLO), "sre.sli_1m": [row]}, {"as_of": AS_OF})
        if good + bad == 0:
            assert (budget["sli"], budget["consumed"], budget["status"]) == (None, None, "no_data"), name
            continue
        sli = good / (good + bad)
        rate = (1 - sli) / (1 - GOAL)
        assert budget["sli"] == pytest.approx(sli, rel=1e-12), name
        assert budget["consumed"] == pytest.approx(rate, rel=1e-12), "over the whole window both are the same ratio"
        assert budget["remaining"] == pytest.approx(1 - rate, rel=1e-12)
        judged.append(name)
    assert set(judged) == {"enough_events", "no_good_events", "no_bad_events", "not_enough_events"}
