"""Registration with kubelet, as kubelet sees it: the client is the official definition's."""

import pathlib
import resource
import shutil
import signal
import subprocess

import grpc
import pluginregistration_pb2 as api
import pluginregistration_pb2_grpc
import pytest
from conftest import built, until

NAME = "lukscryptwalker.csi.k8s.io"


class Process:
    """A program that registers with the kubelet of folder/kubelet."""

    def __init__(self, folder, command, ready):
        self.kubelet = folder / "kubelet"
        self.registry = self.kubelet / "plugins_registry"
        self.socket = self.registry / f"{NAME}-reg.sock"
        self.kubelet.mkdir(exist_ok=True)
        self.log_path = folder / f"log-{len(list(folder.iterdir()))}"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: ready in self.log() or self.process.poll() is not None, what=ready)
        assert self.process.poll() is None, self.log()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def served(self):
        return self.socket.exists() and self.registered_as() is not None

    def call(self, method, message):
        with grpc.insecure_channel(f"unix:{self.socket}",
                                   options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = pluginregistration_pb2_grpc.RegistrationStub(channel)
            return getattr(stub, method)(message, timeout=10)

    def registered_as(self):
        try:
            return self.call("GetInfo", api.InfoRequest())
        except grpc.RpcError:
            return None

    def made(self):
        """Changes when the socket is another one; an inode's number may be used again."""
        try:
            found = self.socket.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_ctime_ns

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log()
        assert "Sanitizer" not in self.log() and "runtime error" not in self.log(), self.log()


@pytest.fixture
def start(folder):
    processes = []

    def starter(command, ready="listening"):
        process = Process(folder, command, ready)
        processes.append(process)
        return process

    yield starter
    for process in processes:
        process.stop()


@pytest.fixture
def alone(folder, start):
    """The registration alone, with short times."""

    def starter(look_ms=60000, silence_ms=60000):
        return start([built("tests/rpc/registrationserver"), str(folder / "kubelet"), str(look_ms),
                      str(silence_ms)])

    return starter


def driver_command(folder, role, *options):
    return [built("lukscryptwalker-csi"), role, "--store=dir", f"--endpoint=unix://{folder}/csi.sock",
            "--node-id=node-a", f"--state-dir={folder}/state", f"--run-dir={folder}/run",
            f"--kubelet-dir={folder}/kubelet", "--http-endpoint=", *options]


def test_kubelet_is_told_where_the_driver_is(folder, start):
    driver = start(driver_command(folder, "all", "--registration=on"))
    info = driver.registered_as()
    assert info.type == "CSIPlugin" and info.name == NAME
    assert info.endpoint == f"{folder}/csi.sock" and list(info.supported_versions) == ["1.0.0"]
    assert driver.socket.stat().st_mode & 0o777 == 0o660
    driver.stop()
    assert list(driver.registry.iterdir()) == []


def test_the_endpoint_may_look_different_to_kubelet(folder, start):
    driver = start(driver_command(folder, "all", "--registration=on", "--kubelet-endpoint=unix:///k/csi.sock"))
    assert driver.registered_as().endpoint == "/k/csi.sock"


def test_all_does_not_register_by_itself(folder, start):
    driver = start(driver_command(folder, "all"))
    assert not driver.registry.exists()


def test_a_node_registers_by_itself(folder, start):
    """A node demands a shared mount: here one in a mount namespace of its own."""
    script = 'mount --bind "$0" "$0" && mount --make-shared "$0" && exec "$@"'
    driver = start(["unshare", "--mount", "sh", "-c", script, str(folder / "kubelet"),
                    *driver_command(folder, "node")])
    assert driver.registered_as().name == NAME


def test_kubelets_answer_is_logged(folder, alone):
    server = alone()
    server.call("NotifyRegistrationStatus", api.RegistrationStatus(plugin_registered=True))
    assert "kubelet has registered the driver" in server.log()
    sentence = 'RegisterPlugin error -- "dialing failed\nagain"'
    server.call("NotifyRegistrationStatus", api.RegistrationStatus(error=sentence))
    (line,) = [line for line in server.log().splitlines() if "refuses" in line]
    assert "dialing failed" in line and "error" in line and "again" in line
    assert server.served()


def test_a_socket_that_vanishes_comes_back(alone):
    server = alone()
    for _ in range(3):
        server.socket.unlink()
        until(server.served, 5, "the socket is there again")


def test_a_folder_that_is_made_again_gets_a_socket(alone):
    server = alone()
    shutil.rmtree(server.registry)
    until(server.served, 5, "the folder is made")
    server.registry.rename(server.kubelet / "away")
    server.registry.mkdir()
    until(server.served, 5, "the new folder has a socket")
    # The folder that is watched now is the new one.
    server.socket.unlink()
    until(server.served, 5, "the socket is there again")


def test_kubelets_own_folder_may_go_and_come(alone, folder):
    server = alone(look_ms=200)
    server.kubelet.rename(folder / "away")
    until(lambda: "cannot offer the driver" in server.log(), 5, "the trouble is said")
    server.kubelet.mkdir()
    until(server.served, 5, "the folder is back")
    assert server.log().count("cannot offer the driver") == 1


def test_a_living_socket_of_another_is_not_taken(alone):
    first = alone()
    second = alone(look_ms=60000)
    until(lambda: "another process serves" in second.log(), 5, "the second one gives way")
    assert second.log().count("another process serves") == 1
    made = first.made()
    first.stop()
    until(lambda: second.made() not in (None, made) and second.served(), 5, "the second one takes over")


def test_a_stale_socket_is_replaced(alone):
    first = alone()
    first.process.kill()
    first.process.wait(10)
    first.stop = lambda: None
    assert first.socket.exists() and not first.served()
    assert alone().served()


def test_u23_silence_of_kubelet_makes_the_socket_anew(alone):
    server = alone(look_ms=50, silence_ms=300)
    made = server.made()
    until(lambda: server.made() not in (None, made), 5, "kubelet never asked")
    # It asks: now there is nothing to do.
    assert server.served()
    made = server.made()
    with pytest.raises(AssertionError):
        until(lambda: server.made() != made, 1, "another socket")
    # Kubelet starts again, and asks nothing.
    (server.kubelet / "device-plugins").mkdir()
    until(lambda: "device-plugins" in watched(server), 5, "the folder is watched")
    (server.kubelet / "device-plugins/kubelet.sock").touch()
    until(lambda: server.made() not in (None, made), 5, "kubelet did not ask again")


def watched(server):
    """The folders that the process watches, by the inode in /proc."""
    inodes = {format(path.stat().st_ino, "x"): path.name for path in [server.kubelet, *server.kubelet.iterdir()]
              if path.is_dir()}
    found = []
    for entry in pathlib.Path(f"/proc/{server.process.pid}/fdinfo").iterdir():
        try:
            lines = entry.read_text().splitlines()
        except OSError:
            continue
        found += [inodes.get(line.split(" ino:")[1].split()[0]) for line in lines if line.startswith("inotify ")]
    return found


def test_without_inotify_it_looks_by_itself(folder):
    """The kernel gives few inotify instances to a user: here there is no descriptor left for one."""
    command = [built("tests/rpc/registrationserver"), str(folder / "kubelet"), "200", "60000"]
    # 0 to 2, epoll's and the one for signals.
    server = Process(folder, ["prlimit", "--nofile=5:64", *command], "is seen late")
    until(lambda: "cannot offer the driver" in server.log(), 5, "the socket cannot be made")
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (64, 64))
    until(server.served, 5, "the socket is made when there are descriptors again")
    server.socket.unlink()
    until(server.served, 5, "the socket is there again")
    server.stop()


def test_a_request_that_is_too_large_is_refused(alone):
    server = alone()
    with pytest.raises(grpc.RpcError) as caught:
        server.call("NotifyRegistrationStatus", api.RegistrationStatus(error="x" * (1 << 20)))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert server.served()
