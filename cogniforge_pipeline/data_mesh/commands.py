"""`cogniforge contract`: what a change of a schema breaks, the gate before a merge, and contracts in and out.

Belongs here: arguments and printing. Does not: the work (`documents.py`, `registration.py`, `interchange`).
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.options import HomeOption, JsonOption, existing_home, print_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cogniforge_pipeline.data_mesh.compatibility import Difference
    from cogniforge_pipeline.data_mesh.registration import Review

app = typer.Typer(no_args_is_help=True, help="Contracts: compare versions, and check a change before it is merged.")


class Mode(StrEnum):
    """The modes, as `compare_schemas` takes them."""

    BACKWARD = "BACKWARD"
    FORWARD = "FORWARD"
    FULL = "FULL"
    NONE = "NONE"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"


class Format(StrEnum):
    """The formats, as `export_contract` takes them."""

    ODCS = "odcs"
    JSON_SCHEMA = "json-schema"


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="The schema that is in use: JSON Schema (JSON or YAML), or ODCS.")],
    new: Annotated[Path, typer.Argument(help="The schema that is to take its place, of the same kind.")],
    mode: Annotated[Mode, typer.Option(case_sensitive=False, help="Who has to go on reading.")] = Mode.BACKWARD,
    history: Annotated[
        list[Path] | None,
        typer.Option(
            help="An earlier version for the transitive modes, the oldest first; may be given again.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two versions of a schema, without a home. Exit code 0: compatible, 1: not, 2: a file cannot be used."""
    from cogniforge_pipeline.data_mesh.documents import compare_documents, read_schema

    transitive = [each.value for each in Mode if each.endswith("_TRANSITIVE")]
    if history and mode.value not in transitive:
        _usage(f"mode {mode.value} takes no --history; these modes do: {', '.join(transitive)}")
    try:
        before, after, *earlier = [read_schema(path) for path in (old, new, *(history or ()))]
        found = compare_documents(before, after, mode.value, history=earlier)
    except CogniforgeError as error:
        _usage(str(error))
    if as_json:
        print_json(found.to_dict())
    else:
        console = Console()
        if found.differences:
            console.print(_differences(found.differences))
        verdict = "[bold green]compatible[/]" if found.compatible else "[bold red]not compatible[/]"
        count = f"{len(found.breaking)} of {len(found.differences)} differences break" if found.differences else "equal"
        console.print(f"{verdict} in mode {mode.value}: {count}")
    if not found.compatible:
        raise typer.Exit(1)


@app.command()
def check(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Compare the platform folder's contracts with the registered ones. Exit code 0: all are accepted, 1: a change is
    refused, 2: there is no lake to compare with.
    """
    from cogniforge_pipeline.data_mesh.registration import check_files

    try:
        results = check_files(existing_home(home))
    except CogniforgeError as error:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
        raise typer.Exit(2) from None
    if as_json:
        print_json([result.to_dict() for result in results])
    else:
        _print_reviews(results)
    if any(result.verdict == "refused" for result in results):
        raise typer.Exit(1)


def _print_reviews(results: Sequence[Review]) -> None:
    console = Console(soft_wrap=True)
    for result in results:
        colour, word = {
            "refused": ("bold red", "refused"),
            "accepted": ("green", "accepted"),
            "unchanged": ("dim", "unchanged"),
        }[result.verdict]
        versions = " → ".join(filter(None, (result.from_version, result.to_version)))
        console.print(f"[{colour}]{word}[/] [bold]{escape(result.path)}[/] {escape(versions)}")
        for item in result.differences:
            mark = "[bold red]breaks[/]" if item.breaking else "[green]fits[/]"
            console.print(f"    {mark} {item.rule} {escape(item.path)} {escape(item.message)}")
        if result.verdict == "refused":
            for reason in result.reasons:
                console.print(f"    [yellow]→[/] {escape(reason)}")
    refused = sum(result.verdict == "refused" for result in results)
    console.print(f"{len(results)} contracts, {refused} refused" if results else "no contracts in the platform folder")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="An ODCS v3 contract, or the JSON Schema of a row (JSON or YAML).")],
    name: Annotated[
        str | None,
        typer.Option(help="The table, as schema.table [default: as the file or its name says].", show_default=False),
    ] = None,
    home: HomeOption = None,
) -> None:
    """Make a contract of the platform folder from a file. What the contract cannot say is told."""
    from cogniforge_pipeline.data_mesh.interchange import import_contract

    settings = existing_home(home)
    found = import_contract(settings, file, name)
    shown = found.path.relative_to(settings.platform)
    verb = "[green]wrote[/]" if found.written else "[dim]is there already:[/]"
    size = f"{len(found.contract.columns)} columns, {len(found.contract.rules)} rules"
    console = Console(soft_wrap=True)
    console.print(f"{verb} [bold]{escape(str(shown))}[/], {size}")
    _print_notes(f"{file.name} says, and the contract does not", found.notes)
    query = settings.platform / "sql" / found.contract.schema / f"{found.contract.table}.sql"
    if not query.exists():
        console.print(
            f"next: write [bold]{escape(str(query.relative_to(settings.platform)))}[/], which makes the table"
        )


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="A registered contract: a table, or a product of the API.")],
    version: Annotated[
        str | None, typer.Option(help="A version that is kept [default: the newest].", show_default=False)
    ] = None,
    form: Annotated[Format, typer.Option("--format", case_sensitive=False, help="The format to write.")] = Format.ODCS,
    out: Annotated[Path | None, typer.Option(help="A file to write, instead of printing.", show_default=False)] = None,
    home: HomeOption = None,
) -> None:
    """Print a contract as ODCS v3 (YAML) or as the JSON Schema of a row. What the format cannot say is told."""
    from cogniforge_pipeline.data_mesh.interchange import export_named

    found = export_named(existing_home(home), name, version, form.value)
    if out is None:
        typer.echo(found.text, nl=False)
    else:
        try:
            out.write_text(found.text, encoding="utf-8")
        except OSError as error:
            raise CogniforgeError(f"{out} cannot be written: {error.strerror}", "check the path") from None
        typer.echo(f"wrote {out}", err=True)
    _print_notes(f"the contract says, and {form.value} does not", found.notes)


def _print_notes(title: str, notes: Sequence[str]) -> None:
    """On the error stream, so that what is printed can be piped."""
    if notes:
        console = Console(stderr=True, soft_wrap=True)
        console.print(f"[yellow]{escape(title)}:[/]")
        for note in notes:
            console.print(f"  {escape(note)}", highlight=False)


def _differences(differences: Iterable[Difference]) -> Table:
    table = Table(title="Differences", title_justify="left")
    for name in ("rule", "path", "direction", "breaking", "message"):
        table.add_column(name, overflow="fold")
    for item in differences:
        breaking = "[bold red]yes[/]" if item.breaking else "[green]no[/]"
        table.add_row(item.rule, escape(item.path), item.direction, breaking, escape(item.message))
    return table


def _usage(message: str) -> NoReturn:
    raise typer.BadParameter(message)
