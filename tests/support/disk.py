"""A disk that fails when told to: ext4 on device-mapper on a loop device, for tests on a real kernel.

Its table is made of pieces. What a fault covers is given as byte ranges of a file, so that only
that file's blocks fail and the file system around it stays whole, or is the whole disk.
"""
import contextlib
import os
import re

import kernel

SECTOR, BLOCK = 512, 4096
LINEAR = "linear"
ERROR = "error"
ZERO = "zero"
ERROR_WRITES = "flakey 0 1000 1 error_writes"
DROP_WRITES = "flakey 0 1000 1 drop_writes"
# Not dm-flakey's corrupt_bio_byte, which leaves reads as they are on many kernels: the range lies
# on a second device that holds a damaged copy.
CORRUPT = "corrupt"


def delayed(milliseconds):
    return f"delay {milliseconds}"


def extents(path, begin=0, end=1 << 62):
    """[(first byte on the disk, bytes)] of the range [begin, end) of a file."""
    found = []
    kernel.run("sync", "-f", path)
    for line in kernel.run("filefrag", "-e", "-v", "-b4096", path).splitlines():
        row = re.match(r"\s*\d+:\s*(\d+)\.\.\s*(\d+):\s*(\d+)\.\.", line)
        if not row:
            continue
        first, last, disk = (int(number) * BLOCK for number in row.groups())
        low, high = max(first, begin), min(last + BLOCK, end)
        if low < high:
            found.append((disk + low - first, high - low))
    assert found, f"no blocks of {path} in [{begin}, {end})"
    return found


class Disk:
    """A disk with an ext4 file system mounted at `path`."""

    def __init__(self, base, name, size=640 << 20):
        self.name, self.size, self.path = name, size, f"{base}/{name}"
        self.file = f"{base}/{name}.disk"
        with open(self.file, "wb") as out:
            out.truncate(size)
        self.loop = kernel.run("losetup", "--show", "-f", self.file).strip()
        kernel.run("dmsetup", "create", name, "--table", self.table([], LINEAR))
        self.device = f"/dev/mapper/{name}"
        kernel.run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", self.device)
        os.mkdir(self.path)
        self.mount()

    def mount(self):
        kernel.run("mount", self.device, self.path)

    def damaged_copy(self, ranges):
        """A loop device with the ranges at their places, and a wrong byte in every 512."""
        copy = f"{self.file}.copy"
        with open(self.file, "rb") as source, open(copy, "wb") as out:
            out.truncate(self.size)
            for begin, size in ranges:
                source.seek(begin)
                data = bytearray(source.read(size))
                data[100::SECTOR] = bytes(byte ^ 0xff for byte in data[100::SECTOR])
                out.seek(begin)
                out.write(data)
        self.copy = kernel.run("losetup", "--show", "-f", copy).strip()

    def piece(self, begin, end, target):
        word, _, rest = target.partition(" ")
        line = f"{begin // SECTOR} {(end - begin) // SECTOR} {word}"
        if word in (ERROR, ZERO):
            return line
        if word == CORRUPT:
            return f"{begin // SECTOR} {(end - begin) // SECTOR} linear {self.copy} {begin // SECTOR}"
        return f"{line} {self.loop} {begin // SECTOR} {rest}".rstrip()

    def table(self, ranges, target):
        """The ranges have the fault, all else is as it should be."""
        lines, at = [], 0
        for begin, size in sorted(ranges):
            if at < begin:
                lines.append(self.piece(at, begin, LINEAR))
            lines.append(self.piece(begin, begin + size, target))
            at = begin + size
        if at < self.size:
            lines.append(self.piece(at, self.size, LINEAR))
        return "\n".join(lines)

    def load(self, ranges, target):
        kernel.run("dmsetup", "load", self.name, "--table", self.table(ranges, target))
        kernel.run("dmsetup", "suspend", "--nolockfs", "--noflush", self.name)
        kernel.run("dmsetup", "resume", self.name)
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as caches:
            caches.write("3")

    @contextlib.contextmanager
    def fault(self, target, ranges=None):
        """While it lasts, the ranges (default: the whole disk) have this fault."""
        ranges = [(0, self.size)] if ranges is None else ranges
        kernel.run("sync", "-f", self.path)
        if target == CORRUPT:
            self.damaged_copy(ranges)
        self.load(ranges, target)
        try:
            yield
        finally:
            self.load([], LINEAR)
            if target == CORRUPT:
                kernel.run("losetup", "-d", self.copy)
                os.unlink(f"{self.file}.copy")

    @contextlib.contextmanager
    def full(self, left):
        """While it lasts, so many bytes are free, for root too."""
        filler, found = f"{self.path}/filler", os.statvfs(self.path)
        with open(filler, "wb") as out:
            os.posix_fallocate(out.fileno(), 0, found.f_bfree * found.f_frsize - left)
        try:
            yield
        finally:
            os.unlink(filler)

    def repair(self):
        """What an admin does after a disk was away: its file system has gone read-only."""
        kernel.run("umount", self.path)
        kernel.run("e2fsck", "-p", self.device, check=False)
        self.mount()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        """What a failed test left open is not worth a second failure."""
        with contextlib.suppress(AssertionError if kind else ()):
            self.remove()

    def remove(self):
        kernel.run("umount", self.path)
        kernel.run("dmsetup", "remove", self.name)
        kernel.run("losetup", "-d", self.loop)
        os.unlink(self.file)
