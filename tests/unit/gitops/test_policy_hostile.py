"""Policies that go too far: contained, told apart from a pass, and of no consequence for others."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.gitops.policy.pool import BREAKS, Outcome, Pool, Program

GOOD = 'violation contains {"msg": "no a"} if not input.a'


def program(body: str, **options: Any) -> Program:
    return Program((("t.rego", f"package t\n{body}"),), **options)


def one(pool: Pool, body: str, document: Any = None, **options: Any) -> Outcome:
    return pool.evaluate([program(body, **options)], [json.dumps(document or {})], [(0, 0)])[0]


def still_works(pool: Pool) -> bool:
    return [outcome.values for outcome in pool.evaluate([program(GOOD)], ["{}", '{"a": 1}'], [(0, 0), (0, 1)])] == [
        {"data.t.violation": [{"msg": "no a"}]},
        {"data.t.violation": []},
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("violation if { some i in numbers.range(1, 9999); some j in numbers.range(1, 9999); i + j == 0 }", "timeout"),
        ("violation if { some i, j, k; input.x[i] + input.x[j] + input.x[k] == 0 }", "timeout"),
        ("violation if count(numbers.range(1, 1000000000000)) > 0", "crash"),
        ('violation if count(concat("", [s | some i in numbers.range(1, 60); s := input.big])) > 0', "crash"),
        (f"violation if count({'[' * 5000}{']' * 5000}) > 0", "crash"),
        ("f(n) := f(n + 1)\nviolation if f(1)", "refused"),
        ('violation if http["send"]({"method": "get", "url": "http://127.0.0.1"})', "refused"),
        ("violation contains opa.runtime().env.PATH", "refused"),
        ("violation contains 1 / ", "refused"),
        ("violation contains numbers.range(1, 400000)", "error"),
    ],
)
def test_it_is_contained_and_the_next_one_is_served(pool: Pool, body: str, expected: str) -> None:
    document = {"x": list(range(1, 2000)), "big": "x" * 10_000_000 if "big" in body else ""}
    outcome = one(pool, body, document)
    assert (outcome.status, dict(outcome.values)) == (expected, {}) and outcome.message
    assert still_works(pool)


def test_recursion_through_data_cannot_take_the_program_down(pool: Pool) -> None:
    """Built so that the rules do not name each other; what is not seen before must be contained."""
    outcome = one(pool, 'a := data[input.p].b\nb := a\nviolation contains "x" if a', {"p": "t"})
    assert outcome.status in ("refused", "crash", "error") and still_works(pool)


def test_a_policy_that_breaks_is_not_tried_for_every_document(pool: Pool) -> None:
    loop = program("violation if { some i in numbers.range(1, 9999); some j in numbers.range(1, 9999); i + j == 0 }")
    pairs = [(which, number) for number in range(6) for which in (0, 1)]
    outcomes = pool.evaluate([loop, program(GOOD)], ["{}"] * 6, pairs)
    assert [outcome.status for outcome in outcomes] == ["timeout", "value"] * 6
    assert [outcome.message.endswith("not tried again") for outcome in outcomes[::2]] == [
        number >= BREAKS for number in range(6)
    ]


def test_no_policy_sees_the_environment_files_or_the_network(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where vetting saw nothing, the process has no environment, and can open no file and no socket."""
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        outcome = one(pool, f'f := "send"\nviolation contains http[f]({{"method": "get", "url": "{url}"}})')
        assert outcome.status == "refused"
        with pytest.raises(TimeoutError):
            server.accept()
    worker = pool._all[0]
    process = worker._started()
    about = Path(f"/proc/{process.pid}")
    if about.is_dir():
        assert b"hunter2" not in (about / "environ").read_bytes()
        limits = (about / "limits").read_text()
        (files,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
        assert files.split()[3] == "3"


def test_builtins_of_libraries_work_where_no_file_can_be_opened(pool: Pool) -> None:
    body = "violation contains `m` if graphql.schema_is_valid(`type A { b: Int }`)"
    assert one(pool, body).values == {"data.t.violation": ["m"]}
    key = '{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}'
    assert "open files" not in one(pool, f"violation contains io.jwt.verify_es256(`a.b.c`, `{key}`)").message


def test_threads_share_a_pool() -> None:
    shared = Pool(2, seconds=2)
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(still_works(shared))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shared.close()
    assert found == [True] * 6


def test_a_process_that_somebody_kills_is_replaced(pool: Pool) -> None:
    assert still_works(pool)
    process = pool._all[0]._started()
    process.kill()
    process.wait()
    assert still_works(pool)


def test_prints_and_what_engines_write_go_nowhere(pool: Pool, capfd: pytest.CaptureFixture[str]) -> None:
    assert one(pool, 'violation contains {"msg": "m"} if { print("secret"); trace("t") }').status == "value"
    assert capfd.readouterr() == ("", "")
