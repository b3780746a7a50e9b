"""A new home: its folders and a commented starter platform.

Belongs here: what `cogniforge init` writes. Does not: the example platform of a whole shop (`examples/shop`).
"""

from __future__ import annotations

from pathlib import Path

from cogniforge_pipeline.errors import CogniforgeError

_FILES = {
    "platform/README.md": """\
# What this platform declares

Keep this folder in git. Every file is checked by `cogniforge doctor`, which names file and line of what is wrong.

| file | declares |
| --- | --- |
| `sources/*.yaml` | where telemetry comes from: files, OTLP, Prometheus, this host; and which files fill tables of yours |
| `topology.yaml` | services and what they depend on |
| `slos/*.yaml` | service level objectives (OpenSLO v1) |
| `contracts/<schema>/<table>.yaml` | columns and rules of a table of yours (ODCS v3) |
| `sql/<schema>/<table>.sql` | the SELECT that makes such a table, unless files fill it |
| `error_budget_policies/*.yaml` | what follows when an error budget is spent |
| `contexts/*.yaml` | bounded contexts: which products a part of the business offers, and what it reads from others |
| `policies/*.yaml`, `*.rego` | what manifests must keep: rules, Gatekeeper templates and constraints, Rego modules |
| `governance/*.yaml` | policies: what every product owes, and which one is excused until when |
| `capacity/*.yaml` | how many units a service has, what they can take, and how much room is kept |
| `expectations/*.yaml` | what is as it should be: maintenance, seasons, holidays, episodes |
| `playbooks/*.yaml` | what is done about which incident, and under which guard rails |
| `applications/*.yaml` | applications: repository, path, branch, and where their live state comes from |
| `workflows/*.yaml` | activities with retries and compensation, and what starts them |
| `workloads/*.yaml` | what must run somewhere: demand, resources, latency, residency |
| `regions/*` | regions, latencies and costs (CSV, Parquet, YAML) that override or add to the catalog |
| `forecasting.yaml` | how far ahead telemetry is forecast, and what of it in steps of five minutes |

Files dropped into `../landing/` (CSV, Parquet or JSON Lines with the columns `timestamp`, `service`, `metric` and
`value`) are read without any declaration.
""",
    "platform/sources/host.yaml": """\
# This machine's own CPU, memory, disks, network and load: real telemetry at once.
name: host
type: host
""",
    "platform/sources/examples.yaml": """\
# Remove the # in front of what fits, and change it.

# --- files: CSV, Parquet or JSON Lines; `**` goes down folders; paths are relative to this home
# name: exports
# type: files
# path: telemetry/**/*.csv
# columns: {timestamp: time, value: value}
# service: "{parent}"        # the file's folder
# metric: "{stem}"           # the file's name
# timezone: Europe/Berlin    # of times that have no offset

# --- a table of your own from files, checked against contracts/shop/orders.yaml; a changed file replaces its rows
# name: orders
# type: table
# table: shop.orders
# path: landing/orders/**
# columns: {order_id: id}    # the contract's column: its name in the files, where they differ
# timezone: Europe/Berlin    # of times that have no offset
# mode: append               # or replace: the newest file is the whole table, such as a nightly dump

# --- OTLP/JSON, as the OpenTelemetry Collector's file exporter writes it
# name: otel
# type: otlp
# path: telemetry/otel/*.jsonl

# --- Prometheus over its HTTP API
# name: prometheus
# type: prometheus
# url: http://127.0.0.1:9090
# matchers: ['{job="api"}']
# step: 1m
# lookback: 1d
# service_label: job
""",
    "platform/slos/examples.yaml": """\
# Remove the # in front of what fits, and change it. `cogniforge slo import` makes such files of Sloth's.

# --- 99.9 % of requests without an error, over 30 days
# apiVersion: openslo/v1
# kind: SLO
# metadata: {name: api-availability}
# spec:
#   service: api
#   indicator:
#     metadata: {name: api-errors}
#     spec:
#       ratioMetric:
#         counter: true
#         bad: {metricSource: {type: cogniforge, spec: {metric: http_requests_total, labels: ['code=~"5.."']}}}
#         total: {metricSource: {type: cogniforge, spec: {metric: http_requests_total}}}
#   timeWindow: [{duration: 30d, isRolling: true}]
#   budgetingMethod: Occurrences
#   objectives: [{target: 0.999}]
""",
    "platform/policies/examples.yaml": """\
# Remove the # in front of what fits, and change it. `cogniforge admit FILE` judges manifests before they are applied,
# `cogniforge policy what-if --policy FILE` says whom a policy would hit. ENFORCE denies, WARN warns, AUDIT writes down.

# --- policies that come with the program: probes, limits, image-tags, privileged, labels, replicas, disruption-budgets
# starter: probes
# enforcement_mode: WARN
# ---
# starter: labels
# parameters: {labels: [app.kubernetes.io/name, team]}

# --- a rule of your own: a condition in Rego over the manifest as `input` that must not hold
# rule_id: require-health-checks
# resource_types: [Deployment]
# enforcement_mode: ENFORCE
# severity: high
# rego_query: not input.spec.template.spec.containers[_].livenessProbe
# violation_message: Deployments must have health checks configured
""",
    "platform/topology.yaml": """\
# Services, how important each one is (tier 1 most), who owns it, and which others it calls.
services: []
#  - {name: web, tier: 1, owner: storefront, depends_on: [api]}
#  - {name: api, tier: 1, owner: platform, depends_on: []}
""",
    "landing/.gitkeep": "",
}


def make_home(folder: Path) -> list[Path]:
    """Writes the starter files and returns their places.

    Raises CogniforgeError when one of them is there already: nothing is overwritten, nothing is written then.
    """
    targets = {folder / name: text for name, text in _FILES.items()}
    taken = [path for path in targets if path.exists()]
    if taken:
        raise CogniforgeError(f"{taken[0]} is there already", "choose another folder; nothing was written")
    for path, text in targets.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CogniforgeError(f"{path} cannot be written: {error.strerror}", "choose another folder") from error
    return list(targets)
