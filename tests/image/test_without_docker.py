"""What make says of images and of a cluster in containers on a machine without the programs for them."""
import os
import pathlib
import shutil
import subprocess

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
PLAIN = "bash sh make dirname realpath grep sed awk git id uname mktemp rm date cat".split()


@pytest.fixture
def run(tmp_path):
    """On a machine that has the plain programs, and those of `fake`, which fail: what it said."""
    for name in PLAIN:
        os.symlink(shutil.which(name), tmp_path / name)

    def call(*words, fake=(), status=2):
        for name in fake:
            (tmp_path / name).write_text("#!/bin/bash\nexit 1\n")
            (tmp_path / name).chmod(0o755)
        done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, timeout=60, check=False,
                              env={"PATH": str(tmp_path), "HOME": str(tmp_path), "TMPDIR": str(tmp_path)})
        assert done.returncode == status, done.stdout + done.stderr
        return done.stderr
    return call


@pytest.mark.parametrize("target", ["kind-deploy", "kind-clean"])
def test_a_cluster_in_containers_says_what_is_missing(run, target):
    assert "missing here: docker kind kubectl helm; install what https://" in run("make", target)
    assert "missing here: docker kind; install" in run("make", target, fake=["kubectl", "helm"])
    assert "no daemon answers: start it" in run("make", target, fake=["docker", "kind"])


def test_dev_setup_ends_with_what_a_cluster_would_need(run):
    recipe = subprocess.run(["make", "-n", "dev-setup"], cwd=REPO, capture_output=True, text=True, check=True).stdout
    assert recipe.splitlines()[-1] == "scripts/kind check"
    assert "missing here: docker kind kubectl helm" in run("scripts/kind", "check", status=0)


def test_an_image_says_what_can_build_it(run):
    assert "no docker (with a running daemon), podman or buildah here: install one" in run("make", "docker-build")
