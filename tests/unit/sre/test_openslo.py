from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from cogniforge_pipeline.declarations import DeclarationsInvalid, Platform, declare, load_platform
from cogniforge_pipeline.sre.openslo import OPENSLO_KIND
from cogniforge_pipeline.sre.resolve import resolve

EXAMPLES = Path(__file__).parents[4] / "shared/data/sre/openslo_examples"

SLO = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: checkout-availability
  displayName: Checkout works
  labels: {team: [shop, web]}
  annotations:
    cogniforge.dev/minimum-events: "100"
    other.example/owner: me
spec:
  service: checkout
  indicator:
    metadata: {name: checkout-errors}
    spec:
      ratioMetric:
        counter: true
        bad:
          metricSource:
            type: cogniforge
            spec: {metric: http_requests_total, labels: ['code=~"5.."']}
        total:
          metricSource:
            type: cogniforge
            spec: {metric: http_requests_total}
  timeWindow:
    - duration: 30d
      isRolling: true
  budgetingMethod: Occurrences
  objectives:
    - target: 0.999
"""


def load(folder: Path, *texts: str) -> Platform:
    (folder / "slos").mkdir(exist_ok=True)
    for number, text in enumerate(texts):
        (folder / "slos" / f"{number}.yaml").write_text(text)
    return load_platform(folder, [OPENSLO_KIND])


def document(**spec: Any) -> dict[str, Any]:
    found = copy.deepcopy(yaml.safe_load(SLO))
    found["spec"] |= spec
    return dict(found)


def problems(spec: dict[str, Any]) -> str:
    with pytest.raises(DeclarationsInvalid) as caught:
        declare(OPENSLO_KIND, spec)
    return "\n".join(map(str, caught.value.problems))


def test_a_document_is_declared_by_its_name_and_line(tmp_path: Path) -> None:
    (found,) = load(tmp_path, "# the shop\n---\n" + SLO).check().of(OPENSLO_KIND)

    assert (found.name, found.path, found.line) == ("checkout-availability", "slos/0.yaml", 3)


def test_documents_of_other_kinds_do_not_clash_with_an_slo_of_the_same_name(tmp_path: Path) -> None:
    service = "apiVersion: openslo/v1\nkind: Service\nmetadata: {name: checkout-availability}\nspec: {}\n"

    names = {found.name for found in load(tmp_path, SLO, service).check().of(OPENSLO_KIND)}

    assert names == {"checkout-availability", "Service:checkout-availability"}


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("displayName:", "displayname:", 5, "unknown key 'displayname' (did you mean 'displayName'?)"),
        ("target: 0.999", "target: 1", 30, "less than 1"),
        ("target: 0.999", "target: yes", 30, "expected a number, got 'yes'"),
        ("target: 0.999", "target: '1e-999999999'", 30, "at most 30 places"),
        ("target: 0.999", "displayName: x", 30, "expected either target (0.999) or targetPercent (99.9)"),
        ("target: 0.999", "target: 0.9\n      targetPercent: 90", 30, "expected either target"),
        ("duration: 30d", "duration: 30D", 26, "expected a duration such as 5m"),
        ("      isRolling: true\n", "", 26, "expected either isRolling: true or a calendar"),
        ("Occurrences", "Occurences", 28, "did you mean 'Occurrences'?"),
        ("Occurrences", "Timeslices", 30, "Timeslices needs timeSliceWindow"),
        ("target: 0.999", "target: 0.9\n      timeSliceWindow: 1m", 31, "time slices go with budgetingMethod"),
        ("target: 0.999", "target: 0.9\n      compositeWeight: 2", 31, "a weight goes with an indicator"),
        ("        bad:", "        worse:", 17, "unknown key 'worse'"),
        ("        bad:", "        good: {metricSource: {type: x}}\n        bad:", 16, "expected good and total"),
        ("code=~", "code~", 20, 'expected a matcher such as code=~"5.."'),
        ("5..", "(5..", 20, "not a regular expression (RE2)"),
        ("metric: http_requests_total}", "metrics: http_requests_total}", 24, "did you mean 'metric'?"),
        ("minimum-events", "minimum-event", 8, "unknown annotation cogniforge.dev/minimum-event; known are"),
        ('"100"', '"many"', 8, "expected a whole number, got 'many'"),
        ("other.example/owner: me", "other.example/owner: 1", 9, "put it in quotes"),
        ("kind: SLO", "kind: SLIO", 2, "expected one of"),
        ("openslo/v1", "openslo/v1alpha", 1, "expected 'openslo/v1'"),
        ("checkout-availability", "checkout availability", 4, "should match pattern"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_line(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    assert SLO.count(old) >= 1
    text = new.join(SLO.rsplit(old, 1))
    found = load(tmp_path, text).problems

    assert any(problem.path == "slos/0.yaml" and message in str(problem) for problem in found), list(map(str, found))
    assert line in {problem.line for problem in found}, list(map(str, found))


@pytest.mark.parametrize(
    "spec",
    [
        {"timeWindow": [{"duration": "1M", "calendar": {"startTime": "2024-01-01 00:00:00", "timeZone": "UTC"}}]},
        {"timeWindow": []},
        {"budgetingMethod": "Timeslices", "objectives": [{"target": 0, "timeSliceTarget": 1, "timeSliceWindow": 5}]},
        {"budgetingMethod": "RatioTimeslices", "objectives": [{"targetPercent": 95, "timeSliceWindow": "1m"}]},
        {"alertPolicies": None},
        {"objectives": [{"displayName": "strict", "target": 0.999}, {"op": "gt", "target": 0.99}]},
    ],
)
def test_what_openslo_allows_is_accepted(spec: dict[str, Any]) -> None:
    declare(OPENSLO_KIND, document(**spec))


def test_a_model_of_a_document_declares_the_same_as_the_document() -> None:
    written = declare(OPENSLO_KIND, document())

    assert declare(OPENSLO_KIND, written.model).model == written.model


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"indicatorRef": "other"}, "indicator or indicatorRef, not both"),
        ({"indicator": None}, "expected indicator or indicatorRef"),
        ({"objectives": []}, "at least 1 item"),
        ({"objectives": [{"target": 0.9, "indicatorRef": "x"}]}, "at each of its objectives and none beside"),
        ({"timeWindow": [{"duration": "1d", "isRolling": True}] * 2}, "at most 1 item"),
        (
            {
                "budgetingMethod": "RatioTimeslices",
                "timeWindow": [{"duration": "1h", "isRolling": True}],
                "objectives": [{"target": 0.9, "timeSliceWindow": "2h"}],
            },
            "2h is longer than the window of 1h",
        ),
        (
            {"indicator": {"metadata": {"name": "x"}, "spec": {"thresholdMetric": {"metricSource": {"type": "x"}}}}},
            "a thresholdMetric needs op and value",
        ),
        (
            {"indicator": {"metadata": {"name": "x"}, "spec": {"thresholdMetric": {"metricSource": {}}}}},
            "expected `type: cogniforge`",
        ),
    ],
)
def test_what_openslo_does_not_allow_is_refused(spec: dict[str, Any], message: str) -> None:
    assert message in problems(document(**spec))


@pytest.mark.parametrize(
    ("ratio", "message"),
    [
        ({"raw": {"metricSource": {"type": "sql", "spec": {"query": "DROP TABLE x"}}}}, "expected one SELECT"),
        ({"raw": {"metricSource": {"type": "sql", "spec": {"query": "SELECT 1; SELECT 2"}}}}, "expected one SELECT"),
        ({"raw": {"metricSource": {"type": "sql", "spec": {"query": "SELEC 1"}}}}, "not SQL"),
        ({"raw": {"metricSource": {"type": "cogniforge", "spec": {"metric": "x"}}}}, "raw needs rawType"),
        (
            {"raw": {"metricSource": {"type": "recorded"}}, "rawType": "failure"},
            "so its rawType is success",
        ),
        (
            {
                "good": {"metricSource": {"type": "sql", "spec": {"query": "SELECT 1"}}},
                "total": {"metricSource": {"type": "cogniforge", "spec": {"metric": "x"}}},
            },
            "put it under raw",
        ),
        (
            {
                "good": {"metricSource": {"type": "prometheus", "spec": {"query": "x"}}},
                "total": {"metricSource": {"type": "cogniforge", "spec": {"metric": "x"}}},
            },
            "one of good, bad and total is computed here",
        ),
        (
            {
                "good": {"metricSource": {"type": "cogniforge", "spec": {"metric": "x", "measure": "age"}}},
                "total": {"metricSource": {"type": "cogniforge", "spec": {"metric": "x"}}},
            },
            "measure age belongs to thresholdMetric",
        ),
    ],
)
def test_a_ratio_that_cannot_be_computed_is_refused(ratio: dict[str, Any], message: str) -> None:
    indicator = {"metadata": {"name": "x"}, "spec": {"ratioMetric": ratio}}

    assert message in problems(document(indicator=indicator))


def test_our_annotations_are_refused_where_they_would_do_nothing() -> None:
    sli = {"apiVersion": "openslo/v1", "kind": "SLI", "spec": {"thresholdMetric": {"metricSource": {"type": "x"}}}}
    sli["metadata"] = {"name": "x", "annotations": {"cogniforge.dev/minimum-events": "5"}}

    assert "belongs to the metadata of an SLO" in problems(sli)


@pytest.mark.parametrize(
    ("name", "typing_errors"),
    [
        ("occurences-slo", {"meatadata": "metadata", "objective": "objectives"}),
        ("ratio-timeslices", {"serivce": "service", "ratioMethic": "ratioMetric", "objective": "objectives"}),
        ("timeslices-slo", {"objective": "objectives"}),
    ],
)
def test_the_examples_of_openslo_validate_once_their_typing_errors_are_corrected(
    tmp_path: Path, name: str, typing_errors: dict[str, str]
) -> None:
    if not EXAMPLES.is_dir():
        pytest.skip("the OpenSLO examples are not beside the checkout")
    text = (EXAMPLES / "budgetting-method" / f"{name}.yaml").read_text()

    hints = " ".join(str(problem) for problem in load(tmp_path, text).problems)
    for wrong, right in typing_errors.items():
        assert f"unknown key {wrong!r} (did you mean {right!r}?)" in hints
        text = text.replace(f"{wrong}:", f"{right}:")
    if name == "timeslices-slo":
        assert "expected good and total" in hints
        text = text.replace("ratioMetric:", "ratioMetric:\n        total: {metricSource: {type: Any}}")

    found = resolve(load(tmp_path, text).check().of(OPENSLO_KIND)).check()

    assert {objective.not_computable for objective in found} == {"not computable here: metric source Any"}
    assert len(found) == (2 if name == "timeslices-slo" else 1)
