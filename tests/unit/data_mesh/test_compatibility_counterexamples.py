"""A change that is accepted never refuses a document: schemas and documents are drawn, a validator looks for one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.data_mesh.compatibility import SchemaError, compare_schemas
from cogniforge_pipeline.data_mesh.compatibility.accept import accepts
from cogniforge_pipeline.data_mesh.compatibility.model import Budget
from cogniforge_pipeline.data_mesh.compatibility.normalize import Space, term
from cogniforge_pipeline.data_mesh.compatibility.subset import Prover

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


small_schemas = st.sampled_from(
    [
        True,
        False,
        {"type": "integer"},
        {"type": "number"},
        {"type": "string"},
        {"type": ["integer", "null"]},
        {"minimum": 1},
        {"maxLength": 1},
        {"enum": ["a", 1]},
        {"const": 1},
        {"type": "object", "required": ["a"]},
        {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"const": "a"}}, "required": ["a"]},
    ]
)
some_names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True)
some_schemas = st.lists(small_schemas, min_size=1, max_size=3)
FAMILIES: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "object": {
        "properties": st.dictionaries(st.sampled_from(NAMES), small_schemas, min_size=1, max_size=2),
        "required": some_names,
        "additionalProperties": small_schemas,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$"]), small_schemas, min_size=1, max_size=2),
        "minProperties": small,
        "maxProperties": small,
        "propertyNames": st.sampled_from([{"maxLength": 1}, {"pattern": "^a"}, {"enum": ["a", "b"]}, {"minLength": 2}]),
        "dependentRequired": st.dictionaries(st.sampled_from(NAMES), some_names, min_size=1, max_size=1),
        "dependentSchemas": st.dictionaries(st.sampled_from(NAMES), small_schemas, min_size=1, max_size=1),
    },
    "array": {
        "items": small_schemas,
        "prefixItems": some_schemas,
        "minItems": small,
        "maxItems": small,
        "uniqueItems": st.booleans(),
        "contains": small_schemas,
        "minContains": st.integers(0, 2),
        "maxContains": st.integers(1, 2),
    },
    "number": {
        "minimum": small,
        "maximum": st.integers(1, 5),
        "exclusiveMinimum": small,
        "exclusiveMaximum": st.integers(2, 5),
        "multipleOf": st.sampled_from([1, 2, 3, 0.5]),
    },
    "any": {
        "type": types | st.lists(types, min_size=1, max_size=3, unique=True),
        "enum": st.lists(scalars, min_size=1, max_size=4),
        "anyOf": some_schemas,
        "oneOf": some_schemas,
        "allOf": some_schemas,
        "not": small_schemas,
        "minLength": small,
        "maxLength": small,
        "minimum": small,
        "properties": st.dictionaries(st.sampled_from(NAMES), small_schemas, min_size=1, max_size=2),
        "required": some_names,
    },
}


@st.composite
def close_pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    """Keywords of one family, and the same with one or two of them added, dropped or drawn again."""
    family = draw(st.sampled_from(sorted(FAMILIES)))
    words = FAMILIES[family]
    chosen = draw(st.lists(st.sampled_from(sorted(words)), min_size=1, max_size=4, unique=True))
    old = {word: draw(words[word]) for word in chosen}
    if family != "any" and draw(st.booleans()):
        old["type"] = family
    new = copy.deepcopy(old)
    for word in draw(st.lists(st.sampled_from(sorted(words)), min_size=1, max_size=2, unique=True)):
        if word in new and draw(st.booleans()):
            del new[word]
        elif isinstance(new.get(word), list) and word in ("anyOf", "oneOf", "allOf", "enum", "prefixItems"):
            members = new[word]
            members[draw(st.integers(0, len(members) - 1))] = draw(words[word])[0]
            if draw(st.booleans()):
                members.append(draw(words[word])[0])
        else:
            new[word] = draw(words[word])
    return _whole(old, True), _whole(new, True)


@st.composite
def far_pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    """Two deeper schemas, mostly alike, over the same or a changed definition."""
    old, definition = draw(schemas), draw(schemas)
    new = draw(st.one_of(_changed(old), _changed(old), schemas))
    return _whole(old, definition), _whole(new, draw(st.just(definition) | _changed(definition)))


def pairs() -> st.SearchStrategy[tuple[Any, Any]]:
    return st.one_of(close_pairs(), close_pairs(), far_pairs())


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
    except SchemaError as error:
        assume("leads back to itself" not in str(error))
        raise
    if accepted:
        for document in [*drawn, *STOCK]:
            if before.is_valid(document):
                assert after.is_valid(document), document


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs(), st.lists(documents, min_size=15, max_size=15))
def test_what_is_proved_contained_or_empty_has_no_counterexample(pair: Any, drawn: list[Any]) -> None:
    old, new = pair
    before, after = _usable(old), _usable(new)
    space = Space(Budget(10))
    try:
        left, right = (term(space.document(schema), schema) for schema in pair)
    except SchemaError as error:
        assume("leads back to itself" not in str(error))
        raise
    prover = Prover(space)
    contained = prover.subset(space.shape(left), right)
    disjoint = prover.disjoint(space.shape(left), right)
    for document in [*drawn, *STOCK]:
        if before.is_valid(document):
            assert not disjoint or not after.is_valid(document), document
            assert not contained or after.is_valid(document), document


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(schemas, schemas, documents)
def test_the_normal_form_accepts_the_documents_a_validator_accepts(schema: Any, other: Any, document: Any) -> None:
    whole = _whole(schema, other)
    validator = _usable(whole)
    space = Space(Budget(10))
    try:
        known = space.document(whole)
    except SchemaError as error:
        assume("leads back to itself" not in str(error))
        raise
    assert accepts(space, term(known, whole), document) == validator.is_valid(document)


def test_a_pattern_of_one_part_does_not_put_the_names_of_another_under_its_rule_for_the_rest() -> None:
    parts = [
        {"patternProperties": {"b$": {"minimum": 0}}},
        {"properties": {"b": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
    ]
    whole = _whole({"allOf": parts}, True)
    space = Space(Budget(10))

    assert accepts(space, term(space.document(whole), whole), {"b": 1})
    assert not accepts(space, term(space.document(whole), whole), {"ab": 1})
    assert _usable(whole).is_valid({"b": 1}) and not _usable(whole).is_valid({"ab": 1})


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
    *({"ab": left, "b": right} for left in (1, "a") for right in (1, "b", None)),
    *([left, right, 1] for left in (1, "a", None) for right in (1, "a")),
    {"a": 1, "b": 1, "ab": 1},
    {"c": 1},
    {"c": "a", "a": 1},
    {"a": {"a": {"a": 1}}},
]
