"""What a metric's name and unit say: its semantic type and the unit's one spelling.

Belongs here: the rules, as Python and as SQL from the same table. Does not: reading.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

from cogniforge_pipeline.sqltext import literal

MetricType = Literal[
    "latency",
    "request_rate",
    "error_rate",
    "cpu_usage",
    "memory_usage",
    "disk_usage",
    "network",
    "saturation",
    "throughput",
    "availability",
    "custom",
]
METRIC_TYPES: tuple[MetricType, ...] = get_args(MetricType)

# The first rule that matches wins. Names are lower case with `_` for everything that is not a letter or a
# digit.
_NAME_RULES: tuple[tuple[MetricType, str], ...] = (
    ("request_rate", r"(duration|latency|response_time)(_[a-z]+)?_(count|total)$"),
    ("latency", r"latency|duration|response_?time|round_?trip|(^|_)rtt(_|$)|elapsed"),
    (
        "error_rate",
        r"error|exception|(^|_)[45]xx|(^|_)(failed|failures)(_|$)|failure_(rate|ratio|count|total)",
    ),
    (
        "availability",
        r"availab|(^|_)up(time)?$|(^|_)(uptime|healthy|success_(rate|ratio))(_|$)|healthyhost",
    ),
    ("cpu_usage", r"cpu"),
    ("memory_usage", r"memory|heap|swap|paging|(^|_)(mem|rss)(_|$)"),
    (
        "disk_usage",
        r"disk|filesystem|iops|(^|_)fs(_|$)|(read|write)(iops|bytes)|storage",
    ),
    ("network", r"network|bandwidth|packet|(^|_)(net|rx|tx|tcp|udp|nic)(_|$)"),
    (
        "saturation",
        r"queue|saturat|backlog|pressure|throttl|utili[sz]ation|(^|_)load(_|\d|$)|(^|_)(lag|pool)(_|$)",
    ),
    ("request_rate", r"request|(^|_)(rps|qps|hits|calls|queries)(_|$)"),
    (
        "throughput",
        r"throughput|per_sec|processed|(^|_)(bytes|messages|records|events|ops|operations)(_|$)",
    ),
)
_UNIT_RULES: tuple[tuple[MetricType, str], ...] = (
    ("latency", r"^(s|ms|us|ns)$"),
    ("request_rate", r"^\{request\}"),
    ("throughput", r"/(s|min|h)$"),
)

_SPELLINGS: dict[str, tuple[str, ...]] = {
    "By": ("by", "b", "byte", "bytes"),
    "kBy": ("kb", "kby", "kilobyte", "kilobytes"),
    "MBy": ("mb", "mby", "megabyte", "megabytes"),
    "GBy": ("gb", "gby", "gigabyte", "gigabytes"),
    "TBy": ("tb", "tby", "terabyte", "terabytes"),
    "KiBy": ("kib", "kiby", "kibibyte", "kibibytes"),
    "MiBy": ("mib", "miby", "mebibyte", "mebibytes"),
    "GiBy": ("gib", "giby", "gibibyte", "gibibytes"),
    "bit": ("bit", "bits"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "ms": ("ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds"),
    "us": ("us", "usec", "usecs", "µs", "μs", "microsecond", "microseconds"),
    "ns": ("ns", "nsec", "nanos", "nanosecond", "nanoseconds"),
    "min": ("min", "minute", "minutes"),
    "h": ("h", "hour", "hours"),
    "d": ("d", "day", "days"),
    "%": ("%", "percent", "pct", "percentage"),
    "1": ("1", "ratio", "fraction", "count", "none", "unitless", "short"),
    "By/s": ("by/s", "b/s", "bps", "bytes/s", "bytes/second", "bytes/sec", "byte/s"),
    "bit/s": ("bit/s", "bits/s", "bits/second", "bits/sec"),
    "1/s": ("1/s", "count/second", "count/s", "ops", "ops/s", "per_second"),
    "{request}": ("{request}", "{requests}", "request", "requests"),
    "{request}/s": (
        "{request}/s",
        "req/s",
        "reqps",
        "requests/s",
        "requests/second",
        "rps",
    ),
    "Cel": ("cel", "celsius", "°c", "degc"),
    "Hz": ("hz", "hertz"),
}
_UNITS = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}

_NAME_UNITS: tuple[tuple[str, str], ...] = (
    (r"_milliseconds$", "ms"),
    (r"_seconds$", "s"),
    (r"_bytes$", "By"),
    (r"_ratio$", "1"),
    (r"_percent$", "%"),
    (r"_celsius$", "Cel"),
    (r"_hertz$", "Hz"),
)


def infer_metric_type(metric: str, unit: str | None = None) -> MetricType:
    """The semantic type that a metric's name, or else its normalised unit, tells, or `custom`."""
    name = re.sub(r"[^a-z0-9]+", "_", metric.lower())
    for metric_type, pattern in _NAME_RULES:
        if re.search(pattern, name):
            return metric_type
    for metric_type, pattern in _UNIT_RULES:
        if unit and re.search(pattern, unit):
            return metric_type
    return "custom"


def metric_type_sql(metric: str, unit: str) -> str:
    """`infer_metric_type` as SQL over two expressions.

    Some regular expressions a row: use it on series, not points.
    """
    name = f"regexp_replace(lower({metric}), '[^a-z0-9]+', '_', 'g')"
    rules = [f"WHEN regexp_matches({name}, {literal(p)}) THEN {literal(t)}" for t, p in _NAME_RULES]
    rules += [f"WHEN regexp_matches({unit}, {literal(p)}) THEN {literal(t)}" for t, p in _UNIT_RULES]
    return f"CASE {' '.join(rules)} ELSE 'custom' END"


def normalise_unit(unit: str | None) -> str | None:
    """The UCUM spelling that OpenTelemetry uses (`By`, `s`, `ms`, `1`, `%`); an unknown unit stays, empty is
    None.
    """
    text = (unit or "").strip()
    return _UNITS.get(text.lower(), text) or None


def unit_sql(unit: str) -> str:
    """`normalise_unit` as SQL over one expression."""
    branches = " ".join(
        f"WHEN lower(trim({unit})) IN ({', '.join(map(literal, spellings))}) THEN {literal(name)}"
        for name, spellings in _SPELLINGS.items()
    )
    return f"CASE {branches} ELSE nullif(trim({unit}), '') END"


def unit_from_name(metric: str) -> str | None:
    """The unit that Prometheus' naming rules put at the end of a metric's name, or None."""
    if metric.endswith(("_bucket", "_count")):
        return "1"
    base = re.sub(r"_(total|sum)$", "", metric)
    return next((unit for pattern, unit in _NAME_UNITS if re.search(pattern, base)), None)
