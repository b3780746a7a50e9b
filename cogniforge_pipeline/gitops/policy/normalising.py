"""Queries as people write them to queries that have one meaning.

    not input.spec.template.spec.containers[_].livenessProbe

means three things in three engines, and nothing in OPA, which refuses it (`_` is bound nowhere). Here it means what the
writer meant: any container lacks it.

    any := input.spec.template.spec.containers[_]; not any.livenessProbe

Belongs here: this rewriting. Does not: refusing what is left (`vetting.py`): `not xs[_]` alone could mean that there is
none, or that one is false.
"""

from __future__ import annotations

from cogniforge_pipeline.gitops.policy.syntax import COMPREHENSIONS, Module, Node, children, kind_of, statements


def normalise(module: Module, counter: int) -> bytes | None:
    """The text with wildcards of negations bound before them; None where there are none left that can be."""
    edits: list[tuple[int, int, str]] = []
    for statement in statements(module.tree):
        negated = statement["literal"].get("NotExpr")
        if negated is None:
            continue
        bindings: dict[str, str] = {}
        for prefix in _prefixes(negated["expr"]):
            start, end = module.place(prefix)
            source = module.text[start:end].decode()
            name = bindings.setdefault(source, f"__any{counter}_{start}")
            edits.append((start, end, name))
        if bindings:
            start = int(statement["span"]["start"])
            edits.append((start, start, "".join(f"{name} := {source}; " for source, name in bindings.items())))
            break
    if not edits:
        return None
    text = module.text
    for start, end, new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        text = text[:start] + new.encode() + text[end:]
    return text


def _prefixes(expression: Node) -> list[Node]:
    """Of each reference with wildcards, what leads to the last one; not where that is all that is negated."""
    found: list[Node] = []
    waiting = [(expression, True)]
    while waiting:
        node, whole = waiting.pop()
        kind = kind_of(node)
        if kind in COMPREHENSIONS:
            continue
        inner, at_end = node, whole
        while (step := kind_of(inner)) in ("RefDot", "RefBrack"):
            if step == "RefBrack" and inner[step]["index"].get("Var", {}).get("value") == "_":
                if not at_end:
                    found.append(inner)
                break
            inner, at_end = inner[step]["refr"], False
        else:
            if isinstance(node, dict | list):
                waiting.extend((child, False) for child in children(node))
    return found
