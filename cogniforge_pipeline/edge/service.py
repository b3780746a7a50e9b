"""The Python API of the domain: place workloads, fail over, and count.

Belongs here: one method for each thing that a user does. Does not: how it is decided (`placement`, `failover.py`), or what
a run computes from it (`tables.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pydantic import JsonValue, ValidationError

from cogniforge_pipeline import written
from cogniforge_pipeline.declarations import DeclarationsInvalid, declare
from cogniforge_pipeline.edge.announcements import SOURCE
from cogniforge_pipeline.edge.catalog import EdgeError, builtin
from cogniforge_pipeline.edge.declared import Declared, read_declared
from cogniforge_pipeline.edge.failover import FailoverPolicy, Move, decide
from cogniforge_pipeline.edge.model import REGION_KIND, WORKLOAD_KIND, PlacementStrategy, Workload
from cogniforge_pipeline.edge.placement.plan import Placement, Plan, make_plan
from cogniforge_pipeline.edge.sites import Sites, choose_sites
from cogniforge_pipeline.edge.tables import FAILOVERS
from cogniforge_pipeline.events import NewEvent
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.registry import record
from cogniforge_pipeline.services import Service, shared
from cogniforge_pipeline.settings import Settings
from cogniforge_pipeline.sqltext import literal

RUN_ID = "api"
SITES = 3
"""Edge locations of a workload with users that does not say how many it wants."""
SECONDS = 30.0


@dataclass(frozen=True)
class PlacedWorkload:
    """Where a workload runs. `primary_region` is None where it has no place; then `placement.conflict` says why."""

    workload_name: str
    primary_region: str | None
    replica_regions: tuple[str, ...]
    edge_locations: tuple[str, ...]
    strategy: PlacementStrategy
    expected_latency_ms: float | None
    usd_per_month: float
    reason: str
    edge: Sites
    placement: Placement


@dataclass(frozen=True)
class Failover:
    """One failover of one workload; `status` is planned, completed, failed, drilled or refused, and `decision` says why."""

    failover_id: str
    workload_name: str
    from_region: str
    to_region: str | None
    replica_regions: tuple[str, ...]
    action: str
    mode: str
    status: str
    reason: str
    decision: str
    started_at: datetime
    outage_at: datetime | None = None
    completed_at: datetime | None = None
    rto_s: float | None = None
    rpo_s: float | None = None

    def to_row(self) -> dict[str, Any]:
        """Its row of `edge.failovers`."""
        return {
            "failover_id": self.failover_id,
            "workload": self.workload_name,
            "from_region": self.from_region,
            "to_region": self.to_region,
            "replicas": list(self.replica_regions),
            "action": self.action,
            "mode": self.mode,
            "status": self.status,
            "reason": self.reason,
            "decision": self.decision,
            "outage_at": self.outage_at,
            "started_at": self.started_at,
            "completed_at": self.completed_at,
            "rto_s": self.rto_s,
            "rpo_s": self.rpo_s,
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Failover:
        """The failover of a row."""
        same = {name: _utc(row[name]) for name in row if name not in ("workload", "replicas")}
        return cls(**same, workload_name=row["workload"], replica_regions=tuple(row["replicas"]))


class EdgeMulticloudService(Service):
    """Works on one home. Whatever a method writes is on disk when it returns; threads and processes may share a home.

    Every method raises LakeError where the lake cannot be read or written, and EdgeError for what it is given.
    """

    kinds = (WORKLOAD_KIND, REGION_KIND)
    domain = "edge"

    def place_workload(
        self,
        workload_name: str,
        requirements: Mapping[str, Any] | None = None,
        strategy: PlacementStrategy | str = PlacementStrategy.BALANCED,
    ) -> PlacedWorkload:
        """Declares a workload, or its next version, and places it beside all others that are declared.

        `requirements` are the keys of a workload's YAML. The next run writes the same into `edge.placements`. Raises
        DeclarationsInvalid where a file declares the workload.
        """
        wanted = _strategy(strategy)
        document = {"name": workload_name, **dict(requirements or {}), "strategy": str(wanted)}
        if "demand" in document and "edge_locations" not in document:
            document["edge_locations"] = SITES
        try:
            workload = Workload.model_validate(document)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or 'requirements'}: {e['msg'].removeprefix('Value error, ')}"
                for e in error.errors()
            )
            raise EdgeError(f"workload {workload_name}: {problems}") from error
        with self.home.lake.explained():
            before = read_declared(self.home.lake.cursor(), self.home.settings.platform)
        others = tuple(w for w in before.workloads if w.name != workload_name)
        found = Declared((*others, workload), before.regions, before.files, "")
        world = found.world()
        plan = make_plan(found.workloads, world, time_limit=SECONDS)
        changes, _ = record(
            self.home, [declare(WORKLOAD_KIND, workload.model_dump(mode="json", exclude_unset=True))], run_id=RUN_ID
        )
        if changes.problems:
            raise DeclarationsInvalid(changes.problems)
        placed = plan.placement(workload_name)
        sites = choose_sites(workload, world)
        return PlacedWorkload(
            workload_name,
            placed.primary,
            placed.replicas,
            sites.chosen,
            wanted,
            placed.latency_ms,
            placed.usd_per_month,
            placed.reason,
            sites,
            placed,
        )

    def trigger_failover(
        self,
        workload_name: str,
        from_region: str,
        reason: str,
        *,
        drill: bool = False,
        outage_at: datetime | None = None,
        at: datetime | None = None,
        policy: FailoverPolicy | None = None,
    ) -> Failover:
        """Decides where a workload goes when a region is lost, and records it in `edge.failovers`; a drill only says so.

        The decision keeps residency and every other limit, needs room at the target, and may be refused by the safety
        rule, the cool-down and the rate limit of `policy`. It is planned then: `complete_failover` tells how it ended.
        """
        now = (at or datetime.now(UTC)).astimezone(UTC)
        plan = self._plan(workload_name)
        region = plan.scores.regions
        names = {r.region_id for r in region}
        left = _region(from_region, names)
        held = plan.placement(workload_name)
        if held.primary != left:
            raise EdgeError(
                f"the primary of {workload_name} is in {held.primary or 'no region'}, not in {left}",
                "fail over from the region of its primary",
            )
        with self.home.lake.explained():
            past = self._past(self.home.lake.cursor(), now)
        (move,), _ = decide(plan, [left], as_of=now, past=past, policy=policy, only=workload_name)
        return self._record(move, reason, now, outage_at, drill=drill)

    def fail_back(self, failover_id: str, reason: str = "the region is well again") -> Failover:
        """Takes a completed failover back: the workload returns to the region that it left, if that may be now."""
        now = datetime.now(UTC)
        done = self._failover(failover_id)
        if done.status != "completed":
            raise EdgeError(f"failover {failover_id} is {done.status}", "only a completed failover can be taken back")
        plan = self._plan(done.workload_name)
        w = plan.problem.workloads.index(done.workload_name)
        r = plan.problem.regions.index(done.from_region)
        able = bool(plan.problem.eligible[w, r])
        why = f"{done.from_region} is eligible again" if able else "; ".join(plan.scores.reasons[w][r])
        back = Move(
            done.workload_name,
            str(done.to_region),
            done.from_region if able else None,
            (),
            "fail_back" if able else "refused",
            why,
        )
        return self._record(back, reason, now, None, drill=False)

    def complete_failover(
        self, failover_id: str, *, at: datetime | None = None, rpo_s: float | None = None, success: bool = True
    ) -> Failover:
        """Tells that the new primary serves (or failed to), and how many seconds of data were lost; RTO follows."""
        done = self._failover(failover_id)
        if done.status != "planned":
            raise EdgeError(f"failover {failover_id} is {done.status}", "only a planned failover can be completed")
        now = (at or datetime.now(UTC)).astimezone(UTC)
        since = done.outage_at or done.started_at
        row = done.to_row() | {
            "status": "completed" if success else "failed",
            "completed_at": now if success else None,
            "rto_s": max(0.0, (now - since).total_seconds()) if success else None,
            "rpo_s": rpo_s,
        }
        written.upsert(self.home, FAILOVERS, [row], run_id=RUN_ID)
        ended = Failover.from_row(row)
        self._tell("failover.completed" if success else "failover.failed", ended, now)
        return ended

    def get_metrics(self) -> dict[str, Any]:
        """Numbers of regions, clouds, edge locations, workloads, and failovers by status."""
        with self.home.lake.explained():
            cursor = self.home.lake.cursor()
            found = read_declared(cursor, self.home.settings.platform)
            rows = cursor.execute(f"SELECT status, count(*) FROM {FAILOVERS} GROUP BY ALL ORDER BY ALL").fetchall()
        catalog = found.world().catalog if found.workloads else builtin()
        clouds: dict[str, int] = {}
        for region in catalog.regions.values():
            clouds[region.cloud] = clouds.get(region.cloud, 0) + 1
        return {
            "total_regions": len(catalog.regions),
            "regions_by_cloud": dict(sorted(clouds.items())),
            "edge_locations": len(catalog.edge_locations),
            "workloads": len(found.workloads),
            "failovers": sum(count for _, count in rows),
            "failovers_by_status": dict(rows),
        }

    def _plan(self, workload_name: str) -> Plan:
        with self.home.lake.explained():
            found = read_declared(self.home.lake.cursor(), self.home.settings.platform)
        if workload_name not in {w.name for w in found.workloads}:
            raise EdgeError(f"there is no workload {workload_name!r}", "place it first with place_workload")
        return make_plan(found.workloads, found.world(), time_limit=SECONDS, explain=False)

    def _past(self, cursor: Connection, now: datetime) -> Sequence[tuple[str, datetime]]:
        rows = cursor.execute(
            f"SELECT workload, started_at FROM {FAILOVERS} WHERE status IN ('planned', 'completed') "
            f"AND started_at <= {literal(now)} ORDER BY started_at"
        ).fetchall()
        return [(workload, at.astimezone(UTC)) for workload, at in rows]

    def _failover(self, failover_id: str) -> Failover:
        with self.home.lake.explained():
            found = self.home.lake.cursor().execute(
                f"SELECT * FROM {FAILOVERS} WHERE failover_id = {literal(failover_id)}"
            )
            names = [column[0] for column in found.description or []]
            rows = found.fetchall()
        if not rows:
            raise EdgeError(f"there is no failover {failover_id!r}", "see `cogniforge sql 'FROM edge.failovers'`")
        return Failover.from_row(dict(zip(names, rows[0], strict=True)))

    def _record(self, move: Move, reason: str, now: datetime, outage_at: datetime | None, *, drill: bool) -> Failover:
        refused = move.action == "refused"
        made = Failover(
            str(uuid4()),
            move.workload,
            move.from_region,
            move.to_region,
            move.replicas,
            move.action,
            "drill" if drill else "execute",
            "refused" if refused else "drilled" if drill else "planned",
            reason,
            move.reason,
            now,
            outage_at.astimezone(UTC) if outage_at else None,
        )
        written.upsert(self.home, FAILOVERS, [made.to_row()], run_id=RUN_ID)
        self._tell("failover.refused" if refused else f"failover.{made.status}", made, now)
        return made

    def _tell(self, kind: str, failover: Failover, at: datetime) -> None:
        about: dict[str, JsonValue] = {
            "failover_id": failover.failover_id,
            "workload": failover.workload_name,
            "from_region": failover.from_region,
            "to_region": failover.to_region,
            "action": failover.action,
            "decision": failover.decision,
        }
        event = NewEvent(kind, SOURCE, about, failover.workload_name, at, f"{failover.failover_id}:{kind}")
        self.home.events.publish_many([event])


def get_edge_multicloud_service(settings: Settings | None = None) -> EdgeMulticloudService:
    """This process's service for these settings, by default for the home that COGNIFORGE_HOME names; made if absent."""
    return shared(EdgeMulticloudService, settings)


def _strategy(given: PlacementStrategy | str) -> PlacementStrategy:
    try:
        return PlacementStrategy(given)
    except ValueError:
        names = ", ".join(PlacementStrategy)
        raise EdgeError(f"strategy: expected one of {names}, got {given!r}") from None


def _region(name: str, known: set[str]) -> str:
    if name in known:
        return name
    found = builtin().region(name)
    if found.region_id not in known:
        raise EdgeError(f"{name!r} is no candidate region", "see edge.regions")
    return found.region_id


def _utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
