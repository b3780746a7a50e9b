"""What a user declares for GitOps: applications, and what may be done about their drift.

Belongs here: the declared forms. Does not: reading repositories (`git.py`) or clusters (`live.py`).

    # platform/applications/shop.yaml
    app_id: shop
    repository: https://github.com/org/shop      # or a local path, file://, ssh://, git@host:path
    path: k8s                                    # the folder of manifests, rendered: plain YAML and JSON
    branch: main                                 # or tag: v1.2; the repository's own branch when neither is given
    destination: {server: https://kubernetes.default.svc, namespace: shop}
    live:                                        # where the live state comes from
      files: snapshots/shop                      # kubectl get … -o json: a file or a folder, within the home
      # context: prod                            # … or a cluster of your kubeconfig, asked with kubectl
      # namespaces: [shop]
    sync_policy: {auto_sync: false, auto_remediate: false, prune: false}
    ignore_differences:                          # as in Argo CD
      - {group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}

Kustomize and Helm are not run: commit what they render, or give the repository that your pipeline renders into.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from cogniforge_pipeline.declarations import DeclarationModel, Kind
from cogniforge_pipeline.gitops.ignore import IgnoreRule
from cogniforge_pipeline.gitops.urls import check_folder, check_repository, check_revision

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
ContextName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./:@-]{0,252}$")]
Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
Resource = Annotated[str, Field(pattern=r"^[a-z][a-z0-9.-]{0,126}$")]

IN_CLUSTER = "https://kubernetes.default.svc"
RESOURCES = (
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "services",
    "configmaps",
    "secrets",
    "ingresses.networking.k8s.io",
    "jobs.batch",
    "cronjobs.batch",
    "serviceaccounts",
    "horizontalpodautoscalers.autoscaling",
    "poddisruptionbudgets.policy",
    "networkpolicies.networking.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "persistentvolumeclaims",
)
"""What a cluster is asked for, unless an application says otherwise."""


class Destination(DeclarationModel):
    """Where an application runs: the cluster's name or address, and where manifests go that name no namespace."""

    server: Annotated[str, Field(min_length=1)] = IN_CLUSTER
    namespace: Namespace | None = None


class SyncPolicy(DeclarationModel):
    """What may be done without asking, and how often.

    An attempt that failed is followed by another after `backoff_seconds`, doubled each time, up to
    `max_backoff_seconds` and `max_attempts` for one commit. One that succeeded is followed by another after
    `cooldown_seconds` at the earliest, and `loop_after` repairs of the same field for one commit are a loop.
    """

    auto_sync: bool = False
    auto_remediate: bool = False
    prune: bool = False
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    backoff_seconds: Annotated[float, Field(gt=0, le=86_400)] = 30
    max_backoff_seconds: Annotated[float, Field(gt=0, le=86_400)] = 600
    cooldown_seconds: Annotated[float, Field(ge=0, le=86_400)] = 300
    loop_after: Annotated[int, Field(ge=2, le=100)] = 3


class LiveSource(DeclarationModel):
    """Where the live state is read: files within the home, or a context of the user's kubeconfig."""

    files: str | None = None
    context: ContextName | None = None
    namespaces: tuple[Namespace, ...] = ()
    resources: tuple[Resource, ...] = RESOURCES

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.files is None) == (self.context is None):
            raise ValueError("give either files or context")
        return self


class Application(DeclarationModel):
    """One application: what git says, where it runs, what may be done."""

    app_id: Name
    name: str = ""
    repository: Annotated[str, AfterValidator(check_repository)]
    path: Annotated[str, AfterValidator(check_folder)] = ""
    branch: Annotated[str, AfterValidator(check_revision)] | None = None
    tag: Annotated[str, AfterValidator(check_revision)] | None = None
    destination: Destination = Destination()
    sync_policy: SyncPolicy = SyncPolicy()
    ignore_differences: tuple[IgnoreRule, ...] = ()
    live: LiveSource | None = None
    history: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """So many commits at most are read when the application is new."""

    @field_validator("ignore_differences", mode="before")
    @classmethod
    def _rules(cls, given: Any) -> Any:
        return [rule.model_dump(by_alias=True) if isinstance(rule, IgnoreRule) else rule for rule in given or ()]

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.branch is not None and self.tag is not None:
            raise ValueError("give a branch or a tag, not both")
        return self

    @property
    def revision(self) -> str:
        """What is wanted, in words."""
        return self.branch or self.tag or "HEAD"


APPLICATION_KIND = Kind("application", "applications", Application, key=lambda application: application.app_id)
