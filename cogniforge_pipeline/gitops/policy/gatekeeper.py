"""Gatekeeper's ConstraintTemplates and Constraints, as they are.

Belongs here: reading both, and making a policy of a constraint and its template. Does not: evaluating it.

Read are Rego targets of `admission.k8s.gatekeeper.sh`: `rego` with `libs`, and `code` of the engine Rego with `version`
v0 (the default) or v1. A template that has CEL alone is refused. `enforcementAction` deny, warn and dryrun are ENFORCE,
WARN and AUDIT; of scoped actions the strongest one counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from cogniforge_pipeline.gitops.policy.matching import Match, group_kind, metadata_of
from cogniforge_pipeline.gitops.policy.model import Policy, PolicyEnforcementMode, PolicyInvalid
from cogniforge_pipeline.gitops.policy.pool import Program

TARGET = "admission.k8s.gatekeeper.sh"
TEMPLATES = "templates.gatekeeper.sh"
CONSTRAINTS = "constraints.gatekeeper.sh"
_ACTIONS = {
    "deny": PolicyEnforcementMode.ENFORCE,
    "warn": PolicyEnforcementMode.WARN,
    "dryrun": PolicyEnforcementMode.AUDIT,
}
_PACKAGE = re.compile(r"^\s*package\s+([\w.\[\]\"-]+)", re.MULTILINE)


@dataclass(frozen=True)
class Template:
    """A ConstraintTemplate: the kind of its constraints, and their Rego."""

    kind: str
    package: str
    modules: tuple[tuple[str, str], ...]
    v0: bool
    title: str
    description: str

    @property
    def inventory(self) -> bool:
        return any("inventory" in text for _, text in self.modules)


def is_template(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest is a ConstraintTemplate."""
    return group_kind(manifest) == (TEMPLATES, "ConstraintTemplate")


def is_constraint(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest is a constraint of any kind."""
    return group_kind(manifest)[0] == CONSTRAINTS


def read_template(manifest: Mapping[str, Any]) -> Template:
    """A ConstraintTemplate from its manifest. Raises PolicyInvalid."""
    name = str(metadata_of(manifest).get("name") or "")
    kind = _at(manifest, "spec", "crd", "spec", "names", "kind")
    if not is_template(manifest) or not isinstance(kind, str):
        raise PolicyInvalid(f"template {name}: expected a ConstraintTemplate with spec.crd.spec.names.kind")
    if name != kind.lower():
        raise PolicyInvalid(f"template {name}: its name must be that of its kind in lower case, {kind.lower()}")
    targets = _at(manifest, "spec", "targets")
    chosen = [each for each in targets or () if isinstance(each, Mapping) and each.get("target") == TARGET]
    if len(chosen) != 1:
        raise PolicyInvalid(f"template {name}: expected one target {TARGET}")
    text, libraries, v0 = _rego(chosen[0], name)
    package = _PACKAGE.search(text)
    if package is None:
        raise PolicyInvalid(f"template {name}: its Rego names no package")
    notes = metadata_of(manifest).get("annotations") or {}
    return Template(
        kind,
        package.group(1),
        ((f"{name}.rego", text), *((f"{name}-lib{number}.rego", each) for number, each in enumerate(libraries, 1))),
        v0,
        str(notes.get("metadata.gatekeeper.sh/title") or kind),
        str(notes.get("description") or "").strip(),
    )


def read_constraint(manifest: Mapping[str, Any], template: Template) -> Policy:
    """The policy that a constraint makes of its template. Raises PolicyInvalid."""
    name = str(metadata_of(manifest).get("name") or "")
    shown = f"constraint {manifest.get('kind')}/{name}"
    if not is_constraint(manifest) or manifest.get("kind") != template.kind:
        raise PolicyInvalid(f"{shown}: expected a constraint of the kind {template.kind}")
    spec = manifest.get("spec") or {}
    if not isinstance(spec, Mapping):
        raise PolicyInvalid(f"{shown}: spec is no object")
    try:
        match = Match.model_validate(spec.get("match") or {})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PolicyInvalid(f"{shown}: spec.match.{place}: {first['msg']}") from None
    parameters = spec.get("parameters")
    program = Program(
        template.modules,
        template.v0,
        (f"data.{template.package}.violation",),
        f'{{"parameters":{json.dumps({} if parameters is None else parameters)},"review":',
        "}",
    )
    notes = metadata_of(manifest).get("annotations") or {}
    return Policy(
        f"{template.kind}/{name}",
        template.title,
        program,
        match,
        _enforcement(spec, shown),
        str(notes.get("policies.cogniforge.io/severity") or "medium"),
        template.description,
        "constraint",
        reviewed=True,
        inventory=template.inventory,
    )


def read_gatekeeper(found: Sequence[Mapping[str, Any]]) -> list[Policy]:
    """The policies of templates and constraints that lie together. Raises PolicyInvalid.

    A template without a constraint makes no policy, as in a cluster.
    """
    templates = {template.kind: template for template in map(read_template, filter(is_template, found))}
    policies = []
    for manifest in filter(is_constraint, found):
        kind = str(manifest.get("kind"))
        if kind not in templates:
            raise PolicyInvalid(
                f"constraint {kind}/{metadata_of(manifest).get('name')}: there is no template of its kind"
            )
        policies.append(read_constraint(manifest, templates[kind]))
    return policies


def _rego(target: Mapping[str, Any], name: str) -> tuple[str, list[str], bool]:
    for code in target.get("code") or ():
        if isinstance(code, Mapping) and code.get("engine") == "Rego":
            source = code.get("source") or {}
            return str(source.get("rego") or ""), list(source.get("libs") or ()), source.get("version", "v0") != "v1"
    if not isinstance(target.get("rego"), str):
        raise PolicyInvalid(
            f"template {name}: it has no Rego", "templates in CEL (K8sNativeValidation) are not evaluated here"
        )
    return target["rego"], list(target.get("libs") or ()), True


def _enforcement(spec: Mapping[str, Any], shown: str) -> PolicyEnforcementMode:
    action = spec.get("enforcementAction") or "deny"
    if action == "scoped":
        scoped = [
            each.get("action") for each in spec.get("scopedEnforcementActions") or () if isinstance(each, Mapping)
        ]
        named = [each for each in _ACTIONS if each in scoped]
        action = named[0] if named else ""
    if action not in _ACTIONS:
        raise PolicyInvalid(f"{shown}: expected an enforcementAction of deny, warn, dryrun or scoped, got {action!r}")
    return _ACTIONS[action]


def _at(value: Any, *path: str) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
