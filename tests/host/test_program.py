"""The command line and the HTTP endpoint."""
import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

import csi_pb2 as csi
import pytest
from driver import Driver, until
from fixtures import folder, running_driver


def run(driver, *arguments, **options):
    return subprocess.run([driver.binary, *arguments], capture_output=True, text=True, timeout=30,
                          **options)


def test_help_and_version(driver):
    text = run(driver, "--help")
    assert text.returncode == 0
    for option in ("--endpoint", "--node-id", "--state-dir", "--run-dir", "--store", "--host-root",
                   "--allow-path", "--kubelet-dir", "--http-endpoint", "--rclone",
                   "--mounter-endpoint", "--log-format", "--log-level", "--version", "--help"):
        assert option in text.stdout
    assert re.fullmatch(r"lukscryptwalker-csi \d+\.\d+\.\d+\n", run(driver, "--version").stdout)


@pytest.mark.parametrize("arguments, words", [
    ([], "which role"), (["al"], "'all'"), (["all", "--endpiont=x"], "--endpoint"),
    (["all", "--endpoint=tcp://1.2.3.4:5"], "unix://"), (["all", "--endpoint"], "needs a value"),
    (["all", "--log-level=loud"], "--log-level"), (["all", "--store=etcd"], "--store"),
    (["all", "--node-id=a b"], "--node-id"), (["all", "--allow-path=x"], "--allow-path"),
    (["all", "--http-endpoint=x"], "--http-endpoint"), (["all", "node"], "unexpected"),
    (["all", "--http-endpoint=:65536"], "--http-endpoint"), (["all", "--node-id=-a"], "--node-id"),
    (["all", "--node-id=" + "a" * 64], "--node-id"), (["all", "--exit-when-idle=info"], "no value"),
    (["all", "-x"], "unknown option '-x'"), (["all", "--endpoint="], "--endpoint"),
    (["all", "--endpoint=unix://csi.sock"], "absolute"), (["all", "--state-dir=x"], "--state-dir"),
    (["all", "--run-dir=/a/../b"], "--run-dir"), (["all", "--"], "unknown option"),
    (["All"], "'all'"), ([""], "unknown role"), (["all", "--store"], "needs a value")])
def test_a_wrong_command_line_is_explained(shared_driver, arguments, words):
    done = run(shared_driver, *arguments)
    assert done.returncode == 2 and words in done.stderr


def test_the_environment_is_asked_where_the_command_line_is_silent(driver):
    env = {**os.environ, "CSI_ENDPOINT": "tcp://1.2.3.4:5"}
    assert run(driver, "--help", env=env).returncode == 0 == run(driver, "-h", env=env).returncode
    done = run(driver, "all", env=env)
    assert done.returncode == 2 and "$CSI_ENDPOINT" in done.stderr

    class Environment(Driver):
        def command(self):
            words = [word for word in super().command() if not word.startswith("--node-id")]
            return ["env", "KUBE_NODE_NAME=node.of-env", *self.endpoint(words)]

    class Named(Environment):  # and what the environment says is not even looked at
        def endpoint(self, words):
            return ["CSI_ENDPOINT=tcp://1.2.3.4:5", *words]

    class Unnamed(Environment):
        def endpoint(self, words):
            return [f"CSI_ENDPOINT={self.address}{self.socket}",
                    *(word for word in words if not word.startswith("--endpoint"))]
    for kind, address in ((Named, ""), (Unnamed, "unix://"), (Unnamed, "unix:"), (Unnamed, "")):
        with folder() as base:
            kind.address = address
            with running_driver(base, kind) as one:
                assert one.nodes.NodeGetInfo(csi.NodeGetInfoRequest()).node_id == "node.of-env"


@pytest.mark.parametrize("endpoint, address", [
    (":0", r"\[::\]"), ("127.0.0.1:0", r"127\.0\.0\.1"), ("[::1]:0", r"\[::1\]"),
    ("localhost:0", r"127\.0\.0\.1")])
def test_forms_of_the_http_endpoint(endpoint, address):
    class Other(Driver):
        def command(self):
            return [*super().command(), f"--http-endpoint={endpoint}"]
    with folder() as base, running_driver(base, Other) as driver:
        port = re.search(rf"http=\"?{address}:(\d+)", driver.read_log()).group(1)
        host = "127.0.0.1" if endpoint.startswith(":") else endpoint.rsplit(":", 1)[0]
        with urllib.request.urlopen(f"http://{host}:{port}/healthz", timeout=10) as answer:
            assert answer.read() == b"ok\n"


