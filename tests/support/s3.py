"""A real S3 server (versitygw) and the plain rclone CLI, for tests, demo and conformance."""
import glob
import json
import os
import signal
import socket
import subprocess
import time

ACCESS, SECRET = "AKIALCWTESTMARKER", "s3-secret-key-marker"
PASSPHRASE = "correct horse"
BUCKET = "volumes-of-a-test"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One S3 server on the loopback; its buckets are folders of `base`/buckets."""

    lists_uploads = True  # unfinished ones, of a folder

    def __init__(self, base, port=None):
        self.base, self.port, self.process = str(base), port or free_port(), None
        self.secret = SECRET  # another one from the next start() on is a rotated key
        self.buckets = f"{self.base}/buckets"
        os.makedirs(self.buckets, exist_ok=True)

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def command(self):
        """Words and environment of the server."""
        return [os.environ["LCW_VERSITYGW"], "--port", f"127.0.0.1:{self.port}", "--region",
                "us-east-1", "posix", self.buckets], {
                    "ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": self.secret}

    def start(self):
        words, environment = self.command()
        with open(f"{self.base}/server.log", "ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={"HOME": self.base, **environment})
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.1)
        if not os.path.exists(f"{self.buckets}/{BUCKET}"):
            self.raw("mkdir", BUCKET)
        return self

    def remote(self, path):
        """For the plain CLI on the ciphertext."""
        return (f":s3,provider=Other,access_key_id={ACCESS},secret_access_key={self.secret},"
                f"region=us-east-1,endpoint='{self.endpoint}':{path}")

    def raw(self, word, path, **options):
        return rclone(word, self.remote(path), **options)

    def uploads(self, prefix):
        """Keys of the unfinished uploads whose name begins so."""
        answer = json.loads(rclone("backend", "list-multipart-uploads", self.remote(f"{BUCKET}/{prefix}")))
        return sorted(upload["Key"] for upload in answer[BUCKET])

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(30)
            self.process = None

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def objects(self, prefix=""):
        """Keys of the objects as the server has them on disk, without its own files."""
        top, found = f"{self.buckets}/{BUCKET}", []
        for folder, _, files in os.walk(top):
            found += [os.path.relpath(f"{folder}/{name}", top) for name in files]
        return sorted(key for key in found if key.startswith(prefix) and not key.startswith(".sgwtmp"))

    def holds(self, words):
        """Whether any object's content or name has these bytes in it."""
        for key in self.objects():
            with open(f"{self.buckets}/{BUCKET}/{key}", "rb") as content:
                if words.encode() in content.read() or words in key:
                    return True
        return False

    def secrets(self, **other):
        return {"s3-access-key-id": ACCESS, "s3-secret-access-key": self.secret,
                "passphrase": PASSPHRASE, **other}

    def parameters(self, **other):
        """A StorageClass for this server; None removes a key."""
        merged = {"storage-backend": "s3", "s3-bucket": BUCKET, "s3-region": "us-east-1",
                  "s3-endpoint": self.endpoint, "s3-force-path-style": "true",
                  "rclone-vfs-cache-max-size": "64M", "rclone-vfs-write-back": "1s",
                  "luks-pbkdf": "pbkdf2", "luks-pbkdf-iterations": "1000"}
        merged.update({key.replace("_", "-"): value for key, value in other.items()})
        return {key: value for key, value in merged.items() if value is not None}


class Minio(Server):
    """Another implementation: an object is a folder with a file xl.meta."""

    lists_uploads = False  # of a whole key only; after a day it removes them by itself

    def command(self):
        return [os.environ["LCW_MINIO"], "server", "--quiet", "--address", f"127.0.0.1:{self.port}",
                self.buckets], {"MINIO_ROOT_USER": ACCESS, "MINIO_ROOT_PASSWORD": self.secret,
                                "MINIO_SITE_REGION": "us-east-1", "MINIO_BROWSER": "off"}

    def start(self):
        super().start()
        # It listens before it can list: ask until it does.
        end = time.monotonic() + 60
        while time.monotonic() < end and BUCKET not in self.raw("lsf", "", check=False).decode():
            self.raw("mkdir", BUCKET, check=False)
            time.sleep(0.2)
        return self

    def objects(self, prefix=""):
        top, found = f"{self.buckets}/{BUCKET}", []
        for folder, _, files in os.walk(top):
            if "xl.meta" in files:
                found.append(os.path.relpath(folder, top).replace("__XLDIR__", "/"))
        return sorted(key for key in found if key.startswith(prefix))

    def holds(self, words):
        for folder, _, files in os.walk(f"{self.buckets}/{BUCKET}"):
            for name in files:
                with open(f"{folder}/{name}", "rb") as content:
                    if words.encode() in content.read() or words in folder:
                        return True
        return False


