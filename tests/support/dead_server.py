"""A FUSE file system of one file, to die on demand: `python3 dead_server.py MOUNT_POINT`.

It serves `disk.img`, 4 MiB of zeros, until it is killed; then every look at it fails (ENOTCONN),
as with the server of a network file system that is gone. (linux/fuse.h)
"""
import ctypes
import os
import struct
import sys

LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE, INIT, BATCH_FORGET = 1, 2, 3, 14, 15, 18, 26, 42
ROOT, FILE, SIZE = 1, 2, 4 << 20
ENOENT, ENOSYS = 2, 38


def attr(node):
    mode, size = (0o040755, 0) if node == ROOT else (0o100644, SIZE)
    return struct.pack("<QQQQQQIIIIIIIIII", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0,
                       0, 4096, 0)


def answer(opcode, node, body):
    """(errno, reply)."""
    if opcode == INIT:
        minor = min(struct.unpack_from("<I", body, 4)[0], 31)
        return 0, struct.pack("<IIIIHHIIHHI28x", 7, minor, 65536, 0, 16, 12, 65536, 1, 0, 0, 0)
    if opcode == LOOKUP:
        if body.rstrip(b"\0") != b"disk.img":
            return ENOENT, b""
        return 0, struct.pack("<QQQQII", FILE, 0, 0, 0, 0, 0) + attr(FILE)
    if opcode == GETATTR:
        return 0, struct.pack("<QII", 0, 0, 0) + attr(node)
    if opcode == OPEN:
        return 0, struct.pack("<QII", 1, 0, 0)
    if opcode == READ:
        offset, size = struct.unpack_from("<8xQI", body)
        return 0, bytes(max(0, min(size, SIZE - offset)))
    return (0, b"") if opcode == RELEASE else (ENOSYS, b"")


def main(mount_point):
    libc = ctypes.CDLL(None, use_errno=True)
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fuse},rootmode=40755,user_id=0,group_id=0,allow_other"
    if libc.mount(b"dead", mount_point.encode(), b"fuse", 0, options.encode()) != 0:
        sys.exit(f"mount: {os.strerror(ctypes.get_errno())}")
    while True:
        request = os.read(fuse, 1 << 18)
        _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
        if opcode in (FORGET, BATCH_FORGET):
            continue
        error, reply = answer(opcode, node, request[40:])
        os.write(fuse, struct.pack("<IiQ", 16 + len(reply), -error, unique) + reply)


if __name__ == "__main__":
    main(sys.argv[1])
