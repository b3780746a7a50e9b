"""PolicyRule, the short form of a policy: a condition that must not hold, for resources of some kinds.

Belongs here: this type, and making a policy of it. Does not: Gatekeeper's forms (`gatekeeper.py`), or files (`reading.py`).

    rule_id: require-health-checks
    name: Require health checks
    resource_types: [Deployment]
    enforcement_mode: ENFORCE                # or WARN, AUDIT
    severity: high
    rego_query: not input.spec.template.spec.containers[_].livenessProbe
    violation_message: Deployments must have health checks configured
"""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from cogniforge_pipeline.declarations import DeclarationModel
from cogniforge_pipeline.gitops.policy.matching import KindMatch, Match
from cogniforge_pipeline.gitops.policy.model import Policy, PolicyEnforcementMode
from cogniforge_pipeline.gitops.policy.pool import Program
from cogniforge_pipeline.gitops.policy.tokens import RegoUnreadable, tokens

Severity = Literal["low", "medium", "high", "critical"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$")]
_PACKAGE = re.compile(r"^\s*package\s+\S", re.MULTILINE)


class PolicyRule(DeclarationModel):
    """A resource violates it where `rego_query` holds, a Rego body over the resource as `input`; see `normalising.py`.

    Instead of a query, `rego` may be a whole module whose `violation`, `deny` or `warn` gives the messages. Without
    `resource_types` (kinds) it is about all resources. `namespaces` and `excluded_namespaces` may begin or end with `*`.
    """

    rule_id: Name
    name: str = ""
    description: str = ""
    resource_types: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    excluded_namespaces: tuple[str, ...] = ()
    enforcement_mode: PolicyEnforcementMode = PolicyEnforcementMode.ENFORCE
    rego_query: str | None = None
    rego: str | None = None
    violation_message: str = ""
    severity: Severity = "medium"

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.rego_query is None) == (self.rego is None):
            raise ValueError("expected exactly one of rego_query and rego")
        if self.rego is not None and not _PACKAGE.search(self.rego):
            raise ValueError("rego: expected a module that begins with `package`")
        if self.rego_query is not None:
            _closed(self.rego_query)
        return self

    def to_policy(self) -> Policy:
        """The policy as it is enforced."""
        message = self.violation_message or self.name or self.rule_id
        match = Match.model_validate(
            {
                "kinds": [KindMatch(kinds=self.resource_types)] if self.resource_types else [],
                "namespaces": self.namespaces,
                "excludedNamespaces": self.excluded_namespaces,
            }
        )
        if self.rego is not None:
            program = Program(((f"{self.rule_id}.rego", self.rego),))
        else:
            body = (
                "package cogniforge.rule\n\nimport rego.v1\n\n"
                f'violation contains {{"msg": {json.dumps(message)}}} if {{\n{self.rego_query}\n}}\n'
            )
            program = Program(
                ((f"{self.rule_id}.rego", body),), False, ("data.cogniforge.rule.violation",), normalised=True
            )
        return Policy(
            self.rule_id,
            self.name or self.rule_id,
            program,
            match,
            self.enforcement_mode,
            self.severity,
            self.description,
            "rule",
            message=message,
        )


def _closed(query: str) -> None:
    """A query is one body: its brackets close, and none closes what it did not open."""
    pairs = {")": "(", "]": "[", "}": "{"}
    stack: list[str] = []
    try:
        words = tokens(query)
    except RegoUnreadable as error:
        raise ValueError(f"rego_query: {error}") from None
    if not words:
        raise ValueError("rego_query: expected a condition, got nothing")
    for word in words:
        if word.kind == "mark" and word.text in "([{":
            stack.append(word.text)
        elif word.kind == "mark" and word.text in pairs and (not stack or stack.pop() != pairs[word.text]):
            raise ValueError(f"rego_query: a {word.text!r} that closes nothing")
    if stack:
        raise ValueError(f"rego_query: a {stack[-1]!r} that is not closed")
