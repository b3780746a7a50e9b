"""JSON merge patches (RFC 7386), for kinds of which no merge keys are known.

Belongs here: making one of three versions, and applying one. Does not: strategic merge patches (`strategic.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cogniforge_pipeline.gitops.strategic_apply import same

Object = dict[str, Any]


def three_way_merge_patch(
    original: Mapping[str, Any], modified: Mapping[str, Any], current: Mapping[str, Any]
) -> Object:
    """The patch that brings `current` to `modified`, where `original` is what was applied last; lists are values."""
    patch: Object = {}
    for name, wanted in modified.items():
        there, before = current.get(name), original.get(name)
        if isinstance(wanted, Mapping) and isinstance(there, Mapping):
            inner = three_way_merge_patch(before if isinstance(before, Mapping) else {}, wanted, there)
            if inner:
                patch[name] = inner
        elif name not in current or not same(wanted, there):
            patch[name] = wanted
    patch.update({name: None for name in original if name not in modified and name in current})
    return patch


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """What a merge patch makes of a value (RFC 7386, section 2)."""
    if not isinstance(patch, Mapping):
        return patch
    made = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = apply_merge_patch(made.get(name), value)
    return made
