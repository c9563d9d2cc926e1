"""The driver in a cluster: a controller, and nodes, each a process; the cluster is the caller's.

A node has a folder of its own for everything: its host's root is {base}/host, its kubelet's folder
{base}/kubelet.
"""
import contextlib
import os
import subprocess

import csi_pb2 as csi
from driver import FAST, Driver, mount_capability

CRDS = "charts/lukscryptwalker-csi/crds"
TOPOLOGY = "topology.lukscryptwalker.csi.k8s.io/node"


class ClusterDriver(Driver):
    role = "controller"

    def __init__(self, base, binary, kubeconfig, node="controller", options=()):
        self.kubeconfig = str(kubeconfig)
        super().__init__(base, binary, node=node, options=options)

    def command(self):
        words = super().command()
        return ["env", f"KUBECONFIG={self.kubeconfig}", words[0], self.role, "--store=kube", *words[2:]]

    def create_on(self, name, *nodes, size=32 << 20, path="/data", timeout=60, **parameters):
        request = csi.CreateVolumeRequest(
            name=name, parameters={"local-path": path, **FAST, **parameters},
            volume_capabilities=[mount_capability()])
        request.capacity_range.required_bytes = size
        for node in nodes:
            for group in ("requisite", "preferred"):
                getattr(request.accessibility_requirements, group).add().segments[TOPOLOGY] = node
        return self.controller.CreateVolume(request, timeout=timeout).volume


class Controller(ClusterDriver):
    pass


class Node(ClusterDriver):
    role = "node"

    def command(self):
        return [*super().command(), f"--host-root={self.base}/host", "--registration=off"]

    def image(self, volume_id, path="/data"):
        return f"{self.base}/host{path}/{volume_id}/luks-{volume_id}.img"

    def start(self):
        os.makedirs(f"{self.base}/host", exist_ok=True)
        return super().start()


@contextlib.contextmanager
def shared_folder(path):
    """A folder whose mounts others see, as kubelet's is."""
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "--bind", path, path], check=True)
    try:
        subprocess.run(["mount", "--make-shared", path], check=True)
        yield path
    finally:
        subprocess.run(["umount", "-l", path], check=True)
