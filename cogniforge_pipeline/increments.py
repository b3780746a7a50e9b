"""What must be computed again, and computing it: cost follows new data, not history.

Belongs here: which days of a fact changed since it last read its inputs, whether a decision is still good, and the
loop that computes, publishes, and starts over when another process was faster. Does not: how rows are computed
(a query or a topic's function) or Dagster.

The versions in the log of materializations say what is new: a fact's entry holds the versions of the inputs that it
read, and every later entry of an input names the days that it touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from graphlib import TopologicalSorter

from cogniforge_pipeline import publish
from cogniforge_pipeline.contracts import Contract
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.lake import Connection, Lake
from cogniforge_pipeline.publish import (
    ATTEMPTS,
    MATERIALIZATIONS,
    Circumstances,
    Mode,
    Publication,
    Staged,
    Superseded,
)
from cogniforge_pipeline.recipes import Beside, Recipe
from cogniforge_pipeline.sqltext import literal, qualified

CHUNK_DAYS = 31
"""So many days at most are computed by one statement, which bounds its memory."""
RUN_GAP_DAYS = 31
"""Dagster notes every day of a run's range, touched or not: so many days cost about as much as another run."""


@dataclass(frozen=True)
class Plan:
    """What to compute: `days` for a fact (empty: nothing), `stale` for a decision, why in words, and `as_of`.

    `version` is the one that the result replaces, `inputs` are the versions that it reads at least.
    """

    inputs: Mapping[str, int]
    version: int
    days: tuple[date, ...]
    stale: bool
    reason: str
    as_of: datetime | None = None


@dataclass(frozen=True)
class Request:
    """What a run asks for: `as_of`; days [first, after) of a fact, or None for all; whether unchanged days may be
    left alone. `newest` gives the newest telemetry's time where no `as_of` was asked for."""

    run_id: str
    as_of: datetime | None = None
    first: date | None = None
    after: date | None = None
    only_changed: bool = True
    newest: Callable[[], datetime] | None = None

    def moment(self) -> datetime | None:
        """The `as_of` of a plan that is made now: telemetry may have grown since the request was made."""
        return self.newest() if self.newest else self.as_of

    def wants(self, day: date) -> bool:
        return (self.first is None or day >= self.first) and (self.after is None or day < self.after)


def plan_days(
    cursor: Connection,
    table: str,
    inputs: Mapping[str, bool],
    *,
    lookback: int | None,
    code: str,
    request: Request,
    ahead: int = 0,
) -> Plan:
    """The days of a fact to compute. `inputs` maps each table to whether it is a fact itself (has days).

    Each day is judged by the entry that made it last, for a run over a few days says nothing of the others. Where a day's
    rows follow from all days before (`lookback` None), the changed ones before the wanted ones are computed with them.
    """
    entry = publish.last(cursor, table)  # first: whoever publishes after this makes our result superseded
    as_of = request.moment()
    now = publish.versions(cursor)
    facts = [name for name, is_fact in inputs.items() if is_fact]
    due = _due(cursor, table, facts, lookback, ahead, code)
    days = {day for day, is_due in due.items() if is_due or not request.only_changed}
    if not request.only_changed:
        reason = "asked for"
    elif entry is None:
        reason = "first time"
    else:
        reason = "days that new data touched" if entry["code_version"] == code else "the definition changed"
    chosen = tuple(sorted(day for day in days if request.wants(day)))
    if lookback is None and chosen:
        chosen = tuple(sorted({*chosen, *(day for day, is_due in due.items() if is_due and day < chosen[0])}))
    version = int(str(entry["version"])) if entry else 0
    return Plan({name: now.get(name, 0) for name in inputs}, version, chosen, bool(chosen), reason, as_of)


def plan_decision(
    cursor: Connection, table: str, inputs: Sequence[str], *, code: str, request: Request, timeless: bool = False
) -> Plan:
    """Whether a decision must be made again: an input, its definition or, unless it is `timeless`, `as_of` is another
    one than last time."""
    entry = publish.last(cursor, table)  # first: whoever publishes after this makes our result superseded
    as_of = request.moment()
    now = publish.versions(cursor)
    current = {name: now.get(name, 0) for name in inputs}
    version = int(str(entry["version"])) if entry else 0

    def plan(stale: bool, reason: str) -> Plan:
        return Plan(current, version, (), stale, reason, as_of)

    if entry is None:
        return plan(True, "first time")
    if not request.only_changed:
        return plan(True, "asked for")
    if entry["code_version"] != code:
        return plan(True, "the definition changed")
    if entry["inputs"] != current:
        return plan(True, "an input changed")
    if entry["as_of"] != as_of and not timeless:
        return plan(True, "another as_of")
    return plan(False, "nothing new")


