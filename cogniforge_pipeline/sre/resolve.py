"""OpenSLO documents to objectives: references found across files, sources brought to their normal form.

Belongs here: what needs more than one document. Does not: what is wrong within one (`openslo.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from typing import Any

from cogniforge_pipeline.declarations import Declaration, DeclarationsInvalid, Problem, declare
from cogniforge_pipeline.declarations.model import API
from cogniforge_pipeline.declarations.validate import did_you_mean
from cogniforge_pipeline.maintenance import parse_maintenance
from cogniforge_pipeline.sre.alert_policies import (
    AnyPolicy,
    Condition,
    InlineCondition,
    InlinePolicy,
    InlineTarget,
    Policy,
)
from cogniforge_pipeline.sre.indicators import Indicator, RatioMetric
from cogniforge_pipeline.sre.metric_sources import (
    ForeignSource,
    MetricSource,
    RecordedSource,
    SqlSource,
    TelemetrySource,
)
from cogniforge_pipeline.sre.objectives import (
    BurnPolicy,
    Member,
    Objective,
    Ratio,
    Raw,
    RecordedRows,
    Source,
    SqlQuery,
    Threshold,
    exact,
)
from cogniforge_pipeline.sre.openslo import OPENSLO_KIND, OpenSLO, SLODocument
from cogniforge_pipeline.sre.openslo_parts import ObjectiveSpec
from cogniforge_pipeline.sre.selectors import Selector, le_matcher
from cogniforge_pipeline.sre.windows import Window


@dataclass(frozen=True)
class Resolved:
    """Objectives in order of their documents, what is wrong between documents, and the SLOs that it stops."""

    objectives: tuple[Objective, ...]
    problems: tuple[Problem, ...]
    refused: tuple[SLODocument, ...] = ()

    def check(self) -> tuple[Objective, ...]:
        """The objectives. Raises DeclarationsInvalid with all problems when there are any."""
        if self.problems:
            raise DeclarationsInvalid(self.problems)
        return self.objectives


class _Wrong(Exception):
    """Stops one SLO: what is wrong, where in its document, and a hint."""

    def __init__(self, where: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.where, self.message, self.hint = where, message, hint


class _NotHere(Exception):
    """The numbers come from another system; the text says which."""


def resolve(declarations: Iterable[Declaration[OpenSLO]]) -> Resolved:
    """The objectives of all SLOs among the declarations, in their order.

    An SLO with a reference that leads nowhere becomes a problem and gives no objective. One whose numbers come
    from another system gives an objective that says so in `not_computable`.
    """
    declarations = list(declarations)
    known: dict[tuple[str, str], Any] = {
        (d.model.root.kind, d.model.root.metadata.name): d.model.root for d in declarations
    }
    objectives: list[Objective] = []
    problems, refused = [], []
    for declaration in declarations:
        if isinstance(declaration.model.root, SLODocument):
            try:
                objectives += _Reader(declaration.model.root, known).objectives()
            except _Wrong as wrong:
                place = declaration.path or API
                problems.append(Problem(place, wrong.message, wrong.hint, declaration.line, None, wrong.where))
                refused.append(declaration.model.root)
    return Resolved(tuple(objectives), tuple(problems), tuple(refused))


def resolve_documents(documents: Iterable[Mapping[str, Any]]) -> tuple[Objective, ...]:
    """The objectives of OpenSLO documents given as mappings. Raises DeclarationsInvalid with all that is wrong."""
    return resolve([declare(OPENSLO_KIND, document) for document in documents]).check()


class _Reader:
    """One SLO among all documents, by kind and name."""

    def __init__(self, document: SLODocument, known: Mapping[tuple[str, str], Any]) -> None:
        self.document, self.spec, self.known = document, document.spec, known

    def objectives(self) -> list[Objective]:
        """All objectives; of a composite its members, then itself. Raises _Wrong."""
        parts = self.spec.objectives
        base = self._base()
        if not parts[0].is_member:
            ids = self._part_ids() if len(parts) > 1 else [base.slo_id]
            return [self._objective(base, place, slo_id) for place, slo_id in enumerate(ids)]
        ids = self._part_ids()
        members = [
            replace(self._objective(base, place, slo_id), alert_severities=(), policies=())
            for place, slo_id in enumerate(ids)
        ]
        return [*members, self._composite(base, members)]

    def _base(self) -> Objective:
        metadata, spec = self.document.metadata, self.spec
        alerts = metadata.annotations.alerts
        return Objective(
            slo_id=metadata.name,
            slo_name=metadata.name,
            service=spec.service,
            display_name=metadata.display_name or metadata.name,
            description=spec.description or "",
            method=spec.budgeting_method,
            target=Fraction(0),
            window=spec.window,
            minimum_events=metadata.annotations.minimum_events,
            maintenance=parse_maintenance(metadata.annotations.maintenance),
            alert_severities=() if alerts == "none" else tuple(alerts.split(",")),
            policies=tuple(
                self._policy(policy, f"spec.alertPolicies[{place}]") for place, policy in enumerate(spec.alert_policies)
            ),
        )

    def _part_ids(self) -> list[str]:
        """`name:part` for each objective, the part from its display name, else its number from 1."""
        ids: list[str] = []
        for place, part in enumerate(self.spec.objectives, 1):
            slug = re.sub(r"[^a-z0-9]+", "-", (part.display_name or "").lower()).strip("-") or str(place)
            slo_id = f"{self.document.metadata.name}:{slug}"
            ids.append(f"{slo_id}-{place}" if slo_id in ids else slo_id)
        return ids

    def _objective(self, base: Objective, place: int, slo_id: str) -> Objective:
        part = self.spec.objectives[place]
        source, reason = None, None
        try:
            source = self._source(part, place)
        except _NotHere as foreign:
            reason = f"not computable here: {foreign}"
        slices = part.time_slice_window
        name = base.display_name if slo_id == base.slo_id else f"{base.display_name}: {part.display_name or place + 1}"
        return replace(
            base,
            slo_id=slo_id,
            display_name=name,
            target=_target(part),
            slice_seconds=None if slices is None else int(Window.parse(slices).nominal.total_seconds()),
            slice_target=None if part.time_slice_target is None else exact(part.time_slice_target),
            source=source,
            not_computable=reason,
        )

    def _composite(self, base: Objective, members: list[Objective]) -> Objective:
        weights = [exact(part.composite_weight or 1) for part in self.spec.objectives]
        if len({member.slice_seconds for member in members}) > 1:
            raise _Wrong("spec.objectives", "all members of a composite need the same timeSliceWindow")
        declared = self.document.metadata.annotations.composite_target
        mean = sum((w * m.target for w, m in zip(weights, members, strict=True)), Fraction(0)) / sum(weights)
        return replace(
            base,
            target=mean if declared is None else exact(declared),
            slice_seconds=members[0].slice_seconds,
            not_computable=next((member.not_computable for member in members if member.not_computable), None),
            members=tuple(Member(m.slo_id, w) for m, w in zip(members, weights, strict=True)),
        )

    def _source(self, part: ObjectiveSpec, place: int) -> Source:
        """The source of one objective. Raises _NotHere, _Wrong."""
        where = f"spec.objectives[{place}]"
        indicator = self._indicator(part, where) if part.is_member else self._indicator(self.spec, "spec")
        if indicator.ratio_metric is not None:
            return self._ratio(indicator.ratio_metric)
        assert indicator.threshold_metric is not None
        if part.op is None or part.value is None:
            raise _Wrong(f"{where}.op", "a thresholdMetric needs op and value at the objective")
        found = self._telemetry(indicator.threshold_metric.metric_source)
        measure, selector = found.spec.measure, found.spec.selector(self.spec.service)
        if measure != "histogram":
            return Threshold(selector, measure, part.op, exact(part.value))
        bucket = replace(
            selector, metric=f"{selector.metric}_bucket", matchers=(*selector.matchers, le_matcher(part.value))
        )
        total = replace(selector, metric=f"{selector.metric}_count")
        if part.op == "lte":
            return Ratio(total, good=bucket)
        if part.op == "gt":
            return Ratio(total, bad=bucket)
        hint = "use lte, or gt for what has to be larger"
        raise _Wrong(f"{where}.op", "a histogram's bucket holds what is up to and including its bound", hint)

    def _ratio(self, metric: RatioMetric) -> Source:
        if metric.raw is not None:
            source = metric.raw.metric_source
            if isinstance(source, SqlSource):
                return SqlQuery(source.spec.query)
            if isinstance(source, RecordedSource):
                return RecordedRows(source.spec.measure)
            return Raw(self._selector(source), metric.raw_type == "success")
        assert metric.total is not None
        good = None if metric.good is None else self._selector(metric.good.metric_source)
        bad = None if metric.bad is None else self._selector(metric.bad.metric_source)
        return Ratio(self._selector(metric.total.metric_source), good, bad, metric.counter)

    def _selector(self, source: MetricSource) -> Selector:
        return self._telemetry(source).spec.selector(self.spec.service)

    def _telemetry(self, source: MetricSource) -> TelemetrySource:
        if isinstance(source, TelemetrySource):
            return source
        assert isinstance(source, ForeignSource)
        kind = source.type
        if kind is None:
            data_source = self.known.get(("DataSource", source.metric_source_ref or ""))
            kind = data_source.spec.type if data_source else f"{source.metric_source_ref} (not declared)"
        raise _NotHere(f"metric source {kind}")

    def _indicator(self, owner: Any, where: str) -> Indicator:
        if owner.indicator is not None:
            found: Indicator = owner.indicator.spec
        else:
            found = self._named("SLI", owner.indicator_ref, f"{where}.indicatorRef").spec
        return found

    def _policy(self, policy: AnyPolicy, where: str) -> BurnPolicy:
        if isinstance(policy, InlinePolicy):
            name, spec = policy.metadata.name, policy.spec
        else:
            name = policy if isinstance(policy, str) else policy.alert_policy_ref
            spec = self._named("AlertPolicy", name, where).spec
        return self._burn_policy(name, spec, where)

    def _burn_policy(self, name: str, policy: Policy, where: str) -> BurnPolicy:
        first = policy.conditions[0]
        if isinstance(first, InlineCondition):
            condition: Condition = first.spec
        else:
            condition = self._named("AlertCondition", first.condition_ref, f"{where} (policy {name})").spec
        details = condition.condition
        return BurnPolicy(
            name=name,
            severity=condition.severity,
            op=details.op,
            threshold=exact(details.threshold),
            lookback=Window.parse(details.lookback_window).nominal,
            hold=Window.parse(details.alert_after).nominal if details.alert_after else timedelta(0),
            targets=tuple(
                target.metadata.name
                if isinstance(target, InlineTarget)
                else self._named("AlertNotificationTarget", target.target_ref, f"{where} (policy {name})").metadata.name
                for target in policy.notification_targets
            ),
            when_breaching=policy.alert_when_breaching,
            when_resolved=policy.alert_when_resolved,
            when_no_data=policy.alert_when_no_data,
        )

    def _named(self, kind: str, name: str, where: str) -> Any:
        """The document of a kind and name. Raises _Wrong."""
        if (kind, name) not in self.known:
            names = [other for other_kind, other in self.known if other_kind == kind]
            raise _Wrong(where, f"no {kind} named {name!r} is declared", did_you_mean(name, names, "names"))
        return self.known[kind, name]


def _target(part: ObjectiveSpec) -> Fraction:
    if part.target is not None:
        return exact(part.target)
    assert part.target_percent is not None
    return exact(part.target_percent) / 100
