"""Calls that give their result to a last argument: `net.cidr_merge(xs, merged)` is `merged = net.cidr_merge(xs)`.

Belongs here: this rewriting, for builtins that `builtins.py` adds; the engine does it for its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from cogniforge_pipeline.gitops.policy.syntax import Module, kind_of, path_of, statements, static


def output_arguments(module: Module, arities: Mapping[str, int]) -> bytes | None:
    """The text with such calls written as equations; None where there are none. `arities` are numbers of arguments."""
    edits: list[tuple[int, int, str]] = []
    for statement in statements(module.tree):
        expression = statement["literal"].get("Expr", {}).get("expr")
        if kind_of(expression) != "Call":
            continue
        call = expression["Call"]
        name = ".".join(static(path_of(call["fcn"])))
        arguments = call["params"]
        if name not in arities or len(arguments) != arities[name] + 1:
            continue
        start, end = module.place(expression)
        last = module.source(arguments[-1])
        before = module.place(arguments[-2])[1] if len(arguments) > 1 else module.place(arguments[-1])[0]
        edits.append((start, end, f"{last} = {module.text[start:before].decode()})"))
    if not edits:
        return None
    text = module.text
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new.encode() + text[end:]
    return text