@dataclass(frozen=True)
class Outcome:
    """What a materialization did: the plan, and the publication unless nothing had to be done. `beside` are those of the
    tables that were published with it."""

    plan: Plan
    publication: Publication | None
    beside: tuple[Publication, ...] = ()


def materialize(
    lake: Lake,
    contract: Contract,
    make_plan: Callable[[Connection], Plan],
    selects: Callable[[Connection, Plan], Sequence[str]],
    *,
    code: str,
    request: Request,
    beside: Callable[[Connection, Plan], Sequence[tuple[Contract, Beside]]] = lambda *_: (),
) -> Outcome:
    """Computes and publishes one table, again from the start when another process published it meanwhile.

    `selects` gives the statements whose rows together are the new rows; a table with a partition column has its days
    replaced, another one as a whole. What `beside` gives is published in the same transaction. Raises AuditFailed,
    LakeError, or Superseded after ATTEMPTS attempts.
    """
    cursor = lake.cursor()
    with lake.explained():
        for attempt in range(1, ATTEMPTS + 1):
            plan = make_plan(cursor)
            if not plan.stale:
                return Outcome(plan, None)
            circumstances = Circumstances(request.run_id, plan.as_of, code, plan.inputs, {contract.name: plan.version})
            try:
                with ExitStack() as stack:

                    def stage(
                        table: Contract, found: Sequence[str], days: Sequence[date], to: ExitStack = stack
                    ) -> Staged:
                        mode = Mode.REPLACE_DAYS if table.partition_column else Mode.REPLACE
                        return to.enter_context(
                            publish.stage(cursor, table, found, mode=mode, run_id=request.run_id, days=days)
                        )

                    staged = [stage(contract, selects(cursor, plan), plan.days)]
                    staged += [stage(other, [rows.select], rows.days) for other, rows in beside(cursor, plan)]
                    made, *others = publish.publish(lake, cursor, staged, circumstances)
                    return Outcome(plan, made, tuple(others))
            except Superseded:
                if attempt == ATTEMPTS:
                    raise
    raise AssertionError("unreachable")


def materialize_recipe(
    lake: Lake,
    contract: Contract,
    recipe: Recipe,
    has_days: Mapping[str, bool],
    request: Request,
    contracts: Mapping[str, Contract] | None = None,
) -> Outcome:
    """Materializes a recipe's table; `has_days` says of each of its inputs whether it has days, and `contracts` are those of
    the tables beside it."""
    code = code_version(contract, recipe.digest)

    def plan(cursor: Connection) -> Plan:
        if _rests(cursor, recipe):
            return Plan({}, 0, (), False, "nothing is declared for it")
        if contract.partition_column:
            return plan_days(
                cursor,
                recipe.name,
                has_days,
                lookback=recipe.lookback,
                code=code,
                request=request,
                ahead=recipe.ahead,
            )
        return plan_decision(cursor, recipe.name, list(has_days), code=code, request=request, timeless=recipe.timeless)

    def spans(plan: Plan) -> list[tuple[datetime, datetime]]:
        if not contract.partition_column:
            moment = plan.as_of or datetime.now(UTC)
            return [(moment, moment)]
        whole = [(plan.days[0], plan.days[-1] + timedelta(1))]
        parts = whole if recipe.lookback is None else chunks(plan.days)
        return [(publish.midnight(first), publish.midnight(after)) for first, after in parts]

    def selects(cursor: Connection, plan: Plan) -> list[str]:
        return [select for start, end in spans(plan) for select in recipe.selects(cursor, start, end)]

    def beside(cursor: Connection, plan: Plan) -> list[tuple[Contract, Beside]]:
        return [((contracts or {})[rows.table], rows) for rows in recipe.beside(cursor, plan.days)]

    return materialize(lake, contract, plan, selects, code=code, request=request, beside=beside)


def code_version(contract: Contract, digest: str) -> str:
    """Names the definition that made a table: its query or function, and its contract's version."""
    return f"{digest}:{contract.version}"


def chunks(days: Sequence[date]) -> list[tuple[date, date]]:
    """Half-open spans of at most CHUNK_DAYS days that cover exactly these days."""
    found = []
    for first, after in publish.spans(days):
        while (after - first).days > CHUNK_DAYS:
            middle = first + timedelta(CHUNK_DAYS)
            found.append((first, middle))
            first = middle
        found.append((first, after))
    return found


