"""What a contract promises about its service: durations in seconds, other promises as written.

Belongs here: reading `slaProperties`. Does not: measuring whether a promise is kept (audit.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from open_data_contract_standard.model import ServiceLevelAgreementProperty

from cogniforge_pipeline.contracts.model import Column
from cogniforge_pipeline.contracts.yaml_text import Document, Spot

_SECONDS = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "m": 60,
    "min": 60,
    "minute": 60,
    "h": 3600,
    "hr": 3600,
    "hour": 3600,
}
_SECONDS |= {
    "d": 86400,
    "day": 86400,
    "w": 604800,
    "week": 604800,
    "y": 31557600,
    "yr": 31557600,
    "year": 31557600,
}

_NAMES = (
    *("availability", "throughput", "errorRate", "error_rate", "retention", "frequency", "latency", "freshness"),
    *("timeToDetect", "timeToNotify", "timeToRepair", "generalAvailability", "endOfSupport", "endOfLife"),
    "timeOfAvailability",
)
"""The names of ODCS, and what this platform reads besides."""
_NEAR = 0.8


def check_names(document: Document) -> None:
    """Refuses the name of an SLA property that is nearly one of ODCS: it would promise nothing. ODCS allows any other.

    The document is one that `promises` took. Raises ContractError.
    """
    known = {name.lower(): name for name in _NAMES}
    for index, item in enumerate(document.data.get("slaProperties") or []):
        name = item["property"]
        near = [] if name in _NAMES else get_close_matches(name.lower(), known, 1, _NEAR)
        if near:
            place = ("slaProperties", index, "property")
            document.fail(place, f"the SLA property {name!r} is unknown", f"did you mean {known[near[0]]}?")


def promises(
    properties: Sequence[ServiceLevelAgreementProperty], columns: Mapping[str, Column], spot: Spot
) -> tuple[dict[str, Any], str | None]:
    """The promises, and the column whose newest value `latency` or `freshness` is about, if one is named.

    `latency` of 15 min gives `freshness_seconds: 900`; `retention` of 30 d gives `retention_seconds`; a
    property without a unit of time keeps its name and value. Raises ContractError.
    """
    found: dict[str, Any] = {}
    time_column = None
    for index, item in enumerate(properties):
        at = spot.at(index)
        if not item.property or item.value is None:
            at.fail("an SLA property needs property and value", "add both")
        unit = (item.unit or "").lower()
        seconds = _SECONDS.get(unit) or _SECONDS.get(unit.removesuffix("s"))
        fresh = item.property in ("latency", "freshness")
        if fresh and seconds is None:
            at.fail(f"{item.property} has the unit {item.unit!r}", "add unit: s, min, h or d")
        if seconds is None:
            found[item.property] = item.value
            continue
        if isinstance(item.value, bool) or not isinstance(item.value, int | float) or item.value <= 0:
            at.fail(f"{item.property} expects a number above 0, found {item.value!r}", "correct the value")
        found["freshness_seconds" if fresh else f"{item.property}_seconds"] = item.value * seconds
        if fresh and item.element:
            time_column = item.element.rpartition(".")[2]
            if time_column not in columns or not columns[time_column].temporal:
                at.at("element").fail(f"{item.element} is no date or timestamp column", "name one")
    return found, time_column
