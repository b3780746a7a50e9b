"""Builtins of OPA that Regorus lacks, and the clock.

Belongs here: functions of plain values, each with what OPA gives for it. Does not: which of them a policy may call.

A function that raises stops the evaluation, or is undefined where `softening.py` says so.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

Functions = dict[str, tuple[int, Callable[..., Any]]]


def functions(now_ns: int | None) -> Functions:
    """Name to number of arguments and function. `now_ns` stops the clock, in nanoseconds since 1970."""
    return _FIXED if now_ns is None else {**_FIXED, "time.now_ns": (0, lambda: now_ns)}


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
    """An address without a mask stands for itself; an IPv6 one must have a mask, as in OPA."""
    if "/" not in text and ipaddress.ip_address(text).version == 6:
        raise ValueError("IPv6 invalid: needs prefix length")
    return _network(text)


_FIXED: Functions = {
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
