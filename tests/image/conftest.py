"""The images that scripts/test.d/48-image made for the processors $LCW_IMAGE_ARCHS: $LCW_IMAGE_AMD64 and its like,
archives of docker; with _AGAIN behind it what a second build gave."""
import functools
import os
import platform
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from unpacked import MACHINES, Image  # noqa: E402


def archive(arch, which=""):
    return os.environ[f"LCW_IMAGE_{arch.upper()}{which}"]


ARCHS = os.environ["LCW_IMAGE_ARCHS"].split()
NATIVE = [arch for arch in ARCHS if MACHINES[arch] == platform.machine()]


@pytest.fixture(scope="session")
def unpack(tmp_path_factory):
    return functools.cache(lambda arch: Image(arch, archive(arch), tmp_path_factory.mktemp(arch)))


@pytest.fixture(scope="session", params=ARCHS)
def image(request, unpack):
    return unpack(request.param)


@pytest.fixture(scope="session", params=NATIVE)
def native(request, unpack):
    """One of this processor: Debian's qemu-user has no openat2(2), with which the driver opens all that is not its own."""
    return unpack(request.param)


@pytest.fixture(scope="session")
def again(image, tmp_path_factory):
    return Image(image.arch, archive(image.arch, "_AGAIN"), tmp_path_factory.mktemp(f"{image.arch}-again"))
