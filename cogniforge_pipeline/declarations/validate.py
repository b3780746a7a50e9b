"""Documents to typed models, and a model's complaints to problems with line, column and a hint.

Belongs here: validation of one document. Does not: files, folders, and names that clash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cogniforge_pipeline.declarations.keys import Loc, known_keys, locate
from cogniforge_pipeline.declarations.model import (
    API,
    Declaration,
    DeclarationsInvalid,
    Kind,
    M,
    Problem,
    listed,
)
from cogniforge_pipeline.declarations.nodes import (
    Node,
    canonical_json,
    dotted,
    plain_node,
)

_MAPPING = "a mapping of keys and values"
_EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "datetime_type": "a time such as 2024-05-01T12:00:00Z",
    "datetime_parsing": "a time such as 2024-05-01T12:00:00Z",
    "datetime_from_date_parsing": "a time such as 2024-05-01T12:00:00Z",
    "timezone_aware": "a time with a time zone such as 2024-05-01T12:00:00Z",
    "date_type": "a date such as 2024-05-01",
    "date_parsing": "a date such as 2024-05-01",
    "date_from_datetime_parsing": "a date such as 2024-05-01",
    "time_delta_type": "an ISO 8601 duration such as PT30S",
    "time_delta_parsing": "an ISO 8601 duration such as PT30S",
    "none_required": "nothing",
}
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")
_SECRET = re.compile("passw|secret|token|credential|api_?key|private_?key", re.IGNORECASE)
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")


def validate(
    kind: Kind[M], node: Node, path: str, prefix: tuple[str | int, ...] = ()
) -> tuple[M | None, list[Problem]]:
    """The model of a document, or None and all that is wrong with it.

    `path` and `prefix` (the place of the document within its file) are for the problems.
    """
    start = Problem(path, "", None, node.line or None, node.column or None, dotted(prefix))
    if not isinstance(node.value, Mapping):
        return None, [replace(start, message=f"expected {_MAPPING}, got {_shown(node.value)}")]
    try:
        model = kind.model.model_validate(node.value)
    except ValidationError as error:
        return None, _problems(kind.model, node, error.errors(include_url=False), start, prefix)
    name = kind.key(model)
    if not isinstance(name, str) or not name.strip():
        return None, [
            replace(
                start,
                message=f"expected a name for the {kind.name}, got {_shown(name)}",
            )
        ]
    return model, []


def declare(kind: Kind[M], spec: Mapping[str, Any] | M) -> Declaration[M]:
    """A declaration by the Python API, from a JSON-like mapping or a model.

    Raises DeclarationsInvalid with all that is wrong.
    """
    if isinstance(spec, BaseModel):
        spec = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    try:
        plain = json.loads(canonical_json(spec))
    except (TypeError, ValueError) as error:
        raise DeclarationsInvalid([Problem(API, f"expected values that JSON can hold: {error}")]) from None
    model, problems = validate(kind, plain_node(plain), API)
    if model is None:
        raise DeclarationsInvalid(problems)
    return Declaration(kind.name, kind.key(model), model, plain, None, None)


def did_you_mean(word: str, known: Iterable[str], what: str = "keys") -> str:
    """A hint that names the nearest known word, or all of them."""
    names = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), names, n=1)
    if near:
        return f"did you mean {names[near[0]]!r}?"
    return f"known {what}: {listed(names.values())}" if names else f"there are no other {what}"


def _problems(
    model: type[BaseModel],
    node: Node,
    details: list[ErrorDetails],
    start: Problem,
    prefix: Loc,
) -> list[Problem]:
    """One problem for each error; the members of a union that each expect another type become one."""
    problems: dict[Problem, str | None] = {}
    expected: dict[Problem, list[str]] = {}
    for detail in details:
        place, message, hint = _explain(model, node, detail, prefix)
        problem = replace(start, message=message, **place)
        problems.setdefault(problem, hint)
        if detail["type"] in _EXPECTED:
            expected.setdefault(problem, []).append(_EXPECTED[detail["type"]])
    complete = []
    for problem, hint in problems.items():
        types = " or ".join(dict.fromkeys(expected.get(problem, [])))
        message = f"expected {types}, {problem.message}" if types else problem.message
        complete.append(replace(problem, message=message, hint=hint))
    return sorted(complete, key=lambda problem: (problem.line or 0, problem.column or 0))


def _explain(
    model: type[BaseModel], node: Node, detail: ErrorDetails, prefix: Loc
) -> tuple[dict[str, Any], str, str | None]:
    """Where an error is, what it says (only what came, for the types of _EXPECTED) and a hint."""
    kind, loc, value, context = (
        detail["type"],
        detail["loc"],
        detail["input"],
        detail.get("ctx", {}),
    )
    absent = loc[-1:] if kind == "missing" else ()
    loc = loc[: len(loc) - len(absent)]
    flags, found = locate(node, loc, value)
    path = tuple(part for part, in_document in zip(loc, flags, strict=True) if in_document)
    line, column = found.line, found.column
    message, hint = f"got {_shown(value, path)}", None
    if kind == "missing":
        message = "required, but not there"
    elif kind == "extra_forbidden":
        key = str(path[-1])
        mapping = locate(node, path[:-1], None)[1]
        line, column = mapping.keys.get(key, (line, column))
        unused = known_keys(model, loc[:-1], flags[:-1]) - set(mapping.children)
        message, hint = f"unknown key {key!r}", did_you_mean(key, unused)
        if key == "<<":
            hint = "YAML 1.2 has no merge keys: write the keys out"
    elif kind == "union_tag_invalid":
        discriminator = context["discriminator"].strip("'")
        found = found.children.get(discriminator, found)
        line, column, path = found.line, found.column, (*path, discriminator)
        message = f"expected one of {context['expected_tags']}, got {context['tag']!r}"
        hint = did_you_mean(context["tag"], _QUOTED.findall(context["expected_tags"]), "values")
    elif kind == "union_tag_not_found":
        absent = (context["discriminator"].strip("'"),)
        message = "required, but not there: it says which form this is"
    elif kind in ("literal_error", "enum"):
        message = f"expected {context['expected']}, {message}"
        if isinstance(value, str):
            hint = did_you_mean(value, _QUOTED.findall(context["expected"]), "values")
    elif kind in ("value_error", "assertion_error"):
        message = str(context["error"])
    elif kind == "string_type" and not isinstance(value, list | Mapping):
        hint = "put it in quotes"
    elif kind not in _EXPECTED:
        message = f"{detail['msg'].replace('Input should', 'should', 1)}, {message}"
    if isinstance(value, str) and _PLACEHOLDER.search(value) and kind in _EXPECTED:
        hint = "a placeholder can only stand where text is expected"
    place = {
        "line": line or None,
        "column": column or None,
        "where": dotted((*prefix, *path, *absent)),
    }
    return place, message, hint


def _shown(value: Any, path: Loc = ()) -> str:
    if path and _SECRET.search(str(path[-1])):
        return "a value that is not shown"
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case Mapping():
            return "a mapping"
        case list():
            return "a list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
