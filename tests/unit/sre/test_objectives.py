from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogniforge_pipeline.declarations import DeclarationsInvalid, load_platform
from cogniforge_pipeline.sre.objectives import Objective, Ratio, Raw, RecordedRows, SqlQuery, Threshold, exact
from cogniforge_pipeline.sre.openslo import OPENSLO_KIND
from cogniforge_pipeline.sre.resolve import resolve, resolve_documents
from cogniforge_pipeline.sre.selectors import Matcher, Selector

NOW = datetime(2024, 5, 15, tzinfo=UTC)
TOTAL = {"metricSource": {"type": "cogniforge", "spec": {"metric": "requests_total"}}}
BAD = {
    "metricSource": {"type": "cogniforge", "spec": {"metric": "errors_total", "service": "*", "labels": {"code": "5"}}}
}
RATIO = {"ratioMetric": {"bad": BAD, "total": TOTAL}}


def document(kind: str, name: str, spec: dict[str, Any], **annotations: str) -> dict[str, Any]:
    metadata = {
        "name": name,
        "annotations": {f"cogniforge.dev/{k.replace('_', '-')}": v for k, v in annotations.items()},
    }
    return {"apiVersion": "openslo/v1", "kind": kind, "metadata": metadata, "spec": spec}


def slo(objectives: list[dict[str, Any]], sli: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    indicator = {} if sli is None else {"indicator": {"metadata": {"name": "sli"}, "spec": sli}}
    return {"service": "shop", "budgetingMethod": "Occurrences", "objectives": objectives, **indicator, **more}


def one(sli: dict[str, Any], objective: dict[str, Any] | None = None, **more: Any) -> Objective:
    (found,) = resolve_documents([document("SLO", "x", slo([objective or {"target": 0.99}], sli, **more))])
    return found


def threshold(measure: str = "value", **objective: Any) -> Objective:
    source = {"type": "cogniforge", "spec": {"metric": "latency", "measure": measure}}
    return one({"thresholdMetric": {"metricSource": source}}, {"target": 0.99, **objective})


@pytest.mark.parametrize(
    ("spec", "target"),
    [({"target": 0.999}, "999/1000"), ({"targetPercent": 99.95}, "1999/2000"), ({"targetPercent": 99}, "99/100")],
)
def test_a_target_is_exactly_what_was_written(spec: dict[str, Any], target: str) -> None:
    assert one(RATIO, spec).target == Fraction(target)
    assert one(RATIO, spec).budget == 1 - Fraction(target)


@given(st.decimals(0, "0.9999999999", places=10))
def test_a_target_read_from_yaml_loses_no_digit(target: Any) -> None:
    assert exact(float(target)) == Fraction(target)


def test_a_ratio_names_its_series_and_belongs_to_the_service_unless_it_says_otherwise() -> None:
    assert one(RATIO).source == Ratio(
        total=Selector("requests_total", "shop"),
        bad=Selector("errors_total", None, (Matcher("code", "=", "5"),)),
        counter=True,
    )


def test_a_latency_objective_on_a_histogram_counts_the_bucket_up_to_its_bound() -> None:
    source = threshold("histogram", op="lte", value=0.4).source

    assert isinstance(source, Ratio)
    assert source.bad is None
    assert source.good is not None
    assert source.good.metric == "latency_bucket"
    assert [matcher.label for matcher in source.good.matchers] == ["le"]
    assert source.total == Selector("latency_count", "shop")


def test_above_a_bound_of_a_histogram_is_what_its_bucket_does_not_hold() -> None:
    source = threshold("histogram", op="gt", value=0.4).source

    assert isinstance(source, Ratio)
    assert source.good is None
    assert source.bad is not None
    assert source.bad.metric == "latency_bucket"


def test_strictly_below_a_bound_cannot_be_told_from_a_histogram() -> None:
    with pytest.raises(DeclarationsInvalid, match="use lte"):
        threshold("histogram", op="lt", value=0.4)


@pytest.mark.parametrize("measure", ["value", "age", "timestamp_age"])
def test_thresholds_on_gauges_and_freshness_keep_their_exact_value(measure: str) -> None:
    source = threshold(measure, op="lt", value=0.3).source

    assert source == Threshold(Selector("latency", "shop"), measure, "lt", Fraction(3, 10))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ratio", "source"),
    [
        (
            {"raw": {"metricSource": {"type": "sql", "spec": {"query": "SELECT ts, good, total FROM a.b"}}}},
            SqlQuery("SELECT ts, good, total FROM a.b"),
        ),
        ({"raw": {"metricSource": {"type": "recorded"}}}, RecordedRows("percent")),
        ({"raw": TOTAL, "rawType": "failure"}, Raw(Selector("requests_total", "shop"), success=False)),
    ],
)
def test_whole_ratios_come_from_raw(ratio: dict[str, Any], source: Any) -> None:
    assert one({"ratioMetric": ratio}).source == source


