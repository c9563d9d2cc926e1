"""tests/fuzz/seeds.py DIR: the inputs that fuzzing starts from, DIR/TARGET/NAME.

They are made and not stored: what they hold can be read here. Inputs that once crashed a target
are files below tests/fuzz/corpus.
"""

import hashlib
import os
import struct
import sys

UUID = "01234567-89ab-4def-8123-456789abcdef"
CLASS = {
    "storage-backend": "local", "local-path": "/nowhere", "fsType": "ext4", "passphraseKey": "passphrase",
    "fsGroup": "1000", "fs-mode": "0775", "allocation": "thick", "luks-cipher": "aes-xts-plain64",
    "luks-key-size": "512", "luks-sector-size": "4096", "luks-pbkdf": "argon2id",
    "luks-pbkdf-memory": "64Mi", "luks-pbkdf-iterations": "4", "luks-pbkdf-parallel": "1",
    "luks-discard": "true", "csi.storage.k8s.io/pv/name": "pv-1",
}
BUCKET = {
    "storage-backend": "s3", "s3-bucket": "bucket", "s3-region": "eu-central-1",
    "s3-endpoint": "https://s3.example.org:9000", "s3-force-path-style": "true",
    "s3-path-prefix": "${pvc.namespace}/${pvc.name}", "s3-shared-prefix": "false",
    "s3-secret-name": "s3", "s3-secret-namespace": "default", "rclone-vfs-cache-mode": "full",
    "rclone-vfs-cache-max-age": "1h30m", "rclone-vfs-cache-max-size": "10G",
    "rclone-vfs-cache-poll-interval": "1m", "rclone-vfs-write-back": "5s",
    "rclone-dir-cache-time": "5m", "rclone-attr-timeout": "1s", "rclone-vfs-read-chunk-streams": "4",
    "rclone-memory-limit": "256Mi",
}


# Messages of protobuf: a varint, or something with a length.

def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, dict):
        return b"".join(field(number, field(1, key) + field(2, text)) for key, text in value.items())
    return varint(number << 3 | 2) + varint(len(value)) + value


def mount(fs_type="ext4", mode=1, group="1000"):
    """A volume capability for mounting."""
    return field(2, field(1, fs_type) + field(2, "noatime") + field(3, group)) + field(3, field(1, mode))


BLOCK = field(1, b"") + field(3, field(1, 1))
RANGE = field(1, 64 << 20) + field(2, 1 << 30)
HERE = field(1, {"topology.lukscryptwalker.csi.k8s.io/node": "node-1"})
SECRETS = {"passphrase": "a long passphrase"}
STAGING, TARGET = "/kubelet/plugins/kubernetes.io/csi/x/globalmount", "/kubelet/pods/1/volumes/v/mount"

# In the order of csi_methods() (src/csi/methods.c).
REQUESTS = [
    [b""], [b""], [b""],  # identity
    [field(1, "vol-2") + field(2, RANGE) + field(3, mount()) + field(4, CLASS) + field(5, SECRETS)
     + field(7, field(1, HERE) + field(2, HERE)),
     field(1, "vol-1") + field(2, RANGE) + field(3, BLOCK) + field(4, {"local-path": "/nowhere"}),
     field(1, "a name / with words") + field(3, mount("xfs")) + field(4, BUCKET)],
    [field(1, "vol-1") + field(2, SECRETS)],
    [field(1, "vol-1") + field(2, {"a": "b"}) + field(3, mount()) + field(4, CLASS)],
    [field(1, 10) + field(2, "after:vol-0"), b""],
    [field(1, mount()) + field(2, CLASS) + field(3, HERE)],
    [b""],
    [field(1, "vol-1")],
    [field(1, "vol-1") + field(2, RANGE) + field(3, SECRETS) + field(4, mount())],
    [field(1, "vol-1") + field(3, STAGING) + field(4, mount()) + field(5, SECRETS),
     field(1, "vol-2") + field(3, STAGING) + field(4, BLOCK) + field(5, SECRETS) + field(6, CLASS)],
    [field(1, "vol-1") + field(2, STAGING)],
    [field(1, "vol-1") + field(3, STAGING) + field(4, TARGET) + field(5, mount()) + field(6, 1)
     + field(7, SECRETS) + field(8, CLASS)],
    [field(1, "vol-1") + field(2, TARGET)],
    [field(1, "vol-1") + field(2, TARGET) + field(3, STAGING)],
    [field(1, "vol-1") + field(2, TARGET) + field(3, RANGE) + field(4, STAGING) + field(5, mount())],
    [b""], [b""],
]


