"""What the kernel says: mounts, mappings, loop devices. Nothing here asks the driver."""
import ctypes
import glob
import json
import os
import platform
import re
import subprocess


def run(*argv, check=True, **options):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, **options)
    assert not check or done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout


def mounts():
    """[(mount point, root, fs type, source, options)] of this mount namespace."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        for line in table:
            head, tail = line.rstrip("\n").split(" - ", 1)
            fields, rest = head.split(" "), tail.split(" ")
            found.append((fields[4], fields[3], rest[0], rest[1], fields[5]))
    return found


def mount_at(path):
    found = [mount for mount in mounts() if mount[0] == path]
    return found[-1] if found else None


def mappings():
    """{name: uuid} of the device-mapper devices."""
    found = {}
    for folder in glob.glob("/sys/block/dm-*/dm"):
        try:
            with open(f"{folder}/name", encoding="ascii") as name, \
                    open(f"{folder}/uuid", encoding="ascii") as uuid:
                found[name.read().strip()] = uuid.read().strip()
        except FileNotFoundError:
            pass
    return found


def loops():
    """{device: losetup's row} of the attached loop devices."""
    text = run("losetup", "-J", "-l", "-O", "NAME,BACK-FILE,DIO,AUTOCLEAR,LOG-SEC")
    return {row["name"]: row for row in json.loads(text)["loopdevices"]} if text.strip() else {}


def luks_dump(image):
    return run("cryptsetup", "luksDump", image)


def luks_uuid(image):
    return re.search(r"^UUID:\s*(\S+)", luks_dump(image), re.M).group(1)


def status(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith(key + ":"):
                return line.split(":", 1)[1].strip()
    raise KeyError(key)


def words_of(pid):
    """The command line of a process; one that is gone has none."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as text:
            return text.read().split("\0")
    except OSError:
        return []


def forget_key(name):
    """Takes a key out of the kernel's keyring of root, as a reboot does."""
    search, invalidate, user_keyring = 10, 21, -4
    number = {"x86_64": 250, "aarch64": 219}[platform.machine()]
    call = ctypes.CDLL(None).syscall
    key = call(number, search, user_keyring, b"user", name.encode(), 0)
    assert key > 0 and call(number, invalidate, key) == 0, name


def serving(word, folder):
    """Processes with this word on their command line that serve what is below this folder: they name
    it there, or work in it (an rclone of the driver is handed its folders opened)."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = words_of(pid)
            if word in words and any(folder in one for one in [*words, os.readlink(f"/proc/{pid}/cwd")]):
                found.append(int(pid))
        except OSError:
            continue
    return found


def children(pid):
    path = f"/proc/{pid}/task/{pid}/children"
    try:
        with open(path, encoding="ascii") as text:
            return [int(child) for child in text.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def rollup(pid, key):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as lines:
        for line in lines:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise KeyError(key)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))
