"""Pairing the members of two lists: as many pairs as possible, at the lowest cost in all.

Belongs here: the assignment alone. Does not: what a pair costs (sums.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def cheapest_matching(
    rows: Sequence[int], columns: Sequence[int], costs: Mapping[tuple[int, int], int]
) -> dict[int, int]:
    """Row to column for the largest set of pairs among `costs`, and of those the one with the lowest sum.

    Shortest augmenting paths (Bellman-Ford over the residual graph); the lists are short.
    """
    partner: dict[int, int] = {}
    for _ in rows:
        path = _cheapest_path(rows, columns, costs, partner)
        if path is None:
            return {row: column for column, row in partner.items()}
        for row, column in path:
            partner[column] = row
    return {row: column for column, row in partner.items()}


def _cheapest_path(
    rows: Sequence[int], columns: Sequence[int], costs: Mapping[tuple[int, int], int], partner: Mapping[int, int]
) -> list[tuple[int, int]] | None:
    matched = {row: column for column, row in partner.items()}
    distance: dict[int, int] = {row: 0 for row in rows if row not in matched}
    came: dict[int, int] = {}
    reached: dict[int, int] = {}
    changed = True
    while changed:
        changed = False
        for (row, column), cost in costs.items():
            if row not in distance or matched.get(row) == column:
                continue
            total = distance[row] + cost
            if total < reached.get(column, total + 1):
                reached[column], came[column] = total, row
                changed = True
                if column in partner:
                    distance[partner[column]] = total - costs[partner[column], column]
    ends = [column for column in columns if column in reached and column not in partner]
    if not ends:
        return None
    column = min(ends, key=lambda item: reached[item])
    path = []
    while True:
        row = came[column]
        path.append((row, column))
        if row not in matched:
            return path
        column = matched[row]
