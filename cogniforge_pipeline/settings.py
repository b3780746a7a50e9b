"""Where this installation lies and how it runs: the one place that reads the environment.

Belongs here: the home, the two URLs (catalog and data), the executor and resource limits, and the folders inside the
home and the package. Does not: anything that opens a file or a connection.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cogniforge_pipeline import conninfo
from cogniforge_pipeline.errors import CogniforgeError

EXECUTORS = ("in_process", "multiprocess", "celery", "k8s")
DOMAINS = ("data_mesh", "aiops", "sre", "gitops", "workflow", "edge")
FIRST_DAY = date(1970, 1, 1)
PASSWORD = "COGNIFORGE_CATALOG_PASSWORD"
OPENLINEAGE = "COGNIFORGE_OPENLINEAGE"

_SECRET_S3 = {
    "KEY_ID": "AWS_ACCESS_KEY_ID",
    "SECRET": "AWS_SECRET_ACCESS_KEY",
    "SESSION_TOKEN": "AWS_SESSION_TOKEN",
}

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent


@dataclass(frozen=True)
class OpenLineage:
    """Where OpenLineage events go besides the file in the home: `url` is the server's address without `/api/v1/lineage`.

    `namespace` is that of the jobs; homes that send to one server need one each.
    """

    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    namespace: str = "cogniforge"


@dataclass(frozen=True)
class Settings:
    """One installation.

    `home` is an absolute folder. `catalog` is `sqlite:<path>` or `postgres:<libpq key=value pairs>`; those never hold
    the `password`, and where that is None, libpq looks in its own places (PGPASSWORD, ~/.pgpass). `data` is a folder or
    an `s3://bucket/prefix`. `executor` is one of EXECUTORS, `executor_config` is Dagster's configuration of it.
    `memory_limit` is a DuckDB size such as `4GB`, `threads` the DuckDB threads of one process; None leaves DuckDB's
    default. `first_day` is the first UTC day that facts may have. `s3` holds the parameters of a DuckDB S3 secret
    (KEY_ID, SECRET, SESSION_TOKEN, ENDPOINT, REGION, URL_STYLE, USE_SSL). `openlineage` is None where no events are wanted.
    `domains` are those of DOMAINS that runs decide for; None leaves it to what is declared (see `domains.py`).
    """

    home: Path
    catalog: str
    data: str
    executor: str = "in_process"
    memory_limit: str | None = None
    threads: int | None = None
    first_day: date = FIRST_DAY
    executor_config: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)
    password: str | None = field(default=None, repr=False)
    s3: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    openlineage: OpenLineage | None = OpenLineage()
    domains: tuple[str, ...] | None = field(default=None, compare=False)  # one home is one lake, whatever it decides

    @property
    def platform(self) -> Path:
        return self.home / "platform"

    @property
    def landing(self) -> Path:
        return self.home / "landing"

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def domain_marks(self) -> Path:
        """One empty file for each domain whose Python API was opened."""
        return self.state / "domains"

    @property
    def dagster_home(self) -> Path:
        return self.state / "dagster"

    @property
    def events(self) -> Path:
        return self.state / "events.sqlite"

    def environment(self) -> dict[str, str]:
        """The variables that make another process use this same installation. They hold its secrets."""
        chosen = {
            "COGNIFORGE_HOME": str(self.home),
            "COGNIFORGE_CATALOG": self.catalog,
            "COGNIFORGE_DATA": self.data,
            "COGNIFORGE_EXECUTOR": self.executor,
            "COGNIFORGE_FIRST_DAY": self.first_day.isoformat(),
            "DAGSTER_HOME": str(self.dagster_home),
        }
        if self.domains is not None:
            chosen["COGNIFORGE_DOMAINS"] = ",".join(self.domains)
        if self.memory_limit:
            chosen["COGNIFORGE_MEMORY_LIMIT"] = self.memory_limit
        if self.threads:
            chosen["COGNIFORGE_THREADS"] = str(self.threads)
        if "REGION" in self.s3:
            chosen["AWS_REGION"] = self.s3["REGION"]
        if "ENDPOINT" in self.s3:
            scheme = "http" if self.s3.get("USE_SSL") == "false" else "https"
            chosen["AWS_ENDPOINT_URL_S3"] = f"{scheme}://{self.s3['ENDPOINT']}"
        chosen |= {variable: self.s3[key] for key, variable in _SECRET_S3.items() if key in self.s3}
        if self.password:
            chosen[PASSWORD] = self.password
        if self.executor_config:
            chosen["COGNIFORGE_EXECUTOR_CONFIG"] = json.dumps(self.executor_config)
        return chosen | _lineage_environment(self.openlineage)

    def redact(self, text: str) -> str:
        """The text without passwords and keys, in case another library's message holds them."""
        api_key = self.openlineage.api_key if self.openlineage else None
        for secret in (self.password, api_key, *(self.s3.get(key) for key in _SECRET_S3)):
            for form in {secret, quote(secret, safe="")} if secret else ():
                text = text.replace(form, "***")
        return text


