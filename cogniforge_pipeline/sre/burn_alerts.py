"""Multiwindow, multi-burn-rate alerts: when they fire and clear, and what that cost.

Belongs here: conditions, evidence, episodes. Does not: sums over windows (`burn_rate.py`), which windows and factors
(`windows.py`).

A rule holds at a minute when the burn rates over its long and its short window are both above its factor (or compare
so by its operator). bad / total > factor * (1 - target) is computed as bad * denominator > total * numerator in whole
numbers, so that a rate exactly at the limit never fires. No events: the rule does not hold.

Evidence for low traffic: a rule for a high rate holds only if its long window has the objective's minimum of events,
at least two bad ones, and these are no chance. Were the service to burn at only min(1, factor / 2), so that an event
is bad with probability p = min(1, factor / 2) * (1 - target), as many bad events or more would come with a
probability of at most exp(-total * KL(bad / total || p)) (Chernoff's bound on the binomial tail, valid for any
total); that has to be at most `chance`, 0.001 by default. One failure in ten requests is never enough; at high
traffic it changes nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction

from cogniforge_pipeline.sqltext import literal
from cogniforge_pipeline.sre.burn_rate import SCALE, window_name
from cogniforge_pipeline.sre.objectives import AlertRule, Objective
from cogniforge_pipeline.sre.openslo_common import Comparison
from cogniforge_pipeline.sre.windows import window_at

CHANCE = 0.001
_OPERATORS: dict[Comparison, str] = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_LARGEST = 2**62


def rule_windows(objectives: Sequence[Objective], as_of: datetime) -> dict[str, timedelta]:
    """The windows that the objectives' alerts need, by name, shortest first."""
    lengths = {length for o in objectives for rule in o.alert_rules(as_of) for length in (rule.long, rule.short)}
    return {window_name(length): length for length in sorted(lengths)}


def alert_minutes_sql(
    objectives: Sequence[Objective], sums: str, as_of: datetime, *, chance: float | None = CHANCE
) -> str:
    """A SELECT of the minutes at which a rule held, from `sums`, a relation (or subquery) as `window_sums_sql` gives.

    Columns: slo_id, ts TIMESTAMPTZ; the rule: alert, severity, long_window, short_window VARCHAR, factor DOUBLE,
    hold_minutes INTEGER; long_rate, short_rate DOUBLE, burn rates over its windows; bad, total DOUBLE, this minute's
    own events; period_minutes, long_minutes, per_budget DOUBLE: what a burn rate spends of the budget is
    rate * minutes / period_minutes, and a rate is bad / total * per_budget.

    Rules and the length of calendar periods are those of `as_of`. `chance` None asks for no evidence beyond the
    objective's minimum of events. Raises ValueError without any rule, and for limits of more than 18 digits.
    """
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    for objective in objectives:
        start, until = window_at(objective.window, as_of)
        for rule in objective.alert_rules(as_of):
            pairs[window_name(rule.long), window_name(rule.short)].append(
                _rule_row(objective, rule, until - start, chance)
            )
    if not pairs:
        raise ValueError("expected at least one objective with alerts")
    holding = "\nUNION ALL ".join(_holding(long, short, rows) for (long, short), rows in pairs.items())
    return f"WITH rule_sums AS MATERIALIZED (FROM {sums} AS windowed){holding}"


