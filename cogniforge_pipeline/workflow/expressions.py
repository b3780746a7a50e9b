"""Input by expression: `{{ … }}` in the texts of a template is replaced by what a JMESPath expression finds.

Belongs here: finding, checking and evaluating expressions. Does not: which names there are (`machine.py`).

    email: "{{ input.email }}"                     # a text that is one expression gives its value, of any type
    greeting: "Dear {{ results.user.name }}"       # others give text; what is no text is written as JSON, null as nothing
    price: "{{ results.quote[?currency=='EUR'].amount | [0] }}"

JMESPath (https://jmespath.org) selects, compares and calls its own pure functions; it has no loops, no variables that an
expression could set and no way out to Python. A name that is not there is null.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from cogniforge_pipeline.errors import CogniforgeError

MAX_LENGTH = 1000
"""Characters of one expression."""

_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)


class ExpressionError(CogniforgeError):
    """An expression that cannot be read, or that does not fit the values it meets."""


def check(template: Any) -> None:
    """Raises ExpressionError for the first expression of a template that cannot be read."""
    for text in _texts(template):
        if "{{" in _PLACE.sub("", text):
            raise ExpressionError(f"an expression in {text!r} is not closed", "end it with }}")
        for found in _PLACE.finditer(text):
            _compiled(found[1].strip())


def check_expression(text: str) -> None:
    """Raises ExpressionError where a bare expression, without braces, cannot be read."""
    _compiled(text)


def render(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with its expressions replaced. Raises ExpressionError."""
    match template:
        case str():
            whole = _PLACE.fullmatch(template.strip())
            if whole and "{{" not in whole[1]:
                return evaluate(whole[1].strip(), values)
            return _PLACE.sub(lambda found: as_text(evaluate(found[1].strip(), values)), template)
        case Mapping():
            return {key: render(value, values) for key, value in template.items()}
        case list() | tuple():
            return [render(value, values) for value in template]
    return template


def evaluate(expression: str, values: Mapping[str, Any]) -> Any:
    """What one expression, without braces, finds. Raises ExpressionError."""
    try:
        return _compiled(expression).search(values)
    except JMESPathError as error:
        raise ExpressionError(f"the expression {expression!r} does not fit its values: {error}") from None


def truth(value: Any) -> bool:
    """As JMESPath has it: null, false and what is empty are false; numbers, zero too, are true."""
    return not (value is None or value is False or (isinstance(value, str | list | dict) and not value))


@lru_cache(maxsize=4096)
def _compiled(expression: str) -> Any:
    if len(expression) > MAX_LENGTH:
        raise ExpressionError(f"expected an expression of at most {MAX_LENGTH} characters, got {len(expression)}")
    try:
        return jmespath.compile(expression)
    except (JMESPathError, RecursionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ExpressionError(
            f"the expression {expression!r} cannot be read: {reason}", "it is JMESPath, such as results.order.id"
        ) from None


def as_text(value: Any) -> str:
    """A value inside a text: null is nothing, what is no text is JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _texts(template: Any) -> Iterator[str]:
    match template:
        case str():
            yield template
        case Mapping():
            for value in template.values():
                yield from _texts(value)
        case list() | tuple():
            for value in template:
                yield from _texts(value)
