"""Header backups, crypto-erase, and changing the passphrase, with mappings that are open."""
import json
import os
import re
import subprocess

import kernel
import luks2
import pytest
from disk import Disk
from driver import mount_capability

OLD, NEW = "correct horse", "battery staple"


@pytest.fixture
def lcw(driver):
    binary = os.path.join(os.environ["LCW_BUILD"], "lcw")

    def run(*words, secrets=(), status=0):
        """secrets: what --passphrase-fd and --new-passphrase-fd shall read."""
        pipes = []
        for option, text in zip(("--passphrase-fd", "--new-passphrase-fd"), secrets):
            read_end, write_end = os.pipe()
            os.write(write_end, text.encode())
            os.close(write_end)
            pipes.append(read_end)
            words = (*words, f"{option}={read_end}")
        done = subprocess.run([binary, *words, f"--state-dir={driver.base}/state",
                               f"--run-dir={driver.base}/run", f"--node-id={driver.node}",
                               f"--kubelet-dir={driver.kubelet}"],
                              capture_output=True, text=True, timeout=120, pass_fds=pipes)
        for pipe in pipes:
            os.close(pipe)
        assert done.returncode == status, f"{words}: {done.returncode} {done.stdout}{done.stderr}"
        return done.stdout + done.stderr
    return run


def backup(driver, volume_id):
    return f"{driver.data}/{volume_id}/luks-header.backup"


def head(path):
    with open(path, "rb") as content:
        return content.read(16 << 20)


def write_at(path, offset, data):
    with open(path, "r+b") as out:
        out.seek(offset)
        out.write(data)


def used_volume(driver, name):
    """Formatted, with a file in it, closed."""
    volume = driver.create(name)
    driver.stage(volume)
    with open(f"{driver.staging(name)}/kept", "w", encoding="ascii") as out:
        out.write(name)
    driver.unstage(name)
    return volume


def assert_kept(driver, name):
    with open(f"{driver.staging(name)}/kept", encoding="ascii") as text:
        assert text.read() == name


def stage_with(driver, volume, passphrase, previous=None):
    driver.stage(volume, secrets={"passphrase": passphrase,
                                  **({"passphrase-previous": previous} if previous else {})})


def test_every_stage_keeps_the_header_backup_current(driver, unchanged):
    volume = driver.create("pvc-b")
    assert not os.path.exists(backup(driver, "pvc-b"))
    driver.stage(volume)
    assert head(backup(driver, "pvc-b")) == head(driver.image("pvc-b"))
    assert os.stat(backup(driver, "pvc-b")).st_mode & 0o777 == 0o600
    driver.unstage("pvc-b")

    with unchanged(backup(driver, "pvc-b")):
        driver.stage(volume)
        driver.unstage("pvc-b")
    os.remove(backup(driver, "pvc-b"))
    driver.stage(volume)
    assert head(backup(driver, "pvc-b")) == head(driver.image("pvc-b"))
    driver.unstage("pvc-b")

    other = used_volume(driver, "pvc-c")
    os.rename(backup(driver, "pvc-c"), backup(driver, "pvc-b"))
    driver.stage(volume)
    assert "of another UUID" in driver.read_log()
    assert head(backup(driver, "pvc-b")) == head(driver.image("pvc-b"))
    driver.unstage("pvc-b")

    # A place where no backup can be made is no reason to fail.
    os.mkdir(backup(driver, "pvc-c"))
    driver.stage(other)
    assert_kept(driver, "pvc-c")
    driver.unstage("pvc-c")
    os.rmdir(backup(driver, "pvc-c"))
    driver.delete("pvc-b")
    driver.delete("pvc-c")


def test_a_destroyed_header_comes_back_by_hand_only(driver, lcw, refused, unchanged):
    volume = used_volume(driver, "pvc-r")
    image = driver.image("pvc-r")
    whole = head(image)
    for damage in (((5000, b"\xff" * 100),), ((0, bytes(16 << 20)),), ((0x9000, bytes(4096)),)):
        for offset, data in damage:
            write_at(image, offset, data)
        with unchanged(image, backup(driver, "pvc-r")):
            with refused("FAILED_PRECONDITION"):
                driver.stage(volume)
            lcw("volume", "restore-header", "pvc-r", secrets=["wrong"], status=1)
        lcw("volume", "restore-header", "pvc-r", secrets=[OLD])
        driver.stage(volume)
        assert_kept(driver, "pvc-r")
        # Under an open mapping nothing is written.
        assert "is open" in lcw("volume", "restore-header", "pvc-r", secrets=[OLD], status=1)
        driver.unstage("pvc-r")
    assert head(image)[:4096] != b"" and kernel.luks_uuid(image) in whole.decode("latin-1")
    driver.delete("pvc-r")


