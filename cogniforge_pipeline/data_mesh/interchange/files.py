"""Contracts as files: into the platform folder, and out of the registry.

Belongs here: names, files, and which version is meant. Does not: what the formats say (rows.py, tables.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
import yaml

from cogniforge_pipeline.contracts import Contract, load_contract
from cogniforge_pipeline.contracts.odcs import parse_contract
from cogniforge_pipeline.contracts.yaml_text import Document
from cogniforge_pipeline.data_mesh.documents import kind_of, plain, read_schema
from cogniforge_pipeline.data_mesh.evolution import MODE_PROPERTY, registered
from cogniforge_pipeline.data_mesh.interchange.rows import row_json_schema
from cogniforge_pipeline.data_mesh.interchange.tables import table_contract
from cogniforge_pipeline.data_mesh.service_types import ContractVersion
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.lake import Lake
from cogniforge_pipeline.settings import Settings, packaged
from cogniforge_pipeline.sqltext import RESERVED_SCHEMAS

Format = Literal["odcs", "json-schema"]
_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Exported:
    """A version in one of the formats. `text` is its file: YAML of ODCS, JSON of a JSON Schema.

    `notes` say what of the contract the format cannot.
    """

    document: Any
    text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Imported:
    """The contract that a file became; `written` is False where it was there already, word for word."""

    path: Path
    contract: Contract
    written: bool
    notes: tuple[str, ...] = ()


def import_contract(settings: Settings, source: Path, name: str | None = None) -> Imported:
    """Puts an ODCS contract, or a JSON Schema of a row, into the platform folder as the contract of a table.

    An ODCS file is copied as it is. A JSON Schema becomes the contract of the table `name` (`schema.table`), else of
    the one that its `title` or its file's name names. Raises CogniforgeError for a file that cannot be used, a name
    that is not free, and where another contract of the name is there.
    """
    document = read_schema(source)
    notes: tuple[str, ...] = ()
    if kind_of(document) == "odcs":
        contract, text = load_contract(source), source.read_text(encoding="utf-8")
        _usable(contract.name, source)
        if name not in (None, contract.name):
            raise CogniforgeError(
                f"{source} is the contract of {contract.name}, not of {name}",
                "leave --name out, or change `name` and the table's name in the file",
            )
    else:
        chosen = name or _name_of(document, source)
        _usable(chosen, source)
        made, notes = table_contract(document, chosen)
        contract, text = parse_contract(Document(source, made, {})), _yaml(made)
    path = settings.platform / "contracts" / contract.schema / f"{contract.table}.yaml"
    return Imported(path, contract, _write(path, text, source), notes)


def export_contract(versions: Sequence[ContractVersion], version: str | None, form: Format) -> Exported:
    """One of a contract's versions, the oldest first, in a format; the newest where `version` is None.

    Raises CogniforgeError for a version that is not kept, and for a JSON Schema that describes no row where ODCS is
    asked for.
    """
    chosen = next((item for item in reversed(versions) if version in (None, item.version)), None)
    if chosen is None:
        kept = ", ".join(item.version for item in versions)
        raise CogniforgeError(f"{versions[0].contract_id} has no version {version}", f"kept are {kept}")
    document: Any = chosen.content
    notes: tuple[str, ...] = ()
    if chosen.kind == "odcs" and form == "json-schema":
        document, notes = row_json_schema(parse_contract(Document(Path(chosen.contract_id), chosen.content, {})))
    elif chosen.kind == "json_schema" and form == "odcs":
        document, notes = _contract_of(chosen)
    return Exported(document, _yaml(document) if form == "odcs" else _json(document), notes)


def export_named(settings: Settings, name: str, version: str | None, form: Format) -> Exported:
    """A contract that is registered, else the one of the package's or the platform folder's file of that name.

    Raises CogniforgeError for a name that neither knows, and LakeError where the lake cannot be read.
    """
    path = _file(settings, name)
    versions = _registered(settings, name) if path is None or _has_lake(settings) else []
    if versions and not (path and version and all(item.version != version for item in versions)):
        return export_contract(versions, version, form)
    if path is None:
        raise CogniforgeError(
            f"there is no contract {name!r}",
            "see what is registered with: cogniforge sql "
            '"SELECT contract_id, version FROM data_mesh.contract_versions"',
        )
    contract = load_contract(path)
    if version not in (None, contract.version):
        kept = ", ".join(dict.fromkeys([*(item.version for item in versions), contract.version]))
        raise CogniforgeError(f"{name} has no version {version}", f"kept are {kept}")
    if form == "odcs":
        return Exported(plain(contract.raw), path.read_text(encoding="utf-8"))
    document, notes = row_json_schema(contract)
    return Exported(document, _json(document), notes)


def _contract_of(version: ContractVersion) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The ODCS contract of a registered JSON Schema, with all that was registered beside it."""
    named = version.contract_id
    name = named if _NAME.fullmatch(named) else f"{_slug(version.domain)}.{_slug(named)}"
    made, notes = table_contract(version.content, name, version=version.version)
    made |= {"id": named, "version": version.version, "domain": version.domain}
    if version.description:
        made["description"] = {"purpose": version.description}
    if version.owners:
        made["team"] = {"name": version.owners[0]}
        if len(version.owners) > 1:
            made["team"]["members"] = [{"username": owner} for owner in version.owners]
    promises = [_promise(*item) for item in version.promises.items()]
    if promises:
        made["slaProperties"] = promises
    custom: list[dict[str, Any]] = [{"property": MODE_PROPERTY, "value": version.mode}]
    if version.consumers:
        custom.append({"property": "consumers", "value": list(version.consumers)})
    made["customProperties"] = custom
    parse_contract(Document(Path(name), made, {}))
    if name != named:
        notes = (f"#: {named!r} is no schema.table, the table is named {name}", *notes)
    return made, notes


