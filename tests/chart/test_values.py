"""Every key of a values file that the specification or the Go driver's chart knows: where its value lands."""
import json

import pytest
import yaml
from conftest import REPO, pick
from test_render import EXAMPLES, GO_VALUES

CLASS, S3_CLASS, NAME = "storageClasses.0", "s3StorageClasses.0", "lukscryptwalker-csi"
CONTROLLER, NODE = ("Deployment", f"test-{NAME}-controller"), ("DaemonSet", f"test-{NAME}-node")
MOUNTER = ("DaemonSet", f"test-{NAME}-mounter")
POD = "spec.template.spec"
S3_SECRET = {"name": "keys", "namespace": "team", "create": True, "accessKeyId": "id", "secretAccessKey": "key"}
RESOURCES = {"limits": {"cpu": "1", "memory": "3Gi"}, "requests": {"cpu": "7m", "memory": "65Mi"}}
TOLERATIONS = [{"key": "only", "operator": "Exists"}]
AFFINITY = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
    {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]}}}


def role(name, where):
    """Keys that each role has."""
    return [
        (f"{name}.priorityClassName", "mine", where, f"{POD}.priorityClassName"),
        (f"{name}.resources", RESOURCES, where, f"{POD}.containers.0.resources"),
        (f"{name}.nodeSelector", {"disk": "ssd"}, where, f"{POD}.nodeSelector", {"kubernetes.io/os": "linux", "disk": "ssd"}),
        (f"{name}.tolerations", TOLERATIONS, where, f"{POD}.tolerations"),
        (f"{name}.affinity", AFFINITY, where, f"{POD}.affinity"),
    ]


def sidecar(name, position):
    key, place = f"controller.sidecars.{name}.image", f"{POD}.containers.{position}"
    return [(f"{key}.repository", "registry/side", CONTROLLER, f"{place}.image", f"registry/side:{TAGS[name]}"),
            (f"{key}.tag", "v0.1", CONTROLLER, f"{place}.image", f"registry.k8s.io/sig-storage/csi-{name}:v0.1"),
            (f"{key}.pullPolicy", "Never", CONTROLLER, f"{place}.imagePullPolicy")]


def of_a_class(prefix, name):
    """Keys that classes of both backends have."""
    where = ("StorageClass", name)
    return [
        (f"{prefix}.isDefault", True, where, "metadata.annotations", {"storageclass.kubernetes.io/is-default-class": "true"}),
        (f"{prefix}.reclaimPolicy", "Retain", where, "reclaimPolicy"),
        (f"{prefix}.allowVolumeExpansion", False, where, "allowVolumeExpansion"),
        (f"{prefix}.volumeBindingMode", "Immediate", where, "volumeBindingMode"),
        (f"{prefix}.secret.name", "other", where, "parameters/csi.storage.k8s.io/node-stage-secret-name"),
        (f"{prefix}.secret.namespace", "team", where, "parameters/csi.storage.k8s.io/node-stage-secret-namespace"),
        (f"{prefix}.secret.passphraseKey", "other-key", where, "parameters/passphraseKey"),
        (f"{prefix}.fsGroup", 26, where, "parameters/fsGroup", "26"),
        (f"{prefix}.fsMode", "0750", where, "parameters/fs-mode"),
    ]


def of_an_account(name):
    return [(f"serviceAccount.{name}.name", "mine", ("ServiceAccount", "mine"), "metadata.name"),
            (f"serviceAccount.{name}.annotations", {"a": "b"}, ("ServiceAccount", f"test-{NAME}-{name}"), "metadata.annotations")]


DEFAULTS = yaml.safe_load((REPO / "charts/lukscryptwalker-csi/values.yaml").read_text(encoding="utf-8"))
TAGS = {name: one["image"]["tag"] for name, one in DEFAULTS["controller"]["sidecars"].items()}
VERSION = (REPO / "VERSION").read_text(encoding="utf-8").strip()
IMAGE = f"{POD}.containers.0.image"
LOCAL, S3 = ("StorageClass", "local"), ("StorageClass", "in-s3")

