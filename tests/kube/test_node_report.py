"""A node's report (src/agent/node_send.c) against the real API server and the chart's CRD."""

import json
import subprocess

import pytest
from conftest import REPO, built

CRD = REPO / "charts/lukscryptwalker-csi/crds/luksnodes.yaml"
GI = 1 << 30


def report(name, heartbeat="2026-11-23T12:00:00Z", **more):
    return {"metadata": {"name": name}, "status": {
        "driverVersion": "1.2.3", "heartbeat": heartbeat, "volumes": 7,
        "filesystems": [{"mountPoint": "/", "type": "ext4", "capacityBytes": 40 * GI, "freeBytes": 10 * GI},
                        {"mountPoint": "/data", "type": "xfs", "capacityBytes": 100 * GI, "freeBytes": 91 * GI}], **more}}


def send(config, *reports):
    """Answers as (code, sentence)."""
    done = subprocess.run([built("tests/kube/nodereport"), str(config)], text=True, capture_output=True, timeout=60,
                          input="".join(json.dumps(one) + "\n" for one in reports))
    assert done.returncode == 0 and done.stderr == "", done.stdout + done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return [(one["code"], one.get("message", "")) for one in said]


@pytest.fixture(scope="module")
def kind(cluster):
    cluster.kubectl("apply", "--validate=strict", "-f", str(CRD))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/luksnodes.lukscryptwalker.csi.k8s.io")
    # Discovery and storage of a new kind follow a moment later.
    cluster.until("the kind is served", lambda: "No resources" in cluster.kubectl("get", "luksnodes", check=False)
                  or cluster.kubectl("get", "luksnodes", check=False) == "", 30)


def test_the_schema_takes_a_report(cluster, kind):
    assert send(cluster.kubeconfig, report("node-a", allowedPaths=["/data"], unknownVolumes=["/data/v/lost"])) == [("OK", "")]
    found = cluster.get("luksnode", "node-a")
    sent = report("node-a")["status"]
    assert found["spec"] == {}
    assert "ownerReferences" not in found["metadata"]
    # What a schema does not know, the server drops.
    assert found["status"] == {**sent, "allowedPaths": ["/data"], "unknownVolumes": ["/data/v/lost"], "largestFree": "90.9Gi",
                               "conditions": [{"type": "Ready", "status": "True", "reason": "Reporting",
                                               "message": "the driver runs on the node; heartbeat is its last report",
                                               "lastTransitionTime": "2026-11-23T12:00:00Z"}]}


def steady(found):
    for key in ("resourceVersion", "managedFields"):
        found["metadata"].pop(key, None)
    return found, found["status"].pop("heartbeat")


def test_a_second_report_changes_the_heartbeat_only(cluster, kind):
    assert send(cluster.kubeconfig, report("node-b")) == [("OK", "")]
    before, first = steady(cluster.get("luksnode", "node-b"))
    assert send(cluster.kubeconfig, report("node-b", "2026-11-23T12:01:00Z")) == [("OK", "")]
    after, second = steady(cluster.get("luksnode", "node-b"))
    assert after == before
    assert (first, second) == ("2026-11-23T12:00:00Z", "2026-11-23T12:01:00Z")


def test_what_is_gone_from_a_report_is_gone_from_the_object(cluster, kind):
    full = report("node-c", allowedPaths=["/a", "/b"], unknownVolumes=["/a/x"])
    empty = {"metadata": {"name": "node-c"}, "status": {"driverVersion": "1.2.4", "heartbeat": "2026-11-23T12:02:00Z"}}
    assert send(cluster.kubeconfig, full, empty) == [("OK", "")] * 2
    status = cluster.get("luksnode", "node-c")["status"]
    assert [status[key] for key in ("allowedPaths", "unknownVolumes", "filesystems", "volumes")] == [[], [], [], 0]
    assert status["driverVersion"] == "1.2.4" and status["largestFree"] == "0"


