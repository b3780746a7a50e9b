"""Repairs: whatever drifted, the patch brings it back, and touches nothing that is somebody else's."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogniforge_pipeline.gitops.canonical import ResourceKey
from cogniforge_pipeline.gitops.diff import Manifest, Wanted, canonical, compare_states, live_of
from cogniforge_pipeline.gitops.ignore import Ignores
from cogniforge_pipeline.gitops.merge_patch import apply_merge_patch, three_way_merge_patch
from cogniforge_pipeline.gitops.model import SyncPolicy
from cogniforge_pipeline.gitops.remediation import Attempt, decide, repairs
from tests.support.gitops import deployment, on_server

SALT = b"salt"
NAMES = st.sampled_from(["A", "B", "C"])
NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY = ResourceKey("apps", "Deployment", "", "web")


@st.composite
def deployments(draw):
    """A Deployment in any of many states."""
    made = deployment()
    made["spec"]["replicas"] = draw(st.integers(0, 3))
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["image"] = f"shop:{draw(st.integers(1, 3))}"
    env = draw(st.dictionaries(NAMES, st.sampled_from(["1", "2"]), max_size=3))
    container["env"] = [{"name": name, "value": value} for name, value in env.items()]
    container["args"] = draw(st.lists(st.sampled_from(["-a", "-b"]), max_size=2))
    made["metadata"]["labels"] |= draw(st.dictionaries(st.sampled_from(["x", "y"]), NAMES, max_size=2))
    if draw(st.booleans()):
        made["spec"]["template"]["spec"]["volumes"] = [
            {"name": "v", draw(st.sampled_from(["emptyDir", "secret"])): {"sizeLimit": "1Gi"}}
        ]
    if draw(st.booleans()):
        made["spec"]["strategy"] = {"type": draw(st.sampled_from(["Recreate", "RollingUpdate"]))}
    return made


def plan(desired, live):
    key = Manifest(desired).key()
    wanted, there = {key: Wanted(desired["apiVersion"], canonical(desired, SALT))}, {key: live_of(key, live, SALT)}
    found = compare_states(wanted, there, Ignores())
    return repairs(found, wanted, there), there[key]


@settings(max_examples=150, deadline=None)
@given(deployments(), deployments(), deployments())
def test_a_patch_leaves_nothing_that_differs(desired, live, applied):
    for there in (live, on_server(live, applied=applied), on_server(live)):
        found, _ = plan(desired, there)
        assert [(one.action, one.patch_type, one.dry_run) for one in found] in (
            [], [("patch", "strategic", "nothing remains")],
        )  # fmt: skip


def test_a_patch_keeps_what_is_somebody_elses():
    live = on_server(deployment(), applied=deployment())
    live["metadata"]["labels"]["injected"] = "yes"
    containers = live["spec"]["template"]["spec"]["containers"]
    containers.append({"name": "sidecar", "image": "proxy"})
    containers[0]["image"] = "shop:9"
    (repair,), _ = plan(deployment(), live)
    patch = json.loads(repair.patch)
    assert patch["spec"]["template"]["spec"]["containers"] == [{"name": "web", "image": "shop:1"}]
    assert "metadata" not in patch


def test_what_an_autoscaler_owns_is_in_no_patch():
    live = on_server(deployment(), applied=deployment())
    live["spec"]["replicas"] = 9
    live["metadata"]["labels"]["app"] = "other"
    fields = {"f:spec": {"f:replicas": {}}}
    live["metadata"]["managedFields"] = [
        {"manager": "kube-controller-manager", "operation": "Update", "subresource": "scale", "fieldsV1": fields}
    ]
    (repair,), _ = plan(deployment(), live)
    assert json.loads(repair.patch) == {"metadata": {"labels": {"app": "web"}}}
    assert repair.dry_run == "nothing remains"


def test_a_kind_without_merge_keys_gets_a_merge_patch():
    thing = {
        "apiVersion": "example.org/v1",
        "kind": "Thing",
        "metadata": {"name": "t"},
        "spec": {"a": [1], "b": {"c": 1}},
    }
    applied = deepcopy(thing) | {"spec": {"a": [1], "b": {"c": 1, "gone": 1}}}
    live = deepcopy(applied)
    live["spec"] |= {"a": [2], "other": True}
    (repair,), _ = plan(thing, on_server(live, applied=applied))
    assert (repair.patch_type, repair.dry_run) == ("merge", "nothing remains")
    assert json.loads(repair.patch) == {"spec": {"a": [1], "b": {"gone": None}}}


VALUES = st.recursive(
    st.integers(0, 2) | st.lists(st.integers(0, 1), max_size=2),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
MAPS = st.dictionaries(NAMES, VALUES, max_size=3)


@settings(deadline=None)
@given(MAPS, MAPS)
def test_a_merge_patch_of_what_was_there_makes_what_is_wanted(current, wanted):
    patch = three_way_merge_patch(current, wanted, current)
    assert apply_merge_patch(current, patch) == wanted


@pytest.mark.parametrize(
    ("attempts", "decision"),
    [
        ([], "auto"),
        ([(10, False)], "wait"),
        ([(31, False)], "auto"),
        ([(100, False), (59, False)], "wait"),
        ([(100, False), (61, False)], "auto"),
        ([(5, False), (4, False), (3, False)], "gave_up"),
        ([(5, True)], "wait"),
        ([(301, True)], "auto"),
        ([(900, True), (600, True)], "loop"),
        ([(900, False), (800, True), (400, False)], "auto"),
    ],
)
def test_waits_grow_and_end(attempts, decision):
    policy = SyncPolicy(auto_remediate=True, max_attempts=3, loop_after=2)
    made = [Attempt(KEY, "c1", NOW - timedelta(seconds=ago), done) for ago, done in attempts]
    (repair,), _ = plan(deployment(), {**deployment(), "spec": {**deployment()["spec"], "replicas": 7}})
    found = decide(repair, "live", policy, made, "c1", NOW)
    assert found.decision == decision
    assert decide(repair, "live", policy, made, "c2", NOW).decision == "auto", "a new commit counts anew"
    assert decide(repair, "commit", policy, made, "c1", NOW).decision == "manual"
    assert decide(repair, "live", SyncPolicy(), made, "c1", NOW).decision == "manual"
    assert (found.not_before or NOW) > NOW if decision == "wait" else True
