"""The programs run in the image: with its files alone, read-only, without a shell; another processor's under an emulator."""
import os
import pathlib
import subprocess

import csi_pb2 as csi
import csi_pb2_grpc
import grpc
import pytest

VERSION = (pathlib.Path(__file__).resolve().parents[2] / "VERSION").read_text().strip()
NONROOT = 65532
LOADERS = {"amd64": "/lib64/ld-linux-x86-64.so.2", "arm64": "/lib/ld-linux-aarch64.so.1"}


@pytest.fixture
def share(tmp_path):
    tmp_path.chmod(0o777)
    return tmp_path


def test_the_programs_start(image):
    assert VERSION in image.run("/usr/bin/lukscryptwalker-csi", "--version")
    assert VERSION in image.run("/usr/bin/lcw", "--version")
    assert "usage: lcw" in image.run("/usr/bin/lcw", "--help")
    assert f"os/arch: {image.arch}" in image.run("/usr/bin/rclone", "version")


def test_every_library_is_found(image):
    """Those that are loaded by name, and what they need, too."""
    for place in image.programs:
        said = image.run(LOADERS[image.arch], "--list", f"/{place}", status=None)
        if "statically linked" in said or place.endswith("rclone") or "/ld-linux" in place:
            continue
        assert "not found" not in said and "error" not in said, f"{place}: {said}"
        assert "libc.so.6 => /usr/lib/libc.so.6" in said or place.endswith("libc.so.6"), f"{place}: {said}"


def test_file_systems_are_made_checked_and_grown(image, share):
    for name in ("ext4", "xfs"):
        with open(share / name, "wb") as disk:
            disk.truncate(400 << 20)
    image.run("/usr/bin/mke2fs", "-q", "-t", "ext4", "/csi/ext4", "200m", share=share)
    image.run("/usr/bin/resize2fs", "/csi/ext4", share=share)
    image.run("/usr/bin/e2fsck", "-fn", "/csi/ext4", share=share)
    image.run("/usr/bin/mkfs.xfs", "-q", "/csi/xfs", share=share)
    image.run("/usr/bin/xfs_repair", "-n", "/csi/xfs", share=share)


def test_luks_is_read(native, share):
    """libcryptsetup is loaded, and opens what cryptsetup made."""
    folder = share / "data" / "pvc-1"
    folder.mkdir(parents=True)
    with open(folder / "luks-pvc-1.img", "wb") as disk:
        disk.truncate(32 << 20)
    subprocess.run(["cryptsetup", "luksFormat", "-q", "--type=luks2", "--pbkdf=argon2id", "--pbkdf-memory=32768",
                    "--pbkdf-force-iterations=4", "--key-file=-", str(folder / "luks-pvc-1.img")], input=b"correct horse",
                   check=True)
    said = native.run("/usr/bin/lcw", "volume", "adopt", "pvc-1", "--local-path=/csi/data", "--state-dir=/csi/state",
                      "--run-dir=/run/lcw", "--node-id=node-a", "--passphrase-fd=0", share=share, input="correct horse")
    assert "is adopted" in said


def test_the_controller_answers_without_root(native, share):
    """As a user without any right, on a root file system that is read-only."""
    process = subprocess.Popen(
        native.command("/usr/bin/lukscryptwalker-csi", "controller", "--endpoint=unix:///csi/csi.sock", "--store=dir",
                       "--node-id=node-a", "--run-dir=/run/lukscryptwalker", "--state-dir=/run/lukscryptwalker/state",
                       "--http-endpoint=", share=share, user=NONROOT), stderr=subprocess.PIPE, text=True)
    try:
        with grpc.insecure_channel(f"unix:{share}/csi.sock") as channel:
            identity = csi_pb2_grpc.IdentityStub(channel)
            info = identity.GetPluginInfo(csi.GetPluginInfoRequest(), wait_for_ready=True, timeout=60)
            assert info.vendor_version == VERSION
            identity.Probe(csi.ProbeRequest(), timeout=60)
            csi_pb2_grpc.ControllerStub(channel).ListVolumes(csi.ListVolumesRequest(), timeout=60)
        assert os.stat(share / "csi.sock").st_uid == NONROOT
    finally:
        process.terminate()
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 0, said
