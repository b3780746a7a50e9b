"""CloudEvents as messages, held against the features of the CloudEvents conformance suite, and on their way out."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.events import Event, EventError, EventLog, messages
from cogniforge_pipeline.events.outward import NotDelivered, People, Webhook, signed, verified

FEATURES = Path(__file__).parents[4] / "shared" / "data" / "workflow" / "cloudevents" / "features"
SECRET = "a secret of the tests"
EVENT = Event(
    0, "id 1", "/s", "a.b", "süß%\"", datetime(2026, 3, 1, tzinfo=UTC), {"n": [1, "ü"]}, extensions={"flag": True, "part": 7}
)  # fmt: skip


def scenarios() -> list[Any]:
    """Messages of the features and the attributes they have, an outline once for each example."""
    found = []
    for path in sorted(FEATURES.glob("*.feature")):
        for part in re.split(r"Scenario(?: Outline)?:", path.read_text(encoding="utf-8"))[1:]:
            name = part.splitlines()[0].strip()
            table = part.partition("Examples:")[2]
            examples = [line.split("|")[1].strip() for line in table.splitlines() if "|" in line][1:]
            for example in examples or [""]:
                found.append(pytest.param(part.replace("<contentType>", example), id=f"{path.stem}: {name} {example}"))
    return found


def message_of(text: str) -> tuple[dict[str, str], str]:
    """Headers and body of an HTTP request or a Kafka message of a feature."""
    given = text.partition("When parsed")[0]
    quoted = re.findall(r'"""(.*?)"""', given, re.DOTALL)
    if "HTTP request" in given:
        head, _, body = "\n".join(line.strip() for line in quoted[0].strip().splitlines()).partition("\n\n")
        return dict(line.split(": ", 1) for line in head.splitlines()[1:]), body
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in given.splitlines() if line.strip().startswith("|")
    ]
    return {row[0]: row[1] for row in rows if row[0] != "key"}, quoted[-1]


@pytest.mark.skipif(not FEATURES.is_dir(), reason="the features of the CloudEvents conformance suite are not here")
@pytest.mark.parametrize("text", scenarios())
def test_a_message_of_the_conformance_suite_is_understood(text: str) -> None:
    headers, body = message_of(text)
    event = messages.parse(headers, body)
    rows = re.findall(
        r"^\s*\|\s*(\w+)\s*\|\s*(.*?)\s*\|\s*$", text.partition("Then the attributes are:")[2], re.MULTILINE
    )
    wanted = {name: value for name, value in rows if name not in ("key", "contentType")}
    members = event.to_cloudevent()
    assert {n: members[n] for n in wanted} == {**wanted, "time": members["time"]}
    assert event.time == datetime.fromisoformat(wanted["time"])
    assert event.data == json.loads(re.findall(r'"""(.*?)"""', text, re.DOTALL)[-1])


@pytest.mark.parametrize("write", [messages.structured, messages.binary])
def test_an_event_comes_back_as_it_was_sent(write: Any) -> None:
    headers, body = write(EVENT)
    assert all(value.isascii() for value in headers.values())
    back = messages.parse(headers, body)
    expected = EVENT.to_cloudevent()
    if write is messages.binary:
        expected |= {"flag": "true", "part": "7"}  # headers are text
    assert back.to_cloudevent() == expected


@pytest.mark.parametrize("headers, body, message", [
    ({}, "{}", "is no CloudEvent"),
    ({"Content-Type": "application/cloudevents-batch+json"}, "[]", "expected application/cloudevents"),
    ({"Content-Type": "application/cloudevents+json"}, "[", "expected JSON"),
    ({"ce-id": "1", "ce-source": "/", "ce-type": "a", "Content-Type": "text/plain"}, "x", "got text/plain"),
])  # fmt: skip
def test_what_is_no_event_is_refused(headers: dict[str, str], body: str, message: str) -> None:
    with pytest.raises(EventError, match=message):
        messages.parse(headers, body)


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[Any], list[int]]]:
    got: list[Any] = []
    answers: list[int] = []

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answers.pop(0) if answers else 204)
            self.end_headers()

        def log_message(self, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got, answers
    server.shutdown()
    server.server_close()


def test_a_webhook_is_signed_and_tried_again_by_its_consumer(tmp_path: Path, receiver: Any) -> None:
    url, got, answers = receiver
    log = EventLog(tmp_path / "events.sqlite")
    log.publish("a.b", {"n": 1}, source="/s", id="one")
    consumer, hook = log.consumer("hook"), Webhook(url, SECRET)
    answers += [503, 302]
    assert [consumer.process(hook) for _ in range(4)] == [0, 0, 1, 0]
    assert len(got) == 3
    headers, body = got[-1]
    assert messages.parse(headers, body).data == {"n": 1}
    assert verified(SECRET, headers, body)
    assert not verified(SECRET, headers, body + b" ")
    assert not verified(SECRET + "x", headers, body)
    assert not verified(SECRET, headers, body, now=int(headers["webhook-timestamp"]) + 400)
    assert headers["webhook-id"] == "/s#one"
    assert SECRET not in repr(hook)


def test_the_signature_is_that_of_the_standard() -> None:
    """Held against the reference's own example of secret, id, time and body."""
    import base64

    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").decode("latin-1")
    body = b'{"test": 2432232314}'
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    import hashlib
    import hmac

    digest = hmac.new(
        secret.encode("latin-1"), b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + body, hashlib.sha256
    ).digest()
    assert f"v1,{base64.b64encode(digest).decode()}" == expected
    ours = signed("plain text secret", "msg", 1614265330, body)["webhook-signature"]
    digest = hmac.new(b"plain text secret", b"msg.1614265330." + body, hashlib.sha256).digest()
    assert ours == f"v1,{base64.b64encode(digest).decode()}"


def test_people_are_told_through_apprise(receiver: Any) -> None:
    url, got, answers = receiver
    people = People([url.replace("http://", "json://")])
    people(EVENT)
    told = json.loads(got[0][1])
    assert told["title"] == 'a.b süß%"'
    assert "n: [1, 'ü']" in told["message"]
    answers.append(500)
    with pytest.raises(NotDelivered, match="did not take"):
        people(EVENT)
    with pytest.raises(NotDelivered, match="none that Apprise knows"):
        People(["nonsense"])(EVENT)


@pytest.mark.parametrize("url, secret", [("ftp://x", SECRET), ("https://x", "short")])
def test_a_webhook_that_cannot_be_is_refused(url: str, secret: str) -> None:
    with pytest.raises(CogniforgeError):
        Webhook(url, secret)
