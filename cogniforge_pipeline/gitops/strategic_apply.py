"""Strategic merge patches: applying them.

Belongs here: `apply_patch`, and merging one patch into another, which three-way patches are made by. Does not: making
patches (`strategic.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.gitops.shape import Shape

DIRECTIVE = "$patch"
RETAIN = "$retainKeys"
ORDER = "$setElementOrder/"
DELETE_FROM = "$deleteFromPrimitiveList/"

Object = dict[str, Any]


class PatchInvalid(CogniforgeError):
    """A patch that does not fit its object."""


def apply_patch(original: Mapping[str, Any] | None, patch: Mapping[str, Any] | None, shape: Shape) -> Object:
    """The object that a strategic merge patch makes of `original`; neither is changed. Raises PatchInvalid."""
    return merge_maps(deepcopy(dict(original or {})), deepcopy(dict(patch or {})), shape, applying=True)


def merge_maps(original: Object, patch: Object, shape: Shape, *, applying: bool) -> Object:
    """Merges a patch into an object (`applying`) or into another patch, whose directives then stay.

    Both may be changed. Raises PatchInvalid.
    """
    if DIRECTIVE in patch:
        return _replaced(patch)
    _retain(original, patch, applying)
    for name in [name for name in patch if name.startswith(ORDER)]:
        _merge_ordered(name, original, patch, shape, applying)
    for name, value in patch.items():
        deleting = name.startswith(DELETE_FROM)
        if deleting and not applying:
            original[name] = value
            continue
        field = name.removeprefix(DELETE_FROM) if deleting else name
        if value is None:
            original.pop(field, None)
            if not applying:
                original[field] = None
            continue
        _merge_field(field, value, original, shape.child(field), deleting, applying)
    return original


def _replaced(patch: Object) -> Object:
    directive = patch.pop(DIRECTIVE)
    if directive == "replace":
        return patch
    if directive == "delete":
        return {}
    raise PatchInvalid(f"unknown patch type: {directive} in {patch}", "expected replace or delete")


def _retain(original: Object, patch: Object, applying: bool) -> None:
    if RETAIN not in patch:
        return
    kept = patch.pop(RETAIN)
    if not applying:
        if RETAIN in original and original[RETAIN] != kept:
            raise PatchInvalid(f"{original[RETAIN]} and {kept} are two {RETAIN} of one map")
        original[RETAIN] = kept
        return
    if not isinstance(kept, list):
        raise PatchInvalid(f"invalid patch format of {RETAIN}: expected a list, got {kept}")
    for name, value in patch.items():
        if value is not None and not name.startswith((ORDER, DELETE_FROM)) and name not in kept:
            raise PatchInvalid(f"invalid patch format of {RETAIN}: {name} is in the patch but not in {kept}")
    for name in [name for name in original if name not in kept]:
        del original[name]


def _merge_ordered(name: str, original: Object, patch: Object, shape: Shape, applying: bool) -> None:
    """Merges the list that an order is given for, and puts it in that order."""
    order = patch.pop(name)
    if not applying:
        if name in original and original[name] != order:
            raise PatchInvalid(
                f"invalid patch format of {name}: {original[name]} and {order} are two orders of one list"
            )
        original[name] = order
    if not isinstance(order, list):
        raise PatchInvalid(f"invalid patch format of {name}: expected a list, got {order}")
    field = name.removeprefix(ORDER)
    inner = shape.child(field)
    old, new = original.get(field), patch.get(field)
    for found in (old, new):
        if found is not None and not isinstance(found, list):
            raise PatchInvalid(f"{field}: expected a list beside {name}, got {found}")
    _check_order(new, order, inner.key, name)
    if field not in original and field not in patch:
        return
    if field not in patch:
        merged = list(old or [])
    elif field not in original:
        merged = _without_directives(new, applying) or []
    else:
        merged = _merge_lists(old or [], new or [], inner, applying) if inner.merge else list(new or [])
    original[field] = _interleaved(merged, order, _server_order(old or [], new or [], inner.key), inner.key)
    patch.pop(field, None)


def _server_order(old: list[Any], new: list[Any], key: str) -> list[Any]:
    """The server's list as kubectl and the API server see it: what is added stands in the places of what is deleted."""
    gone = {_id(item, key) for item in new if _deletes(item)}
    if not key or not gone:
        return old
    kept = [item for item in old if _id(item, key) not in gone]
    known = {_id(item, key) for item in kept} | gone
    return (kept + [item for item in new if _id(item, key) not in known])[: len(old)]


def _check_order(items: Any, order: Sequence[Any], key: str, name: str) -> None:
    wanted = [item for item in items or [] if not (isinstance(item, dict) and item.get(DIRECTIVE) == "delete")]
    at = 0
    for place in order:
        if at < len(wanted) and _id(wanted[at], key) == _id(place, key):
            at += 1
    if at < len(wanted):
        raise PatchInvalid(f"The order in patch list: {items} doesn't match {name} list: {list(order)}")


def _merge_field(name: str, value: Any, original: Object, shape: Shape, deleting: bool, applying: bool) -> None:
    old = original.get(name)
    if name not in original or _type(old) is not _type(value):
        if not deleting:
            original[name] = _without_directives(value, applying)
    elif isinstance(value, dict) and not shape.replace:
        original[name] = merge_maps(old or {}, value, shape, applying=applying)
    elif isinstance(value, list) and deleting:
        original[name] = [item for item in old or [] if not any(same(item, gone) for gone in value)]
    elif isinstance(value, list) and shape.merge:
        original[name] = _merge_lists(old or [], value, shape, applying)
    else:
        original[name] = value


