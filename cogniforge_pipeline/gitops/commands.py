"""`cogniforge app`: how applications stand, what differs, and what brings them back.

Belongs here: arguments and printing. Does not: the work (`service.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from cogniforge_pipeline.options import HomeOption, JsonOption, existing_home, print_json

app = typer.Typer(no_args_is_help=True, help="Applications of git: their status, their drift, and repairs.")
out = Console(soft_wrap=True)

Id = Annotated[str, typer.Argument(help="The application's app_id.")]
COLOURS = {"Synced": "green", "OutOfSync": "bold red", "Unknown": "yellow"}


@app.command()
def status(app_id: Id, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Read what is new, and say how an application stands. Exit code 0: synced, 1: not."""
    from cogniforge_pipeline.gitops.service import GitOpsService

    found = GitOpsService(existing_home(home)).get_sync_status(app_id)
    if as_json:
        print_json(found)
    else:
        colour = COLOURS[found["sync_status"]]
        out.print(f"[bold]{escape(app_id)}[/] [{colour}]{found['sync_status']}[/], {found['health']}", highlight=False)
        counts = ", ".join(f"{found[name]} {name}" for name in ("missing", "extra", "modified", "left_alone"))
        out.print(f"  {found['resources']} resources in git: {counts}", highlight=False)
        out.print(
            f"  commit {found['commit'] or 'never read'}, live {found['taken_at'] or 'never read'}", highlight=False
        )
        for problem in found["problems"]:
            out.print(f"  [yellow]![/] {escape(problem)}", highlight=False)
    if found["sync_status"] != "Synced":
        raise typer.Exit(1)


@app.command()
def diff(app_id: Id, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Read what is new, and show each field that differs. Exit code 0: nothing differs, 1: something does."""
    from cogniforge_pipeline.gitops.service import GitOpsService

    found = GitOpsService(existing_home(home)).detect_drift(app_id)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        for one in found:
            out.print(f"[bold yellow]{one.status}[/] [bold]{escape(one.resource_key)}[/]")
            for field in one.fields:
                owner = f", set by {field.owner}" if field.owner else ""
                words = f"{field.path}: desired {field.desired!r}, live {field.live!r}{owner}"
                out.print(f"    {escape(words)}", highlight=False)
        if not found:
            out.print("[bold green]no drift[/]")
    if found:
        raise typer.Exit(1)


@app.command()
def repair(
    app_id: Id,
    apply: Annotated[
        bool, typer.Option("--apply", help="Do it; otherwise the server only says what it would do.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Also the steps that the application does not allow without asking.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring an application back to what git says, with kubectl. Exit code 0: every step that was done succeeded, 1: not."""
    from cogniforge_pipeline.gitops.service import GitOpsService

    found = GitOpsService(existing_home(home)).remediate(app_id, dry_run=not apply, every=every)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        for one in found:
            mark = ("[green]✓[/]" if one.succeeded else "[bold red]✗[/]") if one.done else "[dim]-[/]"
            out.print(
                f"{mark} {one.action} [bold]{escape(one.resource_key)}[/]: {escape(one.message)}", highlight=False
            )
        if not found:
            out.print("[bold green]nothing to do[/]")
    if any(one.done and not one.succeeded for one in found):
        raise typer.Exit(1)
