"""Many objects, an API server that goes and comes, and what the processes cost."""
import json
import os
import pathlib
import re
import threading
import time

import grpc
import pytest
from driver import until
from objects import look, objects

MIB = 1 << 20


def pss_kib(process):
    """Of the process and its children, each shared page by its share."""
    pids, total = [process.pid], 0
    for pid in pids:
        pids += [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        total += int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M).group(1))
    return total


def volume_of(name, node):
    return {"apiVersion": "lukscryptwalker.csi.k8s.io/v1alpha1", "kind": "LUKSVolume", "metadata": {
        "name": name, "finalizers": ["lukscryptwalker.csi.k8s.io/data"] if node == "a" else []}, "spec": {
            "volumeID": name, "volumeName": name, "backend": "local", "nodeName": node, "volumeMode": "Filesystem", "capacity": "32Mi",
            "created": "2026-11-23T00:00:00Z", "parameters": {"local-path": "/data", "allocation": "thin"}}}


def test_a_thousand_volumes_cost_little(kinds, start):
    controller, node = start("a")
    idle = pss_kib(controller.process), pss_kib(node.process)
    kinds.kubectl("create", "-f", "-", given="\n---\n".join(
        json.dumps(volume_of(f"many-{n:04d}", "a" if n % 10 == 0 else "elsewhere")) for n in range(1000)))
    until("the node has made its own", lambda: sum(
        one["status"]["phase"] == "Ready" for one in kinds.get("luksvolumes", "--field-selector=spec.nodeName=a")["items"]) == 100, 100)
    assert len(os.listdir(f"{node.base}/host/data")) == 100, "and none of others"
    until("its workers have ended", lambda: not pathlib.Path(
        f"/proc/{node.process.pid}/task/{node.process.pid}/children").read_text(), 30)
    full = pss_kib(controller.process), pss_kib(node.process)
    print(f"PSS in KiB, controller and node: idle {idle}, with 1,000 volumes {full}")
    if "asan" not in os.environ["LCW_BUILD"]:
        assert full[0] <= 12 * 1024 and full[1] <= 8 * 1024, (idle, full)


@pytest.mark.timeout(240)
def test_an_api_server_that_is_stopped_under_load(kinds, start):
    """Nothing is lost and nothing is made twice, when calls are repeated as external-provisioner does."""
    kinds.apply('{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}')
    controller, node = start("a")
    made, end = [], threading.Event()

    def load():
        number = 0
        while not end.is_set():
            try:
                controller.create_on(f"load-{number}", "a", allocation="thin")
                made.append(f"load-{number}")
                number += 1
            except grpc.RpcError as error:
                assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
                                        grpc.StatusCode.ABORTED), error.details()
                time.sleep(0.2)

    worker = threading.Thread(target=load)
    worker.start()
    until("the load runs", lambda: len(made) >= 3, 30)
    kinds.stop_one("kube-apiserver")
    time.sleep(60)
    assert node.probe() and controller.probe()
    before = len(made)
    kinds.start_api()
    until("the load goes on", lambda: len(made) >= before + 5, 80)
    end.set()
    worker.join(60)
    known = sorted(objects(kinds, "luksvolumes"))
    assert set(made) <= set(known) <= {*made, f"load-{len(made)}"}
    assert sorted(os.listdir(f"{node.base}/host/data")) == known
    for name in known:
        controller.delete(name)
    assert objects(kinds, "luksvolumes") == [] and os.listdir(f"{node.base}/host/data") == []
    kinds.kubectl("delete", "node", "a")


def test_conflicts_are_written_again(kinds, start):
    """Somebody changes the object all the time, as a label controller might."""
    controller, node = start("a")
    controller.create_on("pvc-1", "a")
    end = threading.Event()

    def storm():
        number = 0
        while not end.is_set():
            number += 1
            kinds.kubectl("label", "luksvolume", "pvc-1", f"storm={number}", "--overwrite", check=False)

    worker = threading.Thread(target=storm)
    worker.start()
    try:
        for size in (64, 96, 128):
            assert controller.expand("pvc-1", size * MIB).capacity_bytes == size * MIB
        controller.delete("pvc-1")
    finally:
        end.set()
        worker.join(60)
    assert look(kinds, "luksvolume", "pvc-1") is None and os.listdir(f"{node.base}/host/data") == []