def _merge_lists(original: list[Any], patch: list[Any], shape: Shape, applying: bool) -> list[Any]:
    if not original and not patch:
        return original
    if element_kind(original, patch) is not dict:
        return _interleaved(deduplicated([*original, *patch]), patch, original, "")
    if not shape.key:
        raise PatchInvalid("cannot merge lists without merge key")
    original, patch = _special_elements(original, patch, shape.key)
    merged = list(original)
    for item in patch:
        if shape.key not in item:
            raise PatchInvalid(f"map: {item} does not contain declared merge key: {shape.key}")
        at = next((n for n, other in enumerate(merged) if _id(other, shape.key) == _id(item, shape.key)), None)
        if at is None:
            merged.append(_without_directives(item, applying))
        else:
            merged[at] = merge_maps(merged[at], item, shape, applying=applying)
    return _interleaved(merged, patch, original, shape.key)


def _special_elements(original: list[Any], patch: list[Any], key: str) -> tuple[list[Any], list[Any]]:
    """Both lists after the elements of the patch that are directives."""
    plain, replaced = [], False
    for item in patch:
        match item.get(DIRECTIVE):
            case None:
                plain.append(item)
            case "delete":
                if key not in item:
                    raise PatchInvalid(f"map: {item} does not contain declared merge key: {key}")
                original = [other for other in original if _id(other, key) != _id(item, key)]
            case "replace":
                replaced = True
            case "merge":
                raise PatchInvalid("merging lists cannot yet be specified in the patch")
            case other:
                raise PatchInvalid(f"unknown patch type: {other} in {item}", "expected delete or replace")
    return (plain, []) if replaced else (original, plain)


def _interleaved(merged: Sequence[Any], order: Sequence[Any], server: Sequence[Any], key: str) -> list[Any]:
    """The elements that `order` names in its order, the others among them where the server's list has them."""
    named = [_id(item, key) for item in order]
    right = ordered(directives_last([item for item in merged if _id(item, key) in named]), order, key)
    left = ordered(directives_last([item for item in merged if _id(item, key) not in named]), server, key)
    places = [_id(item, key) for item in server]
    found: list[Any] = []
    i = j = 0
    while i < len(left) or j < len(right):
        if j >= len(right) or (i < len(left) and _before(_id(left[i], key), _id(right[j], key), places)):
            found.append(left[i])
            i += 1
        else:
            found.append(right[j])
            j += 1
    return found


def _before(left: str, right: str, places: Sequence[str]) -> bool:
    return left in places and right in places and places.index(left) < places.index(right)


def ordered(items: Sequence[Any], order: Sequence[Any], key: str) -> list[Any]:
    """`items` in the order of `order`; what it does not name comes first, directives that delete come last."""
    places = [_id(item, key) for item in order]
    plain = [item for item in items if not _deletes(item)]
    plain.sort(key=lambda item: places.index(_id(item, key)) if _id(item, key) in places else -1)
    return plain + [item for item in items if _deletes(item)]


def directives_last(items: Sequence[Any]) -> list[Any]:
    """The elements that delete others behind the others."""
    return [item for item in items if not _deletes(item)] + [item for item in items if _deletes(item)]


def _deletes(item: Any) -> bool:
    return isinstance(item, dict) and item.get(DIRECTIVE) == "delete"


def _without_directives(value: Any, applying: bool) -> Any:
    """A value that becomes part of an object: no directives, no nulls. Of a patch only `$patch` goes."""
    if isinstance(value, dict):
        return {
            name: _without_directives(item, applying)
            for name, item in value.items()
            if name != DIRECTIVE
            and not (applying and (item is None or name == RETAIN or name.startswith((ORDER, DELETE_FROM))))
        }
    if isinstance(value, list):
        kept = [item for item in value if not _deletes(item)]
        replacing = [item for item in kept if not (isinstance(item, dict) and set(item) == {DIRECTIVE})]
        return [_without_directives(item, applying) for item in replacing]
    return value


def element_kind(*lists: Sequence[Any]) -> type:
    """The type that all elements share. Raises PatchInvalid for lists of lists and mixed ones."""
    kinds = {_type(item) for items in lists for item in items}
    if list in kinds:
        raise PatchInvalid("lists of lists are not supported")
    if len(kinds) > 1:
        raise PatchInvalid(f"expected elements of one type, got {', '.join(sorted(kind.__name__ for kind in kinds))}")
    return next(iter(kinds), type(None))


def same(left: Any, right: Any) -> bool:
    """Equality where true is not 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def sort_key(value: Any) -> str:
    """How scalars are ordered: by their text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def deduplicated(items: Sequence[Any]) -> list[Any]:
    """The first of equal scalars."""
    found: list[Any] = []
    for item in items:
        if not any(same(item, other) for other in found):
            found.append(item)
    return found


def _id(item: Any, key: str) -> str:
    return sort_key(item.get(key)) if isinstance(item, dict) and key else sort_key(item)


def _type(value: Any) -> type:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float
    return type(value)
