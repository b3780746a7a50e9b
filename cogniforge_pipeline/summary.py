"""What `cogniforge run` shows: progress while it runs, then what was decided and where to look next.

Belongs here: printing. Does not: running.
"""

from __future__ import annotations

from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from cogniforge_pipeline.home import Home
from cogniforge_pipeline.runner import Report
from cogniforge_pipeline.sqltext import literal

STYLES = {"healthy": "green", "degraded": "yellow", "critical": "bold red", "unknown": "dim"}
BUDGET_STYLES = {"ok": "green", "warning": "yellow", "exhausted": "bold red", "no_data": "dim"}
SHOWN = 8
SHOWN_DAYS = 7
_ORDER = "CASE status WHEN 'critical' THEN 0 WHEN 'degraded' THEN 1 WHEN 'unknown' THEN 2 ELSE 3 END"


class Progress:
    """A line for each phase with its steps, and one for the points being read."""

    def __init__(self, console: Console, home: Home) -> None:
        self._bars = Bars(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}[/]"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._points: dict[str, int] = {}
        home.progress = self.read

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks.values():
            self._bars.update(task, total=1, completed=1)
        self._bars.stop()

    def step(self, phase: str, name: str, state: str) -> None:
        """Notes that a step of a phase started or ended."""
        if phase not in self._tasks:
            for task in self._tasks.values():
                self._bars.update(task, total=1, completed=1)
            self._tasks[phase] = self._bars.add_task(phase.ljust(9), total=None, note="")
        note = name.replace("__", ".")
        if state == "failure":
            note = f"[red]{note} failed[/]"
        self._bars.update(self._tasks[phase], note=note)

    def read(self, source: str, items: int, points: int) -> None:
        """Notes how much was read of a source."""
        self._points[source] = points
        if "ingest" in self._tasks:
            note = f"{source}: {items} items, {sum(self._points.values()):,} points in all"
            self._bars.update(self._tasks["ingest"], note=note)


def show(console: Console, home: Home, report: Report) -> None:
    """Prints services and their health, the newest incidents, error budgets, failed checks and steps, and where to look next."""
    cursor = home.lake.cursor()
    services = cursor.execute(
        "SELECT service, status, active_anomalies, reason, as_of FROM aiops.service_health "
        f"ORDER BY {_ORDER}, active_anomalies DESC, service"
    ).fetchall()
    if services:
        table = Table(
            "service", "health", "anomalies", "why", title=f"Services as of {services[0][4]:%Y-%m-%d %H:%M} UTC"
        )
        for service, status, anomalies, reason, _ in services[: 3 * SHOWN]:
            table.add_row(escape(service), f"[{STYLES[status]}]{status}[/]", str(anomalies), escape(reason))
        console.print(table)
        if len(services) > 3 * SHOWN:
            console.print(f"[dim]and {len(services) - 3 * SHOWN} more[/]")
        _anomalies(console, home, services[0][4])
        _budgets(console, home)
    else:
        console.print("No telemetry yet: declare a source in platform/sources, or drop a file into landing/.")
    _findings(console, home)
    _failures(console, report)
    root = escape(str(home.settings.home))
    console.print(f"\n[bold]Look[/]    cogniforge ui --home {root}")
    console.print(f'[bold]Ask[/]     cogniforge sql --home {root} "FROM aiops.service_health"')
    console.print(f"[bold]Read[/]    {escape(str(home.settings.reports))}")


def _anomalies(console: Console, home: Home, as_of: datetime) -> None:
    now = literal(as_of)
    rows = (
        home.lake.cursor()
        .execute(
            "SELECT title, started_at, ended_at, severity, reason FROM aiops.incidents "
            f"WHERE started_at <= {now} AND coalesce(ended_at, {now}) > {now} - INTERVAL {SHOWN_DAYS} DAY "
            f"ORDER BY started_at DESC, incident_id LIMIT {SHOWN}"
        )
        .fetchall()
    )
    if not rows:
        console.print(f"No incident in the last {SHOWN_DAYS} days.")
        return
    table = Table("incident", "from (UTC)", "to", "severity", "why", title=f"Incidents of the last {SHOWN_DAYS} days")
    for title, started, ended, severity, reason in rows:
        over = f"{ended:%m-%d %H:%M}" if ended else "now"
        table.add_row(escape(title), f"{started:%m-%d %H:%M}", over, severity, escape(reason))
    console.print(table)


def _findings(console: Console, home: Home) -> None:
    rows = (
        home.lake.cursor()
        .execute(
            "SELECT product_id, policy, reason, count(*) OVER () FROM data_mesh.governance_findings "
            f"WHERE status = 'failed' ORDER BY product_id, policy, rule LIMIT {SHOWN}"
        )
        .fetchall()
    )
    if not rows:
        return
    table = Table("product", "policy", "why", title="Products that break a policy")
    for product, policy, reason, _ in rows:
        table.add_row(escape(product), escape(policy), escape(reason))
    console.print(table)
    if rows[0][3] > len(rows):
        console.print(f"[dim]and {rows[0][3] - len(rows)} more[/]")


def _budgets(console: Console, home: Home) -> None:
    cursor = home.lake.cursor()
    rows = cursor.execute(
        "SELECT b.slo_id, b.service, b.target, b.remaining, b.status, b.exhaustion_at, f.firing "
        "FROM sre.error_budgets AS b LEFT JOIN ("
        "SELECT slo_id, string_agg(alert, ', ' ORDER BY alert) AS firing FROM sre.alerts WHERE cleared_at IS NULL "
        f"GROUP BY slo_id) AS f USING (slo_id) ORDER BY b.remaining NULLS LAST, b.slo_id LIMIT {SHOWN}"
    ).fetchall()
    if not rows:
        return
    table = Table("objective", "service", "target", "budget left", "lasts until", "alerts", title="Error budgets")
    for slo_id, service, target, remaining, status, until, firing in rows:
        left = "no events" if remaining is None else f"[{BUDGET_STYLES[status]}]{remaining:.1%}[/]"
        lasts = f"{until:%m-%d %H:%M}" if until else ""
        table.add_row(
            escape(slo_id),
            escape(service),
            f"{target:.4%}".rstrip("0%").rstrip(".") + "%",
            left,
            lasts,
            f"[bold red]{escape(firing)}[/]" if firing else "",
        )
    console.print(table)


def _failures(console: Console, report: Report) -> None:
    if report.failed_checks:
        table = Table("table", "check", "what was found", title="Checks that failed")
        for asset, check, message in report.failed_checks[: 2 * SHOWN]:
            table.add_row(escape(asset), escape(check), escape(message[:300]))
        console.print(table)
    for step, message in report.failed_steps:
        console.print(f"[bold red]✗ {escape(step.replace('__', '.'))}[/] {escape(message)}")
