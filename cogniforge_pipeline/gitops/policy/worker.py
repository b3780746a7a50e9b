"""The process in which policies run: started by `pool.py`, killed whenever a policy goes too far.

Belongs here: limits on this process, and the loop over what is asked. Does not: what the answers mean.

Frames on standard input and output: four bytes of length, then text. A request is a JSON header, and for work a second
frame with one JSON document a line. The process ends with its input, with the time limit (SIGPROF, SIGALRM), or as the
kernel decides (memory).
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from cogniforge_pipeline.gitops.policy.builtins import load_libraries
from cogniforge_pipeline.gitops.policy.engine import (
    Compiled,
    EvaluationFailed,
    PolicyRefused,
    compile_policy,
    packages,
)
from cogniforge_pipeline.gitops.policy.grouping import Group, can_share, parameters_of
from cogniforge_pipeline.gitops.policy.pool import with_parameters

REPORT_SECONDS = 0.02
MAX_GROUPS = 64
REAL_TIME_FACTOR = 10
SLACK = 0.25
"""An evaluation has its limit at least, and at most so much more."""
FILES = 3
"""Standard input, output and error: no other file and no socket can be opened."""


def main() -> None:
    """Serves until its input ends. Arguments: seconds of processor time for one evaluation, and megabytes of memory."""
    seconds, megabytes = float(sys.argv[1]), int(sys.argv[2])
    _confine(megabytes)
    served = _Served()
    while (frame := _read()) is not None:
        request = json.loads(frame)
        _arm(seconds)
        if request["op"] == "policy":
            _write(_compile(request, served))
        elif request["op"] == "query":
            _write(_query(request, served))
        else:
            _work(request, served, seconds)
        _arm(0)


def _compile(request: dict[str, Any], served: _Served) -> list[Any]:
    try:
        _open_files(None)
        load_libraries(request["modules"].values())
        _open_files(FILES)
        compiled = compile_policy(
            request["modules"],
            v0=request["v0"],
            data=request["data"],
            strict=request["strict"],
            now_ns=request["now_ns"],
            normalised=request["normalised"],
        )
    except PolicyRefused as refused:
        return ["refused", str(refused)]
    except BaseException as panic:  # what the engine raises when its own code gives up
        return ["refused", f"it cannot be read: {str(panic)[:200] or type(panic).__name__}"]
    entries = request["entries"]
    if not entries and request["wanted"]:
        entries = [f"{package}.{rule}" for package, names in packages(compiled).items() for rule in names]
        entries = [entry for entry in entries if entry.rpartition(".")[2] in request["wanted"]]
    before, after = request["before"], request["after"]
    shared = parameters_of(before, after) if can_share(compiled) else None
    served.policies[request["key"]] = _Policy(compiled, entries, before, after, request["merged"], shared)
    return ["compiled", entries]


def _query(request: dict[str, Any], served: _Served) -> list[Any]:
    try:
        return ["value", served.policies[request["key"]].compiled.query(request["query"], request["input"])]
    except EvaluationFailed as failed:
        return ["error", str(failed)]
    except BaseException as panic:
        return ["error", f"the engine gave up: {panic}"]


def _work(request: dict[str, Any], served: _Served, seconds: float) -> None:
    documents = (_read() or b"").decode().split("\n")
    reporter = _Reporter(seconds, careful=request["careful"])
    for number, run in groupby(request["items"], key=itemgetter(1)):
        keys = [key for key, _ in run]
        for answer in served.answers(keys, documents[number], reporter, together=not request["careful"]):
            reporter.add(answer)
    reporter.flush()


class _Reporter:
    """Sends answers now and then, and winds up the clock that ends this process."""

    def __init__(self, seconds: float, *, careful: bool) -> None:
        self._seconds, self._careful = seconds, careful
        self._results: list[Any] = []
        self._reported = self._armed = time.monotonic()
        _arm(seconds * (1 + SLACK))

    def begin(self) -> None:
        """Before each evaluation; a system call for every one of them would be felt."""
        now = time.monotonic()
        if now - self._armed > self._seconds * SLACK:
            _arm(self._seconds * (1 + SLACK))
            self._armed = now

    def add(self, answer: Any) -> None:
        self._results.append(answer)
        if self._careful or time.monotonic() - self._reported > REPORT_SECONDS:
            self.flush()

    def flush(self) -> None:
        _write(self._results)
        self._results, self._reported = [], time.monotonic()


class _Served:
    """The policies of this process, alone and in groups."""

    def __init__(self) -> None:
        self.policies: dict[str, _Policy] = {}
        self._groups: dict[tuple[str, ...], Group] = {}

    def answers(self, keys: list[str], document: str, reporter: _Reporter, *, together: bool) -> Iterator[Any]:
        """The answers of policies for one document, in their order."""
        group = self._group(tuple(key for key in keys if self.policies[key].shared is not None)) if together else None
        if group is not None:
            group.read(f'{{"review":{document}}}')
        for key in keys:
            policy = self.policies[key]
            reporter.begin()
            if group is not None and key in group.members:
                try:
                    yield ["value", group.values(policy.entries)]
                    continue
                except Exception:  # told by the policy itself
                    pass
            yield policy.answer(document)

    def _group(self, keys: tuple[str, ...]) -> Group | None:
        if len(keys) < 2:
            return None
        if keys not in self._groups:
            if len(self._groups) >= MAX_GROUPS:
                self._groups.clear()
            chosen = {key: (self.policies[key].compiled, self.policies[key].shared or "{}") for key in keys}
            self._groups[keys] = Group(chosen)
        return self._groups[keys]


@dataclass(frozen=True)
class _Policy:
    """A policy that was compiled. `shared` are its parameters' text where it can be asked together with others."""

    compiled: Compiled
    entries: list[str]
    before: str
    after: str
    merged: str | None
    shared: str | None

    def answer(self, document: str) -> list[Any]:
        """Its own answer for a document's text."""
        try:
            document = with_parameters(document, self.merged) if self.merged else document
            return ["value", self.compiled.evaluate(self.entries, f"{self.before}{document}{self.after}")]
        except EvaluationFailed as error:
            return ["error", str(error)]
        except Exception as error:
            return ["error", f"{type(error).__name__}: {error}"]
        except BaseException as panic:  # what the engine raises when its own code gives up
            return ["error", f"the engine gave up: {panic}"]


def _confine(megabytes: int) -> None:
    size = _address_space() + megabytes * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    _open_files(FILES)
    os.environ.clear()


def _open_files(count: int | None) -> None:
    """Lets no more files be open than `count`; None, as many as the system allows: for what a policy needs loaded."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most if count is None else count, most))


def _address_space() -> int:
    """How much this process has mapped already, bytes; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _arm(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds * REAL_TIME_FACTOR)


def _read() -> bytes | None:
    head = sys.stdin.buffer.read(4)
    return sys.stdin.buffer.read(struct.unpack(">I", head)[0]) if len(head) == 4 else None


def _write(value: Any) -> None:
    body = json.dumps(value).encode()
    sys.stdout.buffer.write(struct.pack(">I", len(body)) + body)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
