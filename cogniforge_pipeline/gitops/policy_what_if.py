"""What if a policy had been in force: over all that git ever said, and over what runs today.

Belongs here: who would have been hit, since when and whether still. Does not: evaluating (`policy_judged.py`), printing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from cogniforge_pipeline.gitops.policy.judging import Evaluates
from cogniforge_pipeline.gitops.policy.model import Policy, Verdict
from cogniforge_pipeline.gitops.policy_judged import Source, State, judged


@dataclass(frozen=True)
class Hit:
    """A resource that a policy would have hit.

    `states` of its states violate it, from `first` to before `last` (None: it still does). `now` says whether the state
    that lasts is one of them; `messages` are those of the last violating state. `undecided` counts the states of which the
    policy could say nothing.
    """

    policy_id: str
    source: Source
    app_id: str
    cluster: str
    key: str
    states: int
    undecided: int
    first: datetime
    last: datetime | None
    now: bool
    messages: tuple[str, ...]


@dataclass(frozen=True)
class WhatIf:
    """All hits, the ones that last first, and how many states were looked at."""

    hits: tuple[Hit, ...]
    states: int

    @property
    def now(self) -> tuple[Hit, ...]:
        """Who would be hit today."""
        return tuple(hit for hit in self.hits if hit.now)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "states": self.states,
            "hit": len(self.hits),
            "hit_now": len(self.now),
            "hits": [{**asdict(hit), "messages": list(hit.messages)} for hit in self.hits],
        }


def what_if(policies: Sequence[Policy], found: Sequence[State], *, pool: Evaluates | None = None) -> WhatIf:
    """Who would be hit by policies, given states with their history (`states(cursor, history=True)`).

    Many states of one resource are one hit. A policy that stops on a state counts as hitting it: it is never a pass.
    """
    order = [
        (verdict.policy.policy_id, state.source, state.app_id, state.cluster, state.key, state, verdict)
        for state, verdict in judged(policies, found, pool=pool)
        if verdict.standing != "pass"
    ]
    order.sort(key=lambda each: (*each[:5], each[5].since))
    hits = [_hit(list(group)) for _, group in groupby(order, key=lambda each: each[:5])]
    return WhatIf(tuple(sorted(hits, key=lambda hit: (not hit.now, hit.policy_id, hit.app_id, hit.key))), len(found))


def _hit(group: list[tuple[str, Source, str, str, str, State, Verdict]]) -> Hit:
    policy_id, source, app_id, cluster, key, first, _ = group[0]
    last, verdict = group[-1][5], group[-1][6]
    return Hit(
        policy_id,
        source,
        app_id,
        cluster,
        key,
        len(group),
        sum(each[6].broken for each in group),
        first.since,
        last.until,
        last.until is None,
        tuple(_words(verdict)),
    )


def _words(verdict: Verdict) -> Iterable[str]:
    return [finding.message for finding in verdict.findings] or [f"{verdict.standing}: {verdict.reason}"]
