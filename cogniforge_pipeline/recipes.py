"""How the rows of a table come about: the one form that SQL files and the functions of a domain share.

Belongs here: what a plan needs to know of a table (inputs, lookback, digest), and its statements. Does not: the
statements themselves, or running them (`increments.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from cogniforge_pipeline.lake import Connection

Statements = Callable[[Connection, datetime, datetime], Sequence[str]]


@dataclass(frozen=True)
class Beside:
    """Rows of another table that are published together with a recipe's own: `select` gives them, and they replace the
    `days` of a table that has days, another one as a whole."""

    table: str
    select: str
    days: tuple[date, ...] = ()


class Recipe(Protocol):
    """A table's rows as they are computed now.

    `inputs` are the tables read. `digest` changes when the meaning may have changed. `lookback` says how many earlier
    days the rows of a day depend on; None means all of them, and then `selects` is asked once, for all days from the
    first changed one. With `ahead` 1 a day's data may give rows of the next day too, which is then computed
    with it. `idle` says that there would be no rows whatever the inputs hold, because nothing
    is declared: such a table is left alone once it is empty. `timeless` says that the rows do not depend on `as_of`.
    """

    @property
    def name(self) -> str: ...
    @property
    def inputs(self) -> tuple[str, ...]: ...
    @property
    def lookback(self) -> int | None: ...
    @property
    def digest(self) -> str: ...
    @property
    def ahead(self) -> int: ...
    @property
    def idle(self) -> bool: ...
    @property
    def timeless(self) -> bool: ...
    def selects(self, cursor: Connection, start: datetime, end: datetime) -> Sequence[str]:
        """SELECTs whose rows together are those of the days from `start` to before `end`, both midnights in UTC; of a
        table without days, those at `end`."""

    def beside(self, cursor: Connection, days: Sequence[date]) -> Sequence[Beside]:
        """What is published in the same transaction; asked for after the `selects` that the `days` needed."""


@dataclass(frozen=True)
class Written:
    """A recipe whose statements a function writes."""

    name: str
    inputs: tuple[str, ...]
    digest: str
    statements: Statements
    lookback: int | None = 0
    ahead: int = 0
    idle: bool = False
    timeless: bool = False
    others: Callable[[Connection, Sequence[date]], Sequence[Beside]] | None = None

    def selects(self, cursor: Connection, start: datetime, end: datetime) -> Sequence[str]:
        return self.statements(cursor, start, end)

    def beside(self, cursor: Connection, days: Sequence[date]) -> Sequence[Beside]:
        return self.others(cursor, days) if self.others else ()


@dataclass(frozen=True)
class Computed:
    """A table whose statements a domain writes from what is declared when they are needed.

    `inputs` are those that the table always has, for the graph of assets; the recipe may have more. `beside` are the
    tables that are published together with it.
    """

    name: str
    inputs: tuple[str, ...]
    recipe: Callable[[Connection], Recipe]
    beside: tuple[str, ...] = ()
