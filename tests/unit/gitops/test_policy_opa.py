"""OPA instead of the built-in engine: which command is run, and what becomes of its answers.

`opa` is not among the things that these tests can install; a stand-in plays its part of the conversation.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cogniforge_pipeline.gitops.policy.opa import OpaAbsent, OpaPool
from cogniforge_pipeline.gitops.policy.pool import Program

STAND_IN = f"""#!{sys.executable}
import json, os, sys, time
arguments = sys.argv[1:]
if arguments == ["capabilities", "--current"]:
    print(json.dumps({{"builtins": [{{"name": "http.send"}}, {{"name": "count"}}, {{"name": "opa.runtime"}}]}}))
    sys.exit()
capabilities = json.load(open(arguments[arguments.index("--capabilities") + 1]))
assert capabilities == {{"builtins": [{{"name": "count"}}], "allow_net": []}}, capabilities
assert set(os.environ) <= {{"PATH", "HOME", "LC_CTYPE"}}, os.environ
document = json.load(open(arguments[arguments.index("-i") + 1]))
act = document["review"]["act"]
if act == "hang": time.sleep(30)
if act == "die": os.kill(os.getpid(), 9)
if act == "stop":
    print(json.dumps({{"errors": [{{"message": "rego_type_error: undefined function http.send"}}]}}))
    sys.exit(2)
found = [{{"msg": f"{{arguments[-1]}} {{document['parameters']['p']}} {{'--v0-compatible' in arguments}}"}}]
print(json.dumps({{"result": [{{"expressions": [{{"value": found}}]}}]}} if act == "find" else {{}}))
"""


@pytest.fixture
def opa(tmp_path: Path) -> OpaPool:
    command = tmp_path / "opa"
    command.write_text(STAND_IN)
    command.chmod(0o755)
    return OpaPool(str(command), seconds=5)


def test_answers_errors_timeouts_and_crashes(opa: OpaPool) -> None:
    entry = "data.a.violation"
    program = Program((("a.rego", "package a"),), True, (entry,), '{"parameters":{"p":1},"review":', "}")
    acts = ("find", "nothing", "stop", "die")
    found = opa.evaluate([program], [f'{{"act": "{act}"}}' for act in acts], [(0, number) for number in range(4)])
    assert [each.status for each in found] == ["value", "value", "error", "crash"]
    assert found[0].values == {entry: [{"msg": "data.a.violation 1 True"}]} and found[1].values == {}
    assert found[2].message == "rego_type_error: undefined function http.send"
    opa._seconds = 0.5
    assert opa.evaluate([program], ['{"act": "hang"}'], [(0, 0)])[0].status == "timeout"


def test_a_query_with_a_meaning_of_its_own_is_not_given_to_opa(opa: OpaPool) -> None:
    program = Program((("a.rego", "package a"),), normalised=True)
    assert opa.evaluate([program], ["{}"], [(0, 0)])[0].status == "refused"


def test_without_opa_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OpaAbsent, match="no `opa` on the PATH"):
        OpaPool()
