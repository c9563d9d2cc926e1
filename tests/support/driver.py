"""The driver under test and a CSI client for it: used by the VM cases, the demo and the bench.

The client is grpcio with stubs of the official definition, so that what we think of the protocol
is not what we test against.
"""
import contextlib
import os
import signal
import subprocess
import time

import csi_pb2 as csi
import csi_pb2_grpc as rpc
import grpc

TIMEOUT = 240
FAST = {"luks-pbkdf": "pbkdf2", "luks-pbkdf-iterations": "1000"}
MODES = csi.VolumeCapability.AccessMode


def until(what, condition, seconds=30):
    """Waits for a condition and returns its value; a condition that never holds is a failure."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def mount_capability(fs="", mode=MODES.SINGLE_NODE_WRITER, flags=(), group=""):
    capability = csi.VolumeCapability(access_mode=csi.VolumeCapability.AccessMode(mode=mode))
    capability.mount.SetInParent()
    capability.mount.fs_type = fs
    capability.mount.mount_flags.extend(flags)
    capability.mount.volume_mount_group = group
    return capability


def block_capability(mode=MODES.SINGLE_NODE_WRITER):
    capability = csi.VolumeCapability(access_mode=csi.VolumeCapability.AccessMode(mode=mode))
    capability.block.SetInParent()
    return capability


class Driver:
    """One driver in its own folder: {base}/{data,state,run,kubelet,csi.sock,driver.log}."""

    def __init__(self, base, binary, node="node-a", options=()):
        self.base, self.binary, self.node, self.options = str(base), binary, node, list(options)
        self.socket = f"{self.base}/csi.sock"
        self.kubelet = f"{self.base}/kubelet"
        self.data = f"{self.base}/data"
        self.log = f"{self.base}/driver.log"
        self.process = None
        os.makedirs(self.kubelet, exist_ok=True)

    def command(self):
        return [self.binary, "all", f"--endpoint=unix://{self.socket}", f"--node-id={self.node}",
                f"--state-dir={self.base}/state", f"--run-dir={self.base}/run",
                f"--kubelet-dir={self.kubelet}", "--http-endpoint=", "--log-level=debug",
                *self.options]

    def start(self):
        with open(self.log, "ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        until("the driver listens", lambda: " listening " in self.read_log(begin)
              or self.process.poll() is not None)
        assert self.process.poll() is None, self.read_log()
        return self.connect()

    def connect(self):
        # Kubelet's client tries again at once; grpcio would wait for up to two minutes.
        self.channel = grpc.insecure_channel(f"unix:{self.socket}", options=[
            ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 200),
            ("grpc.use_local_subchannel_pool", 1)])
        self.identity = rpc.IdentityStub(self.channel)
        self.controller = rpc.ControllerStub(self.channel)
        self.nodes = rpc.NodeStub(self.channel)
        return self

    def read_log(self, begin=0):
        """From that byte on."""
        try:
            with open(self.log, "rb") as log:
                log.seek(begin)
                return log.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def kill(self):
        """kill -9, and its workers go on: they are not ours to end."""
        self.channel.close()
        self.process.kill()
        self.process.wait(30)

    def stop(self):
        """SIGTERM; returns the exit status."""
        self.channel.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def restart(self):
        self.kill()
        return self.start()

    # Calls, with what most of them need filled in.
    def create(self, name, size=32 << 20, capability=None, limit=0, **parameters):
        merged = {"local-path": self.data, **FAST}
        merged.update({key.replace("_", "-"): value for key, value in parameters.items()})
        return self.create_raw(name, {k: v for k, v in merged.items() if v is not None}, size,
                               capability, limit)

    def create_raw(self, name, parameters, size=32 << 20, capability=None, limit=0):
        request = csi.CreateVolumeRequest(
            name=name, parameters=parameters,
            volume_capabilities=[capability or mount_capability()])
        if size is not None:
            request.capacity_range.CopyFrom(csi.CapacityRange(required_bytes=size, limit_bytes=limit))
        return self.controller.CreateVolume(request, timeout=TIMEOUT).volume

    def delete(self, volume_id):
        self.controller.DeleteVolume(csi.DeleteVolumeRequest(volume_id=volume_id), timeout=TIMEOUT)

    def staging(self, volume_id):
        path = f"{self.kubelet}/staging-{volume_id}"
        with contextlib.suppress(FileExistsError):  # a dead mount is there, and cannot be looked at
            os.makedirs(path, exist_ok=True)
        return path

    def target(self, volume_id, number=0):
        os.makedirs(f"{self.kubelet}/pods", exist_ok=True)  # kubelet makes all but the last folder
        return f"{self.kubelet}/pods/pod{number}-{volume_id}"

    def stage(self, volume, capability=None, secrets=None, path=None, timeout=TIMEOUT, context=None):
        self.nodes.NodeStageVolume(csi.NodeStageVolumeRequest(
            volume_id=volume.volume_id, staging_target_path=path or self.staging(volume.volume_id),
            volume_capability=capability or mount_capability(),
            secrets={"passphrase": "correct horse"} if secrets is None else secrets,
            volume_context=volume.volume_context if context is None else context), timeout=timeout)

    def unstage(self, volume_id, path=None, timeout=TIMEOUT):
        self.nodes.NodeUnstageVolume(csi.NodeUnstageVolumeRequest(
            volume_id=volume_id, staging_target_path=path or self.staging(volume_id)),
            timeout=timeout)

    def publish(self, volume, capability=None, number=0, readonly=False, path=None, staging=None):
        target = path or self.target(volume.volume_id, number)
        self.nodes.NodePublishVolume(csi.NodePublishVolumeRequest(
            volume_id=volume.volume_id, target_path=target, readonly=readonly,
            staging_target_path=staging or self.staging(volume.volume_id),
            volume_capability=capability or mount_capability(),
            volume_context=volume.volume_context), timeout=TIMEOUT)
        return target

    def unpublish(self, volume_id, number=0, path=None):
        self.nodes.NodeUnpublishVolume(csi.NodeUnpublishVolumeRequest(
            volume_id=volume_id, target_path=path or self.target(volume_id, number)),
            timeout=TIMEOUT)

    def expand(self, volume_id, size):
        return self.controller.ControllerExpandVolume(csi.ControllerExpandVolumeRequest(
            volume_id=volume_id, capacity_range=csi.CapacityRange(required_bytes=size)),
            timeout=TIMEOUT)

    def node_expand(self, volume_id, path, size=0):
        request = csi.NodeExpandVolumeRequest(volume_id=volume_id, volume_path=path)
        if size:
            request.capacity_range.required_bytes = size
        return self.nodes.NodeExpandVolume(request, timeout=TIMEOUT)

    def stats(self, volume_id, path, timeout=TIMEOUT):
        return self.nodes.NodeGetVolumeStats(csi.NodeGetVolumeStatsRequest(
            volume_id=volume_id, volume_path=path), timeout=timeout)

    def probe(self, timeout=5):
        return self.identity.Probe(csi.ProbeRequest(), timeout=timeout).ready.value

    def image(self, volume_id):
        return f"{self.data}/{volume_id}/luks-{volume_id}.img"

    def record(self, volume_id):
        return f"{self.data}/{volume_id}/volume.json"
