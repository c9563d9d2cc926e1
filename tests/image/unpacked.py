"""An image as a folder, and its programs as they run in it: with its files alone, read-only."""
import functools
import json
import os
import platform
import subprocess
import tarfile

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# A mount namespace of its own ends with the program. Another processor's programs are read by an emulator that must lie
# in the image's file system, as its /run.
ENTER = """set -e
root=$1 share=$2 emulator=$3
shift 3
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777 image "$root/run"
mount -t tmpfs -o mode=1777 image "$root/tmp"
mount --bind "$share" "$root/csi"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
if [ -n "$emulator" ]; then cp "$emulator" "$root/run/emulator"; fi
exec setpriv --no-new-privs chroot "$@"
"""


class Image:
    def __init__(self, arch, archive, folder):
        self.arch, self.archive, self.folder = arch, archive, folder
        self.machine = MACHINES[arch]
        self.root = f"{folder}/root"
        with tarfile.open(archive) as tar:
            read = lambda name: tar.extractfile(name).read()  # noqa: E731
            self.manifest = json.loads(read("manifest.json"))[0]
            self.config = json.loads(read(self.manifest["Config"]))
            tar.extractall(folder, [tar.getmember(name) for name in self.manifest["Layers"]])
        os.mkdir(self.root)
        for layer in self.layers():
            subprocess.run(["tar", "-xpf", layer, "-C", self.root], check=True)

    def layers(self):
        return [f"{self.folder}/{name}" for name in self.manifest["Layers"]]

    def members(self):
        """What the layers hold, by its place."""
        found = {}
        for layer in self.layers():
            with tarfile.open(layer) as tar:
                found.update({member.name.strip("./"): member for member in tar})
        return found

    @functools.cached_property
    def files(self):
        return {name: member for name, member in self.members().items() if member.isfile()}

    def path(self, place):
        return f"{self.root}/{place}"

    def read(self, place):
        with open(self.path(place), "rb") as content:
            return content.read()

    @functools.cached_property
    def programs(self):
        """The places of all that the loader reads: programs and libraries."""
        return sorted(place for place in self.files if self.read(place)[:4] == b"\x7fELF")

    def command(self, *words, share, user=0):
        emulator = "" if platform.machine() == self.machine else f"/usr/bin/qemu-{self.machine}-static"
        return ["unshare", "--mount", "--propagation=private", "bash", "-c", ENTER, "enter", self.root, str(share), emulator,
                f"--userspec={user}:{user}", "--groups=", self.root, *(["/run/emulator"] if emulator else []), *words]

    def run(self, *words, share=None, user=0, status=0, **more):
        """What it said; the share is its folder /csi. status None: any."""
        os.makedirs(f"{self.folder}/share", exist_ok=True)
        done = subprocess.run(self.command(*words, share=share or f"{self.folder}/share", user=user), capture_output=True,
                              text=True, timeout=100, check=False, env=dict(pair.split("=", 1) for pair in self.env()), **more)
        assert status in (done.returncode, None), f"{words}: {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def env(self):
        return self.config["config"]["Env"]
