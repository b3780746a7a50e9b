"""What a policy may not say: refused before anything is evaluated.

Belongs here: functions that reach out of the evaluation, however their name is written; recursion; negation over what is
bound nowhere. Does not: limits of time and memory (`pool.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cogniforge_pipeline.gitops.policy.syntax import (
    COMPREHENSIONS,
    Module,
    Node,
    chains,
    children,
    head_of,
    kind_of,
    path_of,
    rules,
    statements,
    static,
    walk,
)

FORBIDDEN = {
    "http.send": "it would reach the network",
    "net.lookup_ip_addr": "it would reach the network",
    "opa.runtime": "it would show the environment",
    "rego.parse_module": "policies do not read policies",
}
_ROOTS = frozenset(name.partition(".")[0] for name in FORBIDDEN)
Path = tuple[str, ...]


def refusals(modules: Sequence[Module]) -> list[str]:
    """Everything that is wrong with the modules of one policy, each with its place; nothing is evaluated."""
    return [*_forbidden(modules), *_recursion(modules), *_unsafe(modules)]


def _forbidden(modules: Iterable[Module]) -> Iterator[str]:
    for module in modules:
        aliases = set(_imports(module))
        seen = set()
        for node, path in chains(module.tree["rules"]):
            name = ".".join(str(step) for step in path[:2])
            if path[0] not in _ROOTS or path[0] in aliases:
                continue
            place = f"{module.name}:{module.line(node)}"
            if name in FORBIDDEN:
                seen.add(f"{place}: {name} is not allowed: {FORBIDDEN[name]}")
            elif len(path) > 1 and path[1] is None:
                seen.add(f"{place}: {path[0]}[…] is not allowed: which function it names is not known before it runs")
        for kind, node in walk(module.tree["rules"]):
            if kind == "Call" and None in (path_of(node["Call"]["fcn"]) or [None]):
                seen.add(
                    f"{module.name}:{module.line(node)}: a call of a function whose name is computed is not allowed"
                )
        yield from sorted(seen)


def _imports(module: Module) -> dict[str, Path]:
    found = {}
    for each in module.tree["imports"]:
        path = static(path_of(each["refr"]))
        alias = each.get("as")
        name = module.words(alias) if alias else (path[-1] if path else "")
        if path[:1] != ("rego",) and path[:1] != ("future",):
            found[name] = path
    return found


def _package(module: Module) -> Path:
    return ("data", *static(path_of(module.tree["package"]["refr"])))


def _recursion(modules: Sequence[Module]) -> Iterator[str]:
    """OPA refuses rules that depend on themselves; Regorus would overflow its stack."""
    places: dict[Path, str] = {}
    reads: dict[Path, set[tuple[str | None, ...]]] = {}
    named: dict[Path, set[str]] = {}
    for module in modules:
        names = named.setdefault(_package(module), set())
        names |= {own[0] for form, rule in rules(module.tree) if (own := static(path_of(head_of(form, rule))))}
    for module in modules:
        package, imports = _package(module), _imports(module)
        for form, rule in rules(module.tree):
            path = (*package, *static(path_of(head_of(form, rule))))
            places.setdefault(path, f"{module.name}:{rule['span']['line']}")
            local = _locals(module, rule)
            found = reads.setdefault(path, set())
            head = head_of(form, rule)
            for node, steps in chains(rule):
                first, known = str(steps[0]), tuple(steps)
                if node is head or first in local:
                    continue
                if first == "data":
                    found.add(known)
                elif first in imports:
                    found.add((*imports[first], *known[1:]))
                elif first in named[package]:
                    found.add((*package, *known))
    edges = {
        path: {other for other in reads if any(_touches(other, read) for read in found)}
        for path, found in reads.items()
    }
    for path in _in_circles(edges):
        yield f"{places[path]}: {'.'.join(path)} depends on itself; recursion is not allowed"


def _touches(rule: Path, read: tuple[str | None, ...]) -> bool:
    """Whether a reference may lead to a rule, or to what lies above or below it; a computed step may be any."""
    return all(step is None or step == name for name, step in zip(rule, read, strict=False))


def _in_circles(edges: dict[Path, set[Path]]) -> list[Path]:
    """The nodes that can be reached from themselves; what leads nowhere is taken away until nothing changes."""
    left = {node: set(others) for node, others in edges.items()}
    while True:
        ends = {node for node, others in left.items() if not others}
        begins = left.keys() - {other for others in left.values() for other in others}
        if not ends | begins:
            return sorted(left)
        left = {node: others - ends for node, others in left.items() if node not in ends | begins}


def _locals(module: Module, rule: Node) -> set[str]:
    """The names that a rule declares for itself."""
    found = set()
    arguments = rule["head"]["Func"]["args"] if "head" in rule and "Func" in rule["head"] else []
    for kind, node in walk([rule, arguments]):
        if kind == "AssignExpr" and node[kind]["op"] == "ColEq":
            found |= _names(node[kind]["lhs"])
    found |= _names(arguments)
    for statement in statements(rule):
        literal = statement["literal"]
        for form in ("SomeIn", "Every"):
            if form in literal:
                for side in (literal[form]["key"], literal[form]["value"]):
                    found |= _names(side) if kind_of(side) else {module.words(side)} if side else set()
        if "SomeVars" in literal:
            found |= {module.words(span) for span in literal["SomeVars"]["vars"]}
    return found


def _names(value: Any) -> set[str]:
    return {node["Var"]["value"] for kind, node in walk(value) if kind == "Var"}


def _unsafe(modules: Sequence[Module]) -> Iterator[str]:
    """`not xs[_].y` has no meaning in OPA: what is negated must be bound elsewhere."""
    named: dict[Path, set[str]] = {}
    for module in modules:
        heads = (path_of(head_of(form, rule)) for form, rule in rules(module.tree))
        named.setdefault(_package(module), set()).update(str(path[0]) for path in heads if path)
    for module in modules:
        known = {"input", "data", *named[_package(module)], *_imports(module)}
        for _, rule in rules(module.tree):
            counts = Counter(node["Var"]["value"] for kind, node in walk(rule) if kind == "Var")
            declared = _locals(module, rule)
            for statement in statements(rule):
                if "NotExpr" not in statement["literal"]:
                    continue
                inside = list(_exposed(statement["literal"]["NotExpr"]["expr"], top=True))
                mine = Counter(node["Var"]["value"] for kind, node in walk(statement["literal"]) if kind == "Var")
                for name in sorted(set(inside)):
                    bound = name in known or name in declared or counts[name] > mine[name]
                    if name == "_" or not bound:
                        yield (
                            f"{module.name}:{statement['span']['line']}: `{name}` in a `not` is bound nowhere, so that "
                            "the negation has no meaning: bind it in a statement of its own before"
                        )


def _exposed(node: Any, *, top: bool) -> Iterator[str]:
    """The variables of a negated expression that are not inside of a comprehension or of an inner call."""
    kind = kind_of(node)
    if kind in COMPREHENSIONS or (kind in ("Call", "ArithExpr", "BinExpr") and not top):
        return
    if kind == "Var":
        yield node["Var"]["value"]
        return
    if kind == "Call":
        for argument in node[kind]["params"]:
            yield from _exposed(argument, top=False)
        return
    for inner in children(node):
        if isinstance(inner, dict | list):
            yield from _exposed(inner, top=top and kind is None)
