"""Documents of contracts: which kind one is, reading it from a file, and comparing two of one kind.

Belongs here: what JSON Schemas and ODCS contracts share. Does not: how either is compared (`compatibility`), or
versions that are registered (`evolution.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from cogniforge_pipeline.data_mesh.compatibility import Compatibility, Mode, compare_schemas
from cogniforge_pipeline.errors import CogniforgeError

if TYPE_CHECKING:
    from cogniforge_pipeline.contracts import Contract

Kind = Literal["json_schema", "odcs"]


def kind_of(document: Any) -> Kind:
    """Which of the formats a document has, by its content. Raises CogniforgeError for what is neither."""
    if isinstance(document, Mapping) and document.get("kind") == "DataContract" and "apiVersion" in document:
        return "odcs"
    if isinstance(document, bool | Mapping):
        return "json_schema"
    raise CogniforgeError(
        f"expected a JSON Schema or an ODCS contract, got {type(document).__name__}", "write a mapping of its keywords"
    )


def compare_documents(old: Any, new: Any, mode: Mode = "BACKWARD", *, history: Sequence[Any] = ()) -> Compatibility:
    """Whether `new` may take the place of `old`, as `compare_schemas` says it of schemas and `compare_contracts` of ODCS.

    Raises CogniforgeError when they are not of one kind, and for documents that cannot be used.
    """
    kinds = {kind_of(document) for document in (*history, old, new)}
    if len(kinds) > 1:
        raise CogniforgeError(
            "expected documents of one kind, got a JSON Schema and an ODCS contract", "compare like with like"
        )
    if kinds == {"odcs"}:
        return _compare_odcs(old, new, mode, history)
    return compare_schemas(old, new, mode, history=history)


def _compare_odcs(old: Any, new: Any, mode: Mode, history: Sequence[Any]) -> Compatibility:
    from cogniforge_pipeline.contracts.odcs import parse_contract
    from cogniforge_pipeline.contracts.yaml_text import Document
    from cogniforge_pipeline.data_mesh.compatibility.odcs import compare_contracts

    def contract(document: Any) -> Contract:
        return parse_contract(Document(Path(str(document.get("name"))), dict(document), {}))

    return compare_contracts(contract(old), contract(new), mode, history=list(map(contract, history)))


_SAYS_MORE = {
    "additionalProperties",
    "unevaluatedProperties",
    "patternProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "$ref",
    "if",
}


def as_record(schema: Any) -> Any:
    """A JSON Schema as the contract of a product's rows: an object that says nothing about further properties has none,
    as a table has no further columns.

    This holds for the schema itself, and for the objects that are its properties or the items of one. Whoever wants it
    open says `additionalProperties: true`.
    """
    if not isinstance(schema, Mapping):
        return schema
    made = dict(schema)
    if isinstance(schema.get("properties"), Mapping):
        made["properties"] = {name: as_record(each) for name, each in schema["properties"].items()}
        if not _SAYS_MORE & schema.keys():
            made["additionalProperties"] = False
    if isinstance(schema.get("items"), Mapping):
        made["items"] = as_record(schema["items"])
    return made


def plain(document: Mapping[str, Any]) -> dict[str, Any]:
    """A YAML document with JSON values only: dates and times become ISO 8601."""
    found: dict[str, Any] = json.loads(json.dumps(document, default=lambda v: getattr(v, "isoformat", v.__str__)()))
    return found


def read_schema(path: Path) -> Any:
    """The document of a file: YAML 1.2 when it is named .yaml or .yml, else JSON; an ODCS contract as the lake reads it.

    Raises CogniforgeError for a file that cannot be read, is no JSON or YAML, has a key twice, or several documents,
    and ContractError for an ODCS contract that cannot be used.
    """
    document = _read(path)
    if kind_of(document) == "odcs":
        from cogniforge_pipeline.contracts import load_contract

        return plain(load_contract(path).raw)
    return document


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CogniforgeError(f"{path} cannot be read: {error.strerror}", "check the path") from None
    except UnicodeDecodeError:
        raise CogniforgeError(f"{path} is not UTF-8 text", "save it as UTF-8") from None
    if path.suffix.lower() in (".yaml", ".yml"):
        return _yaml(text, path)
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise CogniforgeError(f"{path} is not JSON: {error}", "name a YAML file .yaml") from None


def _yaml(text: str, path: Path) -> Any:
    from cogniforge_pipeline.declarations.document import parse_yaml

    documents, problems = parse_yaml(text, str(path))
    if problems:
        raise CogniforgeError("; ".join(map(str, problems)))
    if len(documents) != 1:
        raise CogniforgeError(f"{path}: expected one document, got {len(documents)}", "one schema for each file")
    return documents[0].value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")
