"""Several policies in one engine, so that a document is read once for all of them: that takes as long as evaluating it.

Belongs here: which policies can share an engine, and asking them together. Does not: compiling them (`engine.py`).

Policies share the input but for their parameters, which are moved to `data`: `input.parameters.labels` becomes
`data.cogniforge_parameters.p3.labels`. A policy stays alone that reads the whole input, replaces some of it with `with`, has
data of its own, or whose packages another one in the group has with another text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cogniforge_pipeline.gitops.policy.engine import Compiled, shared_engine, values_of
from cogniforge_pipeline.gitops.policy.syntax import Module, chains, path_of, statements, static

PARAMETERS = "cogniforge_parameters"
BEFORE, AFTER = '{"parameters":', ',"review":'


class Group:
    """Policies that were compiled for one `v0`, by their keys; `members` are those that could be put together."""

    def __init__(self, policies: Mapping[str, tuple[Compiled, str]]) -> None:
        texts: dict[str, bytes] = {}
        modules: list[tuple[str, bytes]] = []
        parameters: dict[str, Any] = {}
        self.members: set[str] = set()
        first = next(iter(policies.values()))[0]
        for number, (key, (compiled, given)) in enumerate(policies.items()):
            mine = {_package(module): _moved(module, f"p{number}") for module in compiled.modules}
            usable = compiled.v0 == first.v0 and compiled.now_ns == first.now_ns and len(mine) == len(compiled.modules)
            if not usable or any(texts.get(package, text) != text for package, text in mine.items()):
                continue
            modules += [(package, text) for package, text in mine.items() if package not in texts]
            texts |= mine
            parameters[f"p{number}"] = json.loads(given)
            self.members.add(key)
        self._engine = shared_engine(modules, first, json.dumps({PARAMETERS: parameters})) if modules else None

    def read(self, document: str) -> None:
        """Takes a document's JSON text as the input."""
        self._engine.set_input_json(document)  # type: ignore[union-attr]

    def values(self, entries: Sequence[str]) -> dict[str, Any]:
        """The values of rules for what was read. Raises EvaluationFailed."""
        return values_of(self._engine, entries)


def parameters_of(before: str, after: str) -> str | None:
    """The parameters' text of a program that sees reviews; None of any other."""
    fits = before.startswith(BEFORE) and before.endswith(AFTER) and after == "}"
    return before[len(BEFORE) : -len(AFTER)] if fits else None


def can_share(compiled: Compiled) -> bool:
    """Whether a policy reads of its input only what is the same for others, and has no data of its own."""
    if compiled.data != "{}" or compiled.strict:
        return False
    own = [("data", *_package(module).split(".")) for module in compiled.modules]
    for module in compiled.modules:
        if any(statement.get("with_mods") for statement in statements(module.tree)):
            return False
        for _, path in chains(module.tree["rules"]):
            if path[0] == "input" and (len(path) < 2 or path[1] is None):
                return False
            if path[0] == "data" and not _within(static(path), own):
                return False
        imported = [static(path_of(each["refr"])) for each in module.tree["imports"]]
        if any(path[:1] == ("input",) or (path[:1] == ("data",) and not _within(path, own)) for path in imported):
            return False
    return True


def _within(path: tuple[str, ...], packages: Sequence[tuple[str, ...]]) -> bool:
    """Whether a path under `data` leads into one of these packages: others there belong to other policies."""
    return any(path[: len(package)] == package for package in packages)


def _moved(module: Module, name: str) -> bytes:
    edits = []
    for node, path in chains(module.tree["rules"]):
        if path[:2] != ["input", "parameters"]:
            continue
        while len(path_of(node) or ()) > 2:
            node = next(iter(node.values()))["refr"]
        edits.append(module.place(node))
    text = module.text
    for start, end in sorted(edits, reverse=True):
        text = text[:start] + f"data.{PARAMETERS}.{name}".encode() + text[end:]
    return text


def _package(module: Module) -> str:
    return ".".join(static(path_of(module.tree["package"]["refr"])))
