"""Modes, versions, limits of time and depth, schemas that are none, and a published set of cases."""

from __future__ import annotations

import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cogniforge_pipeline.data_mesh.compatibility import SchemaError, compare_schemas
from cogniforge_pipeline.errors import CogniforgeError

CASES = Path(__file__).parents[4] / "shared" / "data" / "mesh" / "cases_jsoncompat.json"

DISAGREEMENTS = {
    ("pattern_properties_fall_back_to_additional_properties", "BACKWARD"): (
        'the old schema accepts {"x": "text"}, the new one refuses it; a validator shows it'
    ),
    ("dependent_required_recursive_property_names", "BACKWARD"): (
        "a definition is allOf of itself, so no validator can end on it; it is refused as a schema"
    ),
    ("same_value_recursive_applicator_narrowed", "FORWARD"): (
        "a definition is anyOf of itself, so no validator can end on it; it is refused as a schema"
    ),
}


def _verdict(case: dict[str, Any], mode: Any) -> bool:
    try:
        return compare_schemas(case["old"], case["new"], mode).compatible
    except SchemaError:
        return False


@pytest.mark.skipif(not CASES.exists(), reason="the published cases lie beside the repository and are not here")
def test_published_cases_get_their_verdicts_but_for_those_with_a_reason() -> None:
    cases = json.loads(CASES.read_text("utf-8"))
    wrong = {
        (case["id"], mode)
        for case in cases
        for mode, wanted in (("BACKWARD", case["expect"]), ("FORWARD", case["fwd"]))
        if _verdict(case, mode) != wanted
    }

    assert len(cases) == 63
    assert wrong == DISAGREEMENTS.keys()


def test_a_message_names_the_change_and_a_forward_one_its_direction() -> None:
    found = compare_schemas({"type": "string", "maxLength": 9}, {"type": "string", "maxLength": 5}, "FULL")

    assert [item.to_dict() for item in found.differences] == [
        {
            "rule": "MAX_LENGTH_DECREASED",
            "path": "#/maxLength",
            "direction": "BACKWARD",
            "breaking": True,
            "message": "Max length decreased: 9 became 5",
        },
        {
            "rule": "MAX_LENGTH_INCREASED",
            "path": "#/maxLength",
            "direction": "FORWARD",
            "breaking": False,
            "message": "Max length increased: 5 became 9 (from the new schema to the old one)",
        },
    ]
    assert found.to_dict()["compatible"] is False
    assert found.to_dict()["mode"] == "FULL"


def test_the_mode_none_lists_and_accepts() -> None:
    found = compare_schemas({"type": "string"}, {"type": "integer"}, "NONE")

    assert found.compatible
    assert [(item.rule, item.breaking) for item in found.differences] == [("TYPE_CHANGED", True)]


def test_transitive_modes_ask_every_version_and_the_others_only_the_last() -> None:
    text, number, either = {"type": "string"}, {"type": "number"}, {"type": ["number", "string"]}

    assert compare_schemas(number, number, "BACKWARD", history=[text]).compatible
    found = compare_schemas(number, number, "BACKWARD_TRANSITIVE", history=[text])
    assert not found.compatible
    assert "version 1 of 2" in found.differences[0].message
    assert compare_schemas(number, either, "BACKWARD_TRANSITIVE", history=[text]).compatible
    assert compare_schemas(either, number, "FORWARD_TRANSITIVE", history=[either]).compatible
    assert not compare_schemas(number, either, "FULL_TRANSITIVE", history=[text]).compatible


def test_an_unknown_mode_is_refused_with_the_known_ones() -> None:
    with pytest.raises(CogniforgeError, match="FULL_TRANSITIVE"):
        compare_schemas({}, {}, "SIDEWAYS")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "text"}, "#/type"),
        ({"type": []}, "#/type"),
        ({"properties": {"a": {"type": "string", "maxLength": -1}}}, "#/properties/a/maxLength"),
        ({"minLength": 1.5}, "#/minLength"),
        ({"required": "a"}, "#/required"),
        ({"required": [1]}, "#/required"),
        ({"properties": []}, "#/properties"),
        ({"properties": {"a/b": 3}}, "#/properties/a~1b"),
        ({"anyOf": []}, "#/anyOf"),
        ({"allOf": {}}, "#/allOf"),
        ({"enum": "a"}, "#/enum"),
        ({"pattern": 3}, "#/pattern"),
        ({"multipleOf": 0}, "#/multipleOf"),
        ({"maximum": "9"}, "#/maximum"),
        ({"uniqueItems": 1}, "#/uniqueItems"),
        ({"dependentRequired": {"a": "b"}}, "#/dependentRequired/a"),
        ({"items": [{"type": "no"}]}, "#/items/0/type"),
        ({"not": 1}, "#/not"),
        ("string", "#"),
        ({"const": date(2024, 1, 31)}, "no JSON value"),
        ({"enum": [float("nan")]}, "no JSON value"),
        ({"$ref": "#/definitions/missing"}, "leads nowhere"),
        ({"$ref": "http://a.test/other"}, "leads nowhere"),
        ({"$ref": "#"}, "leads back"),
        ({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}, "leads back"),
    ],
)
def test_what_is_no_schema_is_refused_with_its_place(schema: Any, place: str) -> None:
    for pair in ((schema, True), (True, schema)):
        with pytest.raises(SchemaError) as caught:
            compare_schemas(*pair)
        assert place in str(caught.value)
        assert "hint:" in str(caught.value)


