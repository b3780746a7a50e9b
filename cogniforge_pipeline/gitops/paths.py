"""The path of a field, which stays the same when a list is ordered anew.

Belongs here: paths as tuples and as text. Does not: walking manifests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*")


@dataclass(frozen=True, order=True)
class Keyed:
    """An element of a list of maps, by the values of its keys."""

    pairs: tuple[tuple[str, Any], ...]

    def __str__(self) -> str:
        return f"[{','.join(f'{name}={_value(value)}' for name, value in self.pairs)}]"


@dataclass(frozen=True, order=True)
class Member:
    """An element of a set, by its value."""

    value: Any

    def __str__(self) -> str:
        return f"[={_value(self.value)}]"


Segment = str | int | Keyed | Member
Path = tuple[Segment, ...]


def path_text(path: Path) -> str:
    """Such as `spec.template.spec.containers[name=web].image` or `metadata.labels["app.kubernetes.io/name"]`."""
    text = ""
    for part in path:
        if isinstance(part, str):
            plain = _PLAIN.fullmatch(part)
            text += (f".{part}" if text else part) if plain else f"[{json.dumps(part, ensure_ascii=False)}]"
        else:
            text += f"[{part}]" if isinstance(part, int) else str(part)
    return text


def keyed(item: Mapping[str, Any], names: tuple[str, ...]) -> Keyed:
    """The segment of an element by those of its keys that it has."""
    return Keyed(tuple((name, item[name]) for name in names if name in item))


def _value(value: Any) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"[^\[\],=\"\s]+", value) else json.dumps(value)
