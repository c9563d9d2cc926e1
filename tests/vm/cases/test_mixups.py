"""What people, backups and disks mix up must never cost data, and gets an answer that helps."""
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import uuid

import dead_server
import kernel
import pytest
from fixtures import folder, running_driver
from driver import MODES, Driver, block_capability, mount_capability, until

MIB = 1 << 20
RWOP = MODES.SINGLE_NODE_SINGLE_WRITER


def put(driver, volume, text="kept"):
    with open(f"{driver.staging(volume.volume_id)}/file", "w", encoding="utf-8") as out:
        out.write(text)


def edit_record(path, **fields):
    with open(path, encoding="utf-8") as text:
        record = json.load(text)
    record.update(fields)
    with open(path, "w", encoding="utf-8") as out:
        json.dump(record, out)


def used_volume(driver, name, **parameters):
    """With a file, unstaged."""
    volume = driver.create(name, **parameters)
    driver.stage(volume)
    put(driver, volume)
    driver.unstage(name)
    return volume


def file_of(driver, volume):
    driver.stage(volume)
    with open(f"{driver.staging(volume.volume_id)}/file", encoding="utf-8") as text:
        found = text.read()
    driver.unstage(volume.volume_id)
    return found


@pytest.mark.parametrize("state", ["reserved", "formatting"])
def test_a_record_from_an_old_backup_formats_nothing(shared_driver, refused, unchanged, state):
    volume = used_volume(shared_driver, f"old-{state}")
    edit_record(shared_driver.record(volume.volume_id), state=state)
    with unchanged(shared_driver.image(volume.volume_id)):
        # Nor does any other call make the store forget what it knows.
        for call in (lambda: shared_driver.expand(volume.volume_id, 64 * MIB),
                     lambda: shared_driver.create(volume.volume_id),
                     lambda: shared_driver.stage(volume)):
            with refused("FAILED_PRECONDITION", "was formatted", "adopt"):
                call()
    edit_record(shared_driver.record(volume.volume_id), state="formatted")
    assert file_of(shared_driver, volume) == "kept"
    shared_driver.delete(volume.volume_id)


def test_an_old_record_and_a_lost_store_format_nothing(shared_driver, refused, unchanged):
    """The permit says "formatting", and nobody remembers better: what is whole is kept."""
    volume = used_volume(shared_driver, "old-lost")
    header = kernel.luks_uuid(shared_driver.image("old-lost"))
    edit_record(shared_driver.record("old-lost"), state="formatting")
    os.unlink(f"{shared_driver.base}/state/volumes/old-lost.json")
    with unchanged(shared_driver.image("old-lost")):
        with refused("FAILED_PRECONDITION", "passphrase"):
            shared_driver.stage(volume, secrets={"passphrase": "another"})
    assert file_of(shared_driver, volume) == "kept"
    assert kernel.luks_uuid(shared_driver.image("old-lost")) == header
    # Nor when its header is damaged: there are data behind it.
    edit_record(shared_driver.record("old-lost"), state="formatting")
    os.unlink(f"{shared_driver.base}/state/volumes/old-lost.json")
    with open(shared_driver.image("old-lost"), "r+b") as image:
        image.seek(600)
        image.write(b"damage")
    with unchanged(shared_driver.image("old-lost")):
        with refused("FAILED_PRECONDITION", "not blank"):
            shared_driver.stage(volume)
    shutil.rmtree(f"{shared_driver.data}/old-lost")


@pytest.mark.parametrize("content, words", [
    ("file system", "should be blank, but holds an? 'ext4' signature"),
    ("LUKS volume", "should be blank, but holds an? 'crypto_LUKS' signature"),
    ("data without a signature", "was never formatted, but is not blank"),
])
def test_u01_a_volume_that_was_never_formatted_must_be_blank(shared_driver, refused, unchanged, content, words):
    """The permit is there, and somebody has put something into the image."""
    volume = shared_driver.create("never", fsType="ext4")
    image = shared_driver.image("never")
    if content == "file system":
        kernel.run("mkfs.ext4", "-q", "-F", image)
    elif content == "LUKS volume":
        kernel.run("cryptsetup", "luksFormat", "-q", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file",
                   "/etc/hostname", image)
    else:
        with open(image, "r+b") as out:
            out.seek(-4096, os.SEEK_END)
            out.write(b"the last page of something")
    with unchanged(image, shared_driver.record("never")):
        with refused("FAILED_PRECONDITION", words):
            shared_driver.stage(volume)
    shutil.rmtree(f"{shared_driver.data}/never")
    os.unlink(f"{shared_driver.base}/state/volumes/never.json")


