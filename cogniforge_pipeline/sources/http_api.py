"""HTTP to a Prometheus-compatible server: bounded in time and size, to no other host, secrets never in a
message.

Belongs here: requests and their failures. Does not: what the answers mean.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from cogniforge_pipeline.sources.model import PrometheusSource
from cogniforge_pipeline.sources.points import RefusedItem

LARGEST_ANSWER = 256 << 20
_ERROR_TEXT = 500
_SUCCESS = re.compile(rb'\s*\{\s*"status"\s*:\s*"success"')


class HttpApi:
    """The API below `<url>/api/v1`.

    `environ` is where `${NAME}` in headers and the bearer token is looked up.
    """

    def __init__(self, source: PrometheusSource, environ: Mapping[str, str]) -> None:
        self._source = source
        self._environ = environ

    def fetch(self, endpoint: str, path: Path, form: Mapping[str, str | float]) -> None:
        """POSTs the form and writes a successful answer to `path`; raises RefusedItem with the server's
        words.
        """
        self._send("POST", endpoint, path, form)

    def metadata(self) -> dict[str, Any]:
        """Name -> what the server knows of the metric (type, unit, help). Raises RefusedItem."""
        body = self._send("GET", "metadata", None, None)
        try:
            data = json.loads(body)["data"]
        except (ValueError, KeyError, TypeError) as error:
            raise RefusedItem("the metadata cannot be read", "is it a Prometheus-compatible server?") from error
        return data if isinstance(data, dict) else {}

    def _send(self, method: str, endpoint: str, path: Path | None, form: Mapping[str, str | float] | None) -> bytes:
        url = f"{self._source.url}/api/v1/{endpoint}"
        seconds = self._source.timeout.total_seconds()
        headers = self._headers()
        try:
            with requests.request(
                method, url, data=form, headers=headers, timeout=seconds, stream=True, allow_redirects=False
            ) as response:
                if response.is_redirect:
                    raise RefusedItem(
                        f"{url} redirects to {response.headers.get('location', 'nowhere')!r}",
                        "redirects are not followed: give the final address as url",
                    )
                body = _read(response, url, time.monotonic() + 10 * seconds)
                status = response.status_code
        except requests.RequestException as error:
            # Only the kind of failure: its text may hold a header's value.
            raise RefusedItem(
                f"no usable answer from {url}: {type(error).__name__}",
                "check that the server runs and can be reached",
            ) from None
        if status != 200 or not _SUCCESS.match(body):
            raise _refusal(url, status, body)
        if path is not None:
            path.write_bytes(body)
        return body

    def _headers(self) -> dict[str, str]:
        headers = {name: self._filled(value) for name, value in self._source.headers.items()}
        if self._source.bearer_token:
            headers["Authorization"] = f"Bearer {self._filled(self._source.bearer_token)}"
        return headers

    def _filled(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            if match[1] not in self._environ:
                raise RefusedItem(
                    f"the environment variable {match[1]} is not set",
                    f"set {match[1]}, which the source {self._source.name!r} names",
                )
            return self._environ[match[1]].strip()

        return re.sub(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", value, text)


def _read(response: requests.Response, url: str, deadline: float) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(1 << 16):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise RefusedItem(
                f"{url} answers with more than {LARGEST_ANSWER:,} bytes",
                "narrow the selector or raise the step",
            )
        if time.monotonic() > deadline:
            raise RefusedItem(f"{url} answers too slowly", "narrow the selector, or raise `timeout`")
    return bytes(body)


def _refusal(url: str, status: int, body: bytes) -> RefusedItem:
    try:
        answer = json.loads(body)
        text = f"{answer.get('errorType', 'error')}: {answer['error']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        text = body[:_ERROR_TEXT].decode("utf-8", "replace").strip() or "no text"
    hint = {
        400: "correct the expression of the query",
        401: "give a `bearer_token` or `headers`",
        403: "check the permissions of the token",
        404: "check the url: it is the address before /api/v1",
        422: "correct the expression of the query",
    }.get(status, "it is tried again the next time")
    return RefusedItem(f"{url} answers {status}: {text[:_ERROR_TEXT]}", hint)