def _promise(name: str, value: Any) -> dict[str, Any]:
    if name == "freshness_seconds":
        return {"property": "latency", "value": value, "unit": "s"}
    if name.endswith("_seconds"):
        return {"property": name.removesuffix("_seconds"), "value": value, "unit": "s"}
    return {"property": name, "value": value if isinstance(value, str | int | float) else json.dumps(value)}


def _slug(text: str) -> str:
    found = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    return found if re.match("[a-z]", found) else f"t_{found}".rstrip("_")


def _name_of(document: Any, source: Path) -> str:
    title = document.get("title") if isinstance(document, Mapping) else None
    for text in (title, source.stem.removesuffix(".schema")):
        if isinstance(text, str) and _NAME.fullmatch(text):
            return text
    raise CogniforgeError(
        f"{source}: a JSON Schema does not say which table it is about", "name it: --name schema.table"
    )


def _usable(name: str, source: Path) -> None:
    if not _NAME.fullmatch(name):
        raise CogniforgeError(
            f"{source}: {name!r} names no table", "use schema.table in lower-case letters, digits and _"
        )
    schema = name.partition(".")[0]
    if schema in RESERVED_SCHEMAS or (packaged("contracts") / schema).is_dir():
        raise CogniforgeError(f"{source}: the schema {schema} is not free", "choose another one for your products")


def _write(path: Path, text: str, source: Path) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    other = path.with_suffix(".yml")
    there = other if other.exists() else path
    try:
        if there is path:
            with path.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
            return True
    except FileExistsError:
        pass
    if there.read_bytes() == text.encode():
        return False
    raise CogniforgeError(
        f"{there} is there and is different; nothing was written",
        f"see what changes with: cogniforge contract diff {there} {source}, then remove it or choose another name"
        if source.suffix in (".yaml", ".yml")
        else "remove it, or choose another name with --name",
    )


def _file(settings: Settings, name: str) -> Path | None:
    if not _NAME.fullmatch(name):
        return None
    place = name.replace(".", "/")
    folders = packaged("contracts"), settings.platform / "contracts"
    found = (folder / f"{place}{suffix}" for folder in folders for suffix in (".yaml", ".yml"))
    return next((path for path in found if path.is_file()), None)


def _has_lake(settings: Settings) -> bool:
    kind, _, where = settings.catalog.partition(":")
    return kind != "sqlite" or Path(where).exists()


def _registered(settings: Settings, name: str) -> list[ContractVersion]:
    lake = Lake(settings, read_only=True)
    try:
        with lake.explained():
            try:
                return registered(lake.cursor(), name).get(name, [])
            except duckdb.CatalogException:  # no run has made the table yet
                return []
    finally:
        lake.close()


def _yaml(document: Any) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
