"""The images that scripts/test.d/48-image made for the processors $LCW_IMAGE_ARCHS: $LCW_IMAGE_AMD64 and its like,
archives of docker; with _AGAIN behind it what a second build gave."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from unpacked import Image  # noqa: E402


def archive(arch, which=""):
    return os.environ[f"LCW_IMAGE_{arch.upper()}{which}"]


@pytest.fixture(scope="session", params=os.environ["LCW_IMAGE_ARCHS"].split())
def image(request, tmp_path_factory):
    return Image(request.param, archive(request.param), tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def again(image, tmp_path_factory):
    return Image(image.arch, archive(image.arch, "_AGAIN"), tmp_path_factory.mktemp(f"{image.arch}-again"))
