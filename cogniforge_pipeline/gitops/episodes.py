"""Drift over time: from when to when each field differed, how often, and what ended it.

Belongs here: replaying the states of an application. Does not: comparing (`diff.py`), reading states (`states.py`).

Nothing is claimed before both sides were read once. A resource is compared again only when one of its sides changed,
or an autoscaler among the resources did.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cogniforge_pipeline.gitops.autoscaled import SCALERS, autoscaled
from cogniforge_pipeline.gitops.canonical import ResourceKey, to_text
from cogniforge_pipeline.gitops.diff import SYNCED, Live, ResourceDrift, Wanted, compare_states
from cogniforge_pipeline.gitops.drift import ABSENT
from cogniforge_pipeline.gitops.ignore import Ignores
from cogniforge_pipeline.gitops.states import Held


@dataclass(frozen=True)
class Episode:
    """A span in which a field differed; `path` is empty for a whole resource. Values are JSON text, None where a side
    has none. `cause` and `repair` are `commit` or `live`."""

    key: ResourceKey
    path: str
    status: str
    started_at: datetime
    cause: str
    desired: str | None
    live: str | None
    owner: str | None
    flaps: int
    ended_at: datetime | None = None
    repair: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long it lasted."""
        return (self.ended_at - self.started_at).total_seconds() if self.ended_at else None


def json_or_none(value: Any) -> str | None:
    """A value as JSON text; None for ABSENT."""
    return None if value is ABSENT else to_text(value)


def fields_of(one: ResourceDrift) -> dict[str, tuple[str | None, str | None, str | None]]:
    """The fields that differ by path: desired and live value as JSON text, and the owner; a whole resource is one."""
    if one.status == SYNCED:
        return {}
    if not one.fields:
        return {"": (None, None, None)}
    found = {}
    for field in one.fields:
        path = field.to_dict()["path"]
        found[path] = (json_or_none(field.desired), json_or_none(field.live), one.owners.get(path))
    return found


def episodes(
    wanted: Sequence[Held], live: Sequence[Held], moments: Iterable[tuple[datetime, str]], ignores: Ignores
) -> list[Episode]:
    """All episodes of an application, by start, key and path; `moments` are the times at which a side was read."""
    firsts: dict[str, datetime] = {}
    for at, side in moments:
        firsts.setdefault(side, at)
    if len(firsts) < 2:
        return []
    replay = _Replay(ignores)
    both = max(firsts.values())
    changed = _changes(wanted, live)
    changed.setdefault(both, {})
    for at, changes in sorted(changed.items()):
        replay.apply(changes)
        if at >= both:
            replay.judge(at, changes)
    return sorted(replay.closed + list(replay.open.values()), key=lambda one: (one.started_at, one.key, one.path))


Changes = dict[tuple[ResourceKey, str], Any]


def _changes(wanted: Sequence[Held], live: Sequence[Held]) -> dict[datetime, Changes]:
    """What changes at each time: the new value of a side of a resource, None where it goes."""
    found: dict[datetime, Changes] = defaultdict(dict)
    for side, states in (("commit", wanted), ("live", live)):
        for state in states:
            if state.until is not None:
                found[state.until].setdefault((state.key, side), None)
        for state in states:
            found[state.since][state.key, side] = state.value
    return found


class _Replay:
    def __init__(self, ignores: Ignores) -> None:
        self.ignores = ignores
        self.wanted: dict[ResourceKey, Wanted] = {}
        self.live: dict[ResourceKey, Live] = {}
        self.open: dict[tuple[ResourceKey, str], Episode] = {}
        self.closed: list[Episode] = []
        self.flaps: dict[tuple[ResourceKey, str], int] = defaultdict(int)
        self.judged = False

    def apply(self, changes: Changes) -> None:
        for (key, side), value in changes.items():
            states: dict[ResourceKey, Any] = self.wanted if side == "commit" else self.live
            if value is None:
                states.pop(key, None)
            else:
                states[key] = value

    def judge(self, at: datetime, changes: Changes) -> None:
        keys, first = {key for key, _ in changes}, not self.judged
        if first or any(key.kind in SCALERS for key in keys):
            keys |= self.wanted.keys() | self.live.keys()
        self.judged = True
        scalers = [
            one.manifest for side in (self.wanted, self.live) for key, one in side.items() if key.kind in SCALERS
        ]
        found = compare_states(
            {key: self.wanted[key] for key in keys if key in self.wanted},
            {key: self.live[key] for key in keys if key in self.live},
            self.ignores,
            autoscaled(scalers),
        )
        drifted = {one.key: one for one in found}
        for key in keys:
            never_ran = first and key not in self.live
            cause = "commit" if never_ran or (key, "commit") in changes else "live"
            self._settle(key, drifted.get(key), at, cause)

    def _settle(self, key: ResourceKey, one: ResourceDrift | None, at: datetime, cause: str) -> None:
        fields = fields_of(one) if one else {}
        for place in [place for place in self.open if place[0] == key and place[1] not in fields]:
            self.closed.append(replace(self.open.pop(place), ended_at=at, repair=cause))
        for path, (desired, live, owner) in fields.items():
            if (key, path) not in self.open:
                assert one is not None
                flaps = self.flaps[key, path]
                self.flaps[key, path] += 1
                self.open[key, path] = Episode(key, path, one.status, at, cause, desired, live, owner, flaps)
