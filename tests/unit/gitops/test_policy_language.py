"""Rego as OPA reads it: each case states what OPA gives."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cogniforge_pipeline.gitops.policy.engine import EvaluationFailed, PolicyRefused, compile_policy


def value(body: str, document: Any = None, *, v0: bool | None = False, **options: Any) -> Any:
    """What `data.t.x` is; None where it is undefined."""
    compiled = compile_policy({"t.rego": f"package t\n{body}"}, v0=v0, **options)
    return compiled.evaluate(["data.t.x"], json.dumps(document or {})).get("data.t.x")


@pytest.mark.parametrize(
    ("body", "document", "expected"),
    [
        ('x if not startswith("A", input.name)', {}, None),
        ('x if not startswith("A", input.name)', {"name": "B"}, True),
        ('x if not startswith("A", input.name)', {"name": "A"}, None),
        ("x if not input.a > 5", {}, None),
        ("x if not input.a > 5", {"a": 3}, True),
        ("x if not input.a == 5", {}, True),
        ("x if not input.a", {}, True),
        ("x if not count(input.a) == 0", {}, None),
        ("x if not input.a[input.b]", {"a": {}}, None),
        ("x if not input.a[input.b]", {"a": {}, "b": "c"}, True),
        ("x if { y := input.xs[_]; not y.ok }", {"xs": [{"ok": 1}, {}]}, True),
        ("f(a) if a == 1\nx if not f(input.a)", {}, None),
        ("f(a) if a == 1\nx if not f(input.a)", {"a": 2}, True),
        ('x if not startswith("Ab", lower(input.a)) with input as {"a": "AB"}', {}, True),
        ("x contains y if { some y in input.ys; not endswith(y, concat(input.s, [])) }", {"ys": ["a"]}, []),
    ],
)
def test_what_a_negated_call_refers_to_is_looked_up_outside_of_the_negation(
    body: str, document: Any, expected: Any
) -> None:
    assert value(body, document) == expected


@pytest.mark.parametrize(
    "body",
    [
        "x { y := input.a\n  (1 + y) > 2 }",
        "x { y := input.list[0]\n  (1 + y) > 2 }",
        "x { y := input.default\n  (1 + y) > 2 }",
        "x { f(input.a)\n (input.a + 1) == 3 }\nf(y) { y == 2 }",
    ],
)
def test_a_line_that_starts_with_a_parenthesis_is_a_statement_of_its_own(body: str) -> None:
    assert value(body, {"a": 2, "list": [2], "default": 2}, v0=True) is True


def test_a_v0_rule_may_have_several_bodies() -> None:
    body = 'x[m] { m := input.a } { m := input.b } { m := "c" }'
    assert value(body, {"a": "a", "b": "b"}, v0=True) == ["a", "b", "c"]
    assert value("x { input.a } { input.b }", {"b": True}, v0=True) is True
    assert value('x = {"k": 1} { input.a }', {"a": True}, v0=True) == {"k": 1}
    assert value("x = 1 { input.a } else = 2 { input.b }", {"b": True}, v0=True) == 2


def test_keywords_after_a_dot_are_names() -> None:
    assert value("x := input.default + input.package.if", {"default": 1, "package": {"if": 2}}) == 3
    assert value("p.if := 1\nx := p.if + data.t.p.if") == 2


def test_template_strings() -> None:
    assert value('x := $"{input.a}: {input.b} of {1 + 1} \\{}"', {"a": "n"}) == "n: <undefined> of 2 {}"
    assert value("x := $`{[y | y := input.ys[_]]}\\n`", {"ys": ["a"]}) == '["a"]\\n'


@pytest.mark.parametrize(
    ("body", "document", "expected"),
    [
        ("x contains 1 if to_number(input.a) > 1\nx contains 2", {"a": "q"}, [2]),
        ("x contains 1 if (input.a + 2) * 3 == 9\nx contains 2", {"a": "q"}, [2]),
        ("x contains 1 if (1 + 2) * (2 + input.b) == 9\nx contains 2 if input.a + 1 > 0", {"a": "q", "b": 1}, [1]),
        ("x := 1 / input.a", {"a": 0}, None),
        ("x := [json.is_valid(input.a), count(input.a)]", {"a": 1}, None),
        ("x contains json.is_valid(input.a)\nx contains 1 if count(input.a) == 1", {"a": 1}, [False]),
        ("x contains 1 if not to_number(input.a)\nx contains 2", {"a": "q"}, [1, 2]),
        ('x := sprintf("%v of %v is wrong", [input.a])', {"a": 1}, "1 of %!v(MISSING) is wrong"),
        ('x := sprintf("%v", [input.a, "b"])', {"a": 1}, "1%!(EXTRA string=b)"),
    ],
)
def test_a_builtin_that_fails_is_undefined(body: str, document: Any, expected: Any) -> None:
    assert value(body, document) == expected


def test_what_fails_in_opa_too_stays_an_error() -> None:
    with pytest.raises(EvaluationFailed, match="conflict"):
        value("x := 1 if input.a\nx := 2 if input.a", {"a": True})
    with pytest.raises(EvaluationFailed, match="could not parse"):
        value("x := to_number(input.a)", {"a": "q"}, strict=True)


def test_builtins_that_the_engine_lacks() -> None:
    assert value('x := crypto.sha256("a")') == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
    assert value('x := net.cidr_merge(["192.0.128.0/24", "192.0.129.0/24"])') == ["192.0.128.0/23"]
    assert value("x := time.now_ns()", now_ns=1714521600000000000) == 1714521600000000000


def test_results_may_go_to_a_last_argument() -> None:
    assert value('x := merged if net.cidr_merge(["10.0.0.0/25", "10.0.0.128/25"], merged)') == ["10.0.0.0/24"]
    assert value('x if { crypto.md5("a", sum); sum == "0cc175b9c0f1b6a831c399e269772661" }') is True


def test_a_schema_that_does_not_match_gives_errors_to_go_through() -> None:
    body = 'x contains e.desc if { [ok, es] := json.match_schema(input.a, {"type": "integer"}); not ok; e := es[_] }'
    assert value(body, {"a": "q"}) == ['"q" is not of type "integer"']
    assert value(body, {"a": 1}) == []


def test_tokens_are_signed_and_verified() -> None:
    key = '{"kty": "oct", "k": "c2VjcmV0"}'
    token = value(f'x := io.jwt.encode_sign({{"alg": "HS256"}}, {{"b": 1, "a": ["x"]}}, {key})')
    header, payload, _ = token.split(".")
    assert (header, payload) == ("eyJhbGciOiJIUzI1NiJ9", "eyJhIjpbIngiXSwiYiI6MX0")
    assert value("x := io.jwt.verify_hs256(input.t, `secret`)", {"t": token}) is True
    assert value("x := io.jwt.verify_hs256(input.t, `other`)", {"t": token}) is False
    assert value("x := io.jwt.verify_hs512(input.t, `secret`)", {"t": token}) is False


def test_graphql_schemas_and_queries() -> None:
    assert value("x := graphql.schema_is_valid(`type A { b: Int }`)") is True
    assert value("x := graphql.schema_is_valid(`type A { b: Nothing }`)") is False
    assert value("x := graphql.is_valid(`{ b }`, `type Query { b: Int }`)") is True
    assert value("x := graphql.is_valid(`{ c }`, `type Query { b: Int }`)") is False


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('x := http.send({"url": "http://127.0.0.1"})', "http.send is not allowed"),
        ('x := http["send"]({"url": "http://127.0.0.1"})', "http.send is not allowed"),
        ("x := http[`send`]({})", "expecting identifier"),
        ("x if { true with http.send as f }\nf(_) := 1", "http.send is not allowed"),
        ("x := opa.runtime().env", "opa.runtime is not allowed"),
        ('x := [y | y := opa["runtime"]()]', "opa.runtime is not allowed"),
        ('x := net.lookup_ip_addr("localhost")', "net.lookup_ip_addr is not allowed"),
        ('x := rego.parse_module("a", "package a")', "rego.parse_module is not allowed"),
        ("x if y\ny if x", "depends on itself"),
        ("f(n) := f(n - 1)\nx := f(3)", "depends on itself"),
        ("x if data.t", "depends on itself"),
        ("x if not input.xs[_].ok", "bound nowhere"),
        ("x if not input.xs[i].ok", "bound nowhere"),
        ("x if not startswith(input.xs[_], `a`)", "bound nowhere"),
        ("x if {", "expecting"),
        ('x := "open', "without end"),
    ],
)
def test_what_a_policy_may_not_say_is_refused_before_it_runs(body: str, words: str) -> None:
    with pytest.raises(PolicyRefused, match=words):
        value(body)


@pytest.mark.parametrize(
    "body",
    [
        "a.one := 1\na.two := a.one\nx := a.two",
        "f(x) := x\nx := f(1)",
        "x := y if { x1 := 1; y := x1 }",
        "x if { some i; input.xs[i] == 1; not input.ys[i] }",
    ],
)
def test_what_only_looks_like_it_is_not_refused(body: str) -> None:
    assert value(body, {"xs": [1]})


def test_v0_and_v1_are_told_apart() -> None:
    assert value("x { input.a }", {"a": True}, v0=None) is True
    assert value("x if input.a", {"a": True}, v0=None) is True
    with pytest.raises(PolicyRefused, match=r"http\.send"):
        value("x { http.send({}) }", v0=None)


@pytest.mark.parametrize(
    ("query", "document", "expected"),
    [
        ("not input.cs[_].probe", {"cs": [{"probe": 1}, {}]}, True),
        ("not input.cs[_].probe", {"cs": [{"probe": 1}]}, None),
        ("not input.cs[_].probe", {"cs": []}, None),
        ("not input.gs[_].cs[_].probe.port", {"gs": [{"cs": [{"probe": {}}]}]}, True),
        ("not startswith(input.cs[_].image, `ours/`)", {"cs": [{"image": "ours/a"}, {"image": "b"}]}, True),
        ("not startswith(input.cs[_].image, `ours/`)", {"cs": [{"image": "ours/a"}]}, None),
        ("input.kind == `A`; not input.cs[_].probe", {"kind": "B", "cs": [{}]}, None),
    ],
)
def test_a_wildcard_in_a_negation_means_any(query: str, document: Any, expected: Any) -> None:
    assert value(f"x if {{ {query} }}", document, normalised=True) is expected


def test_a_negation_that_could_mean_two_things_is_refused() -> None:
    with pytest.raises(PolicyRefused, match="bound nowhere"):
        value("x if not input.cs[_]", normalised=True)
