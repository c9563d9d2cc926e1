"""The API client against a real API server, and against a server that misbehaves."""

import base64
import json
import socket
import threading
import time

import pytest
from cluster import openssl

MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_the_life_of_an_object(admin):
    made = admin.good("create", MAPS, config_map("life", a="1"))
    assert made["data"] == {"a": "1"} and made["metadata"]["uid"]
    assert admin.good("get", f"{MAPS}/life")["data"] == {"a": "1"}
    code, sentence = admin.call("create", MAPS, config_map("life"))
    assert code == "ALREADY_EXISTS" and "configmaps" in sentence and '"life" already exists' in sentence
    assert admin.good("patch", f"{MAPS}/life", {"data": {"a": None, "b": "2"}})["data"] == {"b": "2"}
    assert admin.good("apply", f"{MAPS}/life", config_map("life", b="3"))["data"] == {"b": "3"}
    assert admin.good("apply", f"{MAPS}/life2", config_map("life2", c="4"))["data"] == {"c": "4"}
    made["data"] = {"z": "9"}
    code, sentence = admin.call("replace", f"{MAPS}/life", made)
    assert code == "ABORTED" and "cannot change namespaces/default/configmaps/life" in sentence
    made["metadata"].pop("resourceVersion")
    assert admin.good("replace", f"{MAPS}/life", made)["data"] == {"z": "9"}
    # Only the object that is meant: another one of the same name is left alone.
    admin.good("delete", f"{MAPS}/life", {"uid": "00000000-0000-0000-0000-000000000000"})
    assert admin.good("get", f"{MAPS}/life")["data"] == {"z": "9"}
    admin.good("delete", f"{MAPS}/life", {"uid": made["metadata"]["uid"]})
    admin.good("delete", f"{MAPS}/life", {})
    admin.good("delete", f"{MAPS}/life2", {})
    code, sentence = admin.call("get", f"{MAPS}/life")
    assert code == "NOT_FOUND" and sentence.startswith("cannot read namespaces/default/configmaps/life: ")


def test_an_invalid_object_is_explained(admin):
    code, sentence = admin.call("create", MAPS, config_map("No Good"))
    assert code == "INVALID_ARGUMENT" and "metadata.name" in sentence


def test_a_list_comes_in_pages(cluster, admin):
    items = "\n---\n".join(json.dumps(config_map(f"page-{n:04d}")) for n in range(1203))
    cluster.kubectl("create", "namespace", "pages")
    cluster.kubectl("create", "-n", "pages", "-f", "-", given=items)
    found = admin.good("list", "/api/v1/namespaces/pages/configmaps")
    names = [one["metadata"]["name"] for one in found]
    assert names == [f"page-{n:04d}" for n in range(1203)]


def test_what_is_not_allowed_is_said(cluster, tool):
    cluster.kubectl("create", "serviceaccount", "nobody")
    token = cluster.kubectl("create", "token", "nobody").strip()
    code, sentence = tool(cluster.write_kubeconfig("nobody.kubeconfig", {"token": token})).call("get", f"{MAPS}/x")
    assert code == "PERMISSION_DENIED" and "system:serviceaccount:default:nobody" in sentence and "RBAC" in sentence


def test_a_wrong_token(cluster, tool):
    code, sentence = tool(cluster.write_kubeconfig("wrong.kubeconfig", {"token": "wrong"})).call("get", MAPS)
    assert code == "UNAUTHENTICATED" and "token" in sentence and "wrong" not in sentence


@pytest.mark.parametrize("inline", [True, False])
def test_a_client_certificate(cluster, tool, inline):
    cluster.sign("someone", "/O=system:masters/CN=someone")
    if inline:
        user = {f"client-{part}-data": base64.b64encode((cluster.folder / f"someone.{end}").read_bytes()).decode()
                for part, end in (("certificate", "crt"), ("key", "key"))}
        path = cluster.write_kubeconfig("inline.kubeconfig", user)
    else:  # paths are relative to the kubeconfig's folder
        path = cluster.write_kubeconfig(
            "files.kubeconfig", {"client-certificate": "someone.crt", "client-key": "someone.key"},
            **{"certificate-authority-data": None, "certificate-authority": "ca.crt"})
    assert tool(path).good("get", "/api/v1/namespaces/default")["metadata"]["name"] == "default"


def pod_folder(cluster, folder, token):
    """As kubelet lays it out: files are symbolic links through ..data."""
    (folder / "..1").mkdir()
    (folder / "..1/token").write_text(token)
    (folder / "..1/ca.crt").write_bytes((cluster.folder / "ca.crt").read_bytes())
    (folder / "..data").symlink_to("..1")
    for name in ("token", "ca.crt"):
        (folder / name).symlink_to(f"..data/{name}")