def requests():
    return [bytes([method]) + message for method, messages in enumerate(REQUESTS) for message in messages]


# HTTP/2.

def header(name, value):
    return b"\0" + varint(len(name)) + name.encode() + varint(len(value)) + value.encode()


def headers(path, **more):
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost",
              "content-type": "application/grpc", "te": "trailers", "grpc-timeout": "5S",
              "user-agent": "grpc-go/1.62.0", **more}
    return b"".join(header(*pair) for pair in fields.items())


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def piece(kind, flags, stream, payload):
    return bytes([kind, flags, stream]) + struct.pack(">H", len(payload)) + payload


def message(body):
    return b"\0" + struct.pack(">I", len(body)) + body


def http2():
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    settings = b"\0\3\0\0\0\x64\0\4\0\1\0\0"
    probe = headers("/csi.v1.Identity/Probe")
    raw = (preface + frame(4, 0, 0, settings) + frame(8, 0, 0, b"\0\1\0\0") + frame(1, 4, 1, probe)
           + frame(0, 1, 1, message(b"")) + frame(6, 0, 0, b"12345678") + frame(7, 0, 0, bytes(8)))
    half = len(probe) // 2
    pieces = (piece(4, 0, 0, settings) + piece(1, 0, 1, probe[:half]) + piece(9, 4, 1, probe[half:])
              + piece(0, 0, 1, message(b"")[:3]) + piece(0, 1, 1, message(b"")[3:])
              + piece(2, 0, 1, bytes(5)) + piece(3, 0, 3, bytes(4)) + piece(5, 4, 1, bytes(8)))
    out = [b"\x1f" + raw, b"\x03" + raw, b"\x1e" + pieces, b"\x06" + pieces]
    for number, request in enumerate(requests()):
        out.append(b"\x1e\xff" + request[:1] + bytes([2 * (number % 100) + 1])
                   + struct.pack(">H", len(request) - 1) + request[1:])
    calls = b"".join(b"\xff\x02" + bytes([stream]) + b"\0\0" for stream in range(1, 255, 2))
    return out + [b"\x1e" + calls]


# Disks: see tests/fuzz/disk.h.

