"""The command `cogniforge drift`.

Belongs here: arguments and printing. Does not: the work (`drift_files.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.options import JsonOption, print_json

if TYPE_CHECKING:
    from cogniforge_pipeline.gitops.drift_files import FilesDrift

SHOWN = 60


def drift(
    desired: Annotated[Path, typer.Option(help="What is wanted: a file or a folder of manifests, YAML or JSON.")],
    live: Annotated[Path, typer.Option(help="What runs: the same, such as the output of kubectl get -o json.")],
    ignore: Annotated[
        Path | None,
        typer.Option(help="What to ignore: a file with Argo CD's ignoreDifferences.", show_default=False),
    ] = None,
    namespace: Annotated[str, typer.Option(help="Where manifests go that name no namespace.", show_default=False)] = "",
    as_json: JsonOption = False,
) -> None:
    """Compare what runs with what is wanted, without a home. Exit code 0: no drift, 1: drift, 2: a path cannot be used."""
    from cogniforge_pipeline.gitops.drift_files import drift_of_paths

    try:
        found = drift_of_paths(desired, live, ignore, namespace)
    except CogniforgeError as error:
        raise typer.BadParameter(str(error)) from None
    if as_json:
        print_json(found.to_dict())
    else:
        _show(found)
    if found.drifted:
        raise typer.Exit(1)


def _show(found: FilesDrift) -> None:
    console = Console(soft_wrap=True)
    for problem in found.problems:
        Console(stderr=True, soft_wrap=True).print(f"[yellow]![/] {escape(str(problem))}", highlight=False)
    colours = {"missing": "bold red", "extra": "yellow", "modified": "bold yellow"}
    for one in found.drifted:
        console.print(f"[{colours[one.status]}]{one.status}[/] [bold]{escape(str(one.key))}[/]")
        for field in one.fields:
            row = field.to_dict()
            values = f"desired {_text(row['desired'])}, live {_text(row['live'])}"
            console.print(f"    {escape(row['path'])}: {values}", highlight=False)
    for one in found.resources:
        for left in one.left_alone:
            path = left.field.to_dict()["path"]
            console.print(f"[dim]left alone:[/] {escape(f'{one.key} {path}')}: {escape(left.reason)}")
    verdict = f"[bold red]{len(found.drifted)} drifted[/]" if found.drifted else "[bold green]no drift[/]"
    console.print(f"{verdict}, {len(found.resources) - len(found.drifted)} synced")


def _text(value: Any) -> str:
    text = "-" if value is None else json.dumps(value, ensure_ascii=False)
    return escape(text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…")
