"""Walking two schemas side by side: every difference with its rule and path.

Belongs here: the order of questions at one place of the schemas, and recursion. Does not: one type's own keywords
(scalars.py, objects.py, arrays.py), `anyOf`, `oneOf` and `allOf` (sums.py), directions and modes (compare.py).

Every way through this file that finds nothing breaking is a proof that the new schema accepts what the old one did: either
keyword by keyword, or by the prover of subset.py.
"""

from __future__ import annotations

from typing import Any

from cogniforge_pipeline.data_mesh.compatibility import scalars
from cogniforge_pipeline.data_mesh.compatibility.arrays import arrays
from cogniforge_pipeline.data_mesh.compatibility.claims import Claims
from cogniforge_pipeline.data_mesh.compatibility.model import Undecided
from cogniforge_pipeline.data_mesh.compatibility.normalize import Space
from cogniforge_pipeline.data_mesh.compatibility.objects import objects
from cogniforge_pipeline.data_mesh.compatibility.rules import (
    ANNOTATIONS,
    Found,
    breaks,
    found,
    harmless,
    undecided,
)
from cogniforge_pipeline.data_mesh.compatibility.shape import Condition, Shape, Term
from cogniforge_pipeline.data_mesh.compatibility.subset import Prover
from cogniforge_pipeline.data_mesh.compatibility.sums import factors, sums
from cogniforge_pipeline.data_mesh.compatibility.values import ALL_TYPES, NUMBERS, equality_key

_NOTES = {
    "$id": "ID_CHANGED",
    "title": "TITLE_CHANGED",
    "description": "DESCRIPTION_CHANGED",
    "default": "DEFAULT_CHANGED",
    "format": "FORMAT_CHANGED",
}
_REPEATED = 20


