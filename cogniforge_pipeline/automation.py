"""When assets are made again by themselves, and why.

Belongs here: named automation conditions. Does not: the sensors and schedules, which need a home (`sensors.py`).
"""

from __future__ import annotations

from typing import cast

import dagster as dg

Condition = dg.AutomationCondition[dg.AssetKey]


def decide_eagerly() -> Condition:
    """A decision is made again as soon as one of its inputs was published and its blocking checks passed.

    `eager()` alone ignores blocking checks. It waits until no partition of an input is missing, which never happens for
    facts that have days without data. And it forgets an input that is published between two looks at it, together with
    the decision: here both are compared by their times, which needs them in a `since` of their own.
    """
    condition = dg.AutomationCondition
    published = condition.any_deps_match(condition.newly_updated())
    outdated = published.since(condition.newly_requested()) & published.since(condition.newly_updated())
    along = condition.any_deps_match(condition.will_be_requested())
    ready = condition.all_deps_blocking_checks_passed() & ~condition.any_deps_in_progress()
    wanted = outdated | along | _missing()
    return (wanted & ready & ~condition.in_progress()).with_label("decide_eagerly")


def look_hourly() -> Condition:
    """A log that every publication appends to is looked at once an hour: nothing depends on it being shown sooner."""
    condition = dg.AutomationCondition
    hourly = cast(Condition, condition.cron_tick_passed("7 * * * *"))
    wanted = hourly.since(condition.newly_requested()) | _missing()
    return (wanted & ~condition.in_progress()).with_label("look_hourly")


def _missing() -> Condition:
    """True until it is asked for once, so that what fails at first is not asked for again and again."""
    missing = cast(Condition, dg.AutomationCondition.missing())
    return missing & missing.newly_true().since(dg.AutomationCondition.newly_requested())
