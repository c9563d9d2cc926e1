"""Start and end of a server: its socket, its shutdown, its death."""

import os
import signal
import socket
import stat
import subprocess
import time

import grpc
import pytest
from conftest import Client, Server, until
from raw import VALIDATE, Raw, message, status, volume


@pytest.fixture
def refuse(folder):
    """Starts a server that must refuse; what it says."""
    def starter(path=None):
        server = Server(folder, path=path)
        assert server.said == ""
        assert server.wait(10) == 1
        server.process.stdout.close()
        return server.log()
    return starter


def end(server, timeout=10):
    """After SIGTERM: seconds until it has ended well."""
    begin = time.monotonic()
    assert server.wait(timeout) == 0, server.log()
    server.is_over = True
    server.close_channels()
    server.process.stdout.close()
    assert "Sanitizer" not in server.log() and "runtime error" not in server.log()
    return time.monotonic() - begin


def test_mode_of_the_socket(server):
    mode = os.lstat(server.path).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660


def test_umask_is_restored(server):
    with open(f"/proc/{server.pid}/status") as text:
        assert f"Umask:\t{os.umask(0o022):04o}" in text.read()


def test_stale_socket_is_replaced(start, folder):
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(folder / "csi.sock"))
    dead.listen()
    dead.close()
    assert Client(start().channel()).probe()


def test_socket_of_a_killed_server_is_replaced(folder, start):
    first = start()
    first.process.kill()
    first.process.wait(5)
    first.is_over = True
    first.process.stdout.close()
    assert os.path.exists(first.path)
    assert Client(start().channel()).probe()


@pytest.mark.parametrize("work,limits,code,told", [
    ("hello", {}, "OK", "5 hello"),
    ("big-100000", {}, "OK", "100000 xxx"),
    ("big-9000000", {}, "INTERNAL", "worker of job gave an answer that makes no sense"),
    ("error-5-why", {}, "NOT_FOUND", "why"),
    ("segv", {}, "INTERNAL", "worker of job died of signal 11 (Segmentation fault)"),
    ("exit-0", {}, "INTERNAL", "worker of job exited with code 0 without an answer"),
    ("garbage", {}, "INTERNAL", "worker of job gave an answer that makes no sense"),
    ("sleep-60000", {"worker_ms": 300}, "INTERNAL", "worker of job was killed: it ran for more than 0 seconds"),
])
def test_a_job_ends_once_with_its_outcome(start, work, limits, code, told):
    server = start(job=work, **limits)
    until(lambda: server.lines(msg="job"))
    assert Client(server.channel()).probe()
    (line,) = server.lines(msg="job")
    assert line["of"] == work and line["code"] == code and told in line["text"] + line["error"]
    assert not server.lines(msg="rpc", method="job")


def test_a_job_has_what_a_worker_has(start):
    server = start(job="fds")
    until(lambda: server.lines(msg="job"))
    kinds = [line.split("=")[1] for line in server.lines(msg="job")[0]["text"].split("\\n") if "=" in line]
    assert not [kind for kind in kinds if kind.startswith(("socket:", "anon_inode:"))], kinds


def test_a_job_does_not_hold_up_the_end(start):
    server = start(job="sleep-60000", grace_ms=20000)
    server.process.send_signal(signal.SIGTERM)
    assert end(server) < 5
    assert not server.lines(msg="job")


def test_live_socket_is_refused(server, refuse):
    inode = os.lstat(server.path).st_ino
    assert f"FAILED_PRECONDITION: another process serves {server.path}" in refuse()
    assert os.lstat(server.path).st_ino == inode
    assert Client(server.channel()).probe()


def test_live_socket_with_full_backlog_is_refused(folder, refuse):
    busy = socket.socket(socket.AF_UNIX)
    busy.bind(str(folder / "csi.sock"))
    busy.listen(0)
    waiting = []
    for _ in range(3):
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        sock.connect_ex(str(folder / "csi.sock"))
        waiting.append(sock)
    assert "FAILED_PRECONDITION: another process serves" in refuse()
    assert os.path.exists(folder / "csi.sock")


@pytest.mark.parametrize("make", [
    lambda path: path.write_text("precious"), lambda path: path.mkdir(), lambda path: path.symlink_to("/nowhere"),
    lambda path: os.mkfifo(path)], ids=["file", "directory", "symlink", "fifo"])
def test_not_a_socket_is_refused(folder, refuse, make):
    path = folder / "csi.sock"
    make(path)
    before = os.lstat(path)
    assert "is not a socket: it is left alone" in refuse()
    after = os.lstat(path)
    assert (before.st_ino, before.st_mode, before.st_size) == (after.st_ino, after.st_mode, after.st_size)


def test_length_of_the_path(folder, refuse, start):
    name = folder / ("x" * (107 - len(str(folder)) - 1))
    assert len(str(name)) == 107
    server = start(path=name)
    with Raw(server.path) as raw:
        assert status(raw.call()) == 0
    assert "INVALID_ARGUMENT" in refuse(folder / ("x" * (108 - len(str(folder)) - 1)))
    assert "is not absolute" in refuse("relative.sock")


