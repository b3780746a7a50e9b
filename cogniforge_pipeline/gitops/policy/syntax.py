"""The syntax tree that Regorus gives of a module: walking it, and the text of its nodes.

Belongs here: what every reader of the tree needs. Does not: what is looked for (`vetting.py`, `negation.py`).

A node is `{"Call": {"span": …, "fcn": node, "params": [node]}}`: one key, its kind. Places are bytes of the UTF-8 text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Node = dict[str, Any]
COMPREHENSIONS = frozenset(("ArrayCompr", "SetCompr", "ObjectCompr"))
PLAIN = frozenset(("String", "RawString", "Number", "Bool", "Null", "True", "False", "Var"))


@dataclass(frozen=True)
class Module:
    """One module's text and tree."""

    name: str
    text: bytes
    tree: Node

    def source(self, node: Node) -> str:
        """The text of an expression, with the parentheses that belong to it."""
        start, end = self.place(node)
        return self.text[start:end].decode()

    def place(self, node: Node) -> tuple[int, int]:
        """Where an expression stands; a span of the engine may begin inside of a parenthesis of its first operand."""
        span = next(iter(node.values()))["span"]
        start, end = int(span["start"]), int(span["end"])
        if next(iter(node)) in ("String", "RawString"):
            start, end = start - 1, end + 1
        while (missing := _parentheses(self.text[start:end]))[0]:
            start = self.text.rindex(b"(", 0, start)
        for _ in range(missing[1]):
            end = self.text.index(b")", end) + 1
        return start, end

    def words(self, span: Node) -> str:
        """The text of a bare span."""
        return self.text[span["start"] : span["end"]].decode()

    def line(self, node: Node) -> int:
        return int(next(iter(node.values()))["span"]["line"])


def _parentheses(text: bytes) -> tuple[int, int]:
    """How many closing parentheses have none that opens them, and how many are left open; strings are left out."""
    depth = lowest = 0
    quote: int | None = None
    at = 0
    while at < len(text):
        char = text[at]
        if quote is not None:
            if char == 92 and quote == 34:
                at += 1
            elif char == quote:
                quote = None
        elif char in b'"`':
            quote = char
        elif char == 40:
            depth += 1
        elif char == 41:
            depth -= 1
            lowest = min(lowest, depth)
        at += 1
    return -lowest, depth - lowest


def kind_of(node: Any) -> str | None:
    """The kind of an expression, or None of anything else."""
    if isinstance(node, dict) and len(node) == 1:
        (name,) = node
        if isinstance(node[name], dict) and "span" in node[name]:
            return str(name)
    return None


def children(value: Any) -> Iterator[Any]:
    """What stands directly inside."""
    if isinstance(value, dict):
        yield from (item for key, item in value.items() if key != "span")
    elif isinstance(value, list):
        yield from value


def walk(value: Any) -> Iterator[tuple[str, Node]]:
    """All nodes inside, with their kinds, outermost first."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        kind = kind_of(found)
        if kind:
            yield kind, found
        if isinstance(found, dict | list):
            waiting.extend(reversed(list(children(found))))


def path_of(node: Node) -> list[str | None] | None:
    """The names of a reference such as `http["send"]`: ["http", "send"]; None stands for a computed one.

    None comes back where the reference starts with no name.
    """
    steps: list[str | None] = []
    while True:
        kind = kind_of(node)
        if kind == "Var":
            return [node["Var"]["value"], *reversed(steps)]
        if kind == "RefDot":
            steps.append(node["RefDot"]["field"][1])
        elif kind == "RefBrack":
            index = node["RefBrack"]["index"]
            steps.append(index[next(iter(index))]["value"] if kind_of(index) in ("String", "RawString") else None)
        else:
            return None
        node = node[kind]["refr"]


def chains(value: Any) -> Iterator[tuple[Node, list[str | None]]]:
    """All references, each as long as it is written, with their paths; those inside of brackets too."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if kind_of(found) in ("Var", "RefDot", "RefBrack"):
            path = path_of(found)
            if path:
                yield found, path
            while (kind := kind_of(found)) in ("RefDot", "RefBrack"):
                if kind == "RefBrack":
                    waiting.append(found[kind]["index"])
                found = found[kind]["refr"]
            if kind == "Var":
                continue
        if isinstance(found, dict | list):
            waiting.extend(children(found))


def statements(value: Any) -> Iterator[Node]:
    """All statements of bodies, comprehensions and `every`, outermost first."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict) and "literal" in found:
            yield found
        if isinstance(found, dict | list):
            waiting.extend(children(found))


def rules(tree: Node) -> Iterator[tuple[str, Node]]:
    """The rules of a module with their form: `Spec` or `Default`."""
    for rule in tree["rules"]:
        ((form, body),) = rule.items()
        yield form, body


def head_of(form: str, rule: Node) -> Node:
    """The reference that a rule's head names."""
    head: Node = rule["refr"] if form == "Default" else next(iter(rule["head"].values()))["refr"]
    return head


def static(path: list[str | None] | None) -> tuple[str, ...]:
    """The names of a path before the first computed one."""
    names: list[str] = []
    for step in path or ():
        if step is None:
            break
        names.append(step)
    return tuple(names)