def test_delete_spares_the_image_of_another_volume(shared_driver, refused, unchanged):
    mine, other = used_volume(shared_driver, "mine"), used_volume(shared_driver, "other")
    fresh = shared_driver.create("fresh")
    for victim, state in ((mine, "formatted"), (mine, "deleting"), (fresh, "reserved")):
        path = shared_driver.image(victim.volume_id)
        edit_record(shared_driver.record(victim.volume_id), state=state)
        os.rename(path, path + ".away")
        os.link(shared_driver.image("other"), path)
        with unchanged(shared_driver.image("other"), shared_driver.record(victim.volume_id)):
            with refused("FAILED_PRECONDITION", "image of another volume"):
                shared_driver.delete(victim.volume_id)
        with open(path, "r+b") as image:  # one damaged copy: it can be brought back
            image.seek(600)
            before = image.read(6)
            image.seek(600)
            image.write(b"damage")
            image.flush()
            with refused("FAILED_PRECONDITION", "image of another volume"):
                shared_driver.delete(victim.volume_id)
            image.seek(600)
            image.write(before)
        os.unlink(path)
        kernel.run("truncate", "-s", "32M", path)
        kernel.run("mkfs.ext4", "-q", path)
        with unchanged(path), refused("FAILED_PRECONDITION", "'ext4' and no LUKS header"):
            shared_driver.delete(victim.volume_id)
        os.rename(path + ".away", path)
    assert file_of(shared_driver, other) == "kept"
    for name in ("mine", "other", "fresh"):
        shared_driver.delete(name)
        assert not os.path.exists(f"{shared_driver.data}/{name}")


def test_delete_waits_for_a_disk_that_is_not_mounted(shared_driver, refused):
    volume = used_volume(shared_driver, "away", local_path=f"{shared_driver.base}/disk")
    os.rename(f"{shared_driver.base}/disk", f"{shared_driver.base}/gone")
    for state in ("formatted", "deleting"):
        edit_record(f"{shared_driver.base}/state/volumes/away.json", state=state)
        with refused("FAILED_PRECONDITION", "disk of local-path mounted"):
            shared_driver.delete("away")
    with refused("FAILED_PRECONDITION", "disk of local-path mounted"):
        shared_driver.create("away", local_path=f"{shared_driver.base}/disk")
    edit_record(f"{shared_driver.base}/state/volumes/away.json", state="formatted")
    os.rename(f"{shared_driver.base}/gone", f"{shared_driver.base}/disk")
    assert file_of(shared_driver, volume) == "kept"
    shared_driver.delete("away")
    assert os.listdir(f"{shared_driver.base}/disk") == []
    shared_driver.delete("away")


def test_a_deletion_that_broke_off_is_not_undone_by_create(shared_driver, refused):
    """The store says "deleting"; the data are there still. Their name is free, they are not."""
    volume = used_volume(shared_driver, "again")
    store = f"{shared_driver.base}/state/volumes/again.json"
    edit_record(store, state="deleting")
    with refused("FAILED_PRECONDITION", "being deleted"):
        shared_driver.stage(volume)
    shared_driver.create("again")
    shared_driver.stage(volume)
    assert os.listdir(shared_driver.staging("again")) == []
    shared_driver.unstage("again")
    shared_driver.delete("again")


@contextlib.contextmanager
def small_disk(driver, name, *options):
    disk, image = f"{driver.base}/{name}", f"{driver.base}/{name}.img"
    os.makedirs(disk)
    kernel.run("truncate", "-s", "160M", image)
    kernel.run("mkfs.ext4", "-q", *options, image)
    kernel.run("mount", "-o", "loop", image, disk)
    try:
        yield disk
    finally:
        kernel.run("umount", disk)


