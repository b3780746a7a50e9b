"""Files of SLOs outside a home: OpenSLO or Sloth to objectives, and Sloth's files to files of OpenSLO.

Belongs here: which of both a file is, and what an import writes and loses. Does not: Sloth's forms (`sloth.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from cogniforge_pipeline.declarations import Declaration, DeclarationsInvalid, declare, load_platform
from cogniforge_pipeline.declarations.document import parse_yaml
from cogniforge_pipeline.declarations.load import load_file
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.sre.objectives import Objective
from cogniforge_pipeline.sre.openslo import OPENSLO_KIND, OpenSLO
from cogniforge_pipeline.sre.resolve import resolve, resolve_documents
from cogniforge_pipeline.sre.sloth import import_sloth

_WITHOUT_EFFECT = {
    "alerting": "labels and annotations of its alerts are kept as text and have no effect",
    "plugins": "its plugins are kept as text and have no effect",
    "slo-plugins": "its SLO plugins are kept as text and have no effect",
}


@dataclass(frozen=True)
class Imported:
    """One SLO of a Sloth file as an OpenSLO file: its text, and what could not be carried over."""

    name: str
    origin: Path
    text: str
    losses: tuple[str, ...]


def read_objectives(path: Path) -> tuple[Objective, ...]:
    """The objectives of an OpenSLO file, which may hold several documents, or of a Sloth file.

    Raises CogniforgeError, of which DeclarationsInvalid names file and line.
    """
    if not path.is_file():
        raise CogniforgeError(f"there is no file {path}", "give an OpenSLO v1 file, or one of Sloth")
    declarations: list[Declaration[OpenSLO]]
    if _is_sloth(path):
        documents = import_sloth(_text(path), path=str(path), service_label="service")
        declarations = [replace(declare(OPENSLO_KIND, document), path=str(path)) for document in documents]
    else:
        declarations, problems = load_file(OPENSLO_KIND, path, str(path))
        if problems:
            raise DeclarationsInvalid(problems)
    objectives = resolve(declarations).check()
    twice = _repeated([objective.slo_id for objective in objectives])
    if twice:
        raise CogniforgeError(f"{path} declares the SLO {twice!r} more than once", "rename one of them")
    if not objectives:
        raise CogniforgeError(f"{path} has no document of kind SLO", "add one, or give another file")
    return objectives


def convert(paths: Sequence[Path], *, service_label: str = "job") -> list[Imported]:
    """All SLOs of some Sloth files, in their order. `service_label` is the label that tells services apart.

    Raises CogniforgeError for a file that cannot be read or is no Sloth spec, and where two SLOs get one name.
    """
    found = []
    for path in paths:
        for document in import_sloth(_text(path), path=str(path), service_label=service_label):
            (objective,) = resolve_documents([document])
            text = f"# Imported from {path.name}, a spec of Sloth.\n{_yaml(document)}"
            found.append(Imported(document["metadata"]["name"], path, text, tuple(_losses(document, objective))))
    twice = _repeated([slo.name for slo in found])
    if twice:
        origins = ", ".join(dict.fromkeys(str(slo.origin) for slo in found if slo.name == twice))
        raise CogniforgeError(
            f"more than one SLO becomes {twice!r}: {origins}", "rename one of them, or import it alone"
        )
    return found


def write(slos: Sequence[Imported], folder: Path, *, force: bool = False) -> list[Path]:
    """One file `<name>.yaml` for each SLO in `folder`, which is made where it is not there; all files or none.

    Raises CogniforgeError where a file is there already, unless `force`, and where another file of the folder declares
    an SLO of the same name.
    """
    targets = {folder / f"{slo.name}.yaml": slo for slo in slos}
    there = [path.name for path in targets if path.exists()]
    if there and not force:
        raise CogniforgeError(
            f"{folder} has {', '.join(there[:5])}{' and more' if len(there) > 5 else ''} already; nothing was written",
            "give --force to overwrite",
        )
    declared = load_platform(folder.parent, [replace(OPENSLO_KIND, folder=folder.name)]) if folder.is_dir() else None
    for declaration in declared.declarations if declared else ():
        clash = next((path for path, slo in targets.items() if slo.name == declaration.name), None)
        if clash is not None and declaration.path != f"{folder.name}/{clash.name}":
            raise CogniforgeError(
                f"the SLO {declaration.name!r} is also in {declaration.path}:{declaration.line}; nothing was written",
                "rename or remove one of them",
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, slo in targets.items():
            path.write_text(slo.text, encoding="utf-8")
    except OSError as error:
        raise CogniforgeError(f"{folder} cannot be written: {error.strerror}", "choose another folder") from error
    return list(targets)


def _losses(document: Mapping[str, Any], objective: Objective) -> list[str]:
    found = [] if objective.not_computable is None else [f"{objective.not_computable}; its query is kept as written"]
    annotations = document["metadata"].get("annotations", {})
    return found + [said for key, said in _WITHOUT_EFFECT.items() if _matters(key, annotations)]


def _matters(key: str, annotations: Mapping[str, str]) -> bool:
    """Whether a kept part of Sloth says more than which alerts are off, which is carried over."""
    kept = yaml.safe_load(annotations.get(f"sloth.dev/{key}", "null"))
    if key != "alerting" or not isinstance(kept, dict):
        return bool(kept)
    parts = [kept] + [kept[name] for name in ("page_alert", "ticket_alert") if isinstance(kept.get(name), dict)]
    return any(part.get("labels") or part.get("annotations") for part in parts)


def _yaml(document: Mapping[str, Any]) -> str:
    """The document as YAML that reads back as it is, in the YAML 1.2 of this program too."""
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    nodes, problems = parse_yaml(text, "<import>")
    if problems or [node.value for node in nodes] != [document]:
        raise CogniforgeError(
            f"the SLO {document['metadata']['name']!r} cannot be written as YAML", "rename its labels"
        )
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.2 takes for a number and YAML 1.1 does not, and shows lines as lines."""


def _dumped(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    if style is None and text[:1] in "0123456789+-.":
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _dumped)


def _is_sloth(path: Path) -> bool:
    """Whether a file speaks of Sloth's forms rather than of OpenSLO v1; what cannot be read does not."""
    try:
        nodes, _ = parse_yaml(_text(path), str(path))
    except CogniforgeError:
        return False
    documents = [node.value for node in nodes if isinstance(node.value, dict)]
    return any(
        str(document.get("version", "")).startswith("prometheus/")
        or document.get("kind") == "PrometheusServiceLevel"
        or document.get("apiVersion") == "openslo/v1alpha"
        for document in documents
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CogniforgeError(f"{path} cannot be read: {error.strerror}", "give a Sloth spec file") from error
    except UnicodeDecodeError as error:
        raise CogniforgeError(f"{path} is not UTF-8 text", "save the file as UTF-8") from error


def _repeated(names: Sequence[str]) -> str | None:
    return next((name for place, name in enumerate(names) if name in names[:place]), None)
