"""lcw volume reencrypt: another volume key, killed in the middle, with the data read back."""
import hashlib
import json
import os
import re
import subprocess
import time

import kernel
import pytest
from disk import Disk
from driver import until

PASSPHRASE = "correct horse"
SIZE = 48 << 20


@pytest.fixture
def reencrypt(driver):
    """Starts it for a volume."""
    binary = os.path.join(os.environ["LCW_BUILD"], "lcw")

    def start(name, *options):
        process = subprocess.Popen(
            [binary, "volume", "reencrypt", name, "--passphrase-fd=0", *options,
             f"--state-dir={driver.base}/state", f"--run-dir={driver.base}/run",
             f"--node-id={driver.node}", f"--kubelet-dir={driver.kubelet}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        process.stdin.write(PASSPHRASE.encode())
        process.stdin.close()
        return process
    return start


def result(process):
    status = process.wait(120)
    return status, process.stdout.read().decode()


def used_volume(driver, name):
    """Closed, full of data; returns their checksum as well."""
    volume, data = driver.create(name, size=SIZE), os.urandom(30 << 20)
    driver.stage(volume)
    with open(f"{driver.staging(name)}/data", "wb") as out:
        out.write(data)
    return volume, hashlib.sha256(data).hexdigest()


def checksum(driver, name):
    with open(f"{driver.staging(name)}/data", "rb") as data:
        return hashlib.sha256(data.read()).hexdigest()


def copy_of_backup(driver, name, path):
    with open(f"{driver.data}/{name}/luks-header.backup", "rb") as source, open(path, "wb") as out:
        out.write(source.read())


def is_under_way(driver, name):
    with open(driver.record(name), encoding="utf-8") as record:
        return json.load(record)["reencrypting"]


def kill_in_the_middle(driver, reencrypt, name):
    """After the first pieces; slowed down, so that it is not over before."""
    first = head_of_data(driver.image(name))
    process = reencrypt(name, "--rate=6Mi")
    until("data are rewritten", lambda: head_of_data(driver.image(name)) != first
          or process.poll() is not None, 60)
    time.sleep(1)
    process.kill()
    process.wait(30)
    assert is_under_way(driver, name), process.stdout.read()


def head_of_data(image):
    with open(image, "rb") as data:
        data.seek(16 << 20)
        return data.read(4096)


def test_killed_in_the_middle_it_goes_on(driver, reencrypt, refused):
    volume, wanted = used_volume(driver, "pvc-e")
    status, text = result(reencrypt("pvc-e"))
    assert status == 1 and "is in use on this node" in text
    assert checksum(driver, "pvc-e") == wanted
    driver.unstage("pvc-e")
    old = f"{driver.base}/old-header"
    copy_of_backup(driver, "pvc-e", old)

    kill_in_the_middle(driver, reencrypt, "pvc-e")
    for _ in range(2):  # the second is of a driver that has just started
        with refused("FAILED_PRECONDITION", "lcw volume reencrypt pvc-e"):
            driver.stage(volume)
        with refused("FAILED_PRECONDITION", "lcw volume reencrypt pvc-e"):
            driver.expand("pvc-e", SIZE * 2)
        driver.restart()
    assert not kernel.mappings() and not kernel.loops()

    process = reencrypt("pvc-e", "--rate=6Mi")
    time.sleep(1)
    with refused("ABORTED"):
        driver.delete("pvc-e")
    process.kill()
    process.wait(30)
    status, text = result(reencrypt("pvc-e"))
    assert status == 0 and not is_under_way(driver, "pvc-e"), text

    driver.stage(volume)
    assert checksum(driver, "pvc-e") == wanted
    driver.unstage("pvc-e")
    with open(f"{driver.data}/pvc-e/luks-header.backup", "rb") as backup, \
            open(driver.image("pvc-e"), "rb") as image:
        assert backup.read() == image.read(16 << 20)

    # The passphrase opens the old header, and what it shows is noise.
    kernel.run("cryptsetup", "open", f"--header={old}", "--key-file=-", driver.image("pvc-e"),
               "old-header", input=PASSPHRASE)
    try:
        assert kernel.run("blkid", "-p", "/dev/mapper/old-header", check=False) == ""
    finally:
        kernel.run("cryptsetup", "close", "old-header")
    driver.delete("pvc-e")


def test_a_disk_without_room_for_all_of_a_thin_image(driver, reencrypt):
    with Disk(driver.base, "lcw-thin", 256 << 20) as disk:
        volume = driver.create("pvc-thin", size=SIZE, local_path=f"{disk.path}/data", allocation="thin")
        driver.stage(volume)
        with open(f"{driver.staging('pvc-thin')}/data", "wb") as out:
            out.write(os.urandom(4 << 20))
        wanted = checksum(driver, "pvc-thin")
        driver.unstage("pvc-thin")
        with disk.full(left=20 << 20):
            status, text = result(reencrypt("pvc-thin"))
            assert status == 1 and re.search("bytes left, and to replace the volume key of 'pvc-thin' takes", text), text
            driver.stage(volume)
            assert checksum(driver, "pvc-thin") == wanted
            driver.unstage("pvc-thin")
        status, text = result(reencrypt("pvc-thin"))
        assert status == 0, text
        driver.stage(volume)
        assert checksum(driver, "pvc-thin") == wanted
        driver.unstage("pvc-thin")
        driver.delete("pvc-thin")


def test_a_volume_whose_reencryption_was_broken_off_is_deleted(driver, reencrypt):
    used_volume(driver, "pvc-d")
    driver.unstage("pvc-d")
    kill_in_the_middle(driver, reencrypt, "pvc-d")
    driver.delete("pvc-d")
    assert not os.path.exists(f"{driver.data}/pvc-d")
