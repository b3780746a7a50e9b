"""Whether every document of one schema fits another: the proofs.

Belongs here: containment and emptiness of normal forms, by splitting into cases. Does not: what is a number's, array's
or object's own (containment.py), naming differences (differ.py).

An answer of True is proved. False means only "not proved". Recursive schemas: a claim that is already being proved may
be used again once a property or an item lies between, since documents are finite (induction on their depth).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

from cogniforge_pipeline.data_mesh.compatibility import containment, emptiness
from cogniforge_pipeline.data_mesh.compatibility.accept import accepts, fits
from cogniforge_pipeline.data_mesh.compatibility.alike import Alike
from cogniforge_pipeline.data_mesh.compatibility.claims import Claims
from cogniforge_pipeline.data_mesh.compatibility.finite import finite_values
from cogniforge_pipeline.data_mesh.compatibility.model import Undecided
from cogniforge_pipeline.data_mesh.compatibility.normalize import Space
from cogniforge_pipeline.data_mesh.compatibility.shape import TRUE, Condition, Group, Shape, Term
from cogniforge_pipeline.data_mesh.compatibility.values import equality_key, type_names

_CASES = 32
_DEEPEST = 50
_CLAIMS = 2000
_RULES = 3


class Prover:
    """Containment and emptiness over one space, with everything already proved remembered."""

    def __init__(self, space: Space) -> None:
        self.space = space
        told = space.document({"type": "string"})
        self.text: Term = (told.node(told.raw),)
        self.alike = Alike(space.budget)
        self.reasons: list[str] = []
        self._left = 0
        self._claims = Claims(True, bool, guarded=True)
        self._cases: dict[Hashable, Shape] = {}
        self._finite: dict[int, list[Any] | None] = {}

    # claims

    def subset(self, shape: Shape, term: Term) -> bool:
        """True when every document of the shape is proved to fit the term."""
        if shape.impossible or not term:
            return True
        other = self.space.shape(term)
        if other is shape or other.trivial or self.holds(shape, term):
            return True
        return self._claim(("subset", id(self.space.keep(shape)), term), lambda: self._subset(shape, other, term))

    def holds(self, shape: Shape, term: Term) -> bool:
        """True when every part of the term is one of the shape's own parts, or says the same as one."""
        return all(any(self.alike.nodes(own, node) for own in shape.nodes) for node in term)

    def same(self, left: Term, right: Term) -> bool:
        """True when two terms say the same."""
        return len(left) == len(right) and all(self.alike.nodes(a, b) for a, b in zip(left, right, strict=True))

    def same_rule(self, left: Condition, right: Condition) -> bool:
        """True when two conditions say the same."""
        return (
            self.same(left.test, right.test)
            and self.same(left.then, right.then)
            and self.same(left.otherwise, right.otherwise)
        )

    def empty(self, shape: Shape) -> bool:
        """True when no document is proved to fit the shape."""
        if shape.impossible:
            return True
        if shape.trivial:
            return False
        return self._claim(("empty", id(self.space.keep(shape))), lambda: self._empty(shape))

    def disjoint(self, shape: Shape, term: Term) -> bool:
        """True when no document is proved to fit both."""
        return emptiness.plainly_disjoint(self.space, shape, self.space.shape(term)) or self.empty(
            self.space.fold(shape, term)
        )

    def inside(self, claim: Callable[[], bool]) -> bool:
        """A claim about a property or an item, a step into the document."""
        self._claims.depth += 1
        try:
            return claim()
        finally:
            self._claims.depth -= 1

    def term_subset(self, left: Term, right: Term) -> bool:
        """Containment of two terms one step into the document."""
        return left == right or self.inside(lambda: self.subset(self.space.shape(left), right))

    def term_empty(self, term: Term) -> bool:
        """Emptiness of a term one step into the document."""
        return bool(term) and self.inside(lambda: self.empty(self.space.shape(term)))

    def accepts(self, term: Term, value: Any) -> bool:
        """True when the value is seen to fit the term."""
        try:
            return accepts(self.space, term, value)
        except Undecided as reason:
            self._note(reason)
            return False

    def finite(self, shape: Shape) -> list[Any] | None:
        """All documents that may fit, when they are few; None otherwise."""
        if id(shape) not in self._finite:
            self._finite[id(self.space.keep(shape))] = finite_values(self, shape)
        return self._finite[id(shape)]

    def refused(self, shape: Shape, value: Any) -> bool:
        """True when the value is seen not to fit the shape."""
        try:
            return not fits(self.space, shape, value)
        except Undecided:
            return False

    # how claims are proved

    def _claim(self, key: Hashable, prove: Callable[[], bool]) -> bool:
        self.space.budget.spend(5)
        known = self._claims.known(key)
        if known is not None:
            return known[0]
        if self._claims.is_open(key):
            return False
        if self._claims.height == 0:
            self._left = _CLAIMS
        self._left -= 1
        if self._claims.height >= _DEEPEST or self._left < 0:
            self._note(Undecided("the proof needs too many cases"))
            return False
        return self._claims.ask(key, lambda: self._attempt(prove))

    def _attempt(self, prove: Callable[[], bool]) -> bool:
        try:
            return prove()
        except Undecided as reason:
            self._note(reason)
            return False

    def _note(self, reason: Undecided) -> None:
        if str(reason) not in self.reasons:
            self.reasons.append(str(reason))

    def _subset(self, shape: Shape, other: Shape, term: Term) -> bool:
        values = self.finite(shape)
        if values is not None:
            return all(self.accepts(term, value) for value in values)
        if self._directly(shape, other):
            return True
        for case in self._splits(shape, bool(other.groups or other.conditions)):
            if all(self.subset(part, term) for part in case):
                return True
        return self.empty(shape)

    def _directly(self, shape: Shape, other: Shape) -> bool:
        """Every part of the other shape follows from the whole of this one."""
        return (
            containment.keywords(self, shape, other)
            and all(self.in_group(shape, group) for group in other.groups)
            and all(self.excluded(shape, item) for item in other.nots)
            and all(self.under(shape, rule) for rule in other.conditions)
            and all(self.subset(shape, item) for item in other.extra)
            and all(any(self.alike.nodes(own, node) for own in shape.opaque) for node in other.opaque)
        )

    def excluded(self, shape: Shape, term: Term) -> bool:
        """True when no document of the shape is proved to fit the term."""
        return any(self.same(own, term) for own in shape.nots) or self.disjoint(shape, term)

    def under(self, shape: Shape, rule: Condition) -> bool:
        """True when the condition is proved to hold for every document of the shape."""
        if any(self.same_rule(own, rule) for own in shape.conditions):
            return True
        then = self.subset(shape, rule.then) or self.disjoint(shape, rule.test)
        return then and (self.subset(shape, rule.otherwise) or self.subset(shape, rule.test))

    def in_group(self, shape: Shape, group: Group) -> bool:
        """True when the group is proved to hold for every document of the shape, without splitting the shape."""
        for known in shape.groups:
            if set(known.members) <= set(group.members) and group.kind == "anyOf":
                return True
            if known.kind == group.kind and len(known.members) == len(group.members):
                pairs = zip(known.members, group.members, strict=True)
                if all(self.same(own, member) for own, member in pairs):
                    return True
        for index, member in enumerate(group.members):
            if self.subset(shape, member) and (
                group.kind == "anyOf"
                or all(self.disjoint(shape, item) for place, item in enumerate(group.members) if place != index)
            ):
                return True
        return False

    def _splits(self, shape: Shape, wanted: bool) -> list[list[Shape]]:
        """Ways to cut the shape into cases that cover it; each way may lead to a proof by cases."""
        ways = [self.members(shape, index) for index in range(len(shape.groups))]
        if len(type_names(shape.types)) > 1:
            names = [*(shape.types - {"integer", "fraction"}), "number"]
            ways.append([self.only(shape, name) for name in names])
        elif wanted and shape.types == {"integer", "fraction"}:
            ways.append([self.only(shape, "integer"), self.only(shape, "fraction")])
        if wanted and shape.types == {"object"}:
            for name in shape.required:
                values = self.finite(self.space.shape(shape.value(name)))
                if values is not None and 2 <= len(values) <= _CASES:
                    ways.append([self._where(shape, name, value) for value in values])
                    break
        return ways

    def members(self, shape: Shape, index: int) -> list[Shape]:
        """The shape once for each member of one of its groups; with oneOf the other members are excluded."""
        group = shape.groups[index]
        key = ("members", id(self.space.keep(shape)), index)
        if key not in self._cases:
            remaining = tuple(item for place, item in enumerate(shape.groups) if place != index)
            self._cases[key] = self.space.keep(replace(shape, groups=remaining))
        rest = self._cases[key]
        found = []
        for place, member in enumerate(group.members):
            case = self.space.shape(member) if rest.trivial else self.space.fold(rest, member)
            if group.kind == "oneOf":
                others = (item for other, item in enumerate(group.members) if other != place)
                case = self._case((*key, place), replace(case, nots=(*case.nots, *others)))
            found.append(case)
        return found

    def only(self, shape: Shape, name: str) -> Shape:
        """The documents of one type; `number` are integers and fractions."""
        kept = {"integer", "fraction"} if name == "number" else {name}
        return self._case(("only", id(self.space.keep(shape)), name), replace(shape, types=shape.types & kept))

    def _where(self, shape: Shape, name: str, value: Any) -> Shape:
        key = ("where", id(self.space.keep(shape)), name, equality_key(value))
        if key not in self._cases:
            told = self.space.document({"properties": {name: {"const": value}}})
            self._cases[key] = self.space.fold(shape, (told.node(told.raw),))
        return self._cases[key]

    def _case(self, key: Hashable, shape: Shape) -> Shape:
        return self._cases.setdefault(key, self.space.keep(shape))

    def _empty(self, shape: Shape) -> bool:
        values = self.finite(shape)
        if values is not None and all(self.refused(shape, value) for value in values):
            return True
        if emptiness.keywords(self, shape):
            return True
        if any(self.subset(shape, term) for term in shape.nots if term != TRUE) or TRUE in shape.nots:
            return True
        for index in range(len(shape.groups)):
            if all(self.empty(case) for case in self.members(shape, index)):
                return True
        for item in shape.extra:
            other = self.space.shape(item)
            if emptiness.keywords(self, other):
                return True
        return len(shape.conditions) <= _RULES and any(self._no_way(shape, rule) for rule in shape.conditions)

    def _no_way(self, shape: Shape, rule: Condition) -> bool:
        bare = self._case(
            ("bare", id(self.space.keep(shape)), rule),
            replace(shape, conditions=tuple(item for item in shape.conditions if item != rule)),
        )
        then = self.disjoint(bare, rule.then) or self.disjoint(bare, rule.test)
        return then and (self.disjoint(bare, rule.otherwise) or self.subset(bare, rule.test))
