"""The command `cogniforge deploy`.

Belongs here: arguments, who may override a closed gate, and printing with Rich. Does not: the work (`service.py`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape

from cogniforge_pipeline.options import HomeOption, JsonOption, existing_home, print_json

if TYPE_CHECKING:
    from cogniforge_pipeline.sre.service_types import DeploymentRisk

deploy_app = typer.Typer(
    no_args_is_help=True, help="Tell of deployments: the gate and the risk before, the outcome after."
)
out = Console()

Strategy = Literal["canary", "blue_green", "rolling", "recreate"]
ChangeType = Literal["normal", "p0", "security"]
Outcome = Literal["succeeded", "failed", "rolled_back"]


@deploy_app.command("start")
def deploy_start(
    service: Annotated[str, typer.Option(help="Service that is deployed.")],
    version: Annotated[str | None, typer.Option(help="Version that is deployed.", show_default=False)] = None,
    strategy: Annotated[
        Strategy | None, typer.Option(help="How the new version replaces the old one.", show_default=False)
    ] = None,
    lines: Annotated[int | None, typer.Option(help="Lines changed.", show_default=False)] = None,
    files: Annotated[int | None, typer.Option(help="Files changed.", show_default=False)] = None,
    change_type: Annotated[ChangeType, typer.Option(help="Kind of change.")] = "normal",
    by: Annotated[
        str | None, typer.Option(help="Who lets a p0 or security change pass a closed gate.", show_default=False)
    ] = None,
    why: Annotated[str | None, typer.Option(help="Why it has to pass.", show_default=False)] = None,
    id: Annotated[
        str | None, typer.Option("--id", help="Id of the deployment [default: a new one].", show_default=False)
    ] = None,
    author: Annotated[str | None, typer.Option(help="Who deploys.", show_default=False)] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.", show_default=False)] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the release gate and the risk, and record the deployment. Exit code 1: the gate is closed.

    Behind a closed gate it is recorded as planned. A p0 or security change passes where the error budget policy allows
    its kind and --by and --why say who answers for it, which is recorded.
    """
    if (by is None) != (why is None):
        raise typer.BadParameter("an override needs both --by and --why")
    if by is not None and change_type == "normal":
        raise typer.BadParameter("an override needs --change-type p0 or security")
    from cogniforge_pipeline.sre.service import get_sre_service

    sre = get_sre_service(existing_home(home))
    state = sre.get_service_sre_status(service)
    open_gate = bool(state["deployment_allowed"])
    overridden = not open_gate and by is not None and change_type in state["gate"]["allowed_changes"]
    deployment = sre.record_deployment(
        service,
        strategy,
        deployment_id=id,
        version=version,
        status="in_progress" if open_gate or overridden else "planned",
        lines_changed=lines,
        files_changed=files,
        change_type=change_type,
        author=author,
        description=description,
        override_by=by if overridden else None,
        override_reason=why if overridden else None,
    )
    risk = sre.assess_deployment_risk(deployment.deployment_id, service)
    if as_json:
        print_json(
            {
                "deployment": asdict(deployment),
                "deployment_allowed": open_gate,
                "overridden": overridden,
                "reasons": state["reasons"],
                "risk": {**asdict(risk), "contributions": [asdict(item) for item in risk.contributions]},
            }
        )
    else:
        _show_gate(open_gate, overridden, by, state["reasons"])
        _show_risk(risk)
        out.print(f"deployment [bold]{escape(deployment.deployment_id)}[/] is {deployment.status}")
        if not open_gate and not overridden:
            out.print(f"[dim]{_who_may_pass(state['gate'])}[/]")
    if not open_gate and not overridden:
        raise typer.Exit(1)


@deploy_app.command("finish")
def deploy_finish(
    id: Annotated[str, typer.Argument(help="Id of the deployment.")],
    status: Annotated[Outcome, typer.Option(help="How it ended.")] = "succeeded",
    home: HomeOption = None,
) -> None:
    """Tell how a deployment ended."""
    from cogniforge_pipeline.sre.service import get_sre_service

    done = get_sre_service(existing_home(home)).finish_deployment(id, status)
    out.print(f"deployment [bold]{escape(done.deployment_id)}[/] of {escape(done.service)} has {escape(done.status)}")


def _show_gate(is_open: bool, overridden: bool, by: str | None, reasons: list[str]) -> None:
    words = "[green]open[/]" if is_open else "[bold red]closed[/]"
    out.print(f"release gate: {words}" + (f", overridden by [bold]{escape(by or '')}[/]" if overridden else ""))
    for reason in reasons:
        out.print(f"  {escape(reason)}")


def _who_may_pass(gate: dict[str, Any]) -> str:
    kinds = " or ".join(gate["allowed_changes"])
    return f"with --change-type {kinds}, --by and --why it may pass" if kinds else "no kind of change may pass"


def _show_risk(risk: DeploymentRisk) -> None:
    out.print(f"risk of failure: [bold]{risk.risk_score:.0%}[/], {escape(risk.recommendation)}")
    for item in risk.contributions[:3]:
        out.print(f"  {escape(item.words)}")
    out.print(f"  [dim]{escape(risk.basis)}[/]")
