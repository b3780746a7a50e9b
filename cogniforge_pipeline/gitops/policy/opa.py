"""OPA itself instead of the built-in engine, where the user has `opa` and asks for it.

Belongs here: running the command. Does not: deciding (`judging.py`).

OPA reaches the network and the environment from policies: those builtins are taken out of its capabilities. One run of the
command evaluates one program on one document, in a second or less; the built-in engine is a thousand times faster.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.gitops.policy.pool import FINDINGS, Outcome, Program, Status, with_parameters
from cogniforge_pipeline.gitops.policy.reading import package
from cogniforge_pipeline.gitops.policy.vetting import FORBIDDEN

SECONDS = 30.0


class OpaAbsent(CogniforgeError):
    """There is no `opa` on the PATH."""


class OpaPool:
    """Evaluates as `pool.Pool` does, by the `opa` command. Raises OpaAbsent when it is made."""

    def __init__(self, command: str | None = None, *, seconds: float = SECONDS) -> None:
        found = command or shutil.which("opa")
        if found is None:
            raise OpaAbsent(
                "there is no `opa` on the PATH", "install it, or leave --opa out: the built-in engine is used"
            )
        self._command, self._seconds = found, seconds
        self._capabilities = self._restricted()

    def evaluate(
        self, programs: Sequence[Program], documents: Sequence[str], pairs: Sequence[tuple[int, int]]
    ) -> list[Outcome]:
        """The outcomes of pairs (number of a program, number of a document), in their order."""
        return [self._one(programs[program], documents[document]) for program, document in pairs]

    def _one(self, program: Program, document: str) -> Outcome:
        if program.normalised:
            return Outcome("refused", message="a rego_query has its meaning in the built-in engine alone")
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for number, (_, text) in enumerate(program.modules):
                file = Path(folder) / f"{number}.rego"
                file.write_text(text, encoding="utf-8")
                files.append(file)
            data, given = Path(folder) / "data.json", Path(folder) / "input.json"
            capabilities = Path(folder) / "capabilities.json"
            data.write_text(program.data, encoding="utf-8")
            if program.merged:
                document = with_parameters(document, program.merged)
            given.write_text(f"{program.before}{document}{program.after}", encoding="utf-8")
            capabilities.write_text(self._capabilities, encoding="utf-8")
            values: dict[str, Any] = {}
            for entry in program.entries or _entries(program):
                arguments = ["eval", "--format", "json", "--capabilities", str(capabilities), "-d", str(data)]
                arguments += [part for file in files for part in ("-d", str(file))]
                arguments += ["--v0-compatible"] if program.v0 else []
                status, answer = self._run([*arguments, "-i", str(given), entry])
                if status != "value":
                    return Outcome(status, message=str(answer))
                if answer.get("result"):
                    values[entry] = answer["result"][0]["expressions"][0]["value"]
            return Outcome("value", values)

    def _run(self, arguments: Sequence[str]) -> tuple[Status, Any]:
        try:
            done = subprocess.run(
                [self._command, *arguments],
                capture_output=True,
                timeout=self._seconds,
                check=False,
                env={"PATH": os.defpath, "HOME": os.sep},
            )
        except subprocess.TimeoutExpired:
            return "timeout", f"it took more than {self._seconds:g} s"
        except OSError as error:
            return "crash", f"{self._command}: {error.strerror}"
        try:
            answer = json.loads(done.stdout or b"{}")
        except ValueError:
            answer = {}
        if done.returncode < 0:
            return "crash", f"opa died with signal {-done.returncode}"
        if answer.get("errors") or done.returncode:
            words = "; ".join(str(each.get("message")) for each in answer.get("errors") or ())
            return "error", words or done.stderr.decode(errors="replace").strip()[:500]
        return "value", answer

    def _restricted(self) -> str:
        status, found = self._run(["capabilities", "--current"])
        if status != "value" or "builtins" not in found:
            raise CogniforgeError(
                f"{self._command} does not tell its capabilities: {found}", "OPA 0.34 or newer is needed"
            )
        allowed = [each for each in found["builtins"] if each["name"] not in FORBIDDEN]
        return json.dumps({**found, "builtins": allowed, "allow_net": []})


def _entries(program: Program) -> list[str]:
    name = package(program.modules[0][1], program.modules[0][0])
    return [f"data.{name}.{rule}" for rule in FINDINGS]
