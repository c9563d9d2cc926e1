"""The watch in the event loop: nothing is missed, whatever happens to the server."""

import json
import os
import re
import time

import kernel
import pytest
from cluster import free_ports

AGAIN = "following objects of Kubernetes again"
PLACE = "/api/v1/namespaces/{}/configmaps"


def memory(pid):
    return {key: kernel.rollup(pid, key) for key in ("Pss", "Anonymous")}


def make(admin, namespace, name, **labels):
    return admin.good("create", PLACE.format(namespace), {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}})


def test_what_is_there_and_what_happens(cluster, admin, namespace, watch):
    make(admin, namespace, "a")
    one = watch(cluster.kubeconfig, PLACE.format(namespace))
    one.sees("begin", "present a ", "listed")
    make(admin, namespace, "b")
    changed = admin.good("patch", PLACE.format(namespace) + "/a", {"data": {"x": "y"}})
    admin.good("delete", PLACE.format(namespace) + "/b", {})
    one.sees("listed", "present b ", f"present a {changed['metadata']['resourceVersion']}", "deleted b ")


def test_selectors(cluster, admin, namespace, watch):
    one = watch(cluster.kubeconfig, PLACE.format(namespace), query="labelSelector=mine%3Dyes")
    one.sees("listed")
    make(admin, namespace, "theirs", mine="no")
    make(admin, namespace, "ours", mine="yes")
    one.sees("present ours")
    # An object that leaves the selection is gone.
    admin.good("patch", PLACE.format(namespace) + "/ours", {"metadata": {"labels": {"mine": "no"}}})
    one.sees("deleted ours")
    assert "theirs" not in one.out.read_text()


def test_cut_connections_lose_nothing(cluster, admin, namespace, watch, forwarder):
    gate = forwarder()
    path = cluster.write_kubeconfig("gate.kubeconfig", {"token": cluster.tokens["admin"]},
                                    server=f"https://127.0.0.1:{gate.port}")
    one = watch(path, PLACE.format(namespace))
    one.sees("listed")
    for number in range(8):
        if number == 2:
            before = one.descriptors()
        gate.cut()
        make(admin, namespace, f"cut-{number}")
        one.sees(f"present cut-{number} ")
    assert one.descriptors() <= before
    assert one.lines().count("begin") == 1, "the watch goes on from its version: no new list"


def test_a_server_that_restarts(cluster, admin, namespace, watch):
    make(admin, namespace, "before")
    one = watch(cluster.kubeconfig, PLACE.format(namespace))
    one.sees("present before", "listed")
    cluster.stop_one("kube-apiserver")
    one.logs("trying again")
    one.fails(2)
    cluster.start_api()
    make(admin, namespace, "after")
    one.sees("present before", "present after", seconds=60)
    # After a second of a watch, or at its next event, the trouble is over.
    one.wait(lambda lines: make(admin, namespace, f"more-{time.monotonic_ns()}") and AGAIN in one.log())
    assert one.log().count("trying again") == 1 and one.log().count(AGAIN) == 1


def test_watches_end_in_silence(cluster, admin, namespace, watch):
    one = watch(cluster.kubeconfig, PLACE.format(namespace), seconds=1)
    one.sees("listed")
    for number in range(3):
        time.sleep(1.2)  # the watch that runs ends meanwhile: nobody is told
        make(admin, namespace, f"late-{number}")
        one.sees(f"present late-{number} ")
    assert one.lines().count("begin") == 1 and one.log() == ""


def test_memory_is_bounded(cluster, admin, namespace, watch):
    items = "\n---\n".join(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"m{n:04d}"},
                                       "data": {"x": "y" * 20000}}) for n in range(1000))
    one = watch(cluster.kubeconfig, PLACE.format(namespace))
    one.sees("listed")
    cluster.kubectl("create", "-n", namespace, "-f", "-", given=items)
    one.sees("present m0999 ")
    if "asan" not in os.environ.get("LCW_BUILD", ""):
        # 1,000 objects of 20 kB each were seen: 20 MB that are not kept.
        assert memory(one.process.pid)["Anonymous"] < 8 << 10, memory(one.process.pid)


def test_what_libcurl_costs(cluster, admin, namespace, tool, watch):
    """The event loop with a watch over TLS, beside a process of ours that has not loaded libcurl."""
    make(admin, namespace, "a")
    admin.close()  # it has libcurl, too, and would share the pages
    without = memory(tool(cluster.kubeconfig).process.pid)
    one = watch(cluster.kubeconfig, PLACE.format(namespace))
    one.sees("listed")
    used = memory(one.process.pid)
    print(f"kB without libcurl {without}, with a watch {used}")
    if "asan" not in os.environ.get("LCW_BUILD", ""):
        cost = {key: used[key] - without[key] for key in used}
        assert 0 < cost["Anonymous"] < 4 << 10 and cost["Pss"] < 12 << 10, (without, used)


