from __future__ import annotations

import pytest

from cogniforge_pipeline.declarations import MissingVariable, resolve_env


def test_placeholders_are_replaced_deep_inside_and_nothing_else_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CF_HOST", "db")
    monkeypatch.setenv("CF_EMPTY", "")
    monkeypatch.delenv("CF_ABSENT", raising=False)
    value = {
        "url": "http://${CF_HOST}:${CF_ABSENT:-9090}/x",
        "list": [
            "${CF_EMPTY}",
            "${CF_EMPTY:-fallback}",
            "${CF_ABSENT:-}",
            5,
            None,
            True,
        ],
        "literal": "$${CF_HOST} costs $5",
        "${CF_HOST}": "key",
    }
    assert resolve_env(value) == {
        "url": "http://db:9090/x",
        "list": ["", "fallback", "", 5, None, True],
        "literal": "${CF_HOST} costs $5",
        "${CF_HOST}": "key",
    }
    assert value["list"][0] == "${CF_EMPTY}"


def test_a_value_from_the_environment_is_not_expanded_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CF_OUTER", "${CF_INNER}")
    assert resolve_env("${CF_OUTER}") == "${CF_INNER}"


def test_all_missing_variables_are_named_and_no_value_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CF_SECRET", "hunter2")
    for name in ("CF_ONE", "CF_TWO"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingVariable, match="not set: CF_ONE, CF_TWO") as caught:
        resolve_env(["${CF_SECRET}${CF_TWO}", {"a": "${CF_ONE}"}])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["${", "${a-b}", "${1A}", "${CF", "${}"])
def test_a_malformed_placeholder_is_refused_without_repeating_the_text(
    text: str,
) -> None:
    with pytest.raises(MissingVariable, match="starts no placeholder") as caught:
        resolve_env("password hunter2 " + text)
    assert "hunter2" not in str(caught.value)