def test_missing_folder(folder, refuse):
    assert "No such file or directory" in refuse(folder / "missing" / "csi.sock")


def test_two_servers_race_for_a_stale_socket(folder):
    """However it ends, exactly one serves, and the other has said so or has lost its name."""
    for _ in range(5):
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(folder / "csi.sock"))
        dead.close()
        one = Server(folder)
        two = Server(folder)
        assert (one.said, two.said) == ("listening", "")
        assert two.wait(5) == 1
        two.process.stdout.close()
        one.stop()


@pytest.mark.parametrize("kind", ["none", "raw", "grpc", "silent"])
def test_sigterm_when_idle(server, kind):
    keep = None
    if kind == "raw":
        keep = Raw(server.path)
        keep.ping()
    elif kind == "grpc":
        assert Client(server.channel()).probe()
    elif kind == "silent":
        before = server.descriptors()
        keep = Raw(server.path, hello=False)
        until(lambda: server.descriptors() > before, what="it is accepted")
    server.terminate()
    assert end(server) < 1
    assert not os.path.exists(server.path)
    if kind == "raw":
        keep.wait_close()
        assert keep.goaway == (0, 0)


def test_running_call_finishes_on_sigterm(start):
    server = start(grace_ms=10000)
    client = Client(server.channel())
    call = client.begin("sleep-1500")
    with Raw(server.path) as raw:
        stream = raw.start(VALIDATE, message(volume("sleep-1200")))
        until(lambda: len(server.children()) == 2, what="two workers")
        server.terminate()
        until(lambda: not os.path.exists(server.path), what="the socket is gone at once")
        assert raw.goaway is None or raw.goaway[1] == 0
        late = raw.start()  # after GOAWAY: neither answered nor harmful
        seen = raw.wait(stream)
        assert status(seen) == 0 and raw.goaway == (stream, 0)
        assert late not in raw.streams
    assert call.result(10).message == "sleep-1500"
    assert end(server) < 2


def test_grace_is_over(start):
    server = start(grace_ms=500)
    client = Client(server.channel())
    call = client.begin(f"touch-2000-{server.folder}/done")
    until(server.children, what="a worker")
    server.terminate()
    assert end(server) < 2
    assert call.exception(5).code() is grpc.StatusCode.UNAVAILABLE
    until((server.folder / "done").exists, what="the worker went on")


def test_workers_outlive_a_killed_server(start):
    server = start()
    client = Client(server.channel())
    call = client.begin(f"touch-1000-{server.folder}/done")
    until(server.children, what="a worker")
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(5)
    server.is_over = True
    server.process.stdout.close()
    assert call.exception(5).code() is grpc.StatusCode.UNAVAILABLE
    until((server.folder / "done").exists, what="the worker went on")


def test_socket_of_a_successor_is_not_removed(start):
    server = start()
    os.unlink(server.path)
    successor = socket.socket(socket.AF_UNIX)
    successor.bind(server.path)
    server.terminate()
    end(server)
    assert os.path.exists(server.path)


def test_two_sigterms(server):
    call = Client(server.channel()).begin("sleep-600")
    until(server.children, what="a worker")
    server.terminate()
    server.terminate()
    assert call.result(5).message == "sleep-600"
    end(server)


def test_detached_worker_is_waited_for(start):
    """Its client has given up, but its outcome belongs into the log."""
    server = start(grace_ms=10000)
    assert Client(server.channel()).fails("sleep-1200", timeout=0.2)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    server.terminate()
    assert 0.3 < end(server) < 5
    assert server.lines(volume="sleep-1200")[0]["code"] == "OK"


def test_no_terminal_signal_reaches_workers(start):
    """Ctrl-C goes to the group of the server; its workers are not in it."""
    server = start()
    call = Client(server.channel()).begin("sleep-700")
    pid = int(until(server.children, what="a worker")[0])
    until(lambda: os.getpgid(pid) == pid, what="its own group")
    assert call.result(5).message == "sleep-700"


def test_workers_step_back_behind_the_loop(start):
    """What answers Probe has the processor first."""
    server = start()
    call = Client(server.channel()).begin("sleep-700")
    pid = int(until(server.children, what="a worker")[0])
    loop = os.getpriority(os.PRIO_PROCESS, server.process.pid)
    until(lambda: os.getpriority(os.PRIO_PROCESS, pid) == min(loop + 10, 19), what="a lower priority")
    assert call.result(5).message == "sleep-700"


def test_h2load(server):
    """A client of nghttp2's own, if it is here, over many calls at once."""
    tool = subprocess.run(["which", "h2load"], stdout=subprocess.PIPE, check=False)
    if tool.returncode:
        pytest.skip("h2load is not installed")
    body = server.folder / "body"
    body.write_bytes(message())
    run = subprocess.run(["h2load", "-n", "5000", "-c", "4", "-m", "16", "-d", body, "-H", "content-type: application/grpc",
                          "-H", "te: trailers", "--base-uri", f"unix:{server.path}",
                          "http://localhost/csi.v1.Identity/Probe"], stdout=subprocess.PIPE, text=True, timeout=120,
                         check=True)
    assert "5000 succeeded, 0 failed" in run.stdout, run.stdout
