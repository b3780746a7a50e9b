"""PostgreSQL connection strings, with the password taken out.

Belongs here: reading both of libpq's forms and writing one. Does not: connecting, or asking the environment.

Source of the forms: the PostgreSQL documentation, section "Connection Strings" of libpq.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

_URI = re.compile(
    r"postgres(?:ql)?://(?:(?P<account>[^@/?]*)@)?(?P<places>[^@/?]*)(?:/(?P<dbname>[^?]*))?(?:\?(?P<options>.*))?"
)
_PLACE = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>\d*))?")
_PAIR = re.compile(
    r"\s*(?P<key>\w+)\s*=\s*(?:'(?P<quoted>(?:[^'\\]|\\.)*)'|(?P<plain>(?:[^\s'\\]|\\.)*))(?=\s|$)", re.S
)


def parse(text: str) -> dict[str, str]:
    """The parameters of a connection string, `key=value ...` or `postgresql://user:password@host:port/database?...`.

    Raises ValueError, which says nothing of the text, when it is neither.
    """
    return _uri(text) if "://" in text.partition("=")[0] else _pairs(text)


def render(parameters: Mapping[str, str]) -> str:
    """The `key=value ...` form, quoted where needed."""
    return " ".join(f"{key}={_quoted(value)}" for key, value in parameters.items())


def _uri(text: str) -> dict[str, str]:
    found = _URI.fullmatch(text)
    places = [_PLACE.fullmatch(place) for place in found["places"].split(",")] if found else []
    if not found or None in places:
        raise ValueError("not a PostgreSQL URI; special characters in user and password must be percent-encoded")
    user, _, password = (found["account"] or "").partition(":")
    parameters = {
        "host": ",".join(unquote(place["host"].strip("[]")) for place in places if place),
        "port": ",".join(place["port"] or "" for place in places if place),
        "user": unquote(user),
        "password": unquote(password),
        "dbname": unquote(found["dbname"] or ""),
    }
    given = {key: value for key, value in parameters.items() if value.strip(",")}
    return given | dict(parse_qsl((found["options"] or "").replace("+", "%2B"), strict_parsing=bool(found["options"])))


def _pairs(text: str) -> dict[str, str]:
    parameters, at, end = {}, 0, len(text.rstrip())
    while at < end:
        found = _PAIR.match(text, at)
        if not found:
            raise ValueError("not a list of key=value pairs")
        value = found["plain"] if found["quoted"] is None else found["quoted"]
        parameters[found["key"]] = re.sub(r"\\(.)", r"\1", value, flags=re.S)
        at = found.end()
    return parameters


def _quoted(value: str) -> str:
    if re.fullmatch(r"[^\s'\\]+", value):
        return value
    return "'" + re.sub(r"(['\\])", r"\\\1", value) + "'"
