"""One run from the command line: ingest, the days that changed, the decisions, each as a Dagster run of the home's own
instance.

Belongs here: the order of the three runs and what they reported. Does not: printing (`cli.py`), or the work itself.
"""

from __future__ import annotations

import difflib
import os
import shutil
import uuid
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import dagster as dg

from cogniforge_pipeline import metadata, publish
from cogniforge_pipeline.definitions import build_definitions, defs
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.increments import Request, all_spans, fact_spans, stale_decisions
from cogniforge_pipeline.reports.export import FILE
from cogniforge_pipeline.sensors import DECISIONS, DOCS, FACTS, INGEST, REPORTS
from cogniforge_pipeline.settings import Settings, packaged
from cogniforge_pipeline.written_assets import shown_version

EXPORTED = dg.AssetKey(["reports", "duckdb"])
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Report:
    """What one run did: steps by phase, checks that failed, steps that failed (name and message)."""

    run_ids: list[str] = field(default_factory=list)
    steps: int = 0
    failed_checks: list[tuple[str, str, str]] = field(default_factory=list)
    failed_steps: list[tuple[str, str]] = field(default_factory=list)

    @property
    def success(self) -> bool:
        return not self.failed_steps


Listener = Callable[[str, str, str], None]
"""Told of each step: the phase, the step's name, and `start`, `success` or `failure`."""


def instance_of(settings: Settings) -> dg.DagsterInstance:
    """The home's own Dagster instance; its folder is made when it is not there. Raises CogniforgeError."""
    folder = settings.dagster_home
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "dagster.yaml").exists():
            shutil.copyfile(packaged("dagster.yaml"), folder / "dagster.yaml")
    except OSError as error:
        raise CogniforgeError(
            f"{folder} cannot be written: {error.strerror}", "give this user the right to write in the home"
        ) from error
    before = dict(os.environ)
    os.environ.update(settings.environment())  # its storage finds the home by it
    try:
        return dg.DagsterInstance.from_config(str(folder))
    finally:
        os.environ.clear()
        os.environ.update(before)


def run(
    home: Home,
    *,
    select: str | None = None,
    full_refresh: bool = False,
    as_of: datetime | None = None,
    listener: Listener | None = None,
    verbose: bool = False,
) -> Report:
    """Runs the main job. `select` is Dagster's asset selection; `full_refresh` computes every day and decision again.

    A failed step stops what depends on it and nothing else. Raises CogniforgeError for a selection that is invalid or
    empty.
    """
    definitions = build_definitions(home)
    graph = definitions.resolve_asset_graph()
    wanted = _selected(graph, select)
    made_by = {
        asset.op.name: asset.keys for asset in definitions.assets or () if isinstance(asset, dg.AssetsDefinition)
    }
    report = Report()
    tags = {metadata.CHANGED_TAG: str(not full_refresh).lower()}
    if as_of:
        tags[metadata.AS_OF_TAG] = as_of.isoformat()
    with instance_of(home.settings) as instance:

        def phase(name: str, extra: Mapping[str, str], resting: Collection[dg.AssetKey] = ()) -> None:
            job = definitions.resolve_job_def(name)
            held_back = _downstream(graph, made_by, report).union(resting)
            keys = [key for key in job.asset_layer.executable_asset_keys if key in wanted - held_back]
            if keys:
                _execute(home, job, instance, keys, {**tags, **extra}, report, listener, verbose)

        phase(INGEST, {})
        with home.lake.explained():
            spans = all_spans(home) if full_refresh else fact_spans(home)
        for span in spans:
            phase(FACTS, metadata.range_tags(span, only_changed=not full_refresh))
        resting: set[dg.AssetKey] = set()
        if select is None and not full_refresh:
            with home.lake.explained():
                resting = _unchanged(home, instance, graph, as_of)
        for name in (DECISIONS, REPORTS):
            phase(name, {}, resting)
        if select is not None:
            phase(DOCS, {})
    return report


def _downstream(graph: dg.AssetGraph, made_by: Mapping[str, Iterable[dg.AssetKey]], report: Report) -> set[dg.AssetKey]:
    """What the failed steps should have made, and all that depends on it; each phase is a run that sees no other."""
    failed = [key for step, _ in report.failed_steps for key in made_by.get(step, ())]
    return set(dg.AssetSelection.assets(*failed).downstream().resolve(graph)) if failed else set()


