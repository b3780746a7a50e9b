"""Strategic merge patches: the Kubernetes API machinery's own cases, and what must hold of any three objects."""

from copy import deepcopy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.gitops.shape import Shape
from cogniforge_pipeline.gitops.strategic import sorted_lists, three_way_patch, two_way_patch
from cogniforge_pipeline.gitops.strategic_apply import PatchInvalid, apply_patch
from tests.support.gitops import SHARED, merge_item_shape, run_strategic_case

CASES = SHARED / "strategic_merge_half.yaml"
SHAPE = merge_item_shape()


@pytest.mark.skipif(not CASES.exists(), reason="the API machinery's cases are not here")
def test_the_api_machinerys_cases():
    groups = yaml.safe_load(CASES.read_text())
    wrong = [
        (group, case["description"], found)
        for group, cases in groups.items()
        for case in cases
        if (found := run_strategic_case(group, case))
    ]
    assert wrong == []
    assert sum(map(len, groups.values())) == 76


NAMES = st.sampled_from(["a", "b", "c", "d"])
ITEMS = st.lists(
    st.fixed_dictionaries({"name": NAMES}, optional={"value": st.integers(0, 3), "other": st.integers(0, 3)}),
    max_size=4,
    unique_by=lambda item: item["name"],
)
OBJECTS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.integers(0, 2),
        "value": st.integers(0, 2),
        "mergingList": ITEMS,
        "mergingIntList": st.lists(st.integers(0, 5), unique=True, max_size=4),
        "nonMergingList": st.lists(st.integers(0, 3), max_size=3),
        "retainKeysMap": st.dictionaries(NAMES, st.integers(0, 2), max_size=3),
        "simpleMap": st.dictionaries(NAMES, st.integers(0, 2), max_size=3),
    },
)


def _whole(value):
    """An object without what is empty, which a patch cannot tell from what is absent."""
    return {name: item for name, item in value.items() if item not in ({}, [])}


@settings(deadline=None)
@given(OBJECTS, OBJECTS)
def test_a_two_way_patch_makes_one_of_the_other(original, modified):
    before = deepcopy(original)
    patch = two_way_patch(original, modified, SHAPE)
    assert _whole(apply_patch(original, patch, SHAPE)) == _whole(modified)
    assert original == before
    assert two_way_patch(modified, modified, SHAPE) == {}


@settings(deadline=None)
@given(OBJECTS, OBJECTS, OBJECTS)
def test_a_three_way_patch_brings_what_is_wanted_and_a_second_one_has_nothing_to_do(original, modified, current):
    patch = three_way_patch(original, modified, current, SHAPE)
    result = apply_patch(current, patch, SHAPE)
    for name in ("name", "value", "nonMergingList"):
        if name in modified:
            assert result[name] == modified[name]
        elif name in original:
            assert name not in result
        else:
            assert result.get(name) == current.get(name)
    for item in modified.get("mergingList", []):
        (found,) = [other for other in result["mergingList"] if other["name"] == item["name"]]
        assert found.items() >= item.items()
    again = three_way_patch(modified, modified, result, SHAPE)
    assert _whole(apply_patch(result, again, SHAPE)) == _whole(result)


def test_sorted_lists_makes_the_order_of_a_merging_list_meaningless():
    left = {"mergingList": [{"name": "b"}, {"name": "a", "mergingIntList": [2, 1, 2]}]}
    right = {"mergingList": [{"name": "a", "mergingIntList": [1, 2]}, {"name": "b"}]}
    assert sorted_lists(left, SHAPE) == sorted_lists(right, SHAPE)


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"$patch": "explode"}, "unknown patch type"),
        ({"mergingList": [{"name": "a", "$patch": "merge"}]}, "cannot yet be specified"),
        ({"mergingList": [[1]]}, "lists of lists"),
        ({"mergingList": [1]}, "one type"),
        ({"retainKeysMap": {"$retainKeys": ["a"], "b": 1}}, "retainKeys"),
        ({"retainKeysMap": {"$retainKeys": 3}}, "expected a list"),
        ({"$setElementOrder/mergingList": 3}, "expected a list"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused(patch, words):
    original = {"mergingList": [{"name": "a"}], "retainKeysMap": {"a": 1}}
    with pytest.raises(PatchInvalid, match=words):
        apply_patch(original, patch, SHAPE)


def test_a_list_without_a_merge_key_cannot_be_merged():
    with pytest.raises(PatchInvalid, match="merge key"):
        apply_patch({"x": [{"a": 1}]}, {"x": [{"a": 2}]}, Shape(fields={"x": Shape(merge=True)}))