def fact_spans(home: Home) -> list[tuple[date, date]]:
    """The ranges of days [first, after), each for one run, that hold everything the facts would compute now.

    A fact that reads another fact is due on the days that the other one is about to touch, too.
    """
    cursor = home.lake.cursor()
    request = Request(run_id="")
    due: dict[str, set[date]] = {}
    for recipe in in_order(home, cursor):
        if _rests(cursor, recipe):
            continue
        contract = home.contracts[recipe.name]
        inputs = home.facts(recipe)
        code = code_version(contract, recipe.digest)
        reach, ahead = recipe.lookback, recipe.ahead
        plan = plan_days(cursor, recipe.name, inputs, lookback=reach, code=code, request=request, ahead=ahead)
        facts = [name for name, is_fact in inputs.items() if is_fact]
        new = {day for name in facts for day in due.get(name, ())}
        touched = {day + timedelta(n) for day in new for n in range(ahead + 1)}
        universe = set(_due(cursor, recipe.name, facts, reach, ahead, code)) | touched
        universe |= {day for days in due.values() for day in days}
        if reach is None:
            later = {day for day in universe if day >= min(new)} if new else set()
        else:
            later = {day + timedelta(n) for day in new for n in range(reach + 1)}
        due[recipe.name] = set(plan.days) | (later & universe)
    return _runs({day for chosen in due.values() for day in chosen})


def stale_decisions(home: Home, request: Request) -> set[str]:
    """The tables without days that a run has something to do for: those whose own plan says so, and what reads them."""
    cursor = home.lake.cursor()
    names = [name for name in (*home.queries, *home.computed) if not home.contracts[name].partition_column]
    recipes = {name: home.recipe(name, cursor) for name in names}
    stale: set[str] = set()
    for name in TopologicalSorter(
        {n: [i for i in r.inputs if i in recipes] for n, r in recipes.items()}
    ).static_order():
        recipe = recipes[name]
        if stale.intersection(recipe.inputs):
            stale.add(name)
        elif not _rests(cursor, recipe):
            code = code_version(home.contracts[name], recipe.digest)
            timeless = recipe.timeless
            if plan_decision(cursor, name, recipe.inputs, code=code, request=request, timeless=timeless).stale:
                stale.add(name)
    return stale


def all_spans(home: Home) -> list[tuple[date, date]]:
    """The ranges of days [first, after), each for one run, that hold all days that any fact ever had."""
    rows = home.lake.cursor().execute(f"SELECT DISTINCT unnest(days) FROM {MATERIALIZATIONS}").fetchall()
    return _runs({row[0] for row in rows})


def _runs(days: set[date]) -> list[tuple[date, date]]:
    found: list[tuple[date, date]] = []
    for first, after in publish.spans(list(days)):
        if found and (first - found[-1][1]).days <= RUN_GAP_DAYS:
            found[-1] = (found[-1][0], after)
        else:
            found.append((first, after))
    return found


def in_order(home: Home, cursor: Connection) -> list[Recipe]:
    """The recipes of day-partitioned tables, each after those that it reads."""
    named = [name for name in (*home.queries, *home.computed) if home.contracts[name].partition_column]
    left = {name: home.recipe(name, cursor) for name in named}
    order = TopologicalSorter({name: [i for i in recipe.inputs if i in left] for name, recipe in left.items()})
    return [left[name] for name in order.static_order()]


def _rests(cursor: Connection, recipe: Recipe) -> bool:
    """Whether a table is empty and stays so."""
    return recipe.idle and not cursor.execute(f"SELECT 1 FROM {qualified(recipe.name)} LIMIT 1").fetchone()


def _due(
    cursor: Connection, table: str, facts: Sequence[str], lookback: int | None, ahead: int, code: str
) -> dict[date, bool]:
    """Every day that the inputs have (and the `ahead` ones after each), and whether the table's rows of that day are
    older than an input or `code`."""
    if lookback is None:
        before = (
            "SELECT DISTINCT table_name, day, max(version) OVER (PARTITION BY table_name ORDER BY day) FROM touched"
        )
        reached = f"FROM ({before}) AS seen (table_name, day, version)"
    else:
        reached = (
            "SELECT table_name, day + n::INTEGER AS day, max(version) AS version "
            f"FROM touched, range({lookback + 1}) AS later (n) GROUP BY ALL"
        )
    named = ", ".join(map(literal, facts)) or "NULL"
    rows = cursor.execute(
        "WITH touched AS ("
        f"SELECT table_name, unnest(days) AS day, version FROM {MATERIALIZATIONS} WHERE table_name IN ({named})"
        f"), reached AS ({reached}), made AS ("
        "SELECT day, arg_max(inputs, version) AS inputs, arg_max(code_version, version) AS code FROM ("
        f"SELECT unnest(days) AS day, version, inputs, code_version FROM {MATERIALIZATIONS} WHERE table_name = {literal(table)}"
        ") GROUP BY day"
        f") SELECT day, bool_or(m.code IS NULL OR m.code <> {literal(code)} OR r.version > coalesce(m.inputs[r.table_name], 0)) "
        "FROM reached AS r LEFT JOIN made AS m USING (day) "
        f"WHERE day IN (SELECT day + n::INTEGER FROM touched, range({ahead + 1}) AS next (n)) GROUP BY day",
    ).fetchall()
    return dict(rows)