def test_an_http_endpoint_that_is_taken_or_not_ours_is_named(driver):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for endpoint in (f"127.0.0.1:{taken.getsockname()[1]}", "192.0.2.1:9808", "a.b:9808"):
            done = run(driver, "all", f"--endpoint=unix://{driver.base}/h.sock", "--store=dir",
                       f"--state-dir={driver.base}/s", f"--run-dir={driver.base}/r",
                       f"--kubelet-dir={driver.kubelet}", f"--http-endpoint={endpoint}")
            assert done.returncode == 1 and f"--http-endpoint={endpoint}" in done.stderr


def test_every_line_of_the_json_log_is_json(served, refused):
    for name in ('a"b\\', "ü😀", "x" * 128):
        served.delete(served.create(name, 1 << 20).volume_id)
    with refused("INVALID_ARGUMENT"):
        served.create('q"\n\\\x1b[31m')
    with refused("INVALID_ARGUMENT"):
        served.create_raw("p", {'k"\\\t': 'v"'})
    with refused("INVALID_ARGUMENT"):
        served.stats('"}{', "/")
    with open(served.log, encoding="utf-8") as log:
        lines = [json.loads(line) for line in log]
    assert len(lines) > 8 and all(line["level"] for line in lines)


def test_a_live_socket_is_refused_and_a_stale_one_replaced(driver):
    second = Driver(f"{driver.base}/second", driver.binary)
    second.socket = driver.socket
    done = subprocess.run(second.command(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and driver.socket in done.stderr
    assert driver.probe()
    driver.kill()
    assert os.path.exists(driver.socket)
    driver.start()
    assert driver.probe()


def test_kubelet_folder_must_exist_for_a_node(driver):
    done = run(driver, "node", "--store=dir", f"--endpoint=unix://{driver.base}/n.sock",
               f"--state-dir={driver.base}/s", f"--run-dir={driver.base}/r", "--http-endpoint=",
               f"--kubelet-dir={driver.base}/none")
    assert done.returncode == 1 and "none" in done.stderr


def test_u23_http_endpoint(served):
    assert served.get("/healthz") == "ok\n" and served.get("/readyz") == "ok\n"
    served.probe()
    served.controller.ListVolumes(csi.ListVolumesRequest(), timeout=60)
    assert 'lukscryptwalker_rpc_total{method="ListVolumes",code="OK"} 1' in served.get("/metrics")
    until("the worker has ended", lambda: "lukscryptwalker_workers 0" in served.get("/metrics"))
    with pytest.raises(urllib.error.HTTPError):
        served.get("/other")
    held = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(64)]
    assert served.probe()
    for connection in held:
        connection.close()
    until("the endpoint answers again", lambda: served.get("/healthz") == "ok\n")


def test_metrics_tell_of_volumes_and_disks(served):
    volume = served.create("pvc-seen", 20 << 20)
    damaged = f"{served.base}/state/volumes/pvc-damaged.json"
    with open(damaged, "w", encoding="utf-8") as out:
        out.write("{")

    until("they are seen", lambda: served.metric("volumes", backend="local", state="reserved") == 1)
    assert served.metric("volumes", backend="s3", state="formatted") == 0
    assert served.metric("capacity_bytes", backend="local") == volume.capacity_bytes
    assert served.metric("pool_free_bytes", local_path=served.data) > 0
    assert served.metric("unreadable_records") == 1 and served.metric("volumes_abnormal", backend="local") == 0
    assert abs(served.metric("survey_timestamp_seconds") - time.time()) < 60
    types = re.findall(r"^# TYPE (\S+)", served.get("/metrics"), re.M)
    assert len(types) == len(set(types)) and served.metric("build_info", version="2.0.0") == 1
    os.unlink(damaged)
    served.delete("pvc-seen")


def test_a_slash_at_the_end_of_a_folder_says_nothing(driver, refused):
    class Slashes(Driver):
        def command(self):
            folders = ("--kubelet-dir", "--state-dir", "--run-dir")
            return [word + "/" if word.startswith(folders) else word for word in super().command()]
    with folder() as base, running_driver(base, Slashes) as other:
        volume = other.create("pvc-s")
        with refused("INVALID_ARGUMENT", "kubelet's folder itself"):
            other.stage(volume, path=other.kubelet)
        other.delete("pvc-s")
