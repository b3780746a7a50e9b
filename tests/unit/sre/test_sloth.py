from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from cogniforge_pipeline.declarations import DeclarationsInvalid
from cogniforge_pipeline.sre.objectives import Objective, Ratio, exact
from cogniforge_pipeline.sre.resolve import resolve_documents
from cogniforge_pipeline.sre.selectors import Matcher, Selector
from cogniforge_pipeline.sre.sloth import SlothInvalid, import_sloth

EXAMPLES = Path(__file__).parents[4] / "shared/data/sre/sloth_examples"
FOREIGN = {"home-wifi.yml", "k8s-home-wifi.yml", "raw-home-wifi.yml", "victoria-metrics.yml"}
PLUGINS = {"plugin-getting-started.yml", "plugin-k8s-getting-started.yml"}

TOTAL = 'sum(rate(http_requests_total{job="shop"}[{{.window}}]))'
ERRORS = 'sum(rate(http_requests_total{job="shop",code=~"5.."}[{{.window}}]))'


def spec(error: str = ERRORS, total: str = TOTAL, **slo: Any) -> str:
    one = {"name": "requests", "objective": 99.9, "sli": {"events": {"error_query": error, "total_query": total}}}
    return yaml.safe_dump({"version": "prometheus/v1", "service": "shop", "slos": [one | slo]})


def imported(text: str, **options: Any) -> Objective:
    (found,) = resolve_documents(import_sloth(text, **options))
    return found


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*")) if EXAMPLES.is_dir() else [None], ids=str)
def test_every_example_of_sloth_is_imported(path: Path | None) -> None:
    if path is None:
        pytest.skip("the Sloth examples are not beside the checkout")
    text = path.read_text()

    found = resolve_documents(import_sloth(text, path=path.name))

    bodies = [document.get("spec", document) for document in yaml.safe_load_all(text)]
    declared = [one for body in bodies for one in body.get("slos", body.get("objectives", []))]
    assert len(found) == len(declared) > 0
    assert [objective.target for objective in found] == [
        exact(one["target"]) if "target" in one else exact(one["objective"]) / 100 for one in declared
    ]
    reasons = {objective.not_computable for objective in found}
    if path.name in FOREIGN:
        assert reasons == {"not computable here: metric source prometheus"}
    elif path.name in PLUGINS:
        assert reasons == {"not computable here: metric source sloth-plugin"}
    else:
        assert reasons == {None}


def test_a_ratio_of_counters_becomes_a_ratio_of_our_telemetry() -> None:
    found = imported(spec())

    assert (found.slo_id, found.service, found.target) == ("shop-requests", "shop", Fraction(999, 1000))
    assert found.window.duration == "30d"
    assert found.source == Ratio(
        total=Selector("http_requests_total", "shop"),
        bad=Selector("http_requests_total", "shop", (Matcher("code", "=~", "5.."),)),
    )


def test_the_label_that_names_services_can_be_another() -> None:
    found = imported(spec(), service_label="app")

    assert isinstance(found.source, Ratio)
    assert found.source.total == Selector("http_requests_total", None, (Matcher("job", "=", "shop"),))


def test_total_minus_good_counts_the_good() -> None:
    good = 'sum(rate(http_requests_total{job="shop",code!~"5.."}[{{.window}}]))'
    found = imported(spec(error=f"(\n  {TOTAL}\n  - {good}\n)"))

    assert isinstance(found.source, Ratio)
    assert found.source.bad is None
    assert found.source.good == Selector("http_requests_total", "shop", (Matcher("code", "!~", "5.."),))


@pytest.mark.parametrize(
    "error",
    [
        ERRORS + " OR on() vector(0)",
        ERRORS + " + " + ERRORS,
        ERRORS + " - " + ERRORS,
        ERRORS.replace("sum(", "sum by (job) ("),
        ERRORS.replace('job="shop"', 'job=~"shop|web"'),
        ERRORS.replace("{{.window}}", "5m"),
        ERRORS.replace("rate(", "irate("),
        ERRORS.replace("5..", "(5.."),
    ],
)
def test_other_queries_stay_queries_of_prometheus(error: str) -> None:
    (document,) = import_sloth(spec(error=error))
    ratio = document["spec"]["indicator"]["spec"]["ratioMetric"]

    assert ratio["bad"]["metricSource"] == {"type": "prometheus", "spec": {"query": error}}
    assert ratio["total"]["metricSource"] == {"type": "prometheus", "spec": {"query": TOTAL}}


@pytest.mark.parametrize(
    ("alerting", "severities"),
    [
        ({}, ("page", "ticket")),
        ({"page_alert": {"disable": True}}, ("ticket",)),
        ({"ticket_alert": {"disable": True}, "page_alert": {"labels": {"severity": "x"}}}, ("page",)),
        ({"page_alert": {"disable": True}, "ticket_alert": {"disable": True}}, ()),
    ],
)
def test_alerts_that_are_off_stay_off(alerting: dict[str, Any], severities: tuple[str, ...]) -> None:
    assert imported(spec(alerting=alerting)).alert_severities == severities


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: prometheus/v2\nslos: []", "version 'prometheus/v2' is not known"),
        ("version: prometheus/v1\nservice: x", "without 'slos'"),
        ("version: prometheus/v1\nservice: x\nslos: []", "no SLO in it"),
        ("version: prometheus/v1\nservice: x\nslos: [a]", "with a value of another kind"),
        ("- a", "has to be a mapping"),
        (spec(objective=100), "expected a percentage between 0 and 100"),
        (spec(objective="most"), "most"),
        (spec(error=" "), "expected text"),
        (spec() + "---\n" + spec(), "more than one SLO becomes 'shop-requests'"),
    ],
)
def test_what_is_no_sloth_spec_is_refused_with_its_file(text: str, message: str) -> None:
    with pytest.raises(SlothInvalid) as caught:
        import_sloth(text, path="team.yml")

    assert message in str(caught.value)
    assert "team.yml" in str(caught.value)


def test_text_that_is_no_yaml_is_refused_with_its_line() -> None:
    with pytest.raises(DeclarationsInvalid, match=r"team\.yml:2"):
        import_sloth("a: 1\nb: [", path="team.yml")
