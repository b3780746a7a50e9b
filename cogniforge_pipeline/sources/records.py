"""From the columns of a file to points: which column means what, and the SQL that checks and projects them.

Belongs here: roles of columns, times, values, labels, templates' constants. Does not: opening a file of any
format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cogniforge_pipeline.sources.folder import fill
from cogniforge_pipeline.sources.model import FilesSource, RecordSource
from cogniforge_pipeline.sources.points import (
    KINDS,
    POINT_COLUMNS,
    RefusedItem,
    name_problem,
    time_problem,
    value_problem,
)
from cogniforge_pipeline.sources.semantics import METRIC_TYPES, normalise_unit
from cogniforge_pipeline.sqltext import literal

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "timestamp": ("timestamp", "ts", "time", "datetime"),
    "value": ("value",),
    "service": ("service", "service_name", "service.name"),
    "metric": ("metric", "metric_name"),
    "unit": ("unit",),
    "kind": ("kind",),
    "metric_type": ("metric_type",),
    "labels": ("labels",),
}
"""Where a role's column is looked for when the source does not name it; letter case does not matter in CSV,
Parquet.
"""


@dataclass(frozen=True)
class Column:
    """A value of a record: its SQL expression, and its DuckDB type (text formats have VARCHAR)."""

    sql: str
    type: str = "VARCHAR"

    def text(self) -> str:
        """As text, NULL when empty."""
        plain = self.sql if self.type == "VARCHAR" else f"CAST({self.sql} AS VARCHAR)"
        return f"nullif(trim({plain}), '')"


@dataclass(frozen=True)
class Fields:
    """A relation of records whose columns have no meaning yet. `relation` has `position` and what the columns'
    expressions, `raw` (the record as text) and `problem` (branches `WHEN … THEN …` for broken records) refer to.
    """

    relation: str
    columns: Mapping[str, Column]
    raw: str
    problem: str = ""


@dataclass(frozen=True)
class Records:
    """A relation of records. `relation` has `position` and what the columns' expressions and `raw` refer to.

    `problem` are SQL branches (`WHEN … THEN …`) for records that are broken as such. `labels` are expressions
    of maps, beside the columns that become labels.
    """

    relation: str
    roles: Mapping[str, Column]
    values: Mapping[str, Column]
    label_columns: Mapping[str, Column]
    raw: str
    problem: str = ""
    labels: Sequence[str] = ()


def by_any_case(names: Sequence[str]) -> dict[str, str]:
    """Each name under itself and, where that is no other name, in lower case."""
    return {name.lower(): name for name in reversed(names)} | {name: name for name in names}


def assign_roles(source: FilesSource, names: Sequence[str]) -> dict[str, str]:
    """Role -> column's name in the file. Raises RefusedItem when a column that is needed is not there."""
    folded = by_any_case(names)
    roles: dict[str, str] = {}
    for role, usual in USUAL_NAMES.items():
        declared: str | None = getattr(source.columns, role)
        found = next((folded[n] for n in ([declared] if declared else usual) if n in folded), None)
        if found is None and declared:
            raise no_column(declared, names)
        if found and not (source.values and role in ("value", "metric")) and found not in source.values:
            roles[role] = found
    for column in (*source.values, *(source.label_columns or ())):
        if column not in names:
            raise no_column(column, names)
    for role in ("timestamp",) if source.values else ("timestamp", "value"):
        if role not in roles:
            raise no_column(role, names)
    for role, given in (("service", source.service), ("metric", source.metric or source.values)):
        if role not in roles and not given:
            raise RefusedItem(
                f"nothing says the {role}: there is no column {role!r} among {listed_columns(names)}",
                f"add the column, or declare a source with `{role}:` for these files",
            )
    return roles


def no_column(name: str, names: Sequence[str]) -> RefusedItem:
    """The refusal of a file that has not a column that is needed; `names` are those it has."""
    return RefusedItem(
        f"there is no column {name!r}; the columns are {listed_columns(names)}",
        "correct the file's header, or name the columns in the source's `columns`",
    )


