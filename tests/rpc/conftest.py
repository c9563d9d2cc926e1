"""Starts rpc-testserver for each test and watches that it ends cleanly."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import grpc
import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
if "PYTHONPATH" not in os.environ:
    sys.path[:0] = subprocess.run([REPO / "scripts/tools", "csi-stubs", "kubelet-stubs"], check=True,
                                  timeout=900, stdout=subprocess.PIPE, text=True).stdout.split()
import csi_pb2  # noqa: E402
import csi_pb2_grpc  # noqa: E402


def built(path):
    """A program of the build under test."""
    if "LCW_BUILD" in os.environ:
        return os.path.join(os.environ["LCW_BUILD"], path)
    for build in ("build-asan", "build"):
        if (REPO / build / path).exists():
            return str(REPO / build / path)
    pytest.exit(f"{path} is missing: run 'make build' or set LCW_BUILD", 1)


def find_binary():
    if "RPC_TESTSERVER" in os.environ:
        return os.environ["RPC_TESTSERVER"]
    return built("tests/rpc/rpc-testserver")


def until(condition, timeout=30, what="condition"):
    """Waits until condition() is true; its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
        time.sleep(0.01)


class Server:
    """One process; `options` are those of rpc-testserver without their dashes."""

    def __init__(self, folder, path=None, files=None, **options):
        self.folder = folder
        self.path = str(path or folder / "csi.sock")
        self.log_path = folder / f"log-{time.monotonic_ns()}"
        words = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        # By a program, not in preexec_fn: that needs fork(), and gRPC's threads sometimes hold its fork handler for ever.
        limit = ["prlimit", f"--nofile={files}:{files}", "--"] if files else []
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([*limit, find_binary(), f"--socket={self.path}", *words], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=log,
                                            env={**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=1"})
        self.said = self.process.stdout.readline().decode().strip()
        self.channels = []
        self.is_over = False  # the test has ended it itself

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace")

    def lines(self, **fields):
        """The log lines that have these fields."""
        found = []
        for line in self.log().splitlines():
            if line.startswith("{"):
                entry = json.loads(line)
                if all(entry.get(key) == value for key, value in fields.items()):
                    found.append(entry)
        return found

    def channel(self, **options):
        channel = grpc.insecure_channel("unix:" + self.path, options=[
            ("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1),
            *[(key.replace("__", "."), value) for key, value in options.items()]])
        self.channels.append(channel)
        return channel

    def close_channels(self):
        for channel in self.channels:
            channel.close()
        self.channels = []

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def status(self, key):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{key}:\s+(\d+)", text, re.M).group(1))

    def rss_kib(self):
        return self.status("VmRSS")

    def children(self):
        return pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()

    def cpu_seconds(self):
        words = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout=15):
        return self.process.wait(timeout)

    def stop(self):
        """Ends it as an operator would; a leak, a sanitizer's finding or a crash fails the test."""
        self.close_channels()
        if self.process.poll() is None:
            for child in self.children():
                with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(int(child), signal.SIGKILL)
            self.terminate()
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
            raise AssertionError("the server did not end on SIGTERM") from None
        finally:
            self.process.stdout.close()
        assert code == 0, f"exit code {code}:\n{self.log()[-4000:]}"
        assert not re.search(r"ERROR: \w+Sanitizer|runtime error", self.log()), self.log()[-4000:]


@pytest.fixture
def folder():
    # Short: a socket's path has 107 characters.
    path = pathlib.Path(tempfile.mkdtemp(prefix="lcw-rpc-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(folder):
    servers = []

    def starter(**options):
        server = Server(folder, **options)
        servers.append(server)
        assert server.said == "listening", server.log()
        return server

    yield starter
    for server in servers:
        if not server.is_over:
            # Whatever a test did to it: it is the same process, and an honest client is served.
            assert server.process.poll() is None, server.log()[-4000:]
            assert Client(server.channel()).probe(10)
            server.stop()


@pytest.fixture
def server(start):
    return start()


class Client:
    def __init__(self, channel):
        self.channel = channel
        self.identity = csi_pb2_grpc.IdentityStub(channel)
        self.controller = csi_pb2_grpc.ControllerStub(channel)
        self.node = csi_pb2_grpc.NodeStub(channel)

    def probe(self, timeout=5):
        return self.identity.Probe(csi_pb2.ProbeRequest(), timeout=timeout).ready.value

    def act(self, volume_id, timeout=20, **fields):
        request = csi_pb2.ValidateVolumeCapabilitiesRequest(volume_id=volume_id, **fields)
        return self.controller.ValidateVolumeCapabilities(request, timeout=timeout).message

    def begin(self, volume_id, timeout=20):
        request = csi_pb2.ValidateVolumeCapabilitiesRequest(volume_id=volume_id)
        return self.controller.ValidateVolumeCapabilities.future(request, timeout=timeout)

    def fails(self, volume_id, timeout=20, **fields):
        with pytest.raises(grpc.RpcError) as caught:
            self.act(volume_id, timeout, **fields)
        return caught.value.code(), caught.value.details()

    def info(self):
        return dict(self.identity.GetPluginInfo(csi_pb2.GetPluginInfoRequest(), timeout=5).manifest)


@pytest.fixture
def client(server):
    return Client(server.channel())
