"""The paths that jq expressions give, each within a second.

Belongs here: asking the child process, and ending it. Does not: the process itself (`jq_worker.py`).
"""

from __future__ import annotations

import json
import math
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from cogniforge_pipeline.errors import CogniforgeError

SECONDS = 1.0
"""So long may an expression take for one manifest, as in Argo CD; on a busy machine what counts is its own time, up to
WAIT times as long."""
WAIT = 10
START_SECONDS = 20.0
"""So long may the process take to start, on a machine that does much else."""
WORKER = Path(__file__).with_name("jq_worker.py")
ANSWER_BYTES = 1 << 26


class JqFailed(CogniforgeError):
    """An expression that is wrong, or took too long, or broke its process."""


class JqPaths:
    """Runs expressions in a child process, which is started when it is first needed."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._broken: dict[str, str] = {}

    def __enter__(self) -> JqPaths:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __call__(self, program: str, document: Mapping[str, Any]) -> list[list[str | int]]:
        """The paths of an expression in a document. Raises JqFailed; what once took too long is not tried again."""
        if program in self._broken:
            raise JqFailed(self._broken[program])
        if self._process is None:
            self._start()
        answer = self._ask({"program": program, "document": document}, self.seconds)
        if answer is None:
            self.close()
            self._broken[program] = (
                f"the jq expression {program!r} took longer than {self.seconds:g} s or broke its process"
            )
            raise JqFailed(self._broken[program])
        if "error" in answer:
            raise JqFailed(f"the jq expression {program!r} fails: {str(answer['error'])[:300]}")
        return [path for path in answer["paths"] if isinstance(path, list)]

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
        )
        if self._ask({"program": ".", "document": {}}, START_SECONDS) is None:
            self.close()
            raise JqFailed("the process for jq expressions does not start", "is the package jq installed?")

    def _ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any] | None:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        line = json.dumps(request, default=str).encode() + b"\n"
        writer = threading.Thread(target=_write, args=(process, line), daemon=True)
        writer.start()
        start, spent = time.monotonic(), _cpu_seconds(process)
        answer = b""
        while not answer.endswith(b"\n"):
            left = start + seconds - time.monotonic()
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, left))
            if not ready and left > -seconds * WAIT and _cpu_seconds(process) - spent < seconds / 2:
                ready, _, _ = select.select([process.stdout], [], [], seconds / 10)
                if not ready:
                    continue
            chunk = process.stdout.read1(1 << 16) if ready else b""  # type: ignore[attr-defined]
            if not chunk or len(answer) > ANSWER_BYTES:
                return None
            answer += chunk
        found: dict[str, Any] = json.loads(answer)
        return found


def _cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """The CPU time of a process; endless of one that is gone."""
    import psutil

    try:
        times = psutil.Process(process.pid).cpu_times()
    except psutil.Error:
        return math.inf
    return float(times.user + times.system)


def _write(process: subprocess.Popen[bytes], line: bytes) -> None:
    try:
        assert process.stdin is not None
        process.stdin.write(line)
        process.stdin.flush()
    except (OSError, ValueError):
        pass  # the process is gone, which the reader notices
