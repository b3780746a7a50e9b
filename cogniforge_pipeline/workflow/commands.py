"""`cogniforge workflow`: running workflows, looking at executions, and talking to them.

Belongs here: arguments and printing. Does not: the work (`service.py`).
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.options import HomeOption, JsonOption, existing_home, print_json

if TYPE_CHECKING:
    from cogniforge_pipeline.workflow.journal import WorkflowExecution
    from cogniforge_pipeline.workflow.service import WorkflowOrchestrationService

workflow_app = typer.Typer(no_args_is_help=True, help="Workflows: run them, look at executions, and talk to them.")

ExecutionArgument = Annotated[str, typer.Argument(help="The execution's id, as `list` shows it.")]
_COLORS = {"completed": "green", "running": "cyan", "queued": "cyan", "compensated": "yellow", "cancelled": "yellow"}
_LOOK_SECONDS = 0.1


@workflow_app.command("run")
def run_workflow(
    workflow: Annotated[str, typer.Argument(help="The workflow's id.")],
    home: HomeOption = None,
    input_data: Annotated[str, typer.Option("--input", help="Its input, as JSON.")] = "null",
    key: Annotated[
        str | None, typer.Option(help="Idempotency key: a second run with it starts nothing.", show_default=False)
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Leave it to any worker, and print its id.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a workflow here and show how it goes. Ends with exit code 1 unless it completes."""
    service = _service(home)
    given = _json(input_data, "--input")
    try:
        execution_id = service.start_workflow(workflow, given, idempotency_key=key, queued=detach)
        if detach:
            print_json({"execution_id": execution_id}) if as_json else typer.echo(execution_id)
            return
        execution = _follow(service, execution_id, Console(quiet=as_json))
    finally:
        service.close()
    _show(service, execution, as_json)
    if execution.status != "completed":
        raise typer.Exit(1)


@workflow_app.command("list")
def list_workflows(
    home: HomeOption = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """The newest executions, and the workflows that are declared."""
    service = _service(home)
    executions = service.list_executions(limit)
    declared = service.definitions()
    if as_json:
        print_json({"workflows": sorted(declared), "executions": [_plain(each) for each in executions]})
        return
    console = Console()
    table = Table("execution", "status", "started", "seconds", "error")
    for each in executions:
        seconds = (each.finished_at - each.started_at).total_seconds() if each.finished_at and each.started_at else None
        shown = "" if seconds is None else f"{seconds:.1f}"
        why = f"{each.error['type']}: {each.error['message']}" if each.error else ""
        started = f"{each.started_at:%Y-%m-%d %H:%M:%S}" if each.started_at else ""
        table.add_row(escape(each.execution_id), _colored(each.status), started, shown, escape(why[:80]))
    console.print(table)
    console.print(f"workflows: {escape(', '.join(sorted(declared))) or 'none are declared in platform/workflows'}")


@workflow_app.command("show")
def show_execution(execution: ExecutionArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """One execution: how it stands, and what came of each operation."""
    service = _service(home)
    _show(service, service.get_execution(execution), as_json)


@workflow_app.command("cancel")
def cancel_execution(execution: ExecutionArgument, home: HomeOption = None) -> None:
    """Ask an execution to end; its worker undoes what was done."""
    _service(home).cancel(execution)
    typer.echo(f"asked {execution} to end")


@workflow_app.command("signal")
def signal_execution(
    execution: ExecutionArgument,
    name: Annotated[str, typer.Argument(help="The signal's name; of an approval, the activity's id.")],
    home: HomeOption = None,
    payload: Annotated[str, typer.Option(help='JSON, such as {"approved": true, "by": "ada"}.')] = "null",
    signal_id: Annotated[
        str | None, typer.Option("--id", help="A second signal with it is not sent.", show_default=False)
    ] = None,
) -> None:
    """Send a signal to an execution, or the answer to an approval."""
    _service(home).signal(execution, name, _json(payload, "--payload"), signal_id=signal_id)
    typer.echo(f"sent {name} to {execution}")


@workflow_app.command("retry")
def retry_execution(execution: ExecutionArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Run an execution that did not complete again, from its beginning."""
    service = _service(home)
    try:
        again = _follow(service, service.retry(execution), Console(quiet=as_json))
    finally:
        service.close()
    _show(service, again, as_json)
    if again.status != "completed":
        raise typer.Exit(1)


@workflow_app.command("worker")
def worker(
    home: HomeOption = None,
    drain: Annotated[bool, typer.Option("--drain", help="End when nothing is left to do.")] = False,
) -> None:
    """Work on executions, and start those that events ask for, until interrupted."""
    service = _service(home)
    try:
        begun = service.work(drain=drain)
        typer.echo(f"events started {begun}")
    except KeyboardInterrupt:
        typer.echo("ended; what runs goes on at the next worker")
    finally:
        service.close()


def _service(home: Path | None) -> WorkflowOrchestrationService:
    from cogniforge_pipeline.workflow.service import WorkflowOrchestrationService

    return WorkflowOrchestrationService(existing_home(home))


def _follow(service: WorkflowOrchestrationService, execution_id: str, console: Console) -> WorkflowExecution:
    seen = 0
    console.print(f"[bold]{escape(execution_id)}[/]")
    while True:
        execution = service.get_execution(execution_id)
        history = service.history(execution_id)
        for outcome in history[seen:]:
            console.print(_line(outcome))
        seen = len(history)
        if execution.done:
            return execution
        time.sleep(_LOOK_SECONDS)


def _show(service: WorkflowOrchestrationService, execution: WorkflowExecution, as_json: bool) -> None:
    if as_json:
        print_json(_plain(execution) | {"history": service.history(execution.execution_id)})
        return
    console = Console()
    console.print(f"{_colored(execution.status)} [bold]{escape(execution.execution_id)}[/]")
    for outcome in service.history(execution.execution_id):
        console.print(_line(outcome))
    if execution.error:
        console.print(f"[red]{escape(execution.error['type'])}[/] {escape(execution.error['message'])}")
    if execution.output is not None:
        console.print_json(json.dumps(execution.output))


def _line(outcome: dict[str, Any]) -> str:
    mark = "[green]✓[/]" if outcome["ok"] else "[yellow]-[/]" if outcome.get("interrupted") else "[red]✗[/]"
    error = outcome.get("error") or {}
    why = f" {error.get('type')}: {error.get('message')}" if error else ""
    seconds = outcome["finished"] - outcome["started"]
    number = f" {outcome['attempt']}" if outcome["attempt"] > 1 else ""
    return f"  {mark} {outcome['kind']} {escape(outcome['unit'])}{number} [dim]{seconds:.2f} s[/]{escape(why)}"


def _colored(status: str) -> str:
    color = _COLORS.get(status, "red")
    return f"[{color}]{status}[/]"


def _plain(execution: WorkflowExecution) -> dict[str, Any]:
    found = asdict(execution)
    del found["definition"]
    return found


def _json(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CogniforgeError(
            f"{option}: expected JSON, got {text[:60]!r} ({error})", "quote it for the shell"
        ) from None