def listed_columns(names: Sequence[str]) -> str:
    """Names for a sentence, cut where they are many or long."""
    shown = ", ".join(repr(name[:60]) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def json_pointer(name: str) -> str:
    """Where a member of a JSON object is."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def timestamp_sql(column: Column, source: RecordSource) -> str:
    """A column as TIMESTAMPTZ, NULL when it cannot be read.

    Of local times that come twice the later is meant.
    """
    zone = literal(source.timezone)
    if column.type == "TIMESTAMP WITH TIME ZONE":
        return column.sql
    if column.type.startswith(("TIMESTAMP", "DATE")):
        return f"timezone({zone}, CAST({column.sql} AS TIMESTAMP))"
    if column.type != "VARCHAR":
        return _epoch(column.sql, source.timestamp_unit)
    text = column.text()
    if source.timestamp_format:
        parsed = f"try_strptime({text}, {literal(source.timestamp_format)})"
        return parsed if "%z" in source.timestamp_format else f"timezone({zone}, {parsed})"
    if source.timestamp_unit:
        return _epoch(text, source.timestamp_unit)
    zoned = rf"try_cast(regexp_replace({text}, ' ([+-]\d\d:?\d\d)$', '\1') AS TIMESTAMPTZ)"
    if source.timezone != "UTC":
        offset = rf"regexp_matches({text}, ':\d\d.*([Zz]|UTC|[+-]\d\d(:?\d\d)?)$')"
        local = f"CASE WHEN NOT {offset} THEN timezone({zone}, try_cast({text} AS TIMESTAMP)) END"
        zoned = f"coalesce({local}, {zoned})"
    # A cast that fails costs microseconds: numbers are kept from the casts of texts.
    return rf"CASE WHEN regexp_matches({text}, '^\d+(\.\d+)?$') THEN {_epoch(text, None)} ELSE {zoned} END"


def _epoch(number: str, unit: str | None) -> str:
    """A number since 1970 as TIMESTAMPTZ.

    Without a unit its size tells: 1e8 to 1e11 are seconds, to 1e14 ms, and so on.
    """
    factors = {"s": "* 1000000", "ms": "* 1000", "us": "* 1", "ns": "/ 1000"}
    if unit:
        micros = f"n {factors[unit]}"
    else:
        bounds = zip((8, 11, 14, 17), (11, 14, 17, 20), factors.values(), strict=True)
        sizes = (f"WHEN n >= 1{'0' * low} AND n < 1{'0' * high} THEN n {by}" for low, high, by in bounds)
        micros = f"CASE {' '.join(sizes)} END"
    # A lambda, because DuckDB would evaluate a repeated cast for all rows, also for those that are no
    # numbers.
    scaled = f"list_transform([try_cast({number} AS DECIMAL(38, 9))], lambda n: {micros})[1]"
    return f"TRY(make_timestamptz(try_cast(floor({scaled}) AS BIGINT)))"


def value_sql(column: Column) -> str:
    """A column as DOUBLE, NULL when it is not a number."""
    return column.sql if column.type == "DOUBLE" else f"try_cast({column.sql} AS DOUBLE)"


def labels_sql(constant: Mapping[str, str], columns: Mapping[str, Column], maps: Sequence[str]) -> str:
    """One MAP(VARCHAR, VARCHAR): constants, then columns, then maps; the later one wins. Empty labels are
    left out.
    """
    parts = [f"CAST({literal(dict(constant))} AS {POINT_COLUMNS['labels']})"] if constant else []
    if columns:
        pairs = ", ".join(f"{{'k': {literal(name)}, 'v': {column.text()}}}" for name, column in columns.items())
        parts.append(f"map_from_entries(list_filter([{pairs}], lambda pair: pair.v IS NOT NULL))")
    parts += [f"coalesce({labels}, MAP {{}})" for labels in maps]
    if not parts:
        return f"CAST(MAP {{}} AS {POINT_COLUMNS['labels']})"
    return parts[0] if len(parts) == 1 else f"map_concat({', '.join(parts)})"


def labels_map_sql(column: Column) -> tuple[str, str]:
    """A labels column as a map, and the SQL branch for one that cannot be read. Text holds a JSON object."""
    if column.type.startswith("MAP("):
        return without_empty(f"CAST({column.sql} AS {POINT_COLUMNS['labels']})"), ""
    text = column.text() if column.type in ("VARCHAR", "JSON") else f"CAST(to_json({column.sql}) AS VARCHAR)"
    labels = without_empty(f"""TRY(from_json({text}, '"MAP(VARCHAR, VARCHAR)"'))""")
    broken = (
        f"WHEN {text} IS NOT NULL AND {labels} IS NULL THEN 'the labels are not a JSON object, or a name comes twice' "
    )
    return labels, broken


def without_empty(labels: str) -> str:
    """A map of texts without its empty entries; NULL when a name comes twice."""
    entries = f"list_filter(map_entries({labels}), lambda pair: nullif(pair.value, '') IS NOT NULL)"
    return f"TRY(map_from_entries({entries}))"


def points_sql(records: Records, source: FilesSource, names: Mapping[str, str], now: datetime) -> str:
    """SELECT of POINT_COLUMNS over records.

    `names` are the values for templates; `now` bounds times in the future.
    """
    roles = records.roles
    problem = records.problem
    maps = list(records.labels)
    if "labels" in roles:
        parsed, broken = labels_map_sql(roles["labels"])
        maps.append(parsed)
        problem += broken

    def constant(text: str | None) -> str:
        return f"CAST({literal(text)} AS VARCHAR)"

    def named(role: str, fallback: str) -> str:
        return f"coalesce({roles[role].text()}, {fallback})" if role in roles else fallback

    def word(role: str, fallback: str) -> str:
        return f"lower({named(role, fallback)})" if role in roles else fallback

    typed = {
        "ts": timestamp_sql(roles["timestamp"], source),
        "service": named("service", constant(fill(source.service, {**names}) if source.service else None)),
        "metric_type": word("metric_type", constant(source.metric_type)),
        "unit": named("unit", constant(normalise_unit(source.unit))),
        "labels": labels_sql(source.labels, records.label_columns, maps),
        "kind": word("kind", constant(source.kind or "gauge")),
    }
    if not records.values:
        metric = constant(fill(source.metric, {**names}) if source.metric else None)
        typed |= {"metric": named("metric", metric), "value": value_sql(roles["value"])}
    else:
        cells = ", ".join(
            f"{{'metric': {constant(fill(source.metric or '{column}', {**names, 'column': name}))}, "
            f"'value': {value_sql(column)}, 'text': {column.text()}}}"
            for name, column in records.values.items()
        )
        broken = f"CASE {problem}END" if problem else "NULL"
        typed["cell"] = f"unnest(list_filter([{cells}], lambda cell: cell.text IS NOT NULL))"
        if problem:
            empty = "[{'metric': NULL, 'value': NULL, 'text': NULL}]"
            typed["cell"] = (
                f"unnest(CASE WHEN {broken} IS NOT NULL THEN {empty} "
                f"ELSE list_filter([{cells}], lambda cell: cell.text IS NOT NULL) END)"
            )
    problem += time_problem(now) + value_problem() + name_problem()
    if "kind" in roles:
        problem += (
            f"WHEN kind NOT IN ({', '.join(map(literal, KINDS))}) THEN 'the kind is not one of {', '.join(KINDS)}' "
        )
    if "metric_type" in roles:
        known = ", ".join(map(literal, METRIC_TYPES))
        problem += f"WHEN metric_type NOT IN ({known}) THEN 'the metric_type is not known' "
    relation = f"SELECT *, {', '.join(f'{sql} AS {name}' for name, sql in typed.items())} FROM ({records.relation})"
    if records.values:
        relation = f"SELECT *, cell.metric AS metric, cell.value AS value FROM ({relation})"
    checked = f"SELECT *, CASE {problem}END AS problem FROM ({relation})"
    columns = ", ".join(name for name in POINT_COLUMNS if name != "raw")
    return f"SELECT {columns}, CASE WHEN problem IS NOT NULL THEN {records.raw} END AS raw FROM ({checked})"
