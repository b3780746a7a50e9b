"""YAML and JSON text to documents, with plain words for syntax errors.

Belongs here: the two parsers. Does not: files, and what a document means.
"""

from __future__ import annotations

import json
import re
from typing import NoReturn

import yaml

from cogniforge_pipeline.declarations.model import Problem
from cogniforge_pipeline.declarations.nodes import Node
from cogniforge_pipeline.declarations.reader import MAX_DEPTH, Reader, Unreadable

_SURROGATES = re.compile(r"(?<!\\)((?:\\\\)*)\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})", re.IGNORECASE)
_BREAKS = re.compile("[\x85\u2028\u2029]")
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_EXPLAINED = {
    "mapping values are not allowed": (
        "a second 'key:' inside a value",
        "quote text that contains ': '",
    ),
    "expected ',' or ']'": (
        "a list that starts with '[' is not closed",
        "add the missing ',' or ']'",
    ),
    "expected ',' or '}'": (
        "a mapping that starts with '{' is not closed",
        "add the missing ',' or '}'",
    ),
    "expected node content": (
        "a value is missing",
        "close what '[' or '{' opened, or add the value",
    ),
    "expected key": (
        "the indentation does not fit the lines above",
        "align it with the keys beside it",
    ),
    "expected '-' indicator": (
        "the indentation does not fit the list above",
        "start with '- ', or indent it",
    ),
    "could not find expected ':'": (
        "a line that is not 'key: value'",
        "add the ':' and a space after it",
    ),
    "a tab character": (
        "a tab stands where YAML takes only spaces",
        "indent with spaces",
    ),
    "unexpected end of stream": ("a quote is not closed", "add the missing quote"),
    "block sequence entries": (
        "a list starts on the line of its key",
        "put '- ' on the next line",
    ),
    "invalid Unicode character escape": (
        "an \\u escape of half a character",
        "write the character itself",
    ),
    "unknown escape": (
        "an unknown \\ escape in double quotes",
        "write \\\\, or use single quotes",
    ),
}


def parse_yaml(text: str, path: str) -> tuple[list[Node], list[Problem]]:
    """The documents of a YAML text, without empty ones, and what is wrong in it; `path` is for the problems.

    Scalars follow the YAML 1.2 core schema: only true and false are booleans, times stay text. Keys are text
    as written. After a syntax error, a tag of another type or a limit passed (MAX_DEPTH, MAX_NODES and
    MAX_CHARACTERS, counted with aliases expanded) there are no documents.
    """
    if found := _BREAKS.search(text):  # characters in YAML 1.2, line breaks for the parser: it would change them
        return [], [_refused_character(text[: found.start()], ord(found[0]), path)]
    reader = Reader(path)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            reader.take(event)
    except Unreadable as stop:
        return [], [*reader.problems, stop.problem]
    except yaml.YAMLError as error:
        return [], [*reader.problems, _syntax_problem(error, text, path)]
    return [node for node in reader.documents if node.value is not None], reader.problems


def parse_json(text: str, path: str) -> tuple[list[Node], list[Problem]]:
    """The document of a JSON text, as `parse_yaml`, which reads it once it is known to be strict JSON.

    Columns after a character that has to be escaped for that are a little off.
    """
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg[0].lower()}{error.msg[1:]}"
        return [], [Problem(path, message, line=error.lineno, column=error.colno)]
    except RecursionError:
        return [], [Problem(path, f"nested deeper than {MAX_DEPTH} levels")]
    except ValueError as error:
        return [], [Problem(path, f"not JSON: {error}")]
    escaped = _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", _SURROGATES.sub(_joined, text))
    return parse_yaml(escaped.replace("\t", " "), path)


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _joined(match: re.Match[str]) -> str:
    """A pair of JSON surrogate escapes as the one escape that YAML has for the character."""
    high, low = (int(part, 16) for part in match.groups()[1:])
    return f"{match[1]}\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


def _refused_character(before: str, character: int, path: str) -> Problem:
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    message = f"the control character U+{character:04X} is not allowed"
    return Problem(path, message, "remove it, or escape it in double quotes", line, column)


def _syntax_problem(error: yaml.YAMLError, text: str, path: str) -> Problem:
    if isinstance(error, yaml.reader.ReaderError):
        before = text.encode()[: error.position].decode(errors="ignore")
        return _refused_character(before, error.character, path)
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Problem(path, f"not YAML: {error}")
    mark, problem, context = (
        error.problem_mark,
        error.problem or "",
        error.context or "",
    )
    message, hint = f"not YAML: {context} {problem}".replace("  ", " "), ""
    for known, explained in _EXPLAINED.items():
        if known in problem:
            message, hint = explained
    if "cannot start any token" in problem:
        found = text.splitlines()[mark.line][mark.column]
        message, hint = f"{found!r} cannot start a value", "quote the text"
        if found == "\t":
            message, hint = (
                "a tab stands where YAML takes only spaces",
                "indent with spaces",
            )
    if "is not closed" in message:
        mark = error.context_mark or mark
    lines = text.splitlines() or [""]
    if mark.line >= len(lines):
        return Problem(path, message, hint or None, len(lines), len(lines[-1]) + 1)
    return Problem(path, message, hint or None, mark.line + 1, mark.column + 1)
