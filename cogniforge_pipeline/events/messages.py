"""CloudEvents as messages: structured and binary mode over HTTP, and over brokers that have headers.

Belongs here: events to headers and body, and back. Does not: sending them.

HTTP and NATS prefix attributes with `ce-`, Kafka with `ce_`. Only JSON data is taken, as everywhere in the log.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from pydantic import JsonValue

from cogniforge_pipeline.events.model import Event, EventError

STRUCTURED = "application/cloudevents+json"
_PREFIXES = ("ce-", "ce_")
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


def structured(event: Event) -> tuple[dict[str, str], bytes]:
    """Headers and body of an event that is one JSON document."""
    body = json.dumps(event.to_cloudevent(), ensure_ascii=False).encode()
    return {"Content-Type": f"{STRUCTURED}; charset=utf-8"}, body


def binary(event: Event, prefix: str = "ce-") -> tuple[dict[str, str], bytes]:
    """Headers and body of an event whose attributes are headers and whose data is the body."""
    members = event.to_cloudevent()
    data = members.pop("data", None)
    headers = {"Content-Type": str(members.pop("datacontenttype"))}
    headers |= {f"{prefix}{name}": quote(_text(value), safe=_PLAIN) for name, value in members.items()}
    return headers, b"" if data is None else json.dumps(data, ensure_ascii=False).encode()


def parse(headers: Mapping[str, Any], body: bytes | str) -> Event:
    """The event of a message in either mode. Raises EventError."""
    lower = {name.lower(): str(value) for name, value in headers.items()}
    content = lower.get("content-type", "")
    kind = content.partition(";")[0].strip().lower()
    if kind.startswith("application/cloudevents"):
        if kind != STRUCTURED:
            raise EventError(f"expected {STRUCTURED}, got {kind}", "send one event a message, as JSON")
        members = _json(body)
        if not isinstance(members, dict):
            raise EventError("expected a CloudEvent as a JSON object")
        return Event.from_cloudevent(members)
    found: dict[str, Any] = {name[3:]: unquote(value) for name, value in lower.items() if name.startswith(_PREFIXES)}
    if not found:
        raise EventError("the message is no CloudEvent: it has no attributes as headers", f"or send {STRUCTURED}")
    if body:
        if content and not (kind == "application/json" or kind.endswith("+json")):
            raise EventError(f"expected JSON as data, got {kind}", "send the payload as JSON")
        found["data"] = _json(body)
    return Event.from_cloudevent({**found, **({"datacontenttype": content} if content else {})})


def _json(body: bytes | str) -> JsonValue:
    try:
        value: JsonValue = json.loads(body)
    except ValueError as error:
        raise EventError(f"expected JSON in the message: {error}") from None
    return value


def _text(value: JsonValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
