"""Reading contracts: one ODCS v3 YAML file per table becomes a Contract.

Belongs here: the fields of ODCS and what this platform makes of them. Does not: SQL of tables or checks.

What a file states: `name` is `schema.table` and the one entry of `schema` carries the table's name. A
column's physicalType is a DuckDB type (else its logicalType decides); `partitioned` marks the partition
column; the custom property `sortBy` of the table lists the sort columns (else the primary key); the custom
property `finite` of a DOUBLE refuses NaN and Infinity. The SLA property `latency` (or `freshness`) is the
greatest age of the newest row. The custom property `compatibilityMode` of the contract is one of `MODES`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

import pydantic
from open_data_contract_standard.model import (
    CustomProperty,
    OpenDataContractStandard,
    Relationship,
    SchemaObject,
    SchemaProperty,
)

from cogniforge_pipeline.contracts.model import MODE_PROPERTY, MODES, Column, Contract, Rule
from cogniforge_pipeline.contracts.quality import quality_rule
from cogniforge_pipeline.contracts.rules import column_rules, foreign_key_rule, unique_rule
from cogniforge_pipeline.contracts.sla import check_names, promises
from cogniforge_pipeline.contracts.sqlcheck import canonical_type
from cogniforge_pipeline.contracts.yaml_text import ContractError, Document, Spot, read_document, unknown_keys

__all__ = ["Column", "Contract", "ContractError", "load_contract", "load_contracts", "parse_contract"]

_STATUSES = ("proposed", "draft", "active", "deprecated", "retired")
_LOGICAL_TYPES = {
    "string": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMPTZ",
}


def load_contracts(folder: Path | str) -> dict[str, Contract]:
    """All contracts of `folder/<schema>/<table>.yaml` by name, in the order of their names.

    Raises ContractError for a file that cannot be used or whose name is not its path's.
    """
    contracts = {}
    for path in sorted(Path(folder).glob("*/*.y*ml")):
        contract = load_contract(path)
        expected = f"{path.parent.name}.{path.stem}"
        if contract.name != expected:
            raise ContractError(
                f"{path}:1: the contract is named {contract.name}, its path says {expected}",
                f"set name: {expected}, or move the file to {contract.schema}/{contract.table}.yaml",
            )
        contracts[contract.name] = contract
    return dict(sorted(contracts.items()))


def load_contract(path: Path | str) -> Contract:
    """One contract. Raises ContractError with file, line and what to do for anything that cannot be used."""
    document = read_document(Path(path))
    contract = parse_contract(document)
    _check_mode(document)
    check_names(document)
    return contract


def parse_contract(document: Document) -> Contract:
    """The contract of a document that was read already. Raises as `load_contract`, but takes words that only a file's
    author can correct: an unknown mode, and an SLA property that looks misspelt.
    """
    odcs = _parse(document)
    spot = Spot(document)
    schema, table = _name(odcs, spot)
    entry = _one_table(odcs, table, spot)
    at = spot.at("schema", 0)
    properties = entry.properties or at.fail("the table has no properties", "list its columns")
    columns = tuple(_column(item, at.at("properties", i)) for i, item in enumerate(properties))
    by_name = {column.name: column for column in columns}
    if len(by_name) < len(columns):
        at.at("properties").fail("a column is listed twice", "keep one of the two")
    key = _primary_key(properties, by_name, at)
    rules = tuple(_rules(entry, by_name, key, at))
    partition = _partition(properties, at)
    custom = _custom(entry.customProperties)
    sort_by = _listed(custom.get("sortBy")) or tuple(column.name for column in key)
    for name in sort_by:
        if name not in by_name:
            at.at("customProperties").fail(f"sortBy names {name}, which is no column", "correct the name")
    sla, time_column = promises(odcs.slaProperties or [], by_name, spot.at("slaProperties"))
    if time_column is None and partition and by_name[partition].temporal:
        time_column = partition
    purpose = odcs.description.purpose if odcs.description else None
    return Contract(
        schema=schema,
        table=table,
        version=odcs.version or "",
        status=odcs.status or "",
        description=" ".join((entry.description or purpose or "").split()),
        owner=_owner(odcs),
        tags=tuple(odcs.tags or ()) + tuple(entry.tags or ()),
        columns=columns,
        rules=_distinct(rules, spot),
        partition_column=partition,
        sort_by=sort_by,
        time_column=time_column,
        sla=sla,
        custom=_custom(odcs.customProperties),
        path=document.path,
        raw=document.data,
    )


def _parse(document: Document) -> OpenDataContractStandard:
    try:
        odcs = OpenDataContractStandard.model_validate(document.data)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = tuple(first["loc"])
        name = ".".join(map(str, place))
        if first["type"] == "extra_forbidden":
            document.fail(place, f"{name} is not a field of ODCS v3", "correct the spelling or remove it")
        message = f"{name}: {first['msg']}, found {first['input']!r}"
        document.fail(place, message, "correct the value; quote texts that YAML reads as numbers or dates")
    kept = odcs.model_dump(by_alias=True, exclude_unset=True)
    for place in unknown_keys(document.data, kept):
        name = ".".join(map(str, place))
        document.fail(place, f"{name} is not a field of ODCS v3", "correct the spelling or remove it")
    spot = Spot(document)
    for field in ("apiVersion", "kind", "id", "name", "version", "status"):
        if not getattr(odcs, field):
            spot.fail(f"the field {field} is missing", f"add {field}: … at the top level")
    if not str(odcs.apiVersion).startswith("v3."):
        spot.at("apiVersion").fail(f"apiVersion {odcs.apiVersion} is not ODCS v3", "use v3.1.0")
    if odcs.kind != "DataContract":
        spot.at("kind").fail(f"kind {odcs.kind!r} is no contract", "use kind: DataContract")
    if odcs.status not in _STATUSES:
        spot.at("status").fail(f"status {odcs.status!r} is unknown", f"use one of {', '.join(_STATUSES)}")
    return odcs


def _check_mode(document: Document) -> None:
    for index, item in enumerate(document.data.get("customProperties") or []):
        mode = item.get("value")
        if item.get("property") == MODE_PROPERTY and mode not in MODES:
            near = get_close_matches(str(mode).upper(), MODES, 1)
            meant = f"did you mean {near[0]}? " if near else ""
            message = f"{MODE_PROPERTY} {mode!r} is unknown"
            document.fail(("customProperties", index, "value"), message, f"{meant}use one of {', '.join(MODES)}")


def _name(odcs: OpenDataContractStandard, spot: Spot) -> tuple[str, str]:
    parts = (odcs.name or "").split(".")
    if len(parts) != 2 or not all(parts):
        spot.at("name").fail(f"name {odcs.name!r} is not schema.table", "write it as in name: sre.burn_rates")
    return parts[0], parts[1]


def _one_table(odcs: OpenDataContractStandard, table: str, spot: Spot) -> SchemaObject:
    tables = odcs.schema_ or []
    if len(tables) != 1:
        spot.at("schema").fail(f"expected one table under schema, found {len(tables)}", "one file per table")
    if tables[0].name != table:
        spot.at("schema", 0, "name").fail(
            f"the table is named {tables[0].name!r}, the contract {odcs.name}", f"set its name to {table}"
        )
    return tables[0]


def _column(item: SchemaProperty, spot: Spot) -> Column:
    if not item.name:
        spot.fail("a column has no name", "add name: …")
    declared = item.physicalType or _LOGICAL_TYPES.get(item.logicalType or "")
    if not declared:
        spot.fail(f"column {item.name} has no type", "add physicalType: with a DuckDB type, such as BIGINT")
    try:
        kind = canonical_type(declared)
    except ValueError as error:
        spot.at("physicalType").fail(f"column {item.name}: {error}", "use a DuckDB type, such as BIGINT")
    return Column(
        name=item.name,
        type=kind,
        required=bool(item.required or item.primaryKey),
        primary_key=bool(item.primaryKey),
        description=" ".join((item.description or "").split()),
        references=_reference(item.relationships or [], spot),
        enum=tuple(entry.value for entry in item.enum or []),
        options=item.logicalTypeOptions or {},
        custom=_custom(item.customProperties),
        tags=tuple(item.tags or ()),
    )


def _reference(relationships: Sequence[Relationship], spot: Spot) -> str | None:
    if not relationships:
        return None
    if len(relationships) > 1 or not isinstance(relationships[0].to, str):
        spot.at("relationships").fail("a column refers to one column", "write composite keys at the table")
    return _target(relationships[0].to, spot.at("relationships", 0, "to"))


def _target(text: str, spot: Spot) -> str:
    if len(text.split(".")) != 3 or not all(text.split(".")):
        spot.fail(f"{text!r} is not schema.table.column", "write it as in to: aiops.series.series_id")
    return text


def _primary_key(properties: Sequence[SchemaProperty], columns: dict[str, Column], spot: Spot) -> list[Column]:
    keyed = [(i, item) for i, item in enumerate(properties) if item.primaryKey]
    positions = [item.primaryKeyPosition for _, item in keyed]
    if len(keyed) > 1 and sorted(p or 0 for p in positions) != list(range(1, len(keyed) + 1)):
        spot.at("properties", keyed[0][0]).fail(
            f"the positions of the primary key are {positions}", f"number them 1 to {len(keyed)}"
        )
    ordered = sorted((item.primaryKeyPosition or 0, item.name or "") for _, item in keyed)
    return [columns[name] for _, name in ordered]


def _partition(properties: Sequence[SchemaProperty], spot: Spot) -> str | None:
    marked = [(i, item.name) for i, item in enumerate(properties) if item.partitioned]
    if len(marked) > 1:
        spot.at("properties", marked[1][0]).fail("two columns are partitioned", "keep one partition column")
    return marked[0][1] if marked else None


def _rules(entry: SchemaObject, columns: dict[str, Column], key: list[Column], spot: Spot) -> Iterator[Rule]:
    if key:
        yield unique_rule(key, primary=True)
    for index, item in enumerate(entry.properties or []):
        column, at = columns[item.name or ""], spot.at("properties", index)
        yield from column_rules(column, at)
        if item.unique and [column] != key:
            yield unique_rule([column])
        for number, quality in enumerate(item.quality or []):
            if rule := quality_rule(quality, column, columns, at.at("quality", number)):
                yield rule
    for index, link in enumerate(entry.relationships or []):
        yield _table_reference(link, columns, spot.at("relationships", index))
    for number, quality in enumerate(entry.quality or []):
        if rule := quality_rule(quality, None, columns, spot.at("quality", number)):
            yield rule


def _table_reference(link: Relationship, columns: dict[str, Column], spot: Spot) -> Rule:
    """A foreign key at the table, whose `from` and `to` may be lists of the same length."""
    sources = [link.from_] if isinstance(link.from_, str) else link.from_ or []
    targets = [link.to] if isinstance(link.to, str) else link.to or []
    names = [source.rpartition(".")[2] for source in sources]
    split = [_target(target, spot.at("to")).rpartition(".") for target in targets]
    if not names or len(names) != len(split) or len({table for table, _, _ in split}) != 1:
        spot.fail("from and to do not match", "list as many columns of one table under to as under from")
    for name in names:
        if name not in columns:
            spot.at("from").fail(f"{name} is no column of this table", "correct the name")
    return foreign_key_rule([columns[name] for name in names], split[0][0], [column for _, _, column in split])


def _distinct(rules: Sequence[Rule], spot: Spot) -> tuple[Rule, ...]:
    seen: dict[str, Rule] = {}
    for rule in rules:
        if rule.name in seen:
            spot.at("schema", 0).fail(
                f"two rules are named {rule.name}: {seen[rule.name].description}; {rule.description}",
                "give one of the quality entries a name of its own",
            )
        seen[rule.name] = rule
    return tuple(rules)


def _owner(odcs: OpenDataContractStandard) -> str:
    if isinstance(odcs.team, list):
        return next((member.username or member.name or "" for member in odcs.team), "")
    return (odcs.team.name or "") if odcs.team else ""


def _custom(properties: Sequence[CustomProperty] | None) -> dict[str, str]:
    return {
        item.property: ", ".join(map(str, item.value)) if isinstance(item.value, list) else str(item.value)
        for item in properties or []
        if item.property
    }


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip()) if text else ()
