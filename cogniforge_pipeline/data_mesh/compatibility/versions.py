"""Whether a version number tells how much changed: Semantic Versioning 2.0.0.

Belongs here: the step a change needs, and the step two versions make. Does not: finding what changed (compare.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cogniforge_pipeline.data_mesh.compatibility.model import Difference
from cogniforge_pipeline.data_mesh.compatibility.rules import ANNOTATIONS
from cogniforge_pipeline.errors import CogniforgeError

Bump = Literal["major", "minor", "patch"]
_BUMPS: tuple[Bump, ...] = ("patch", "minor", "major")
_NUMBER = r"(?:0|[1-9]\d*)"
_PATTERN = re.compile(rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")


class VersionError(CogniforgeError):
    """A version that is none."""


@dataclass(frozen=True)
class Version:
    """A semantic version; `prerelease` is empty for a release. What follows a + is left out."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""

    def precedes(self, other: Version) -> bool:
        """True when the other version comes later, as Semantic Versioning orders them."""
        return self._order() < other._order()

    def _order(self) -> tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]:
        parts = tuple(
            (not part.isdecimal(), int(part) if part.isdecimal() else 0, part)
            for part in self.prerelease.split(".")
            if part
        )
        return self.major, self.minor, self.patch, not self.prerelease, parts


def parse_version(text: str) -> Version:
    """A version as `major.minor.patch`, also `1.2.0-rc.1`. Raises VersionError."""
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise VersionError(f"{text!r} is no semantic version", "write it as major.minor.patch, such as 1.4.0")
    major, minor, patch, prerelease = found.groups()
    return Version(int(major), int(minor), int(patch), prerelease or "")


def required_bump(differences: Iterable[Difference]) -> Bump:
    """The step a change needs: major when something breaks, patch when only notes changed, else minor."""
    found = list(differences)
    if any(item.breaking for item in found):
        return "major"
    return "minor" if any(item.rule not in ANNOTATIONS for item in found) else "patch"


def made_bump(old: Version, new: Version) -> Bump:
    """The first of the three numbers that grew."""
    if new.major != old.major:
        return "major"
    return "minor" if new.minor != old.minor else "patch"


def step_problem(old: str, new: str, needed: Bump) -> str | None:
    """Why the new version does not tell of a change that needs a step; None when it does.

    Before 1.0.0 a breaking change needs a minor step and any other a patch. A version after a pre-release may be any
    later one. Raises VersionError.
    """
    before, after = parse_version(old), parse_version(new)
    if not before.precedes(after):
        return f"version {new} does not follow {old}"
    if before.prerelease:
        return None
    if before.major == 0 and after.major == 0:
        needed = "minor" if needed == "major" else "patch"
    made = made_bump(before, after)
    if _BUMPS.index(made) >= _BUMPS.index(needed):
        return None
    return f"{old} to {new} is a {made} step, the change needs a {needed} one"
