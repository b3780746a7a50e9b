"""What an OpenLineage event says of an attempt to publish a table.

Belongs here: attempts to events, as values. Does not: where events go (`emitter.py`).

A job is an asset (`sre/burn_rates`), one attempt is a run of it: START, then COMPLETE or FAIL. A table of the lake is a
folder of Parquet files, and is named as OpenLineage names folders: namespace `file` or `s3://<bucket>`, and the path as
name. Its name in the catalog is a symlink, with DuckLake's own address of the catalog as namespace.

Figures are those of the audit: of the rows that this attempt has judged, bad ones included. Assertions stand at the
table that was written; OpenLineage first knew them for tables that are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import duckdb

from cogniforge_pipeline import __version__, conninfo
from cogniforge_pipeline.contracts import Audit
from cogniforge_pipeline.publish import Attempt, AuditFailed, midnight
from cogniforge_pipeline.queries import Query
from cogniforge_pipeline.settings import Settings

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset, RunEvent
    from openlineage.client.facet_v2 import (
        DatasetFacet,
        JobFacet,
        RunFacet,
        column_lineage_dataset,
        data_quality_assertions_dataset,
    )

PACKAGE = "cogniforge-pipeline"
PRODUCER = f"urn:{PACKAGE}:{__version__}"
LONGEST_SQL = 20_000
"""Longer statements are lists of values: rows, not source code."""

ColumnOrigins = Callable[[Query], Iterable[tuple[str, str, str]]]
"""Of a query: each column, with a table and the column of it that may decide its values."""

F = TypeVar("F")


@dataclass(frozen=True)
class Source:
    """How a table is computed: its query, if it has one, and where the query's columns come from."""

    query: Query | None = None
    origins: tuple[tuple[str, str, str], ...] = ()


def run_events(attempt: Attempt, settings: Settings, source: Source) -> list[RunEvent]:
    """The START of an attempt, with little in it, and its COMPLETE or FAIL, with all that is known."""
    from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
    from openlineage.client.uuid import generate_new_uuid

    chosen = settings.openlineage
    namespace = chosen.namespace if chosen else ""
    name, run_id = "/".join(attempt.contract.key), str(generate_new_uuid(attempt.started))
    started = RunEvent(
        eventType=RunState.START,
        eventTime=_time(attempt.started),
        run=Run(run_id, facets={"nominalTime": nominal} if (nominal := _nominal_time(attempt)) else {}),
        job=Job(namespace, name),
        producer=PRODUCER,
    )
    ended = RunEvent(
        eventType=RunState.FAIL if attempt.error else RunState.COMPLETE,
        eventTime=_time(attempt.ended),
        run=Run(run_id, facets=_run_facets(attempt, settings)),
        job=Job(namespace, name, facets=_job_facets(attempt, source)),
        inputs=_inputs(attempt, settings, source),
        outputs=[_output(attempt, settings, source)],
        producer=PRODUCER,
    )
    return [started, ended]


def dataset_name(table: str, data: str) -> tuple[str, str]:
    """Namespace and name of a table (`schema.table`) whose lake has its files at `data`, a folder or `s3://` address."""
    from openlineage.client.naming.dataset import S3, DatasetNaming, LocalFileSystem

    place = f"{data.rstrip('/')}/{table.replace('.', '/')}"
    url = urlsplit(place)
    naming: DatasetNaming = S3(url.netloc, url.path.lstrip("/")) if url.scheme == "s3" else LocalFileSystem(place)
    return naming.get_namespace(), naming.get_name()


def catalog_namespace(catalog: str) -> str:
    """The address of a catalog as `ATTACH` takes it, of PostgreSQL without who connects: `ducklake:sqlite:<path>`."""
    kind, _, place = catalog.partition(":")
    if kind != "postgres":
        return f"ducklake:{catalog}"
    named = conninfo.parse(place)
    host, port = named.get("host", "localhost"), named.get("port", "5432")
    return f"ducklake:postgres://{host}:{port}/{named.get('dbname', '')}"


def _facet(kind: Callable[..., F], **values: Any) -> F:
    return kind(**values, producer=PRODUCER)


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _run_facets(attempt: Attempt, settings: Settings) -> dict[str, RunFacet]:
    from openlineage.client.facet_v2 import error_message_run, processing_engine_run, tags_run

    made = attempt.publication
    seen: dict[str, object] = {"run_id": attempt.run_id}
    if made:
        seen |= {"snapshot": made.snapshot, "rows_quarantined": made.quarantined}
    if attempt.circumstances and attempt.circumstances.code_version:
        seen["code_version"] = attempt.circumstances.code_version
    found: dict[str, RunFacet] = {
        "processing_engine": _facet(
            processing_engine_run.ProcessingEngineRunFacet,
            name="duckdb",
            version=duckdb.__version__,
            openlineageAdapterVersion=__version__,
        ),
        "tags": _facet(
            tags_run.TagsRunFacet,
            tags=[tags_run.TagsRunFacetFields(key, str(value), PACKAGE) for key, value in seen.items()],
        ),
    }
    if nominal := _nominal_time(attempt):
        found["nominalTime"] = nominal
    if attempt.error:
        found["errorMessage"] = _facet(
            error_message_run.ErrorMessageRunFacet,
            message=settings.redact(str(attempt.error)),
            programmingLanguage="python",
        )
    return found


