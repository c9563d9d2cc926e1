"""Fixtures of the VM cases: a driver of its own for each test, and a look at what is left."""
import contextlib
import glob
import hashlib
import os
import re
import shutil
import sys
import tempfile

import grpc
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "support"))
import kernel  # noqa: E402
from driver import Driver  # noqa: E402

BINARY = os.path.join(os.environ["LCW_BUILD"], "lukscryptwalker-csi")
SCRATCH = os.environ["SCRATCH"]


@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp(dir=SCRATCH)
    yield path
    shutil.rmtree(path, ignore_errors=True)


def our_processes(path):
    found = []
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            with open(f"{folder}/cmdline", "rb") as text:
                if path.encode() in text.read():
                    found.append(folder)
        except OSError:
            pass
    return [folder for folder in found if folder != f"/proc/{os.getpid()}"]


@contextlib.contextmanager
def running_driver(base, options=(), node="node-a"):
    """Started; afterwards it must end on SIGTERM, and nothing of ours may be left anywhere."""
    mounts, mappings, loops = set(kernel.mounts()), set(kernel.mappings()), set(kernel.loops())
    one = Driver(base, BINARY, node=node, options=options).start()
    yield one
    if one.process.poll() is None:
        assert one.stop() == 0, one.read_log()
    assert set(kernel.mounts()) - mounts == set()
    assert set(kernel.mappings()) - mappings == set()
    assert set(kernel.loops()) - loops == set()
    assert our_processes(one.base) == []
    assert glob.glob(f"{base}/**/.*.tmp", recursive=True) == []
    assert "ERROR: AddressSanitizer" not in one.read_log()


@pytest.fixture
def driver():
    with folder() as base, running_driver(base) as one:
        yield one


@pytest.fixture(scope="module")
def shared_driver():
    """One for many tests that only ask and are refused."""
    with folder() as base, running_driver(base) as one:
        yield one


class Refused:
    """with refused("ABORTED", "word"): the call must fail with this code and say these words."""

    def __init__(self, code, *words):
        self.code, self.words = code, words

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert isinstance(error, grpc.RpcError), f"no error, but {self.code} was expected ({error!r})"
        assert error.code().name == self.code, f"{error.code().name}: {error.details()}"
        for word in self.words:
            assert re.search(word, error.details()), f"'{word}' is not in: {error.details()}"
        self.sentence = error.details()
        return True


@pytest.fixture
def refused():
    return Refused


def checksum(path):
    digest = hashlib.sha256()
    with open(path, "rb") as content:
        for block in iter(lambda: content.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


class Unchanged:
    """with unchanged(paths): the bytes of these files are the same afterwards."""

    def __init__(self, *paths):
        self.paths = paths

    def state(self):
        return {path: checksum(path) if os.path.exists(path) else None for path in self.paths}

    def __enter__(self):
        self.before = self.state()

    def __exit__(self, kind, error, trace):
        if kind is None:
            assert self.state() == self.before


@pytest.fixture
def unchanged():
    return Unchanged