def _unchanged(
    home: Home, instance: dg.DagsterInstance, graph: dg.AssetGraph, as_of: datetime | None
) -> set[dg.AssetKey]:
    """Of a run without news the decisions, which would be as they are, and the tables that would be shown as they were:
    a step for each only to find that out would cost more than all else. With news everything is looked at, for then the
    daemon must find nothing left to do."""
    if stale_decisions(home, Request(run_id="", as_of=as_of or home.as_of())):
        return set()
    versions = publish.versions(home.lake.cursor())
    resting = set()
    for key in graph.executable_asset_keys:
        table = ".".join(key.path)
        if table in home.queries or table in home.computed:
            resting.add(key)
        elif table in home.contracts:
            last = instance.get_latest_materialization_event(key)
            shown = last.asset_materialization.metadata if last and last.asset_materialization else {}
            if "version" in shown and shown["version"].value == shown_version(versions, table):
                resting.add(key)
    if (home.settings.reports / FILE).exists():
        resting |= {key for key in (EXPORTED,) if graph.get(key).parent_keys <= resting}
    return resting


def _selected(graph: dg.AssetGraph, select: str | None) -> set[dg.AssetKey]:
    if select is None:
        return set(graph.get_all_asset_keys())
    names = sorted(key.to_user_string() for key in graph.get_all_asset_keys())
    near = difflib.get_close_matches(select.removeprefix("key:").strip('"+*'), names, 1)
    hint = (
        f"did you mean {near[0]}?" if near else f"assets: {', '.join(names)}; or such as group:aiops, aiops/rollup_5m+"
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            keys = set(dg.AssetSelection.from_string(select).resolve(graph))
    except dg.DagsterError as error:
        raise CogniforgeError(f"--select {select!r} is not a selection of this home's assets", hint) from error
    if not keys:
        raise CogniforgeError(f"--select {select!r} selects nothing", hint)
    return keys


def _execute(
    home: Home,
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    keys: Sequence[dg.AssetKey],
    tags: Mapping[str, str],
    report: Report,
    listener: Listener | None,
    verbose: bool,
) -> None:
    config = None if verbose else QUIET
    if home.settings.executor == "in_process":
        run_id = str(uuid.uuid4())
        if listener:
            instance.add_event_listener(run_id, lambda entry: _tell(entry, job.name, listener))
        result = job.execute_in_process(
            run_config=config,
            instance=instance,
            asset_selection=keys,
            tags=tags,
            raise_on_error=False,
            run_id=run_id,
        )
        events = result.all_events
    else:
        os.environ.update(home.settings.environment())  # the processes of the steps find the home by it
        done = dg.execute_job(
            dg.build_reconstructable_job("cogniforge_pipeline.runner", "job_named", reconstructable_args=(job.name,)),
            instance=instance,
            run_config=config,
            tags=tags,
            asset_selection=keys,
        )
        run_id, events = done.run_id, done.all_events
    report.run_ids.append(run_id)
    for event in events:
        if event.is_step_success:
            report.steps += 1
        elif event.is_step_failure:
            report.failed_steps.append((event.step_key or "", _message(event)))
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            check = event.asset_check_evaluation_data
            if not check.passed:
                told = check.metadata.get("message") or check.metadata.get("reasons") or check.metadata.get("problems")
                report.failed_checks.append(
                    (check.asset_key.to_user_string(), check.check_name, str(told.value) if told else "")
                )
    if report.failed_steps and (stored := instance.get_run_by_id(run_id)):
        metadata.announce_failure(home, stored, "; ".join(f"{s}: {m}" for s, m in report.failed_steps))


def job_named(name: str) -> dg.JobDefinition:
    """A job of the home that the environment names; other processes build it again with this."""
    return defs().resolve_job_def(name)


def _tell(entry: dg.EventLogEntry, phase: str, listener: Listener) -> None:
    event = entry.dagster_event
    if event is None or event.step_key is None:
        return
    state = {"STEP_START": "start", "STEP_SUCCESS": "success", "STEP_FAILURE": "failure"}.get(event.event_type_value)
    if state:
        listener(phase, event.step_key, state)


def _message(event: dg.DagsterEvent) -> str:
    """The error of ours that ended a step, with its hint, else the first cause."""
    error = event.step_failure_data.error
    causes = []
    while error is not None:
        causes.append(error.message.strip())
        error = error.cause
    ours = [cause.partition(": ")[2] for cause in causes if cause.startswith("cogniforge_pipeline.")]
    return next(iter([*ours, *reversed(causes)]), "")
