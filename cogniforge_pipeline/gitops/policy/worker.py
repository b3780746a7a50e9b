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
from pathlib import Path
from typing import Any

REPORT_SECONDS = 0.02
REAL_TIME_FACTOR = 10
SLACK = 0.25
"""An evaluation has its limit at least, and at most so much more."""
FILES = 3
"""Standard input, output and error: no other file and no socket can be opened."""


def main() -> None:
    """Serves until its input ends. Arguments: seconds of processor time for one evaluation, and megabytes of memory."""
    from cogniforge_pipeline.gitops.policy.builtins import load_libraries
    from cogniforge_pipeline.gitops.policy.engine import (
        Compiled,
        EvaluationFailed,
        PolicyRefused,
        compile_policy,
        packages,
    )

    seconds, megabytes = float(sys.argv[1]), int(sys.argv[2])
    _confine(megabytes)
    policies: dict[str, tuple[Compiled, list[str], str, str, str | None]] = {}
    while (frame := _read()) is not None:
        request = json.loads(frame)
        _arm(seconds)
        if request["op"] == "policy":
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
                _write(["refused", str(refused)])
                continue
            except BaseException as panic:  # what the engine raises when its own code gives up
                _write(["refused", f"it cannot be read: {str(panic)[:200] or type(panic).__name__}"])
                continue
            entries = request["entries"]
            if not entries and request["wanted"]:
                entries = [f"{package}.{rule}" for package, names in packages(compiled).items() for rule in names]
                entries = [entry for entry in entries if entry.rpartition(".")[2] in request["wanted"]]
            policies[request["key"]] = compiled, entries, request["before"], request["after"], request["merged"]
            _write(["compiled", entries])
        elif request["op"] == "query":
            try:
                _write(["value", policies[request["key"]][0].query(request["query"], request["input"])])
            except EvaluationFailed as failed:
                _write(["error", str(failed)])
            except BaseException as panic:
                _write(["error", f"the engine gave up: {panic}"])
        else:
            _work(request, policies, seconds, EvaluationFailed)
        _arm(0)


def _work(request: dict[str, Any], policies: dict[str, Any], seconds: float, failed: type[Exception]) -> None:
    documents = (_read() or b"").decode().split("\n")
    _arm(seconds * (1 + SLACK))
    results: list[Any] = []
    reported = armed = time.monotonic()
    for key, number in request["items"]:
        compiled, entries, before, after, merged = policies[key]
        if time.monotonic() - armed > seconds * SLACK:  # a system call for every evaluation would be felt
            _arm(seconds * (1 + SLACK))
            armed = time.monotonic()
        try:
            document = _with_parameters(documents[number], merged) if merged else documents[number]
            results.append(["value", compiled.evaluate(entries, f"{before}{document}{after}")])
        except failed as error:
            results.append(["error", str(error)])
        except Exception as error:
            results.append(["error", f"{type(error).__name__}: {error}"])
        except BaseException as panic:  # what the engine raises when its own code gives up
            results.append(["error", f"the engine gave up: {panic}"])
        if request["careful"] or time.monotonic() - reported > REPORT_SECONDS:
            _write(results)
            results, reported = [], time.monotonic()
    _write(results)


def _with_parameters(document: str, parameters: str) -> str:
    found = json.loads(document)
    return json.dumps({"parameters": json.loads(parameters), **found}) if isinstance(found, dict) else document


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
