"""The watch in the event loop: nothing is missed, whatever happens to the server."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest
from conftest import built

PLACE = "/api/v1/namespaces/{}/configmaps"


class Watch:
    def __init__(self, folder, kubeconfig, resource, seconds=300, query=None):
        self.out, self.err = folder / "out", folder / "err"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                [built("tests/kube/kubewatch"), kubeconfig, resource, str(seconds), *([query] if query else [])],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def lines(self):
        return self.out.read_text().splitlines()

    def log(self):
        return self.err.read_text()

    def wait(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not condition(self.lines()):
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < end, f"{self.lines()[-20:]}\n{self.log()}"
            time.sleep(0.05)

    def sees(self, *wanted, seconds=30):
        """Lines that begin with these words come, in this order."""
        def found(lines):
            rest = iter(lines)
            return all(any(line.startswith(word) for line in rest) for word in wanted)
        self.wait(found, seconds)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log()
        assert "Sanitizer" not in self.log() and "runtime error" not in self.log(), self.log()


@pytest.fixture
def watch(folder):
    made = []

    def start(*arguments, **options):
        made.append(Watch(folder, *arguments, **options))
        return made[-1]

    yield start
    for one in made:
        one.stop()


@pytest.fixture
def namespace(cluster, request):
    name = re.sub("[^a-z0-9]", "-", request.node.name)[:50].strip("-")
    cluster.kubectl("create", "namespace", name)
    return name


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
    for number in range(5):
        gate.cut()
        make(admin, namespace, f"cut-{number}")
        one.sees(f"present cut-{number} ")
    assert one.lines().count("begin") == 1, "the watch goes on from its version: no new list"


def test_a_server_that_restarts(cluster, admin, namespace, watch):
    make(admin, namespace, "before")
    one = watch(cluster.kubeconfig, PLACE.format(namespace))
    one.sees("present before", "listed")
    cluster.stop_one("kube-apiserver")
    one.wait(lambda lines: "trying again" in one.log())
    time.sleep(1)
    cluster.start_api()
    make(admin, namespace, "after")
    one.sees("present before", "present after", seconds=60)
    assert one.log().count("trying again") == 1 and one.log().count("following objects of Kubernetes again") == 1


def test_watches_end_in_silence(cluster, admin, namespace, watch):
    one = watch(cluster.kubeconfig, PLACE.format(namespace), seconds=1)
    one.sees("listed")
    for number in range(3):
        time.sleep(1.2)
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
        text = pathlib.Path(f"/proc/{one.process.pid}/smaps_rollup").read_text()
        used = {key: int(re.search(rf"^{key}:\s+(\d+)", text, re.M).group(1)) for key in ("Pss", "Anonymous")}
        print(used)
        # 1,000 objects of 20 kB each were seen: 20 MB that are not kept.
        assert used["Anonymous"] < 8 << 10, used


KIND = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.example.com"}, "spec": {
    "group": "example.com", "scope": "Cluster", "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
    "versions": [{"name": "v1", "served": True, "storage": True, "selectableFields": [{"jsonPath": ".spec.nodeName"}],
                  "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                      "spec": {"type": "object", "properties": {"nodeName": {"type": "string"}}}}}}}]}}


def test_a_kind_that_comes_later_and_only_what_is_selected(cluster, watch):
    """As a node before the CRDs are applied; then it sees its own objects and no others."""
    one = watch(cluster.kubeconfig, "/apis/example.com/v1/things", query="fieldSelector=spec.nodeName%3Da")
    one.wait(lambda lines: "trying again" in one.log())
    cluster.apply(json.dumps(KIND))
    one.sees("listed", seconds=60)
    for name, node in (("of-b", "b"), ("of-a", "a"), ("also-b", "b"), ("also-a", "a")):
        cluster.apply(json.dumps({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": name}, "spec": {"nodeName": node}}))
    one.sees("present of-a", "present also-a")
    assert not [line for line in one.lines() if "-b" in line]
    cluster.kubectl("delete", "crd", "things.example.com")


# From here on: a server that says what it is told.

def page(version, *names, following=""):
    return 200, {}, json.dumps({"kind": "List", "metadata": {"resourceVersion": str(version), "continue": following},
                                "items": [{"metadata": {"name": n, "resourceVersion": str(version)}} for n in names]})


def events(*pairs):
    return 200, {}, "".join(json.dumps({"type": kind, "object": thing}) + "\n" for kind, thing in pairs)


def thing(name, version):
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def gone(code=410):
    return {"kind": "Status", "code": code, "reason": "Expired", "message": "too old resource version"}


@pytest.fixture
def told(cluster, fake, watch):
    def start(*answers):
        fake.answers = [*answers, *[page(99)] * 50]
        path = cluster.write_kubeconfig("fakewatch.kubeconfig", {"token": "t"}, server=fake.address)
        return watch(path, "/apis/g/v1/things")
    return start


def asked(fake, at):
    return fake.seen[at][1].split("?")[1]


def test_pages(fake, told):
    told(page(5, "a", following="to/ken"), page(5, "b"), events()).sees(
        "begin", "present a 5", "present b 5", "listed")
    assert asked(fake, 0) == "limit=100" and asked(fake, 1) == "limit=100&continue=to%2Fken"


def test_a_bookmark_is_where_the_next_watch_begins(fake, told):
    one = told(page(5), events(("ADDED", thing("a", 7)), ("BOOKMARK", thing(None, 77))))
    one.sees("listed", "present a 7")
    one.wait(lambda lines: len(fake.seen) > 2)
    assert "resourceVersion=5" in asked(fake, 1) and "allowWatchBookmarks=true" in asked(fake, 1)
    assert "timeoutSeconds=300" in asked(fake, 1) and "resourceVersion=77" in asked(fake, 2)


@pytest.mark.parametrize("answer", [events(("ERROR", gone())), (410, {}, json.dumps(gone()))])
def test_a_version_that_is_too_old_lists_again(fake, told, answer):
    one = told(page(5, "a"), answer, page(9, "b"), events())
    one.sees("begin", "present a 5", "listed", "begin", "present b 9", "listed")
    assert "limit=100" == asked(fake, 2) and "trying again" not in one.log()


def test_a_list_that_expires_between_pages_begins_anew(fake, told):
    one = told(page(5, "a", following="x"), (410, {}, json.dumps(gone())), page(6, "a", "b"), events())
    one.sees("begin", "present a 5", "begin", "present a 6", "present b 6", "listed")
    assert asked(fake, 2) == "limit=100"


@pytest.mark.parametrize("answer, words", [
    ((500, {}, "oops"), "500"), ((403, {}, json.dumps({"message": "no rights", "code": 403})), "no rights"),
    ((429, {"Retry-After": "1"}, "{}"), "429"), ((200, {}, "{"), "broken"), ((None, {}, ""), "reach")])
def test_a_list_that_fails_is_tried_again(fake, told, answer, words):
    one = told(answer, page(5, "a"), events())
    one.sees("begin", "begin", "present a 5", "listed")
    assert words in one.log() and one.log().count("trying again") == 1


@pytest.mark.parametrize("text", ['{"type":"ADDED"', "garbage\n", '{"type":"ADDED"}\n', "[]\n", "\n",
                                  '{"type":"ERROR","object":{"code":500,"message":"etcd is gone"}}\n'])
def test_a_watch_that_is_broken_goes_on(fake, told, text):
    one = told(page(5, "a"), (200, {}, text), events(("ADDED", thing("b", 6))))
    one.sees("present a 5", "listed", "present b 6")


def test_a_line_without_end(fake, told):
    one = told(page(5, "a"), (200, {}, '{"a":"' + "x" * (9 << 20)), events(("ADDED", thing("b", 6))))
    one.sees("listed", "present b 6")
    assert "8 MiB" in one.log()
