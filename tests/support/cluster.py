"""A Kubernetes control plane of real programs on the loopback: etcd, kube-apiserver and, where it
is wanted, kube-controller-manager. Up in a few seconds; every port is a free one, so that several
can run at once.
"""
import base64
import json
import os
import pathlib
import secrets
import socket
import subprocess
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
ADDRESSES = ("DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,"
             "IP:127.0.0.1,IP:::1,IP:10.0.2.2,IP:10.96.0.1")


def tool(name):
    done = subprocess.run([REPO / "scripts/tools", name], check=True, stdout=subprocess.PIPE, text=True,
                          timeout=3600)
    return done.stdout.strip()


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def openssl(*words, folder, given=None):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60,
                   input=given)


class Cluster:
    """`folder` must be short-lived and private: it holds keys and tokens."""

    def __init__(self, folder, nodes=()):
        self.folder = pathlib.Path(folder)
        self.nodes = nodes  # names of real ones, whose kubelet is reached on the loopback
        self.processes = {}
        self.etcd_port, self.peer_port, self.port = free_ports(3)
        self.server = f"https://127.0.0.1:{self.port}"
        self.tokens = {who: secrets.token_hex(16) for who in ("admin", "controllers", "scheduler")}
        self._make_keys()
        self.kubeconfig = self.write_kubeconfig("kubeconfig", {"token": self.tokens["admin"]})

    def _make_keys(self):
        at = self.folder
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        openssl("req", "-x509", *new, "-days", "2", "-subj", "/CN=test-ca", "-keyout", "ca.key",
                "-out", "ca.crt", folder=at)
        openssl("genrsa", "-out", "sa.key", "2048", folder=at)
        openssl("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub", folder=at)
        self.sign("api", "/CN=kube-apiserver", f"subjectAltName={ADDRESSES}")
        (at / "tokens.csv").write_text(
            f"{self.tokens['admin']},admin,admin,system:masters\n"
            f"{self.tokens['controllers']},system:kube-controller-manager,controllers\n"
            f"{self.tokens['scheduler']},system:kube-scheduler,scheduler\n")

    def sign(self, name, subject, extension=""):
        """Makes NAME.key and NAME.crt, signed by the cluster's authority."""
        at = self.folder
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                subject, "-keyout", f"{name}.key", "-out", f"{name}.csr", folder=at)
        extra = at / f"{name}.ext"
        extra.write_text(extension + "\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
                "-CAcreateserial", "-days", "2", "-extfile", str(extra), "-out", f"{name}.crt", folder=at)

    def write_kubeconfig(self, name, user, server=None, **cluster):
        """A kubeconfig as people write it: YAML. `user` and `cluster` are its parts."""
        entry = {"server": server or self.server, "certificate-authority-data": self.base64("ca.crt"), **cluster}
        path = self.folder / name
        path.write_text(
            "# made by a test\napiVersion: v1\nkind: Config\ncurrent-context: x\nclusters:\n- name: c\n"
            f"  cluster: {json.dumps({k: v for k, v in entry.items() if v is not None})}\n"
            f"users:\n- name: 'u'\n  user: {json.dumps(user)}\n"
            "contexts:\n- name: other\n  context: {cluster: d, user: v}\n"
            "- name: x\n  context:\n    cluster: c\n    user: u\n")
        return path

    def base64(self, name):
        return base64.b64encode((self.folder / name).read_bytes()).decode()

    def _run(self, name, *words):
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen([*self._knowing_nodes(), tool(name), *words], cwd=self.folder,
                                                    stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _knowing_nodes(self):
        """A prefix of a command that sees an /etc/hosts with the nodes' names."""
        if not self.nodes:
            return []
        hosts = self.folder / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {name}\n" for name in self.nodes))
        return ["unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]

    def start_etcd(self):
        self._run("etcd", "--data-dir", str(self.folder / "etcd"), "--unsafe-no-fsync",
                  "--listen-client-urls", f"http://127.0.0.1:{self.etcd_port}",
                  "--advertise-client-urls", f"http://127.0.0.1:{self.etcd_port}",
                  "--listen-peer-urls", f"http://127.0.0.1:{self.peer_port}",
                  "--initial-advertise-peer-urls", f"http://127.0.0.1:{self.peer_port}",
                  "--initial-cluster", f"default=http://127.0.0.1:{self.peer_port}")

    def start_api(self, *options):
        self._run("kube-apiserver", "--etcd-servers", f"http://127.0.0.1:{self.etcd_port}",
                  "--bind-address", "127.0.0.1", "--advertise-address", "10.0.2.2",
                  "--secure-port", str(self.port), "--tls-cert-file", "api.crt",
                  "--tls-private-key-file", "api.key", "--client-ca-file", "ca.crt",
                  "--service-account-issuer", "https://kubernetes.default.svc",
                  "--service-account-key-file", "sa.pub", "--service-account-signing-key-file", "sa.key",
                  "--token-auth-file", "tokens.csv", "--authorization-mode", "Node,RBAC",
                  "--service-cluster-ip-range", "10.96.0.0/16", "--allow-privileged",
                  "--endpoint-reconciler-type", "none",
                  "--kubelet-preferred-address-types", "Hostname,InternalIP", *options)
        self.until("the API server is ready", lambda: self.kubectl("get", "--raw", "/readyz", check=False) == "ok")

    def start_controllers(self):
        config = self.write_kubeconfig("controllers.kubeconfig", {"token": self.tokens["controllers"]})
        self._run("kube-controller-manager", "--kubeconfig", str(config), "--root-ca-file", "ca.crt",
                  "--service-account-private-key-file", "sa.key", "--use-service-account-credentials",
                  "--bind-address", "127.0.0.1", "--secure-port", str(free_ports(1)[0]),
                  "--leader-elect=false")

    def start_scheduler(self):
        config = self.write_kubeconfig("scheduler.kubeconfig", {"token": self.tokens["scheduler"]})
        self._run("kube-scheduler", "--kubeconfig", str(config), "--bind-address", "127.0.0.1",
                  "--secure-port", str(free_ports(1)[0]), "--leader-elect=false")

    def start(self):
        self.start_etcd()
        self.start_api()
        return self

    def until(self, what, condition, seconds=120):
        end = time.monotonic() + seconds
        while not condition():
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} ended; see {self.folder}/{name}.log"
            assert time.monotonic() < end, f"not within {seconds} s: {what}"
            time.sleep(0.2)

    def kubectl(self, *words, given=None, check=True):
        done = subprocess.run([tool("kubectl"), f"--kubeconfig={self.kubeconfig}",
                               f"--cache-dir={self.folder}/cache", *words], input=given, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout if check or done.returncode == 0 else done.stderr

    def apply(self, text):
        return self.kubectl("apply", "-f", "-", given=text)

    def get(self, *words):
        return json.loads(self.kubectl("get", "-o", "json", *words))

    def stop_one(self, name):
        process = self.processes.pop(name, None)
        if process:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def stop(self):
        for name in ("kube-scheduler", "kube-controller-manager", "kube-apiserver", "etcd"):
            self.stop_one(name)
