"""`cogniforge ui` of a home as a child process, and questions to its GraphQL interface.

Belongs here: starting, asking and stopping it. Does not: the browser (`chromium.py`).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import psutil

HOST = "127.0.0.1"
CHECKOUT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
RUNS = "{ runsOrError { ... on Runs { results { runId jobName status tags { key value } } } } }"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def environment() -> dict[str, str]:
    """The environment of children, without what is ours."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("COGNIFORGE_", "DAGSTER_"))}


def command(*arguments: str | Path) -> list[str]:
    """The `cogniforge` command of this interpreter."""
    return [sys.executable, "-m", "cogniforge_pipeline.cli", *map(str, arguments)]


def wait_for(look: Callable[[], T], *, seconds: float, what: str, say: Callable[[], object] = str) -> T:
    """The first true value of `look`; fails with `what` and what `say` gives after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.5)
    raise AssertionError(f"{what} did not happen within {seconds} s\n{say()}")


class Ui:
    """The UI of a home, started and answering; stopped with all of its children at the end.

    `start` gives another command than `cogniforge ui` for a port, `environ` adds to the environment.
    """

    def __init__(
        self,
        home: Path,
        *,
        start: Callable[[str], Sequence[str]] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.home, self.port = home, free_port()
        self.url = f"http://{HOST}:{self.port}"
        self._log = tempfile.NamedTemporaryFile("w+", suffix=".log", delete=False)  # noqa: SIM115
        self.process = subprocess.Popen(
            start(str(self.port)) if start else command("ui", "--home", home, "--port", str(self.port)),
            cwd=CHECKOUT,
            env={**environment(), **(environ or {})},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        try:
            wait_for(self._answers, seconds=90, what="the web server's answer", say=self.log)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the UI ended with {self.process.returncode}\n{self.log()}")
        try:
            return "data" in self.graphql("{ version }", raw=True)
        except (urllib.error.URLError, OSError):
            return False

    def log(self) -> str:
        """What the UI and its children printed."""
        return Path(self._log.name).read_text(encoding="utf-8")

    def graphql(self, query: str, *, raw: bool = False, **variables: Any) -> Any:
        """The `data` of an answer; fails when there are errors in it."""
        request = urllib.request.Request(
            f"{self.url}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = json.load(answer)
        if raw:
            return found
        assert not found.get("errors"), found["errors"]
        return found["data"]

    def runs(self) -> list[dict[str, Any]]:
        """All runs, the newest first: runId, jobName, status, tags."""
        return [
            {**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}}
            for run in self.graphql(RUNS)["runsOrError"]["results"]
        ]

    def processes(self) -> list[psutil.Process]:
        """This process and all that it started."""
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def stop(self, number: signal.Signals = signal.SIGINT) -> list[psutil.Process]:
        """Interrupts it and returns those of its processes that are still there when it has ended."""
        family = self.processes()
        if self.process.poll() is None:
            self.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=300)  # runs that are under way come to their end first
        _, alive = psutil.wait_procs(family, timeout=5)
        for process in alive:
            process.kill()
        return alive
