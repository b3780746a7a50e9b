"""How the pages of Data Docs look and what they may do: they are read offline, and run nothing.

Belongs here: the first page, and what is done to the pages that Great Expectations has written. Does not: judging rows.

Its pages fetch styles and scripts from half a dozen servers, and without them show no colour and an empty first page.
Here they get a style of their own, lose their scripts, and forbid the browser to fetch or run anything.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

_STYLE = Path(__file__).with_name("data_docs.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_REMOTE = re.compile(
    r"<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*\bsrc=\"https?:[^>]*>|<footer\b.*?</footer>|\sonclick=\"[^\"]*\"",
    re.DOTALL,
)


@dataclass(frozen=True)
class Line:
    """A table's line on the first page; `errors`, `warnings` and `failed` are names of rules."""

    schema: str
    table: str
    description: str
    owner: str
    judged: str
    rules: int
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    failed: tuple[str, ...]


def escaped(value: Any) -> Any:
    """A result with every text in it made harmless as HTML."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Mapping):
        return {key: escaped(item) for key, item in value.items()}
    return [escaped(item) for item in value] if isinstance(value, list | tuple) else value


def finish(folder: Path, home: Path, lines: Sequence[Line]) -> None:
    """Makes all pages of a site readable offline, and writes its first page."""
    style = _STYLE.read_text(encoding="utf-8")
    head = f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    for page in folder.rglob("*.html"):
        text = _REMOTE.sub("", page.read_text(encoding="utf-8"))
        text = text.replace("<head>", f"<head>{head}", 1).replace("</head>", f"<style>{style}</style></head>", 1)
        page.write_text(text, encoding="utf-8")
    shutil.rmtree(folder / "static", ignore_errors=True)  # pictures and fonts that no page shows any more
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.html")}
    rows = "".join(_row(line, found) for line in sorted(lines, key=_order))
    broken = sum(bool(line.errors or line.failed) for line in lines)
    state = f'<strong class="text-danger">{broken} of {len(lines)} tables break their contract</strong>'
    if not broken:
        state = f'<strong class="text-success">all {len(lines)} tables keep their contract</strong>'
    title = f"Data Docs of {escape(home.name)}"
    (folder / "index.html").write_text(
        f'<!DOCTYPE html><html lang="en"><head>{head}<meta charset="UTF-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1.0"><title>{title}</title>'
        f'<style>{style}</style></head><body><div class="container-fluid"><h4>{title}</h4>'
        f"<p>{state}. Built {datetime.now(UTC):%Y-%m-%d %H:%M} UTC with Great Expectations, from the contracts and from "
        "the rows that are published. Publications are judged by the audit; this site shows it to readers.</p>"
        '<table class="table"><thead><tr><th>Status</th><th>Table</th><th>What it holds</th><th>Owner</th>'
        f"<th>Judged</th><th>Rules</th><th>Broken</th></tr></thead><tbody>{rows}</tbody></table></div></body></html>",
        encoding="utf-8",
    )


def _order(line: Line) -> tuple[bool, bool, str, str]:
    return (not (line.errors or line.failed), not line.warnings, line.schema, line.table)


def _row(line: Line, found: set[str]) -> str:
    name = f"{line.schema}/{line.table}"
    result = next((page for page in sorted(found) if page.startswith(f"validations/{name}/")), "")
    icon = "fa-check-circle text-success"
    if line.errors or line.failed:
        icon = "fa-times text-danger"
    elif line.warnings:
        icon = "fa-exclamation-triangle text-warning"
    broken = [f'<span class="badge badge-danger">{escape(rule)}</span>' for rule in line.errors]
    broken += [f'<span class="badge badge-danger">{escape(rule)} (not judged)</span>' for rule in line.failed]
    broken += [f'<span class="badge badge-warning">{escape(rule)}</span>' for rule in line.warnings]
    return (
        f'<tr><td><i class="fas {icon}"></i></td>'
        f'<td><a href="{escape(result)}">{escape(line.schema)}.{escape(line.table)}</a></td>'
        f"<td>{escape(line.description)}</td><td>{escape(line.owner)}</td><td>{escape(line.judged)}</td>"
        f'<td><a href="expectations/{escape(name)}.html">{line.rules}</a></td><td>{" ".join(broken)}</td></tr>'
    )
