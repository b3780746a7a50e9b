"""Suites in the format of Gatekeeper's `gator verify`: what templates and constraints must say of given objects.

Belongs here: reading suites, running their cases. Does not: printing (`policy_commands.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.gitops.policy.documents import Manifest, read_manifests
from cogniforge_pipeline.gitops.policy.gatekeeper import read_constraint, read_template
from cogniforge_pipeline.gitops.policy.judging import judge
from cogniforge_pipeline.gitops.policy.matching import group_kind
from cogniforge_pipeline.gitops.policy.model import Finding, Policy, PolicyInvalid, Verdict
from cogniforge_pipeline.gitops.policy.pool import Pool

SUITE = ("test.gatekeeper.sh", "Suite")


class SuiteInvalid(CogniforgeError):
    """A suite that cannot be read."""


@dataclass(frozen=True)
class CaseResult:
    """One line of a report. `reason` says what was expected and what came, or why the case could not be run."""

    suite: str
    test: str
    case: str
    standing: Literal["passed", "failed", "skipped"]
    reason: str = ""


def find_suites(paths: Sequence[Path]) -> list[Path]:
    """Suite files; of a folder, those that lie in it and below. Raises SuiteInvalid where there is none."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [each for each in sorted(path.rglob("*.y*ml")) if each.is_file() and _is_suite(each)]
        if not inside:
            raise SuiteInvalid(f"{path}: there is no suite in this folder", "a suite has `kind: Suite`")
        found += inside
    return found


def verify(path: Path, pool: Pool | None = None) -> Iterator[CaseResult]:
    """Runs the cases of one suite. Raises SuiteInvalid where the file is no suite; a broken test fails its own cases."""
    suite = _suite(path)
    for test in _list(suite, "tests", str(path)):
        name = str(test.get("name") or "")
        cases = _list(test, "cases", f"{path}: test {name}", required=not test.get("invalid"))
        if suite.get("skip") or test.get("skip"):
            yield from (CaseResult(str(path), name, str(case.get("name")), "skipped") for case in cases)
            continue
        try:
            policy = _policy(path, test)
        except CogniforgeError as error:
            if test.get("invalid"):
                yield CaseResult(str(path), name, "", "passed", error.message)
            else:
                shown = cases or [{"name": ""}]
                yield from (CaseResult(str(path), name, str(c.get("name")), "failed", error.message) for c in shown)
            continue
        if test.get("invalid"):
            yield CaseResult(
                str(path), name, "", "failed", "expected an invalid template or constraint, this one is valid"
            )
            continue
        for case in cases:
            yield _run(path, name, case, policy, pool)


def _run(path: Path, test: str, case: Mapping[str, Any], policy: Policy, pool: Pool | None) -> CaseResult:
    name = str(case.get("name") or "")
    if case.get("skip"):
        return CaseResult(str(path), test, name, "skipped")
    try:
        subject = _one(path, case.get("object"), "object")
        inventory = [each for file in case.get("inventory") or () for each in read_manifests(_file(path, file))]
        ((said,),) = judge([policy], [subject], inventory, pool=pool)
        wrong = _unmet(case, said)
    except CogniforgeError as error:
        wrong = error.message
    return CaseResult(str(path), test, name, "failed" if wrong else "passed", wrong)


def _unmet(case: Mapping[str, Any], said: Verdict) -> str:
    assertions = case.get("assertions")
    if said.broken:
        return f"{said.standing}: {said.reason}"
    if not assertions:
        return "the case asserts nothing"
    for each in assertions:
        expected = each.get("violations", True)
        pattern = each.get("message")
        try:
            counted = [one for one in said.findings if pattern is None or re.search(str(pattern), one.message)]
        except re.error as error:
            return f"message: {pattern!r} is no regular expression: {error}"
        words = {"yes": True, "no": False}
        wanted = words.get(expected, expected) if isinstance(expected, str) else expected
        if isinstance(wanted, bool):
            met = bool(counted) is wanted
        elif isinstance(wanted, int):
            met = len(counted) == wanted
        else:
            return f"violations: expected yes, no or a number, got {expected!r}"
        if not met:
            of = f" with a message like {pattern!r}" if pattern else ""
            number = (
                "at least one violation"
                if wanted is True
                else "no violation"
                if wanted is False
                else f"{wanted} violations"
            )
            return f"expected {number}{of}, got {_shown(said.findings)}"
    return ""


def _shown(findings: Sequence[Finding]) -> str:
    return f"{len(findings)}: " + "; ".join(each.message for each in findings[:3]) if findings else "none"


def _policy(path: Path, test: Mapping[str, Any]) -> Policy:
    template = read_template(_one(path, test.get("template"), "template"))
    return read_constraint(_one(path, test.get("constraint"), "constraint"), template)


def _one(path: Path, file: Any, what: str) -> Manifest:
    found = read_manifests(_file(path, file))
    if len(found) != 1:
        raise PolicyInvalid(f"{what} {file}: expected one document, got {len(found)}")
    return found[0]


def _file(path: Path, file: Any) -> Path:
    if not isinstance(file, str) or not file or PurePosixPath(file).is_absolute():
        raise SuiteInvalid(f"{path}: expected a path relative to the suite, got {file!r}")
    return path.parent / file


def _suite(path: Path) -> Manifest:
    found = read_manifests(path)
    if len(found) != 1 or group_kind(found[0]) != SUITE:
        raise SuiteInvalid(f"{path}: expected one document of the kind Suite, apiVersion test.gatekeeper.sh/v1alpha1")
    return found[0]


def _is_suite(path: Path) -> bool:
    try:
        return any(group_kind(each) == SUITE for each in read_manifests(path))
    except CogniforgeError:
        return False


def _list(value: Mapping[str, Any], key: str, place: str, *, required: bool = True) -> list[Manifest]:
    found = value.get(key) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found) or (required and not found):
        raise SuiteInvalid(f"{place}: expected a list of objects under `{key}`")
    return found
