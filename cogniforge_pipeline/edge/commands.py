"""The command `cogniforge place`.

Belongs here: arguments, and printing with Rich. Does not: the work (`place_files.py`, `placement`).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cogniforge_pipeline.options import JsonOption, print_json

if TYPE_CHECKING:
    from cogniforge_pipeline.edge.model import PlacementStrategy, Weights
    from cogniforge_pipeline.edge.placement.plan import Placement, Plan

_SHOWN = 40


def place(
    workloads: Annotated[Path, typer.Option(help="Workloads: YAML, JSON, CSV or Parquet.")],
    regions: Annotated[
        Path | None,
        typer.Option(help="Candidate regions, CSV or Parquet [default: the built-in catalog].", show_default=False),
    ] = None,
    latency: Annotated[
        Path | None, typer.Option(help="Measured round-trip times: src, dst, rtt_ms.", show_default=False)
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option(help="Data prices src, dst, usd_per_gb, or region_id, price_factor.", show_default=False),
    ] = None,
    strategy: Annotated[
        str, typer.Option(help="latency, cost, carbon, balanced, resilience, or weights: latency=2,cost=1.")
    ] = "balanced",
    time_limit: Annotated[float, typer.Option(help="Seconds to search at most.", min=0.1)] = 60.0,
    gap: Annotated[
        float, typer.Option(help="Stop when the plan is proved to be this close to the best.", min=0)
    ] = 1e-3,
    what_if: Annotated[
        list[str] | None,
        typer.Option(
            help="Compare: region=ID:down, price=ID:1.5, demand=NAME:2; may be given again.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Place workloads in regions: the proved best plan, explained. Exit code 1: something cannot be placed."""
    from cogniforge_pipeline.edge.place_files import place_files

    plan, other = place_files(
        workloads,
        regions,
        latency,
        costs,
        strategy_of(strategy),
        time_limit=time_limit,
        gap=gap,
        what_if=tuple(what_if or ()),
    )
    if as_json:
        print_json(plan_json(plan) | ({"what_if": {**plan_json(other), **compared(plan, other)}} if other else {}))
    else:
        console = Console()
        _show(console, plan)
        if other:
            _show_difference(console, plan, other)
    if (other or plan).unplaced:
        raise typer.Exit(1)


def strategy_of(text: str) -> PlacementStrategy | Weights:
    """A strategy's name, or weights such as `latency=2,cost=1`. Raises EdgeError."""
    from pydantic import ValidationError

    from cogniforge_pipeline.edge.catalog import EdgeError
    from cogniforge_pipeline.edge.model import PlacementStrategy, Weights

    if text in set(PlacementStrategy):
        return PlacementStrategy(text)
    pairs = [part.partition("=") for part in text.split(",")]
    try:
        return Weights.model_validate({name.strip(): value for name, sign, value in pairs if sign or name})
    except ValidationError:
        names = ", ".join(PlacementStrategy)
        raise EdgeError(f"there is no strategy {text!r}", f"expected {names}, or weights: latency=2,cost=1") from None


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan as it is printed."""
    return {
        "status": plan.status,
        "cost": plan.cost,
        "bound": plan.bound,
        "gap": plan.gap,
        "seconds": round(plan.seconds, 3),
        "violations": list(plan.violations),
        "unplaced": [p.workload for p in plan.unplaced],
        "placements": [_placement_json(p) for p in plan.placements],
    }


def compared(plan: Plan, other: Plan) -> dict[str, Any]:
    """What changes from one plan to another."""
    moved = [
        {
            "workload": a.workload,
            "primary": [a.primary, b.primary],
            "replicas": [list(a.replicas), list(b.replicas)],
            "latency_ms": [a.latency_ms, b.latency_ms],
            "usd_per_month": [a.usd_per_month, b.usd_per_month],
        }
        for a, b in zip(plan.placements, other.placements, strict=True)
        if (a.primary, set(a.replicas)) != (b.primary, set(b.replicas))
    ]
    return {
        "changes": moved,
        "usd_per_month_change": sum(p.usd_per_month for p in other.placements)
        - sum(p.usd_per_month for p in plan.placements),
    }


def _placement_json(placement: Placement) -> dict[str, Any]:
    return {
        **asdict(placement),
        "conflict": asdict(placement.conflict) if placement.conflict else None,
    }


def _show(console: Console, plan: Plan) -> None:
    title = f"{plan.status}: score {plan.cost:.4g}, proved to be within {plan.gap:.2%} of the best"
    table = Table(title=title, title_justify="left")
    for name in ("workload", "primary", "replicas"):
        table.add_column(name, overflow="fold")
    for name in ("ms", "USD/month"):
        table.add_column(name, justify="right")
    table.add_column("next best", overflow="fold")
    for p in plan.placements[:_SHOWN]:
        other = p.alternative
        table.add_row(
            escape(p.workload),
            escape(p.primary) if p.primary else "[bold red]none[/]",
            escape(", ".join(p.replicas)) + (f" [red]{p.missing} missing[/]" if p.missing and p.primary else ""),
            "" if p.latency_ms is None else f"{p.latency_ms:.0f}",
            f"{p.usd_per_month:.0f}",
            f"{escape(other.region)} ({other.score:+.3f})" if other else "",
        )
    console.print(table)
    if len(plan.placements) > _SHOWN:
        console.print(f"[dim]and {len(plan.placements) - _SHOWN} more: --json has all[/]")
    for p in plan.unplaced:
        if p.conflict:
            console.print(
                f"[bold red]✗[/] [bold]{escape(p.workload)}[/] cannot be placed whole; {p.conflict.kind} conflict:"
            )
            for constraint in p.conflict.constraints:
                console.print(f"    {escape(constraint)}")
    for p in plan.placements:
        for text in p.gave_way:
            console.print(f"[yellow]![/] [bold]{escape(p.workload)}[/] {escape(text)}")


def _show_difference(console: Console, plan: Plan, other: Plan) -> None:
    found = compared(plan, other)
    console.print(
        f"\n[bold]What if[/]: {found['usd_per_month_change']:+.0f} USD/month, {len(found['changes'])} workloads move"
    )
    for change in found["changes"][:_SHOWN]:
        before, after = change["primary"]
        console.print(f"  {escape(change['workload'])}: {escape(str(before))} → {escape(str(after))}")
    _show(console, other)
