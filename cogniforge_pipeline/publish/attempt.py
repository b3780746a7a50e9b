"""What is told of every attempt to publish a table, to whoever listens to its lake.

Belongs here: the one value that describes an attempt, and telling it. Does not: who listens (`openlineage`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.lake import Lake

if TYPE_CHECKING:
    from cogniforge_pipeline.publish.log import Circumstances
    from cogniforge_pipeline.publish.write import Publication

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """One attempt: it ended with a `publication`, or with an `error` and the table as it was.

    `started` and `ended` are aware, `days` are those that the rows replace (none for rows that are added), and `selects`
    the statements that gave the rows. `circumstances` are unknown for an attempt that failed before its end.
    """

    contract: Contract
    run_id: str
    started: datetime
    ended: datetime
    days: tuple[date, ...] = ()
    selects: tuple[str, ...] = ()
    circumstances: Circumstances | None = None
    publication: Publication | None = None
    error: Exception | None = None


def tell(lake: Lake, attempt: Attempt) -> None:
    """Tells the lake's listener of an attempt; of an error once for each table, however many callers pass it on.

    What is published is published and what failed has failed: a listener's own error changes nothing but a log line.
    """
    if lake.listener is None:
        return
    if attempt.error is not None:
        told = vars(attempt.error).setdefault("told_of", set())
        if attempt.contract.name in told:
            return
        told.add(attempt.contract.name)
    try:
        lake.listener(attempt)
    except Exception:
        _log.exception("what became of %s could not be told", attempt.contract.name)