def fill(disk):
    for size in ("64k", "1k"):  # the second takes what is less than a block of the first
        subprocess.run(["dd", "if=/dev/zero", f"of={disk}/fill-{size}", f"bs={size}"], check=False,
                       capture_output=True)
    assert os.statvfs(disk).f_bavail == 0


def test_delete_makes_room_on_a_full_disk(shared_driver):
    with small_disk(shared_driver, "small", "-m", "0") as disk:
        path = f"{disk}/volumes"
        used = used_volume(shared_driver, "full-used", size=20 * MIB, local_path=path)
        shared_driver.create("full-thin", size=20 * MIB, local_path=path, allocation="thin")
        fill(disk)
        shared_driver.delete("full-thin")
        shared_driver.delete(used.volume_id)
        assert os.listdir(path) == []


def test_expand_beyond_the_disk_never_fills_it(shared_driver, refused):
    with small_disk(shared_driver, "tight") as disk:  # with reserved blocks, which root could take
        shared_driver.create("tight", size=20 * MIB, local_path=f"{disk}/volumes")
        st = os.statvfs(disk)
        with refused("RESOURCE_EXHAUSTED", "no space"):
            shared_driver.expand("tight", 20 * MIB + st.f_bavail * st.f_frsize + 4 * MIB)
        assert os.statvfs(disk).f_bfree == st.f_bfree
        shared_driver.delete("tight")


