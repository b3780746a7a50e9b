"""Events on their way out: signed webhooks for programs, Apprise for people.

Belongs here: handing one event over. Does not: which events go where, and trying again, which `Consumer.process` does: what is
raised here leaves the event with its consumer.

A webhook is signed as https://www.standardwebhooks.com has it: `webhook-signature` is `v1,` and the Base64 of HMAC-SHA256 over
`<webhook-id>.<webhook-timestamp>.<body>`. The id is that of the event with its source, so that a receiver can tell a repetition.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.events import messages
from cogniforge_pipeline.events.model import Event

SECONDS = 10.0
TOLERANCE_SECONDS = 300
LEAST_SECRET = 16


class NotDelivered(CogniforgeError):
    """An event did not get out."""


@dataclass(frozen=True)
class Webhook:
    """An address that takes CloudEvents, and the secret shared with it, of at least LEAST_SECRET characters."""

    url: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < LEAST_SECRET:
            raise CogniforgeError(f"a webhook's secret has at least {LEAST_SECRET} characters")
        if not self.url.startswith(("https://", "http://")):
            raise CogniforgeError("a webhook's address begins with https:// or http://")

    def __call__(self, event: Event) -> None:
        """Posts an event in structured mode. Raises NotDelivered unless it is answered with 200 to 299."""
        import requests

        headers, body = messages.structured(event)
        headers |= signed(self.secret, f"{event.source}#{event.id}", int(time.time()), body)
        try:
            answer = requests.post(self.url, data=body, headers=headers, timeout=SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            raise NotDelivered(f"the webhook did not answer: {type(error).__name__}") from None
        if not 200 <= answer.status_code < 300:
            raise NotDelivered(f"the webhook answered {answer.status_code}")


@dataclass(frozen=True)
class People:
    """Apprise's addresses, such as slack://… or mailto://…; they hold secrets. Needs the extra `notify`."""

    urls: Sequence[str] = field(repr=False)

    def __call__(self, event: Event) -> None:
        """Tells people of an event. Raises NotDelivered."""
        try:
            import apprise
        except ImportError:
            raise NotDelivered("Apprise is not installed", "pip install 'cogniforge-pipeline[notify]'") from None
        sender = apprise.Apprise()
        if not self.urls or not all(sender.add(url) for url in self.urls):
            raise NotDelivered("one of the addresses is none that Apprise knows")
        about = f"{event.type} {event.subject}" if event.subject else event.type
        lines = [f"{name}: {value}" for name, value in event.data.items()] if isinstance(event.data, dict) else []
        text = "\n".join([f"{event.time:%Y-%m-%d %H:%M:%S} UTC, told by {event.source}", *lines])
        if not sender.notify(title=about, body=text):
            raise NotDelivered("one of the addresses did not take the message")


def signed(secret: str, identity: str, at: int, body: bytes) -> dict[str, str]:
    """The headers that prove who sent a body, and when (seconds since 1970)."""
    digest = hmac.new(secret.encode(), f"{identity}.{at}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def verified(secret: str, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> bool:
    """Whether a body was signed with the secret, not more than TOLERANCE_SECONDS ago."""
    lower = {name.lower(): value for name, value in headers.items()}
    at = lower.get("webhook-timestamp", "")
    if not at.isdigit() or abs((time.time() if now is None else now) - int(at)) > TOLERANCE_SECONDS:
        return False
    expected = signed(secret, lower.get("webhook-id", ""), int(at), body)["webhook-signature"]
    return any(hmac.compare_digest(expected, each) for each in lower.get("webhook-signature", "").split())
