"""What the Python API takes and gives back: contracts and their versions, decisions, products, measured quality.

Belongs here: these types, and their way to and from rows of the lake. Does not: contexts (`model.py`), deciding on a
version (`evolution.py`), reading or writing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal

from cogniforge_pipeline.data_mesh.compatibility import Difference
from cogniforge_pipeline.data_mesh.compatibility.model import Mode
from cogniforge_pipeline.data_mesh.documents import Kind
from cogniforge_pipeline.data_mesh.model import Product
from cogniforge_pipeline.errors import CogniforgeError

Origin = Literal["api", "file", "package"]


class DataDomainType(StrEnum):
    """Usual business domains; wherever one is asked for, any other text is as good."""

    USER_MANAGEMENT = "user_management"
    ANALYTICS = "analytics"
    COMMERCE = "commerce"
    CONTENT = "content"
    FINANCE = "finance"
    LOGISTICS = "logistics"
    MARKETING = "marketing"
    NOTIFICATION = "notification"
    OPERATIONS = "operations"
    SECURITY = "security"


class SchemaCompatibility(StrEnum):
    """Who must go on reading when a schema changes: see `compare_schemas`."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    FORWARD = "FORWARD"
    FULL = "FULL"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


@dataclass(frozen=True)
class DataContract:
    """A contract as its owners write it. `schema_definition` is a JSON Schema, or a whole ODCS contract.

    `schema_version` is major.minor.patch; `sla_guarantees` are promises by name, such as freshness_seconds.
    """

    contract_id: str
    domain: str
    name: str
    description: str
    schema_version: str
    schema_definition: Mapping[str, Any] | bool
    compatibility_mode: SchemaCompatibility | Mode = SchemaCompatibility.BACKWARD
    owners: Sequence[str] = ()
    consumers: Sequence[str] = ()
    sla_guarantees: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ContractVersion:
    """A row of `data_mesh.contract_versions`; `document` and `sla` are JSON texts, times are in UTC."""

    contract_id: str
    version: str
    kind: Kind
    document: str
    mode: Mode
    domain: str
    name: str
    description: str
    owners: tuple[str, ...]
    consumers: tuple[str, ...]
    sla: str
    registered_at: datetime
    origin: Origin

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> ContractVersion:
        """The version of a row of the table."""
        values = {item.name: row[item.name] for item in fields(cls)}
        lists = {name: tuple(values[name]) for name in ("owners", "consumers")}
        return cls(**{**values, **lists, "registered_at": values["registered_at"].astimezone(UTC)})

    def to_row(self) -> dict[str, Any]:
        """Its row."""
        return asdict(self)

    @property
    def content(self) -> Any:
        """The document as JSON values."""
        return json.loads(self.document)

    @property
    def canonical(self) -> str:
        """The document as the one text of all that are equal but for the order of keys."""
        return json.dumps(self.content, sort_keys=True)

    @property
    def promises(self) -> dict[str, Any]:
        """`sla` as JSON values."""
        return dict(json.loads(self.sla))


@dataclass(frozen=True)
class SchemaEvolution:
    """The decision on a proposed version: whether it was `accepted`, and the `reasons` in sentences.

    `from_version` is the newest version then, None for the first one; `required_step` is the smallest step of the
    version that the change needs (none, patch, minor, major), None for the first version.
    """

    contract_id: str
    from_version: str | None
    to_version: str
    mode: Mode
    accepted: bool
    required_step: str | None
    differences: tuple[Difference, ...]
    reasons: tuple[str, ...]
    decided_at: datetime
    who: str
    stated_changes: tuple[Mapping[str, Any], ...] = ()

    @property
    def breaking(self) -> tuple[Difference, ...]:
        """The differences that alone would refuse the change."""
        return tuple(item for item in self.differences if item.breaking)

    def to_row(self) -> dict[str, Any]:
        """Its row of `data_mesh.schema_evolutions`."""
        row = {item.name: getattr(self, item.name) for item in fields(self)}
        differences = [item.to_dict() for item in self.differences]
        return {
            **row,
            "differences": json_text("differences", differences),
            "stated_changes": json_text("changes", list(self.stated_changes)),
        }


@dataclass(frozen=True)
class DataProduct:
    """A product that a bounded context offers; tier 1 is the most important of 5.

    Ports say how data comes in and how others get it; `contract` names a registered contract where its id is another one.
    """

    product_id: str
    context_id: str
    description: str | None = None
    owner: str | None = None
    tier: int = 3
    input_ports: Sequence[str] = ()
    output_ports: Sequence[str] = ()
    contract: str | None = None

    def declared(self) -> dict[str, Any]:
        """It as an entry of its context's `products`."""
        entry = {name: getattr(self, name) for name in Product.model_fields if name != "name"}
        entry |= {"input_ports": list(self.input_ports), "output_ports": list(self.output_ports)}
        return {"name": self.product_id, **{name: value for name, value in entry.items() if value is not None}}


@dataclass(frozen=True)
class DataQualityMetrics:
    """Quality that was measured elsewhere, as a row of `data_mesh.quality_metrics`.

    completeness, accuracy, consistency, timeliness and error_rate are shares from 0 to 1, volume counts rows, freshness
    is the age of the newest row in seconds. Timeliness and freshness may be None.
    """

    product_id: str
    timestamp: datetime
    completeness: float
    accuracy: float
    consistency: float
    timeliness: float | None
    freshness_seconds: float | None
    volume: int
    error_rate: float
    contract_version: str | None = None

    def to_row(self, run_id: str) -> dict[str, Any]:
        """Its row. Raises CogniforgeError for a share outside 0 to 1, and a time without a zone."""
        for name in ("completeness", "accuracy", "consistency", "timeliness", "error_rate"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise CogniforgeError(f"{self.product_id}: {name} is a share from 0 to 1, got {value!r}")
        if self.freshness_seconds is not None and not math.isfinite(self.freshness_seconds):
            raise CogniforgeError(
                f"{self.product_id}: freshness_seconds must be finite", "use None where none is known"
            )
        if self.timestamp.tzinfo is None:
            raise CogniforgeError(
                f"{self.product_id}: timestamp {self.timestamp} has no time zone", "use datetime.now(UTC)"
            )
        return {**asdict(self), "run_id": run_id, "version": None}


def json_text(what: str, value: Any) -> str:
    """A value as JSON. Raises CogniforgeError, naming `what`, for one that JSON cannot hold."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise CogniforgeError(f"{what}: expected values that JSON can hold: {error}") from None
