"""Secrets: compared, never stored or shown.

Belongs here: what takes the place of a secret value. Does not: where the salt is kept.

A value becomes a keyed hash (HMAC-SHA-256, cut to 64 bits): equal values are equal under one salt, and nobody without
the salt can try values against it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Any

MASK = "secret:"


def masked(value: Any, salt: bytes) -> str:
    """What takes the place of a secret value: text, or bytes. What is masked already stays."""
    if isinstance(value, str) and value.startswith(MASK) and len(value) == len(MASK) + 16:
        return value
    data = value if isinstance(value, bytes) else str("" if value is None else value).encode()
    return f"{MASK}{hmac.digest(salt, data, 'sha256')[:8].hex()}"


def mask_secret(manifest: Mapping[str, Any], salt: bytes) -> dict[str, Any]:
    """A Secret with `stringData` in `data`, as the server stores it, and each value masked."""
    values = {name: masked(_decoded(value), salt) for name, value in _items(manifest.get("data"))}
    values |= {name: masked(value, salt) for name, value in _items(manifest.get("stringData"))}
    rest = {name: value for name, value in manifest.items() if name not in ("data", "stringData")}
    return {**rest, "data": values} if values else rest


def _items(value: Any) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _decoded(value: Any) -> Any:
    """The bytes of a value of `data`; the text itself where it is not base64."""
    if not isinstance(value, str):
        return value
    if value.startswith(MASK):
        return value
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return value
