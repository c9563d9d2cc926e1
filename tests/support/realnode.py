"""A real node: a VM with kubelet and containerd (tests/e2e/guest) that joins a control plane of cluster.py."""
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

from cluster import REPO, free_ports, tool

LIMIT = 8 * 3600  # of the VM, so that it never outlives a broken run


class RealNode:
    """`folder` keeps its logs; its disk, kubelet's state on it, outlives power_off()."""

    def __init__(self, cluster, name, folder, images, memory=3072):
        self.cluster, self.name, self.memory = cluster, name, memory
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.kubelet_port, self.agent_port = free_ports(2)
        self.vm = None
        self.boot = self.boot_before = ""  # as the cluster knows them
        self.disk = self.folder / "disk"
        with open(self.disk, "wb") as disk:
            disk.truncate(16 << 30)
        self.images = pathlib.Path(images)
        # The images are on it already, where containerd runs out here.
        store = ["-d", str(self.images / "store")] if (self.images / "store").is_dir() else []
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=1", *store, str(self.disk)], check=True, timeout=300)
        cluster.sign(name, f"/O=system:nodes/CN=system:node:{name}")
        made = cluster.write_kubeconfig(f"{name}.kubeconfig", {
            "client-certificate-data": cluster.base64(f"{name}.crt"),
            "client-key-data": cluster.base64(f"{name}.key")}, server=f"https://10.0.2.2:{cluster.port}")
        (self.folder / "kubeconfig").write_bytes(made.read_bytes())
        (self.folder / "kubeconfig").chmod(0o600)

    def power_on(self):
        forwards = ",".join(f"hostfwd=tcp:127.0.0.1:{port}-:{port}" for port in (self.kubelet_port, self.agent_port))
        values = {"NODE": self.name, "API_PORT": self.cluster.port, "KUBELET_PORT": self.kubelet_port,
                  "AGENT_PORT": self.agent_port, "KUBELET": tool("kubelet"), "IMAGES": self.images}
        words = [str(REPO / "scripts/vm"), "-m", str(self.memory), "-c", os.environ.get("LCW_E2E_CPUS", "2"), "-t", str(LIMIT),
                 "-d", str(self.disk), "-n", forwards]
        for key, value in values.items():
            words += ["-e", f"{key}={value}"]
        self.boot_before = self.boot
        with open(self.folder / "vm.log", "ab") as log:
            self.vm = subprocess.Popen([*words, str(REPO / "tests/e2e/guest"), str(self.folder)], stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, cwd=REPO)
        return self

    def power_off(self):
        """As if somebody pulled the plug: QEMU ends at once, nothing is flushed."""
        if self.vm:
            self.vm.send_signal(signal.SIGTERM)
            self.vm.wait(60)
            self.vm = None

    def shut_down(self, seconds=300):
        """In order, as by `systemctl poweroff`: tests/e2e/shutdown says what that is, and must succeed."""
        self.shell("kill $(cat /run/guest.pid)")
        status = self.vm.wait(seconds)
        self.vm = None
        assert status == 0, f"the node did not end in order; see {self.folder}/vm.log"

    def on_node(self, *words, seconds=60, check=True):
        """Runs it on the node as root; returns what it said."""
        with socket.create_connection(("127.0.0.1", self.agent_port), timeout=seconds + 30) as call:
            call.sendall(json.dumps({"words": words, "seconds": seconds}).encode() + b"\n")
            with call.makefile() as answer:
                said = json.loads(answer.readline())
        assert not check or said["status"] == 0, said["output"]
        return said["output"]

    def shell(self, text, **options):
        return self.on_node("bash", "-c", text, **options)

    def ready(self):
        """Since it was powered on: for a while the cluster takes a node that is off for ready."""
        said = self.cluster.kubectl("get", "node", self.name, "-o", "jsonpath={.status.nodeInfo.bootID} "
                                    '{.status.conditions[?(@.type=="Ready")].status}', check=False)
        boot, _, status = said.partition(" ")
        if status == "True" and boot != self.boot_before:
            self.boot = boot
            return True
        return False

    def wait_ready(self, seconds=600):
        end = time.monotonic() + seconds
        while not self.ready():
            assert self.vm.poll() is None, f"the node's VM ended; see {self.folder}/vm.log"
            assert time.monotonic() < end, f"{self.name} is not Ready after {seconds} s; see {self.folder}"
            time.sleep(1)
        return self
