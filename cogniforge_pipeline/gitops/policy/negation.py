"""Negation as OPA reads it: what a call's arguments refer to is looked up outside of the `not`.

    not startswith("A", input.name)      OPA, with no input.name: undefined; Regorus: true
    a := input.name; not startswith("A", a)     what it is rewritten to, undefined in both

Belongs here: this rewriting. Does not: refusing what has no meaning (`vetting.py`).
"""

from __future__ import annotations

from cogniforge_pipeline.gitops.policy.syntax import COMPREHENSIONS, PLAIN, Module, Node, kind_of, statements, walk

OPERATORS = frozenset(("BinExpr", "BoolExpr", "ArithExpr"))


def lift(module: Module, counter: int) -> bytes | None:
    """The text with the arguments of negated calls lifted out, or None where nothing is to be lifted.

    Arguments may hold such statements themselves: call again with the new text's tree. `counter` makes the names unique.
    """
    edits: list[tuple[int, int, str]] = []
    reached = -1
    for statement in sorted(statements(module.tree), key=lambda found: int(found["span"]["start"])):
        negated = statement["literal"].get("NotExpr")
        start = int(statement["span"]["start"])
        if negated is None or start < reached:
            continue
        modifiers = "".join(
            f" with {module.source(each['refr'])} as {module.source(each['as'])}"
            for each in statement.get("with_mods", ())
        )
        before = []
        for node in _lifted(negated["expr"]):
            begin, end = module.place(node)
            name = f"__lifted{counter}_{begin}"
            before.append(f"{name} := {module.text[begin:end].decode()}{modifiers}; ")
            edits.append((begin, end, name))
        if before:
            reached = int(statement["span"]["end"])
            bare = module.text[:start].rstrip().endswith((b"if", b"else"))  # `r if not f(x)`, a body without braces
            edits.append((start, start, f"{{ {''.join(before)}" if bare else "".join(before)))
            if bare:
                edits.append((reached, reached, " }"))
    if not edits:
        return None
    text = module.text
    for begin, end, name in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        text = text[:begin] + name.encode() + text[end:]
    return text


def _lifted(expression: Node) -> list[Node]:
    kind = kind_of(expression)
    inner = expression[kind] if kind else {}
    if kind == "Call":
        return [node for node in inner["params"] if _refers(node)]
    if kind == "BoolExpr" and inner["op"] == "Eq":
        return [node for side in (inner["lhs"], inner["rhs"]) for node in _of_equality(side)]
    if kind in OPERATORS:
        return [node for node in (inner["lhs"], inner["rhs"]) if _refers(node)]
    if kind == "Membership":
        return [node for node in (inner["key"], inner["value"], inner["collection"]) if node and _refers(node)]
    return _of_reference(expression)


def _of_equality(side: Node) -> list[Node]:
    kind = kind_of(side)
    if kind in ("RefDot", "RefBrack"):
        return _of_reference(side)
    return [side] if _refers(side) else []


def _of_reference(node: Node) -> list[Node]:
    """The computed steps of a reference that refer to something themselves."""
    found = []
    while (kind := kind_of(node)) in ("RefDot", "RefBrack"):
        if kind == "RefBrack" and _refers(node[kind]["index"]):
            found.append(node[kind]["index"])
        node = node[kind]["refr"]
    return [*found, *(_lifted(node) if kind == "Call" else [])]


def _refers(node: Node) -> bool:
    kind = kind_of(node)
    if kind in PLAIN or kind in COMPREHENSIONS:
        return False
    return any(inner in ("RefDot", "RefBrack", "Call", *OPERATORS) for inner, _ in walk(node))
