"""Drift of one resource and of many: what counts as a difference, and what is noise."""

import json
from copy import deepcopy

import pytest

from cogniforge_pipeline.gitops.canonical import LAST_APPLIED, ResourceKey, canonical, key_of
from cogniforge_pipeline.gitops.diff import EXTRA, MISSING, MODIFIED, SYNCED, detect
from cogniforge_pipeline.gitops.manifests import Manifest
from cogniforge_pipeline.gitops.quantity import quantity, same_quantity
from tests.support.gitops import SHARED, argo_pairs, deployment, on_server

SALT = b"salt"


def drift(desired, live, **options):
    """The only resource of both sides as {path: (desired, live)}."""
    (found,) = detect([Manifest(desired)], [Manifest(live)], SALT, **options)
    assert found.status == (MODIFIED if found.fields else SYNCED)
    return {row["path"]: (row["desired"], row["live"]) for row in (one.to_dict() for one in found.fields)}


@pytest.mark.skipif(not SHARED.is_dir(), reason="Argo CD's pairs are not here")
def test_argo_cds_pairs_are_synced_and_a_change_of_any_leaf_is_not():
    pairs = argo_pairs()
    assert len(pairs) == 9
    for name, (config, live) in pairs.items():
        assert drift(config, live) == {}, name
        changed = deepcopy(config)
        changed["metadata"].setdefault("labels", {})["changed"] = "yes"
        assert drift(changed, live) == {"metadata.labels.changed": ("yes", None)}, name


