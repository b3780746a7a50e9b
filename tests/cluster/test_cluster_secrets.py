"""Passwords and keys reach the processes that need them, and no text that anybody reads."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogniforge_pipeline import conninfo, sql_shell
from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.lake import Lake, LakeError
from cogniforge_pipeline.settings import Settings, load_settings
from tests.cluster.conftest import Computed, Place
from tests.support import s3
from tests.support.postgres import PASSWORD, QUOTED_PASSWORD, USER, Postgres

SECRETS = (PASSWORD[-7:], QUOTED_PASSWORD[-9:], s3.KEY, s3.SECRET[-9:], quote(s3.SECRET[-9:], safe=""))
"""The ends of the secrets, for quotes inside of them may be escaped in some texts."""
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def assert_silent(text: str) -> None:
    assert text
    for secret in SECRETS:
        assert secret not in text


def refusal(settings: Settings, read_only: bool) -> LakeError:
    with pytest.raises(LakeError) as caught:
        Lake(settings, read_only=read_only).cursor().execute("FROM aiops.telemetry LIMIT 1")
    return caught.value


def test_settings_show_no_secret_and_give_them_to_other_processes(computed: Computed) -> None:
    settings = computed.cluster.settings
    assert_silent(f"{settings!r} {settings}")
    assert_silent(settings.catalog)
    assert settings.password == PASSWORD
    assert load_settings(environ=settings.environment()) == settings
    assert settings.environment()["AWS_SECRET_ACCESS_KEY"] == s3.SECRET


@pytest.mark.parametrize("read_only", [False, True])
def test_an_unreachable_catalog_is_explained_without_the_password(
    read_only: bool, pg: Postgres, tmp_path: Path
) -> None:
    for uri, reason in (
        (pg.uri("shop").replace(f":{pg.port}/", ":1/"), "Connection refused"),
        (pg.uri("no_such_database"), "does not exist"),
        (pg.uri("shop").replace(USER, "nobody", 1), "authentication failed"),
        (pg.uri("shop").replace(QUOTED_PASSWORD, QUOTED_PASSWORD + "x"), "authentication failed"),
    ):
        error = refusal(load_settings(tmp_path, {"COGNIFORGE_CATALOG": uri}), read_only)
        assert reason in error.message
        assert error.hint and "COGNIFORGE_CATALOG" in error.hint
        assert_silent(f"{error} {error!r} {error.__cause__!r}")


def test_refused_keys_of_the_data_are_explained_without_them(computed: Computed) -> None:
    variables = {**computed.cluster.variables, "AWS_SECRET_ACCESS_KEY": s3.SECRET + "x"}
    cursor = sql_shell.connect(load_settings(computed.cluster.home, variables))
    with pytest.raises(CogniforgeError, match="403") as caught:
        sql_shell.read(cursor, "SELECT sum(value) FROM aiops.telemetry").fetchall()
    assert_silent(f"{caught.value} {caught.value.__cause__!r}")


def test_a_malformed_address_is_refused_without_repeating_it(tmp_path: Path) -> None:
    for variable, value in (
        ("COGNIFORGE_CATALOG", f"mysql://{USER}:{QUOTED_PASSWORD}@host/db"),
        ("COGNIFORGE_CATALOG", f"postgresql://{USER}:{PASSWORD}@host/db"),
        ("COGNIFORGE_CATALOG", f"postgres:host=h password {PASSWORD}"),
        ("COGNIFORGE_CATALOG", f"postgres:host=h sslpassword={PASSWORD}"),
        ("COGNIFORGE_CATALOG", f"host=h password={PASSWORD}"),
        ("COGNIFORGE_DATA", f"s3://{s3.KEY}:{s3.SECRET}@bucket/prefix"),
        ("COGNIFORGE_DATA", f"https://{s3.KEY}:{s3.SECRET}@host/bucket"),
    ):
        with pytest.raises(CogniforgeError, match=f"^{variable}: ") as caught:
            load_settings(tmp_path, {variable: value})
        assert_silent(f"{caught.value} {caught.value.__cause__}")


def test_queries_see_no_secret(computed: Computed) -> None:
    place = computed.cluster
    kept = {name: os.environ.pop(name) for name in place.variables if name in os.environ}
    os.environ.update(store_variables := {k: v for k, v in place.variables.items() if k.startswith("AWS_")})
    try:
        cursor = sql_shell.connect(place.settings)
    finally:
        for name in store_variables:
            del os.environ[name]
        os.environ.update(kept)
    for query in (
        "FROM duckdb_settings()",
        "FROM duckdb_databases()",
        "SELECT current_setting('s3_secret_access_key')",
    ):
        assert_silent(str(sql_shell.read(cursor, query).fetchall()))
    with pytest.raises(CogniforgeError, match="refused"):
        sql_shell.read(cursor, "FROM duckdb_secrets(redact := false)")


def test_what_a_run_prints_and_dagster_stores_holds_no_secret(computed: Computed) -> None:
    place = computed.cluster
    assert "STEP_SUCCESS" in computed.written[1]
    assert_silent(computed.written[1])
    files = [path for part in ("state", "reports") for path in (place.home / part).rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    for path in files:
        content = path.read_bytes()
        assert not [secret for secret in SECRETS if secret.encode() in content], path


def test_a_failed_run_stores_and_shows_no_secret(computed: Computed, pg: Postgres) -> None:
    place = computed.cluster
    lost = Place(place.home, {**place.variables, "COGNIFORGE_CATALOG": pg.uri("gone")})
    assert_silent(lost.command("run", "--verbose", "--select", "platform/declarations", fails=True))
    assert_silent(lost.command("doctor", fails=True))
    for path in (place.home / "state").rglob("*.sqlite"):
        with sqlite3.connect(path) as events:
            assert_silent("\n".join(events.iterdump()))


@given(user=TEXT, password=TEXT, host=st.from_regex(r"[a-z]{1,9}(\.[a-z]{1,9})?", fullmatch=True), database=TEXT)
def test_a_uri_and_its_key_value_form_mean_the_same(user: str, password: str, host: str, database: str) -> None:
    uri = f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@{host}:5433/{quote(database, safe='')}"
    expected = {"host": host, "port": "5433", "user": user, "password": password, "dbname": database}
    assert conninfo.parse(uri) == expected
    assert conninfo.parse(conninfo.render(expected)) == expected
    settings = load_settings("/nowhere", {"COGNIFORGE_CATALOG": uri})
    assert settings.password == password
    assert load_settings("/nowhere", settings.environment()) == settings


def test_a_uri_may_have_several_hosts_an_ipv6_address_and_options() -> None:
    found = conninfo.parse("postgres://me@one:1,[::1]:2/db?sslmode=require&application_name=a%20b")
    assert found == {
        "host": "one,::1",
        "port": "1,2",
        "user": "me",
        "dbname": "db",
        "sslmode": "require",
        "application_name": "a b",
    }
    assert conninfo.parse("postgresql:///db?host=/var/run/postgresql") == {
        "dbname": "db",
        "host": "/var/run/postgresql",
    }
    assert conninfo.parse(r"host = h  password = 'it\'s \\ here' ") == {"host": "h", "password": r"it's \ here"}
