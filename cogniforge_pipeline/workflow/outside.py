"""Activities that need no Python of the user: commands without a shell, and HTTP requests.

Belongs here: running both. Does not: which commands are allowed (`settings`), retries, or expressions.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from pydantic import JsonValue

from cogniforge_pipeline.workflow.handlers import NonRetryableError, StoppedError
from cogniforge_pipeline.workflow.model import HttpCall

MOST_OUTPUT = 64 * 1024
"""Characters of a command's output, or of an answer, that are kept."""
HTTP_SECONDS = 60.0
RETRYABLE = (408, 425, 429)


class CommandFailed(Exception):
    """A command ended with another exit code than 0."""


class HttpFailed(Exception):
    """An answer of 400 or more, or none."""


class HttpRefused(HttpFailed, NonRetryableError):
    """An answer that would be the same the next time."""


def run_command(
    words: Sequence[str], allowed: Sequence[str], given: JsonValue, key: str, stopping: threading.Event
) -> JsonValue:
    """Runs a program that is allowed by its path or name; the input is its standard input, as JSON.

    The result is its standard output: as JSON where that is what it is, else as text. The environment is that of this
    process with the idempotency key in COGNIFORGE_IDEMPOTENCY_KEY. Raises NonRetryableError for a program that is not
    allowed, CommandFailed, and StoppedError after it was killed with all its children.
    """
    if words[0] not in allowed:
        raise NonRetryableError(
            f"the command {words[0]!r} is not allowed: name it in COGNIFORGE_COMMANDS, which allows {', '.join(allowed) or 'none'}"
        )
    try:
        process = subprocess.Popen(
            list(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, "COGNIFORGE_IDEMPOTENCY_KEY": key},
            start_new_session=True,
        )
    except OSError as error:
        raise NonRetryableError(f"the command {words[0]!r} cannot be started: {error}") from error
    to_write: str | None = json.dumps(given)
    while True:
        try:
            output, errors = process.communicate(to_write, timeout=0.1)
            break
        except subprocess.TimeoutExpired:
            to_write = None
            if stopping.is_set():
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                raise StoppedError("the command was killed") from None
    if process.returncode:
        said = (errors or output).strip()[-500:]
        raise CommandFailed(f"{Path(words[0]).name} ended with exit code {process.returncode}: {said}")
    return _parsed(output)


def call_http(call: HttpCall, given: JsonValue, key: str, seconds: float | None) -> JsonValue:
    """Makes a request; the input is its JSON body where the call has none. Gives the answer's body.

    Raises HttpRefused for an answer of 400 to 499 but RETRYABLE, HttpFailed for the others and where none comes.
    """
    import requests

    body = call.json_body if call.json_body is not None else given
    try:
        answer = requests.request(
            call.method,
            call.url,
            json=None if call.method in ("GET", "HEAD") else body,
            headers={**call.headers, "Idempotency-Key": key},
            timeout=min(seconds or HTTP_SECONDS, HTTP_SECONDS),
            allow_redirects=False,
        )
    except requests.RequestException as error:
        raise HttpFailed(f"{call.method} {call.url}: {type(error).__name__}") from error
    if answer.status_code >= 400:
        final = answer.status_code < 500 and answer.status_code not in RETRYABLE
        raise (HttpRefused if final else HttpFailed)(f"{call.method} {call.url}: {answer.status_code} {answer.reason}")
    return _parsed(answer.text)


def _parsed(text: str) -> JsonValue:
    text = text[:MOST_OUTPUT]
    try:
        found: JsonValue = json.loads(text) if text.strip() else None
        return found
    except ValueError:
        return text.strip()