def _nominal_time(attempt: Attempt) -> RunFacet | None:
    """From the first of the days that are replaced to the end of the last one; of a decision, the moment it is made for."""
    from openlineage.client.facet_v2 import nominal_time_run

    facet = nominal_time_run.NominalTimeRunFacet
    if attempt.days:
        end = midnight(max(attempt.days) + timedelta(days=1))
        return _facet(facet, nominalStartTime=_time(midnight(min(attempt.days))), nominalEndTime=_time(end))
    moment = attempt.circumstances.as_of if attempt.circumstances else None
    return _facet(facet, nominalStartTime=_time(moment)) if moment else None


def _job_facets(attempt: Attempt, source: Source) -> dict[str, JobFacet]:
    from openlineage.client.facet_v2 import documentation_job, job_type_job, ownership_job, sql_job

    contract = attempt.contract
    found: dict[str, JobFacet] = {
        "jobType": _facet(
            job_type_job.JobTypeJobFacet, processingType="BATCH", integration="COGNIFORGE", jobType="ASSET"
        ),
    }
    if contract.description:
        found["documentation"] = _facet(documentation_job.DocumentationJobFacet, description=contract.description)
    if contract.owner:
        owners = [ownership_job.Owner(contract.owner, "OWNER")]
        found["ownership"] = _facet(ownership_job.OwnershipJobFacet, owners=owners)
    computed = attempt.circumstances is not None and attempt.circumstances.code_version
    text = source.query.text if source.query else ";\n".join(attempt.selects) if computed else ""
    if text and len(text) <= LONGEST_SQL:
        found["sql"] = _facet(sql_job.SQLJobFacet, query=text, dialect="duckdb")
    return found


def _inputs(attempt: Attempt, settings: Settings, source: Source) -> list[InputDataset]:
    """The tables read, each in the version that was read where that is known."""
    from openlineage.client.event_v2 import InputDataset

    read: Mapping[str, int | None] = dict.fromkeys(source.query.inputs if source.query else ())
    if attempt.circumstances:
        read = {**read, **attempt.circumstances.inputs}
    return [
        InputDataset(*dataset_name(table, settings.data), facets=_identity(table, number, settings))
        for table, number in sorted(read.items())
    ]


def _output(attempt: Attempt, settings: Settings, source: Source) -> OutputDataset:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import (
        documentation_dataset,
        output_statistics_output_dataset,
        ownership_dataset,
        schema_dataset,
    )

    contract, made = attempt.contract, attempt.publication
    facets = _identity(contract.name, made.version if made else None, settings)
    facets["schema"] = _facet(
        schema_dataset.SchemaDatasetFacet,
        fields=[
            schema_dataset.SchemaDatasetFacetFields(
                column.name, column.type, column.description or None, number, fields=None
            )
            for number, column in enumerate(contract.columns, 1)
        ],
    )
    if contract.description:
        facets["documentation"] = _facet(
            documentation_dataset.DocumentationDatasetFacet, description=contract.description
        )
    if contract.owner:
        owners = [ownership_dataset.Owner(contract.owner, "OWNER")]
        facets["ownership"] = _facet(ownership_dataset.OwnershipDatasetFacet, owners=owners)
    if source.origins:
        facets["columnLineage"] = _column_lineage(source.origins, settings)
    audit = made.audit if made else attempt.error.audit if isinstance(attempt.error, AuditFailed) else None
    if audit:
        facets |= _quality(audit)
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
    return OutputDataset(
        *dataset_name(contract.name, settings.data),
        facets=facets,
        outputFacets={"outputStatistics": _facet(statistics, rowCount=made.rows)} if made else {},
    )


def _identity(table: str, number: int | None, settings: Settings) -> dict[str, DatasetFacet]:
    from openlineage.client.facet_v2 import dataset_version_dataset, symlinks_dataset

    names = [symlinks_dataset.Identifier(catalog_namespace(settings.catalog), table, "TABLE")]
    found: dict[str, DatasetFacet] = {"symlinks": _facet(symlinks_dataset.SymlinksDatasetFacet, identifiers=names)}
    if number is not None:
        found["version"] = _facet(dataset_version_dataset.DatasetVersionDatasetFacet, datasetVersion=str(number))
    return found


def _column_lineage(
    origins: Iterable[tuple[str, str, str]], settings: Settings
) -> column_lineage_dataset.ColumnLineageDatasetFacet:
    from openlineage.client.facet_v2 import column_lineage_dataset as facets

    fields: dict[str, list[Any]] = {}
    for column, table, origin in origins:
        place = facets.InputField(*dataset_name(table, settings.data), origin, transformations=None)
        fields.setdefault(column, []).append(place)
    return _facet(
        facets.ColumnLineageDatasetFacet,
        fields={column: facets.Fields(places) for column, places in fields.items()},
        dataset=None,
    )


def _quality(audit: Audit) -> dict[str, Any]:
    from openlineage.client.facet_v2 import data_quality_assertions_dataset, data_quality_metrics_dataset

    columns = {
        name: data_quality_metrics_dataset.ColumnMetrics(nullCount=count, quantiles=None)
        for name, count in audit.null_counts.items()
    }
    assertions: list[data_quality_assertions_dataset.Assertion] = [
        data_quality_assertions_dataset.Assertion(
            assertion=result.rule.test,
            success=result.passed,
            column=result.rule.columns[0] if len(result.rule.columns) == 1 else None,
            severity=result.rule.severity.lower(),
            name=result.rule.name,
            description=result.rule.description,
            expected=str(result.rule.bounds) if result.rule.bounds else None,
            actual=str(result.observed),
            params=None,
        )
        for result in audit.results
    ]
    return {
        "dataQualityMetrics": _facet(
            data_quality_metrics_dataset.DataQualityMetricsDatasetFacet,
            columnMetrics=columns,
            rowCount=audit.rows,
        ),
        "dataQualityAssertions": _facet(
            data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet, assertions=assertions
        ),
    }
