"""`cogniforge events`: publishing to the event log, reading it, and having a consumer read again.

Belongs here: arguments and printing. Does not: the work.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.options import HomeOption, JsonOption, existing_home, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from cogniforge_pipeline.events.log import EventLog
    from cogniforge_pipeline.events.model import Event

events_app = typer.Typer(no_args_is_help=True, help="Events: publish, read, and read again.")
_BATCH = 1000
_LOOK_SECONDS = 0.2


@events_app.command()
def publish(
    type: Annotated[
        str | None,
        typer.Argument(help="Dotted lower-case words; without it, CloudEvents come as JSON lines from standard input."),
    ] = None,
    home: HomeOption = None,
    data: Annotated[str, typer.Option(help="The payload, as JSON.")] = "null",
    source: Annotated[str, typer.Option(help="Who tells it, as a URI reference.")] = "/cogniforge/cli",
    subject: Annotated[str | None, typer.Option(help="What it is about.", show_default=False)] = None,
    id: Annotated[str | None, typer.Option(help="Unique within the source.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Publish one event, or a CloudEvent for each line of standard input; they are on disk when this ends."""
    log = _log(home)
    if type is None:
        count = _publish_lines(log)
        print_json({"published": count}) if as_json else typer.echo(f"{count} new events")
        return
    event = log.publish(type, _json(data), source=source, subject=subject, id=id)
    print_json(event.to_cloudevent()) if as_json else typer.echo(f"{event.seq} {event.id}")


@events_app.command()
def tail(
    home: HomeOption = None,
    type: Annotated[
        list[str] | None,
        typer.Option(help="A type or pattern such as 'slo.*'; may be given again.", show_default=False),
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="How many of the newest.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the newest events; with --json as CloudEvents, one a line."""
    log = _log(home)
    last = log.last_seq()
    newest = list(log.read(until=last, types=type))[-count:] if count else []
    for event in newest:
        _print(event, as_json)
    while follow:
        for event in log.read(last, types=type):
            _print(event, as_json)
            last = event.seq
        time.sleep(_LOOK_SECONDS)


@events_app.command()
def replay(
    consumer: Annotated[str, typer.Argument(help="The consumer that is to read again.")],
    home: HomeOption = None,
    after: Annotated[int | None, typer.Option(help="From the event after this seq.", min=0, show_default=False)] = None,
    since: Annotated[
        datetime | None, typer.Option(help="From the first event at this UTC time.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Set a consumer back: what comes after that point is delivered to it again."""
    log = _log(home)
    if (after is None) == (since is None):
        raise CogniforgeError("expected --after or --since", "such as --since 2026-03-01T12:00:00")
    if consumer not in log.consumers():
        known = ", ".join(log.consumers()) or "none"
        raise CogniforgeError(f"there is no consumer {consumer!r}", f"consumers: {known}")
    seq = after if after is not None else log.seq_at(_utc(since))
    reader = log.consumer(consumer)
    reader.seek(seq)
    print_json({"consumer": consumer, "cursor": seq, "lag": reader.lag()}) if as_json else typer.echo(
        f"{consumer} reads {reader.lag()} events again"
    )


def _log(home: Path | None) -> EventLog:
    from cogniforge_pipeline.events.log import EventLog

    settings = existing_home(home)
    settings.events.parent.mkdir(parents=True, exist_ok=True)
    return EventLog(settings.events)


def _publish_lines(log: EventLog) -> int:
    from cogniforge_pipeline.events.model import Event

    batch: list[Event] = []
    count = 0
    for number, line in enumerate(sys.stdin, 1):
        if not line.strip():
            continue
        try:
            batch.append(Event.from_cloudevent(json.loads(line)))
        except (ValueError, CogniforgeError, AttributeError) as error:
            raise CogniforgeError(
                f"line {number} is no CloudEvent: {error}", f"the {count} before the batch of this line are published"
            ) from None
        if len(batch) == _BATCH:
            count += log.append_many(batch)
            batch.clear()
    return count + log.append_many(batch)


def _print(event: Event, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(event.to_cloudevent(), ensure_ascii=False))
        return
    data = json.dumps(event.data, ensure_ascii=False)
    typer.echo(f"{event.seq} {event.time:%Y-%m-%d %H:%M:%S} {event.type} {event.subject or event.source} {data}")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CogniforgeError(f"--data: expected JSON, got {text[:60]!r} ({error})", "quote it for the shell") from None


def _utc(moment: datetime | None) -> datetime:
    assert moment is not None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
