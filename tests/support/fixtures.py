"""Fixtures of tests/vm/cases and tests/host: a driver for each test, and a look at what is left."""
import contextlib
import errno
import glob
import hashlib
import os
import re
import shutil
import tempfile

import grpc
import kernel
import pytest
from driver import Driver, until
from served import ServedDriver

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
def running_driver(base, kind=Driver, options=(), node="node-a"):
    """Started; afterwards it must end on SIGTERM, and nothing of ours may be left anywhere."""
    mounts, mappings, loops = set(kernel.mounts()), set(kernel.mappings()), set(kernel.loops())
    one = kind(base, BINARY, node=node, options=options).start()
    yield one
    if one.process.poll() is None:
        assert one.stop() == 0, one.read_log()
    left = set(kernel.mounts()) - mounts
    assert [mount for mount in left if mount[0].startswith(base)] == []
    assert set(kernel.mappings()) - mappings == set()
    assert set(kernel.loops()) - loops == set()
    # A worker that has answered may still be on its way out.
    until("nothing of ours runs", lambda: our_processes(one.base) == [], 10)
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


@pytest.fixture
def served():
    """One with /metrics."""
    with folder() as base, running_driver(base, ServedDriver) as one:
        yield one


class Refused:
    """with refused("ABORTED", "word"): the call must fail with this code (A|B: one of them) and say
    these words, which are regular expressions."""

    def __init__(self, code, *words):
        self.code, self.words = code, words

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert isinstance(error, grpc.RpcError), f"no error, but {self.code} was expected ({error!r})"
        assert error.code().name in self.code.split("|"), f"{error.code().name}: {error.details()}"
        for word in self.words:
            assert re.search(word, error.details()), f"'{word}' is not in: {error.details()}"
        self.sentence = error.details()
        return True


@pytest.fixture
def refused():
    return Refused


def written_parts(content):
    """(offset, end) of what was ever written: an image is mostly reserved space."""
    at, size = 0, os.fstat(content.fileno()).st_size
    while at < size:
        try:
            at = os.lseek(content.fileno(), at, os.SEEK_DATA)
        except OSError as error:
            assert error.errno == errno.ENXIO
            return
        end = os.lseek(content.fileno(), at, os.SEEK_HOLE)
        yield at, end
        at = end


BLOCK = 16384


def checksum(path):
    digest = hashlib.blake2b()
    with open(path, "rb", buffering=0) as content:
        digest.update(b"%d" % os.fstat(content.fileno()).st_size)
        for at, end in list(written_parts(content)):
            # Blocks that were only read may or may not be shown as written: zeros do not count.
            for place in range(at // BLOCK * BLOCK, end, BLOCK):
                block = os.pread(content.fileno(), BLOCK, place)
                if block.count(0) != len(block):
                    digest.update(b"%d" % place + block)
    return digest.hexdigest()


def tree(path):
    return sorted(os.path.join(folder, name) for folder, folders, files in os.walk(path)
                  for name in folders + files)


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