def test_a_second_copy_of_the_header_that_is_older_comes_back(driver, lcw, refused, unchanged):
    """An update of the header by another program was interrupted: nothing is guessed, all is kept."""
    volume = used_volume(driver, "pvc-age")
    image = driver.image("pvc-age")
    for copy, by in ((1, -1), (0, -1), (1, 1)):
        luks2.age(image, copy, by)
        with unchanged(image, driver.record("pvc-age")):
            with refused("FAILED_PRECONDITION", "different age.*lcw volume restore-header"):
                driver.stage(volume)
            assert "different age" in lcw("volume", "check", "pvc-age", status=3)
            lcw("volume", "restore-header", "pvc-age", secrets=["wrong"], status=1)
        assert "different age" in driver.read_log()
        lcw("volume", "restore-header", "pvc-age", secrets=[OLD])
        driver.stage(volume)
        assert "WRONG" not in lcw("volume", "check", "pvc-age")
        assert_kept(driver, "pvc-age")
        driver.unstage("pvc-age")
    driver.delete("pvc-age")


def test_a_header_backup_of_another_volume_is_not_restored(driver, lcw, unchanged):
    """The same passphrase opens it: only the UUID tells that it would read the data as noise."""
    volume = used_volume(driver, "pvc-mine")
    used_volume(driver, "pvc-other")
    image, kept = driver.image("pvc-mine"), head(backup(driver, "pvc-mine"))
    write_at(backup(driver, "pvc-mine"), 0, head(backup(driver, "pvc-other")))
    write_at(image, 0, bytes(16 << 20))
    with unchanged(image, backup(driver, "pvc-mine")):
        said = lcw("volume", "restore-header", "pvc-mine", secrets=[OLD], status=1)
    assert "has LUKS UUID" in said and "nothing is restored" in said
    write_at(backup(driver, "pvc-mine"), 0, kept)
    lcw("volume", "restore-header", "pvc-mine", secrets=[OLD])
    driver.stage(volume)
    assert_kept(driver, "pvc-mine")
    driver.unstage("pvc-mine")
    driver.delete("pvc-mine")
    driver.delete("pvc-other")


def test_a_deleted_volume_opens_for_nobody(driver):
    volume = used_volume(driver, "pvc-d")
    links = {}
    for name in (driver.image("pvc-d"), backup(driver, "pvc-d")):
        links[name] = f"{driver.base}/{os.path.basename(name)}.kept"
        os.link(name, links[name])

    def opens(path):
        return subprocess.run(["cryptsetup", "open", "--test-passphrase", "--key-file=-", path],
                              input=OLD.encode(), capture_output=True, timeout=60).returncode == 0
    assert all(opens(link) for link in links.values())
    driver.delete(volume.volume_id)
    for link in links.values():
        assert not opens(link)
        assert subprocess.run(["cryptsetup", "isLuks", link], timeout=60).returncode != 0
        assert head(link) == bytes(len(head(link)))


def test_the_secret_changes_the_passphrase_at_the_next_stage(driver, refused, lcw):
    volume = used_volume(driver, "pvc-k")
    before = json.loads(lcw("volume", "show", "pvc-k", "-o", "json"))
    with refused("FAILED_PRECONDITION", "does not open"):
        stage_with(driver, volume, NEW)
    with refused("FAILED_PRECONDITION", "does not open"):
        stage_with(driver, volume, NEW, "neither")
    stage_with(driver, volume, NEW, OLD)
    assert_kept(driver, "pvc-k")
    driver.unstage("pvc-k")
    with refused("FAILED_PRECONDITION", "does not open"):
        stage_with(driver, volume, OLD)
    stage_with(driver, volume, NEW, OLD)
    driver.unstage("pvc-k")
    stage_with(driver, volume, NEW)
    assert_kept(driver, "pvc-k")
    assert len(re.findall(r"^  \d+: luks2", kernel.luks_dump(driver.image("pvc-k")), re.M)) == 1
    assert head(backup(driver, "pvc-k")) == head(driver.image("pvc-k"))
    after = json.loads(lcw("volume", "show", "pvc-k", "-o", "json"))
    assert not after["keyChanging"] and after["keyChanged"] >= before["keyChanged"] > "2020"
    driver.unstage("pvc-k")
    driver.delete("pvc-k")


def test_another_key_of_the_secret(driver):
    volume = driver.create("pvc-p", passphraseKey="disk")
    driver.stage(volume, secrets={"disk": OLD})
    driver.unstage("pvc-p")
    driver.stage(volume, secrets={"disk": NEW, "disk-previous": OLD, "passphrase-previous": "x"})
    driver.unstage("pvc-p")
    driver.stage(volume, secrets={"disk": NEW})
    driver.unstage("pvc-p")
    driver.delete("pvc-p")


