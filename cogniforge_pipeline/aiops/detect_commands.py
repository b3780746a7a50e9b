"""The command `cogniforge detect`.

Belongs here: arguments, and showing progress. Does not: the work (`detection/files.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

console = Console()
errors = Console(stderr=True)


def detect(
    path: Annotated[Path, typer.Argument(help="A CSV file timestamp,value, or a folder of such files.")],
    out: Annotated[Path, typer.Option(help="Folder for the scored files, at the same relative paths.")],
    warmup: Annotated[
        int | None,
        typer.Option(
            help="Rows to learn from [default: 15 % of a file's rows, at most 750].", min=1, show_default=False
        ),
    ] = None,
) -> None:
    """Score each point of CSV files by its past: expected value, bounds, anomaly_score (1 is the alert line), is_anomaly."""
    from cogniforge_pipeline.aiops.detection.files import detect_files

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("", total=None)

        def tell(source: Path, number: int, count: int) -> None:
            progress.update(task, description=escape(source.name), completed=number - 1, total=count)

        made = detect_files(path, out, warmup=warmup, listener=tell)
    rows, alerts = sum(file.rows for file in made), sum(file.alerts for file in made)
    console.print(
        f"[green]✓[/] {len(made)} {'file' if len(made) == 1 else 'files'}, {rows:,} rows, {alerts:,} alerts"
        f" → {escape(str(out))}"
    )
