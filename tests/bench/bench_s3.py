"""The s3 part of the measurements: our mount, with its cache on LUKS, against a bare `rclone mount2`
with the flags of ours and an unencrypted cache on the same disk, in turns on one S3 server. A second
bare one has its cache in the file system of ours: what lies between it and the first is the price of
the cache's encryption, and what lies between it and our mount is the driver's own.

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
remote = s3:{bucket}/{folder}
filename_encryption = standard
directory_name_encryption = true
password = {password}
password2 = {password}
"""


def process(word, folder):
    """Process id and words of the one with this word that serves this folder."""
    pid, = kernel.serving(word, folder)
    with open(f"/proc/{pid}/cmdline", encoding="utf-8") as text:
        return pid, text.read().split("\0")[:-1]


class Bare:
    """The same rclone with the same words, but configuration and cache in plain files."""

    def __init__(self, base, name, words, server, cache):
        self.path, self.cache = f"{base}/{name}", cache
        os.makedirs(self.path)
        with open(f"{base}/{name}.conf", "w", encoding="ascii") as out:
            password = rclone("obscure", PASSPHRASE).decode().strip()
            out.write(CONFIG.format(access=ACCESS, secret=SECRET, endpoint=server.endpoint,
                                    bucket=BUCKET, folder=name, password=password))
        device = os.open("/dev/fuse", os.O_RDWR)
        options = (f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,"
                   "default_permissions")
        if ctypes.CDLL(None, use_errno=True).mount(name.encode(), self.path.encode(), b"fuse.rclone",
                                                   MS_NOSUID_NODEV, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "mount")
        ours = ("--config", "--cache-dir", "--rc", "/dev/fd/")
        words = [one for one in words if not one.startswith(ours)]
        words[3:3] = [f"/dev/fd/{device}", f"--config={base}/{name}.conf", f"--cache-dir={cache}"]
        with open(f"{base}/{name}.log", "wb") as log:
            self.process = subprocess.Popen(words, pass_fds=[device], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={
                                                "HOME": "/nonexistent", "GOMEMLIMIT": "256MiB"})
        os.close(device)
        os.listdir(self.path)  # waits until it serves

    def stop(self):
        kernel.run("umount", self.path)
        self.process.wait(60)
        shutil.rmtree(self.cache)


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


def measure_loads(sides, rounds):
    """`sides`: {name: folder}, ours first. Each ratio is of speeds, from one round's neighbours."""
    seconds = {name: [] for name in LOADS}
    for number in range(rounds + 1):
        order = list(sides)[number % len(sides):] + list(sides)[:number % len(sides)]
        for name, load in LOADS.items():
            spent = {side: timed(lambda load=load, side=side: load(sides[side])) for side in order}
            if number:  # the first one warms up
                seconds[name].append(spent)
        for folder in sides.values():
            os.unlink(f"{folder}/large")
            shutil.rmtree(f"{folder}/small")

    def ratio(rounds_of_one, one, other):
        return statistics.median(spent[other] / spent[one] for spent in rounds_of_one)

    return {name: {**{f"{side}_s": statistics.median(spent[side] for spent in found)
                      for side in sides},
                   "ratio": ratio(found, "ours", "bare"),
                   "ratio_same_cache": ratio(found, "ours", "bare_on_luks"),
                   "ratio_of_encryption": ratio(found, "bare_on_luks", "bare")}
            for name, found in seconds.items()}


def measure(base, rounds):
    """All figures; `ratio` is ours / bare, `ratio_same_cache` ours / bare on the same LUKS."""
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
    bares = {"bare": Bare(base, "bare", words, server, f"{base}/bare-cache"),
             "bare_on_luks": Bare(base, "bare-on-luks", words, server,
                                  f"{driver.base}/run/cache/bench-s3/bare-cache")}
    found["loads"] = measure_loads(
        {"ours": target, **{name: bare.path for name, bare in bares.items()}}, rounds)
    for bare in bares.values():
        bare.stop()
    driver.unpublish("bench-s3")
    found["unstage_s"] = timed(lambda: driver.unstage("bench-s3"))
    until("the mounter has ended", lambda: not os.path.exists(f"/proc/{mounter}"))
    driver.stop()
    server.stop()
    return found
