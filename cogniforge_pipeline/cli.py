"""The `cogniforge` command.

Belongs here: arguments, and printing with Rich. Does not: the work (`runner.py`, `doctor.py`, `reports`, `sql_shell.py`).

Exit codes: 0 done, 1 something failed or was refused (the message says what), 2 wrong usage.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from cogniforge_pipeline.aiops import forecast_commands, incident_commands, root_cause_commands
from cogniforge_pipeline.aiops.detect_commands import detect
from cogniforge_pipeline.data_mesh import commands as contract_commands
from cogniforge_pipeline.edge.commands import place
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.events.commands import events_app
from cogniforge_pipeline.gitops import commands as gitops_commands
from cogniforge_pipeline.gitops import policy_commands
from cogniforge_pipeline.gitops.admission_commands import admit
from cogniforge_pipeline.gitops.drift_commands import drift
from cogniforge_pipeline.options import HomeOption, existing_home
from cogniforge_pipeline.settings import load_settings
from cogniforge_pipeline.sre import slo_commands
from cogniforge_pipeline.sre.commands import canary_app
from cogniforge_pipeline.sre.deploy_commands import deploy_app
from cogniforge_pipeline.workflow.commands import workflow_app

app = typer.Typer(
    name="cogniforge",
    help="An operations lakehouse that runs from one folder.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(slo_commands.app)
app.add_typer(forecast_commands.app)
app.add_typer(root_cause_commands.app)
app.add_typer(incident_commands.app)
app.add_typer(contract_commands.app, name="contract")
app.add_typer(policy_commands.app, name="policy")
app.add_typer(canary_app, name="canary")
app.add_typer(deploy_app, name="deploy")
app.add_typer(workflow_app, name="workflow")
app.add_typer(events_app, name="events")
app.command()(detect)
app.command()(drift)
app.command()(place)
app.add_typer(gitops_commands.app, name="app")
app.command()(admit)
out = Console()
err = Console(stderr=True)


def main() -> None:
    """The entry point: errors that a user may meet become a message and exit code 1."""
    try:
        app()
    except CogniforgeError as error:
        err.print(f"[bold red]error:[/] {escape(error.message)}")
        if error.hint:
            err.print(f"[dim]hint:[/] {escape(error.hint)}")
        sys.exit(1)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="Where the home is to be made.")]) -> None:
    """Make a home with a commented starter platform."""
    from cogniforge_pipeline.starter import make_home

    made = make_home(folder)
    out.print(f"[green]✓[/] home at [bold]{escape(str(folder))}[/]")
    for path in made:
        out.print(f"  {escape(str(path))}")
    out.print(f"\nNext: [bold]cogniforge run --home {escape(str(folder))}[/], or drop a file into its landing/ first.")


@app.command()
def run(
    home: HomeOption = None,
    select: Annotated[
        str | None, typer.Option(help="Asset selection, such as group:aiops.", show_default=False)
    ] = None,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Compute every day and decision again.")] = False,
    as_of: Annotated[
        datetime | None,
        typer.Option(help="Decide as at this UTC time [default: the newest telemetry].", show_default=False),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show Dagster's own log.")] = False,
) -> None:
    """Read what is new, compute the days it touched, decide, and show what was decided."""
    from cogniforge_pipeline import runner, summary
    from cogniforge_pipeline.definitions import open_home

    opened = open_home(existing_home(home))
    with summary.Progress(err, opened) as progress:
        report = runner.run(
            opened,
            select=select,
            full_refresh=full_refresh,
            as_of=_utc(as_of),
            listener=progress.step,
            verbose=verbose,
        )
    with opened.lake.explained():
        summary.show(out, opened, report)
    if not report.success:
        raise typer.Exit(1)


@app.command()
def ui(
    home: HomeOption = None,
    port: Annotated[int, typer.Option(help="Port of the web server, on 127.0.0.1.")] = 3000,
) -> None:
    """Start the Dagster UI and its daemon on this home."""
    from cogniforge_pipeline.ui import serve

    raise typer.Exit(serve(existing_home(home), port, out))


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SELECT.")],
    home: HomeOption = None,
    at: Annotated[
        str | None,
        typer.Option(help="A snapshot's id, or a UTC time whose last snapshot is meant.", show_default=False),
    ] = None,
    format: Annotated[str, typer.Option("--format", "-f", help="table, csv, json or parquet")] = "table",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.", show_default=False)] = None,
) -> None:
    """Query the lake, read-only."""
    from cogniforge_pipeline import sql_shell

    sql_shell.show(existing_home(home), query, at=at, form=format, output=output, console=out)


@app.command()
def export(
    home: HomeOption = None,
    table: Annotated[
        list[str] | None, typer.Option(help="schema.table; may be given again.", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where to [default: <home>/reports/parquet].", show_default=False)
    ] = None,
) -> None:
    """Write tables as Parquet files, and the published DuckDB file."""
    from cogniforge_pipeline.definitions import open_home
    from cogniforge_pipeline.reports.export import export_parquet, publish_duckdb

    opened = open_home(existing_home(home))
    for name in table or ():
        if name not in opened.contracts:
            raise CogniforgeError(f"there is no table {name}", f"tables: {', '.join(sorted(opened.contracts))}")
    for name, path in export_parquet(opened, table, folder).items():
        out.print(f"[green]✓[/] {name} → {escape(str(path))}")
    out.print(f"[green]✓[/] {escape(str(publish_duckdb(opened)))}")


@app.command()
def docs(
    home: HomeOption = None,
    table: Annotated[
        list[str] | None,
        typer.Option(help="schema.table; may be given again [default: all tables].", show_default=False),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the site in a browser.")] = False,
) -> None:
    """Build Data Docs: a site of Great Expectations that shows each contract, and how rows keep it."""
    from cogniforge_pipeline.definitions import open_home
    from cogniforge_pipeline.reports.data_docs import build

    opened = open_home(existing_home(home))
    with err.status("Great Expectations is at work …"):
        page, verdicts = build(opened, table)
    for verdict in verdicts:
        if verdict.broken:
            out.print(f"[bold red]✗[/] [bold]{verdict.table}[/] {escape(', '.join(verdict.broken))}")
    whole = [verdict for verdict in verdicts if not verdict.broken]
    out.print(f"[green]✓[/] {len(whole)} of {len(verdicts)} tables keep their contract")
    out.print(escape(str(page)))
    if show:
        typer.launch(page.as_uri())


@app.command()
def doctor(home: HomeOption = None) -> None:
    """Check home, lake, declarations, extensions and refused input, and say how to mend what is wrong."""
    from cogniforge_pipeline.definitions import open_home
    from cogniforge_pipeline.doctor import examine

    findings = examine(open_home(load_settings(home)))
    for finding in findings:
        mark = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "bad": "[bold red]✗[/]"}[finding.state]
        out.print(f"{mark} [bold]{finding.topic}[/] {escape(finding.message)}")
        if finding.hint:
            out.print(f"    [dim]{escape(finding.hint)}[/]")
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


@app.command()
def maintain(
    home: HomeOption = None,
    keep_days: Annotated[int, typer.Option(help="How many days of snapshots to keep.", min=1)] = 30,
) -> None:
    """Merge small files, expire old snapshots, delete files that no snapshot needs."""
    from cogniforge_pipeline.definitions import open_home
    from cogniforge_pipeline.lake import maintain as work

    for step, count in work(open_home(existing_home(home)).lake, keep_days=keep_days).items():
        out.print(f"{step.replace('_', ' ')}: {count}")


def _utc(moment: datetime | None) -> datetime | None:
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


if __name__ == "__main__":
    main()
