"""Policies over resources: who is meant, what is asked, and what the answers are worth.

Belongs here: making the inputs, one pass over all policies and resources, verdicts of outcomes. Does not: processes
(`pool.py`), or what follows of a verdict (`admission.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from cogniforge_pipeline.gitops.policy.matching import NotDecidable, group_kind, metadata_of
from cogniforge_pipeline.gitops.policy.model import Finding, Policy, Verdict
from cogniforge_pipeline.gitops.policy.pool import Outcome, Program, shared_pool

Manifest = Mapping[str, Any]


class Evaluates(Protocol):
    """What runs programs: `pool.Pool`, or `opa.OpaPool`."""

    def evaluate(
        self, programs: Sequence[Program], documents: Sequence[str], pairs: Sequence[tuple[int, int]]
    ) -> list[Outcome]: ...


def judge(
    policies: Sequence[Policy],
    resources: Sequence[Manifest],
    inventory: Iterable[Manifest] = (),
    *,
    pool: Evaluates | None = None,
    operation: str = "",
    now_ns: int | None = None,
) -> list[list[Verdict]]:
    """What each policy says of each resource: one list for a resource, one verdict for a policy, `skip` where not meant.

    A resource may be an AdmissionReview, whose request is what is asked then. `inventory` are the other resources that
    are known: namespaces for selectors, and what referential policies read. `operation` stands in the reviews that are
    made (CREATE, UPDATE; "" as in an audit). `now_ns` is what policies take for now, in nanoseconds since 1970.
    """
    known = list(inventory)
    namespaces = {str(metadata_of(each).get("name")): each for each in known if group_kind(each) == ("", "Namespace")}
    data = json.dumps({"inventory": _inventory(known)}) if any(policy.inventory for policy in policies) else "{}"
    programs = [_program(policy, data, now_ns) for policy in policies]
    reviews = [review(resource, namespaces, operation) for resource in resources]
    texts: list[str] = []
    places: dict[tuple[int, bool], int] = {}
    pairs: list[tuple[int, int]] = []
    asked: list[tuple[int, int]] = []
    found: list[list[Verdict]] = [[Verdict(policy, "skip") for policy in policies] for _ in resources]
    for number, asked_review in enumerate(reviews):
        subject, old = asked_review.get("object"), asked_review.get("oldObject")
        meant = subject if isinstance(subject, Mapping) else old if isinstance(old, Mapping) else {}
        for at, policy in enumerate(policies):
            try:
                if not policy.match.holds(meant, namespaces, old):
                    continue
            except NotDecidable as unknown:
                found[number][at] = Verdict(policy, "error", reason=str(unknown))
                continue
            place = places.get((number, policy.reviewed))
            if place is None:
                place = places[number, policy.reviewed] = len(texts)
                texts.append(json.dumps(asked_review if policy.reviewed else meant))
            pairs.append((at, place))
            asked.append((number, at))
    outcomes = (pool or shared_pool()).evaluate(programs, texts, pairs)
    for (number, at), outcome in zip(asked, outcomes, strict=True):
        found[number][at] = verdict(policies[at], outcome)
    return found


def verdict(policy: Policy, outcome: Outcome) -> Verdict:
    """What an outcome is worth. Messages that are no text, and findings that are no set, are errors, never a pass."""
    if outcome.status != "value":
        return Verdict(policy, outcome.status, reason=outcome.message)
    findings: list[Finding] = []
    for entry, value in sorted(outcome.values.items()):
        rule = entry.rpartition(".")[2]
        if value is False:
            continue
        if value is True:
            findings.append(Finding(policy.message or policy.name, {}, rule))
            continue
        for item in value if isinstance(value, list) else [value]:
            message = item.get("msg") if isinstance(item, Mapping) else item
            if not isinstance(message, str):
                shown = json.dumps(item)[:100]
                return Verdict(policy, "error", reason=f"{entry} gave what has no text `msg`: {shown}")
            details = (item.get("details") or {}) if isinstance(item, Mapping) else {}
            findings.append(Finding(message, details if isinstance(details, Mapping) else {"details": details}, rule))
    return Verdict(policy, "fail" if findings else "pass", tuple(findings))


def review(resource: Manifest, namespaces: Mapping[str, Manifest], operation: str = "") -> dict[str, Any]:
    """What Gatekeeper's policies see as `input.review`: the request of an AdmissionReview, or one made of a manifest."""
    if resource.get("kind") == "AdmissionReview" and isinstance(resource.get("request"), Mapping):
        made = dict(resource["request"])
        subject = made.get("object") or made.get("oldObject") or {}
    else:
        group, kind = group_kind(resource)
        metadata = metadata_of(resource)
        version = str(resource.get("apiVersion") or "").rpartition("/")[2]
        made = {
            "kind": {"group": group, "version": version, "kind": kind},
            "name": metadata.get("name") or metadata.get("generateName") or "",
            "namespace": metadata.get("namespace") or "",
            "operation": operation,
            "userInfo": {},
            "object": resource,
        }
        subject = resource
    holder = namespaces.get(str(metadata_of(subject).get("namespace") or ""))
    if holder is not None:
        made["_unstable"] = {"namespace": holder}
    return made


def _program(policy: Policy, data: str, now_ns: int | None) -> Program:
    changed: dict[str, Any] = {}
    if policy.inventory:
        changed["data"] = data
    if now_ns is not None:
        changed["now_ns"] = now_ns
    return replace(policy.program, **changed) if changed else policy.program


def _inventory(resources: Iterable[Manifest]) -> dict[str, Any]:
    """Resources as `data.inventory`: namespace[ns][apiVersion][kind][name], and cluster[apiVersion][kind][name]."""
    found: dict[str, Any] = {"namespace": {}, "cluster": {}}
    for each in resources:
        metadata = metadata_of(each)
        namespace = metadata.get("namespace")
        place = found["namespace"].setdefault(str(namespace), {}) if namespace else found["cluster"]
        version, kind = str(each.get("apiVersion") or ""), str(each.get("kind") or "")
        place.setdefault(version, {}).setdefault(kind, {})[str(metadata.get("name") or "")] = each
    return found
