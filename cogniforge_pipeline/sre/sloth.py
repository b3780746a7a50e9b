"""Sloth's spec files to OpenSLO v1 documents: https://sloth.dev

Belongs here: Sloth's forms (prometheus/v1, the Kubernetes resource, and the OpenSLO v1alpha that Sloth takes) and
the few shapes of PromQL that are a ratio of our telemetry. Does not: a PromQL engine; what is no such shape stays
a Prometheus metric source, which `resolve` reports as not computable here.

Sloth averages the ratios of 5 minutes over its 30 days; here events are counted, so figures differ where traffic
does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cogniforge_pipeline.declarations import DeclarationsInvalid, Problem
from cogniforge_pipeline.declarations.document import parse_yaml
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sre.objectives import exact
from cogniforge_pipeline.sre.selectors import parse_selector

_RATE = re.compile(
    r"sum\s*\(\s*(?:rate|increase)\s*\((?P<selector>.*)\[\s*\{\{\s*\.window\s*\}\}\s*\]\s*\)\s*\)", re.DOTALL
)
_ALPHA_UNITS = {"minute": "m", "hour": "h", "day": "d", "week": "w", "month": "M", "quarter": "Q", "year": "Y"}
_SIDES = ("good", "bad", "total")


class SlothInvalid(CogniforgeError):
    """A file that is no Sloth spec."""


def import_sloth(text: str, *, path: str = "<sloth>", service_label: str = "job") -> list[dict[str, Any]]:
    """One OpenSLO v1 document for each SLO of a Sloth file, which may hold several YAML documents.

    `service_label` is the label by which telemetry tells services apart; an equality on it names the service of
    the series, without one any service is meant. `path` is for messages. Names are made valid and lead with the
    service. Raises DeclarationsInvalid for text that is not YAML, SlothInvalid for what is no Sloth spec.
    """
    nodes, problems = parse_yaml(text, path)
    if problems:
        raise DeclarationsInvalid(problems)
    documents = []
    for node in nodes:
        try:
            documents += list(_documents(node.value, service_label))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, KeyError):
                what = f"without {error}"
            else:
                what = str(error) if isinstance(error, ValueError) else "with a value of another kind than expected"
            raise SlothInvalid(f"{Problem(path, f'a Sloth spec {what}', None, node.line or None)}", _HINT) from error
    if not documents:
        raise SlothInvalid(f"{path}: no SLO in it", _HINT)
    names = [document["metadata"]["name"] for document in documents]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SlothInvalid(f"{path}: more than one SLO becomes {repeated[0]!r}", "rename one of them")
    return documents


_HINT = "expected `version: prometheus/v1`, or `kind: PrometheusServiceLevel` of sloth.slok.dev/v1, with `slos`"


def _documents(spec: Any, service_label: str) -> Iterator[dict[str, Any]]:
    if not isinstance(spec, Mapping):
        raise ValueError("has to be a mapping")
    if spec.get("apiVersion") == "openslo/v1alpha":
        yield from _from_alpha(spec, service_label)
        return
    if spec.get("kind") == "PrometheusServiceLevel" and str(spec.get("apiVersion")).startswith("sloth.slok.dev/"):
        spec = spec["spec"]
    elif spec.get("version") != "prometheus/v1":
        raise ValueError(f"of version {spec.get('version', spec.get('apiVersion'))!r} is not known")
    for slo in spec["slos"]:
        yield _from_slo(spec, _snake(slo), service_label)


def _from_slo(spec: Mapping[str, Any], slo: Mapping[str, Any], service_label: str) -> dict[str, Any]:
    name = _name(f"{spec['service']}-{slo['name']}")
    alerting = slo.get("alerting") or {}
    on = [kind for kind in ("page", "ticket") if not (alerting.get(f"{kind}_alert") or {}).get("disable")]
    annotations = {"cogniforge.dev/alerts": ",".join(on) or "none"}
    kept = {"alerting": alerting, "plugins": slo.get("plugins"), "slo-plugins": _snake(spec).get("slo_plugins")}
    annotations |= {f"sloth.dev/{key}": json.dumps(value, sort_keys=True) for key, value in kept.items() if value}
    metadata = {
        "name": name,
        "displayName": str(slo["name"]),
        "labels": {**_labels(spec.get("labels")), **_labels(slo.get("labels"))},
        "annotations": annotations,
    }
    if not 0 < exact(slo["objective"]) < 100:
        raise ValueError(f"with objective {slo['objective']!r}, expected a percentage between 0 and 100")
    target = {"targetPercent": slo["objective"]}
    return _document(metadata, spec["service"], slo.get("description"), _sli(slo["sli"], service_label), "30d", target)


def _sli(sli: Mapping[str, Any], service_label: str) -> dict[str, Any]:
    """The ratioMetric of Sloth's events, raw or plugin."""
    sli = _snake(sli)
    if "events" in sli:
        events = _snake(sli["events"])
        return _ratio(_text(events["error_query"]), _text(events["total_query"]), service_label)
    if "raw" in sli:
        return {"raw": _prometheus(_text(_snake(sli["raw"])["error_ratio_query"])), "rawType": "failure"}
    plugin = sli["plugin"]
    source = {"type": "sloth-plugin", "spec": {"id": plugin["id"], "options": dict(plugin.get("options") or {})}}
    return {"raw": {"metricSource": source}, "rawType": "failure"}


