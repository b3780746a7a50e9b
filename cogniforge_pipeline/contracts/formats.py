"""Named text formats as regular expressions that RE2 (DuckDB) and Rust's regex (polars) read alike.

Belongs here: the formats ODCS and JSON Schema name. Does not: where a rule uses them.
"""

from __future__ import annotations

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(?:\.{_OCTET}){{3}}"
_H = "[0-9A-Fa-f]{1,4}"
_IPV6 = "|".join(
    [f"(?:{_H}:){{7}}{_H}", f"(?:{_H}:){{6}}{_IPV4}"]
    + [f"(?:{_H}:){{{head}}}(?::{_H}){{1,{7 - head}}}" for head in range(1, 7)]
    + [f"(?:{_H}:){{1,7}}:", f":(?::{_H}){{1,7}}", "::"]
    + [f"::(?:{_H}:){{0,5}}{_IPV4}"]
    + [f"(?:{_H}:){{{head}}}(?::{_H}){{0,{5 - head}}}:{_IPV4}" for head in range(1, 6)]
)
_DATE = "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
_ZONE = "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"

PATTERNS = {
    "email": rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})+",
    "uuid": "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "uri": r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+",
    "hostname": rf"{_LABEL}(?:\.{_LABEL})*",
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "date": _DATE,
    "time": f"{_TIME}{_ZONE}?",
    "date-time": f"{_DATE}[Tt ]{_TIME}{_ZONE}",
}
WITH_DATE = ("date", "date-time")
"""Formats whose first ten characters must also be a day that exists, so that 2023-02-30 is refused."""
DOCUMENTATION = ("password", "byte", "binary")
"""Formats ODCS names that say how to show or store a text; there is nothing to check."""
