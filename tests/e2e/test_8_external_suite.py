"""Scenario 8: Kubernetes' own tests of external storage, of the version of the control plane, on both backends. What
applies to a backend is listed in external-BACKEND.specs: a spec that no longer runs fails the test like one that fails."""
import os
import pathlib
import re

import pytest
from s3 import ACCESS, BUCKET
from suite import Suite

HERE = pathlib.Path(__file__).parent
LOGS = pathlib.Path(os.environ["STAGE_LOGS"])
FOCUS = os.environ.get("LCW_E2E_FOCUS", "")
TWO_NODES = "topology|different node"  # what these specs have in their names

BOTH = {
    "any volume data source": "its pods need images that cannot be built here: a volume populator and its controller",
    "should support volume limits": "a node takes 1000 volumes: it would be days",
}
EXCEPT = {
    "local": {
        **BOTH,
        r"fsgroupchangepolicy \(Always\).*an initial fsgroup, new pod fsgroup applied":
            "the driver gives the group to the root of the volume, and to nothing below (docs/lessons.md, U21)",
    },
    "s3": {
        **BOTH,
        r"subPath should fail if .* is outside the volume": "a volume in S3 has no symbolic links (docs/s3.md)",
    },
}


def listed(backend):
    """Names of the specs that apply."""
    lines = (HERE / f"external-{backend}.specs").read_text(encoding="utf-8").splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def check(cluster, backend, nodes):
    """Runs the specs of $LCW_E2E_FOCUS that want this many nodes."""
    name = f"external-{backend}-{nodes}"
    suite = Suite(cluster, HERE / f"external-{backend}.yaml", EXCEPT[backend])
    if nodes == 2:
        report = suite.run(name, LOGS, focus=both(TWO_NODES, FOCUS))
    else:
        report = suite.run(name, LOGS, focus=FOCUS, leave_out=TWO_NODES)
    (LOGS / f"{name}.txt").write_text(report.text(), encoding="utf-8")
    assert not report.broken_off, f"{report.broken_off}; see {LOGS}/{name}.log"
    assert not report.failed, "\n" + "\n".join(f"{spec}: {why[:2000]}" for spec, why in report.failed.items())
    wanted = {spec for spec in listed(backend) if re.search(FOCUS, spec) and bool(re.search(TWO_NODES, spec)) == (nodes == 2)}
    assert wanted == set(report.passed), \
        f"\nnot run: {sorted(wanted - set(report.passed))}\nnot listed: {sorted(set(report.passed) - wanted)}"
    assert wanted or FOCUS, "nothing was tested"
    assert all(any(re.search(pattern, spec) for spec in report.excepted) for pattern in EXCEPT[backend]), "an exception has no spec"


def both(first, second):
    """Matches what matches both. Go has no look-ahead."""
    return f"(?:{first}).*(?:{second})|(?:{second}).*(?:{first})" if second else first


def make_s3_class(s3, terminal):
    """A class of volumes in S3 by the name that external-s3.yaml says."""
    terminal.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "external-s3", "namespace": "kube-system"},
         "stringData": {"s3-access-key-id": ACCESS, "s3-secret-access-key": s3.secret}},
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "external-s3"},
         "provisioner": "lukscryptwalker.csi.k8s.io", "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": True,
         "parameters": {
             "storage-backend": "s3", "s3-bucket": BUCKET, "s3-region": "us-east-1", "s3-endpoint": s3.inside,
             "s3-force-path-style": "true", "s3-access-key-id-secret-name": "external-s3",
             "s3-access-key-id-secret-namespace": "kube-system", "rclone-vfs-cache-max-size": "256M", "rclone-vfs-write-back": "1s",
             "csi.storage.k8s.io/node-stage-secret-name": "luks-secret",
             "csi.storage.k8s.io/node-stage-secret-namespace": "kube-system"}})
    terminal.run("helm upgrade my-lukscryptwalker lukscryptwalker-csi/lukscryptwalker-csi -n kube-system --reuse-values "
                 # A list is set as a whole; the first is the chart's own.
                 "--set-json 'rbac.extraS3Secrets=[{\"name\": \"s3-credentials\", \"namespace\": \"kube-system\"}, "
                 "{\"name\": \"external-s3\", \"namespace\": \"kube-system\"}]'")


@pytest.fixture(scope="module")
def s3_class(installed, s3, terminal):
    make_s3_class(s3, terminal)


@pytest.mark.timeout(3 * 3600 + 900)
def test_local_volumes(installed, cluster):
    check(cluster, "local", nodes=1)


@pytest.mark.timeout(3 * 3600 + 900)
def test_volumes_in_s3(s3_class, cluster):
    check(cluster, "s3", nodes=1)


@pytest.mark.timeout(3600)
def test_local_volumes_on_two_nodes(node2, cluster):
    check(cluster, "local", nodes=2)


@pytest.mark.timeout(3600)
def test_volumes_in_s3_on_two_nodes(s3_class, node2, cluster):
    check(cluster, "s3", nodes=2)
