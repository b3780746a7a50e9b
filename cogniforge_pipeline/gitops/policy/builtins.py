"""Builtins of OPA that Regorus lacks, and the clock.

Belongs here: functions of plain values, each with what OPA gives for it. Does not: which of them a policy may call.

A function that raises stops the evaluation, or is undefined where `softening.py` says so.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import regorus

from cogniforge_pipeline.gitops.policy import graphql_schemas, web_tokens

Functions = dict[str, tuple[int, Callable[..., Any]]]


_LIBRARIES = {
    "graphql": ("graphql", "graphql.language"),
    "jwt": (
        "cryptography.x509",
        "cryptography.hazmat.backends.openssl",
        "cryptography.hazmat.primitives.asymmetric.ec",
        "cryptography.hazmat.primitives.asymmetric.ed25519",
        "cryptography.hazmat.primitives.asymmetric.padding",
        "cryptography.hazmat.primitives.asymmetric.rsa",
        "cryptography.hazmat.primitives.asymmetric.utils",
        "cryptography.hazmat.primitives.serialization",
    ),
}


def functions(now_ns: int | None) -> Functions:
    """Name to number of arguments and function. `now_ns` stops the clock, in nanoseconds since 1970."""
    return _FIXED if now_ns is None else {**_FIXED, "time.now_ns": (0, lambda: now_ns)}


def load_libraries(sources: Iterable[str]) -> None:
    """Imports what the builtins named in Rego texts need: where they run, no file can be opened."""
    for source in sources:
        for prefix, names in _LIBRARIES.items():
            if prefix in source:
                for name in names:
                    import_module(name)


def _digest(name: str) -> Callable[[str], str]:
    return lambda text: hashlib.new(name, text.encode()).hexdigest()


def _hmac(name: str) -> Callable[[str, str], str]:
    return lambda text, key: hmac.new(key.encode(), text.encode(), name).hexdigest()


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text, strict=False)


def _intersects(one: str, other: str) -> bool:
    first, second = _network(one), _network(other)
    return first.version == second.version and first.overlaps(second)


def _merge(texts: Iterable[str]) -> set[str]:
    networks = [_merged(text) for text in texts]
    found: set[str] = set()
    for version in (4, 6):
        same = [network for network in networks if network.version == version]
        found |= {str(each) for each in ipaddress.collapse_addresses(same)}  # type: ignore[type-var]
    return found


def _merged(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """An IPv4 address without a mask has that of its class, as in Go, and so in OPA; an IPv6 one must have a mask."""
    if "/" in text:
        return _network(text)
    address = ipaddress.ip_address(text)
    if address.version == 6:
        raise ValueError("IPv6 invalid: needs prefix length")
    first = address.packed[0]
    return _network(f"{text}/{8 if first < 128 else 16 if first < 192 else 24}")


def _match_schema(document: Any, schema: Any) -> list[Any]:
    """[valid, errors], the errors a list of objects as in OPA; Regorus gives one text or null."""
    engine = regorus.Engine()
    engine.set_input([document, schema])
    valid, words = engine.eval_query("json.match_schema(input[0], input[1])")["result"][0]["expressions"][0]["value"]
    told = {"desc": words, "error": f"(root): {words}", "field": "(root)", "type": "invalid"}
    return [valid, [] if valid else [told]]


def _count(text: str, part: str) -> int:
    return text.count(part)


_FIXED: Functions = {
    **web_tokens.functions(),
    "graphql.is_valid": (2, graphql_schemas.is_valid),
    "graphql.schema_is_valid": (1, graphql_schemas.schema_is_valid),
    "json.match_schema": (2, _match_schema),
    "strings.count": (2, _count),
    "crypto.md5": (1, _digest("md5")),
    "crypto.sha1": (1, _digest("sha1")),
    "crypto.sha256": (1, _digest("sha256")),
    "crypto.hmac.md5": (2, _hmac("md5")),
    "crypto.hmac.sha1": (2, _hmac("sha1")),
    "crypto.hmac.sha256": (2, _hmac("sha256")),
    "crypto.hmac.sha512": (2, _hmac("sha512")),
    "crypto.hmac.equal": (2, lambda one, other: hmac.compare_digest(one.encode(), other.encode())),
    "net.cidr_intersects": (2, _intersects),
    "net.cidr_merge": (1, _merge),
}
