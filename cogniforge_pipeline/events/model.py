"""What an event is: the attributes of CloudEvents 1.0, their rules and their structured JSON format.

Belongs here: the types and pure checks. Does not: where events are kept.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import JsonValue

from cogniforge_pipeline.errors import CogniforgeError

MAX_DATA_BYTES = 1024 * 1024

Extensions = Mapping[str, str | int | bool]
Stored = tuple[str, str, str, str | None, str, str, str, str | None, str | None, str]
"""The stored form of an event without `seq`: id, source, type, subject, time, specversion, datacontenttype,
dataschema, data, extensions; time is RFC 3339 text, data and extensions are JSON text."""

_WORDS = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*")
_EXTENSION = re.compile(r"[a-z0-9]{1,20}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SEQ = "cogniforgeseq"
_ATTRIBUTES = (
    "id",
    "source",
    "type",
    "subject",
    "time",
    "specversion",
    "datacontenttype",
    "dataschema",
    "data",
)


class EventError(CogniforgeError):
    """An event that is not a valid CloudEvent, or a name that the log does not take."""


@dataclass(frozen=True)
class NewEvent:
    """An event to publish. The log fills `id` (random) and `time` (now) where they are None."""

    type: str
    source: str
    data: JsonValue = None
    subject: str | None = None
    time: datetime | None = None
    id: str | None = None
    datacontenttype: str = "application/json"
    dataschema: str | None = None
    extensions: Extensions = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """One event of a log. `seq` is its place there (0 when it is in none); `time` is in UTC."""

    seq: int
    id: str
    source: str
    type: str
    subject: str | None
    time: datetime
    data: JsonValue = None
    specversion: str = "1.0"
    datacontenttype: str = "application/json"
    dataschema: str | None = None
    extensions: Extensions = field(default_factory=dict)

    def to_cloudevent(self) -> dict[str, JsonValue]:
        """The event in CloudEvents' structured JSON format; `seq` is in the extension `cogniforgeseq`."""
        members: dict[str, JsonValue] = {name: getattr(self, name) for name in _ATTRIBUTES}
        members["time"] = rfc3339(self.time)
        members.update(self.extensions)
        if self.seq:
            members[_SEQ] = str(self.seq)  # text, because CloudEvents integers end at 2**31 - 1
        return {name: value for name, value in members.items() if value is not None}

    @classmethod
    def from_cloudevent(cls, members: Mapping[str, Any]) -> Event:
        """Read a CloudEvent in structured JSON format; one without a `time` gets the current time.

        Raises EventError for another specversion, a missing or malformed attribute, and binary data.
        """
        if members.get("specversion") != "1.0":
            raise EventError(f"expected a CloudEvent of specversion '1.0', got {members.get('specversion')!r}")
        if "data_base64" in members:
            raise EventError(
                "expected JSON in 'data', got binary 'data_base64'",
                "send the payload as JSON",
            )
        given = {name: value for name, value in members.items() if value is not None}
        if missing := [name for name in ("id", "source", "type") if name not in given]:
            raise EventError(f"a CloudEvent needs {' and '.join(missing)}")
        seq = given.pop(_SEQ, "0")
        if not (isinstance(seq, str) and re.fullmatch(r"[0-9]{1,18}", seq)):
            raise EventError(f"expected digits in text as {_SEQ}, got {seq!r}")
        attributes = {name: given.pop(name) for name in _ATTRIBUTES if name in given}
        attributes.pop("specversion")
        if "time" in attributes:
            attributes["time"] = _parse_time(attributes["time"])
        return from_row(int(seq), *to_row(NewEvent(**attributes, extensions=given)))