def test_a_server_that_is_gone_for_long(cluster, watch):
    path = cluster.write_kubeconfig("nobody.kubeconfig", {"token": "t"}, server=f"https://127.0.0.1:{free_ports(1)[0]}")
    one = watch(path, PLACE.format("default"))
    one.logs("trying again")
    one.fails(2)
    descriptors, cpu_s = one.descriptors(), one.cpu_s()
    one.fails(5)
    assert one.descriptors() <= descriptors
    assert one.cpu_s() - cpu_s < 1.5, "it waits between the tries"
    assert one.log().count("trying again") == 1 and set(one.lines()) == {"begin"}
    waits = [int(text) for text in re.findall(r"\bms=(\d+)", one.log())]
    # The first wait is 50 ms, at least half of it, and it doubles.
    assert all(wait >= 25 << number for number, wait in enumerate(waits, 1)), waits


def test_a_peer_that_is_silently_gone(cluster, admin, namespace, watch, forwarder):
    gate = forwarder()
    path = cluster.write_kubeconfig("silent.kubeconfig", {"token": cluster.tokens["admin"]},
                                    server=f"https://127.0.0.1:{gate.port}")
    one = watch(path, PLACE.format(namespace), seconds=1)
    one.sees("listed")
    gate.mode = "swallow"
    timers = kernel.run("ss", "-Htnpo", f"dport = :{gate.port}")
    assert f"pid={one.process.pid}," in timers and "timer:(keepalive" in timers, timers
    make(admin, namespace, "unheard")
    # The server would have ended the watch after a second; half a minute later it is dead.
    one.logs("trying again", seconds=60)
    assert "unheard" not in one.out.read_text()
    gate.mode = "open"
    one.sees("listed", "present unheard ", seconds=60)
    assert one.lines().count("begin") == 1


@pytest.mark.parametrize("event", ["begin", "present", "listed", "deleted"])
def test_freed_inside_an_event(cluster, admin, namespace, watch, event):
    make(admin, namespace, "a")
    idle = watch(cluster.kubeconfig, PLACE.format(namespace))
    idle.sees("listed")
    one = watch(cluster.kubeconfig, PLACE.format(namespace), freed_in=event)
    one.sees("listed" if event == "deleted" else event)
    make(admin, namespace, "b")
    admin.good("delete", PLACE.format(namespace) + "/b", {})
    idle.sees("present b ", "deleted b ")
    one.sees(event)
    one.wait(lambda lines: one.descriptors() < idle.descriptors())
    assert one.lines()[-1].startswith(event) and one.log() == ""


CRD = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
       "metadata": {"name": "boxes.watch.test"},
       "spec": {"group": "watch.test", "scope": "Cluster",
                "names": {"plural": "boxes", "singular": "box", "kind": "Box", "listKind": "BoxList"},
                "versions": [{"name": "v1", "served": True, "storage": True,
                              "selectableFields": [{"jsonPath": ".spec.nodeName"}],
                              "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                                  "spec": {"type": "object",
                                           "properties": {"nodeName": {"type": "string"}}}}}}}]}}
BOXES = "/apis/watch.test/v1/boxes"


@pytest.fixture
def crd(cluster):
    def install():
        cluster.apply(json.dumps(CRD))
        # What follows is refused for a moment while the server begins to serve the resource.
        cluster.until("the resource is served", lambda: '"items"' in cluster.kubectl("get", "--raw", BOXES, check=False))

    def remove():
        cluster.kubectl("delete", "crd", "boxes.watch.test", "--ignore-not-found")
        cluster.until("the resource is gone", lambda: "items" not in cluster.kubectl("get", "--raw", BOXES, check=False))

    yield install, remove
    remove()


def box(cluster, name, node):
    cluster.apply(json.dumps({"apiVersion": "watch.test/v1", "kind": "Box", "metadata": {"name": name},
                              "spec": {"nodeName": node}}))


def test_a_resource_that_comes_and_goes(cluster, watch, crd):
    install, remove = crd
    one = watch(cluster.kubeconfig, BOXES, seconds=5)
    one.logs("HTTP status 404")
    one.fails(2)
    install()
    box(cluster, "first", "n")
    one.sees("listed", seconds=60)
    one.sees("present first ")
    assert AGAIN in one.log() and one.log().count("trying again") == 1
    remove()
    one.sees("present first ", "deleted first ")
    one.wait(lambda lines: lines[-1] == "begin", 60)
    install()
    box(cluster, "second", "n")
    one.sees("deleted first ", "begin", "present second ", seconds=60)


def test_a_field_selector_of_a_crd(cluster, watch, crd):
    crd[0]()
    box(cluster, "ours-before", "node-a")
    box(cluster, "theirs-before", "node-b")
    one = watch(cluster.kubeconfig, BOXES, query="fieldSelector=spec.nodeName%3Dnode-a")
    one.sees("present ours-before ", "listed")
    box(cluster, "theirs-later", "node-b")
    box(cluster, "ours-later", "node-a")
    box(cluster, "theirs-later", "node-c")
    # An object that goes to another node is gone for this one, and comes back.
    box(cluster, "ours-before", "node-b")
    box(cluster, "ours-before", "node-a")
    one.sees("listed", "present ours-later ", "deleted ours-before ", "present ours-before ")
    assert "theirs" not in one.out.read_text()
