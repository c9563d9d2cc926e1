"""lcw: the admin's command line over the same engine."""
import json
import os
import subprocess

import pytest


@pytest.fixture
def lcw(driver):
    binary = os.path.join(os.environ["LCW_BUILD"], "lcw")

    def run(*words, **options):
        return subprocess.run([binary, *words, f"--state-dir={driver.base}/state",
                               f"--run-dir={driver.base}/run", f"--node-id={driver.node}"],
                              capture_output=True, text=True, timeout=60, **options)
    return run


def test_list_and_show(driver, lcw):
    driver.create("pvc-1")
    volume = driver.create("pvc-2")
    driver.stage(volume)
    table = lcw("volume", "list")
    assert table.returncode == 0 and "pvc-1" in table.stdout and "open on this node" in table.stdout
    rows = json.loads(lcw("volume", "list", "-o", "json").stdout)
    assert [(row["volumeId"], row["state"]) for row in rows] == \
        [("pvc-1", "reserved"), ("pvc-2", "formatted")]
    shown = json.loads(lcw("volume", "show", "pvc-2", "-o", "json").stdout)
    assert shown["parameters"]["fsType"] == "ext4" and not shown["abnormal"]
    assert "LUKS UUID" in lcw("volume", "show", "pvc-2").stdout
    driver.unstage("pvc-2")
    driver.delete("pvc-1")
    driver.delete("pvc-2")


@pytest.mark.parametrize("words, status, text", [
    (["volume", "lsit"], 2, "'list'"), (["volume"], 2, "which command"),
    (["volume", "show", "none"], 1, "does not exist"), (["volume", "show", "../x"], 2, "volume id"),
    (["volume", "list", "--colour"], 2, "--colour"), (["volume", "list", "-o", "xml"], 2, "-o")])
def test_what_is_wrong_is_explained(lcw, words, status, text):
    done = lcw(*words)
    assert done.returncode == status and text in done.stderr, done.stderr


def test_adopt_restores_a_lost_record(driver, lcw, refused, unchanged):
    volume = driver.create("pvc-a")
    driver.stage(volume)
    driver.unstage("pvc-a")
    os.remove(driver.record("pvc-a"))
    with refused("FAILED_PRECONDITION", "lcw volume adopt pvc-a"):
        driver.stage(volume)
    with unchanged(driver.image("pvc-a")):
        wrong = lcw("volume", "adopt", "pvc-a", "--passphrase-fd=0", input="wrong")
        assert wrong.returncode == 1 and "does not open" in wrong.stderr
        assert not os.path.exists(driver.record("pvc-a"))
        done = lcw("volume", "adopt", "pvc-a", "--passphrase-fd=0", input="correct horse")
        assert done.returncode == 0, done.stderr
        again = lcw("volume", "adopt", "pvc-a", "--passphrase-fd=0", input="correct horse")
        assert again.returncode == 1 and "already" in again.stderr
    driver.stage(volume)
    driver.unstage("pvc-a")
    driver.delete("pvc-a")


def test_forget_only_what_is_lost(driver, lcw, refused):
    volume = driver.create("pvc-l")
    driver.stage(volume)
    driver.unstage("pvc-l")
    there = lcw("volume", "forget", "pvc-l")
    assert there.returncode == 1 and "are there" in there.stderr
    os.rename(driver.data, driver.data + ".lost")
    with refused("FAILED_PRECONDITION", "lcw volume forget pvc-l"):
        driver.delete("pvc-l")
    assert lcw("volume", "forget", "pvc-l").returncode == 0
    driver.delete("pvc-l")
    assert lcw("volume", "show", "pvc-l").returncode == 1


def test_adopt_refuses_the_image_of_another_volume(driver, lcw, unchanged):
    for name in ("pvc-1", "pvc-2"):
        driver.stage(driver.create(name))
        driver.unstage(name)
    os.remove(driver.record("pvc-1"))
    os.remove(driver.image("pvc-1"))
    os.rename(driver.image("pvc-2"), driver.image("pvc-1"))
    with unchanged(driver.image("pvc-1"), f"{driver.base}/state/volumes/pvc-1.json"):
        done = lcw("volume", "adopt", "pvc-1", "--passphrase-fd=0", input="correct horse")
        assert done.returncode == 1 and "image of another volume" in done.stderr
    os.rename(driver.image("pvc-1"), driver.image("pvc-2"))
    driver.delete("pvc-2")
