"""Differences of `anyOf` and `oneOf` (sums) and of `allOf` (products).

Belongs here: which member became which, and what that means for a reader. Does not: the proofs (subset.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cogniforge_pipeline.data_mesh.compatibility.matching import cheapest_matching
from cogniforge_pipeline.data_mesh.compatibility.normalize import term
from cogniforge_pipeline.data_mesh.compatibility.rules import Found, breaks, found, message, under
from cogniforge_pipeline.data_mesh.compatibility.shape import Group, Shape, Term

if TYPE_CHECKING:
    from cogniforge_pipeline.data_mesh.compatibility.differ import Differ


def sums(differ: Differ, old_term: Term, new_term: Term) -> list[Found] | None:
    """The differences where a side is a sum or has one beside its keywords; None where neither has any.

    With keywords on both sides, those are compared here too.
    """
    old, new = differ.space.shape(old_term), differ.space.shape(new_term)
    if not old.groups and not new.groups:
        return None
    if not old.groups and new.sum_only:
        return _widened(differ, old_term, new.groups[0], new_term)
    if old.sum_only and not new.groups:
        return _collapsed(differ, old, new_term)
    findings = [*differ.keywords(old, new), *differ.combined(old, new)]
    pairs = _counterparts(old.groups, new.groups)
    for index, group in enumerate(new.groups):
        if index in pairs:
            findings += _groups(differ, old, pairs[index], group)
        elif differ.prover.in_group(old, group):
            findings.append(found("SUM_TYPE_EXTENDED", detail=f"a new {group.kind} holds for every older document"))
        else:
            findings.append(found("PRODUCT_TYPE_EXTENDED", detail=f"a new {group.kind} must hold too"))
    if len(old.groups) > len(new.groups):
        findings.append(found("PRODUCT_TYPE_NARROWED", detail="fewer of anyOf and oneOf must hold"))
    return findings


def _counterparts(old: Sequence[Group], new: Sequence[Group]) -> dict[int, int]:
    """For each new group the old one it came from: of the same kind first, then in order."""
    pairs: dict[int, int] = {}
    for same in (True, False):
        for index, group in enumerate(new):
            free = [place for place in range(len(old)) if place not in pairs.values()]
            place = next((place for place in free if not same or old[place].kind == group.kind), None)
            if index not in pairs and place is not None:
                pairs[index] = place
    return pairs


def _widened(differ: Differ, old: Term, group: Group, new_term: Term) -> list[Found]:
    """A plain schema became a sum: harmless when it is one of the members, or they cover it together."""
    best: list[Found] | None = None
    closest: list[Found] | None = None
    for member in group.members:
        findings = differ.judged(old, member)
        if breaks(findings):
            if closest is None or _weight(findings) < _weight(closest):
                closest = findings
        elif best is None or len(findings) < len(best):
            best = findings
    if differ.prover.subset(differ.space.shape(old), new_term):
        return [*(best or []), found("SUM_TYPE_EXTENDED", detail=f"it is now one of {group.kind}")]
    if best is not None and group.kind == "anyOf":
        return [*best, found("SUM_TYPE_EXTENDED", detail=f"it is now one of {group.kind}")]
    if best is not None:
        detail = "older documents may fit several members of oneOf, which then refuses them"
        return [*best, found("SUM_TYPE_EXTENDED", detail=detail, breaking=True)]
    told = f"; the closest: {_told(closest)}" if closest else ""
    return [found("TYPE_CHANGED", detail=f"no member of {group.kind} accepts all that was accepted{told}")]


def _collapsed(differ: Differ, old: Shape, new_term: Term) -> list[Found]:
    """A sum became a plain schema: harmless when all its members fit."""
    group = old.groups[0]
    if differ.prover.subset(old, new_term):
        return [found("TYPE_EXTENDED", detail=f"all members of {group.kind} are accepted")]
    kept = any(not breaks(differ.judged(member, new_term)) for member in group.members)
    detail = f"not all members of {group.kind} are accepted"
    return [found("SUM_TYPE_NARROWED" if kept else "TYPE_CHANGED", detail=detail)]


def _groups(differ: Differ, old: Shape, place: int, new: Group) -> list[Found]:
    """One sum against another: sizes, then which member became which."""
    group = old.groups[place]
    findings: list[Found] = []
    if group.kind != new.kind:
        detail = f"{group.kind} became {new.kind}"
        if new.kind == "oneOf":
            return [found("COMBINED_TYPE_CHANGED", detail=detail, policy=True)]
        findings.append(found("COMBINED_TYPE_EXTENDED", detail=detail))
    pairs, inner = match_members(differ, group.members, new.members)
    for left in sorted(pairs):
        findings += under((group.kind, str(group.positions[left])), inner[left, pairs[left]])
    cases = differ.prover.members(old, place)
    lost = [index for index, case in enumerate(cases) if index not in pairs and not _in_some(differ, case, new)]
    unchanged = {pairs[left] for left in pairs if not inner[left, pairs[left]]}
    overlap = not lost and new.kind == "oneOf" and not _exclusive(differ, group, cases, new, pairs, unchanged)
    before, after = len(group.members), len(new.members)
    told = _lost_detail(differ, group, new, lost, pairs)
    if before > after:
        findings.append(found("SUM_TYPE_NARROWED", detail=f"{before} members became {after}", breaking=bool(lost)))
    elif before < after:
        detail = f"{before} members became {after}"
        if overlap:
            detail += "; an older document may fit several members now, which oneOf refuses"
        findings.append(found("SUM_TYPE_EXTENDED", detail=detail, breaking=overlap))
    if len(pairs) < min(before, after):
        findings.append(found("COMBINED_TYPE_SUBSCHEMAS_CHANGED", detail=told, breaking=bool(lost)))
    if overlap and before >= after:
        detail = "an older document may fit several members now, which oneOf refuses"
        findings.append(found("COMBINED_TYPE_SUBSCHEMAS_CHANGED", detail=detail))
    return findings


def _in_some(differ: Differ, case: Shape, new: Group) -> bool:
    return any(differ.prover.subset(case, member) for member in new.members)


def _exclusive(
    differ: Differ, group: Group, cases: Sequence[Shape], new: Group, pairs: dict[int, int], unchanged: set[int]
) -> bool:
    """True when a document of each old member is proved to fit one new member only.

    An old oneOf helps: its document fits no other old member, so none of the new members inside those.
    """
    strict = group.kind == "oneOf"
    for index, case in enumerate(cases):
        home = pairs.get(index)
        if home is None:
            homes = [place for place, member in enumerate(new.members) if differ.prover.subset(case, member)]
            if not homes:
                return False
            home = homes[0]
        for place, member in enumerate(new.members):
            if place == home or (strict and place in unchanged) or differ.prover.disjoint(case, member):
                continue
            shape = differ.space.shape(member)
            others = (item for other, item in enumerate(group.members) if other != index)
            if not strict or not any(differ.prover.subset(shape, item) for item in others):
                return False
    return True


def _lost_detail(differ: Differ, group: Group, new: Group, lost: Sequence[int], pairs: dict[int, int]) -> str:
    if not lost:
        return "the members were divided differently"
    place = group.positions[lost[0]]
    free = [member for index, member in enumerate(new.members) if index not in pairs.values()]
    closest = min((differ.judged(group.members[lost[0]], member) for member in free), key=_weight, default=[])
    told = f"; the closest: {_told(closest)}" if closest else ""
    return f"{group.kind}/{place} has no counterpart that accepts all it did{told}"


def match_members(
    differ: Differ, old: Sequence[Term], new: Sequence[Term]
) -> tuple[dict[int, int], dict[tuple[int, int], list[Found]]]:
    """Which old member became which new one: as many as possible, with the fewest differences in all."""
    inner: dict[tuple[int, int], list[Found]] = {}
    pairs: dict[int, int] = {}
    for index in range(min(len(old), len(new))):
        findings = inner[index, index] = differ.compare(old[index], new[index])
        if not findings:
            pairs[index] = index
    rows = [index for index in range(len(old)) if index not in pairs]
    columns = [index for index in range(len(new)) if index not in pairs]
    costs: dict[tuple[int, int], int] = {}
    for row in rows:
        for column in columns:
            if (row, column) not in inner:
                inner[row, column] = differ.compare(old[row], new[column])
            if not breaks(inner[row, column]):
                costs[row, column] = len(inner[row, column])
    pairs.update(cheapest_matching(rows, columns, costs))
    return pairs, inner


def factors(differ: Differ, old: Term, new: Term, findings: list[Found]) -> list[Found]:
    """The findings with the rules for `allOf` where one side or both are written with it."""
    before, after = _all_of(old), _all_of(new)
    if not before and not after:
        return findings
    if before and after and not breaks(findings):
        pairs, inner = match_members(differ, before, after)
        if len(pairs) == len(after) and _pure(old) and _pure(new):
            findings = [
                item for left in sorted(pairs) for item in under(("allOf", str(left)), inner[left, pairs[left]])
            ]
    if before and not after and differ.space.shape(new).sum_only:
        return [found("COMBINED_TYPE_EXTENDED", detail="allOf became anyOf or oneOf"), *findings]
    if after and not before and differ.space.shape(old).sum_only:
        detail = "anyOf or oneOf became allOf"
        return [found("COMBINED_TYPE_CHANGED", detail=detail, breaking=breaks(findings)), *findings]
    if breaks(findings):
        if len(after) > max(len(before), 1):
            detail = f"{max(len(before), 1)} parts of allOf became {len(after)}"
            return [found("PRODUCT_TYPE_EXTENDED", detail=detail), *findings]
        if before and after:
            return [found("COMBINED_TYPE_SUBSCHEMAS_CHANGED", detail="parts of allOf changed"), *findings]
        return findings
    if len(after) > len(before) and before:
        detail = "the new part follows from the others"
        return [found("PRODUCT_TYPE_EXTENDED", detail=detail, breaking=False), *findings]
    if len(after) < len(before):
        return [found("PRODUCT_TYPE_NARROWED", detail=f"allOf had {len(before)} parts"), *findings]
    return findings


def _all_of(schema: Term) -> tuple[Term, ...]:
    if len(schema) != 1 or schema[0].document is None:
        return ()
    members = schema[0].raw.get("allOf", ())
    return tuple(term(schema[0].document, item) for item in members) if len(members) > 1 else ()


def _pure(schema: Term) -> bool:
    return not schema[0].raw.keys() - {
        "allOf",
        "$id",
        "$schema",
        "title",
        "description",
        "default",
        "$defs",
        "definitions",
    }


def _weight(findings: Sequence[Found]) -> tuple[int, int]:
    return sum(item.breaking for item in findings), len(findings)


def _told(findings: Sequence[Found]) -> str:
    worst = [item for item in findings if item.breaking][:2]
    return ", ".join(f"{message(item)} at #/{'/'.join(item.path)}" for item in worst)
