"""The commands `cogniforge incidents` and `cogniforge approve`.

Belongs here: arguments, and printing with Rich. Does not: the work (`service.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from cogniforge_pipeline.options import HomeOption, JsonOption, existing_home, print_json

if TYPE_CHECKING:
    from cogniforge_pipeline.aiops.service_types import HealingDecision, Incident

app = typer.Typer()
out = Console()

_SHOWN = 5
_COLOURS = {"critical": "bold red", "warning": "yellow", "info": "blue"}
_STATES = {"act": "green", "await_approval": "yellow", "blocked": "dim", "superseded": "dim"}


@app.command("incidents")
def incidents(
    open_only: Annotated[bool, typer.Option("--open", help="Only those that go on.")] = False,
    days: Annotated[int, typer.Option(help="How many days before the newest incident to look at.", min=1)] = 7,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show incidents, what caused them, and what playbooks decided."""
    from cogniforge_pipeline.aiops.service import get_aiops_service

    found = get_aiops_service(existing_home(home)).get_incidents(open_only=open_only)
    if found:
        since = max(one.started_at for one in found) - timedelta(days=days)
        found = tuple(one for one in found if one.ended_at is None or one.ended_at > since)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    if not found:
        out.print("no incident" + (" goes on" if open_only else ""))
    for incident in reversed(found):
        _show(incident)


@app.command("approve")
def approve(
    incident: Annotated[str, typer.Argument(help="Id of the incident.")],
    playbook: Annotated[str, typer.Argument(help="Playbook that may act on it.")],
    by: Annotated[str, typer.Option(help="Who agrees.")],
    why: Annotated[str, typer.Option(help="Why.")],
    home: HomeOption = None,
) -> None:
    """Agree to the action that a playbook asks for; the next run decides with it."""
    from cogniforge_pipeline.aiops.service import get_aiops_service

    get_aiops_service(existing_home(home)).approve_healing(incident, playbook, who=by, why=why)
    out.print(f"[green]✓[/] [bold]{escape(playbook)}[/] may act on incident {escape(incident)}")


def _show(incident: Incident) -> None:
    colour = _COLOURS.get(incident.severity, "bold")
    until = f"{incident.ended_at:%Y-%m-%d %H:%M}" if incident.ended_at else "[bold]open[/]"
    out.print(f"[{colour}]● {incident.severity}[/] [bold]{escape(incident.title)}[/]")
    _line(f"[dim]{incident.started_at:%Y-%m-%d %H:%M} to {until} UTC, {escape(incident.incident_id)}[/]")
    for cause in incident.causes[:1]:
        _line(f"cause [bold]{escape(cause.service)}[/] {cause.score:.2f}: {escape(cause.reason)}")
    if others := incident.causes[1:3]:
        _line("[dim]then " + ", ".join(f"{escape(cause.service)} {cause.score:.2f}" for cause in others) + "[/]")
    newest = {decision.playbook: decision for decision in incident.decisions}
    told = [one for one in incident.decisions if one.state == "act" or newest[one.playbook] is one]
    if len(told) > _SHOWN:
        _line(f"[dim]{len(told) - _SHOWN} earlier decisions[/]")
    for decision in told[-_SHOWN:]:
        _line(_decided(decision))
    out.print()


def _decided(decision: HealingDecision) -> str:
    words = f"[{_STATES[decision.state]}]{decision.state.replace('_', ' ')}[/]"
    what = f"{escape(decision.action)} {escape(decision.target)}"
    because = f" [dim]({escape('; '.join(decision.against))})[/]" if decision.against else ""
    came = f", {decision.outcome.replace('_', ' ')}" if decision.outcome else ""
    return f"{decision.decided_at:%d %b %H:%M} {escape(decision.playbook)}: {words} {what}{came}{because}"


def _line(text: str) -> None:
    out.print(Padding(text, (0, 0, 0, 4)), highlight=False)
