"""A marker passphrase is searched for everywhere. It may be in locked memory during a call."""
import os
import re
import threading

import kernel
import pytest
from driver import Driver, until

MARKER = "m4rk3r-" + "Zq7Lw2Xv9Tb4" * 2


def read(path):
    try:
        with open(path, "rb") as content:
            return content.read()
    except OSError:
        return b""


def areas(pid):
    """(start, end, locked) of the readable private areas of a process."""
    area, found = None, []
    for line in read(f"/proc/{pid}/smaps").decode(errors="replace").splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
        if head:
            area = [int(head[1], 16), int(head[2], 16)]
        elif re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            area = None
        elif line.startswith("VmFlags:") and area and "[v" not in line:
            found.append((*area, " lo" in line))
    return found


def marked_areas(pid):
    """Whether each area that holds the marker is locked."""
    found = []
    try:
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except OSError:
        return found
    for start, end, locked in areas(pid):
        try:
            if MARKER.encode() in os.pread(memory, end - start, start):
                found.append(locked)
        except OSError:
            pass
    os.close(memory)
    return found


class Watch(threading.Thread):
    """While a call runs: argv, environ, open limits and memory of the driver and its workers."""

    def __init__(self, driver):
        super().__init__()
        self.driver, self.done = driver, False
        self.shown, self.unlocked, self.seen, self.workers = [], [], 0, set()

    def look(self, pid):
        for name in ("cmdline", "environ", "comm"):
            if MARKER.encode() in read(f"/proc/{pid}/{name}"):
                self.shown.append((pid, name))
        for locked in marked_areas(pid):
            self.seen += 1
            if not locked:
                self.unlocked.append(pid)

    def run(self):
        while not self.done:
            self.look(self.driver.process.pid)
            for worker in kernel.children(self.driver.process.pid):
                self.workers.add(worker)
                self.look(worker)
                for child in kernel.children(worker):
                    self.workers.add(child)
                    self.look(child)


def test_u24_no_secret_is_found_anywhere(driver, refused):
    watch = Watch(driver)
    watch.start()
    try:
        volume = driver.create_raw("pvc-s", {"local-path": driver.data}, 32 << 20)
        driver.stage(volume, secrets={"passphrase": MARKER, "unused": MARKER + "2"})
        driver.publish(volume)
        driver.unpublish("pvc-s")
        driver.unstage("pvc-s")
        with refused("FAILED_PRECONDITION") as error:
            driver.stage(volume, secrets={"passphrase": MARKER + "wrong"})
        assert MARKER not in error.sentence
        driver.stage(volume, secrets={"passphrase": MARKER})
        driver.unstage("pvc-s")
        with refused("INVALID_ARGUMENT") as error:
            driver.stage(volume, secrets={"key-" + MARKER: MARKER})
        assert MARKER not in error.sentence
        driver.delete("pvc-s")
    finally:
        watch.done = True
        watch.join()
    assert watch.workers, "no worker was seen: the watch cannot have seen anything"
    assert watch.seen, "the marker was never seen in memory: the search is broken"
    assert watch.shown == []
    assert watch.unlocked == []

    assert MARKER not in driver.read_log()
    for path in walk(driver.base):
        assert MARKER.encode() not in read(path), path
    until("the memory of the idle driver is clean",
          lambda: marked_areas(driver.process.pid) == [], 10)


def walk(base):
    for folder, _, files in os.walk(base):
        for name in files:
            yield os.path.join(folder, name)


class OtherGroup(Driver):
    """A driver of another group than root's, to which a dumpable process would belong in /proc."""

    def command(self):
        return ["setpriv", "--regid=1", "--clear-groups", *super().command()]


@pytest.fixture
def other_group(driver):
    one = OtherGroup(f"{driver.base}/other", driver.binary).start()
    yield one
    assert one.stop() == 0


def test_u24_no_core_dump_and_no_debugger(other_group):
    driver = other_group
    assert kernel.status(driver.process.pid, "Gid").split()[1] == "1"
    limits = read(f"/proc/{driver.process.pid}/limits").decode()
    assert re.search(r"Max core file size\s+0\s+0\s", limits)
    # Not dumpable: what belongs to the process in /proc belongs to root, not to its group.
    assert os.stat(f"/proc/{driver.process.pid}/environ").st_gid == 0
    assert int(kernel.status(driver.process.pid, "VmLck").split()[0]) > 0


@pytest.mark.parametrize("passphrase", ["ä ☃ '\"$(x)\\", "x" * 4000, " leading and trailing \n"])
def test_any_text_is_a_passphrase_as_it_is(driver, refused, passphrase):
    volume = driver.create("pvc-odd")
    driver.stage(volume, secrets={"passphrase": passphrase})
    driver.unstage("pvc-odd")
    with refused("FAILED_PRECONDITION"):
        driver.stage(volume, secrets={"passphrase": passphrase + "x"})
    driver.stage(volume, secrets={"passphrase": passphrase})
    driver.unstage("pvc-odd")
    driver.delete("pvc-odd")