def alert_episodes_sql(minutes_relation: str, end: str) -> str:
    """A SELECT of the times that each rule held, from the relation (or subquery) of rows of `alert_minutes_sql`.

    `end` is an SQL expression of the last moment that the rows tell about. Columns: slo_id, alert, severity,
    long_window, short_window, factor; fired_at, the first minute (after `hold_minutes` of the condition, where the
    rule has a hold); cleared_at, the first minute when it no longer held, NULL if it held at `end`; peak_burn_rate
    over the long window while it fired; budget_spent_at_fire and budget_spent, shares of the objective's budget:
    burn rate * time / period, over the long window before it fired, and until it last held.

    Only a minute without a row ends an episode, not a rule that changed in between: what the rule was when it fired
    stands in the row. What held before the first row of the relation began at that row.
    """
    return f"""
WITH numbered AS (
    SELECT *, epoch_us(ts) // 60000000 AS minute,
        minute - row_number() OVER (PARTITION BY slo_id, alert ORDER BY ts) AS island
    FROM {minutes_relation} AS held
),
framed AS (
    SELECT *, min(minute) OVER one + arg_min(hold_minutes, minute) OVER one AS fired
    FROM numbered WINDOW one AS (PARTITION BY slo_id, alert, island)
),
episodes AS (
    SELECT slo_id, alert, fired, max(minute) AS until, max(long_rate) AS peak_burn_rate,
        arg_min(severity, minute) AS severity, arg_min(long_window, minute) AS long_window,
        arg_min(short_window, minute) AS short_window, arg_min(factor, minute) AS factor,
        arg_min(per_budget, minute) AS per_budget, arg_min(period_minutes, minute) AS period_minutes,
        arg_min(long_rate * long_minutes, minute) AS spent,
        sum(bad) FILTER (minute > fired) / nullif(sum(total) FILTER (minute > fired), 0) AS bad_share
    FROM framed WHERE minute >= fired GROUP BY slo_id, alert, island, fired
)
SELECT slo_id, alert, severity, long_window, short_window, factor, to_timestamp(fired * 60) AS fired_at,
    CASE WHEN to_timestamp((until + 1) * 60) <= {end} THEN to_timestamp((until + 1) * 60) END AS cleared_at,
    peak_burn_rate, spent / period_minutes AS budget_spent_at_fire,
    (spent + coalesce(bad_share, 0) * per_budget * (until - fired)) / period_minutes AS budget_spent
FROM episodes ORDER BY fired_at, slo_id, alert"""


_COLUMNS = (
    "slo_id, alert, severity, factor, op, numerator, denominator, hold_minutes, per_budget, period_minutes, long_minutes, "
    "minimum_events, null_share, needed"
)


def _rule_row(objective: Objective, rule: AlertRule, period: timedelta, chance: float | None) -> str:
    limit = rule.factor * objective.budget
    if max(limit.numerator, limit.denominator) > _LARGEST:
        raise ValueError(f"{objective.slo_id}: {rule.name}: factor times budget has more than 18 digits: {limit}")
    share = float(min(Fraction(1), rule.factor / 2) * objective.budget)
    needed = -math.log(chance) if chance is not None and rule.op in ("gt", "gte") else None
    minute = timedelta(minutes=1)
    values = [
        literal(objective.slo_id),
        literal(rule.name),
        literal(rule.severity),
        literal(float(rule.factor)),
        literal(_OPERATORS[rule.op]),
        f"CAST({limit.numerator} AS HUGEINT)",
        f"CAST({limit.denominator} AS HUGEINT)",
        str(-(-rule.hold // minute)),
        literal(float(1 / objective.budget)),
        literal(period / minute),
        literal(rule.long / minute),
        literal(objective.minimum_events),
        literal(share),
        f"CAST({literal(needed)} AS DOUBLE)",
    ]
    return f"({', '.join(values)})"


def _holding(long: str, short: str, rows: Sequence[str]) -> str:
    share, bad, total = f"(bad_{long} / total_{long})", f"(bad_{long} / {SCALE})", f"(total_{long} / {SCALE})"
    return f"""
SELECT slo_id, to_timestamp(minute * 60) AS ts, alert, severity, {literal(long)} AS long_window,
    {literal(short)} AS short_window, factor, hold_minutes, {share} * per_budget AS long_rate,
    bad_{short} / total_{short} * per_budget AS short_rate, bad / {SCALE} AS bad, total / {SCALE} AS total,
    period_minutes, long_minutes, per_budget
FROM rule_sums JOIN (VALUES {", ".join(rows)}) AS rules({_COLUMNS}) USING (slo_id)
WHERE total_{long} > 0 AND total_{short} > 0 AND {_compared(long)} AND {_compared(short)}
    AND {total} >= minimum_events
    AND (needed IS NULL OR ({bad} >= 2 AND {total} * ({share} * ln(nullif({share}, 0) / null_share)
        + CASE WHEN {share} < 1 THEN (1 - {share}) * ln((1 - {share}) / (1 - null_share)) ELSE 0 END) >= needed))"""


def _compared(window: str) -> str:
    """The rule's comparison, exact. HUGEINT holds 1e13 million times 18 digits."""
    left, right = f"bad_{window} * denominator", f"total_{window} * numerator"
    cases = " ".join(f"WHEN {literal(sign)} THEN {left} {sign} {right}" for sign in _OPERATORS.values())
    return f"CASE op {cases} END"
