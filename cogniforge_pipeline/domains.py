"""What each domain brings to a home: kinds of declarations, tables, events, plots.

Belongs here: the list of domains, and which of them a home has. Does not: anything that only one of them knows.

What every home has, whatever its domains: the registry of declarations, the ingestion with its rollup, the event log and
the log of publications. The tables of a domain that a home is without are there, empty, so that SQL may name them.

COGNIFORGE_DOMAINS names the domains. Without it a domain that decides about nothing but what is declared for it joins
with the first file in a folder of its own, or when its Python API is opened: until then its steps would only cost time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from cogniforge_pipeline.aiops import announcements as aiops_announcements
from cogniforge_pipeline.aiops import (
    capacity_tables,
    cause_plots,
    decision_tables,
    forecast_plots,
    healing_announcements,
)
from cogniforge_pipeline.aiops import plots as aiops_plots
from cogniforge_pipeline.aiops import tables as aiops_tables
from cogniforge_pipeline.aiops.expectations import EXPECTATION_KIND
from cogniforge_pipeline.aiops.healing.model import PLAYBOOK_KIND
from cogniforge_pipeline.aiops.model import TOPOLOGY_KIND
from cogniforge_pipeline.aiops.planning_model import CAPACITY_KIND, FORECASTING_KIND
from cogniforge_pipeline.data_mesh import announcements as mesh_announcements
from cogniforge_pipeline.data_mesh import evolution
from cogniforge_pipeline.data_mesh import plots as mesh_plots
from cogniforge_pipeline.data_mesh import tables as mesh_tables
from cogniforge_pipeline.data_mesh.model import CONTEXT_KIND, GOVERNANCE_KIND
from cogniforge_pipeline.declarations import Kind
from cogniforge_pipeline.edge import announcements as edge_announcements
from cogniforge_pipeline.edge import plots as edge_plots
from cogniforge_pipeline.edge import tables as edge_tables
from cogniforge_pipeline.edge.model import REGION_KIND, WORKLOAD_KIND
from cogniforge_pipeline.gitops import announcements as gitops_announcements
from cogniforge_pipeline.gitops import assets as gitops_assets
from cogniforge_pipeline.gitops import plots as gitops_plots
from cogniforge_pipeline.gitops import policy_plots, policy_tables
from cogniforge_pipeline.gitops import tables as gitops_tables
from cogniforge_pipeline.gitops.model import APPLICATION_KIND
from cogniforge_pipeline.gitops.policy.declared import POLICY_KIND
from cogniforge_pipeline.gitops.policy_service import modules_of
from cogniforge_pipeline.home import Announcer, Home
from cogniforge_pipeline.lake import Connection
from cogniforge_pipeline.outcomes import Plot
from cogniforge_pipeline.recipes import Computed
from cogniforge_pipeline.registry import is_declared
from cogniforge_pipeline.settings import Settings
from cogniforge_pipeline.sre import announcements as sre_announcements
from cogniforge_pipeline.sre import plots as sre_plots
from cogniforge_pipeline.sre import tables as sre_tables
from cogniforge_pipeline.sre.budget_policy import BUDGET_POLICY_KIND
from cogniforge_pipeline.sre.openslo import OPENSLO_KIND
from cogniforge_pipeline.workflow import announcements as workflow_announcements
from cogniforge_pipeline.workflow import assets as workflow_assets
from cogniforge_pipeline.workflow import tables as workflow_tables
from cogniforge_pipeline.workflow.model import WORKFLOW_KIND


@dataclass(frozen=True)
class Domain:
    """One domain.

    `computed` is given a function to the home that it is for; `told` are the tables that its Python API writes.
    `readers` are assets that read from outside in the phase of ingestion, and `may_have_news` says whether they would
    find anything; `logs` are assets that bring a log of the home into the lake, in every run. With `when_declared` the
    domain is there only when something is declared for it.
    """

    name: str
    kinds: tuple[Kind[Any], ...] = ()
    computed: Callable[[Callable[[], Home]], list[Computed]] = lambda _: []
    announcers: Mapping[str, Announcer] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    plots: Mapping[str, Plot] = field(default_factory=dict)
    readers: Callable[[Home], list[dg.AssetsDefinition]] = lambda _: []
    may_have_news: Callable[[Connection], bool] = lambda _: False
    logs: Callable[[Home], list[dg.AssetsDefinition]] = lambda _: []
    jobs: Callable[[Home], list[dg.JobDefinition]] = lambda _: []
    sensors: Callable[[Home], list[dg.SensorDefinition]] = lambda _: []
    when_declared: bool = False

    def is_declared(self, settings: Settings) -> bool:
        """Whether a file may declare something of a kind of this domain, or its Python API was opened."""
        return (settings.domain_marks / self.name).exists() or any(
            _says_something(path) for kind in self.kinds for path in _files(settings.platform / kind.folder)
        )


def _mesh(home: Callable[[], Home]) -> list[Computed]:
    return mesh_tables.computed(lambda: home().contracts, lambda: (*home().queries.values(), *home().views.values()))


def _gitops(home: Callable[[], Home]) -> list[Computed]:
    return [*gitops_tables.computed(), *policy_tables.computed(lambda: modules_of(home().settings.platform))]


DOMAINS = (
    Domain(
        "aiops",
        (TOPOLOGY_KIND, EXPECTATION_KIND, PLAYBOOK_KIND, FORECASTING_KIND, CAPACITY_KIND),
        lambda _: aiops_tables.computed(),
        {**aiops_announcements.ANNOUNCERS, **healing_announcements.ANNOUNCERS, **capacity_tables.ANNOUNCERS},
        decision_tables.TOLD,
        {**aiops_plots.PLOTS, **cause_plots.PLOTS, **forecast_plots.PLOTS},
    ),
    Domain(
        "sre",
        (OPENSLO_KIND, BUDGET_POLICY_KIND),
        lambda _: sre_tables.computed(),
        sre_announcements.ANNOUNCERS,
        sre_tables.TOLD,
        sre_plots.PLOTS,
    ),
    Domain(
        "data_mesh",
        (CONTEXT_KIND, GOVERNANCE_KIND),
        _mesh,
        mesh_announcements.ANNOUNCERS,
        evolution.TOLD,
        mesh_plots.PLOTS,
    ),
    Domain(
        "gitops",
        (APPLICATION_KIND, POLICY_KIND),
        _gitops,
        gitops_announcements.ANNOUNCERS,
        (*gitops_tables.TOLD, *policy_tables.TOLD),
        {**gitops_plots.PLOTS, **policy_plots.PLOTS},
        readers=gitops_assets.assets,
        may_have_news=lambda cursor: is_declared(cursor, APPLICATION_KIND),  # only reading a repository tells
        when_declared=True,
    ),
    Domain(
        "workflow",
        (WORKFLOW_KIND,),
        lambda _: workflow_tables.computed(),
        workflow_announcements.ANNOUNCERS,
        logs=workflow_assets.assets,
        jobs=workflow_assets.jobs,
        sensors=workflow_assets.sensors,
        when_declared=True,
    ),
    Domain(
        "edge",
        (WORKLOAD_KIND, REGION_KIND),
        lambda home: edge_tables.computed(lambda: home().settings.platform),
        edge_announcements.ANNOUNCERS,
        edge_tables.TOLD,
        edge_plots.PLOTS,
        when_declared=True,
    ),
)


def _files(place: Path) -> Iterator[Path]:
    return iter([place]) if place.is_file() else (path for path in place.rglob("*") if path.is_file())


def _says_something(path: Path) -> bool:
    """Whether a file has more than comments: the starter's examples declare nothing."""
    with path.open("rb") as file:
        return any(line.strip() not in (b"", b"---") and not line.lstrip().startswith(b"#") for line in file)


def domains_of(settings: Settings) -> list[Domain]:
    """The domains of a home."""
    if settings.domains is not None:
        return [domain for domain in DOMAINS if domain.name in settings.domains]
    return [domain for domain in DOMAINS if not domain.when_declared or domain.is_declared(settings)]


def plots_of(domains: Iterable[Domain]) -> dict[str, Plot]:
    """The plot of each table that has one."""
    return {table: plot for domain in domains for table, plot in domain.plots.items()}
