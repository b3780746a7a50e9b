"""`cogniforge slo`: burn rates from files, import of Sloth's files, the release gate and its overrides.

Belongs here: arguments and printing. Does not: the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.options import HomeOption, JsonOption, existing_home, print_json

app = typer.Typer(
    name="slo", help="Objectives: burn rates, imports, and the gate before a release.", no_args_is_help=True
)


class ChangeType(StrEnum):
    """What a change is, as `release_gate.may_deploy` takes it."""

    NORMAL = "normal"
    P0 = "p0"
    SECURITY = "security"


_FAST, _SLOW = 6.0, 1.0


@app.command()
def burn(
    counters: Annotated[Path, typer.Option(help="CSV or Parquet: ts, series, value, and a column for each label.")],
    slo: Annotated[Path, typer.Option(help="OpenSLO v1 file, or a file of Sloth.")],
    at: Annotated[
        str | None,
        typer.Option(help="ISO 8601 (UTC) or epoch seconds [default: the newest sample's minute].", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Burn rates, alerts and budgets from a file of counters; needs no home."""
    from cogniforge_pipeline.sre.burn_files import burn_from_files
    from cogniforge_pipeline.sre.counter_files import moment_of

    report = burn_from_files(counters, slo, None if at is None else moment_of(at))
    if as_json:
        print_json(report.to_json())
        return
    console = Console()
    table = Table(title=f"Burn rates at {report.at:%Y-%m-%d %H:%M} UTC", title_justify="left")
    table.add_column("SLO", overflow="fold")
    table.add_column("target", justify="right")
    for window in report.slos[0]["burn_rates"]:
        table.add_column(window, justify="right")
    table.add_column("budget left", justify="right")
    table.add_column("alerts")
    for row in report.slos:
        table.add_row(
            escape(row["slo_id"]),
            f"{row['target']:.6%}".rstrip("0%").rstrip(".") + "%",
            *(_rate(rate) for rate in row["burn_rates"].values()),
            _share((row["budget"] or {}).get("remaining")),
            _firing(row["alerts"]),
        )
    console.print(table)
    for row in report.slos:
        for text in [row["note"], *(f"{a['alert']}: {a['reason']}" for a in row["alerts"] if a["reason"])]:
            if text:
                console.print(f"[yellow]![/] [bold]{escape(row['slo_id'])}[/] {escape(text)}")


@app.command("import")
def import_files(
    files: Annotated[list[Path], typer.Argument(help="Spec files of Sloth.")],
    home: HomeOption = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder to write to [default: platform/slos of the home].", show_default=False)
    ] = None,
    service_label: Annotated[str, typer.Option(help="Label by which telemetry tells services apart.")] = "job",
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
) -> None:
    """Turn Sloth's spec files into OpenSLO files, one for each SLO."""
    from cogniforge_pipeline.sre.slo_files import convert, write

    if home is not None and output is not None:
        raise CogniforgeError("expected either --home or --output, not both", "leave out one of them")
    folder = output if output is not None else existing_home(home).platform / "slos"
    slos = convert(files, service_label=service_label)
    console = Console(soft_wrap=True)
    for slo, path in zip(slos, write(slos, folder, force=force), strict=True):
        console.print(f"[green]✓[/] {escape(str(slo.origin))} → {escape(str(path))}")
        for loss in slo.losses:
            console.print(f"    [yellow]![/] {escape(loss)}")


@app.command()
def gate(
    service: Annotated[str, typer.Argument(help="The service that is to be deployed.")],
    home: HomeOption = None,
    change_type: Annotated[ChangeType, typer.Option(help="What kind of change it is.")] = ChangeType.NORMAL,
    as_json: JsonOption = False,
) -> None:
    """May a service deploy now, and why not. Exit code 0: yes, 1: no.

    Answers from the newest run's sre.release_gates and the overrides that are in force now.
    """
    from cogniforge_pipeline.home import Home
    from cogniforge_pipeline.sre.release_gate import may_deploy
    from cogniforge_pipeline.sre.release_gates import gate_of

    opened = Home(existing_home(home), ())
    cursor = opened.lake.cursor()
    with opened.lake.explained():
        found = gate_of(cursor, service, datetime.now(UTC))
    may = may_deploy(found, change_type)
    if as_json:
        print_json({**found.to_row(), "change_type": str(change_type), "may_deploy": may})
    else:
        console = Console(soft_wrap=True)
        verdict = "[bold green]may deploy[/]" if may else "[bold red]may not deploy[/]"
        kind = "" if change_type == ChangeType.NORMAL else f" a {change_type} change"
        console.print(f"[bold]{escape(service)}[/] {verdict}{kind} (decided for {found.as_of:%Y-%m-%d %H:%M} UTC)")
        for reason in found.reasons:
            console.print(f"  {escape(reason)}")
        for action in found.actions:
            console.print(f"  [yellow]→[/] {escape(action)}")
    if not may:
        raise typer.Exit(1)


@app.command()
def override(
    service: Annotated[str, typer.Argument(help="The service whose gate is to be opened.")],
    category: Annotated[str, typer.Option(help="p0 or security")],
    by: Annotated[str, typer.Option(help="Who answers for it.")],
    why: Annotated[str, typer.Option(help="The reason.")],
    home: HomeOption = None,
    hours: Annotated[float, typer.Option(help="How long it counts.")] = 4,
) -> None:
    """Open a frozen release gate for P0 or security changes, recorded with who and why."""
    from cogniforge_pipeline.home import Home
    from cogniforge_pipeline.sre.release_gates import gate_of, record_override

    opened = Home(existing_home(home), ())
    made = record_override(opened, service, category=category, who=by, why=why, lasts=timedelta(hours=hours))
    console = Console(soft_wrap=True)
    console.print(f"[green]✓[/] {escape(service)}: {category} changes until {made.until:%Y-%m-%d %H:%M} UTC")
    try:
        found = gate_of(opened.lake.cursor(), service, made.created_at)
    except CogniforgeError as error:
        console.print(f"  [yellow]![/] {escape(error.message)} yet: {escape(error.hint or '')}")
        return
    if not found.frozen:
        console.print("  [dim]its gate is not frozen[/]")
    elif found.override is None:
        console.print(f"  [yellow]![/] it does not count: {escape(found.policy)} lets no {category} change through")


def _rate(rate: float | None) -> str:
    if rate is None:
        return "[dim]–[/]"
    style = "bold red" if rate > _FAST else "yellow" if rate > _SLOW else "green"
    return f"[{style}]{rate:.4g}[/]"


def _share(share: float | None) -> str:
    if share is None:
        return "[dim]no data[/]"
    style = "bold red" if share <= 0 else "yellow" if share < 0.2 else "green"
    return f"[{style}]{share:.1%}[/]"


def _firing(alerts: list[Mapping[str, Any]]) -> str:
    styles = {"page": "bold red", "ticket": "yellow"}
    names = [f"[{styles.get(a['severity'], 'magenta')}]{escape(a['alert'])}[/]" for a in alerts if a["firing"]]
    return ", ".join(names) or "[dim]none[/]"
