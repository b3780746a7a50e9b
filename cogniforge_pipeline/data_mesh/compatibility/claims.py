"""Answers that may rest on themselves: recursion while walking schemas, and what may be remembered meanwhile.

Belongs here: the book-keeping of open questions. Does not: what is asked (subset.py, differ.py).

An answer found while a question further up is still open may rest on it. It is provisional: good to use as long as that
question is open, kept for good when the question is answered as was assumed, forgotten when not.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")


class Claims(Generic[Answer]):
    """Open, provisional and final answers, by question.

    `depth` counts the steps into the document; a question may rest on itself only after one more step than it was asked
    at, and a provisional answer serves at its own depth or below. With `guarded` False every step is one.
    """

    def __init__(self, assumed: Answer, holds: Callable[[Answer], bool], *, guarded: bool) -> None:
        self.depth = 0
        self._assumed = assumed
        self._holds = holds
        self._guarded = guarded
        self._final: dict[Hashable, Answer] = {}
        self._open: dict[Hashable, tuple[int, int]] = {}
        self._provisional: dict[Hashable, tuple[Answer, int, int]] = {}
        self._order: list[Hashable] = []
        self._lowest = 0

    @property
    def height(self) -> int:
        """How many questions are open."""
        return len(self._open)

    def known(self, key: Hashable) -> tuple[Answer, bool] | None:
        """The answer to use now and whether it was found before (True) or is assumed; None when it must be found."""
        if key in self._final:
            return self._final[key], True
        if key in self._open:
            position, depth = self._open[key]
            if self._guarded and self.depth <= depth:
                return None
            self._lowest = min(self._lowest, position)
            return self._assumed, False
        if key in self._provisional:
            answer, lowest, depth = self._provisional[key]
            if not self._guarded or self.depth >= depth:
                self._lowest = min(self._lowest, lowest)
                return answer, True
        return None

    def is_open(self, key: Hashable) -> bool:
        """True while the question is being answered further up."""
        return key in self._open

    def ask(self, key: Hashable, find: Callable[[], Answer]) -> Answer:
        """Find an answer that is not known yet, and remember it as far as it holds.

        Where finding it fails, what may rest on it is forgotten.
        """
        position = len(self._open)
        self._open[key] = (position, self.depth)
        outer, self._lowest = self._lowest, position
        before = len(self._order)
        try:
            answer = find()
        except Exception:
            for name in self._order[before:]:
                self._provisional.pop(name, None)
            del self._order[before:]
            self._lowest = outer
            raise
        finally:
            del self._open[key]
        lowest, self._lowest = self._lowest, outer
        holds = self._holds(answer)
        self._settle(before, position, lowest, holds)
        if not holds or lowest >= position:
            self._final[key] = answer
        else:
            self._lowest = min(outer, lowest)
            self._provisional[key] = (answer, lowest, self.depth)
            self._order.append(key)
        return answer

    def _settle(self, before: int, position: int, lowest: int, holds: bool) -> None:
        """What becomes of the provisional answers found on the way to an answer."""
        names = self._order[before:]
        del self._order[before:]
        for name in names:
            if name not in self._provisional:
                continue
            kept, low, depth = self._provisional.pop(name)
            if holds and min(low, lowest) >= position:
                self._final[name] = kept
            elif holds:
                self._provisional[name] = (kept, min(low, lowest), depth)
                self._order.append(name)
