"""The command `cogniforge forecast`.

Belongs here: arguments, progress and printing with Rich. Does not: the work (`forecasting/`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

app = typer.Typer()
console = Console()


@app.command("forecast")
def forecast(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet: series, step or ts, value.")],
    horizon: Annotated[int, typer.Option(help="How many steps ahead.", min=1)],
    season: Annotated[int, typer.Option(help="Steps of one season: 24 for hours with a day.", min=1)],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV or Parquet file to write.")],
) -> None:
    """Forecast all series of a file, with bounds at 80 and 95 %.

    One model is learnt over all series; whatever loses to seasonal naive in the backtest is not served.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from cogniforge_pipeline.aiops.forecasting.files import forecast_file

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("series", total=None)
        model, made = forecast_file(
            file,
            horizon=horizon,
            season=season,
            out=out,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    backtest = model.backtest()
    served = ", ".join(f"{name} {count}" for name, count in backtest["model"].value_counts(sort=True).rows())
    console.print(f"[green]✓[/] {len(backtest)} series, {len(made)} rows → {escape(str(out))}")
    console.print(f"served: {served}")
    tested = backtest.drop_nulls()
    if len(tested):
        ours, naive = (float(tested[name].to_numpy().mean()) for name in ("mase", "naive_mase"))
        console.print(f"backtest: mean MASE {ours:.3f}, seasonal naive {naive:.3f} ({len(tested)} series)")