def test_a_condition_of_somebody_else_stays_and_a_lost_ready_comes_back(cluster, kind):
    send(cluster.kubeconfig, report("node-d"))
    other = {"type": "Drained", "status": "True", "reason": "ByHand", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    ready = {**other, "type": "Ready", "status": "Unknown"}
    cluster.kubectl("patch", "luksnode", "node-d", "--subresource=status", "--type=merge", "-p",
                    json.dumps({"status": {"conditions": [other, ready]}}))
    assert send(cluster.kubeconfig, report("node-d", "2026-11-23T13:00:00Z")) == [("OK", "")]
    found = {one["type"]: one for one in cluster.get("luksnode", "node-d")["status"]["conditions"]}
    assert found["Drained"] == other
    assert (found["Ready"]["status"], found["Ready"]["lastTransitionTime"]) == ("True", "2026-11-23T13:00:00Z")


def test_the_largest_report_is_taken(cluster, kind):
    """As many entries as there can be, with the longest names."""
    def long(number):
        return "/" + "/".join(f"{number:03d}" + "x" * 252 for _ in range(15))
    full = report("node-e", allowedPaths=[long(n) for n in range(32)],
                  unknownVolumes=[f"{long(n)}/{'v' * 128}" for n in range(60)],
                  filesystems=[{"mountPoint": long(n), "type": "btrfs", "capacityBytes": 2 ** 62, "freeBytes": 2 ** 62}
                               for n in range(70)])
    assert send(cluster.kubeconfig, full) == [("OK", "")]
    status = cluster.get("luksnode", "node-e")["status"]
    assert [len(status[key]) for key in ("allowedPaths", "unknownVolumes", "filesystems")] == [32, 50, 64]
    assert status["filesystems"][63]["freeBytes"] == 2 ** 62


def test_the_server_refuses_what_makes_no_sense(cluster, kind):
    (code, sentence), = send(cluster.kubeconfig, report("node-f", filesystems=[
        {"mountPoint": "data", "type": "xfs", "capacityBytes": 1, "freeBytes": 1}]))
    assert code == "INVALID_ARGUMENT" and "mountPoint" in sentence


def test_kubectl_shows_the_node(cluster, kind):
    send(cluster.kubeconfig, report("node-g"))
    head, row = cluster.kubectl("get", "ln", "node-g").splitlines()
    assert head.split() == ["NAME", "READY", "FREE", "VOLUMES", "VERSION", "REPORT"]
    assert row.split()[:5] == ["node-g", "True", "90.9Gi", "7", "1.2.3"]


@pytest.fixture
def fake_config(fake, folder):
    config = folder / "config"
    config.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "x",
                                  "clusters": [{"name": "c", "cluster": {"server": fake.address}}],
                                  "users": [{"name": "u", "user": {}}],
                                  "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]}))
    return config


def test_a_report_is_two_requests(fake, fake_config):
    """And a missing right says which."""
    assert send(fake_config, report("node-h")) == [("OK", "")]
    asked = [(method, path.split("?")[0]) for method, path, _, _ in fake.seen]
    place = "/apis/lukscryptwalker.csi.k8s.io/v1alpha1/luksnodes/node-h"
    assert asked == [("PATCH", place), ("PATCH", f"{place}/status")]
    fake.answers = [(403, {}, json.dumps({"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no luksnodes for you"}))]
    (code, sentence), = send(fake_config, report("node-h"))
    assert code == "PERMISSION_DENIED" and "no luksnodes for you" in sentence


def test_a_cluster_without_the_kind_is_told_what_to_do(fake, fake_config):
    """What the API server says of a kind that it does not know is no object."""
    fake.answers = [(404, {"Content-Type": "text/plain"}, "404 page not found\n")]
    (code, sentence), = send(fake_config, report("node-a"))
    assert code == "FAILED_PRECONDITION"
    assert "the cluster does not know the kind LUKSNode" in sentence and "kubectl apply -f" in sentence
