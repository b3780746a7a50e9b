"""How many cases of OPA's own compliance families the policy engine answers as OPA does, and why it does not the others.

Every case is a query over modules; OPA's answer is in the case. An error where OPA answers is a failure, but a safe one: an
error is never a pass. What matters most is `less`: answers with less than OPA's, which could let a denial through.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.harness import report
from cogniforge_pipeline.gitops.policy.pool import Outcome, Pool, Program

FAMILIES = Path(__file__).resolve().parents[2] / "shared/data/gitops/opa_v1"
BAR = 0.9


def cases(folder: Path = FAMILIES) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each case with the name of its family."""
    for file in sorted(folder.glob("*/*.json")):
        for case in json.loads(file.read_text(encoding="utf-8"))["cases"]:
            yield file.parent.name, case


def answer(pool: Pool, case: dict[str, Any]) -> Outcome:
    """What the engine says to a case."""
    document = json.dumps(case["input"]) if "input" in case else None
    modules = tuple((f"m{number}.rego", text) for number, text in enumerate(case.get("modules") or ()))
    program = Program(
        modules, False, data=json.dumps(case.get("data") or {}), strict=bool(case.get("strict_error")), bare=True
    )
    if "input_term" in case:
        term = pool.query(Program((), False, bare=True), f"x = {case['input_term']}")
        if term.status != "value":
            return term
        document = json.dumps(term.values["answers"][0]["x"])
    return pool.query(program, case["query"], document)


def unmet(case: dict[str, Any], outcome: Outcome) -> str:
    """Why an outcome is not OPA's; empty where it is."""
    wanted = case.get("want_result")
    if "want_error" in case or "want_error_code" in case:
        return "" if outcome.status in ("error", "refused") else "answers where OPA has an error"
    if outcome.status != "value":
        return f"{outcome.status}: {cause(outcome.message)}"
    got = outcome.values["answers"]
    if wanted is None:
        return "" if not got else "more than OPA"
    if sorted(map(_text, got)) == sorted(map(_text, wanted)):
        return ""
    return "less than OPA" if len(_text(got)) < len(_text(wanted)) else "another answer"


def cause(message: str) -> str:
    """A message without places and names."""
    words = message.rpartition(": ")[2] if ": " in message else message
    for known in (r"could not find function [\w.]+", r"\S+ is not allowed", r"unsafe", r"depends on itself"):
        if found := re.search(known, message):
            return found.group()
    return re.sub(r"[\"'`].*", "", words)[:60]


def _text(value: Any) -> str:
    def plain(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: plain(item) for key, item in part.items()}
        if isinstance(part, list):
            return [plain(item) for item in part]
        return float(part) if isinstance(part, int) and not isinstance(part, bool) else part

    return json.dumps(plain(value), sort_keys=True)


def main() -> bool:
    pool = Pool(seconds=5)
    failures: dict[str, list[str]] = {}
    total, met = Counter[str](), Counter[str]()
    for family, case in cases():
        total[family] += 1
        why = unmet(case, answer(pool, case))
        met[family] += not why
        if why:
            failures.setdefault(why, []).append(case["note"])
    pool.close()
    for why, notes in sorted(failures.items(), key=lambda item: -len(item[1])):
        print(f"{len(notes):4} {why}: {', '.join(notes if '-v' in sys.argv else notes[:3])}")
    for family in sorted(total, key=lambda name: met[name] / total[name]):
        if met[family] < total[family]:
            print(f"{met[family]:4} of {total[family]:4} {family}")
    less = sum(len(notes) for why, notes in failures.items() if why == "less than OPA")
    cases_met = met.total()
    return report("policy_conformance", cases_met, total.total(), BAR, at_least=True, less_than_opa=less)


if __name__ == "__main__":
    main()
