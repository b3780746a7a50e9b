"""A change that is accepted never refuses a document: schemas and documents are drawn, a validator looks for one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.data_mesh.compatibility import compare_schemas
from cogniforge_pipeline.data_mesh.compatibility.accept import accepts
from cogniforge_pipeline.data_mesh.compatibility.model import Budget
from cogniforge_pipeline.data_mesh.compatibility.normalize import Space, term

jsonschema = pytest.importorskip("jsonschema", reason="the validator of the jsonschema library judges the documents")

NAMES = ["a", "b", "ab"]
TEXTS = ["", "a", "b", "ab", "abc"]
NUMBERS = [-1, 0, 1, 2, 3, 4, 6, 1.0, 0.5, 1.5]
NEWEST = "https://json-schema.org/draft/2020-12/schema"
scalars = st.sampled_from([None, True, False, *NUMBERS, *TEXTS])
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=5,
)
small = st.integers(0, 3)


def _some(**keywords: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keywords)


numbers = _some(
    minimum=small,
    maximum=st.integers(1, 5),
    exclusiveMinimum=small,
    exclusiveMaximum=st.integers(2, 5),
    multipleOf=st.sampled_from([1, 2, 3, 0.5]),
)
texts = _some(minLength=small, maxLength=small, pattern=st.sampled_from(["^a", "b$", "^ab", ".*", "^[ab]*$"]))
enums = st.lists(scalars, min_size=1, max_size=4).map(lambda values: {"enum": values})
types = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    members = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(st.sampled_from(NAMES), inner, max_size=2)
    names = st.lists(st.sampled_from(NAMES), max_size=2, unique=True)
    objects = _some(
        properties=named,
        required=names,
        additionalProperties=st.booleans() | inner,
        patternProperties=st.dictionaries(st.sampled_from(["^a", "b$"]), inner, max_size=2),
        minProperties=small,
        maxProperties=small,
        propertyNames=texts,
        dependentRequired=st.dictionaries(st.sampled_from(NAMES), names, max_size=1),
        dependentSchemas=st.dictionaries(st.sampled_from(NAMES), inner, max_size=1),
    )
    arrays = _some(
        items=inner | st.booleans(),
        prefixItems=st.lists(inner, min_size=1, max_size=2),
        minItems=small,
        maxItems=small,
        uniqueItems=st.booleans(),
        contains=inner,
        minContains=st.integers(0, 2),
        maxContains=st.integers(1, 2),
    )
    combined = st.one_of(
        st.builds(lambda word, items: {word: items}, st.sampled_from(["allOf", "anyOf", "oneOf"]), members),
        inner.map(lambda item: {"not": item}),
        st.builds(lambda a, b, c: {"if": a, "then": b, "else": c}, inner, inner, inner),
    )
    typed = st.one_of(
        objects.map(lambda item: {"type": "object", **item}),
        arrays.map(lambda item: {"type": "array", **item}),
        objects,
        arrays,
    )
    return st.one_of(typed, combined, st.builds(lambda a, b: {**a, **b}, typed, combined))


leaves = st.one_of(
    st.booleans(),
    types.map(lambda name: {"type": name}),
    st.lists(types, min_size=1, max_size=3, unique=True).map(lambda names: {"type": names}),
    numbers.map(lambda item: {"type": "number", **item}),
    numbers.map(lambda item: {"type": "integer", **item}),
    texts.map(lambda item: {"type": "string", **item}),
    texts,
    numbers,
    enums,
    st.just({"$ref": "#/$defs/it"}),
)
schemas = st.recursive(leaves, _containers, max_leaves=6)


@st.composite
def _changed(draw: st.DrawFn, schema: Any) -> Any:
    """The schema with one part replaced, dropped or added, so that many pairs are close to each other."""
    schema = copy.deepcopy(schema)
    places: list[tuple[Any, Any]] = []
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in parts:
            places.append((value, key))
            waiting.append(item)
    if not places:
        return draw(schemas)
    owner, key = draw(st.sampled_from(places))
    how = draw(st.sampled_from(["drop", "replace", "nudge", "wrap"]))
    value = owner[key]
    if how == "drop":
        del owner[key]
    elif how == "nudge" and isinstance(value, int) and not isinstance(value, bool):
        owner[key] = max(0, value + draw(st.sampled_from([-1, 1])))
    elif isinstance(value, dict) and key not in ("properties", "patternProperties", "dependentSchemas"):
        other = draw(leaves)
        owner[key] = {draw(st.sampled_from(["anyOf", "oneOf"])): [value, other]} if how == "wrap" else other
    return schema


def _whole(schema: Any, definition: Any) -> Any:
    return {"$schema": NEWEST, "$defs": {"it": definition}, **schema} if isinstance(schema, dict) else schema


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    """Two schemas, mostly alike, over the same or a changed definition."""
    old, definition = draw(schemas), draw(schemas)
    new = draw(st.one_of(_changed(old), _changed(old), schemas))
    return _whole(old, definition), _whole(new, draw(st.just(definition) | _changed(definition)))


def _usable(schema: Any) -> Any:
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError:
        assume(False)
    return jsonschema.Draft202012Validator(schema)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs(), st.lists(documents, min_size=15, max_size=15))
def test_no_document_of_the_old_schema_is_refused_after_an_accepted_change(pair: Any, drawn: list[Any]) -> None:
    old, new = pair
    before, after = _usable(old), _usable(new)
    try:
        accepted = compare_schemas(old, new).compatible
    except Exception as error:
        assume("leads back to itself" not in str(error))
        raise
    if accepted:
        for document in [*drawn, *STOCK]:
            if before.is_valid(document):
                assert after.is_valid(document), document


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas, schemas, documents)
def test_the_normal_form_accepts_the_documents_a_validator_accepts(schema: Any, other: Any, document: Any) -> None:
    whole = _whole(schema, other)
    validator = _usable(whole)
    space = Space(Budget(10))
    try:
        known = space.document(whole)
    except Exception as error:
        assume("leads back to itself" not in str(error))
        raise
    assert accepts(space, term(known, whole), document) == validator.is_valid(document)


STOCK: list[Any] = [
    None,
    True,
    False,
    *NUMBERS,
    *TEXTS,
    [],
    {},
    *([item] for item in (None, 0, 1, "a", [], {})),
    *([left, right] for left in (0, "a", {}) for right in (0, 1, "a", None)),
    *({name: value} for name in NAMES for value in (None, 0, 1, "a", "ab", [], {}, True)),
    *({"a": left, "b": right} for left in (0, "a", None) for right in (1, "b", {})),
    {"a": 1, "b": 1, "ab": 1},
    {"a": {"a": {"a": 1}}},
]
