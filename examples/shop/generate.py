"""Makes a home with the shop in it: `python examples/shop/generate.py HOME`.

Belongs here: which service is written in which format, copying the platform folder, and the summary.
Does not: the shop's behaviour (`shop_model`), its incidents (`shop_incidents`), the formats (`shop_formats`).
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import shop_formats as formats
from shop_incidents import (
    HERE,
    Deployment,
    Disturbance,
    Incident,
    read_deployments,
    read_incidents,
    read_maintenance,
)
from shop_model import DAY, Series, Shop

END = datetime(2026, 11, 1, tzinfo=UTC)
CSV_SERVICE, OTLP_SERVICE, OTLP_DAYS = "shipping", "recommendation", 3


@dataclass(frozen=True)
class Summary:
    """What was written: `points` counts distinct good points by format, `bad_rows` the others by reason.

    `files` are those with points; `refused` cannot be read at all. `incidents` and `deployments` are those
    that lie within the data, `start` is the time their minutes count from. `kept` are platform files that
    were there before and differ: they were left as they are.
    """

    start: datetime
    end: datetime
    points: dict[str, int]
    bad_rows: dict[str, int]
    files: tuple[Path, ...]
    refused: tuple[Path, ...]
    incidents: tuple[Incident, ...]
    deployments: tuple[Deployment, ...]
    kept: tuple[Path, ...]


def simulate(
    *, days: int = 21, end: datetime = END, seed: int = 7, incidents: Sequence[Incident] | None = None
) -> tuple[list[Series], list[Deployment], list[Incident]]:
    """The shop's series over `days` whole days up to `end` (UTC), its deployments and its incidents.

    `incidents` are those of incidents.yaml unless given; a run without them (`[]`) differs only where they
    act. Raises ValueError when `days` is not positive or `end` is not midnight UTC.
    """
    if days < 1:
        raise ValueError(f"expected at least 1 day, got {days}")
    if end.utcoffset() != timedelta(0) or end.time().isoformat() != "00:00:00":
        raise ValueError(f"expected an end at midnight UTC, got {end.isoformat()}")
    start, size = end - timedelta(days=days), days * DAY
    seeded = [i for i in (read_incidents() if incidents is None else incidents) if i.minute + i.minutes <= size]
    deployments = [d for d in read_deployments() if d.minute < size]
    effects = [e for window in read_maintenance() for e in window.effects]
    effects += [e for incident in seeded for e in incident.effects]
    shop = Shop(start, size, seed, Disturbance(effects, start, size, seed))
    return shop.series(deployments), deployments, seeded


def generate(
    home: Path,
    *,
    days: int = 21,
    end: datetime = END,
    seed: int = 7,
    incidents: Sequence[Incident] | None = None,
) -> Summary:
    """Writes `<home>/platform` and `<home>/telemetry`: `days` whole days up to `end` (midnight UTC).

    The same arguments give the same files. A platform file that is there and differs is kept. For `incidents`
    and what is raised see `simulate`.
    """
    series, deployments, seeded = simulate(days=days, end=end, seed=seed, incidents=incidents)
    start = end - timedelta(days=days)
    kept = copy_platform(home)

    def of(service: str) -> list[Series]:
        return [one for one in series if one.service == service]

    telemetry = home / "telemetry"
    rest = [one for one in series if one.service not in (CSV_SERVICE, OTLP_SERVICE)]
    parquet_files, parquet_points = formats.write_parquet(rest, start, days, telemetry / "shop")
    refused = formats.write_half_parquet(parquet_files[-1], start, days)
    csv_files, csv_points = formats.write_csv(of(CSV_SERVICE), start, telemetry / CSV_SERVICE)
    otlp_files, otlp_points = formats.write_otlp(
        of(OTLP_SERVICE),
        start,
        [d.minute for d in deployments if d.service == OTLP_SERVICE],
        min(days, OTLP_DAYS),
        telemetry / "otel" / f"{OTLP_SERVICE}.jsonl",
    )
    return Summary(
        start=start,
        end=end,
        points={"parquet": parquet_points, "csv": csv_points, "otlp": otlp_points},
        bad_rows={
            "duplicated": formats.DUPLICATED if days > 1 else 0,
            "unparsable value": formats.UNPARSABLE,
            "time before 1970": formats.BEFORE_1970,
            "time in the far future": formats.FAR_FUTURE,
        },
        files=(*parquet_files, *csv_files, *otlp_files),
        refused=(refused,),
        incidents=tuple(seeded),
        deployments=tuple(deployments),
        kept=kept,
    )


def copy_platform(home: Path) -> tuple[Path, ...]:
    """Copies the shop's platform folder into the home, but keeps and returns files there that differ."""
    kept = []
    for source in sorted(path for path in (HERE / "platform").rglob("*") if path.is_file()):
        target = home / "platform" / source.relative_to(HERE / "platform")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        elif target.read_bytes() != source.read_bytes():
            kept.append(target)
    return tuple(kept)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a home with the example shop in it.")
    parser.add_argument("home", type=Path, help="folder to write into; made when absent")
    parser.add_argument("--days", type=int, default=21, help="whole days of telemetry (default 21)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the noise (default 7)")
    arguments = parser.parse_args()
    summary = generate(arguments.home, days=arguments.days, seed=arguments.seed)
    print(f"{arguments.home}: telemetry from {summary.start:%Y-%m-%d} to {summary.end:%Y-%m-%d} (UTC)")
    for name, count in summary.points.items():
        print(f"  {count:>9,} points as {name}")
    print(f"  bad on purpose: {', '.join(f'{n} {what}' for what, n in summary.bad_rows.items())}")
    print(f"  refused on purpose: {', '.join(path.name for path in summary.refused)}")
    print(f"  {len(summary.incidents)} incidents, {len(summary.deployments)} deployments")
    for path in summary.kept:
        print(f"  kept your own {path}")


if __name__ == "__main__":
    main()
