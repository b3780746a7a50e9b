"""Placeholders such as ${TOKEN} in declarations, replaced at the moment of use.

Belongs here: replacing them from the process environment. Does not: the settings of the program.
"""

from __future__ import annotations

import os
import re
from typing import Any, TypeVar

from cogniforge_pipeline.errors import CogniforgeError

T = TypeVar("T")

_PLACEHOLDER = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{")


class MissingVariable(CogniforgeError):
    """A placeholder that cannot be replaced."""


def resolve_env(value: T) -> T:
    """The same structure of dicts, lists and scalars with ${NAME} and ${NAME:-default} in its texts replaced.

    A default also stands in for an empty variable, as in a shell; `$${` gives a literal `${`. Keys stay as
    they are. Raises MissingVariable that names the variables, never a value.
    """
    missing: set[str] = set()
    resolved: T = _resolve(value, missing)
    if missing:
        raise MissingVariable(
            f"environment variables not set: {', '.join(sorted(missing))}",
            "set them before the start, or give a default: ${NAME:-default}",
        )
    return resolved


def _resolve(value: Any, missing: set[str]) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda match: _replacement(match, missing), value)
    if isinstance(value, dict):
        return {key: _resolve(item, missing) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, missing) for item in value]
    return value


def _replacement(match: re.Match[str], missing: set[str]) -> str:
    name, default = match.groups()
    if match[0] == "$${":
        return "${"
    if name is None:
        raise MissingVariable(
            "a text holds '${' that starts no placeholder",
            "write ${NAME} or ${NAME:-default}, or $${ for a literal ${",
        )
    found = os.environ.get(name)
    if default is not None:
        return found or default
    if found is None:
        missing.add(name)
        return ""
    return found