def _ratio(error: str, total: str, service_label: str) -> dict[str, Any]:
    """bad / total; where the error is `total - good`, good / total; else both as Prometheus sources."""
    whole = _telemetry(total, service_label)
    bad = _telemetry(error, service_label)
    if whole and bad:
        return {"counter": True, "bad": bad, "total": whole}
    first, good = _difference(error, service_label)
    if whole and good and first == whole:
        return {"counter": True, "good": good, "total": whole}
    return {"counter": True, "bad": _prometheus(error), "total": _prometheus(total)}


def _difference(query: str, service_label: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Both sides of `sum(...) - sum(...)`, perhaps in parentheses."""
    inner = query.strip()
    if inner.startswith("(") and inner.endswith(")"):
        inner = inner[1:-1].strip()
    for minus in re.finditer(r"\)\s*-\s*(?=sum)", inner):
        first = _telemetry(inner[: minus.start() + 1], service_label)
        second = _telemetry(inner[minus.end() :], service_label)
        if first and second:
            return first, second
    return None, None


def _telemetry(query: str, service_label: str) -> dict[str, Any] | None:
    """`sum(rate(metric{...}[{{.window}}]))` as our metric source; None for any other query."""
    found = _RATE.fullmatch(query.strip())
    if found is None:
        return None
    try:
        selector = parse_selector(found["selector"])
    except ValueError:
        return None
    named = [matcher for matcher in selector.matchers if matcher.label == service_label]
    if len(named) > 1 or any(matcher.op != "=" for matcher in named):
        return None
    labels = [str(matcher) for matcher in selector.matchers if matcher.label != service_label]
    spec: dict[str, Any] = {"metric": selector.metric, "service": named[0].value if named else "*"}
    return {"metricSource": {"type": "cogniforge", "spec": spec | ({"labels": labels} if labels else {})}}


def _prometheus(query: str) -> dict[str, Any]:
    return {"metricSource": {"type": "prometheus", "spec": {"query": query.strip()}}}


def _from_alpha(spec: Mapping[str, Any], service_label: str) -> Iterator[dict[str, Any]]:
    """OpenSLO v1alpha with ratioMetrics; each of several objectives is an SLO of its own, as for Sloth."""
    body, metadata = spec["spec"], spec["metadata"]
    windows = body.get("timeWindows") or [{"count": 30, "unit": "Day"}]
    unit = str(windows[0]["unit"])
    if unit.lower() not in _ALPHA_UNITS or windows[0].get("calendar"):
        raise ValueError(f"with a window of unit {unit!r}, expected a rolling one of {', '.join(_ALPHA_UNITS)}")
    duration = f"{windows[0]['count']}{_ALPHA_UNITS[unit.lower()]}"
    for place, part in enumerate(body["objectives"], 1):
        queries = {side: _text(metric["query"]) for side, metric in part["ratioMetrics"].items() if side in _SIDES}
        ours = {side: _telemetry(query, service_label) for side, query in queries.items()}
        ratio = ours if all(ours.values()) else {side: _prometheus(query) for side, query in queries.items()}
        name = _name(metadata["name"]) + (f"-{place}" if len(body["objectives"]) > 1 else "")
        described = {"name": name, "displayName": metadata.get("displayName") or name}
        target = {"target": part["target"]}
        yield _document(
            described, body["service"], body.get("description"), {"counter": True, **ratio}, duration, target
        )


def _document(
    metadata: dict[str, Any],
    service: Any,
    description: Any,
    ratio: dict[str, Any],
    duration: str,
    target: dict[str, Any],
) -> dict[str, Any]:
    spec = {
        "service": str(service),
        "indicator": {"metadata": {"name": metadata["name"]}, "spec": {"ratioMetric": ratio}},
        "timeWindow": [{"duration": duration, "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [target],
    }
    if description:
        spec["description"] = str(description)[:1050]
    return {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": metadata, "spec": spec}


def _labels(labels: Any) -> dict[str, str]:
    """Labels as text: YAML's numbers and truth values as they are written there."""
    return {str(key): value if isinstance(value, str) else json.dumps(value) for key, value in (labels or {}).items()}


def _snake(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of the Kubernetes form (errorQuery, pageAlert) as in Sloth's own (error_query), one level and alerting."""
    found = {re.sub(r"(?<=[a-z])([A-Z])", lambda m: "_" + m[1].lower(), key): value for key, value in mapping.items()}
    if isinstance(found.get("alerting"), Mapping):
        found["alerting"] = _snake(found["alerting"])
    return found


def _text(query: Any) -> str:
    if not isinstance(query, str) or not query.strip():
        raise ValueError(f"with the query {query!r}, expected text")
    return query


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", str(text).lower()).strip("-.")
