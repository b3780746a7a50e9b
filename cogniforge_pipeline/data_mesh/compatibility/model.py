"""What a comparison answers, the modes it knows, and its limits of time.

Belongs here: plain values, errors and the budget. Does not: what makes a change breaking.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal, get_args

from cogniforge_pipeline.errors import CogniforgeError

Mode = Literal["NONE", "BACKWARD", "FORWARD", "FULL", "BACKWARD_TRANSITIVE", "FORWARD_TRANSITIVE", "FULL_TRANSITIVE"]
Direction = Literal["BACKWARD", "FORWARD"]
MODES: tuple[str, ...] = get_args(Mode)


class SchemaError(CogniforgeError):
    """A schema that cannot be used; the message starts with its JSON path."""


class OutOfBudget(Exception):
    """The comparison took longer than it was allowed."""


class Undecided(Exception):
    """A question that these methods cannot answer; the text says which."""


class Budget:
    """Seconds of this thread's processor time that one comparison may take, over all directions and versions: a busy machine
    does not change a verdict."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.thread_time() + seconds
        self._steps = 0

    def spend(self, steps: int = 1) -> None:
        """Count work of about a microsecond a step. Raises OutOfBudget once the time is over."""
        self._steps += steps
        if self._steps >= 128:
            self._steps = 0
            if time.thread_time() > self._end:
                raise OutOfBudget


@dataclass(frozen=True)
class Difference:
    """One difference of two schemas.

    `rule` is the name of the kind of change, `path` the JSON pointer after `#`, `direction` the way the pair was read:
    BACKWARD asks whether the new schema reads what the old one allows, FORWARD the reverse with both swapped.
    `breaking` says whether this difference alone refuses that direction.
    """

    rule: str
    path: str
    direction: Direction
    breaking: bool
    message: str

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return {
            "rule": self.rule,
            "path": self.path,
            "direction": self.direction,
            "breaking": self.breaking,
            "message": self.message,
        }


@dataclass(frozen=True)
class Compatibility:
    """The answer for one mode: the verdict and every difference found."""

    compatible: bool
    mode: Mode
    differences: tuple[Difference, ...]

    @property
    def breaking(self) -> tuple[Difference, ...]:
        """The differences that refuse the change."""
        return tuple(item for item in self.differences if item.breaking)

    def to_dict(self) -> dict[str, Any]:
        """`{compatible, mode, differences: [{rule, path, direction, breaking, message}]}`."""
        differences = [item.to_dict() for item in self.differences]
        return {"compatible": self.compatible, "mode": self.mode, "differences": differences}
