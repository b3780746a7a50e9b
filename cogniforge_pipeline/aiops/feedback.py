"""What the Python API tells the detector: an episode that was as it should be, a window of planned work, a season.

Belongs here: writing expectations to the registry, where those of files stand too. Does not: what follows from them
(`expectations.py`, `episodes.py`): the next run tells it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from cogniforge_pipeline.aiops.anomalies import ANOMALIES
from cogniforge_pipeline.aiops.expectations import EXPECTATION_KIND, Expectation
from cogniforge_pipeline.declarations import DeclarationsInvalid, declare
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.maintenance import utc
from cogniforge_pipeline.registry import record
from cogniforge_pipeline.sqltext import literal

RUN_ID = "api"


def mark_expected(home: Home, anomaly_id: str, reason: str) -> Expectation:
    """Says that one episode of `aiops.anomalies` was as it should be; it is in no incident any more.

    Raises CogniforgeError where no such episode is known.
    """
    with home.lake.explained():
        known = (
            home.lake.cursor().execute(f"SELECT 1 FROM {ANOMALIES} WHERE anomaly_id = {literal(anomaly_id)}").fetchone()
        )
    if known is None:
        raise CogniforgeError(f"there is no anomaly {anomaly_id}", f"SELECT anomaly_id FROM {ANOMALIES} shows them")
    return expect(home, Expectation(name=f"anomaly-{anomaly_id}", type="expected", anomaly=anomaly_id, reason=reason))


def plan_maintenance(
    home: Home,
    start: datetime,
    end: datetime,
    reason: str,
    *,
    services: Sequence[str] = (),
    metrics: Sequence[str] = (),
    name: str | None = None,
) -> Expectation:
    """Says that work is planned from `start` to `end` (aware): what begins then is maintenance, no incident.

    Without `services` or `metrics` it is about all of them. `name` names it for a later change; without one it follows
    from the rest. Raises CogniforgeError for times without a zone and for an end that is not after the start.
    """
    try:
        when = f"{utc(start).isoformat()}/{utc(end).isoformat()}"
    except ValueError as error:
        raise CogniforgeError(f"maintenance: {error}", "give times with a zone, such as datetime.now(UTC)") from error
    key = sha256(repr((when, tuple(services), tuple(metrics))).encode()).hexdigest()[:12]
    try:
        planned = Expectation(
            name=name or f"maintenance-{key}",
            type="maintenance",
            when=when,
            services=tuple(services),
            metrics=tuple(metrics),
            reason=reason,
        )
    except ValueError as error:
        raise CogniforgeError(f"this maintenance cannot be planned: {error}", "it must end after it starts") from error
    return expect(home, planned)


def expect(home: Home, expectation: Expectation) -> Expectation:
    """Declares an expectation, or its next version; unchanged, it stays as it is.

    Raises DeclarationsInvalid where a file declares one of that name.
    """
    changes, _ = record(home, [declare(EXPECTATION_KIND, expectation)], run_id=RUN_ID)
    if changes.problems:
        raise DeclarationsInvalid(changes.problems)
    return expectation
