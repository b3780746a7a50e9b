"""What the tables of SLOs have to tell others: alerts that fired or cleared, budgets that run out.

Belongs here: rows to events. Does not: who hears of them (`events`).

An event has the same id whenever the table is computed again, so it is in the log once.
"""

from __future__ import annotations

from cogniforge_pipeline.events import NewEvent
from cogniforge_pipeline.lake import Connection

SOURCE = "/cogniforge/sre"
DAYS = 7
"""What is older when a table is made for the first time is history, not news."""


def alert_events(cursor: Connection) -> list[NewEvent]:
    """`slo.alert.fired` and `slo.alert.cleared` of the last DAYS days of `sre.alerts`."""
    rows = cursor.execute(
        "SELECT slo_id, service, alert, severity, fired_at, cleared_at, peak_burn_rate, budget_spent_at_fire, "
        f"budget_spent FROM sre.alerts WHERE coalesce(cleared_at, fired_at) > "
        f"(SELECT max(ts) FROM sre.alert_minutes) - INTERVAL {DAYS} DAY ORDER BY fired_at, slo_id, alert"
    ).fetchall()
    found = []
    for slo_id, service, alert, severity, fired, cleared, peak, at_fire, spent in rows:
        key = f"{slo_id}:{alert}:{fired.isoformat()}"
        about = {"slo_id": slo_id, "service": service, "alert": alert, "severity": severity}
        found.append(
            NewEvent("slo.alert.fired", SOURCE, {**about, "budget_spent": at_fire}, service, fired, f"{key}:fired")
        )
        if cleared:
            cost = {**about, "fired_at": fired.isoformat(), "peak_burn_rate": peak, "budget_spent": spent}
            found.append(NewEvent("slo.alert.cleared", SOURCE, cost, service, cleared, f"{key}:cleared"))
    return found


def budget_events(cursor: Connection) -> list[NewEvent]:
    """`slo.budget.warning` and `slo.budget.exhausted` of `sre.error_budgets`, one of each for an objective and day."""
    rows = cursor.execute(
        "SELECT slo_id, service, status, remaining, as_of FROM sre.error_budgets "
        "WHERE status IN ('warning', 'exhausted') ORDER BY slo_id"
    ).fetchall()
    return [
        NewEvent(
            f"slo.budget.{status}",
            SOURCE,
            {"slo_id": slo_id, "service": service, "remaining": remaining},
            service,
            as_of,
            f"{slo_id}:{status}:{as_of:%Y-%m-%d}",
        )
        for slo_id, service, status, remaining, as_of in rows
    ]


ANNOUNCERS = {"sre.alerts": alert_events, "sre.error_budgets": budget_events}
