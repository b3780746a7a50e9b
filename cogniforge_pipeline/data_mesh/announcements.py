"""What the tables of the mesh have to tell others: promises that broke or hold again, rules that a product breaks.

Belongs here: rows to events. Does not: who hears of them (`events`).

An event has the same id whenever the table is computed again, so it is in the log once.
"""

from __future__ import annotations

from datetime import timedelta

from cogniforge_pipeline.data_mesh.tables import FINDINGS, SLA
from cogniforge_pipeline.events import NewEvent
from cogniforge_pipeline.lake import Connection

SOURCE = "/cogniforge/data_mesh"
DAYS = 7
"""What is older when a table is made for the first time is history, not news."""


def sla_events(cursor: Connection) -> list[NewEvent]:
    """`data_product.sla.breached` and `data_product.sla.restored` of the last DAYS days of `data_mesh.sla_status`."""
    rows = cursor.execute(
        "SELECT product_id, sla, promised, breach.started_at, breach.ended_at, as_of FROM ("
        f"SELECT product_id, sla, promised, as_of, unnest(breaches) AS breach FROM {SLA} WHERE sla <> 'availability') "
        "ORDER BY ALL"
    ).fetchall()
    found = []
    for product, sla, promised, started, ended, as_of in rows:
        news = as_of - timedelta(days=DAYS)
        about = {"product_id": product, "sla": sla, "promised": promised, "started_at": started.isoformat()}
        if started > news:
            key = f"{product}:{sla}:{started.isoformat()}:breached"
            found.append(NewEvent("data_product.sla.breached", SOURCE, about, product, started, key))
        if ended and ended > news:
            key = f"{product}:{sla}:{ended.isoformat()}:restored"
            over = {**about, "ended_at": ended.isoformat()}
            found.append(NewEvent("data_product.sla.restored", SOURCE, over, product, ended, key))
    return found


def finding_events(cursor: Connection) -> list[NewEvent]:
    """`governance.finding.failed`, one for each product, rule of a policy, version of the contract, and ended waiver."""
    rows = cursor.execute(
        "SELECT product_id, policy, rule, reason, action, contract_version, waived_until, as_of "
        f"FROM {FINDINGS} WHERE status = 'failed' ORDER BY product_id, policy, rule"
    ).fetchall()
    return [
        NewEvent(
            "governance.finding.failed",
            SOURCE,
            {"product_id": product, "policy": policy, "rule": rule, "reason": reason, "action": action},
            product,
            as_of,
            f"{product}:{policy}:{rule}:{version or ''}:{until.isoformat() if until else ''}",
        )
        for product, policy, rule, reason, action, version, until, as_of in rows
    ]


ANNOUNCERS = {SLA: sla_events, FINDINGS: finding_events}