def load_settings(home: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings from the environment; `home` wins over COGNIFORGE_HOME, which wins over `./.cogniforge`.

    Raises CogniforgeError for a value that is not one of those allowed.
    """
    env = os.environ if environ is None else environ
    root = Path(home or env.get("COGNIFORGE_HOME") or ".cogniforge").expanduser().absolute()
    catalog = env.get("COGNIFORGE_CATALOG") or f"sqlite:{root / 'lake' / 'catalog.sqlite'}"
    password = None
    if catalog.startswith(("postgresql:", "postgres:")):
        catalog, password = _postgres(catalog)
    elif not catalog.startswith("sqlite:"):
        raise CogniforgeError(
            "COGNIFORGE_CATALOG: expected sqlite:<path>, postgresql://<user>@<host>/<database> or postgres:<key=value>",
            "unset it to keep the catalog inside the home",
        )
    data = env.get("COGNIFORGE_DATA") or str(root / "lake" / "data")
    if "://" in data and not re.match(r"s3://[^/@:]+(/|$)", data):
        raise CogniforgeError(
            "COGNIFORGE_DATA: expected a folder or s3://<bucket>/<prefix>",
            "an address goes into AWS_ENDPOINT_URL, keys go into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    executor = env.get("COGNIFORGE_EXECUTOR") or "in_process"
    if executor not in EXECUTORS:
        raise CogniforgeError(
            f"COGNIFORGE_EXECUTOR: expected one of {', '.join(EXECUTORS)}, got {executor!r}",
            "unset it to run the steps in one process",
        )
    return Settings(
        home=root,
        catalog=catalog,
        data=data,
        executor=executor,
        executor_config=_object(env, "COGNIFORGE_EXECUTOR_CONFIG"),
        memory_limit=env.get("COGNIFORGE_MEMORY_LIMIT") or None,
        threads=_whole(env, "COGNIFORGE_THREADS"),
        first_day=_day(env, "COGNIFORGE_FIRST_DAY"),
        password=password or env.get(PASSWORD) or None,
        s3=_s3(env),
        openlineage=_openlineage(env),
        domains=_domains(env),
    )


def packaged(folder: str) -> Path:
    """The package's own data (`sql`, `contracts`, `examples`, `dagster.yaml`): the checkout's or the wheel's."""
    inside = _PACKAGE / "_data" / folder
    return inside if inside.exists() else _CHECKOUT / folder


def _whole(env: Mapping[str, str], name: str) -> int | None:
    text = env.get(name)
    if not text:
        return None
    if not text.isdigit() or int(text) < 1:
        raise CogniforgeError(f"{name}: expected a whole number of at least 1, got {text!r}")
    return int(text)


def _domains(env: Mapping[str, str]) -> tuple[str, ...] | None:
    text = env.get("COGNIFORGE_DOMAINS")
    if not text:
        return None
    named = [word.strip() for word in text.split(",")]
    if unknown := [word for word in named if word not in DOMAINS]:
        raise CogniforgeError(
            f"COGNIFORGE_DOMAINS: there is no domain {unknown[0]!r}", f"name some of {','.join(DOMAINS)}, with commas"
        )
    return tuple(word for word in DOMAINS if word in named)


def _day(env: Mapping[str, str], name: str) -> date:
    text = env.get(name)
    if not text:
        return FIRST_DAY
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise CogniforgeError(f"{name}: expected a day such as 2020-01-31, got {text!r}") from error


def _object(env: Mapping[str, str], name: str) -> dict[str, Any]:
    try:
        found = json.loads(env.get(name) or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CogniforgeError(f"{name}: expected a JSON object", 'such as {"max_concurrent": 2} for multiprocess')
    return found


def _postgres(text: str) -> tuple[str, str | None]:
    inner = text.removeprefix("postgres:")
    try:
        parameters = conninfo.parse(text if inner.startswith("//") else inner)
    except ValueError as error:
        raise CogniforgeError(
            f"COGNIFORGE_CATALOG: {error}", "write postgresql://<user>@<host>:5432/<database>"
        ) from error
    if "sslpassword" in parameters:
        raise CogniforgeError(
            "COGNIFORGE_CATALOG: sslpassword cannot be kept secret here", "use a key without passphrase"
        )
    password = parameters.pop("password", None)
    return f"postgres:{conninfo.render(parameters)}", password


def _openlineage(env: Mapping[str, str]) -> OpenLineage | None:
    word = env.get(OPENLINEAGE) or "on"
    if word not in ("on", "off"):
        raise CogniforgeError(f"{OPENLINEAGE}: expected on or off, got {word!r}")
    url = env.get(f"{OPENLINEAGE}_URL") or None
    if url and not re.match(r"https?://[^/@\s]+(/[^@\s?#]*)?$", url):
        raise CogniforgeError(
            f"{OPENLINEAGE}_URL: expected http(s)://<host>:<port>",
            f"the server's address without /api/v1/lineage; a key goes into {OPENLINEAGE}_API_KEY",
        )
    default = OpenLineage()
    return (
        OpenLineage(
            url.removesuffix("/").removesuffix("/api/v1/lineage") if url else None,
            env.get(f"{OPENLINEAGE}_API_KEY") or None,
            env.get(f"{OPENLINEAGE}_NAMESPACE") or default.namespace,
        )
        if word == "on"
        else None
    )


def _lineage_environment(chosen: OpenLineage | None) -> dict[str, str]:
    if chosen is None:
        return {OPENLINEAGE: "off"}
    named = {"URL": chosen.url, "API_KEY": chosen.api_key, "NAMESPACE": chosen.namespace}
    return {f"{OPENLINEAGE}_{name}": value for name, value in named.items() if value}


def _s3(env: Mapping[str, str]) -> dict[str, str]:
    parameters = {key: env[name] for key, name in _SECRET_S3.items() if env.get(name)}
    region = env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    if region:
        parameters["REGION"] = region
    endpoint = env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL")
    if endpoint:
        scheme, _, host = endpoint.rpartition("://")
        parameters |= {
            "ENDPOINT": host.rstrip("/"),
            "URL_STYLE": "path",
            "USE_SSL": "false" if scheme == "http" else "true",
        }
    return parameters
