"""What the Kubernetes API says about the parts of an object: how lists merge, which maps are replaced as a whole.

Belongs here: the type of that knowledge. Does not: the knowledge of kinds (`kinds.py`), or merging (`strategic.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Shape:
    """A field of an object.

    A list with `merge` is merged element by element: maps by the values of `keys` (the first is the merge key of
    strategic merge patches), scalars as a set; without it a list is one value. `replace` makes a map one value.
    `retain` (retainKeys) makes fields go that the patch does not name. `default` is what the server fills in, or a
    function that says so of the map around it. `fields` are those of a map, or of each element of a list; `others` is
    the shape of all other fields, which is this one where it is `recursive`.
    """

    merge: bool = False
    keys: tuple[str, ...] = ()
    replace: bool = False
    retain: bool = False
    quantity: bool = False
    default: Any = None
    fields: Mapping[str, Shape] = field(default_factory=dict, repr=False, compare=False)
    others: Shape | None = field(default=None, repr=False, compare=False)
    recursive: bool = False

    @property
    def key(self) -> str:
        """The merge key of a list of maps."""
        return self.keys[0] if self.keys else ""

    def child(self, name: str) -> Shape:
        """The shape of one field."""
        found = self.fields.get(name)
        if found is not None:
            return found
        return self if self.recursive else (self.others or PLAIN)

    def filled(self, around: Mapping[str, Any]) -> Any:
        """What the server fills in for the field, in the map around it; None where it fills in nothing."""
        return self.default(around) if callable(self.default) else self.default


PLAIN = Shape()
"""Of which nothing is known: maps merge, lists are values."""