def to_row(event: NewEvent | Event) -> Stored:
    """Check an event and give its stored form, with a random id and the current time where they are missing.

    Raises EventError.
    """
    if not isinstance(event.type, str) or not is_name(event.type):
        raise EventError(f"expected a type of dotted lower-case words such as 'asset.materialized', got {event.type!r}")
    _check_text("id", event.id)
    _check_text("subject", event.subject)
    for name in ("source", "datacontenttype", "dataschema"):
        value = getattr(event, name)
        _check_text(name, value)
        if name != "datacontenttype" and value is not None and re.search(r"\s", value):
            raise EventError(f"expected {name} to be a URI reference without spaces, got {value!r}")
    for name, value in event.extensions.items():
        if not _EXTENSION.fullmatch(name) or name in _ATTRIBUTES or name == _SEQ:
            raise EventError(f"expected an extension name of at most 20 lower-case letters and digits, got {name!r}")
        if isinstance(value, str):
            _check_text(name, value or "-")
        elif not isinstance(value, int) or not -(2**31) <= value < 2**31:
            raise EventError(f"expected the extension {name} to be text, a 32-bit integer or a boolean, got {value!r}")
    time = datetime.now(UTC) if event.time is None else event.time
    if not isinstance(time, datetime) or time.tzinfo is None:
        raise EventError(f"expected a time with a time zone, got {time!r}", "use datetime.now(UTC)")
    return (
        uuid.uuid4().hex if event.id is None else event.id,
        event.source,
        event.type,
        event.subject,
        rfc3339(time),
        "1.0",
        event.datacontenttype,
        event.dataschema,
        None if event.data is None else _json_text(event.data),
        json.dumps(dict(event.extensions), ensure_ascii=False),
    )


def from_row(seq: int, *row: Any) -> Event:
    """The event of a stored form, see `Stored`."""
    (
        id,
        source,
        type,
        subject,
        time,
        specversion,
        datacontenttype,
        dataschema,
        data,
        extensions,
    ) = row
    return Event(
        seq=seq,
        id=id,
        source=source,
        type=type,
        subject=subject,
        time=datetime.fromisoformat(time),
        data=None if data is None else json.loads(data),
        specversion=specversion,
        datacontenttype=datacontenttype,
        dataschema=dataschema,
        extensions=json.loads(extensions),
    )


def is_name(text: str) -> bool:
    """Whether `text` is dotted lower-case words of at most 255 characters."""
    return len(text) <= 255 and _WORDS.fullmatch(text) is not None


def rfc3339(time: datetime) -> str:
    """An aware time as UTC text of fixed width, so that text order is time order. Raises EventError."""
    try:
        return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except OverflowError:
        raise EventError(f"expected a time between the years 1 and 9999 in UTC, got {time}") from None


def _parse_time(text: Any) -> datetime:
    try:
        time = datetime.fromisoformat(text.upper())
    except (AttributeError, ValueError):
        raise EventError(f"expected an RFC 3339 time such as 2024-05-01T12:00:00Z, got {text!r}") from None
    return time


def _check_text(name: str, value: Any) -> None:
    if value is None and name not in ("source", "datacontenttype"):
        return
    if not isinstance(value, str) or not value or len(value) > 2048 or _CONTROL.search(value):
        shown = repr(value)[:80]
        raise EventError(f"expected {name} to be text of 1 to 2048 characters without control characters, got {shown}")


def _json_text(data: JsonValue) -> str:
    try:
        plain = _json_value(data, "data")
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode())
    except (ValueError, RecursionError) as error:
        raise EventError(f"expected event data to be a JSON value: {error}") from None
    if size > MAX_DATA_BYTES:
        raise EventError(
            f"expected event data of at most {MAX_DATA_BYTES} bytes, got {size}",
            "put the payload in a table or file and publish where it is",
        )
    return text


def _json_value(value: Any, where: str) -> JsonValue:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return [_json_value(item, f"{where}[{place}]") for place, item in enumerate(value)]
        case Mapping():
            for key in value:
                if not isinstance(key, str):
                    raise EventError(f"expected text as keys of {where}, got {key!r}")
            return {key: _json_value(item, f"{where}.{key}") for key, item in value.items()}
    raise EventError(
        f"expected event data to be a JSON value, got {type(value).__name__} at {where}",
        "turn times and other objects into text or numbers first",
    )