def new_server(base):
    """The implementation that $LCW_S3_SERVER names: versitygw (default) or minio."""
    return {"versitygw": Server, "minio": Minio}[os.environ.get("LCW_S3_SERVER") or "versitygw"](base)


def rclone(*words, stdin=None, check=True):
    """The plain CLI, in a clean environment, without any configuration file."""
    done = subprocess.run([os.environ["LCW_RCLONE"], "--config", "", "--retries", "1",
                           "--low-level-retries", "2", *words], input=stdin, capture_output=True,
                          timeout=120, check=False, env={"HOME": "/nonexistent"})
    assert not check or done.returncode == 0, done.stderr.decode()
    return done.stdout


RC_CALLS = ("config/dump", "config/get", "config/listremotes", "options/get", "core/command", "core/stats",
            "core/version", "vfs/list", "vfs/stats", "vfs/queue", "rc/list", "job/list")


def ask_rc(socket_path, call):
    """What rclone's remote control answers to anybody who can reach it, with its status line."""
    with socket.socket(socket.AF_UNIX) as rc:
        rc.settimeout(20)
        rc.connect(socket_path)
        body = b'{"name": "c"}'
        rc.sendall(b"POST /%s HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                   % (call.encode(), len(body), body))
        answer = b""
        while piece := rc.recv(65536):
            answer += piece
        return answer


def config_of(pid):
    """The configuration that an rclone was started with, which only root can look at."""
    path = f"/proc/{pid}/fd/4"
    assert os.readlink(path).startswith("/memfd:"), os.readlink(path)
    with open(path, encoding="ascii") as text:
        return dict(line.rstrip("\n").split(" = ", 1) for line in text if " = " in line)


def leaks(driver, server, pids, salt):
    """Where a secret of a staged volume can be seen: of processes the words, the environment and
    what rclone's rc says, and every file below the driver's folder but the volumes themselves."""
    rclone_pid = pids[-1]
    config = config_of(rclone_pid)
    hidden = [*server.secrets().values(), f"{PASSPHRASE}-{salt}", config["password"],
              config["password2"]]
    assert config["secret_access_key"] in hidden  # we look at the right one
    places = {}
    for pid in pids:
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as text:
                places[f"{name} of {pid}"] = text.read()
    rc_socket, = glob.glob(f"{driver.base}/run/mounter/*/rc.sock")
    places.update({f"rc {call}": ask_rc(rc_socket, call) for call in RC_CALLS})
    assert b" 200 " in places["rc vfs/stats"] and b" 200 " not in places["rc config/dump"]
    for folder, folders, files in os.walk(driver.base):
        folders[:] = [one for one in folders if not os.path.ismount(f"{folder}/{one}")
                      or one == "pvc-1" and folder.endswith("run/cache")]
        for path in (f"{folder}/{name}" for name in files):
            if os.path.isfile(path) and not path.endswith(".img"):
                with open(path, "rb") as content:
                    places[path] = content.read()
    assert any("driver.log" in place for place in places)
    return [place for place, content in places.items()
            if any(word.encode() in content for word in hidden)]


class Cli:
    """External access, as the specification writes it: a crypt remote made of flags only."""

    def __init__(self, server, prefix, salt, passphrase=PASSPHRASE):
        self.config = f"{server.base}/external-{salt.replace('/', '_')}.conf"
        # The commands of the specification. The endpoint is quoted: without quotes rclone takes the
        # colon of the URL for the end of the remote, here as there.
        remote = (f":s3,provider=Other,access_key_id={ACCESS},secret_access_key={server.secret},"
                  f"region=us-east-1,endpoint='{server.endpoint}':{BUCKET}/{prefix}")
        first = rclone("obscure", passphrase).decode().strip()
        second = rclone("obscure", f"{passphrase}-{salt}").decode().strip()
        self.run("config", "create", "myremote", "crypt", f"remote={remote}", f"password={first}",
                 f"password2={second}", "filename_encryption=standard",
                 "directory_name_encryption=true")

    def run(self, *words, stdin=None, check=True):
        done = subprocess.run([os.environ["LCW_RCLONE"], "--config", self.config, *words],
                              input=stdin, capture_output=True, timeout=120, check=False,
                              env={"HOME": "/nonexistent"})
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def names(self):
        return sorted(self.run("lsf", "-R", "--files-only", "myremote:").split("\n")[:-1])

    def read(self, path):
        return self.run("cat", f"myremote:{path}")

    def write(self, path, text):
        self.run("rcat", f"myremote:{path}", stdin=text.encode())
