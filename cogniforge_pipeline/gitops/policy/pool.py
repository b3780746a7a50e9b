"""Warm processes that evaluate policies, and what becomes of a policy that goes too far.

Belongs here: starting, asking and replacing the processes; handing out work. Does not: Rego (`engine.py`), or what a
value means for a resource (`verdicts.py`).

An evaluation ends as `value`, `error` (the policy stopped), `timeout` or `crash` (its process died). Only `value` can be a
pass. A policy that kills its process is tried BREAKS times in one call, then no more.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

Status = Literal["value", "refused", "error", "timeout", "crash"]
SECONDS = 2.0
MEGABYTES = 512
CHUNK = 250
BREAKS = 2
MAX_ANSWER = 64 * 1024 * 1024
MAX_WORKERS = 4
FINDINGS = ("violation", "deny", "warn")
"""The rules of a plain module that are findings, as Gatekeeper and Conftest name them."""

T = TypeVar("T")
_ENVIRONMENT = {"MIMALLOC_ARENA_RESERVE": "65536"}
"""All that a process sees of the environment: the engine's allocator would reserve a gigabyte at once, 64 MB (in KiB) will do."""


@dataclass(frozen=True)
class Program:
    """Rego to run: modules (name and text), the rules asked for, and how a document becomes the input.

    Without `entries`, the rules named in FINDINGS of every package are asked for. `v0` None: Rego v1, and v0 where the text
    is not that. The input is the document's JSON text between `before` and `after`. `data` is the JSON text of what rules
    read under `data`. `now_ns` is what `time.now_ns()` gives, in nanoseconds since 1970; None: the clock. `normalised`: see
    `normalising.py`. `merged` is the JSON text of what the input has as `parameters`, unless it has some itself.
    `bare`: only queries are asked.
    """

    modules: tuple[tuple[str, str], ...]
    v0: bool | None = None
    entries: tuple[str, ...] = ()
    before: str = ""
    after: str = ""
    data: str = field(default="{}", repr=False)
    strict: bool = False
    now_ns: int | None = None
    normalised: bool = False
    merged: str | None = None
    bare: bool = False

    @cached_property
    def key(self) -> str:
        return hashlib.sha256(repr((self, self.data)).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """How an evaluation ended. `values` are those of the rules that are defined; `message` says why there are none."""

    status: Status
    values: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""


class _Died(Exception):
    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.outcome = Outcome(status, message=message)


class _Worker:
    """One process. Not for two threads at once."""

    def __init__(self, seconds: float, megabytes: int) -> None:
        self._limits = (seconds, megabytes)
        self._process: subprocess.Popen[bytes] | None = None
        self._known: dict[str, Outcome] = {}

    def compiled(self, program: Program) -> Outcome:
        """Compiles a program where this was not done yet; the values are its entries."""
        if program.key not in self._known:
            request = {
                "op": "policy",
                "key": program.key,
                "modules": dict(program.modules),
                "v0": program.v0,
                "data": program.data,
                "entries": program.entries,
                "wanted": () if program.bare else FINDINGS,
                "before": program.before,
                "merged": program.merged,
                "after": program.after,
                "strict": program.strict,
                "now_ns": program.now_ns,
                "normalised": program.normalised,
            }
            try:
                status, answer = self._ask(request)
            except _Died as died:
                return died.outcome
            if status == "refused":
                self._known[program.key] = Outcome("refused", message=answer)
            else:
                self._known[program.key] = Outcome("value", {"entries": answer})
        return self._known[program.key]

    def query(self, program: Program, query: str, document: str | None) -> Outcome:
        compiled = self.compiled(program)
        if compiled.status != "value":
            return compiled
        try:
            status, answer = self._ask({"op": "query", "key": program.key, "query": query, "input": document})
        except _Died as died:
            return died.outcome
        return Outcome("value", {"answers": answer}) if status == "value" else Outcome("error", message=answer)

    def work(
        self, programs: Sequence[Program], documents: Sequence[str], pairs: Sequence[tuple[int, int]]
    ) -> list[Outcome]:
        """The outcomes of (program, document) pairs, in their order."""
        outcomes: list[Outcome] = []
        deaths: Counter[int] = Counter()
        last: dict[int, Outcome] = {}
        careful_until = -1
        while len(outcomes) < len(pairs):
            program = pairs[len(outcomes)][0]
            if deaths[program] >= BREAKS:
                given_up = last[program]
                outcomes.append(Outcome(given_up.status, message=f"{given_up.message}; not tried again"))
                continue
            ready: list[tuple[int, int]] = []
            careful = len(outcomes) < careful_until
            for pair in pairs[len(outcomes) : careful_until if careful else None]:
                if deaths[pair[0]] >= BREAKS:
                    break
                ready.append(pair)
            compiled = {number: self.compiled(programs[number]) for number in {pair[0] for pair in ready}}
            usable = 0
            for number, _ in ready:
                if compiled[number].status != "value":
                    break
                usable += 1
            if usable == 0:
                failed = compiled[ready[0][0]]
                outcomes.append(failed)
                if failed.status != "refused":
                    deaths[program], last[program] = deaths[program] + BREAKS, failed
                continue
            begun = len(outcomes)
            try:
                for answers in self._stream(programs, documents, ready[:usable], careful=careful):
                    outcomes += [_outcome(*answer) for answer in answers]
            except _Died as died:
                if careful:
                    culprit = pairs[len(outcomes)][0]
                    deaths[culprit] += 1
                    last[culprit] = died.outcome
                    outcomes.append(died.outcome)
                else:
                    careful_until = begun + usable
        return outcomes

    def close(self) -> None:
        process, self._process, self._known = self._process, None, {}
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()

    def _stream(
        self,
        programs: Sequence[Program],
        documents: Sequence[str],
        pairs: Sequence[tuple[int, int]],
        *,
        careful: bool,
    ) -> Iterable[list[Any]]:
        sent = {number: place for place, number in enumerate(dict.fromkeys(pair[1] for pair in pairs))}
        items = [(programs[program].key, sent[document]) for program, document in pairs]
        self._send({"op": "work", "items": items, "careful": careful}, "\n".join(documents[number] for number in sent))
        left = len(pairs)
        while left > 0:
            answers = self._receive()
            left -= len(answers)
            yield answers
        if careful:
            self._receive()

    def _ask(self, request: Mapping[str, Any]) -> Any:
        self._send(request)
        return self._receive()

    def _send(self, request: Mapping[str, Any], body: str | None = None) -> None:
        frames = [json.dumps(request).encode(), *([] if body is None else [body.encode()])]
        stream = self._started().stdin
        try:
            for frame in frames:
                stream.write(struct.pack(">I", len(frame)) + frame)  # type: ignore[union-attr]
            stream.flush()  # type: ignore[union-attr]
        except (BrokenPipeError, OSError):
            raise self._died() from None

    def _receive(self) -> Any:
        stream = self._started().stdout
        head = stream.read(4)  # type: ignore[union-attr]
        if len(head) < 4:
            raise self._died()
        size = struct.unpack(">I", head)[0]
        if size > MAX_ANSWER:
            self.close()
            raise _Died("crash", f"the answer is larger than {MAX_ANSWER} bytes")
        body = stream.read(size)  # type: ignore[union-attr]
        if len(body) < size:
            raise self._died()
        return json.loads(body)

    def _died(self) -> _Died:
        process = self._started()
        code = process.wait()
        self.close()
        seconds, megabytes = self._limits
        if code in (-signal.SIGPROF, -signal.SIGALRM):
            return _Died("timeout", f"it took more than {seconds:g} s")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return _Died("crash", f"its process died ({how}): it recursed too deep, or needed more than {megabytes} MB")

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            seconds, megabytes = self._limits
            command = [sys.executable, "-s", "-P", "-m", "cogniforge_pipeline.gitops.policy.worker"]
            self._process = subprocess.Popen(
                [*command, str(seconds), str(megabytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=os.sep,
                env=_ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
        return self._process


class Pool:
    """Processes that are kept warm. For any number of threads; `close` ends the processes."""

    def __init__(self, workers: int | None = None, *, seconds: float = SECONDS, megabytes: int = MEGABYTES) -> None:
        count = workers or min(os.cpu_count() or 1, MAX_WORKERS)
        self._all = [_Worker(seconds, megabytes) for _ in range(count)]
        self._free = list(self._all)
        self._changed = threading.Condition()

    def compile(self, program: Program) -> Outcome:
        """Whether a program can run: `value` with its entries, or `refused`, `timeout`, `crash`."""
        return self._with(lambda worker: worker.compiled(program))

    def query(self, program: Program, query: str, document: str | None = None) -> Outcome:
        """The answers of a query (`answers`: bindings), for the input with this JSON text."""
        return self._with(lambda worker: worker.query(program, query, document))

    def evaluate(
        self, programs: Sequence[Program], documents: Sequence[str], pairs: Sequence[tuple[int, int]]
    ) -> list[Outcome]:
        """The outcomes of pairs (number of a program, number of a document), in their order.

        Documents are JSON texts without line breaks.
        """
        chunks = [pairs[at : at + CHUNK] for at in range(0, len(pairs), CHUNK)]
        if len(chunks) <= 1:
            return self._with(lambda worker: worker.work(programs, documents, pairs)) if pairs else []
        with ThreadPoolExecutor(len(self._all)) as threads:
            found = threads.map(
                lambda chunk: self._with(lambda worker: worker.work(programs, documents, chunk)), chunks
            )
            return [outcome for outcomes in found for outcome in outcomes]

    def close(self) -> None:
        with self._changed:
            while len(self._free) < len(self._all):
                self._changed.wait()
            for worker in self._all:
                worker.close()

    def _with(self, task: Callable[[_Worker], T]) -> T:
        with self._changed:
            while not self._free:
                self._changed.wait()
            worker = self._free.pop()
        try:
            return task(worker)
        except BaseException:
            worker.close()
            raise
        finally:
            with self._changed:
                self._free.append(worker)
                self._changed.notify()


def with_parameters(document: str, parameters: str) -> str:
    """A document's JSON text with `parameters` (JSON text) in it, unless it is no object or has some itself."""
    found = json.loads(document)
    return json.dumps({"parameters": json.loads(parameters), **found}) if isinstance(found, dict) else document


_shared: dict[int, Pool] = {}
_sharing = threading.Lock()


def shared_pool() -> Pool:
    """This process's own pool, started when it is first used and ended with the process."""
    with _sharing:
        if os.getpid() not in _shared:
            _shared[os.getpid()] = pool = Pool()
            atexit.register(pool.close)
        return _shared[os.getpid()]


def _outcome(status: str, answer: Any) -> Outcome:
    return Outcome("value", answer) if status == "value" else Outcome("error", message=str(answer))
