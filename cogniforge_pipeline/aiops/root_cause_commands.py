"""The command `cogniforge root-cause`.

Belongs here: arguments, and printing with Rich. Does not: the work (`root_cause`).
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cogniforge_pipeline.options import JsonOption, print_json

if TYPE_CHECKING:
    from cogniforge_pipeline.aiops.root_cause import RootCauses

app = typer.Typer()
out = Console()
_SHOWN = 5


@app.command("root-cause")
def root_cause(
    normal: Annotated[Path, typer.Option(help="Wide CSV of a normal period, columns NODE:METRIC:STAT.")],
    abnormal: Annotated[Path, typer.Option(help="The same columns while something is wrong.")],
    target: Annotated[str, typer.Option(help="What is wrong: NODE:METRIC or NODE:METRIC:STAT.")],
    graph: Annotated[
        Path | None,
        typer.Option(help="Who calls whom, CSV or JSON [default: learnt from the metrics].", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Rank the nodes that may have caused what is wrong at the target, each with its evidence.

    The graph is an adjacency matrix (row calls column), a list caller,callee, or JSON {"caller": ["callee"]}.
    """
    from cogniforge_pipeline.aiops.root_cause import find_root_causes

    found = find_root_causes(normal, abnormal, graph, target)
    if as_json:
        print_json(asdict(found))
    else:
        _show(found)


def _show(found: RootCauses) -> None:
    title = f"causes of the change at {escape(found.target)} ({found.graph} graph)"
    table = Table(title=title, title_justify="left")
    table.add_column("", justify="right")
    table.add_column("node", overflow="fold", min_width=24)
    for name in ("score", "unusual", "explains", "its own", "alike", "lead"):
        table.add_column(name, justify="right")
    shown = [cause for cause in found.causes if cause.score > 0][:_SHOWN]
    for cause in shown:
        explains = "" if cause.share_explained is None else f"{cause.share_explained:.0%}"
        lead = f"{cause.lead_points:+d}" if cause.correlation and cause.lead_points else ""
        table.add_row(
            str(cause.rank),
            escape(cause.node),
            f"{cause.score:.3f}",
            f"{cause.unusual:.2f}",
            explains,
            f"{cause.own_share:.0%}",
            f"{cause.correlation:.2f}",
            lead,
        )
    out.print(table)
    if shown:
        out.print(f"[bold]{escape(shown[0].node)}[/]: {escape(shown[0].reason)}")
    else:
        out.print("no node with metrics explains it")
    for note in found.notes:
        out.print(f"[dim]note:[/] {escape(note)}")