def _nested(depth: int, leaf: Any, word: str) -> Any:
    schema = leaf
    for _ in range(depth):
        if word == "properties":
            schema = {"type": "object", "properties": {"a": schema}}
        elif word in ("items", "not"):
            schema = {word: schema}
        else:
            schema = {word: [schema, {"type": "null"}]}
    return schema


def _graph(size: int, leaf: Any) -> Any:
    definitions: dict[str, Any] = {
        f"n{index}": {
            "anyOf": [
                {
                    "type": "object",
                    "properties": {
                        "left": {"$ref": f"#/$defs/n{(index + 1) % size}"},
                        "right": {"$ref": f"#/$defs/n{(index * 3 + 2) % size}"},
                    },
                },
                {"type": "string"} if index else leaf,
            ]
        }
        for index in range(size)
    }
    return {"$defs": definitions, "$ref": "#/$defs/n1"}


def _doubling(leaf: Any) -> Any:
    definitions: dict[str, Any] = {"n60": leaf}
    for index in range(60):
        following = {"$ref": f"#/$defs/n{index + 1}"}
        definitions[f"n{index}"] = {"items": following, "contains": following}
    return {"$defs": definitions, "$ref": "#/$defs/n0"}


PATHOLOGICAL: dict[str, tuple[Any, Any]] = {
    **{
        f"{word} nested {depth} times": (
            _nested(depth, {"type": "string"}, word),
            _nested(depth, {"type": "null"}, word),
        )
        for word in ("properties", "items", "anyOf", "oneOf", "allOf", "not")
        for depth in (60, 600)
    },
    "many listed values": (
        {"enum": [str(number) for number in range(60_000)]},
        {"anyOf": [{"const": str(number)} for number in range(1, 5_000)]},
    ),
    "forty choices at once": (
        {"allOf": [{"oneOf": [{"required": [f"a{i}"]}, {"required": [f"b{i}"]}]} for i in range(40)]},
        {"allOf": [{"oneOf": [{"required": [f"b{i}"]}, {"required": [f"c{i}"]}]} for i in range(40)]},
    ),
    "two hundred members": (
        {"oneOf": [{"properties": {"k": {"const": i}}, "maxProperties": i} for i in range(200)]},
        {"oneOf": [{"properties": {"k": {"const": i}}, "maxProperties": i + 1} for i in range(200)]},
    ),
    "doubling references": tuple(
        {
            "$defs": {
                f"n{i}": {"items": {"$ref": f"#/$defs/n{i + 1}"}, "contains": {"$ref": f"#/$defs/n{i + 1}"}}
                for i in range(60)
            }
            | {"n60": leaf},
            "$ref": "#/$defs/n0",
        }
        for leaf in ({"type": "string"}, {"type": "integer"})
    ),  # type: ignore[dict-item]
    "a graph of recursive definitions": (_graph(40, {"type": "integer"}), _graph(40, {"type": "null"})),
    "a pattern that backtracks": ({"enum": ["a" * 4000 + "!"]}, {"type": "string", "pattern": "^(a+)+$"}),
    "a pattern with many loops": ({"enum": ["a" * 4000]}, {"type": "string", "pattern": "a*a*a*a*a*b"}),
    "a range of numbers beyond counting": (
        {"type": "integer", "minimum": 0, "maximum": 1e300},
        {"type": "integer", "minimum": 0, "maximum": 1e299},
    ),
}


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_pathological_schemas_are_answered_or_refused_within_their_time(name: str) -> None:
    old, new = PATHOLOGICAL[name]
    start = time.monotonic()
    found = compare_schemas(old, new, "BACKWARD", budget_seconds=0.5)

    assert time.monotonic() - start < 10
    if found.compatible:
        assert name.startswith("allOf")
    else:
        assert found.breaking[0].message


def test_a_comparison_without_time_is_refused_and_says_why() -> None:
    old = {"properties": {f"p{i}": {"type": "string"} for i in range(500)}}
    found = compare_schemas(old, {**old, "title": "x"}, "FULL", budget_seconds=0)

    assert not found.compatible
    assert {(item.rule, item.direction) for item in found.differences} == {
        ("UNDECIDED", "BACKWARD"),
        ("UNDECIDED", "FORWARD"),
    }
    assert "no answer within 0 s" in found.differences[0].message


def test_a_pattern_that_may_take_too_long_is_refused_with_the_reason() -> None:
    found = compare_schemas({"enum": ["a" * 40]}, {"type": "string", "pattern": "^(a+)+$"})

    assert not found.compatible
    assert any("may take too long" in item.message for item in found.breaking)


