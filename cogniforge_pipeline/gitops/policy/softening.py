"""Builtins that fail are undefined, as in OPA, instead of stopping the evaluation.

    to_number(input.x) + 1      becomes      soft.plus(soft.to_number(input.x)[0], 1)[0]

where `soft.to_number` gives `[value]`, or `[]` where the builtin fails; `[][0]` is undefined.

Belongs here: this rewriting, and those functions. Does not: deciding when it is needed (`engine.py`): a policy is wrapped
only once it has stopped, since each wrapped call costs a call into Python.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import regorus

from cogniforge_pipeline.gitops.policy.formatting import sprintf
from cogniforge_pipeline.gitops.policy.syntax import Module, Node, children, head_of, kind_of, path_of, rules, static

INFIX = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/", "Mod": "%"}
_UNDEFINED_WHEN_FAILING = """
    abs array.concat array.reverse array.slice base64.decode base64url.decode bits.and bits.lsh bits.negate bits.or bits.rsh
    bits.xor ceil concat contains count endswith floor format_int glob.match hex.decode indexof indexof_n intersection
    json.filter json.patch json.remove json.unmarshal lower max min net.cidr_contains net.cidr_expand net.cidr_intersects
    net.cidr_merge numbers.range numbers.range_step object.filter object.get object.keys object.remove object.subset
    object.union object.union_n product regex.find_all_string_submatch_n regex.find_n regex.match regex.replace regex.split
    regex.template_match replace round semver.compare sort split startswith strings.any_prefix_match
    strings.any_suffix_match strings.count strings.replace_n strings.reverse substring sum time.parse_duration_ns
    time.parse_rfc3339_ns to_number trim trim_left trim_prefix trim_right trim_space trim_suffix union units.parse
    units.parse_bytes upper urlquery.decode urlquery.decode_object yaml.unmarshal
"""
UNDEFINED_WHEN_FAILING = frozenset(_UNDEFINED_WHEN_FAILING.split())
"""What fails here fails in OPA as well. Others may fail for a lack of the engine, which must not become a pass."""
FALSE_WHEN_FAILING = frozenset(("json.is_valid", "yaml.is_valid", "regex.is_valid", "base64.is_valid"))
Functions = dict[str, tuple[int, Callable[..., Any]]]


@dataclass(frozen=True)
class Softened:
    """A module's new text, and the functions that it calls (name to number of arguments and function)."""

    text: bytes
    functions: Functions


def soften(module: Module) -> Softened:
    """The module with every builtin call and every arithmetic operation wrapped."""
    functions: Functions = {}
    own = {static(path_of(head_of(form, rule)))[:1] for form, rule in rules(module.tree)}
    own |= {path[-1:] for each in module.tree["imports"] if (path := static(path_of(each["refr"])))}
    own |= {(module.words(each["as"]),) for each in module.tree["imports"] if each.get("as")}

    def wrap(node: Node) -> bytes | None:
        kind = kind_of(node)
        if kind == "Call":
            path = static(path_of(node[kind]["fcn"]))
            name, arguments = ".".join(path), node[kind]["params"]
            known = UNDEFINED_WHEN_FAILING | FALSE_WHEN_FAILING | {"sprintf"}
            if path[:1] in own or path[:1] == ("data",) or name not in known:
                return None
            flat = f"soft_{'__'.join(path)}_{len(arguments)}"
            functions[flat] = (len(arguments), _guarded(name, len(arguments)))
            return b"%s(%s)[0]" % (flat.encode(), b", ".join(render(*module.place(each), each) for each in arguments))
        if kind == "ArithExpr":
            symbol = INFIX[node[kind]["op"]]
            flat = f"soft_{node[kind]['op'].lower()}"
            functions[flat] = (2, _try(f"input[0] {symbol} input[1]", []))
            sides = (node[kind]["lhs"], node[kind]["rhs"])
            return b"%s(%s)[0]" % (flat.encode(), b", ".join(render(*module.place(each), each) for each in sides))
        return None

    def render(start: int, end: int, value: Any) -> bytes:
        """The text from `start` to `end`, in which the nodes of `value` lie, with those wrapped that can fail."""
        waiting, found = [value], []
        while waiting:
            each = waiting.pop()
            wrapped = wrap(each) if kind_of(each) in ("Call", "ArithExpr") else None
            if wrapped is not None:
                found.append((*module.place(each), wrapped))
            elif isinstance(each, dict | list):
                waiting.extend(children(each))
        text, at = b"", start
        for begin, stop, wrapped in sorted(found):
            text += module.text[at:begin] + wrapped
            at = stop
        return text + module.text[at:end]

    return Softened(render(0, len(module.text), module.tree["rules"]), functions)


def _guarded(name: str, arity: int) -> Callable[..., Any]:
    if name == "sprintf":
        return _sprintf()
    arguments = ", ".join(f"input[{number}]" for number in range(arity))
    return _try(f"{name}({arguments})", [False] if name in FALSE_WHEN_FAILING else [])


def _try(expression: str, otherwise: list[Any]) -> Callable[..., Any]:
    engine = regorus.Engine()

    def attempt(*arguments: Any) -> list[Any]:
        engine.set_input(list(arguments))
        try:
            found = engine.eval_query(expression)
        except RuntimeError:
            return otherwise
        return [found["result"][0]["expressions"][0]["value"]] if found.get("result") else otherwise

    return attempt


def _sprintf() -> Callable[..., Any]:
    single = _try("sprintf(input[0], [input[1]])", [])

    def one(verb: str, value: Any) -> str:
        found = single(verb, value)
        if not found:
            raise ValueError
        return str(found[0])

    def attempt(form: Any, values: Any) -> list[Any]:
        if not isinstance(form, str) or not isinstance(values, list):
            return []
        return [sprintf(form, values, one)]

    return attempt