def test_rotate_key_of_a_volume_in_use(driver, lcw, refused):
    volume = driver.create("pvc-l")
    driver.stage(volume)
    target = driver.publish(volume)
    with open(f"{target}/kept", "w", encoding="ascii") as out:
        out.write("pvc-l")
        assert "does not open" in lcw("volume", "rotate-key", "pvc-l", secrets=["bad", NEW], status=1)
        lcw("volume", "rotate-key", "pvc-l", secrets=[OLD, NEW])
        out.flush()
        os.fsync(out.fileno())
    driver.expand("pvc-l", 48 << 20)
    driver.node_expand("pvc-l", target)
    lcw("volume", "unlock-test", "pvc-l", secrets=[NEW])
    assert "does not open" in lcw("volume", "unlock-test", "pvc-l", secrets=[OLD], status=3)
    assert "WRONG" not in lcw("volume", "check", "pvc-l")
    driver.unpublish("pvc-l")
    driver.unstage("pvc-l")
    with refused("FAILED_PRECONDITION", "does not open"):
        stage_with(driver, volume, OLD)
    stage_with(driver, volume, NEW)
    assert_kept(driver, "pvc-l")
    driver.unstage("pvc-l")
    driver.delete("pvc-l")


def test_a_full_disk_does_not_keep_the_old_passphrase(driver, lcw, refused):
    """A header backup opens with the passphrases of its time: without room for a new one there is none."""
    with Disk(driver.base, "lcw-full", 160 << 20) as disk:
        volume = driver.create("pvc-full", local_path=f"{disk.path}/data")
        old = f"{disk.path}/data/pvc-full/luks-header.backup"
        driver.stage(volume)
        driver.unstage("pvc-full")
        assert os.path.exists(old)
        with disk.full(left=4 << 20):
            lcw("volume", "rotate-key", "pvc-full", secrets=(OLD, NEW))
            assert not os.path.exists(old)
        with refused("FAILED_PRECONDITION", "does not open"):
            stage_with(driver, volume, OLD)
        stage_with(driver, volume, NEW)
        assert head(old) == head(f"{disk.path}/data/pvc-full/luks-pvc-full.img")
        driver.unstage("pvc-full")
        driver.delete("pvc-full")


def test_expand_open_and_closed(driver, lcw):
    volume = driver.create("pvc-e")
    driver.stage(volume)
    assert f"{64 << 20} bytes now" in lcw("volume", "expand", "pvc-e", "64Mi")
    st = os.statvfs(driver.staging("pvc-e"))
    assert st.f_blocks * st.f_frsize > 48 << 20
    assert "never shrink" in lcw("volume", "expand", "pvc-e", "1Mi", status=2)
    driver.unstage("pvc-e")
    assert "as soon as" in lcw("volume", "expand", "pvc-e", "96Mi")
    driver.stage(volume, capability=mount_capability())
    st = os.statvfs(driver.staging("pvc-e"))
    assert st.f_blocks * st.f_frsize > 72 << 20
    assert json.loads(lcw("volume", "show", "pvc-e", "-o", "json"))["capacityBytes"] == 96 << 20
    driver.unstage("pvc-e")
    driver.delete("pvc-e")


def findings(text):
    return {(f["what"], f["result"]): f for f in json.loads(text)["findings"]}


def test_doctor_finds_what_is_left_over(driver, lcw):
    volume = used_volume(driver, "pvc-x")
    options = ("node", "doctor", "-o", "json", f"--local-path={driver.data}")
    found = findings(lcw(*options))
    assert ("device-mapper", "ok") in found and ("leftovers", "ok") in found
    loop = kernel.run("losetup", "-f", "--show", driver.image("pvc-x")).strip()
    found = findings(lcw(*options, status=3))
    assert found["loop device", "WRONG"]["mend"] == f"losetup -d {loop}"
    kernel.run("losetup", "-d", loop)
    driver.stage(volume)
    assert ("leftovers", "ok") in findings(lcw(*options))
    kernel.run("umount", driver.staging("pvc-x"))
    found = findings(lcw(*options))
    kernel.run(*found["mapping", "note"]["mend"].split())
    os.rename(f"{driver.data}/pvc-x", f"{driver.data}/pvc-y")
    assert ("volume", "WRONG") in findings(lcw(*options, status=3))
    os.rename(f"{driver.data}/pvc-y", f"{driver.data}/pvc-x")
    driver.unstage("pvc-x")
    driver.delete("pvc-x")
