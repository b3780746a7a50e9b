"""Canaries as they run: their looks in the lake, and the verdict after each.

Belongs here: writing `sre.canaries` and `sre.canary_looks`, and the event of a verdict. Does not: judging
(`canary_looks.py`), and promoting or rolling back, which is done by whoever deploys.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cogniforge_pipeline import written
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.canary import CanaryError
from cogniforge_pipeline.sre.canary_evidence import Criterion
from cogniforge_pipeline.sre.canary_looks import Look, judge_canary
from cogniforge_pipeline.sre.service_types import Canary, criterion, metrics_from_json, metrics_to_json, named

CANARIES, LOOKS = "sre.canaries", "sre.canary_looks"
SOURCE = "/cogniforge/canaries"
RUN_ID = "api"


def start_canary(
    home: Home,
    service: str,
    percentage: float,
    minutes: float,
    criteria: Mapping[str, float | Criterion | Mapping[str, Any]],
    deployment_id: str | None,
    started_at: datetime | None,
) -> Canary:
    """Writes a new canary. Raises CanaryError for what cannot be judged, RowRefused for an id that is taken."""
    started = _aware(started_at or datetime.now(UTC))
    rules = {name: criterion(name, rule) for name, rule in criteria.items()}
    verdict = judge_canary([], rules, started=started, duration=timedelta(minutes=minutes))
    canary = Canary(
        deployment_id or f"canary-{uuid.uuid4()}",
        service,
        percentage,
        started,
        minutes,
        rules,
        verdict.action,
        verdict.reasons,
        0,
        None,
        started,
        started,
        verdict.evidence,
    )
    written.append(home, CANARIES, [canary.to_row()], run_id=RUN_ID)
    return canary


def update_canary(home: Home, deployment_id: str, metrics: Mapping[str, Any], at: datetime | None) -> Canary:
    """Adds a look and gives the verdict on all of them. Raises CanaryError for impossible values or times."""
    moment = _aware(at or datetime.now(UTC))
    text = metrics_to_json(metrics)
    cursor = home.lake.cursor()
    with home.lake.explained():
        canary, looks = _read(cursor, deployment_id)
    if moment < canary.started_at:
        raise CanaryError(
            f"a look at {moment.isoformat()} is from before the canary began at {canary.started_at.isoformat()}",
            "give the time at which the measurement ended",
        )
    _judged(canary, [*looks, Look(moment, metrics_from_json(text))], moment)
    row = {"deployment_id": deployment_id, "ts": moment, "metrics": text}
    written.append(home, LOOKS, [row], run_id=RUN_ID)
    return judge(home, deployment_id, moment)


def judge(home: Home, deployment_id: str, at: datetime | None) -> Canary:
    """The verdict at `at` (now by default) on all looks, written, with an event where it became another one.

    It never goes back in time: looks and verdicts that are newer than `at` count.
    """
    moment = _aware(at or datetime.now(UTC))
    made: list[Canary] = []

    def rows(cursor: Connection) -> list[dict[str, Any]]:
        canary, looks = _read(cursor, deployment_id)
        made[:] = [_judged(canary, looks, moment)]
        return [made[0].to_row()]

    written.update(home, CANARIES, rows, run_id=RUN_ID)
    _tell(home, made[0])
    return made[0]


def _read(cursor: Connection, deployment_id: str) -> tuple[Canary, list[Look]]:
    found = cursor.execute(f"SELECT * FROM {CANARIES} WHERE deployment_id = {literal(deployment_id)}")
    rows = named(found.description, found.fetchall())
    if not rows:
        raise CanaryError(f"there is no canary {deployment_id}", "start it first, or look at its id")
    looks = cursor.execute(
        f"SELECT ts, metrics FROM {LOOKS} WHERE deployment_id = {literal(deployment_id)} ORDER BY ts"
    ).fetchall()
    return Canary.from_row(rows[0]), [Look(ts.astimezone(UTC), metrics_from_json(text)) for ts, text in looks]


def _judged(canary: Canary, looks: list[Look], at: datetime) -> Canary:
    moment = max([at, canary.judged_at, *(look.at for look in looks)])
    verdict = judge_canary(looks, canary.criteria, started=canary.started_at, duration=canary.duration, as_of=moment)
    return replace(
        canary,
        action=verdict.action,
        reasons=verdict.reasons,
        evidence=verdict.evidence,
        looks=len(looks),
        decided_at=verdict.decided_at,
        changed_at=canary.changed_at if verdict.action == canary.action else moment,
        judged_at=moment,
    )


def _tell(home: Home, canary: Canary) -> None:
    """Publishes a verdict that calls for something, once: it has the same id however often it is told."""
    if canary.action == "continue":
        return
    home.events.publish(
        f"canary.{canary.action}",
        {
            "deployment_id": canary.deployment_id,
            "service": canary.service_name,
            "percentage": canary.percentage,
            "reasons": list(canary.reasons),
        },
        source=SOURCE,
        subject=canary.service_name,
        time=canary.changed_at,
        id=f"{canary.deployment_id}/{canary.action}/{canary.changed_at.isoformat()}",
    )


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise CanaryError(f"expected a time with a time zone, got {moment.isoformat()}", "use datetime.now(UTC)")
    return moment.astimezone(UTC)
