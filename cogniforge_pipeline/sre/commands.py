"""The command `cogniforge canary`.

Belongs here: arguments, and printing with Rich. Does not: the work (`canary.py`, `sample_files.py`, `service.py`).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.options import HomeOption, JsonOption, existing_home, print_json

if TYPE_CHECKING:
    from cogniforge_pipeline.sre.canary import MetricJudgement
    from cogniforge_pipeline.sre.service_types import Canary

canary_app = typer.Typer(no_args_is_help=True, help="Judge canaries: two samples, or one that is watched as it runs.")
out = Console()

COLOURS = {"pass": "green", "promote": "green", "continue": "cyan", "rollback": "bold red", "inconclusive": "yellow"}

Pair = tuple[float, float]


@canary_app.command("judge")
def judge(
    control: Annotated[Path, typer.Option(help="The baseline's numbers; - is standard input.")],
    experiment: Annotated[Path, typer.Option(help="The canary's numbers; - is standard input.")],
    direction: Annotated[str, typer.Option(help="Which change is bad: increase, decrease or either.")] = "either",
    tolerance: Annotated[
        float, typer.Option(help="Share of the estimated shift that its interval must exceed.")
    ] = 0.25,
    confidence: Annotated[float, typer.Option(help="Confidence of the shift's interval.")] = 0.98,
    effect_size: Annotated[str, typer.Option(help="Measure of the effect: mean_ratio or cles.")] = "mean_ratio",
    effect_thresholds: Annotated[
        Pair | None,
        typer.Option(help="Effects that count: at most the first, at least the second.", show_default=False),
    ] = None,
    critical: Annotated[bool, typer.Option("--critical", help="A failure of this metric fails the canary.")] = False,
    critical_thresholds: Annotated[
        Pair | None, typer.Option(help="Effects that are critical, as --effect-thresholds.", show_default=False)
    ] = None,
    nan_strategy: Annotated[str, typer.Option(help="Missing numbers: remove them, or replace them by 0.")] = "remove",
    column: Annotated[
        str | None, typer.Option(help="Column of CSV, JSON and Parquet [default: value].", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a canary's sample with its baseline's (Mann-Whitney). Exit code 0: pass, 1: high, low or no data.

    Files are CSV, JSON or Parquet, or text with one number a line; empty and NaN are missing.
    """
    from cogniforge_pipeline.sre.canary import judge_metric
    from cogniforge_pipeline.sre.sample_files import STDIN, read_sample

    if control == experiment == STDIN:
        _usage("only one of --control and --experiment can be standard input")
    try:
        found = judge_metric(
            read_sample(control, column),
            read_sample(experiment, column),
            direction=direction,
            tolerance=tolerance,
            confidence=confidence,
            effect_size_measure=effect_size,
            effect_size_thresholds=effect_thresholds,
            critical_thresholds=critical_thresholds,
            nan_strategy=nan_strategy,
            is_critical=critical,
        )
    except CogniforgeError as error:
        _usage(str(error))
    if as_json:
        print_json(asdict(found))
    else:
        _show_judgement(found)
    if found.classification != "pass":
        raise typer.Exit(1)