def test_a_pods_token_is_read_again(cluster, folder, tool):
    pod_folder(cluster, folder, "an-old-one\n")
    one = tool(folder, "127.0.0.1", cluster.port)
    assert one.call("get", MAPS)[0] == "UNAUTHENTICATED"
    (folder / "..2").mkdir()
    (folder / "..2/token").write_text(cluster.tokens["admin"] + "\n")
    (folder / "..2/ca.crt").write_bytes((cluster.folder / "ca.crt").read_bytes())
    (folder / "..new").symlink_to("..2")
    (folder / "..new").rename(folder / "..data")
    assert one.good("get", "/api/v1/namespaces/default")
    (folder / "..2/token").write_text("two\nlines")
    code, sentence = one.call("get", MAPS)
    assert code == "FAILED_PRECONDITION" and "does not hold a token" in sentence
    (folder / "..2/token").unlink()
    code, sentence = one.call("get", MAPS)
    assert code == "FAILED_PRECONDITION" and "No such file" in sentence


def test_ipv6(cluster, folder, tool, forwarder):
    pod_folder(cluster, folder, cluster.tokens["admin"])
    assert tool(folder, "::1", forwarder("::1").port).good("get", "/api/v1/namespaces/default")


def test_a_server_of_another_authority_is_not_trusted(cluster, folder, tool):
    pod_folder(cluster, folder, cluster.tokens["admin"])
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=other", "-keyout", "other.key", "-out", "..1/ca.crt", folder=folder)
    start = time.monotonic()
    code, sentence = tool(folder, "127.0.0.1", cluster.port, timeout_ms=1500).call("get", MAPS)
    assert code == "UNAVAILABLE" and "certificate" in sentence and time.monotonic() - start < 4


def test_the_name_in_the_certificate_counts(cluster, tool):
    path = cluster.write_kubeconfig("name.kubeconfig", {"token": cluster.tokens["admin"]},
                                    server=f"https://127.0.0.2:{cluster.port}")
    assert tool(path, timeout_ms=1500).call("get", MAPS)[0] == "UNAVAILABLE"


def test_a_dead_server_is_given_up_in_time(cluster, tool, forwarder):
    silent = forwarder()
    silent.mode = "silent"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = free.getsockname()[1]
    for port in (silent.port, closed):
        path = cluster.write_kubeconfig("dead.kubeconfig", {"token": "x"}, server=f"https://127.0.0.1:{port}")
        start = time.monotonic()
        code, sentence = tool(path, timeout_ms=2000).call("get", MAPS)
        assert code in ("UNAVAILABLE", "DEADLINE_EXCEEDED") and f"https://127.0.0.1:{port}" in sentence
        assert time.monotonic() - start < 3


def test_a_name_that_nobody_knows(cluster, tool):
    path = cluster.write_kubeconfig("noname.kubeconfig", {"token": "x"}, server="https://no.such.name.invalid:6443")
    code, sentence = tool(path, timeout_ms=1000).call("get", MAPS)
    assert code in ("UNAVAILABLE", "DEADLINE_EXCEEDED") and "no.such.name.invalid" in sentence


def test_a_server_that_comes_back_in_time_is_waited_for(cluster, tool, forwarder):
    gate = forwarder()
    gate.listener.close()
    path = cluster.write_kubeconfig("gate.kubeconfig", {"token": cluster.tokens["admin"]},
                                    server=f"https://127.0.0.1:{gate.port}")

    def reopen():
        time.sleep(1)
        gate.listener = socket.create_server(("127.0.0.1", gate.port))
        gate._accept()

    threading.Thread(target=reopen, daemon=True).start()
    assert tool(path, timeout_ms=20000).good("get", "/api/v1/namespaces/default")


class ConnectProxy:
    """An HTTP proxy that knows CONNECT."""

    def __init__(self):
        self.asked = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(4096)
            self.asked.append(head.decode().splitlines())
            host, port = head.split()[1].decode().rsplit(":", 1)
            server = socket.create_connection((host, int(port)))
            client.sendall(b"HTTP/1.1 200 go\r\n\r\n")
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.mark.parametrize("where", ["kubeconfig", "environment", "no_proxy"])
def test_a_proxy(cluster, tool, where):
    proxy = ConnectProxy()
    address = f"http://127.0.0.1:{proxy.port}"
    extra = {"proxy-url": address} if where == "kubeconfig" else {}
    env = {} if where == "kubeconfig" else {"HTTPS_PROXY": address}
    if where == "no_proxy":
        env["NO_PROXY"] = "127.0.0.0/8"
    path = cluster.write_kubeconfig("proxy.kubeconfig", {"token": cluster.tokens["admin"]}, **extra)
    assert tool(path, env=env).good("get", "/api/v1/namespaces/default")
    assert bool(proxy.asked) == (where != "no_proxy")
    # The proxy learns the address, not the token.
    assert cluster.tokens["admin"] not in str(proxy.asked)
    proxy.listener.close()


