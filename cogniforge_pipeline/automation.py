"""When things run by themselves, and why.

Belongs here: named automation conditions. Does not: the sensors and schedules that need a home (`definitions.py`).
"""

from __future__ import annotations

import dagster as dg


def decide_eagerly() -> dg.AutomationCondition[dg.AssetKey]:
    """A decision is made again as soon as one of its inputs was published and its blocking checks passed.

    `eager()` alone ignores blocking checks. It also waits until no partition of an input is missing, which never
    happens for facts that have days without data, so that part is left out here.
    """
    updated = dg.AutomationCondition.any_deps_updated() | dg.AutomationCondition.newly_missing()
    ready = dg.AutomationCondition.all_deps_blocking_checks_passed() & ~dg.AutomationCondition.any_deps_in_progress()
    return (updated.since_last_handled() & ready & ~dg.AutomationCondition.in_progress()).with_label("decide_eagerly")
