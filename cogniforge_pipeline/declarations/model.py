"""The types of the loader: kinds of declarations, what was declared, and what is wrong with it.

Belongs here: plain types. Does not: reading, validating.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar, overload

from pydantic import BaseModel, ConfigDict

from cogniforge_pipeline.errors import CogniforgeError

M = TypeVar("M", bound=BaseModel)

API = "<python>"
"""The path in problems of what the Python API declares."""


class DeclarationModel(BaseModel):
    """Base of the models that users write: unknown keys are refused, instances do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Kind(Generic[M]):
    """One kind of declaration, such as "source".

    `folder` is a folder of `platform/` ("sources") or one file there ("topology.yaml"). `key` gives the name
    of a declaration, unique within the kind. With `plural` a file may hold several: documents parted by
    `---`, or a list. `companions` are suffixes (".rego") of other files that may lie in the folder; see
    `Platform.companions`. `between` gives what is wrong between valid declarations, such as a name that leads nowhere.
    """

    name: str
    folder: str
    model: type[M]
    key: Callable[[M], str] = attrgetter("name")
    plural: bool = True
    companions: tuple[str, ...] = ()
    between: Callable[[Sequence[Declaration[M]]], Sequence[Problem]] = lambda _: ()

    @property
    def is_file(self) -> bool:
        """Whether the kind is one file instead of a folder."""
        return PurePosixPath(self.folder).suffix in (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Declaration(Generic[M]):
    """One thing that a user declared.

    `spec` is the JSON form as written, placeholders such as ${TOKEN} unresolved. `path` is relative to
    `platform/` and `line` counts from 1; both are None for a declaration by the Python API.
    """

    kind: str
    name: str
    model: M
    spec: dict[str, Any]
    path: str | None
    line: int | None


@dataclass(frozen=True)
class Problem:
    """Something wrong in a file.

    `line` and `column` count from 1 (None: the whole file); `where` is the place in the document
    ("spec.objectives[0].target"). As text: "sources/nab.yaml:7:3: spec.step: message (hint)".
    """

    path: str
    message: str
    hint: str | None = None
    line: int | None = None
    column: int | None = None
    where: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)
        hint = f" ({self.hint})" if self.hint else ""
        return ": ".join(part for part in (place, self.where, self.message) if part) + hint


class DeclarationsInvalid(CogniforgeError):
    """The declarations have problems; all of them are in `problems` and in the message."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = "".join(f"\n  {problem}" for problem in self.problems)
        super().__init__(f"{count} in what is declared:{lines}", "correct them and try again")


@dataclass(frozen=True)
class Platform:
    """All that one platform folder declares. `kinds` are the names of the kinds that were looked for."""

    folder: Path
    kinds: frozenset[str]
    declarations: tuple[Declaration[Any], ...] = ()
    problems: tuple[Problem, ...] = ()
    companion_files: tuple[tuple[str, Path], ...] = ()

    @overload
    def of(self, kind: Kind[M]) -> list[Declaration[M]]: ...
    @overload
    def of(self, kind: str) -> list[Declaration[Any]]: ...
    def of(self, kind: Kind[Any] | str) -> list[Declaration[Any]]:
        """The declarations of one kind by path and line. Raises KeyError for a kind not looked for."""
        name = self._known(kind)
        return [declaration for declaration in self.declarations if declaration.kind == name]

    def companions(self, kind: Kind[Any] | str) -> list[Path]:
        """The other files of a kind's folder that `Kind.companions` allows, absolute, in order of path."""
        name = self._known(kind)
        return [path for owner, path in self.companion_files if owner == name]

    def check(self) -> Platform:
        """The platform itself. Raises DeclarationsInvalid with all problems when there are any."""
        if self.problems:
            raise DeclarationsInvalid(self.problems)
        return self

    def _known(self, kind: Kind[Any] | str) -> str:
        name = kind if isinstance(kind, str) else kind.name
        if name not in self.kinds:
            raise KeyError(f"no kind {name!r} among {sorted(self.kinds)}")
        return name


def listed(words: Iterable[str], limit: int = 15) -> str:
    """Words for a sentence, cut after `limit`."""
    words = sorted(words)
    return ", ".join(words[:limit]) + (", ..." if len(words) > limit else "")