def test_two_instances_with_their_own_locks_fence_each_other(shared_driver, refused):
    driver = shared_driver
    volume = driver.create("fenced")
    holder = os.open(f"{driver.data}/fenced", os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    for call in (lambda: driver.stage(volume), lambda: driver.delete("fenced"),
                 lambda: driver.expand("fenced", 64 * MIB)):
        with refused("ABORTED", "fenced"):
            call()
    os.close(holder)
    driver.stage(volume)
    driver.unstage("fenced")
    driver.delete("fenced")


def test_unpublish_with_a_wrong_id_takes_nothing_away(shared_driver, refused):
    volume = shared_driver.create("right")
    shared_driver.stage(volume)
    target = shared_driver.publish(volume)
    for path in (target, shared_driver.staging("right")):
        with refused("FAILED_PRECONDITION", "mount of something else"):
            shared_driver.unpublish("wrong", path=path)
        assert kernel.mount_at(path)
    shared_driver.unpublish("right")
    shared_driver.unstage("right")
    foreign = f"{shared_driver.kubelet}/foreign"
    os.makedirs(foreign)
    kernel.run("mount", "-t", "tmpfs", "none", foreign)
    with refused("FAILED_PRECONDITION", "mount of something else"):
        shared_driver.unpublish("right", path=foreign)
    kernel.run("umount", foreign)
    shared_driver.delete("right")


def test_unpublish_does_not_take_the_staging_mount_away(shared_driver, refused):
    """A confused caller hands over kubelet's staging path, where the volume itself is mounted."""
    driver, volume = shared_driver, shared_driver.create("staged")
    staging = f"{driver.kubelet}/plugins/kubernetes.io/csi/lukscryptwalker.csi.k8s.io/5f/globalmount"
    os.makedirs(staging)
    driver.stage(volume, path=staging)
    with refused("INVALID_ARGUMENT", "target path.*staging path of kubelet"):
        driver.unpublish("staged", path=staging)
    assert kernel.mount_at(staging) and os.path.isdir(staging)
    driver.unstage("staged", path=staging)
    driver.delete("staged")


def test_a_foreign_mount_at_the_staging_path_stops_the_first_stage(shared_driver, refused, unchanged):
    volume = shared_driver.create("foreign")
    staging, other = shared_driver.staging("foreign"), f"{shared_driver.base}/other-folder"
    os.makedirs(other)
    kernel.run("mount", "--bind", other, staging)  # its source is a device: the scratch disk's
    with unchanged(shared_driver.image("foreign"), shared_driver.record("foreign")):
        with refused("FAILED_PRECONDITION", "mount of something else"):
            shared_driver.stage(volume)
    kernel.run("umount", staging)
    shared_driver.delete("foreign")


def test_mount_option_ro_can_be_published_twice(shared_driver):
    capability = mount_capability(flags=["ro"])
    volume = shared_driver.create("flag-ro", capability=capability)
    shared_driver.stage(volume)  # a file system is made writable first
    shared_driver.unstage("flag-ro")
    shared_driver.stage(volume, capability)
    shared_driver.stage(volume, capability)
    target = shared_driver.publish(volume, capability)
    shared_driver.publish(volume, capability)
    assert "ro" in kernel.mount_at(target)[4].split(",")
    shared_driver.expand("flag-ro", 48 * MIB)
    shared_driver.node_expand("flag-ro", target)
    shared_driver.unpublish("flag-ro")
    shared_driver.unstage("flag-ro")
    shared_driver.stage(volume)
    st = os.statvfs(shared_driver.staging("flag-ro"))
    assert st.f_blocks * st.f_frsize > 40 * MIB
    shared_driver.unstage("flag-ro")
    shared_driver.delete("flag-ro")


def test_stage_again_with_other_flags(shared_driver, refused):
    volume = shared_driver.create("flags")
    shared_driver.stage(volume)
    with refused("ALREADY_EXISTS", "other mount flags"):
        shared_driver.stage(volume, mount_capability(flags=["noexec"]))
    shared_driver.stage(volume)
    shared_driver.unstage("flags")
    shared_driver.delete("flags")


def test_rwop_block_is_published_again_beside_kubelets_own_bind(shared_driver, refused):
    capability = block_capability(RWOP)
    volume = shared_driver.create("rwop-block", capability=capability)
    shared_driver.stage(volume, capability)
    base = f"{shared_driver.kubelet}/plugins/kubernetes.io/csi/volumeDevices"
    for folder in (f"{base}/publish/pv", f"{base}/pv/dev"):
        os.makedirs(folder)
    target, own = f"{base}/publish/pv/pod", f"{base}/pv/dev/pod"
    shared_driver.publish(volume, capability, path=target)
    with open(own, "w", encoding="utf-8"):
        pass
    kernel.run("mount", "--bind", target, own)
    shared_driver.publish(volume, capability, path=target)
    with refused("FAILED_PRECONDITION", "ReadWriteOncePod"):
        shared_driver.publish(volume, capability, path=f"{base}/publish/pv/second")
    with refused("NOT_FOUND"):
        shared_driver.stats("rwop-block", f"{shared_driver.kubelet}/nowhere")
    kernel.run("umount", own)
    shared_driver.unpublish("rwop-block", path=target)
    shared_driver.unstage("rwop-block")
    shared_driver.delete("rwop-block")


def test_a_mapping_without_a_table_is_cleared_away(shared_driver):
    """What a worker leaves that is killed between making the mapping and loading its table."""
    volume = used_volume(shared_driver, "tableless")
    digits = kernel.luks_uuid(shared_driver.image("tableless")).replace("-", "")
    name = "luks-tableless"
    for act in (lambda: file_of(shared_driver, volume), lambda: shared_driver.unstage("tableless"),
                lambda: shared_driver.delete("tableless")):
        kernel.run("dmsetup", "create", name, "--notable", "-u", f"CRYPT-LUKS2-{digits}-{name}")
        assert name in kernel.run("dmsetup", "ls")
        act()
        assert name not in kernel.run("dmsetup", "ls")


def xfs_superblock(base):
    """The first sector of a real xfs. ext4 leaves the first 1024 bytes of its device alone."""
    kernel.run("truncate", "-s", "320M", f"{base}/xfs.img")
    kernel.run("mkfs.xfs", "-q", f"{base}/xfs.img")
    with open(f"{base}/xfs.img", "rb") as image:
        return image.read(512)


def test_signatures_beside_the_file_system_do_not_confuse(shared_driver):
    """A used volume is only asked for the file system that it has."""
    volume = used_volume(shared_driver, "twosigs")
    shared_driver.stage(volume)
    with open("/dev/mapper/luks-twosigs", "r+b") as device:
        device.write(xfs_superblock(shared_driver.base))
        os.fsync(device.fileno())
    ambivalent = subprocess.run(["blkid", "-p", "/dev/mapper/luks-twosigs"], check=False,
                                capture_output=True)
    assert ambivalent.returncode == 8, ambivalent
    shared_driver.unstage("twosigs")
    shared_driver.stage(volume)
    shared_driver.unstage("twosigs")
    shared_driver.delete("twosigs")


def test_a_volume_is_not_made_twice(shared_driver, refused):
    """CreateVolume is asked again while the disk with the image, not used yet, is away."""
    disk = f"{shared_driver.base}/first-disk"
    volume = shared_driver.create("once", local_path=disk)
    os.rename(disk, f"{disk}.away")
    os.mkdir(disk)
    with refused("FAILED_PRECONDITION", "was made", "disk of local-path mounted"):
        shared_driver.create("once", local_path=disk)
    assert os.listdir(disk) == []
    os.rmdir(disk)
    os.rename(f"{disk}.away", disk)
    shared_driver.create("once", local_path=disk)
    shared_driver.stage(volume)
    shared_driver.unstage("once")
    shared_driver.delete("once")


def test_an_earlier_volume_of_this_name_is_not_shown(shared_driver, refused):
    """Made anew while the disk with the old one was away, as a crash may leave it."""
    volume = used_volume(shared_driver, "reborn")
    edit_record(f"{shared_driver.base}/state/volumes/reborn.json", state="reserved", luksUUID="",
                fsUUID="", created="2026-01-01T00:00:00Z")
    with refused("FAILED_PRECONDITION", "never used", "move it away"):
        shared_driver.stage(volume)
    shutil.rmtree(f"{shared_driver.data}/reborn")
    shared_driver.delete("reborn")


def test_a_copy_of_a_volume_is_not_the_volume(shared_driver):
    used_volume(shared_driver, "moved")
    other = f"{shared_driver.base}/second-disk"
    shared_driver.create("resident", local_path=other)
    kernel.run("cp", "-a", f"{shared_driver.data}/moved", f"{other}/moved")
    for _ in range(2):
        shared_driver.delete("moved")
    assert os.path.exists(f"{other}/moved/luks-moved.img")
    shutil.rmtree(f"{other}/moved")
    # A folder that cannot be looked at is no reason to keep what is not in it.
    os.rename(other, other + ".real")
    os.symlink(other + ".real", other)
    shared_driver.delete("never-was")
    os.unlink(other)
    os.rename(other + ".real", other)
    shared_driver.delete("resident")


def test_a_check_that_broke_off_is_made_again(shared_driver, refused):
    """A worker was killed between opening and mounting: the mapping is open and nobody looked."""
    volume = used_volume(shared_driver, "unchecked")
    loop = kernel.run("losetup", "--show", "-f", "--direct-io=on", "-b", "4096",
                      shared_driver.image("unchecked")).strip()
    kernel.run("cryptsetup", "open", "--disable-keyring", "--key-file", "-", loop, "luks-unchecked",
               input="correct horse")
    kernel.run("losetup", "-d", loop)  # goes with the mapping
    for command in ("clri <2>", "ssv state 2"):  # no root, and a note that something is wrong
        kernel.run("debugfs", "-w", "-R", command, "/dev/mapper/luks-unchecked")
    with refused("FAILED_PRECONDITION", "cryptsetup open", "e2fsck -f"):
        shared_driver.stage(volume)
    assert "luks-unchecked" not in kernel.mappings()
    shared_driver.delete("unchecked")


def test_a_thin_volume_without_a_header_goes_from_a_full_disk(shared_driver):
    with small_disk(shared_driver, "thin-full") as disk:
        path = f"{disk}/volumes"
        shared_driver.create("hollow", size=20 * MIB, local_path=path, allocation="thin")
        edit_record(f"{path}/hollow/volume.json", state="formatting", luksUUID=str(uuid.uuid4()),
                    fsUUID=str(uuid.uuid4()))
        fill(disk)
        shared_driver.delete("hollow")
        assert os.listdir(path) == []


def test_a_hard_linked_image_opens_no_more_after_delete(shared_driver, refused):
    volume = used_volume(shared_driver, "linked")
    kept = f"{shared_driver.base}/kept.img"
    os.link(shared_driver.image("linked"), kept)
    with refused("FAILED_PRECONDITION", "2 names"):
        shared_driver.stage(volume)
    shared_driver.delete("linked")
    done = subprocess.run(["cryptsetup", "open", "--test-passphrase", kept], input="correct horse",
                          capture_output=True, text=True, check=False)
    assert done.returncode != 0
    os.unlink(kept)


def test_a_lost_store_does_not_stop_a_staged_volume(shared_driver):
    volume = shared_driver.create("lost-store")
    shared_driver.stage(volume)
    os.unlink(f"{shared_driver.base}/state/volumes/lost-store.json")
    target = shared_driver.publish(volume)
    # Without a volume context it is found where other volumes are.
    shared_driver.create("neighbour")
    assert shared_driver.stats("lost-store", target).usage[0].total > 0
    shared_driver.node_expand("lost-store", target, 48 * MIB)
    shared_driver.unpublish("lost-store")
    shared_driver.unstage("lost-store")
    shared_driver.delete("lost-store")
    shared_driver.delete("neighbour")


def test_host_root_shows_every_mount_twice():
    """In its container the node sees the host's mounts below --host-root a second time."""
    host = f"{os.environ['RUN']}/host"
    os.makedirs(host)
    script = f"mount --make-rshared / && mount --rbind / {host} && exec \"$@\""

    class InContainer(Driver):
        def command(self):
            return ["unshare", "-m", "--propagation", "slave", "sh", "-c", script, "sh",
                    *super().command(), f"--host-root={host}"]

    with folder() as base, running_driver(base, InContainer) as driver:
        capability = mount_capability(mode=RWOP)
        volume = driver.create("twice", capability=capability)
        driver.stage(volume, capability)
        driver.publish(volume, capability)
        driver.publish(volume, capability)
        driver.unpublish("twice")
        driver.unstage("twice")
        driver.delete("twice")



def test_noise_that_looks_like_a_file_system_is_formatted(shared_driver):
    """Sectors that nobody wrote decrypt to noise: about one new volume in 10^5 holds the magic of
    an ext journal there. With this volume key they do; nobody's data are behind it."""
    volume = shared_driver.create("noise")
    image, luks = shared_driver.image("noise"), str(uuid.uuid4())
    key = kernel.run("mktemp").strip()
    with open(key, "wb") as out:
        out.write(hashlib.sha512(b"lcw 327189").digest())
    kernel.run("cryptsetup", "luksFormat", "-q", "--type", "luks2", "--cipher", "aes-xts-plain64",
               "--volume-key-file", key, "--key-size", "512", "--sector-size", "4096", "--uuid",
               luks, "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--key-file", "-",
               image, input="correct horse")
    kernel.run("cryptsetup", "open", "--key-file", "-", image, "noise-look",
               input="correct horse")
    seen = kernel.run("blkid", "-p", "-o", "value", "-s", "TYPE", "/dev/mapper/noise-look")
    kernel.run("cryptsetup", "close", "noise-look")
    assert seen.strip() == "jbd"
    edit_record(shared_driver.record("noise"), state="formatting", luksUUID=luks,
                fsUUID=str(uuid.uuid4()))
    shared_driver.stage(volume)
    put(shared_driver, volume)
    shared_driver.unstage("noise")
    assert file_of(shared_driver, volume) == "kept" and kernel.luks_uuid(image) == luks
    shared_driver.delete("noise")


def test_a_loop_device_on_a_dead_server_stops_nobody(shared_driver):
    """Somebody else's: its file lies on a file system that answers no more."""
    place = f"{shared_driver.base}/remote"
    os.mkdir(place)
    with subprocess.Popen([sys.executable, dead_server.__file__, place]) as server:
        try:
            until("it is mounted", lambda: os.path.exists(f"{place}/disk.img"))
            device = kernel.run("losetup", "-r", "-f", "--show", f"{place}/disk.img").strip()
        finally:
            server.kill()
    try:
        with pytest.raises(OSError):
            os.stat(f"{place}/disk.img")
        volume = used_volume(shared_driver, "beside-dead")
        assert file_of(shared_driver, volume) == "kept"
        shared_driver.delete("beside-dead")
    finally:
        kernel.run("losetup", "-d", device)
        kernel.run("umount", "-l", place)
