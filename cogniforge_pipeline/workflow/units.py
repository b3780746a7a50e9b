"""An activity as a group of units: one, or one for each item or branch, with what it tolerates.

Belongs here: how many units there are, which may begin, and when a group is over. Does not: what a unit does.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from cogniforge_pipeline.workflow.expressions import ExpressionError
from cogniforge_pipeline.workflow.model import WorkflowActivity
from cogniforge_pipeline.workflow.operations import Unit

MOST_ITEMS = 10_000


class Group:
    """The units of one activity. `status` is waiting, running, completed, recovered, failed or skipped."""

    def __init__(self, activity: WorkflowActivity) -> None:
        self.activity = activity
        self.status = "waiting"
        self.units: list[Unit] = []
        self.branched = activity.branches is not None
        self.many = self.branched or activity.for_each is not None
        self.reason = ""
        self.begun = 0
        self._ended: Counter[str] = Counter()

    def open(self, items: Any) -> None:
        """Makes the units. Raises ExpressionError where `for_each` found no list."""
        activity, name = self.activity, self.activity.activity_id
        if activity.branches is not None:
            self.units = [Unit(f"{name}.{b.activity_id}", b, None, place) for place, b in enumerate(activity.branches)]
        elif activity.for_each is not None:
            if not isinstance(items, list) or len(items) > MOST_ITEMS:
                shown = f"{len(items)} items" if isinstance(items, list) else repr(items)[:60]
                raise ExpressionError(f"for_each: expected a list of at most {MOST_ITEMS} items, got {shown}")
            self.units = [Unit(f"{name}[{place}]", activity, item, place) for place, item in enumerate(items)]
        else:
            self.units = [Unit(name, activity)]
        self.status = "running"
        self.reason = "" if self.units else "all_completed"

    def broken(self) -> None:
        """Stands for one unit, of which it is not known how many it would have been."""
        self.units, self.many, self.status = [Unit(self.activity.activity_id, self.activity)], False, "running"

    @property
    def ended(self) -> bool:
        return self.status in ("completed", "recovered", "failed", "skipped")

    @property
    def closed(self) -> bool:
        """Whether no more units begin, although some may be in flight."""
        return self.reason in ("too_many_failures", "enough_successes")

    @property
    def over(self) -> bool:
        """Whether nothing is left to begin and nothing is in flight."""
        return self.many and (self.closed or self.begun == len(self.units)) and self.begun == self._ended.total()

    @property
    def counted(self) -> list[Unit]:
        """The units whose results are the group's: those that succeeded where enough did, else all."""
        return [u for u in self.units if u.status == "completed"] if self.reason == "enough_successes" else self.units

    def startable(self) -> Unit | None:
        """The next unit that may begin."""
        limit = self.activity.max_concurrency
        if self.closed or self.begun == len(self.units):
            return None
        if self.many and limit is not None and self.begun - self._ended.total() >= limit:
            return None
        return self.units[self.begun]

    def judge(self, status: str) -> None:
        """Whether the group goes on after a unit ended so."""
        self._ended[status] += 1
        if self.closed:
            return
        activity, failed, succeeded = self.activity, self._ended["failed"], self._ended["completed"]
        limits: list[float] = [] if activity.tolerated_failures is None else [activity.tolerated_failures]
        if activity.tolerated_failure_share is not None:
            limits.append(activity.tolerated_failure_share * len(self.units))
        if activity.enough_successes is not None and succeeded >= activity.enough_successes:
            self.reason = "enough_successes"
        elif failed > min(limits, default=0) and (limits or activity.enough_successes is None):
            self.reason = "too_many_failures"
        elif self._ended.total() == len(self.units):
            short = activity.enough_successes is not None and not limits
            self.reason = "too_many_failures" if short else "all_completed"

    def summary(self) -> dict[str, Any]:
        """What expressions and people see of the group."""
        shown: dict[str, Any] = {"status": self.status, "error": next((u.error for u in self.units if u.error), None)}
        if self.many:
            shown |= {"total": len(self.units), "reason": self.reason}
            shown |= {name: self._ended[name] for name in ("completed", "failed")}
        return shown
