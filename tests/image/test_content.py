"""What is in the image, what is not, and how large it is."""
import json
import os

PROGRAMS = {"lukscryptwalker-csi", "lcw", "rclone", "mke2fs", "e2fsck", "resize2fs", "mkfs.xfs", "xfs_growfs", "xfs_repair",
            "dmsetup"}
LIMIT = 40e6


def test_all_but_rclone_is_at_most_40_mb(image, capsys):
    size = {place: member.size for place, member in image.files.items()}
    rclone = size["usr/bin/rclone"]
    with capsys.disabled():
        print(f"image {image.arch}: {sum(size.values()) / 1e6:.1f} MB in {len(size)} files: rclone {rclone / 1e6:.1f} MB, "
              f"all else {(sum(size.values()) - rclone) / 1e6:.1f} MB")
    assert sum(size.values()) - rclone <= LIMIT


def test_it_has_the_programs_and_no_shell(image):
    """Nor any other interpreter, or a script that would need one."""
    outside = [place for place, member in image.files.items()
               if member.mode & 0o111 and not place.startswith(("usr/lib/", "lib/", "lib64/"))]
    assert {place.removeprefix("usr/bin/") for place in outside} == PROGRAMS
    assert [place for place in image.files if image.read(place)[:2] == b"#!"] == []


def test_every_program_is_for_its_processor(image):
    machine = {"amd64": 62, "arm64": 183}[image.arch]
    assert len(image.programs) > 30
    assert {int.from_bytes(image.read(place)[18:20], "little") for place in image.programs} == {machine}
    assert image.config["architecture"] == image.arch


def test_files_are_of_root_and_nobody_else_may_write(image):
    for place, member in image.members().items():
        assert (member.uid, member.gid) == (0, 0), place
        assert member.mode & 0o6000 == 0, f"{place} is set-uid"
        assert place == "tmp" or member.issym() or member.mode & 0o022 == 0, f"{place}: {member.mode:o}"
        assert member.isfile() or member.isdir() or member.issym(), f"{place} is no file"
        assert not member.pax_headers.get("SCHILY.xattr.security.capability"), place


def test_its_configuration_starts_the_driver_and_tells_nothing_of_the_builder(image):
    settings = image.config["config"]
    assert settings["Entrypoint"] == ["/usr/bin/lukscryptwalker-csi"] and not settings.get("Cmd")
    assert settings["Env"] == ["PATH=/usr/bin:/usr/sbin"]
    text = json.dumps(image.config)
    for word in ("/root", os.uname().nodename, "proxy"):
        assert word not in text


def test_scanners_find_the_packages(image):
    """Where they look in an image without dpkg."""
    assert b"ID=debian" in image.read("etc/os-release")
    names = os.listdir(image.path("var/lib/dpkg/status.d"))
    assert {"libc6", "libcryptsetup12", "e2fsprogs", "xfsprogs", "dmsetup"} <= set(names)
    for name in names:
        assert f"Package: {name}\n".encode() in image.read(f"var/lib/dpkg/status.d/{name}")
        assert len(image.read(f"usr/share/doc/{name}/copyright")) > 200
