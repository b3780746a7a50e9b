"""The Dagster asset that reads what applications want and what runs.

Belongs here: thin wiring. Does not: reading (`reading.py`), or the tables that follow (`tables.py`).
"""

import dagster as dg

from cogniforge_pipeline import metadata, outcomes
from cogniforge_pipeline.gitops.reading import READ, Reading, read_applications
from cogniforge_pipeline.gitops.remedy import remediate_allowed
from cogniforge_pipeline.gitops.states import SNAPSHOTS, known_problems
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.publish import AuditFailed
from cogniforge_pipeline.registry import REGISTRY

SHOWN = 100


def assets(home: Home) -> list[dg.AssetsDefinition]:
    """One step that publishes commits, snapshots and states together."""
    contracts = [home.contracts[name] for name in READ]

    @dg.multi_asset(
        name="gitops__read",
        specs=[metadata.spec(home, contract, inputs=(REGISTRY,), kinds=("python", "git")) for contract in contracts],
        can_subset=True,
        check_specs=[
            *(check for contract in contracts for check in metadata.checks(contract)),
            dg.AssetCheckSpec(
                "applications_readable",
                asset=home.contracts[SNAPSHOTS].key,
                description="every repository and live state could be read, and every manifest in it",
            ),
        ],
    )
    def gitops__read(context: dg.AssetExecutionContext) -> outcomes.Step:
        # act on what was seen last, then look again; a run that asks about another time changes nothing
        for outcome in remediate_allowed(home) if metadata.AS_OF_TAG not in context.run.tags else ():
            context.log.info("%s %s: %s", outcome.action, outcome.resource_key, outcome.message)
        try:
            found = read_applications(home, context.run.run_id)
        except AuditFailed as error:
            yield from outcomes.failed(home, error)
            raise dg.Failure(str(error), allow_retries=False) from error
        for problem in found.problems:
            context.log.warning(problem)
        if SNAPSHOTS in {".".join(key.path) for key in context.selected_asset_keys}:
            yield _readable(found, home)
        published = {publication.table: publication for publication in found.publications}
        for contract in contracts:
            if dg.AssetKey(contract.key) in context.selected_asset_keys:
                yield from outcomes.results(context, home, contract, published.get(contract.name), None)

    return [gitops__read]


def _readable(found: Reading, home: Home) -> dg.AssetCheckResult:
    """What cannot be read now, also what was found by earlier runs."""
    known = known_problems(home.lake.cursor()) if found.applications else []
    lines = [f"- {problem}" for problem in dict.fromkeys([*found.problems, *known])][:SHOWN]
    return dg.AssetCheckResult(
        asset_key=home.contracts[SNAPSHOTS].key,
        check_name="applications_readable",
        passed=not lines,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "commits": found.commits,
            "snapshots": found.snapshots,
            "problems": dg.MetadataValue.md("\n".join(lines) or "none"),
        },
    )
