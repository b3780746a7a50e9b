"""`platform/policies/`: what a user declares, in any of four forms.

    policies/health.yaml       a PolicyRule (`rules.py`)
    policies/probes.yaml       starter: probes            one of the policies that come with the program (`starters.py`)
                               enforcement_mode: ENFORCE
    policies/gatekeeper/*.yaml ConstraintTemplates and Constraints, as they are
    policies/images.rego       a module whose `violation` and `deny` deny, and whose `warn` warns

Belongs here: the declared forms, what can be wrong between them, and the policies in force. Does not: evaluating them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, RootModel, Tag

from cogniforge_pipeline.declarations import Declaration, DeclarationModel, Kind, Problem
from cogniforge_pipeline.declarations.model import API
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.gitops.policy.gatekeeper import is_constraint, is_template, read_constraint, read_template
from cogniforge_pipeline.gitops.policy.model import Policy, PolicyEnforcementMode
from cogniforge_pipeline.gitops.policy.reading import read_modules
from cogniforge_pipeline.gitops.policy.rules import PolicyRule
from cogniforge_pipeline.gitops.policy.starters import STARTERS, starter_policy


class StarterChoice(DeclarationModel):
    """One of the policies that come with the program; `parameters` replace those of its constraint by name."""

    starter: Literal[STARTERS]  # type: ignore[valid-type]
    enforcement_mode: PolicyEnforcementMode = PolicyEnforcementMode.WARN
    parameters: dict[str, Any] | None = None
    excluded_namespaces: tuple[str, ...] = ()

    def to_policy(self) -> Policy:
        """The policy as it is enforced."""
        return starter_policy(self.starter, self.enforcement_mode, self.parameters, self.excluded_namespaces)


class GatekeeperManifest(BaseModel):
    """A ConstraintTemplate or a Constraint."""

    model_config = ConfigDict(extra="allow", frozen=True)

    api_version: Annotated[str, Field(alias="apiVersion", pattern=r"^(templates|constraints)\.gatekeeper\.sh/")]
    kind: str
    metadata: dict[str, Any]


def _form(value: Any) -> str:
    if isinstance(value, PolicyRule | StarterChoice | GatekeeperManifest):
        return type(value).__name__
    if isinstance(value, Mapping) and "apiVersion" in value:
        return "GatekeeperManifest"
    return "StarterChoice" if isinstance(value, Mapping) and "starter" in value else "PolicyRule"


class DeclaredPolicy(
    RootModel[
        Annotated[
            Annotated[PolicyRule, Tag("PolicyRule")]
            | Annotated[StarterChoice, Tag("StarterChoice")]
            | Annotated[GatekeeperManifest, Tag("GatekeeperManifest")],
            Discriminator(_form),
        ]
    ]
):
    """Any of the forms; `root` is what was declared."""

    model_config = ConfigDict(frozen=True)


def registry_name(declared: DeclaredPolicy) -> str:
    """A rule goes by its id, a starter policy by `starter/probes`, Gatekeeper's by kind and name."""
    root = declared.root
    if isinstance(root, PolicyRule):
        return root.rule_id
    return f"starter/{root.starter}" if isinstance(root, StarterChoice) else f"{root.kind}/{root.metadata.get('name')}"


def _between(declarations: Sequence[Declaration[DeclaredPolicy]]) -> Sequence[Problem]:
    return resolve(declarations).problems


POLICY_KIND = Kind("policy", "policies", DeclaredPolicy, key=registry_name, companions=(".rego",), between=_between)
"""`platform/policies/*.yaml`, and Rego modules beside them."""


@dataclass(frozen=True)
class Policies:
    """The policies that can be enforced, and what is wrong with the others."""

    policies: tuple[Policy, ...]
    problems: tuple[Problem, ...] = ()


def resolve(declarations: Iterable[Declaration[DeclaredPolicy]], modules: Iterable[Path] = ()) -> Policies:
    """Declarations and Rego files to policies, in order of their ids; templates and constraints brought together."""
    found: list[Policy] = []
    problems: list[Problem] = []
    gatekeeper = []
    for each in declarations:
        if isinstance(each.model.root, GatekeeperManifest):
            gatekeeper.append((each, each.spec))
        else:
            found.append(each.model.root.to_policy())
    templates = {}
    for each, manifest in gatekeeper:
        if is_template(manifest):
            try:
                template = read_template(manifest)
                templates[template.kind] = template
            except CogniforgeError as error:
                problems.append(_problem(each, error))
    for each, manifest in gatekeeper:
        if is_constraint(manifest):
            try:
                if manifest.get("kind") not in templates:
                    raise CogniforgeError(f"there is no valid ConstraintTemplate of the kind {manifest.get('kind')}")
                found.append(read_constraint(manifest, templates[str(manifest.get("kind"))]))
            except CogniforgeError as error:
                problems.append(_problem(each, error))
    for path in modules:
        try:
            found += read_modules([path])
        except CogniforgeError as error:
            problems.append(Problem(str(path), error.message, error.hint))
    return Policies(tuple(sorted(found, key=lambda policy: policy.policy_id)), tuple(problems))


def _problem(declaration: Declaration[Any], error: CogniforgeError) -> Problem:
    return Problem(declaration.path or API, error.message, error.hint, declaration.line)
