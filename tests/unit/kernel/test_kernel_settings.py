"""Where an installation lies follows from the command line, the environment, and defaults, in this order."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.settings import load_settings, packaged


def test_a_home_that_is_given_wins_over_the_environment(tmp_path: Path) -> None:
    environ = {"COGNIFORGE_HOME": "/elsewhere"}
    assert load_settings(tmp_path, environ).home == tmp_path
    assert load_settings(None, environ).home == Path("/elsewhere")


def test_without_any_the_home_is_a_folder_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, {}).home == tmp_path / ".cogniforge"
    assert load_settings(None, {"COGNIFORGE_HOME": ""}).home == tmp_path / ".cogniforge"


def test_a_relative_home_and_a_tilde_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert load_settings("data", {}).home == tmp_path / "data"
    assert load_settings("~/data", {}).home == tmp_path / "me" / "data"


def test_catalog_and_data_lie_in_the_home_unless_told(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {})
    assert settings.catalog == f"sqlite:{tmp_path}/lake/catalog.sqlite"
    assert settings.data == f"{tmp_path}/lake/data"
    told = load_settings(tmp_path, {"COGNIFORGE_CATALOG": "sqlite:/c.sqlite", "COGNIFORGE_DATA": "s3://bucket/prefix"})
    assert (told.catalog, told.data) == ("sqlite:/c.sqlite", "s3://bucket/prefix")


def test_the_process_environment_is_read_when_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COGNIFORGE_THREADS", "3")
    assert load_settings(tmp_path).threads == 3


def test_limits_and_first_day_are_read(tmp_path: Path) -> None:
    settings = load_settings(
        tmp_path,
        {"COGNIFORGE_MEMORY_LIMIT": "2GB", "COGNIFORGE_THREADS": "2", "COGNIFORGE_FIRST_DAY": "2020-02-29"},
    )
    assert (settings.memory_limit, settings.threads, settings.first_day) == ("2GB", 2, date(2020, 2, 29))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COGNIFORGE_EXECUTOR", "dask"),
        ("COGNIFORGE_CATALOG", "mysql://x"),
        ("COGNIFORGE_CATALOG", "/some/file"),
        ("COGNIFORGE_THREADS", "0"),
        ("COGNIFORGE_THREADS", "-1"),
        ("COGNIFORGE_THREADS", "many"),
        ("COGNIFORGE_FIRST_DAY", "2020-02-30"),
        ("COGNIFORGE_FIRST_DAY", "yesterday"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_by_its_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(CogniforgeError, match=f"{name}: expected"):
        load_settings(tmp_path, {name: value})


def test_another_process_with_the_settings_environment_has_the_same_settings(tmp_path: Path) -> None:
    settings = load_settings(
        tmp_path,
        {
            "COGNIFORGE_DATA": "s3://bucket/prefix",
            "COGNIFORGE_EXECUTOR": "multiprocess",
            "COGNIFORGE_THREADS": "2",
            "COGNIFORGE_MEMORY_LIMIT": "1GB",
            "COGNIFORGE_FIRST_DAY": "2014-01-01",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9000",
        },
    )
    assert load_settings(None, settings.environment()) == settings


def test_secrets_do_not_show_in_the_settings_text(tmp_path: Path) -> None:
    environ = {"AWS_ACCESS_KEY_ID": "AKIAKEY", "AWS_SECRET_ACCESS_KEY": "hunter2"}
    assert "hunter2" not in repr(load_settings(tmp_path, environ))


def test_sql_and_contracts_come_with_the_package() -> None:
    assert any(packaged("sql").glob("*/*.sql"))
    assert any(packaged("contracts").glob("*/*.yaml"))


def test_a_home_may_have_some_of_the_domains_and_another_process_the_same(tmp_path: Path) -> None:
    assert load_settings(tmp_path, {}).domains is None, "what is declared decides"
    some = load_settings(tmp_path, {"COGNIFORGE_DOMAINS": "sre, aiops"})
    assert some.domains == ("aiops", "sre")
    assert load_settings(None, some.environment()).domains == some.domains
    with pytest.raises(CogniforgeError, match="there is no domain 'aiop'") as error:
        load_settings(tmp_path, {"COGNIFORGE_DOMAINS": "aiop"})
    assert "aiops" in str(error.value.hint)
