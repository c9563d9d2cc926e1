"""A bare `rclone mount2` with the flags of a mount of the driver, and a cache in the clear: what the
driver is measured against."""
import ctypes
import os
import subprocess
import time

import kernel
from driver import until
from s3 import ACCESS, BUCKET, PASSPHRASE, SECRET, rclone

LIBC = ctypes.CDLL(None, use_errno=True)
DATA = "fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
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
remote = s3:{bucket}/{prefix}
filename_encryption = standard
directory_name_encryption = true
password = {first}
password2 = {second}
"""


def flags_of(pid):
    """The flags of the driver's rclone that say how it works, not where its files are."""
    with open(f"/proc/{pid}/cmdline", "rb") as text:
        words = text.read().decode().split("\0")[:-1]
    places = ("--config=", "--rc", "--cache-dir=")
    return [word for word in words[4:] if not word.startswith(places)]


def rss_kb(pid):
    return int(kernel.status(pid, "VmRSS").split()[0])


class BareMount:
    def __init__(self, server, base, prefix, flags):
        self.server, self.base, self.flags, self.process = server, str(base), flags, None
        self.path, self.cache = f"{self.base}/mount", f"{self.base}/cache"
        os.makedirs(self.path)
        self.rc = f"{self.base}/rc.sock"
        self.config = f"{self.base}/rclone.conf"
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(CONFIG.format(
                access=ACCESS, secret=SECRET, endpoint=server.endpoint, bucket=BUCKET, prefix=prefix,
                first=rclone("obscure", PASSPHRASE).decode().strip(),
                second=rclone("obscure", f"{PASSPHRASE}-bare").decode().strip()))

    def start(self):
        fuse = os.open("/dev/fuse", os.O_RDWR)
        if LIBC.mount(b"bare", self.path.encode(), b"fuse.rclone", 6, DATA.format(fuse).encode()) < 0:
            raise OSError(ctypes.get_errno(), "mount")
        with open(f"{self.base}/rclone.log", "ab") as log:
            self.process = subprocess.Popen(
                [os.environ["LCW_RCLONE"], "mount2", "c:", f"/dev/fd/{fuse}", f"--config={self.config}",
                 f"--cache-dir={self.cache}", "--rc", f"--rc-addr=unix://{self.rc}", *self.flags],
                pass_fds=[fuse], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"HOME": "/nonexistent", "PATH": "/usr/bin:/bin", "GOMEMLIMIT": "256MiB"})
        os.close(fuse)
        until("the bare rclone serves", lambda: os.path.exists(self.rc))
        os.listdir(self.path)
        return self

    def stop(self):
        end = time.monotonic() + 30
        while subprocess.run(["umount", self.path], check=False, capture_output=True).returncode:
            assert time.monotonic() < end, "the bare mount is in use"
            time.sleep(0.2)
        self.process.wait(60)