def test_conflicts_are_resolved(cluster, tool, admin):
    cluster.apply(json.dumps({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "counters.test.lukscryptwalker"},
        "spec": {"group": "test.lukscryptwalker", "scope": "Cluster",
                 "names": {"plural": "counters", "singular": "counter", "kind": "Counter"},
                 "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                     "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}))
    cluster.kubectl("wait", "--for=condition=Established", "crd/counters.test.lukscryptwalker", "--timeout=60s")
    place = "/apis/test.lukscryptwalker/v1/counters"
    admin.good("create", place, {"apiVersion": "test.lukscryptwalker/v1", "kind": "Counter",
                                 "metadata": {"name": "one"}, "spec": {"count": 0}})
    tools = [tool(cluster.kubeconfig, timeout_ms=60000) for _ in range(4)]
    for _ in range(10):
        for one in tools:
            one.write(f"add {place}/one")
    for one in tools:
        for _ in range(10):
            assert json.loads(one.process.stdout.readline())["code"] == "OK"
    assert admin.good("get", f"{place}/one")["spec"]["count"] == 40


def test_a_forked_child_uses_its_own_connection(cluster, tool):
    one = tool(cluster.kubeconfig)
    assert one.good("get", "/api/v1/namespaces/default")
    one.write("fork")
    for _ in range(3):
        assert one.good("get", "/api/v1/namespaces/default")


# From here on: a server that says what it is told.

@pytest.fixture
def told(cluster, fake, tool):
    path = cluster.write_kubeconfig("fake.kubeconfig", {"token": "t"}, server=fake.address)
    return lambda **options: tool(path, **options)


STATUS = '{"kind":"Status","message":"%s","reason":"%s","code":%d}'


def test_too_many_requests_waits_as_long_as_it_is_told(fake, told):
    fake.answers = [(429, {"Retry-After": "1"}, STATUS % ("slow down", "TooManyRequests", 429))]
    start = time.monotonic()
    assert told().good("create", MAPS, {}) == {}
    assert 1 <= time.monotonic() - start < 5 and len(fake.seen) == 2


def test_a_wait_that_is_too_long_is_not_waited_for(fake, told):
    fake.answers = [(429, {"Retry-After": "3600"}, STATUS % ("slow down", "TooManyRequests", 429))]
    start = time.monotonic()
    code, sentence = told(timeout_ms=2000).call("get", MAPS)
    assert code == "UNAVAILABLE" and "slow down" in sentence and time.monotonic() - start < 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_in_trouble(fake, told, status):
    fake.answers = [(status, {}, "<html>a page of a proxy</html>")] * 2
    assert told().good("get", MAPS) == {} and len(fake.seen) == 3
    # A creation may have been made: whoever asked for it must look.
    fake.answers, fake.seen = [(status, {}, STATUS % ("oops", "x", status))], []
    code, sentence = told().call("create", MAPS, {})
    assert code == "UNAVAILABLE" and "oops" in sentence and len(fake.seen) == 1


def test_a_lost_answer(fake, told):
    fake.answers = [(None, {}, "")] * 2
    assert told().good("patch", MAPS, {"a": 1}) == {}
    assert len(fake.seen) == 3
    fake.answers, fake.seen = [(None, {}, "")], []
    assert told().call("create", MAPS, {})[0] == "UNAVAILABLE" and len(fake.seen) == 1


@pytest.mark.parametrize("body", ["", "not json", "[1]", '{"a":1', '{"a":1}garbage', "\0"])
def test_a_broken_answer(fake, told, body):
    fake.answers = [(200, {}, body)]
    code, sentence = told().call("get", MAPS)
    assert code == "UNAVAILABLE" and "broken" in sentence


def test_an_answer_without_end_is_cut_off(fake, told):
    fake.answers = [(200, {}, '{"a":"' + "x" * (17 << 20))]
    code, sentence = told().call("get", MAPS)
    assert code == "RESOURCE_EXHAUSTED" and "16 MiB" in sentence


def test_a_redirection_is_not_followed(fake, told):
    fake.answers = [(302, {"Location": "http://127.0.0.1:1/"}, "")]
    code, sentence = told().call("get", MAPS)
    assert code == "UNAVAILABLE" and "302" in sentence and len(fake.seen) == 1


def test_what_a_request_looks_like(fake, told):
    told().good("patch", f"{MAPS}/a/status", {"b": "ü"})
    method, path, headers, body = fake.seen[0]
    assert (method, path, json.loads(body)) == ("PATCH", f"{MAPS}/a/status", {"b": "ü"})
    assert headers["Authorization"] == "Bearer t" and headers["User-Agent"].startswith("lukscryptwalker/")
    assert headers["Content-Type"] == "application/merge-patch+json" and "Expect" not in headers
