"""S3 volumes on this machine's kernel, with real rclone and versitygw: all that needs no
device-mapper. What does is in tests/vm/cases/test_s3*.py."""
import glob
import os
import re
import signal
import subprocess
import sys
import tempfile

import grpc
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
import kernel  # noqa: E402
from driver import Driver  # noqa: E402
from s3 import new_server  # noqa: E402

BINARY = os.path.join(os.environ["LCW_BUILD"], "lukscryptwalker-csi")


@pytest.fixture
def base():
    with tempfile.TemporaryDirectory(prefix="lcw-s3-") as path:
        yield path


@pytest.fixture
def server(base):
    one = new_server(base).start()
    yield one
    one.stop()


@pytest.fixture
def driver(base):
    one = Driver(f"{base}/driver", BINARY, options=[f"--rclone={os.environ['LCW_RCLONE']}"]).start()
    yield one
    left = [mount[0] for mount in kernel.mounts() if mount[0].startswith(base)]
    for path in reversed(left):
        subprocess.run(["umount", "-l", path], check=False)
    assert one.stop() == 0, one.read_log()
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            with open(f"{folder}/cmdline", "rb") as text:
                if left and f"{base}/driver/run".encode() in text.read():
                    os.kill(int(folder.split("/")[2]), signal.SIGKILL)
        except OSError:
            pass
    assert left == []


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
