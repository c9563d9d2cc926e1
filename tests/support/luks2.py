"""Changing a LUKS2 header as no program of ours does, with checksums that are right afterwards."""
import hashlib
import json
import os

BINARY, SEQID, CHECKSUM = 4096, 16, 448


def size_of_copy(image):
    with open(image, "rb") as content:
        content.seek(8)
        return int.from_bytes(content.read(8), "big")


def edit(image, change, copies=(0, 1)):
    """change(binary header, JSON): both may be changed in place."""
    size = size_of_copy(image)
    for copy in copies:
        with open(image, "r+b") as content:
            content.seek(copy * size)
            binary = bytearray(content.read(BINARY))
            fields = json.loads(content.read(size - BINARY).rstrip(b"\0"))
            change(binary, fields)
            binary[CHECKSUM:CHECKSUM + 64] = bytes(64)
            text = json.dumps(fields, separators=(",", ":")).encode().ljust(size - BINARY, b"\0")
            assert len(text) == size - BINARY
            binary[CHECKSUM:CHECKSUM + 32] = hashlib.sha256(binary + text).digest()
            content.seek(copy * size)
            content.write(binary + text)
            content.flush()
            os.fsync(content.fileno())


def age(image, copy, by):
    """Makes one copy older or newer than the other."""
    def change(binary, _fields):
        seqid = int.from_bytes(binary[SEQID:SEQID + 8], "big")
        binary[SEQID:SEQID + 8] = (seqid + by).to_bytes(8, "big")
    edit(image, change, (copy,))


def require(image, *names):
    """In both copies; none: takes the requirements away."""
    def change(_binary, fields):
        fields["config"].pop("requirements", None)
        if names:
            fields["config"]["requirements"] = {"mandatory": list(names)}
    edit(image, change)
