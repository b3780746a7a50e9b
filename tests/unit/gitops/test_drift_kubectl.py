"""The real kubectl against a server that speaks as much of the API as it asks for."""

import json
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from cogniforge_pipeline.gitops.diff import detect
from cogniforge_pipeline.gitops.live import LiveFailed, ask_cluster
from cogniforge_pipeline.gitops.manifests import Manifest
from cogniforge_pipeline.gitops.model import LiveSource
from tests.support.gitops import deployment, on_server

KUBECTL = shutil.which("kubectl", path=str(Path(sys.executable).parent))


def resources(version, *names):
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version,
        "resources": [
            {"name": f"{kind.lower()}s", "singularName": "", "namespaced": True, "kind": kind, "verbs": ["get", "list"]}
            for kind in names
        ],
    }


LIVE = on_server(
    {**deployment(), "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}}}, deployment()
)
ANSWERS = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{"name": "apps", "versions": [{"groupVersion": "apps/v1", "version": "v1"}]}],
    },
    "/api/v1": resources("v1", "ConfigMap"),
    "/apis/apps/v1": resources("apps/v1", "Deployment"),
    "/apis/apps/v1/namespaces/shop/deployments": {"kind": "DeploymentList", "apiVersion": "apps/v1", "items": [LIVE]},
    "/api/v1/namespaces/shop/configmaps": {"kind": "ConfigMapList", "apiVersion": "v1", "items": []},
}


class Server(BaseHTTPRequestHandler):
    """Answers in JSON."""

    def do_GET(self):
        found = ANSWERS.get(self.path.partition("?")[0])
        body = json.dumps(found or {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def kubeconfig(tmp_path, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = {"name": "prod", "context": {"cluster": "c", "user": "u"}}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [context],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(Path(KUBECTL).parent))
    yield
    server.shutdown()


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
def test_a_cluster_is_asked_and_a_kind_that_it_lacks_is_a_problem(kubeconfig):
    found = ask_cluster(LiveSource(context="prod", resources=("deployments.apps", "configmaps")), "shop")
    assert [one.key().name for one in found.manifests] == ["web"] and found.problems == ()
    assert detect([Manifest(deployment())], found.manifests, b"salt", namespace="shop")[0].status == "synced"
    lacks = ask_cluster(LiveSource(context="prod", resources=("deployments.apps", "things.example.org")), "shop")
    assert [one.key().name for one in lacks.manifests] == ["web"]
    assert "things" in lacks.problems[0].message
    with pytest.raises(LiveFailed, match="kubectl failed"):
        ask_cluster(LiveSource(context="nothing", resources=("configmaps",)), "shop")
