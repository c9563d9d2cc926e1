"""The s3 part of the measurements: our mount, with its cache on LUKS, against a bare `rclone mount2`
with the flags of ours and an unencrypted cache on the same disk, in turns on one S3 server.

Uploads wait for the end, so that what is measured is what a pod sees.
"""
import ctypes
import os
import shutil
import statistics
import subprocess
import time

import kernel
from driver import Driver, mount_capability, until
from s3 import ACCESS, BUCKET, PASSPHRASE, SECRET, Server, rclone

import csi_pb2 as csi

LARGE, SMALL = 64 << 20, 200  # bytes of the one file, number of files of 4 KiB
MS_NOSUID_NODEV = 2 | 4
CONFIG = """[s3]
type = s3
provider = Other
env_auth = false
access_key_id = {access}
secret_access_key = {secret}
region = us-east-1
endpoint = {endpoint}
force_path_style = true
no_check_bucket = true
directory_markers = true
chunk_size = 8M
upload_concurrency = 2

[c]
type = crypt
remote = s3:{bucket}/bare
filename_encryption = standard
directory_name_encryption = true
password = {password}
password2 = {password}
"""


def process(word, folder):
    """Process id and words of the one with this word that serves this folder."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as text:
                words = text.read().split("\0")[:-1]
        except OSError:
            continue
        if word in words and any(folder in one for one in words):
            return int(pid), words
    raise LookupError(word)


class Bare:
    """The same rclone with the same words, but configuration and cache in plain files."""

    def __init__(self, base, words, server):
        self.path, self.cache = f"{base}/bare", f"{base}/bare-cache"
        os.makedirs(self.path)
        with open(f"{base}/bare.conf", "w", encoding="ascii") as out:
            password = rclone("obscure", PASSPHRASE).decode().strip()
            out.write(CONFIG.format(access=ACCESS, secret=SECRET, endpoint=server.endpoint,
                                    bucket=BUCKET, password=password))
        device = os.open("/dev/fuse", os.O_RDWR)
        options = (f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,"
                   "default_permissions")
        if ctypes.CDLL(None, use_errno=True).mount(b"bare", self.path.encode(), b"fuse.rclone",
                                                   MS_NOSUID_NODEV, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "mount")
        ours = ("--config", "--cache-dir", "--rc", "/dev/fd/")
        words = [one for one in words if not one.startswith(ours)]
        words[3:3] = [f"/dev/fd/{device}", f"--config={base}/bare.conf", f"--cache-dir={self.cache}"]
        with open(f"{base}/bare.log", "wb") as log:
            self.process = subprocess.Popen(words, pass_fds=[device], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={
                                                "HOME": "/nonexistent", "GOMEMLIMIT": "256MiB"})
        os.close(device)
        os.listdir(self.path)  # waits until it serves

    def stop(self):
        kernel.run("umount", self.path)
        self.process.wait(60)


def timed(call):
    kernel.run("sync")
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as out:
        out.write("3")
    start = time.monotonic()
    call()
    return time.monotonic() - start


def write_large(folder):
    with open(f"{folder}/large", "wb") as out:
        piece = os.urandom(1 << 20)
        for _ in range(LARGE >> 20):
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())


def read_large(folder):
    with open(f"{folder}/large", "rb", buffering=0) as content:
        while content.read(1 << 20):
            pass


def write_small(folder):
    os.mkdir(f"{folder}/small")
    for number in range(SMALL):
        with open(f"{folder}/small/{number}", "wb") as out:
            out.write(b"x" * 4096)


def read_small(folder):
    for number in range(SMALL):
        with open(f"{folder}/small/{number}", "rb") as content:
            content.read()


LOADS = {"write of one file": write_large, "read of it, from the cache": read_large,
         f"create {SMALL} files of 4 KiB": write_small, "read them": read_small}


def measure_loads(ours, bare, rounds):
    seconds = {name: [] for name in LOADS}
    for number in range(rounds + 1):
        sides = [ours, bare] if number % 2 else [bare, ours]
        for name, load in LOADS.items():
            spent = {side: timed(lambda load=load, side=side: load(side)) for side in sides}
            if number:  # the first one warms up
                seconds[name].append((spent[ours], spent[bare]))
        for side in sides:
            os.unlink(f"{side}/large")
            shutil.rmtree(f"{side}/small")
    return {name: {"ours_s": statistics.median(a for a, _ in pairs),
                   "bare_s": statistics.median(b for _, b in pairs),
                   "ratio": statistics.median(b / a for a, b in pairs)}
            for name, pairs in seconds.items()}


def measure(base, rounds):
    """All figures; the ratios are speeds, ours / bare."""
    os.makedirs(f"{base}/s3")
    base = f"{base}/s3"
    server = Server(base).start()
    driver = Driver(f"{base}/driver", os.path.join(os.environ["LCW_BUILD"], "lukscryptwalker-csi"),
                    options=[f"--rclone={os.environ['LCW_RCLONE']}"]).start()
    volume = driver.controller.CreateVolume(csi.CreateVolumeRequest(
        name="bench-s3", secrets=server.secrets(), volume_capabilities=[mount_capability()],
        parameters=server.parameters(rclone_vfs_cache_max_size="1G", rclone_vfs_write_back="1h"),
        capacity_range=csi.CapacityRange(required_bytes=1 << 30)), timeout=120).volume
    driver.stage(volume, secrets=server.secrets())
    target = driver.publish(volume)
    child, words = process("mount2", driver.base)
    mounter = process("mounter", driver.base)[0]
    time.sleep(5)
    found = {"pss_rclone_kb": kernel.rollup(child, "Pss"),
             "pss_mounter_kb": kernel.rollup(mounter, "Pss")}
    bare = Bare(base, words, server)
    found["loads"] = measure_loads(target, bare.path, rounds)
    bare.stop()
    driver.unpublish("bench-s3")
    found["unstage_s"] = timed(lambda: driver.unstage("bench-s3"))
    until("the mounter has ended", lambda: not os.path.exists(f"/proc/{mounter}"))
    driver.stop()
    server.stop()
    return found
