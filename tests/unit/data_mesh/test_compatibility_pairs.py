"""Every rule on pairs of schemas written by hand: the verdict in both directions, the rule and its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cogniforge_pipeline.data_mesh.compatibility import compare_schemas
from cogniforge_pipeline.data_mesh.compatibility.rules import BREAKING, HARMLESS, RULES

PAIRS: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("compatibility_pairs.yaml").read_text("utf-8"))


def _name(pair: dict[str, Any]) -> str:
    return f"{PAIRS.index(pair)}-{pair.get('rule', 'no_rule')}"


@pytest.mark.parametrize("pair", PAIRS, ids=_name)
def test_a_pair_gets_its_verdicts_its_rule_and_its_path(pair: dict[str, Any]) -> None:
    backward = compare_schemas(pair["old"], pair["new"], "BACKWARD")
    forward = compare_schemas(pair["old"], pair["new"], "FORWARD")
    told = {(item.rule, item.path) for item in backward.differences}

    assert (backward.compatible, forward.compatible) == (pair["backward"], pair["forward"]), [
        item.to_dict() for item in (*backward.differences, *forward.differences)
    ]
    if "rule" in pair:
        assert (pair["rule"], pair.get("path", "#/")) in told
    assert compare_schemas(pair["old"], pair["new"], "FULL").compatible == (pair["backward"] and pair["forward"])
    assert all(item.rule in RULES and item.path.startswith("#/") and item.message for item in backward.differences)


def test_there_are_two_hundred_pairs_and_every_rule_has_one() -> None:
    assert len(PAIRS) >= 200
    assert {pair.get("rule") for pair in PAIRS} >= RULES


def test_every_rule_has_a_pair_with_its_own_verdict() -> None:
    refused = {pair["rule"] for pair in PAIRS if "rule" in pair and not pair["backward"]}
    accepted = {pair["rule"] for pair in PAIRS if "rule" in pair and pair["backward"]}

    assert refused >= BREAKING
    assert accepted >= HARMLESS
    assert not HARMLESS & BREAKING


@pytest.mark.parametrize("pair", PAIRS, ids=_name)
def test_a_schema_does_not_differ_from_one_that_says_the_same(pair: dict[str, Any]) -> None:
    for schema in (pair["old"], pair["new"]):
        again = {**schema, "$comment": "written again"} if isinstance(schema, dict) and schema else schema
        found = compare_schemas(schema, again, "FULL")
        assert found.compatible
        assert found.differences == ()
