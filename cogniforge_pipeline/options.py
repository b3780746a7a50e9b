"""What the commands of all domains share: how a home is named and found, and JSON instead of tables.

Belongs here: options of several commands, and what comes with them. Does not: a command.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.settings import Settings, load_settings

HomeOption = Annotated[
    Path | None,
    typer.Option(
        "--home", help="The home's folder [default: $COGNIFORGE_HOME, else ./.cogniforge]", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def existing_home(home: Path | None) -> Settings:
    """The settings of a home that is there. Raises CogniforgeError when it is not."""
    settings = load_settings(home)
    if not settings.home.is_dir():
        raise CogniforgeError(f"there is no home at {settings.home}", f"make one with: cogniforge init {settings.home}")
    return settings


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Prints what JSON can hold of a value: NaN and infinity as null, times as ISO 8601."""
    typer.echo(json.dumps(_plain(value), indent=2, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value