@canary_app.command("start")
def start(
    service: Annotated[str, typer.Option(help="Service that is deployed.")],
    criterion: Annotated[
        list[str], typer.Option(help="METRIC<=LIMIT, METRIC>=LIMIT or METRIC=baseline; may be given again.")
    ],
    percentage: Annotated[float, typer.Option(help="Share of the traffic, in percent.")] = 10.0,
    minutes: Annotated[float, typer.Option(help="How long the canary is watched.")] = 30.0,
    id: Annotated[
        str | None, typer.Option("--id", help="Id of the deployment [default: a new one].", show_default=False)
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Begin to watch a canary."""
    from cogniforge_pipeline.sre.service import get_sre_service

    criteria = dict(_criterion(text) for text in criterion)
    canary = get_sre_service(existing_home(home)).start_canary_deployment(
        service, percentage, minutes, criteria, deployment_id=id
    )
    _show_canary(canary, as_json)


@canary_app.command("update")
def update(
    id: Annotated[str, typer.Argument(help="Id of the canary.")],
    metric: Annotated[
        list[str],
        typer.Option(
            help="METRIC=NUMBER, METRIC=BAD/TOTAL, METRIC=BAD/TOTAL:BAD/TOTAL with the baseline's, or METRIC={JSON}; "
            "may be given again."
        ),
    ],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what was measured since the last look, and get the verdict. Exit code 1: rollback or inconclusive."""
    from cogniforge_pipeline.sre.service import get_sre_service

    metrics = dict(_metric(text) for text in metric)
    _decided(get_sre_service(existing_home(home)).update_canary_metrics(id, metrics), as_json)


@canary_app.command("status")
def status(
    id: Annotated[str, typer.Argument(help="Id of the canary.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """The verdict now, without a new look. Exit code 1: rollback or inconclusive."""
    from cogniforge_pipeline.sre.service import get_sre_service

    _decided(get_sre_service(existing_home(home)).get_canary_status(id), as_json)


def _criterion(text: str) -> tuple[str, dict[str, Any]]:
    """A criterion as it is written on the command line."""
    for sign, at_least in (("<=", False), (">=", True), ("=", False)):
        name, found, limit = text.partition(sign)
        if found and name:
            if sign == "=" and limit.strip() == "baseline":
                return name.strip(), {"limit": None}
            return name.strip(), {"limit": _float(text, limit), "at_least": at_least}
    _usage(f"expected METRIC<=LIMIT, METRIC>=LIMIT or METRIC=baseline, got {text!r}")


def _metric(text: str) -> tuple[str, Any]:
    """A measurement as it is written on the command line."""
    name, found, value = text.partition("=")
    if not found or not name:
        _usage(f"expected METRIC=NUMBER or METRIC=BAD/TOTAL, got {text!r}")
    if value.lstrip().startswith("{"):
        try:
            return name.strip(), json.loads(value)
        except ValueError as error:
            _usage(f"{name}: not JSON: {error}")
    if "/" not in value:
        return name.strip(), _float(text, value)
    counts: dict[str, int] = {}
    for prefix, part in zip(("", "baseline_"), value.split(":"), strict=False):
        bad, _, total = part.partition("/")
        if not (bad.strip().isdigit() and total.strip().isdigit()):
            _usage(f"expected BAD/TOTAL as whole numbers, got {text!r}")
        counts |= {f"{prefix}bad": int(bad), f"{prefix}total": int(total)}
    return name.strip(), counts


def _float(text: str, number: str) -> float:
    try:
        return float(number)
    except ValueError:
        _usage(f"expected a number, got {number!r} in {text!r}")


def _usage(message: str) -> NoReturn:
    raise typer.BadParameter(message)


def _decided(canary: Canary, as_json: bool) -> None:
    _show_canary(canary, as_json)
    if canary.action in ("rollback", "inconclusive"):
        raise typer.Exit(1)


def _show_canary(canary: Canary, as_json: bool) -> None:
    if as_json:
        print_json(asdict(canary))
        return
    colour = COLOURS[canary.action]
    out.print(f"[bold]{escape(canary.deployment_id)}[/] {escape(canary.service_name)}: [{colour}]{canary.action}[/]")
    for reason in canary.reasons:
        out.print(f"  {escape(reason)}")


def _show_judgement(found: MetricJudgement) -> None:
    colour = COLOURS.get(found.classification, "bold red")
    table = Table("", "control", "experiment", title=f"[{colour}]{found.classification}[/]", title_justify="left")
    table.add_row("points", str(found.control_count), str(found.experiment_count))
    table.add_row("mean", f"{found.control_mean:.6g}", f"{found.experiment_mean:.6g}")
    out.print(table)
    out.print(escape(found.reason))
    if found.shift:
        out.print(f"two-sided p value {found.shift.p_value:.3g}")
    if found.critical:
        out.print("[bold red]critical[/]: this result fails the whole canary")
