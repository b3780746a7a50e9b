"""From the place of a pydantic error to the place in the document, and to the keys that a model knows there.

Belongs here: walking a document and a model's types side by side. Does not: messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, RootModel

from cogniforge_pipeline.declarations.nodes import Node

Loc = tuple[int | str, ...]


def locate(node: Node, loc: Loc, value: Any) -> tuple[list[bool], Node]:
    """Which parts of an error's `loc` are keys or indexes of the document, and the node they lead to.

    The other parts are names that pydantic puts between: tags of unions, "[key]". A part that could be either
    is decided by `value`, the input that the error is about.
    """
    walks = list(_walks(node, loc))
    for flags, found in walks:
        if found.value is value:
            return flags, found
    return walks[0]


def known_keys(model: type[BaseModel], loc: Loc, flags: list[bool]) -> set[str]:
    """The keys that `model` takes at a place of its document, given as by `locate`."""
    types = list(_members([model]))
    for part, in_document in zip(loc, flags, strict=True):
        if in_document:
            types = list(_members(inner for outer in types for inner in _step(outer, part)))
        else:
            types = [outer for outer in types if _is_named(outer, part)] or types
    return {key for found in types if _is_model(found) for key in _fields(found)}


def _walks(node: Node, loc: Loc) -> Iterator[tuple[list[bool], Node]]:
    if not loc:
        yield [], node
        return
    if loc[0] in node.children:
        for flags, found in _walks(node.children[loc[0]], loc[1:]):
            yield [True, *flags], found
    for flags, found in _walks(node, loc[1:]):
        yield [False, *flags], found


def _members(types: Iterable[Any]) -> Iterator[Any]:
    """The types with unions, Annotated, aliases and root models opened."""
    for found in types:
        origin = get_origin(found)
        if origin is Annotated:
            yield from _members(get_args(found)[:1])
        elif origin in (Union, UnionType):
            yield from _members(get_args(found))
        elif _is_model(found) and issubclass(found, RootModel):
            yield from _members([found.model_fields["root"].annotation])
        else:
            yield found


def _step(outer: Any, part: int | str) -> list[Any]:
    if _is_model(outer):
        return [_fields(outer)[str(part)]] if str(part) in _fields(outer) else []
    inner = get_args(outer)
    return list(inner) if isinstance(part, int) else list(inner[1:])


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {
        info.validation_alias if isinstance(info.validation_alias, str) else name: info.annotation
        for name, info in model.model_fields.items()
    }


def _is_named(found: Any, tag: int | str) -> bool:
    if not _is_model(found):
        return False
    literals = (get_args(a) for a in _fields(found).values() if get_origin(a) is Literal)
    return found.__name__ == tag or any(tag in values for values in literals)


def _is_model(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, BaseModel)
