"""Which series an objective reads: a metric, a service and label matchers with the meaning Prometheus gives them.

Belongs here: matchers, their text and their SQL condition. Does not: what is done with the values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, get_args

from cogniforge_pipeline.contracts.sqlcheck import check_pattern
from cogniforge_pipeline.sqltext import literal

Op = Literal["=", "!=", "=~", "!~"]

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:.]*"
_MATCHER = re.compile(
    r"""\s*(?P<label>[a-zA-Z_][a-zA-Z0-9_.]*)\s*(?P<op>=~|!~|!=|=)\s*"""
    r"""(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|`(?P<raw>[^`]*)`)\s*""",
    re.DOTALL,
)
_SELECTOR = re.compile(rf"\s*(?P<metric>{_NAME})\s*(?:\{{(?P<matchers>.*)\}})?\s*", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}


@dataclass(frozen=True, order=True)
class Matcher:
    """One condition on a label. A label that is not there is the empty text; patterns match the whole value."""

    label: str
    op: Op
    value: str

    def __post_init__(self) -> None:
        if self.op not in get_args(Op):
            raise ValueError(f"expected one of =, !=, =~, !~, got {self.op!r}")
        if self.op in ("=~", "!~"):
            try:
                check_pattern(self.value)
            except ValueError as error:
                raise ValueError(f"{self.label}: not a regular expression (RE2): {self.value!r}: {error}") from error

    def __str__(self) -> str:
        value = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{self.label}{self.op}"{value}"'

    def condition(self, labels: str = "labels") -> str:
        """A boolean SQL expression over a MAP(VARCHAR, VARCHAR) column."""
        found = f"coalesce({labels}[{literal(self.label)}], '')"
        match self.op:
            case "=" | "!=":
                return f"{found} {'=' if self.op == '=' else '<>'} {literal(self.value)}"
            case _:
                matched = f"regexp_full_match({found}, {literal(self.value)}, 's')"
                return matched if self.op == "=~" else f"NOT {matched}"


@dataclass(frozen=True)
class Selector:
    """The series of one metric; `service` None means those of any service."""

    metric: str
    service: str | None = None
    matchers: tuple[Matcher, ...] = ()

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.matchers))
        return f"{self.metric}{{{inner}}}" if inner else self.metric

    def condition(self, alias: str = "") -> str:
        """A boolean SQL expression over the columns of `aiops.series`, which may stand under an alias."""
        column = f"{alias}." if alias else ""
        parts = [f"{column}metric = {literal(self.metric)}"]
        if self.service is not None:
            parts.append(f"{column}service = {literal(self.service)}")
        parts += [matcher.condition(f"{column}labels") for matcher in self.matchers]
        return "(" + " AND ".join(parts) + ")"

    def to_row(self) -> dict[str, object]:
        """The selector as JSON: metric, service and the matchers as text."""
        return {"metric": self.metric, "service": self.service, "matchers": [str(m) for m in self.matchers]}


def parse_matcher(text: str) -> Matcher:
    """`code=~"5.."` as PromQL writes it. Raises ValueError."""
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ValueError(f'expected a matcher such as code=~"5..", got {text!r}')
    return _matcher(found)


def parse_selector(text: str) -> Selector:
    """`http_requests_total{code=~"5..",method="GET"}`, with the service left open. Raises ValueError."""
    found = _SELECTOR.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a metric with matchers in braces, got {text!r}")
    rest, matchers = found["matchers"] or "", []
    while rest.strip():
        match = _MATCHER.match(rest)
        if match is None or rest[match.end() : match.end() + 1] not in ("", ","):
            raise ValueError(f"expected matchers parted by commas, got {rest!r}")
        matchers.append(_matcher(match))
        rest = rest[match.end() + 1 :]
    return Selector(found["metric"], None, tuple(matchers))


def le_matcher(bound: Decimal) -> Matcher:
    """The bucket that ends at `bound`, however its label spells the number: 1, 1.0, 0.25, .25, 0.250."""
    digits = f"{bound.normalize():f}"
    whole, _, fraction = digits.partition(".")
    sign, whole = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    start = "0?" if whole == "0" and fraction else whole
    return Matcher("le", "=~", rf"{sign}{start}\.{fraction}0*" if fraction else rf"{sign}{start}(\.0*)?")


def _matcher(found: re.Match[str]) -> Matcher:
    value = found["raw"]
    if value is None:
        value = re.sub(r"\\(.)", _escape, found["double"] or found["single"] or "", flags=re.DOTALL)
    op: Op = next(op for op in get_args(Op) if op == found["op"])
    return Matcher(found["label"], op, value)


def _escape(found: re.Match[str]) -> str:
    if found[1] not in _ESCAPES:
        raise ValueError(f"unknown escape {found[0]!r}; write two backslashes for one")
    return _ESCAPES[found[1]]