def test_two_weeks_at_95_percent_allow_16_hours_and_48_minutes() -> None:
    found = one(
        RATIO,
        {"target": 0.95, "timeSliceTarget": 0.9, "timeSliceWindow": "1m"},
        budgetingMethod="Timeslices",
        timeWindow=[{"duration": "2w", "isRolling": True}],
    )

    assert found.budget_time(NOW) == timedelta(hours=16, minutes=48)
    assert (found.slice_seconds, found.slice_target) == (60, Fraction(9, 10))


def test_calendar_months_have_alert_factors_of_their_own_length() -> None:
    calendar = {"startTime": "2024-01-01 00:00:00", "timeZone": "Europe/Berlin"}
    found = one(RATIO, timeWindow=[{"duration": "1M", "calendar": calendar}])

    def first_factor(month: int) -> Fraction:
        return found.alert_rules(datetime(2024, month, 15, tzinfo=UTC))[0].factor

    assert first_factor(2) == Fraction("0.02") * 29 * 24
    assert first_factor(3) == Fraction("0.02") * (31 * 24 - 1)
    assert first_factor(4) == Fraction("0.02") * 30 * 24
    assert first_factor(10) == Fraction("0.02") * (31 * 24 + 1)


def test_several_objectives_of_one_slo_have_ids_that_stay_apart() -> None:
    objectives = [
        {"displayName": "SLA, strict", "target": 0.99},
        {"target": 0.9},
        {"displayName": "SLA strict", "target": 0.95},
    ]
    found = resolve_documents([document("SLO", "x", slo(objectives, RATIO))])

    assert [objective.slo_id for objective in found] == ["x:sla-strict", "x:2", "x:sla-strict-3"]
    assert {objective.slo_name for objective in found} == {"x"}


def test_a_composite_has_weighted_members_and_alerts_as_a_whole() -> None:
    members = [
        {"displayName": "web", "target": 0.99, "indicator": {"metadata": {"name": "a"}, "spec": RATIO}},
        {"displayName": "api", "target": 0.999, "compositeWeight": 3, "indicatorRef": "api-errors"},
    ]
    web, api, whole = resolve_documents([document("SLI", "api-errors", RATIO), document("SLO", "x", slo(members))])

    assert [(member.slo_id, member.weight) for member in whole.members] == [("x:web", 1), ("x:api", 3)]
    assert whole.target == (Fraction("0.99") + 3 * Fraction("0.999")) / 4
    assert (whole.slo_id, whole.source, whole.not_computable) == ("x", None, None)
    assert web.source == api.source is not None
    assert web.alert_rules(NOW) == api.alert_rules(NOW) == []
    assert len(whole.alert_rules(NOW)) == 4


def test_a_composite_may_state_its_target_and_is_computed_only_when_all_members_are() -> None:
    foreign = {"thresholdMetric": {"metricSource": {"type": "datadog"}}}
    members = [
        {"target": 0.99, "indicator": {"metadata": {"name": "a"}, "spec": RATIO}},
        {"target": 0.9, "op": "lt", "value": 1, "indicator": {"metadata": {"name": "b"}, "spec": foreign}},
    ]
    *_, whole = resolve_documents([document("SLO", "x", slo(members), composite_target="0.995")])

    assert whole.target == Fraction("0.995")
    assert whole.not_computable == "not computable here: metric source datadog"


def test_members_of_a_composite_need_equal_slices() -> None:
    members = [
        {"target": 0.9, "timeSliceWindow": window, "indicator": {"metadata": {"name": "a"}, "spec": RATIO}}
        for window in ("1m", "5m")
    ]
    with pytest.raises(DeclarationsInvalid, match="same timeSliceWindow"):
        resolve_documents([document("SLO", "x", slo(members, budgetingMethod="RatioTimeslices"))])