def test_recursive_schemas_that_say_the_same_do_not_differ() -> None:
    graph = _graph(30, {"type": "integer"})
    turned = {**graph, "$comment": "the same"}

    assert compare_schemas(graph, turned, "FULL").differences == ()
    list_of_itself = {"type": "array", "items": {"$ref": "#"}}
    unrolled = {"type": "array", "items": {"type": "array", "items": {"$ref": "#"}}}
    assert compare_schemas(list_of_itself, unrolled, "FULL").compatible


def test_a_member_that_no_finite_document_fits_may_go() -> None:
    endless = {"type": "object", "properties": {"next": {"$ref": "#/$defs/endless"}}, "required": ["next"]}
    old = {"$defs": {"endless": endless}, "anyOf": [{"$ref": "#/$defs/endless"}, {"type": "string"}]}

    assert compare_schemas(old, {"type": "string"}).compatible
    endless.pop("required")
    assert not compare_schemas(old, {"type": "string"}).compatible


HUGE = 10**400


@pytest.mark.parametrize("word", ["maximum", "minLength", "maxItems", "minContains"])
def test_numbers_beyond_floats_are_compared_and_told(word: str) -> None:
    old, new = ({word: number, "contains": {"type": "string"}} for number in (HUGE, HUGE + 1))
    forth, back = compare_schemas(old, new), compare_schemas(new, old)

    assert (forth.compatible, back.compatible) == ((True, False) if word.startswith("max") else (False, True))
    if word != "minContains":
        assert str(HUGE + 1) in forth.differences[0].message


def test_steps_beyond_floats_are_compared_and_told() -> None:
    found = compare_schemas({"multipleOf": HUGE}, {"multipleOf": 2 * HUGE})

    assert [(item.rule, item.path) for item in found.breaking] == [("MULTIPLE_OF_EXPANDED", "#/multipleOf")]
    assert compare_schemas({"multipleOf": 2 * HUGE}, {"multipleOf": HUGE}).compatible
    parts = {"allOf": [{"multipleOf": HUGE}, {"multipleOf": 0.75}]}
    assert compare_schemas(parts, {"multipleOf": HUGE}).compatible


def test_numbers_with_more_digits_than_are_printed_are_compared() -> None:
    longest = 10**4500

    assert compare_schemas({"const": longest}, {"enum": [longest, 1]}).compatible
    found = compare_schemas({"const": longest}, {"const": [longest + 1]})
    assert not found.compatible
    assert any("too long to print" in item.message for item in found.differences)
    assert not compare_schemas({"maximum": longest + 1}, {"maximum": longest}).compatible
    with pytest.raises(SchemaError, match="#/type"):
        compare_schemas({"type": longest}, {})


def test_a_value_that_cannot_be_computed_with_is_refused_with_the_reason_in_each_direction() -> None:
    old = {"type": "number", "multipleOf": 0.5, "minimum": HUGE, "maximum": HUGE + 1}
    found = compare_schemas(old, {"type": "number", "minimum": 0}, "FULL")

    assert not found.compatible
    assert ("UNDECIDED", "BACKWARD") in {(item.rule, item.direction) for item in found.breaking}
    assert "cannot be computed with" in found.breaking[0].message
    addressed = compare_schemas({"$id": "http://[a#b"}, {"type": "string"}, "FULL")
    assert [(item.rule, item.direction) for item in addressed.breaking] == [
        ("UNDECIDED", "BACKWARD"),
        ("UNDECIDED", "FORWARD"),
    ]


def test_a_pattern_that_readers_understand_differently_is_refused_with_the_reason() -> None:
    found = compare_schemas({"const": "a\n"}, {"pattern": "^a$"})

    assert any("Python and ECMA-262 differ" in item.message for item in found.breaking)


@pytest.mark.parametrize("declared", [{"type": "number"}, {}])
def test_a_step_of_numbers_is_told_once_and_not_as_a_change_of_type(declared: dict[str, Any]) -> None:
    stepped = {**declared, "multipleOf": 4}
    added, removed = compare_schemas(declared, stepped), compare_schemas(stepped, declared)

    assert [(item.rule, item.breaking) for item in added.differences] == [("MULTIPLE_OF_ADDED", True)]
    assert [(item.rule, item.breaking) for item in removed.differences] == [("MULTIPLE_OF_REMOVED", False)]


def test_paths_are_told_in_the_words_of_an_older_draft() -> None:
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}

    def places(old: dict[str, Any], new: dict[str, Any]) -> set[str]:
        return {item.path for item in compare_schemas({**dialect, **old}, {**dialect, **new}).differences}

    assert places({"prefixItems": [{"type": "number"}]}, {"prefixItems": [{"type": "string"}]}) == {"#/items/0"}
    assert places({"prefixItems": [True]}, {"prefixItems": [True], "items": False}) == {"#/additionalItems"}
    assert places({}, {"dependentRequired": {"a": ["b"]}}) == {"#/dependencies/a"}
    assert places({}, {"dependentSchemas": {"a": {"required": ["b"]}}}) == {"#/dependencies/a"}
    assert places({}, {"unevaluatedProperties": False}) == {"#/additionalProperties"}
