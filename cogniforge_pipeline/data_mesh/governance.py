"""Federated governance: what the policies ask of a product, and whether its contract keeps it.

Belongs here: pure judgement of contracts. Does not: what is declared (`model.py`), or the table (`tables.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.data_mesh.model import BoundedContext, GovernancePolicy, Product, Rules, Waiver

Status = Literal["passed", "failed", "waived"]

ENCRYPTED = ("encryption", "encrypted")
"""Either tag says that a product's data is encrypted at rest."""
NO_PRODUCT = "*"
"""The product of a finding about a policy itself."""


@dataclass(frozen=True)
class Finding:
    """One rule of one policy on one product.

    `reason` is a sentence with what was found, `action` what to do (empty when it passed). The waiver is the one that
    counts, or the last that has ended.
    """

    product_id: str
    policy: str
    rule: str
    status: Status
    reason: str
    action: str
    contract_version: str | None = None
    waiver: Waiver | None = None

    def to_row(self, as_of: datetime) -> dict[str, object]:
        """The row of `data_mesh.governance_findings`."""
        waiver = self.waiver
        return {
            "product_id": self.product_id,
            "policy": self.policy,
            "rule": self.rule,
            "status": self.status,
            "reason": self.reason,
            "action": self.action,
            "contract_version": self.contract_version,
            "waived_by": waiver.who if waiver else None,
            "waiver_reason": waiver.why if waiver else None,
            "waived_until": waiver.until if waiver else None,
            "as_of": as_of,
        }


@dataclass(frozen=True)
class Subject:
    """A product as policies see it: what a context says of it, and its contract if it has one."""

    product: Product
    contract: Contract | None
    context_id: str | None = None

    @property
    def owner(self) -> str:
        return self.product.owner or (self.contract.owner if self.contract else "")

    @property
    def description(self) -> str:
        return self.product.description or (self.contract.description if self.contract else "")


def subjects(contracts: Mapping[str, Contract], contexts: Iterable[BoundedContext]) -> list[Subject]:
    """Every product, in order of name: each contract's table, and what the contexts name besides."""
    found = {name: Subject(Product(name=name), contract) for name, contract in contracts.items()}
    for context in contexts:
        for product in context.offered:
            found[product.name] = Subject(product, contracts.get(product.name), context.context_id)
    return [subject for _, subject in sorted(found.items())]


def findings(
    contracts: Mapping[str, Contract],
    contexts: Iterable[BoundedContext],
    policies: Iterable[GovernancePolicy],
    as_of: datetime,
) -> list[Finding]:
    """All findings, in order of product, policy and rule.

    A policy for a context that nobody declared judges no product: a finding about the policy says so.
    """
    contexts = list(contexts)
    known = {context.context_id for context in contexts}
    policies = [*policies, *(context.policy for context in contexts if context.policy)]
    judged = [f for subject in subjects(contracts, contexts) for f in evaluate(subject, policies, as_of)]
    lost = [_lost(policy, known) for policy in policies if policy.context not in (NO_PRODUCT, *known)]
    return sorted([*judged, *lost], key=lambda finding: (finding.product_id, finding.policy, finding.rule))


def _lost(policy: GovernancePolicy, known: Iterable[str]) -> Finding:
    return Finding(
        NO_PRODUCT,
        policy.name,
        "context",
        "failed",
        f"the policy is for context {policy.context!r}, which is not declared",
        f"declare it in contexts/, or name one of {', '.join(sorted(known)) or 'the declared ones'}",
    )


def evaluate(subject: Subject, policies: Iterable[GovernancePolicy], as_of: datetime) -> list[Finding]:
    """What each policy that applies finds about one product at `as_of` (aware).

    A broken rule is waived while a waiver of its own policy for this product and rule has not ended (`until` itself is
    after its end). Without a contract nothing else can be judged: the one finding of each policy says so.
    """
    version = subject.contract.version if subject.contract else None
    found = []
    for policy in policies:
        if policy.context not in (NO_PRODUCT, subject.context_id):
            continue
        asked = policy.rules.asked if subject.contract else ("require_contract",)
        for rule in asked:
            fault = _RULES[rule](subject, policy.rules)
            product = subject.product.name
            if fault is None:
                found.append(Finding(product, policy.name, rule, "passed", _KEPT[rule], "", version))
                continue
            waiver = _waiver(policy, product, rule)
            waived = waiver is not None and as_of < waiver.until
            reason, action = fault
            if waiver and not waived:
                reason += f"; its waiver ended at {waiver.until:%Y-%m-%d %H:%M %Z}"
            status: Status = "waived" if waived else "failed"
            found.append(Finding(product, policy.name, rule, status, reason, action, version, waiver))
    return found


