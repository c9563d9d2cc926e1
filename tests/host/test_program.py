"""The command line and the HTTP endpoint."""
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
    (["all", "--http-endpoint=x"], "--http-endpoint"), (["all", "node"], "unexpected")])
def test_a_wrong_command_line_is_explained(shared_driver, arguments, words):
    done = run(shared_driver, *arguments)
    assert done.returncode == 2 and words in done.stderr


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
