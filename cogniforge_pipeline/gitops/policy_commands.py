"""`cogniforge policy`: policies on plain files, and what they would do to a home.

Belongs here: arguments and printing. Does not: the work (`policy`).
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from cogniforge_pipeline.options import HomeOption, JsonOption, existing_home, print_json

if TYPE_CHECKING:
    from cogniforge_pipeline.gitops.policy.model import Verdict


class ReportApi(StrEnum):
    """The forms of `policy_reports.py`."""

    WGPOLICY = "wgpolicyk8s.io/v1alpha2"
    OPENREPORTS = "openreports.io/v1alpha1"


app = typer.Typer(no_args_is_help=True, help="Policies as code: verify them, and ask what they say of a manifest.")
out = Console(soft_wrap=True, highlight=False)


@app.command()
def verify(
    suites: Annotated[list[Path], typer.Argument(help="Suites in the format of `gator verify`, or folders of them.")],
    as_json: JsonOption = False,
) -> None:
    """Run suites of cases against Gatekeeper templates and constraints, one line for a case. Exit code 1: a case failed."""
    from cogniforge_pipeline.gitops.policy.suites import find_suites
    from cogniforge_pipeline.gitops.policy.suites import verify as run

    counts: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    marks = {"passed": "[green]✓[/]", "failed": "[bold red]✗[/]", "skipped": "[yellow]-[/]"}
    for path in find_suites(suites):
        for result in run(path):
            counts[result.standing] += 1
            rows.append(
                {
                    "suite": result.suite,
                    "test": result.test,
                    "case": result.case,
                    "standing": result.standing,
                    "reason": result.reason,
                }
            )
            if not as_json:
                reason = f": {result.reason}" if result.reason and result.standing == "failed" else ""
                line = f"{result.suite} {result.test}/{result.case} {result.standing}{reason}"
                out.print(f"{marks[result.standing]} {escape(line)}")
    if as_json:
        print_json({"cases": rows, **{name: counts[name] for name in ("passed", "failed", "skipped")}})
    else:
        total = counts.total() - counts["skipped"]
        skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
        out.print(f"{counts['passed']} of {total} cases passed{skipped}")
    if counts["failed"]:
        raise typer.Exit(1)


@app.command(name="eval")
def evaluate(
    policy: Annotated[
        list[Path],
        typer.Option(
            help="A Rego module, or YAML of rules, templates and constraints, or a folder; may be given again."
        ),
    ],
    inputs: Annotated[list[Path], typer.Option("--input", help="Manifests, YAML or JSON; may be given again.")],
    parameters: Annotated[
        Path | None, typer.Option(help="Parameters for a template without a constraint.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help='What rules read under `data`, such as {"inventory": …}.', show_default=False),
    ] = None,
    opa: Annotated[bool, typer.Option("--opa", help="Evaluate with the `opa` on the PATH instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what policies find in manifests. Exit code 1: a policy could not be evaluated, which is never a pass."""
    from cogniforge_pipeline.gitops.policy.evaluating import evaluate_files

    found = evaluate_files(policy, inputs, parameters, data, opa=opa)
    if as_json:
        print_json({"results": [_row(name, verdict) for name, verdict in found]})
    else:
        for name, verdict in found:
            show(name, verdict)
    if any(verdict.broken for _, verdict in found):
        raise typer.Exit(1)


@app.command(name="what-if")
def what_if(
    policy: Annotated[
        list[Path], typer.Option(help="The new or changed policies: files or folders; may be given again.")
    ],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whom policies would hit before they are enforced: over all that git ever said, and over what runs today."""
    from cogniforge_pipeline.gitops.policy.reading import read_policies
    from cogniforge_pipeline.gitops.policy_service import PolicyService
    from cogniforge_pipeline.services import shared

    found = shared(PolicyService, existing_home(home)).what_if(read_policies(policy))
    if as_json:
        print_json(found.to_dict())
        return
    for hit in found.hits:
        until = "still" if hit.now else f"until {hit.last:%Y-%m-%d %H:%M}"
        color = "[bold red]✗[/]" if hit.now else "[dim]✗[/]"
        where = f"{hit.policy_id} {hit.app_id} {hit.source} {hit.key}"
        out.print(f"{color} {escape(where)}: since {hit.first:%Y-%m-%d %H:%M}, {until}, {hit.states} state(s)")
        for message in hit.messages:
            out.print(f"    {escape(message)}")
    out.print(
        f"{len(found.now)} of {len(found.hits)} resources would be hit today; {found.states} states were looked at"
    )


@app.command()
def report(
    home: HomeOption = None,
    api: Annotated[ReportApi, typer.Option("--format", help="Which kind of report.")] = ReportApi.WGPOLICY,
) -> None:
    """Print what the policies in force say of what runs, as PolicyReports in YAML, ready for `kubectl apply -f -`."""
    import yaml

    from cogniforge_pipeline.gitops.policy_service import PolicyService
    from cogniforge_pipeline.services import shared

    made = shared(PolicyService, existing_home(home)).policy_reports(api.value)
    typer.echo(yaml.safe_dump_all(made, sort_keys=False), nl=False)


def show(name: str, verdict: Verdict) -> None:
    """Prints one verdict: a line, and one for each finding."""
    mark = {"pass": "[green]✓[/]", "fail": "[bold red]✗[/]", "skip": "[dim]-[/]"}.get(
        verdict.standing, "[bold red]![/]"
    )
    reason = f": {verdict.reason}" if verdict.reason else ""
    out.print(f"{mark} {escape(f'{verdict.policy.policy_id} {name} {verdict.standing}{reason}')}")
    for finding in verdict.findings:
        out.print(f"    {escape(finding.message)}")


def _row(name: str, verdict: Verdict) -> dict[str, Any]:
    return {
        "policy": verdict.policy.policy_id,
        "input": name,
        "standing": verdict.standing,
        "violations": [
            {"msg": each.message, "details": dict(each.details), "rule": each.rule} for each in verdict.findings
        ],
        "reason": verdict.reason,
    }
