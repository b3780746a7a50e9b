"""Policies that share an engine say what each of them says alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.policy import manifest
from cogniforge_pipeline.gitops.policy.engine import compile_policy
from cogniforge_pipeline.gitops.policy.grouping import can_share
from cogniforge_pipeline.gitops.policy.judging import judge
from cogniforge_pipeline.gitops.policy.pool import Pool, Program
from cogniforge_pipeline.gitops.policy.starters import starter_policies


def program(text: str, parameters: Any = None, *more: str) -> Program:
    modules = tuple((f"m{number}.rego", each) for number, each in enumerate((text, *more)))
    return Program(modules, before=f'{{"parameters":{json.dumps(parameters or {})},"review":', after="}")


def test_starter_policies_together_and_alone(pool: Pool) -> None:
    policies, manifests = starter_policies(), [manifest(number) for number in range(40)]
    together = judge(policies, manifests, manifests, pool=pool)
    alone = [judge([policy], manifests, manifests, pool=pool) for policy in policies]
    for number in range(len(manifests)):
        assert [(v.standing, v.findings) for v in together[number]] == [
            (each[number][0].standing, each[number][0].findings) for each in alone
        ]
    assert {verdict.standing for each in together for verdict in each} == {"pass", "fail"}


LIBRARY = "package lib.a\nf(x) = x"
SHOWS = "violation[{`msg`: m}] { m := sprintf(`%v %v`, [input.parameters.p, input.review.object.kind]) }"


def test_each_has_its_own_parameters_libraries_and_errors(pool: Pool) -> None:
    programs = [
        program(f"package a\n{SHOWS}", {"p": 1}),
        program(f"package b\n{SHOWS}", {"p": {"q": [2]}}),
        program(f"package b\n{SHOWS.replace('%v %v', '%v-%v')}", {"p": 3}),  # a package with another text
        program(
            "package c\nimport data.lib.a\nviolation[{`msg`: m}] { m := a.f(input.parameters[`p`]) }",
            {"p": "l"},
            LIBRARY,
        ),
        program("package d\nviolation[{`msg`: m}] { m := data.lib.a.f(`x`) }"),  # somebody else's library
        program("package e\nviolation[{`msg`: `all`}] { input == input; count(input) == 2 }", {"p": 1}),
        program("package f\nviolation[{`msg`: m}] { m := data.cogniforge_parameters }"),
        program("package g\nviolation[{`msg`: `m`}] { x }\nx = 1 { true }\nx = 2 { true }"),
        program("package h\nviolation[{`msg`: `m`}] { to_number(input.parameters.p) }", {"p": "q"}),
        program(
            "package i\nviolation[{`msg`: m}] { m := input.parameters.p with input.parameters.p as `w` }", {"p": "v"}
        ),
    ]
    document = json.dumps({"object": {"kind": "Pod"}})
    found = pool.evaluate(programs, [document], [(number, 0) for number in range(len(programs))])
    alone = [pool.evaluate([each], [document], [(0, 0)])[0] for each in programs]
    assert [(each.status, each.values) for each in found] == [(each.status, each.values) for each in alone]
    messages = [[item["msg"] for values in each.values.values() for item in values] for each in found]
    assert messages == [["1 Pod"], ['{"q": [2]} Pod'], ["3-Pod"], ["l"], [], ["all"], [], [], [], ["w"]]
    assert [number for number, each in enumerate(found) if each.status == "error"] == [4, 7]


@pytest.mark.parametrize(
    ("body", "shared"),
    [
        ("x if input.review.object.kind == input.parameters.kind", True),
        ("x if data.t.y\ny := 1", True),
        ("x if count(input) == 1", False),
        ("x if input[`review`]", True),
        ("x if { some k; input[k] }", False),
        ("x if data.other.y", False),
        ("x if true with input as {}", False),
        ("import input.review as r\nx if r.kind", False),
        ("import data.other\nx if other.y", False),
    ],
)
def test_which_policies_share(body: str, shared: bool) -> None:
    body = body.replace("input[`review`]", 'input["review"]')
    assert can_share(compile_policy({"t.rego": f"package t\n{body}"})) is shared
