"""Measurements told through Python: at least 20,000 durable points a second, and each ingested exactly once.

Four processes tell 50,000 points each, 5,000 at a time; the rate is that of all together, from the first call to the last
return, with every batch on disk. Then the home ingests them, twice. Beside it: one process, and one point at a time.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.harness import report
from cogniforge_pipeline.aiops.collect import Collector
from cogniforge_pipeline.aiops.telemetry import MetricType, TelemetryData

START = datetime(2026, 3, 1, tzinfo=UTC)
WORKERS, BATCHES, SIZE = 4, 10, 5_000
SINGLES = 300


def points(worker: int, batch: int, size: int) -> list[TelemetryData]:
    """Measurements of ten series of a service of its own."""
    return [
        TelemetryData(
            f"{worker}-{batch}-{n}",
            f"service-{worker}",
            MetricType.LATENCY,
            100.0 + n % 50,
            START + timedelta(seconds=batch * size + n),
            {"environment": "production", "region": f"r{n % 10}"},
            "ms",
        )
        for n in range(size)
    ]


def tell(landing: Path, worker: int, ready: object, seconds: object) -> None:
    """Tells this worker's points, once all workers are there."""
    batches = [points(worker, batch, SIZE) for batch in range(BATCHES)]
    collector = Collector(landing)
    ready.wait()  # type: ignore[attr-defined]
    began = time.time()
    for batch in batches:
        collector.append(batch)
    seconds.put((began, time.time()))  # type: ignore[attr-defined]


def together(landing: Path, workers: int) -> float:
    """Points a second of so many processes."""
    context = multiprocessing.get_context("spawn")
    ready, seconds = context.Barrier(workers), context.Queue()
    processes = [context.Process(target=tell, args=(landing, worker, ready, seconds)) for worker in range(workers)]
    for process in processes:
        process.start()
    spans = [seconds.get() for _ in processes]
    for process in processes:
        process.join()
    return workers * BATCHES * SIZE / (max(end for _, end in spans) - min(begin for begin, _ in spans))


def main() -> None:
    """Tell, ingest, count."""
    from cogniforge_pipeline.definitions import open_home
    from cogniforge_pipeline.settings import load_settings
    from cogniforge_pipeline.sources.declared import sources_of
    from cogniforge_pipeline.sources.ingest import ingest

    with tempfile.TemporaryDirectory() as folder:
        home = open_home(load_settings(Path(folder) / "home", environ={}))
        landing = home.settings.landing
        rate = together(landing, WORKERS)
        sources = sources_of(home.platform())
        held = [ingest(home.lake, home.contracts, sources, run_id=f"bench-{n}").rows("aiops.telemetry") for n in (1, 2)]
        alone = together(Path(folder) / "alone", 1)
        collector, began = Collector(Path(folder) / "single"), time.time()
        for one in points(0, 0, SINGLES):
            collector.append([one])
        single = SINGLES / (time.time() - began)
    exactly_once = held == [WORKERS * BATCHES * SIZE, 0]
    met = report(
        "collect",
        round(rate),
        20_000,
        1.0,
        at_least=True,
        exactly_once=exactly_once,
        one_process=round(alone),
        one_point_at_a_time=round(single),
    )
    if not met or not exactly_once:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
