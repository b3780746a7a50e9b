"""The Python API of policies, on a home.

Belongs here: declaring policies, asking admission, what-if, reports. Does not: applications and drift (`service.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from cogniforge_pipeline import written
from cogniforge_pipeline.declarations import Declaration, DeclarationsInvalid, Kind, Problem, declare, load_platform
from cogniforge_pipeline.declarations.model import API
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.gitops.admission import Admission, admit_all
from cogniforge_pipeline.gitops.policy.declared import POLICY_KIND, DeclaredPolicy, resolve
from cogniforge_pipeline.gitops.policy.gatekeeper import is_template, read_template
from cogniforge_pipeline.gitops.policy.matching import group_kind, metadata_of
from cogniforge_pipeline.gitops.policy.model import Policy
from cogniforge_pipeline.gitops.policy.pool import shared_pool
from cogniforge_pipeline.gitops.policy.reading import alone
from cogniforge_pipeline.gitops.policy.rules import PolicyRule
from cogniforge_pipeline.gitops.policy_judged import judged, states
from cogniforge_pipeline.gitops.policy_reports import Api, policy_reports
from cogniforge_pipeline.gitops.policy_tables import DECISIONS
from cogniforge_pipeline.gitops.policy_what_if import WhatIf, what_if
from cogniforge_pipeline.registry import declared, record
from cogniforge_pipeline.services import Service

RUN_ID = "api"
OPERATIONS = ("CREATE", "UPDATE", "DELETE")


class PolicyService(Service):
    """Policies of a home: those of `platform/policies` as they are now, and those that the Python API declared."""

    kinds: ClassVar[tuple[Kind[Any], ...]] = (POLICY_KIND,)

    def add_policy(self, policy: PolicyRule | Mapping[str, Any]) -> None:
        """Declares a policy, or the next version of it: a PolicyRule, or any form that a file may have, as a mapping.

        Raises DeclarationsInvalid where it is not valid, where its Rego is refused, and where a file declares the same.
        """
        spec = policy.model_dump(mode="json", exclude_unset=True) if isinstance(policy, PolicyRule) else policy
        declaration = declare(POLICY_KIND, spec)
        self._check(declaration)
        changes, _ = record(self.home, [declaration], run_id=RUN_ID)
        if changes.problems:
            raise DeclarationsInvalid(changes.problems)

    def _check(self, declaration: Declaration[DeclaredPolicy]) -> None:
        """Refuses what could not be enforced: a constraint without a template, Rego that does not compile."""
        told = [each for each in self._told() if each.name != declaration.name]
        of_files = load_platform(self.home.settings.platform, self.kinds).of(POLICY_KIND)
        found = resolve([*of_files, *told, declaration])
        problems = [problem for problem in found.problems if problem.path == API]
        programs = [policy.program for policy in found.policies if policy.policy_id == declaration.name]
        if is_template(declaration.spec) and not problems:
            programs.append(alone(read_template(declaration.spec), None).program)
        for program in programs:
            outcome = shared_pool().compile(program)
            if outcome.status != "value":
                problems.append(Problem(API, f"{declaration.name}: {outcome.status}: {outcome.message}"))
        if problems:
            raise DeclarationsInvalid(problems)

    def _told(self) -> list[Declaration[DeclaredPolicy]]:
        with self.home.lake.explained():
            return [each for each in declared(self.home.lake.cursor(), POLICY_KIND) if each.path is None]

    def list_policies(self) -> list[Policy]:
        """The policies in force, by their ids. Raises DeclarationsInvalid where one cannot be: it would not be enforced."""
        platform = load_platform(self.home.settings.platform, self.kinds)
        found = resolve([*platform.of(POLICY_KIND), *self._told()], platform.companions(POLICY_KIND))
        folder = f"{POLICY_KIND.folder}/"
        problems = [*(each for each in platform.problems if each.path.startswith(folder)), *found.problems]
        if problems:
            raise DeclarationsInvalid(list(dict.fromkeys(problems)))
        return list(found.policies)

    def admit_resource(self, resource: Mapping[str, Any], operation: str = "CREATE") -> Admission:
        """Whether a resource may be applied; the decision is written down. What runs now is what policies see beside it."""
        (admission,) = self.admit_resources([resource], operation=operation)
        return admission

    def admit_resources(
        self,
        resources: Sequence[Mapping[str, Any]],
        *,
        others: Iterable[Mapping[str, Any]] = (),
        policies: Sequence[Policy] = (),
        operation: str = "CREATE",
    ) -> list[Admission]:
        """The same for resources that are applied together: they see one another, `others`, and what runs.

        `policies` are asked besides those in force. Raises CogniforgeError for an operation that is none of OPERATIONS.
        """
        if operation not in OPERATIONS:
            raise CogniforgeError(f"expected an operation of {', '.join(OPERATIONS)}, got {operation!r}")
        with self.home.lake.explained():
            running = [state.manifest for state in states(self.home.lake.cursor()) if state.source == "live"]
        found = admit_all(
            resources,
            [*self.list_policies(), *policies],
            inventory=[*running, *others, *resources],
            operation=operation,
        )
        now = datetime.now(UTC)
        written.append(self.home, DECISIONS, [_row(each, operation, now) for each in found], run_id=RUN_ID)
        return found

    def what_if(self, policies: Sequence[Policy]) -> WhatIf:
        """Whom policies would have hit over all that git ever said, and over what runs now."""
        with self.home.lake.explained():
            found = states(self.home.lake.cursor(), history=True)
        return what_if(policies, found)

    def policy_reports(self, api: Api = "wgpolicyk8s.io/v1alpha2") -> list[dict[str, Any]]:
        """What the policies in force say of what runs now, as PolicyReports: one for each namespace."""
        with self.home.lake.explained():
            found = [state for state in states(self.home.lake.cursor()) if state.source == "live"]
        return policy_reports(judged(self.list_policies(), found), datetime.now(UTC), api)


def _row(admission: Admission, operation: str, now: datetime) -> dict[str, Any]:
    resource = admission.resource
    _, kind = group_kind(resource)
    metadata = metadata_of(resource)
    return {
        "decision_id": uuid4().hex,
        "decided_at": now,
        "operation": operation,
        "namespace": str(metadata.get("namespace") or ""),
        "api_version": str(resource.get("apiVersion") or ""),
        "kind": kind or "unknown",
        "name": str(metadata.get("name") or ""),
        "hash": _hash(resource),
        "decision": admission.decision.value,
        "policies": len(admission.verdicts),
        "denied": list(admission.denied),
        "warned": list(admission.warned),
        "audited": list(admission.audited),
    }


def _hash(resource: Mapping[str, Any]) -> str:
    """Of a Secret without its values: a hash of a short secret gives it away."""
    hidden = ("data", "stringData") if resource.get("kind") == "Secret" else ()
    shown = {name: value for name, value in resource.items() if name not in hidden}
    return sha256(repr(sorted(shown.items())).encode()).hexdigest()


def modules_of(platform: Path) -> list[Path]:
    """The Rego files of a platform folder."""
    return load_platform(platform, [POLICY_KIND]).companions(POLICY_KIND) if platform.is_dir() else []