def disk(size, *pieces):
    out = struct.pack(">H", size // 4096)
    for at, data, flags in pieces:
        out += bytes([flags]) + struct.pack(">I", at)[1:] + struct.pack(">H", len(data)) + data
    return out


def luks2(at, size=0x4000, seqid=3, uuid=UUID, version=2):
    magic = b"LUKS\xba\xbe" if at == 0 else b"SKUL\xba\xbe"
    head = magic + struct.pack(">HQQ", version, size, seqid) + b"label".ljust(48, b"\0")
    head += b"sha256".ljust(32, b"\0") + bytes(64) + uuid.encode().ljust(40, b"\0") + bytes(48)
    return (at, head + struct.pack(">Q", at), 2)


def disks():
    ext4 = bytearray(1024)
    struct.pack_into("<IIIII", ext4, 0, 64, 1024, 0, 900, 50)
    struct.pack_into("<HHH", ext4, 56, 0xEF53, 1, 1)
    struct.pack_into("<I", ext4, 76, 1)
    ext4[104:120] = bytes(range(16))
    xfs = b"XFSB" + struct.pack(">IQ", 4096, 16384) + bytes(16) + bytes(range(16)) + bytes(400)
    mbr = bytes(446) + b"\x80\0\0\0\x83\0\0\0" + struct.pack("<II", 8, 800) + bytes(48) + b"\x55\xaa"
    gpt = b"EFI PART" + struct.pack("<IIIIQQQQ", 0x10000, 92, 0, 0, 1, 2047, 34, 2014) + bytes(36)
    meg = 1 << 20
    return {
        "blank": disk(meg), "empty": disk(0), "one-unit": disk(4096),
        "luks1": disk(meg, (0, luks2(0, version=1)[1], 0)),
        "luks2": disk(meg, luks2(0), luks2(0x4000)),
        "luks2-second-gone": disk(meg, luks2(0)),
        "luks2-first-gone": disk(meg, luks2(0x8000, 0x8000)),
        "luks2-other-age": disk(meg, luks2(0), luks2(0x4000, seqid=4)),
        "luks2-other-uuid": disk(meg, luks2(0), luks2(0x4000, uuid=UUID[::-1])),
        "luks2-damaged": disk(meg, luks2(0)[:2] + (0,), luks2(0x4000)),
        "luks2-large": disk(4 * meg + 8192, luks2(0, 0x200000), luks2(0x200000, 0x200000)),
        "ext4": disk(meg, (1024, bytes(ext4), 0)), "xfs": disk(meg, (0, xfs, 0)),
        "both": disk(meg, (0, xfs, 0), (1024, bytes(ext4), 0)),
        "mbr": disk(meg, (0, mbr, 0)), "gpt": disk(meg, (0, mbr, 0), (512, gpt, 0), (512, gpt, 1)),
        "btrfs": disk(meg, (65536, bytes(64) + b"_BHRfS_M", 0)),
        "swap": disk(meg, (4086, b"SWAPSPACE2", 0)), "end": disk(meg, (8192, b"\xfc\x4e\x2b\xa9", 1)),
    }


RECORD = """{"version": 1, "volumeId": "vol-1", "name": "vol-1", "state": "%s", "block": false,
 "adopted": false, "node": "node-1", "capacityBytes": 67108864, "dataOffsetBytes": 16777216,
 "luksUUID": "%s", "fsUUID": "", "created": "2026-01-01T00:00:00Z",
 "parameters": {"local-path": "/nowhere", "fsType": "xfs"}}
"""

MOUNTS = """22 28 0:21 / /proc rw,nosuid,nodev shared:12 - proc proc rw
28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard
90 28 253:0 / /var/lib/kubelet/a\\040b\\011\\012\\134 ro,relatime shared:30 master:2 - xfs /dev/mapper/luks-x rw
91 28 0:5 /dm-0 /kubelet/pods/1/v rw - devtmpfs devtmpfs rw,size=1k
"""

WORDS = ["0", "18446744073709551615", "18446744073709551616", "0775", "07777", "true", "false", "64Mi", "10G", "5Ti",
         "16777216Ti", "1h30m", "5s", "500ms", "2d", "/opt/local-path-provisioner\n/opt", "/a/../b\n/a", "pvc-1",
         "storage-backand", "a..b", "\u00e4\u4e2d", "\x7f", "x" * 200]

DRIVER = ["lukscryptwalker-csi", "all", "--endpoint=unix:///run/x.sock", "--node-id=node-1", "--state-dir=/a",
          "--run-dir", "/b", "--store=dir", "--host-root=/", "--allow-path=/c", "--allow-path=/d",
          "--kubelet-dir=/e", "--http-endpoint=[::1]:9808", "--rclone=/usr/bin/rclone",
          "--mounter-endpoint=unix:///m", "--log-format=json", "--log-level=debug"]
ADMIN = ["lcw", "volume", "adopt", "vol-1", "-o", "json", "--local-path=/a", "--state-dir=/b", "--run-dir=/c",
         "--host-root=/d", "--node-id=n", "--passphrase-fd=3"]


def backups():
    """An image and a header backup beside it."""
    found = disks()
    names = ("luks2", "luks1", "blank", "luks2-other-age", "luks2-other-uuid", "luks2-damaged", "empty")
    pairs = [("luks2", name) for name in names] + [("luks1", "luks1"), ("blank", "luks2")]
    return [struct.pack(">H", len(found[image])) + found[image] + found[backup] for image, backup in pairs]


def lines(pairs):
    return "\n".join(f"{key}={value}" for key, value in pairs.items())


def heads():
    fields = [(":method", "POST"), (":path", "/csi.v1.Node/NodeStageVolume"), ("content-type", "application/grpc+proto"),
              ("grpc-timeout", "250m"), ("grpc-encoding", "identity"), ("te", "trailers"), ("x-a", "b" * 99)]
    return b"".join(bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
                    for name, value in fields)


def rclone():
    """What rclone prints and writes."""
    log = ('2026/01/01 00:00:00 ERROR : x: Failed to copy: operation error S3: PutObject, https response error '
           'StatusCode: 403, RequestID: 1, api error AccessDenied: Access Denied\n'
           '2026/01/01 00:00:00 NOTICE: dial tcp: lookup s3.example.org: no such host\n')
    note = ('{"ModTime": "2026-01-01T00:00:00Z", "ATime": "2026-01-01T00:00:00Z", "Size": 5, "Rs": [{"Pos": 0, '
            '"Size": 5}], "Fingerprint": "5,x", "Dirty": %s}')
    return ["\x00" + log, "\x02" + log, "\x00rclone v1.76.0-DEV\n- os/version: x\n", "\x00rclone v1.69.1\n",
            "\x01" + note % "true", "\x01" + note % "false", "\x01"]


def packets():
    return ['\x00{"do": "start", "id": "vol-1", "flags": ["--read-only"]}', '\x02{"id": "vol-1", "alive": true}',
            '\x04{"exit": 3, "error": "x"}', "\x01[]", "\x00"]


def all_seeds():
    """{target: inputs}, each text or bytes, a list or a dictionary by name."""
    get = "GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
    return {
        "request": requests(), "http2": http2(), "luks_header": disks(), "probe": disks(),
        "luks_backup": backups(), "rclone": rclone(), "packet": packets(),
        "frame": [b"\x0f" + message(b"a message"), b"\0\1\0\0\0\1a", b"\3\0\xff\xff\xff\xff"], "head": [heads()],
        "record": [RECORD % pair for pair in [("reserved", ""), ("formatting", UUID), ("formatted", UUID),
                                              ("deleting", UUID)]],
        "params": [lines(CLASS), lines(BUCKET), "fsType=xfs\ncsi.storage.k8s.io/fstype=xfs", "luks-cypher=x"],
        "parse": WORDS, "mountinfo": [MOUNTS] + MOUNTS.splitlines(),
        "http": ["\x0c" + get % path for path in ("/healthz", "/readyz?x=1", "/metrics", "/" + "a" * 80)]
                + ["\x02POST / HTTP/1.0\n\n", "\x0c" + "a" * 4200],
        "config": ["\n".join(DRIVER), "x\nnode\n--help", "x\n--log-level"],
        "lcw": ["\n".join(ADMIN), "lcw\nvolume\nlist\n-o", "lcw\nvolume\nexpand\nvol-1\n64Mi",
                "lcw\nnode\ndoctor\n--kubelet-dir\n/a", "lcw\ncompletion\nzsh"],
    }


def main():
    for target, inputs in all_seeds().items():
        folder = os.path.join(sys.argv[1], target)
        os.makedirs(folder, exist_ok=True)
        for seed in inputs.values() if isinstance(inputs, dict) else inputs:
            data = seed.encode() if isinstance(seed, str) else seed
            with open(os.path.join(folder, hashlib.sha256(data).hexdigest()[:16]), "wb") as file:
                file.write(data)


main()