class Differ:
    """Differences of the schemas of one space.

    A pair that is being compared further up is not compared again. Of a pair met again elsewhere, at most the first
    differences are repeated, the breaking ones first.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.prover = Prover(space)
        self._claims: Claims[list[Found]] = Claims([], lambda findings: not breaks(findings), guarded=False)

    def compare(self, old: Term, new: Term) -> list[Found]:
        """What differs where the new term takes the place of the old one, with paths relative to both."""
        if old == new:
            return []
        key = (old, new)
        known = self._claims.known(key)
        if known is None:
            return self._claims.ask(key, lambda: self._found(old, new))
        findings = known[0]
        if len(findings) > _REPEATED:
            findings = sorted(findings, key=lambda item: not item.breaking)[:_REPEATED]
        self.space.budget.spend(1 + len(findings))
        return findings

    def _found(self, old: Term, new: Term) -> list[Found]:
        self.space.budget.spend(20)
        try:
            findings = [*self._notes(old, new), *self._compare(old, new)]
        except Undecided as reason:
            findings = [found("UNDECIDED", detail=str(reason))]
        self.space.budget.spend(len(findings))
        return findings

    def judged(self, old: Term, new: Term) -> list[Found]:
        """As `compare`, without differences of titles and other notes."""
        return [item for item in self.compare(old, new) if item.path or item.rule not in ANNOTATIONS]

    def same(self, old: Term, new: Term) -> bool:
        """True when nothing at all differs."""
        return not self.compare(old, new)

    def accepts_all(self, schema: Term) -> bool:
        """True when a schema is proved to accept every document."""
        return self.prover.term_subset((), schema)

    def annotation(self, schema: Term, word: str) -> Any:
        """A keyword of the schema as it was written, also behind references, as an equality key; None without one."""
        if len(schema) != 1:
            return None
        node, steps = schema[0], 0
        while node.document is not None and steps < 20:
            target = node.document.target(node.raw)
            raw = node.raw if node.document.newer or target is None else {}
            value = raw.get(word, raw.get("id") if word == "$id" and isinstance(raw.get("id"), str) else None)
            if value is not None or (word == "default" and word in raw):
                return equality_key(value)
            if not isinstance(target, dict) or word == "$id":
                return None
            node, steps = node.document.node(target), steps + 1
        return None

    def _notes(self, old: Term, new: Term) -> list[Found]:
        notes = []
        for word, rule in _NOTES.items():
            before, after = self.annotation(old, word), self.annotation(new, word)
            if before != after:
                notes.append(found(rule, word))
        return notes

    def _compare(self, old: Term, new: Term) -> list[Found]:
        before, after = self.space.shape(old), self.space.shape(new)
        if before.impossible:
            return [] if after.impossible else [found("TYPE_EXTENDED", detail="no document was accepted before")]
        if after.impossible:
            breaking = not self.prover.empty(before)
            gone = found("TYPE_CHANGED", detail="no document is accepted now", breaking=breaking)
            return factors(self, old, new, [gone])
        if after.trivial and (before.declared_types != ALL_TYPES or before.combined):
            return [found("TYPE_EXTENDED", detail="every document is accepted now")]
        findings = sums(self, old, new)
        if findings is None:
            findings = [*self.keywords(before, after), *self.combined(before, after)]
        provable = self._worth_a_proof(before, after) and not any(item.policy for item in findings)
        if breaks(findings) and provable:
            reasons = self.prover.reasons
            known = len(reasons)
            if self.prover.subset(before, new):
                findings = harmless(findings, "every document that was accepted still is")
            elif len(reasons) > known:
                findings = undecided(findings, reasons[-1])
        return factors(self, old, new, findings)

    def _worth_a_proof(self, before: Shape, after: Shape) -> bool:
        """Where combinators or listed values decide, keyword rules alone would refuse too much."""
        return before.combined or after.combined or self.prover.finite(before) is not None

    def keywords(self, old: Shape, new: Shape) -> list[Found]:
        """Types, listed values, and the keywords of the types both sides allow."""
        findings = [*scalars.types(old, new), *scalars.listed(old, new)]
        shared = old.types & new.types
        if "string" in shared:
            findings += scalars.texts(old, new)
        if old.types & new.declared_types & NUMBERS:
            findings += scalars.numbers(old, new)
        if "array" in shared:
            findings += arrays(self, old, new)
        if "object" in shared:
            findings += objects(self, old, new)
        return findings

    def combined(self, old: Shape, new: Shape) -> list[Found]:
        """`not`, `if`, and the parts that could not be folded into one form."""
        findings = self._nots(old, new)
        findings += self._conditions(old, new)
        for item in new.extra:
            if not self.prover.subset(old, item):
                findings.append(found("UNDECIDED", detail="names match patterns of several parts of allOf"))
        for node in new.opaque:
            if not any(self.prover.alike.nodes(own, node) for own in old.opaque):
                detail = "unevaluatedProperties, unevaluatedItems or a dynamic reference beside combinators changed"
                findings.append(found("UNDECIDED", detail=detail))
        return findings

    def _nots(self, old: Shape, new: Shape) -> list[Found]:
        findings = []
        for index, item in enumerate(new.nots):
            counterpart = old.nots[index] if index < len(old.nots) else None
            if counterpart is not None and self.prover.same(counterpart, item):
                continue
            fits = self.prover.disjoint(old, item)
            fits = fits or any(self.prover.subset(self.space.shape(item), known) for known in old.nots)
            rule = "NOT_TYPE_NARROWED" if fits and counterpart is not None else "NOT_TYPE_EXTENDED"
            if not fits or counterpart is None or self.judged(item, counterpart) or self.judged(counterpart, item):
                findings.append(found(rule, "not", breaking=not fits))
        if len(new.nots) < len(old.nots):
            findings.append(found("NOT_TYPE_NARROWED", "not", detail="nothing is excluded any more"))
        return findings

    def _conditions(self, old: Shape, new: Shape) -> list[Found]:
        findings = []
        prover = self.prover
        came = [rule for rule in new.conditions if not any(prover.same_rule(own, rule) for own in old.conditions)]
        gone = [rule for rule in old.conditions if not any(prover.same_rule(rule, own) for own in new.conditions)]
        for index, rule in enumerate(came):
            fits = self._implied(old, rule, gone)
            change = "ADDED" if index >= len(gone) else "EXTENDED" if fits else "NARROWED"
            findings.append(found(f"CONDITION_{change}", "if", breaking=not fits))
        if len(gone) > len(came):
            findings.append(found("CONDITION_REMOVED", "if"))
        return findings

    def _implied(self, old: Shape, rule: Condition, gone: list[Condition]) -> bool:
        """The condition follows from the whole of the old shape, or from an old one with an equal test."""
        for known in gone:
            if not self.judged(known.test, rule.test) and not self.judged(rule.test, known.test):
                then = self.prover.subset(self.space.shape(known.then), rule.then)
                if then and self.prover.subset(self.space.shape(known.otherwise), rule.otherwise):
                    return True
        return self.prover.under(old, rule)