def _waiver(policy: GovernancePolicy, product: str, rule: str) -> Waiver | None:
    own = [waiver for waiver in policy.waivers if (waiver.product, waiver.rule) == (product, rule)]
    return max(own, key=lambda waiver: waiver.until, default=None)


Fault = tuple[str, str]
"""What was found, and what to do."""


def _owner(subject: Subject, _: Rules) -> Fault | None:
    return None if subject.owner else ("nobody owns it", "name a team in its contract, or an owner in its context")


def _description(subject: Subject, _: Rules) -> Fault | None:
    columns = subject.contract.columns if subject.contract else ()
    silent = [column.name for column in columns if not column.description.strip()]
    if not subject.description.strip():
        return "it has no description", "describe it in its contract"
    return (f"no description of {_listed(silent)}", "describe each column in its contract") if silent else None


def _contract(subject: Subject, _: Rules) -> Fault | None:
    if subject.contract:
        return None
    place = subject.product.name.replace(".", "/")
    return (
        "it has no contract",
        f"write contracts/{place}.yaml, or register one by the Python API and name it in the context",
    )


def _encryption(subject: Subject, _: Rules) -> Fault | None:
    if set(ENCRYPTED) & _tags(subject):
        return None
    return "it is not tagged as encrypted", f"encrypt where it lies, then tag its contract: {ENCRYPTED[0]}"


def _tag(subject: Subject, rules: Rules) -> Fault | None:
    missing = [tag for tag in rules.require_tag if tag not in _tags(subject)]
    return (f"without the tag {_listed(missing)}", "add it to tags of its contract") if missing else None


def _classification(subject: Subject, rules: Rules) -> Fault | None:
    personal = rules.personal
    bare = [name for name, classification in _columns(subject) if personal.search(name) and not classification]
    return (f"no classification of {_listed(bare)}", "add classification to each in its contract") if bare else None


def _retention(subject: Subject, _: Rules) -> Fault | None:
    sla = subject.contract.sla if subject.contract else {}
    if "retention_seconds" in sla:
        return None
    return "it does not say how long rows are kept", "add the SLA property retention with a unit to its contract"


def _freshness(subject: Subject, rules: Rules) -> Fault | None:
    limit = rules.max_freshness_seconds or 0
    promised = subject.contract.freshness_seconds if subject.contract else None
    if promised is not None and promised <= limit:
        return None
    found = "no freshness is promised" if promised is None else f"rows may be {promised:g} s old"
    return f"{found}, {limit:g} s are allowed", f"promise a latency of at most {limit:g} s in its contract"


def _tags(subject: Subject) -> set[str]:
    return set(subject.contract.tags if subject.contract else ())


def _columns(subject: Subject) -> Iterator[tuple[str, object]]:
    """Names and classifications of the columns, as ODCS has them."""
    entries = subject.contract.raw["schema"][0].get("properties") or () if subject.contract else ()
    return ((entry["name"], entry.get("classification")) for entry in entries)


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


_RULES: dict[str, Callable[[Subject, Rules], Fault | None]] = {
    "require_owner": _owner,
    "require_description": _description,
    "require_contract": _contract,
    "require_encryption": _encryption,
    "require_tag": _tag,
    "require_classification": _classification,
    "require_retention": _retention,
    "max_freshness_seconds": _freshness,
}
_KEPT = {
    "require_owner": "it has an owner",
    "require_description": "it and its columns are described",
    "require_contract": "it has a contract",
    "require_encryption": "it is tagged as encrypted",
    "require_tag": "it has the tags",
    "require_classification": "its columns of personal data are classified",
    "require_retention": "it says how long rows are kept",
    "max_freshness_seconds": "it promises to be fresh enough",
}
