"""Strategic merge patches: making them from two or three versions of an object.

Belongs here: `two_way_patch`, `three_way_patch` and the order of lists. Does not: applying patches
(`strategic_apply.py`), or which lists merge (`shape.py`).

The meaning is that of the Kubernetes API conventions and design notes ("strategic merge patch", "preserve order",
"retainKeys"): `$patch`, `$deleteFromPrimitiveList/<list>`, `$setElementOrder/<list>` and `$retainKeys`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from cogniforge_pipeline.gitops.shape import Shape
from cogniforge_pipeline.gitops.strategic_apply import (
    DELETE_FROM,
    DIRECTIVE,
    ORDER,
    RETAIN,
    PatchInvalid,
    deduplicated,
    directives_last,
    element_kind,
    merge_maps,
    ordered,
    same,
    sort_key,
)

Object = dict[str, Any]


@dataclass(frozen=True)
class _Options:
    additions: bool = True
    deletions: bool = True
    retain: bool = False


def two_way_patch(original: Mapping[str, Any] | None, modified: Mapping[str, Any] | None, shape: Shape) -> Object:
    """The patch that makes `modified` of `original`. Raises PatchInvalid."""
    return _diff_maps(original or {}, modified or {}, shape, _Options())


def three_way_patch(
    original: Mapping[str, Any] | None,
    modified: Mapping[str, Any] | None,
    current: Mapping[str, Any] | None,
    shape: Shape,
) -> Object:
    """The patch that brings `current` to `modified`, where `original` is what was applied last.

    What `modified` has and `current` has not is added or changed; what `original` had and `modified` has not is
    deleted; what only `current` has stays. Raises PatchInvalid.
    """
    delta = _diff_maps(current or {}, modified or {}, shape, _Options(deletions=False))
    gone = _diff_maps(original or {}, modified or {}, shape, _Options(additions=False))
    return merge_maps(deepcopy(gone), deepcopy(delta), shape, applying=False)


def _diff_maps(original: Mapping[str, Any], modified: Mapping[str, Any], shape: Shape, options: _Options) -> Object:
    patch: Object = {}
    for name, new in modified.items():
        if name not in original:
            if options.additions:
                patch[name] = new
            continue
        old = original[name]
        if name == DIRECTIVE:
            if old != new:
                patch[name] = new
            continue
        _diff_field(name, old, new, shape.child(name), options, patch)
    if options.deletions:
        patch.update({name: None for name in original if name not in modified})
    retained = [name for name, value in modified.items() if value is not None] if options.retain else []
    cleared = any(value is not None and name not in modified for name, value in original.items())
    if retained and (patch or cleared):
        patch[RETAIN] = sorted(retained)
    return patch


def _diff_field(name: str, old: Any, new: Any, shape: Shape, options: _Options, patch: Object) -> None:
    if isinstance(old, dict) and isinstance(new, dict) and not shape.replace:
        inner = _diff_maps(old, new, shape, replace(options, retain=shape.retain))
        if inner:
            patch[name] = inner
    elif isinstance(old, list) and isinstance(new, list) and shape.merge:
        changed, removed, order = _diff_lists(old, new, shape, replace(options, retain=shape.retain))
        if changed:
            patch[name] = changed
        if removed:
            patch[f"{DELETE_FROM}{name}"] = removed
        if order:
            patch[f"{ORDER}{name}"] = order
    elif options.additions and not same(old, new):
        patch[name] = new


def _diff_lists(
    original: Sequence[Any], modified: Sequence[Any], shape: Shape, options: _Options
) -> tuple[list[Any], list[Any], list[Any]]:
    """What to merge, which scalars to delete, and the order of the list (empty when it need not be said)."""
    if not original:
        return (list(modified) if options.additions else []), [], []
    if element_kind(original, modified) is dict:
        changed, removed = _diff_list_of_maps(original, modified, shape, options)
        changed = ordered(directives_last(changed), modified, shape.key) + removed
        alike = [item.get(shape.key) for item in original] == [item.get(shape.key) for item in modified]
        say = (options.additions and (changed or not alike)) or (options.deletions and changed)
        order = [{shape.key: item[shape.key]} for item in modified] if say else []
        return changed, [], order
    left, right = sorted(original, key=sort_key), sorted(modified, key=sort_key)
    added, removed = _missing_of(right, left), _missing_of(left, right)
    say = (options.deletions and removed) or (options.additions and not same(list(original), list(modified)))
    return (
        ordered(added, modified, "") if options.additions else [],
        deduplicated(removed) if options.deletions else [],
        list(modified) if say and (options.additions or removed) else [],
    )


def _missing_of(these: Sequence[Any], those: Sequence[Any]) -> list[Any]:
    """The elements of a sorted list that another has not, each as often as it is too many."""
    found, rest = [], list(those)
    for item in these:
        match = next((n for n, other in enumerate(rest) if same(item, other)), None)
        if match is None:
            found.append(item)
        else:
            del rest[match]
    return found


def _diff_list_of_maps(
    original: Sequence[Any], modified: Sequence[Any], shape: Shape, options: _Options
) -> tuple[list[Any], list[Any]]:
    changed: list[Any] = []
    removed: list[Any] = []
    left, right = _by_key(original, shape.key), _by_key(modified, shape.key)
    i = j = 0
    while i < len(left) or j < len(right):
        old_key = sort_key(left[i][shape.key]) if i < len(left) else None
        new_key = sort_key(right[j][shape.key]) if j < len(right) else None
        if old_key is not None and old_key == new_key:
            inner = _diff_maps(left[i], right[j], shape, options)
            if inner:
                changed.append({**inner, shape.key: right[j][shape.key]})
            i, j = i + 1, j + 1
        elif old_key is None or (new_key is not None and new_key < old_key):
            if options.additions:
                changed.append(right[j])
            j += 1
        else:
            if options.deletions:
                removed.append({DIRECTIVE: "delete", shape.key: left[i][shape.key]})
            i += 1
    return changed, removed


def _by_key(items: Sequence[Any], key: str) -> list[Any]:
    for item in items:
        if key not in item:
            raise PatchInvalid(f"map: {item} does not contain declared merge key: {key}")
    return sorted(items, key=lambda item: sort_key(item[key]))


def sorted_lists(value: Any, shape: Shape) -> Any:
    """An object with its merging lists in order of their keys, and scalars once each: equal objects become the same."""
    if isinstance(value, dict):
        return {name: sorted_lists(item, shape.child(name)) for name, item in value.items()}
    if not isinstance(value, list) or not shape.merge:
        return value
    if all(isinstance(item, dict) for item in value):
        inner = [sorted_lists(item, shape) for item in value]
        return sorted(inner, key=lambda item: sort_key(item.get(shape.key)))
    return sorted(deduplicated(value), key=sort_key)