def test_what_the_server_writes_and_fills_in_is_no_drift():
    wanted = deployment()
    live = on_server(deployment(), applied=wanted)
    live["spec"] |= {"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10}
    live["spec"]["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    container = live["spec"]["template"]["spec"]["containers"][0]
    container |= {"imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log"}
    container["ports"][0]["protocol"] = "TCP"
    container["resources"] = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}
    live["spec"]["template"]["metadata"]["creationTimestamp"] = None
    assert drift(wanted, live) == {}


@pytest.mark.parametrize("server", [True, False])
def test_a_default_is_no_drift_whoever_wrote_it(server):
    live = deployment()
    live["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    assert drift(deployment(), on_server(live) if server else live) == {}
    live["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    expected = {} if server else {"spec.template.spec.restartPolicy": (None, "Never")}
    assert drift(deployment(), on_server(live) if server else live) == expected


def test_a_field_is_named_by_the_key_of_its_list_whatever_the_order():
    wanted, live = deployment(), deployment()
    containers = live["spec"]["template"]["spec"]["containers"]
    containers.insert(0, {"name": "sidecar", "image": "proxy:1"})
    containers[1]["image"] = "shop:2"
    containers[1]["env"] = list(reversed(containers[1]["env"]))
    assert drift(wanted, live) == {
        "spec.template.spec.containers[name=web].image": ("shop:1", "shop:2"),
        "spec.template.spec.containers[name=sidecar]": (None, {"name": "sidecar", "image": "proxy:1"}),
    }
    assert drift(wanted, on_server(live)) == {"spec.template.spec.containers[name=web].image": ("shop:1", "shop:2")}


def test_what_was_applied_once_and_is_wanted_no_more_is_drift():
    before = deployment()
    before["metadata"]["labels"]["team"] = "a"
    live = on_server(deployment(), applied=before)
    live["metadata"]["labels"] |= {"team": "a", "injected": "yes"}
    assert drift(deployment(), live) == {"metadata.labels.team": (None, "a")}


def test_one_port_under_two_protocols_is_two_ports():
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns"}}
    wanted = service | {"spec": {"ports": [{"name": "a", "port": 53}, {"name": "b", "port": 53, "protocol": "UDP"}]}}
    live = deepcopy(wanted)
    live["spec"]["ports"][1]["targetPort"] = 5353
    live["spec"]["ports"][0]["targetPort"] = 53
    assert drift(wanted, live) == {"spec.ports[port=53,protocol=UDP].targetPort": (None, 5353)}


def test_a_volume_that_became_another_kind_of_volume_is_drift_on_a_server_too():
    wanted, live = deployment(), on_server(deployment())
    wanted["spec"]["template"]["spec"]["volumes"] = [{"name": "x", "emptyDir": {}}]
    live["spec"]["template"]["spec"]["volumes"] = [{"name": "x", "hostPath": {"path": "/etc", "type": ""}}]
    assert drift(wanted, live) == {"spec.template.spec.volumes[name=x].hostPath.path": (None, "/etc")}


def test_lists_without_keys_are_values_and_maps_in_them_are_compared_one_by_one():
    wanted, live = deployment(), deployment()
    wanted["spec"]["template"]["spec"]["containers"][0]["args"] = ["a", "b"]
    live["spec"]["template"]["spec"]["containers"][0]["args"] = ["b", "a"]
    assert drift(wanted, live) == {"spec.template.spec.containers[name=web].args": (["a", "b"], ["b", "a"])}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"}}
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    other = [{**rules[0], "verbs": ["get", "delete"]}]
    assert drift(role | {"rules": rules}, role | {"rules": other}) == {"rules[0].verbs": (["get"], ["get", "delete"])}


def test_quantities_are_compared_by_value_where_a_field_is_one():
    wanted, live = deployment(), deployment()
    live["spec"]["template"]["spec"]["containers"][0]["resources"] = {
        "limits": {"cpu": 1, "memory": "1024Mi"},
        "requests": {"cpu": 0.5},
    }
    assert drift(wanted, live) == {}
    wanted["metadata"]["labels"]["version"] = "1000m"
    live["metadata"]["labels"]["version"] = "1"
    assert drift(wanted, live) == {"metadata.labels.version": ("1000m", "1")}
    assert same_quantity("1e3", "1k") and same_quantity("0.5", "500m") and not same_quantity("1Gi", "1G")
    assert quantity(True) is None and quantity("1Zi") is None and quantity("9" * 100) is None


def test_true_is_not_one_and_a_text_is_not_a_number():
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    assert drift(config | {"data": {"a": True}}, config | {"data": {"a": 1}}) == {"data.a": (True, 1)}
    assert drift(config | {"data": {"a": "1"}}, config | {"data": {"a": 1}}) == {"data.a": ("1", 1)}
    assert drift(config | {"data": {"a": ""}}, config) == {"data.a": ("", None)}
    assert drift(config | {"immutable": False}, config) == {}


def test_an_unknown_kind_keeps_its_false_and_its_quantities():
    thing = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "t"}}
    assert drift(thing | {"spec": {"on": False}}, thing | {"spec": {}}) == {"spec.on": (False, None)}
    wanted = thing | {"spec": {"pool": {"resources": {"limits": {"cpu": "1000m"}}}}}
    assert drift(wanted, thing | {"spec": {"pool": {"resources": {"limits": {"cpu": 1}}}}}) == {}


def test_secrets_are_compared_and_never_shown():
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    wanted = secret | {"stringData": {"password": "hunter2"}}
    live = on_server(secret | {"data": {"password": "aHVudGVyMg=="}}, applied=wanted)
    assert drift(wanted, live) == {}
    live["data"]["password"] = "aHVudGVyMw=="
    found = drift(wanted, live)
    assert list(found) == ["data.password"]
    assert found["data.password"][0] != found["data.password"][1]
    text = json.dumps(found) + json.dumps(canonical(live, SALT)) + json.dumps(canonical(wanted, SALT))
    for clear in ("hunter", "aHVudGVy"):
        assert clear not in text
    assert canonical(wanted, b"other") != canonical(wanted, SALT)


def test_missing_extra_and_what_the_cluster_makes_by_itself():
    def of(name, **more):
        return Manifest(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop", **more}}
        )

    owned = {"ownerReferences": [{"kind": "Thing", "name": "t", "uid": "1", "controller": True}]}
    found = detect([of("a"), of("b")], [of("b"), of("c"), of("kube-root-ca.crt"), of("d", **owned)], SALT)
    assert [(one.key.name, one.status) for one in found] == [("a", MISSING), ("b", SYNCED), ("c", EXTRA)]
    assert str(found[0].key) == "core/ConfigMap/shop/a"


def test_a_manifest_without_a_namespace_meets_the_only_one_of_its_name():
    live = deployment() | {"metadata": {**deployment()["metadata"], "namespace": "shop"}}
    assert drift(deployment(), live) == {}
    assert drift(deployment(), live, namespace="shop") == {}
    found = detect([Manifest(deployment())], [Manifest(live)], SALT, namespace="other")
    assert [one.status for one in found] == [MISSING, EXTRA]


@pytest.mark.parametrize(
    "scaler",
    [
        {"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2"},
        {"kind": "ScaledObject", "apiVersion": "keda.sh/v1alpha1"},
    ],
)
def test_replicas_that_an_autoscaler_owns_are_left_alone(scaler):
    target = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}
    hpa = Manifest(scaler | {"metadata": {"name": "web"}, "spec": target})
    live = deployment()
    live["spec"]["replicas"] = 9
    found = detect([Manifest(deployment()), hpa], [Manifest(live), hpa], SALT)
    (web,) = [one for one in found if one.key.kind == "Deployment"]
    assert web.status == SYNCED
    assert web.left_alone[0].reason == f"{scaler['kind']} web sets it"
    assert drift(deployment(), live) == {"spec.replicas": (2, 9)}


def test_replicas_set_through_the_scale_subresource_are_left_alone_and_an_edit_names_who():
    live = on_server(deployment())
    live["spec"]["replicas"] = 9
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "shop:9"
    live["metadata"]["managedFields"] = [
        {
            "manager": "kube-controller-manager",
            "operation": "Update",
            "subresource": "scale",
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
        },
        {
            "manager": "kubectl-edit",
            "operation": "Update",
            "time": "2026-01-01T00:00:00Z",
            "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:image": {}}}}}}},
        },
    ]
    (found,) = detect([Manifest(deployment())], [Manifest(live)], SALT)
    path = "spec.template.spec.containers[name=web].image"
    assert [one.to_dict()["path"] for one in found.fields] == [path]
    assert found.owners[path] == "kubectl-edit"
    assert found.left_alone[0].reason == "kube-controller-manager set it by scaling"


def test_keys_are_told_and_read():
    for manifest in (deployment(), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}):
        key = key_of(manifest, "shop")
        assert ResourceKey.of_text(str(key)) == key
    assert (
        key_of({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "namespace": "x"}}).namespace == ""
    )


def test_an_annotation_of_last_applied_that_is_no_json_is_none():
    live = on_server(deployment())
    live["metadata"]["annotations"] = {LAST_APPLIED: "{"}
    assert drift(deployment(), live) == {}
