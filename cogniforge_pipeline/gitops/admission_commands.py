"""`cogniforge admit`: may these manifests be applied?

Belongs here: arguments and printing. Does not: deciding (`admission.py`), or writing it down (`policy_service.py`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.options import HomeOption, JsonOption, print_json
from cogniforge_pipeline.settings import load_settings

if TYPE_CHECKING:
    from cogniforge_pipeline.gitops.admission import Admission

out = Console(soft_wrap=True, highlight=False)


def admit(
    files: Annotated[list[Path], typer.Argument(help="Manifests, YAML or JSON; a folder is read with those below.")],
    policy: Annotated[
        list[Path] | None,
        typer.Option(help="Policies in files, instead of the home's; may be given again.", show_default=False),
    ] = None,
    starter: Annotated[
        bool, typer.Option("--starter", help="Judge by the policies that come with the program, too.")
    ] = False,
    inventory: Annotated[
        list[Path] | None,
        typer.Option(help="Manifests of what is there already, for policies that look at others.", show_default=False),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge manifests before they are applied. Exit code 0: all may be, some with a warning; 1: one is denied.

    Without --policy, the policies of the home are asked, and the decisions are written down there. The manifests know of
    one another: a disruption budget in the same files counts.
    """
    from cogniforge_pipeline.gitops.admission import Decision, admit_all
    from cogniforge_pipeline.gitops.policy.documents import SUFFIXES, read_manifests
    from cogniforge_pipeline.gitops.policy.reading import read_policies
    from cogniforge_pipeline.gitops.policy.starters import starter_policies

    paths = [
        file
        for path in files
        for file in (sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES) if path.is_dir() else [path])
    ]
    resources = [manifest for path in paths for manifest in read_manifests(path) if manifest.get("kind")]
    if not resources:
        raise CogniforgeError(f"there is no manifest in {', '.join(map(str, files))}")
    known = [manifest for path in inventory or () for manifest in read_manifests(path)]
    chosen = starter_policies() if starter else []
    if policy:
        found = admit_all(resources, [*read_policies(policy), *chosen], inventory=[*known, *resources])
    else:
        settings = load_settings(home)
        if settings.home.is_dir():
            from cogniforge_pipeline.gitops.policy_service import PolicyService
            from cogniforge_pipeline.services import shared

            found = shared(PolicyService, settings).admit_resources(resources, others=known, policies=chosen)
        elif chosen:
            found = admit_all(resources, chosen, inventory=[*known, *resources])
        else:
            raise CogniforgeError(
                f"there are no policies: no home at {settings.home}", "name some with --policy, or use --starter"
            )
    if as_json:
        print_json({"admissions": [each.to_dict() for each in found]})
    else:
        for each in found:
            _show(each)
    if any(each.decision is Decision.DENY for each in found):
        raise typer.Exit(1)


def _show(admission: Admission) -> None:
    mark = {"allow": "[green]✓[/]", "warn": "[yellow]![/]", "deny": "[bold red]✗[/]"}[admission.decision.value]
    out.print(f"{mark} {escape(f'{admission.name} {admission.decision.value}')}")
    for color, messages in (("red", admission.denied), ("yellow", admission.warned), ("dim", admission.audited)):
        for message in messages:
            out.print(f"    [{color}]{escape(message)}[/]")