# (key, value, object, where in it; what stands there, if it is not the value)
LANDS = [
    *[("image.repository", "my-registry/lcw", one, IMAGE, f"my-registry/lcw:v{VERSION}") for one in (CONTROLLER, NODE, MOUNTER)],
    *[("image.tag", "v1.0.3", one, IMAGE, "ghcr.io/algonomia/lukscryptwalker-csi:v1.0.3") for one in (CONTROLLER, NODE, MOUNTER)],
    *[("image.pullPolicy", "Always", one, f"{POD}.containers.0.imagePullPolicy") for one in (CONTROLLER, NODE, MOUNTER)],
    *[("imagePullSecrets", [{"name": "pull"}], one, f"{POD}.imagePullSecrets") for one in (CONTROLLER, NODE, MOUNTER)],
    *[("nodeSelector", {"a": "b"}, one, f"{POD}.nodeSelector", {"kubernetes.io/os": "linux", "a": "b"}) for one in (CONTROLLER, NODE, MOUNTER)],
    ("tolerations", TOLERATIONS, CONTROLLER, f"{POD}.tolerations"),
    ("tolerations", TOLERATIONS, NODE, f"{POD}.tolerations", [{"operator": "Exists"}, *TOLERATIONS]),
    *[("podAnnotations", {"a": "b"}, one, "spec.template.metadata.annotations") for one in (CONTROLLER, NODE, MOUNTER)],
    ("csiDriver.name", "lukscryptwalker.csi.k8s.io", ("CSIDriver", "lukscryptwalker.csi.k8s.io"), "metadata.name"),
    ("csiDriver.attachRequired", False, ("CSIDriver", "lukscryptwalker.csi.k8s.io"), "spec.attachRequired"),
    ("controller.replicas", 3, CONTROLLER, "spec.replicas"),
    *role("controller", CONTROLLER), *role("node", NODE),
    *sidecar("provisioner", 1), *sidecar("resizer", 2),
    ("node.updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}, NODE, "spec.updateStrategy"),
    ("storage.localPath", "/mnt/x", LOCAL, "parameters/local-path"),
    ("storage.defaultPath", "/mnt/x", LOCAL, "parameters/local-path"),
    *[(f"secret.{key}", "other", one, f"parameters/{place}") for one in (LOCAL, S3) for key, place in (
        ("name", "csi.storage.k8s.io/node-stage-secret-name"), ("namespace", "csi.storage.k8s.io/node-stage-secret-namespace"),
        ("passphraseKey", "passphraseKey"))],
    (f"{CLASS}.name", "other", ("StorageClass", "other"), "metadata.name"),
    (f"{CLASS}.localPath", "/mnt/mysql-volumes", LOCAL, "parameters/local-path"),
    *of_a_class(CLASS, "local"), *of_a_class(S3_CLASS, "in-s3"),
    (f"{S3_CLASS}.name", "other", ("StorageClass", "other"), "metadata.name"),
    (f"{S3_CLASS}.s3.pathPrefix", "my-app/data", S3, "parameters/s3-path-prefix"),
    *[(f"{S3_CLASS}.s3.{secret}.{key}", value, S3, f"parameters/{place}") for secret in ("credentialsSecret", "secret")
      for key, value, places in (("name", "other", ("s3-access-key-id-secret-name", "csi.storage.k8s.io/provisioner-secret-name")),
                                 ("namespace", "other", ("s3-access-key-id-secret-namespace", "csi.storage.k8s.io/provisioner-secret-namespace")))
      for place in places],
    *[(f"{S3_CLASS}.s3.{secret}.{key}", "other", ("Secret", "keys"), f"data/{place}", "b3RoZXI=") for secret in ("credentialsSecret", "secret")
      for key, place in (("accessKeyId", "s3-access-key-id"), ("secretAccessKey", "s3-secret-access-key"))],
    *[(f"{S3_CLASS}.s3.{inside}{key}", value, S3, f"parameters/{place}", seen) for inside in ("", "secret.") for key, value, place, seen in (
        ("bucket", "other", "s3-bucket", "other"), ("region", "gra", "s3-region", "gra"),
        ("endpoint", "https://s3.gra.cloud.ovh.net", "s3-endpoint", "https://s3.gra.cloud.ovh.net"),
        ("forcePathStyle", True, "s3-force-path-style", "true"))],
    *[(f"{S3_CLASS}.s3.{inside}bucket", "other", ("Secret", "keys"), "data/s3-bucket", "b3RoZXI=") for inside in ("", "secret.")],
    *[(f"{S3_CLASS}.vfsCache.{key}", value, S3, f"parameters/{place}") for key, value, place in (
        ("mode", "writes", "rclone-vfs-cache-mode"), ("maxAge", "2h", "rclone-vfs-cache-max-age"), ("maxSize", "2G", "rclone-vfs-cache-max-size"),
        ("pollInterval", "2m", "rclone-vfs-cache-poll-interval"), ("writeBack", "9s", "rclone-vfs-write-back"),
        ("dirCacheTime", "3h", "rclone-dir-cache-time"), ("attrTimeout", "4s", "rclone-attr-timeout"))],
    *of_an_account("controller"), *of_an_account("node"),
    *[("logging.level", value, one, f"{POD}.containers.0.args/--log-level", seen) for one in (CONTROLLER, NODE, MOUNTER)
      for value, seen in (("warn", "warn"), (4, "info"), (5, "debug"))],
]
# What they make is seen on a cluster only (test_cluster.py), or is not made at all.
ELSEWHERE = {
    "secret.create", "secret.passphrase", f"{CLASS}.secret.create", f"{S3_CLASS}.s3.credentialsSecret.create", f"{S3_CLASS}.s3.secret.create",
    "rbac.create", "serviceAccount.controller.create", "serviceAccount.node.create",
}
# Of the Go driver, told by the notes of an install.
WITHOUT_EFFECT = {
    "csiDriver.podInfoOnMount", "controller.sidecars.livenessProbe", "node.vfsCacheSize", "node.sidecars", "storage.defaultSize",
    f"{S3_CLASS}.fsType", "securityContext", "podSecurityContext",
}


def with_key(key, value):
    """The smallest values that have this key."""
    credentials = "secret" if ".s3.secret." in key else "credentialsSecret"
    values = {"storageClasses": [{"name": "local"}],
              "s3StorageClasses": [{"name": "in-s3", "s3": {"bucket": "some", credentials: dict(S3_SECRET)}}]}
    if key.endswith("s3.secret.bucket"):
        del values["s3StorageClasses"][0]["s3"]["bucket"]
    at, words = values, [int(word) if word.isdigit() else word for word in key.split(".")]
    for word in words[:-1]:
        at = at[word] if isinstance(word, int) else at.setdefault(word, {})
    at[words[-1]] = value
    return values


def found(one, where):
    """`a.b.0/key`: what follows the slash is one key, or one option of a command line."""
    path, _, last = where.partition("/")
    for word in path.split("."):
        one = one[int(word)] if word.isdigit() else one.get(word)
    if last.startswith("--"):
        return next(word.partition("=")[2] for word in one if word.startswith(f"{last}="))
    return one[last] if last else one


@pytest.mark.parametrize("key,value,place,where,seen", [(*one, one[1])[:5] for one in LANDS])
def test_where_it_lands(helm, key, value, place, where, seen):
    values = with_key(key, value)
    assert found(pick(helm.render(values), *place), where) == seen


def leaves(values, known, path=""):
    """The keys of a values file, as deep as the tables above go."""
    if path in known or not isinstance(values, (dict, list)) or not values:
        return {path}
    below = values.items() if isinstance(values, dict) else [(0, one) for one in values]
    return set().union(*(leaves(value, known, f"{path}.{key}".strip(".")) for key, value in below))


def test_no_key_was_forgotten():
    known = {one[0] for one in LANDS} | ELSEWHERE | WITHOUT_EFFECT
    for values in (GO_VALUES, *EXAMPLES):
        assert leaves(values, known) <= known


@pytest.mark.parametrize("key", sorted(WITHOUT_EFFECT))
def test_what_has_no_effect_is_said_to_have_none(helm, key):
    value = {"csiDriver.podInfoOnMount": False, "node.vfsCacheSize": "7G", "storage.defaultSize": "7Gi", f"{S3_CLASS}.fsType": "ext4"}.get(key, {"x": "y"})
    values = with_key(key, value)
    assert helm.render_text(values) == helm.render_text(with_key("csiDriver.attachRequired", False))


@pytest.mark.parametrize("folder", ["/var/lib/k0s/kubelet", "/var/snap/microk8s/common/var/lib/kubelet/"])
def test_kubelet_elsewhere(helm, folder):
    """Nothing of the node plugin is left where kubelet is by default."""
    pod = pick(helm.render({"kubeletDir": folder}), *NODE)["spec"]["template"]["spec"]
    place = folder.rstrip("/")
    assert "/var/lib/kubelet" not in json.dumps(pod).replace(place, "")
    assert f"--kubelet-dir={place}" in pod["containers"][0]["args"]
    assert f"--endpoint=unix://{place}/plugins/lukscryptwalker.csi.k8s.io/csi.sock" in pod["containers"][0]["args"]
    assert {"name": "kubelet", "mountPath": place, "mountPropagation": "Bidirectional"} in pod["containers"][0]["volumeMounts"]
    assert {"name": "kubelet", "hostPath": {"path": place, "type": "Directory"}} in pod["volumes"]


def test_what_is_made_on_demand(helm):
    def kinds(values):
        return {one["kind"] for one in helm.render(values)}

    on_demand = {"NetworkPolicy", "ServiceMonitor", "PrometheusRule", "ConfigMap"}
    assert not on_demand & kinds({})
    assert on_demand < kinds({"networkPolicy": {"enabled": True}, "metrics": {key: {"enabled": True} for key in ("serviceMonitor", "rules", "dashboard")}})
    assert "PodDisruptionBudget" in kinds({}) and "PodDisruptionBudget" not in kinds({"controller": {"replicas": 1}})
    assert not {"ClusterRole", "Role", "ValidatingAdmissionPolicy"} & kinds({"rbac": {"create": False}})
    assert "ServiceAccount" not in kinds({"serviceAccount": {role: {"create": False, "name": "mine"} for role in ("controller", "node")}})
    assert "Service" not in kinds({"metrics": {"service": False}})


ODD = [
    # Taking away what the chart has by default, as Helm lets people do.
    {key: None for key in ("tolerations", "nodeSelector", "podLabels", "podAnnotations", "imagePullSecrets", "storageClasses", "s3StorageClasses")},
    {role: {key: None for key in ("tolerations", "nodeSelector", "podLabels", "podAnnotations", "affinity", "resources", "extraArgs",
                                  "extraEnv", "priorityClassName")} for role in ("controller", "node", "mounter")},
    # Names that YAML takes for something else, and texts that end a YAML line.
    {"storageClasses": [{"name": "123"}, {"name": "true", "annotations": {"k": "it's: \"quoted\" #x"}}],
     "serviceAccount": {"controller": {"name": "1e3"}, "node": {"name": "null"}}, "controller": {"priorityClassName": "on"}},
    {"s3StorageClasses": [{"name": "0x1", "s3": {"bucket": "123", "pathPrefix": "a: \"b\" #c", "credentialsSecret": {
        "name": "1e3", "namespace": "12", "create": True, "accessKeyId": "0123", "secretAccessKey": "a\"b: #c'{{ x }}"}}}]},
    {"storage": {"localPath": "/mnt/my disk #1", "allowedPaths": ["/mnt/my disk #1"]}, "image": {"repository": "host:5000/a/b", "tag": "2"},
     "node": {"extraArgs": ["--log-level=debug"], "extraEnv": [{"name": "A", "value": "b: #c"}]}},
]


@pytest.mark.parametrize("values", ODD)
@pytest.mark.parametrize("release,namespace", [("test", "kube-system"), ("456", "123"), ("my.release", "on")])
def test_odd_values_stay_what_they_are(helm, values, release, namespace):
    """What must be text is text to YAML, too."""
    text = helm.run("template", release, REPO / "charts/lukscryptwalker-csi", "--namespace", namespace, "-f", "-", given=json.dumps(values))
    objects = [one for one in yaml.safe_load_all(text) if one]
    assert len(objects) > 15
    for one in objects:
        texts = [one["metadata"]["name"], one["metadata"].get("namespace", ""), *one["metadata"].get("labels", {}).values(),
                 *one["metadata"].get("annotations", {}).values(), *one.get("parameters", {}).values(),
                 *[subject[key] for subject in one.get("subjects", []) for key in ("name", "namespace")]]
        if "template" in one.get("spec", {}):
            pod = one["spec"]["template"]["spec"]
            texts += [pod.get("serviceAccountName", ""), pod.get("priorityClassName", ""), *pod["containers"][0]["args"],
                      *[word.get("value", "") for word in pod["containers"][0].get("env", [])], pod["containers"][0]["image"]]
        assert all(isinstance(text, str) for text in texts), texts
        assert one["kind"] != "Service" or "." not in one["metadata"]["name"]
    if "allowedPaths" in values.get("storage", {}):
        assert "--allow-path=/mnt/my disk #1" in text
