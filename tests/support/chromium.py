"""A headless Chromium with one page, driven over its DevTools protocol.

Belongs here: starting it, opening pages, looking at them. Does not: what a page must show.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import connect

EXECUTABLE = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


class Page:
    """One page, `width` x `height` pixels; closed with its browser at the end."""

    def __init__(self, width: int = 1400, height: int = 1000) -> None:
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [str(EXECUTABLE), *FLAGS, f"--user-data-dir={self._profile.name}", f"--window-size={width},{height}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._opened = ExitStack()
        self._calls = 0
        self.errors: list[str] = []
        """Uncaught exceptions of the page's scripts."""

    def __enter__(self) -> Self:
        try:
            targets = f"http://127.0.0.1:{self._port()}/json/list"
            with urllib.request.urlopen(targets, timeout=30) as answer:
                page = next(target for target in json.load(answer) if target["type"] == "page")
            socket = connect(page["webSocketDebuggerUrl"], max_size=None, proxy=None)
            self._socket = self._opened.enter_context(socket)
            self.call("Runtime.enable")
            self.call("Emulation.setDeviceMetricsOverride", **self._size)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()
        self._end()

    def _port(self) -> int:
        written = Path(self._profile.name) / "DevToolsActivePort"
        end = time.monotonic() + 60
        while time.monotonic() < end and self._process.poll() is None:
            if written.exists() and (lines := written.read_text().splitlines()):
                return int(lines[0])
            time.sleep(0.1)
        raise AssertionError(f"{EXECUTABLE} did not open its DevTools port; exit code {self._process.poll()}")

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol and its result."""
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=60))
            if message.get("method") == "Runtime.exceptionThrown":
                self.errors.append(message["params"]["exceptionDetails"].get("text", ""))
            if message.get("id") == self._calls:
                assert "error" not in message, message["error"]
                return message.get("result", {})

    def open(self, url: str) -> None:
        """Starts to load a page; `wait_for` waits until it is there and shows what is asked for."""
        self.call("Page.navigate", url=url)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def text(self) -> str:
        """What the page shows as text."""
        return self.evaluate("document.body ? document.body.innerText : ''") or ""

    def wait_for(self, script: str, *, seconds: float = 60) -> Any:
        """The first true value of an expression on a page that is wholly loaded; fails with the page's text."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := self.evaluate(f"document.readyState === 'complete' && ({script})"):
                return found
            time.sleep(0.25)
        raise AssertionError(f"{script} stayed false for {seconds} s; the page shows:\n{self.text()}\n{self.errors}")

    def wait_for_text(self, text: str, *, seconds: float = 60) -> None:
        """Waits until the page shows this text."""
        self.wait_for(f"document.body && document.body.innerText.includes({json.dumps(text)})", seconds=seconds)

    def screenshot(self, path: Path) -> None:
        """Writes what is visible as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
