"""What an administrator types: kubectl and helm on a cluster of cluster.py, and the text of the specification."""
import json
import os
import pathlib
import re
import shlex
import subprocess
import textwrap
import time

import yaml
from cluster import REPO, tool

SPECIFICATION = (REPO / "tests/chart/specification.md").read_text(encoding="utf-8")


def section(title, language="yaml"):
    """The examples below a heading of the specification, as they stand there."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#+ |\Z)", without_comments(SPECIFICATION), re.M | re.S)
    assert found, f"no heading '{title}' in the specification"
    return [textwrap.dedent(block) for block in re.findall(rf"^ *```{language}\n(.*?)^ *```", found[2], re.S | re.M)]


def without_comments(text):
    """A # at the start of a line in an example is not a heading."""
    return re.sub(r"^( *)```(\w+)\n(.*?)^ *```",
                  lambda block: f"{block[1]}```{block[2]}\n" + re.sub("^#", " #", block[3], flags=re.M) + f"{block[1]}```",
                  text, flags=re.M | re.S)


class Terminal:
    def __init__(self, cluster, home):
        self.cluster, self.home = cluster, pathlib.Path(home)
        programs = [str(pathlib.Path(tool(name)).parent) for name in ("kubectl", "helm", "rclone")]
        self.environment = {**os.environ, "HOME": str(home), "KUBECONFIG": str(cluster.kubeconfig),
                            "PATH": ":".join([*programs, os.environ["PATH"]])}

    def run(self, text, check=True, seconds=180):
        """Runs lines of bash; returns what they said."""
        done = subprocess.run(["bash", "-ec", text], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=seconds, env=self.environment, cwd=self.home, check=False)
        assert not check or done.returncode == 0, f"{text}\n{done.stdout}"
        return done.stdout

    def apply(self, *objects):
        """Text of YAML, or objects."""
        for one in objects:
            self.cluster.apply(one if isinstance(one, str) else json.dumps(one))

    def until(self, what, condition, seconds=120):
        end = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < end, f"not within {seconds} s: {what}\n{self.look()}"
            time.sleep(0.5)
        return found

    def look(self):
        """Pods, claims and the last events, for a failure's message."""
        return self.run("kubectl get pods,pvc,pv -A -o wide; kubectl get events -A --sort-by=.lastTimestamp | tail -n 25", check=False)

    def pod_ready(self, name, seconds=120, namespace="default"):
        said = self.run(f"kubectl -n {namespace} wait --for=condition=Ready --timeout={seconds}s pod/{name}", check=False,
                        seconds=seconds + 30)
        assert "condition met" in said, f"{said}\n{self.look()}"

    def execute(self, pod, text, check=True, seconds=120):
        """A line of sh in the pod."""
        return self.run(f"kubectl exec {pod} -- sh -c {shlex.quote(text)}", check=check, seconds=seconds)

    def delete(self, *words, seconds=120):
        return self.run(f"kubectl delete --timeout={seconds}s {' '.join(words)}", seconds=seconds + 30)

    def get(self, *words):
        return self.cluster.get(*words)

    def volume_of(self, claim, namespace="default"):
        """Name of the claim's PV."""
        return self.get("-n", namespace, "pvc", claim)["spec"]["volumeName"]

    def event(self, name, words, seconds=240):
        """What `kubectl describe` shows of the object of that name, as soon as it says the words."""
        def look():
            return [said for said in self.events(name) if words in said]
        return self.until(f"an event of {name} says '{words}'", look, seconds)[0]

    def events(self, name, namespace="default"):
        found = self.get("-n", namespace, "events", "--field-selector", f"involvedObject.name={name}")["items"]
        return [f"{one['reason']}: {one['message']}" for one in found]

    def wait_gone(self, kind, name, seconds=120):
        self.until(f"{kind} {name} is gone", lambda: "NotFound" in self.run(f"kubectl get {kind} {name}", check=False), seconds)


def objects(text):
    return [one for one in yaml.safe_load_all(text) if one]


def pod_of(text):
    """A pod of the specification, that never asks a registry."""
    one, = objects(text)
    for container in one["spec"]["containers"]:
        container["imagePullPolicy"] = "IfNotPresent"
    # These end on SIGTERM or not at all: nobody needs 30 seconds.
    one["spec"]["terminationGracePeriodSeconds"] = 3
    return one


def claim(name, storage_class, size="256Mi", mode="ReadWriteOnce", **spec):
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {
        "accessModes": [mode], "storageClassName": storage_class, "resources": {"requests": {"storage": size}}, **spec}}


def pod(name, volume_claim, command="sleep 100000", image="busybox:latest", path="/data", **spec):
    """One container with one volume."""
    container = {"name": "app", "image": image, "imagePullPolicy": "IfNotPresent", "volumeMounts": [{"name": "v", "mountPath": path}]}
    if command:
        container["command"] = ["sh", "-c", command]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": {
        "terminationGracePeriodSeconds": 3, "containers": [container],
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": volume_claim}}], **spec}}


def pod_on(node, name, volume_claim, **spec):
    return pod(name, volume_claim, nodeSelector={"kubernetes.io/hostname": node}, **spec)
