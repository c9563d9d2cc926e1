"""One control plane for all tests of a run, and the API client as a program."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests/support"))
import kernel  # noqa: E402
from cluster import Cluster  # noqa: E402


def built(path):
    return os.path.join(os.environ.get("LCW_BUILD", REPO / "build"), path)


@pytest.fixture
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="lcw-kube-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def cluster():
    path = tempfile.mkdtemp(prefix="lcw-cluster-", dir="/tmp")
    one = Cluster(path)
    try:
        yield one.start()
    finally:
        one.stop()
        if "STAGE_LOGS" in os.environ:
            for log in pathlib.Path(path).glob("*.log"):
                shutil.copy(log, os.environ["STAGE_LOGS"])
        shutil.rmtree(path)


class Tool:
    """kubetool; calls are answered as (code, object or sentence)."""

    def __init__(self, *arguments, timeout_ms=None, env=None):
        words = [built("tests/kube/kubetool")] + ([f"--timeout={timeout_ms}"] if timeout_ms else [])
        self.process = subprocess.Popen([*words, *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        env={**os.environ, **(env or {})})
        self.said = self.process.stdout.readline().strip()

    def write(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def call(self, verb, path, body=None):
        self.write(f"{verb} {path}" + (f" {json.dumps(body)}" if body is not None else ""))
        said = json.loads(self.process.stdout.readline())
        return said["code"], said.get("object") if said["code"] == "OK" else said["message"]

    def good(self, verb, path, body=None):
        code, value = self.call(verb, path, body)
        assert code == "OK", f"{code}: {value}"
        return value

    def close(self):
        _, errors = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, errors
        assert errors == ""


@pytest.fixture
def tool():
    """Starts the tool; afterwards it must have ended well (a sanitizer's finding fails)."""
    tools = []

    def start(*arguments, **options):
        tools.append(Tool(*arguments, **options))
        assert tools[-1].said == "ready", tools[-1].said
        return tools[-1]

    yield start
    for one in tools:
        one.close()


@pytest.fixture
def admin(cluster, tool):
    return tool(cluster.kubeconfig)


class Forwarder:
    """A TCP port in front of the API server, which can be cut, or swallow everything."""

    def __init__(self, port, address="127.0.0.1"):
        self.target, self.mode, self.pairs = port, "open", []
        self.listener = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address
                                             else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target)) if self.mode == "open" else None
            except OSError:
                client.close()
                continue
            self.pairs.append((client, server))
            if server:
                threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client), daemon=True).start()

    def _pump(self, source, sink):
        try:
            while data := source.recv(65536):
                if self.mode == "open":
                    sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Ends every connection; new ones are possible."""
        for pair in self.pairs:
            for end in pair:
                if end:
                    try:
                        end.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass
        self.pairs = []

    def close(self):
        self.listener.close()
        self.cut()


@pytest.fixture
def forwarder(cluster):
    made = []

    def start(*arguments):
        made.append(Forwarder(cluster.port, *arguments))
        return made[-1]

    yield start
    for one in made:
        one.close()


class Fake:
    """A server that answers as it was told: what a healthy API server cannot be made to say."""

    def __init__(self):
        fake = self
        self.seen, self.answers = [], []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake.seen.append((self.command, self.path, dict(self.headers), body))
                status, headers, text = fake.answers.pop(0) if fake.answers else (200, {}, "{}")
                if status is None:  # reads the request and hangs up
                    self.close_connection = True
                    return
                self.send_response(status)
                for key, value in {"Content-Length": str(len(text)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def fake():
    one = Fake()
    yield one
    one.close()


class Watch:
    """kubewatch; its lines and its log grow in files."""

    def __init__(self, folder, kubeconfig, resource, seconds=300, query="", freed_in=None):
        self.out, self.err = folder / "out", folder / "err"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                [built("tests/kube/kubewatch"), kubeconfig, resource, str(seconds), query,
                 *([freed_in] if freed_in else [])],
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

    def logs(self, text, seconds=30):
        self.wait(lambda lines: text in self.log(), seconds)

    def fails(self, times, seconds=60):
        """Another so many tries have failed."""
        before = self.log().count("still cannot follow")
        self.wait(lambda lines: self.log().count("still cannot follow") >= before + times, seconds)

    def descriptors(self):
        return kernel.descriptors(self.process.pid)

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            words = stat.read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(20) == 0, self.log()
        assert "Sanitizer" not in self.log() and "runtime error" not in self.log(), self.log()


@pytest.fixture
def watch(folder):
    made = []

    def start(*arguments, **options):
        place = folder / str(len(made))
        place.mkdir()
        made.append(Watch(place, *arguments, **options))
        return made[-1]

    yield start
    for one in made:
        one.stop()


@pytest.fixture
def namespace(cluster, request):
    name = re.sub("[^a-z0-9]", "-", request.node.name)[:50].strip("-")
    cluster.kubectl("create", "namespace", name)
    return name
