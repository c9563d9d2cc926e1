"""Fixtures of the chart's tests: helm as a function, what it renders as objects, one control plane."""
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap

import pytest
import yaml

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests/support"))
from cluster import Cluster, tool  # noqa: E402

CHART = REPO / "charts/lukscryptwalker-csi"
NAMESPACE = "kube-system"
SPECIFICATION = REPO / "tests/chart/specification.md"


def run(*words, given=None, env=None):
    return subprocess.run([str(word) for word in words], input=given, text=True, capture_output=True,
                          timeout=180, env={**os.environ, **(env or {})})


class Helm:
    """`helm` with a home of its own; objects are Python objects."""

    def __init__(self, home, kubeconfig=None):
        self.program, self.home = tool("helm"), home
        self.options = [f"--kubeconfig={kubeconfig}"] if kubeconfig else []

    def run(self, *words, given=None, check=True):
        done = run(self.program, *self.options, *words, given=given, env={
            "HELM_CACHE_HOME": f"{self.home}/cache", "HELM_CONFIG_HOME": f"{self.home}/config",
            "HELM_DATA_HOME": f"{self.home}/data", "KUBECONFIG": "/dev/null"})
        assert not check or done.returncode == 0, done.stderr
        return done.stdout if check else done

    def render_text(self, values=None, *words):
        return self.run("template", "test", CHART, "--namespace", "kube-system", "-f", "-", *words, given=json.dumps(values or {}))

    def render(self, values=None, *words):
        return [one for one in yaml.safe_load_all(self.render_text(values, *words)) if one]

    def refusal(self, values):
        """The sentence with which these values are refused."""
        done = self.run("template", "test", CHART, "-f", "-", given=json.dumps(values), check=False)
        assert done.returncode != 0, "the chart took them"
        return done.stderr


def pick(objects, kind, name=None):
    found = [one for one in objects if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} {kind} {name or ''}"
    return found[0]


def every(objects, kind):
    return [one for one in objects if one["kind"] == kind]


def containers(objects):
    """(pod template's name, container) of everything that runs."""
    for one in objects:
        if one["kind"] in ("Deployment", "DaemonSet"):
            for container in one["spec"]["template"]["spec"]["containers"]:
                yield one["metadata"]["name"], container


def dump(objects):
    """Not as YAML: Python and Go disagree about what `y` is."""
    return "\n---\n".join(json.dumps(one) for one in objects)


def specification_blocks(language="yaml"):
    """The examples of the specification, as they stand there."""
    text = SPECIFICATION.read_text(encoding="utf-8")
    return [textwrap.dedent(block) for block in
            re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.S | re.M)]


@pytest.fixture
def folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="lcw-chart-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def helm():
    home = tempfile.mkdtemp(prefix="lcw-helm-")
    yield Helm(home)
    shutil.rmtree(home)


@pytest.fixture(scope="session")
def cluster():
    path = tempfile.mkdtemp(prefix="lcw-cluster-")
    one = Cluster(path)
    try:
        one.start()
        one.start_controllers()
        # What a cluster makes itself, a moment after its start.
        for namespace in ("default", "kube-system"):
            one.until("there are service accounts", lambda n=namespace: one.kubectl(
                "-n", n, "get", "serviceaccount", "default", "-o", "name", check=False) == "serviceaccount/default\n")
        yield one
    finally:
        one.stop()
        if "STAGE_LOGS" in os.environ:
            for log in pathlib.Path(path).glob("*.log"):
                shutil.copy(log, os.environ["STAGE_LOGS"])
        shutil.rmtree(path)


@pytest.fixture
def admin(cluster, folder):
    """helm on the cluster."""
    return Helm(folder, cluster.kubeconfig)


@pytest.fixture
def kinds(cluster):
    """LUKSVolume and LUKSNode as the API server knows them."""
    cluster.kubectl("apply", "-f", str(CHART / "crds"))
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/luksvolumes.lukscryptwalker.csi.k8s.io",
                    "crd/luksnodes.lukscryptwalker.csi.k8s.io")


@pytest.fixture
def release(admin, cluster):
    """helm install NAME; everything of it is gone afterwards."""
    names = []

    def install(name, values=None, *words, verb="install"):
        names.append(name)
        return admin.run(verb, name, CHART, "--namespace", NAMESPACE, "-f", "-", *words,
                         given=json.dumps(values or {}))

    yield install
    for name in set(names):
        admin.run("uninstall", name, "--namespace", NAMESPACE, "--ignore-not-found")
    cluster.kubectl("-n", NAMESPACE, "delete", "secret", "luks-secret", "--ignore-not-found")


def passphrase(cluster, name="luks-secret", key="passphrase"):
    return base64.b64decode(cluster.get("-n", NAMESPACE, "secret", name)["data"][key]).decode()