def test_references_are_followed_across_documents() -> None:
    condition = {"kind": "burnrate", "op": "gte", "threshold": 2, "lookbackWindow": "1h", "alertAfter": "5m"}
    policy = {
        "conditions": [{"conditionRef": "fast"}],
        "notificationTargets": [{"targetRef": "mail"}],
        "alertWhenNoData": True,
    }
    (found,) = resolve_documents(
        [
            document("SLO", "x", slo([{"target": 0.99}], indicatorRef="errors", alertPolicies=["on-call"])),
            document("SLI", "errors", RATIO),
            document("AlertPolicy", "on-call", policy),
            document("AlertCondition", "fast", {"severity": "page", "condition": condition}),
            document("AlertNotificationTarget", "mail", {"target": "mail"}),
        ]
    )

    (rule,) = found.alert_rules(NOW)
    assert found.source == one(RATIO).source
    assert (rule.name, rule.severity, rule.op, rule.factor) == ("on-call", "page", "gte", 2)
    assert (rule.long, rule.short, rule.hold) == (timedelta(hours=1), timedelta(hours=1), timedelta(minutes=5))
    assert rule.share == Fraction(2, 720)
    assert rule.policy is not None
    assert rule.policy.targets == ("mail",)
    assert rule.policy.when_no_data


def test_policies_written_in_place_work_too() -> None:
    condition = {"kind": "burnrate", "op": "gt", "threshold": 6.5, "lookbackWindow": "6h"}
    inline = {
        "kind": "AlertPolicy",
        "metadata": {"name": "here"},
        "spec": {
            "conditions": [
                {
                    "kind": "AlertCondition",
                    "metadata": {"name": "c"},
                    "spec": {"severity": "ticket", "condition": condition},
                }
            ],
            "notificationTargets": [
                {"kind": "AlertNotificationTarget", "metadata": {"name": "chat"}, "spec": {"target": "chat"}}
            ],
        },
    }
    (rule,) = one(RATIO, alertPolicies=[inline]).alert_rules(NOW)

    assert (rule.name, rule.factor, rule.hold) == ("here", Fraction(13, 2), timedelta(0))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (slo([{"target": 0.99}], indicatorRef="eror"), "spec.indicatorRef: no SLI named 'eror' is declared"),
        (slo([{"target": 0.99}], RATIO, alertPolicies=[{"alertPolicyRef": "p"}]), "no AlertPolicy named 'p'"),
    ],
)
def test_a_reference_that_leads_nowhere_is_a_problem_of_its_slo(
    tmp_path: Path, spec: dict[str, Any], message: str
) -> None:
    (tmp_path / "slos").mkdir()
    for name, content in [("a", document("SLO", "x", spec)), ("b", document("SLI", "error", RATIO))]:
        (tmp_path / "slos" / f"{name}.json").write_text(json.dumps(content))

    platform = load_platform(tmp_path, [OPENSLO_KIND])
    found = resolve(platform.of(OPENSLO_KIND))

    (problem,) = found.problems
    assert platform.problems == found.problems
    assert (problem.path, problem.line, found.objectives) == ("slos/a.json", 1, ())
    assert message in str(problem)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ({"type": "prometheus", "spec": {"query": "up"}}, "not computable here: metric source prometheus"),
        ({"metricSourceRef": "thanos", "spec": {"query": "up"}}, "not computable here: metric source Prometheus"),
        ({"metricSourceRef": "other"}, "not computable here: metric source other (not declared)"),
    ],
)
def test_numbers_of_other_systems_are_declared_but_not_computed(source: dict[str, Any], reason: str) -> None:
    metric = {"metricSource": source}
    (found,) = resolve_documents(
        [
            document("DataSource", "thanos", {"type": "Prometheus", "connectionDetails": {"url": "http://thanos"}}),
            document("SLO", "x", slo([{"target": 0.99}], {"ratioMetric": {"good": metric, "total": metric}})),
        ]
    )

    assert (found.source, found.not_computable) == (None, reason)
    assert found.to_row()["computable"] is False


def test_a_row_is_plain_json_with_exact_budget() -> None:
    (found,) = resolve_documents(
        [
            document(
                "SLO",
                "x",
                slo([{"targetPercent": 99.9}], RATIO),
                minimum_events="50",
                maintenance="Sun 02:00-04:00 Europe/Berlin",
                alerts="page",
            )
        ]
    )
    row = found.to_row()

    assert json.loads(json.dumps(row)) == row
    assert (row["budget_numerator"], row["budget_denominator"], row["window"]) == (1, 1000, "30d")
    assert (row["minimum_events"], row["maintenance"]) == (50, ["Sun 02:00-04:00 Europe/Berlin"])
    assert row["source"]["bad"] == {"metric": "errors_total", "service": None, "matchers": ['code="5"']}
    assert {rule.severity for rule in found.alert_rules(NOW)} == {"page"}
