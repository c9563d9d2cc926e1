"""What the chart renders, without a cluster."""
import hashlib
import json
import os
import re
import subprocess

import pytest
import yaml
from conftest import CHART, REPO, containers, every, pick, run, specification_blocks, tool

GOLDEN = REPO / "tests/chart/golden"
BUILD = os.environ.get("LCW_BUILD", str(REPO / "build"))
FULL = yaml.safe_load((REPO / "tests/chart/full-values.yaml").read_text(encoding="utf-8"))
GO_VALUES = yaml.safe_load((REPO / "tests/chart/go-driver-values.yaml").read_text(encoding="utf-8"))
EXAMPLES = [yaml.safe_load(block) for block in specification_blocks() if "torageClasses:" in block]


def refused_by_the_driver(storage_class):
    words = [f"{key}={value}" for key, value in storage_class["parameters"].items()]
    done = run(f"{BUILD}/tests/chart/paramtable", *words)
    return done.stdout if done.returncode else None


def test_lint(helm):
    for values in ({}, FULL, GO_VALUES, *EXAMPLES):
        helm.run("lint", "--strict", CHART, "-f", "-", given=json.dumps(values))


def test_the_version_is_the_projects():
    version = (REPO / "VERSION").read_text(encoding="utf-8").strip()
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (version, version)


# A definition that changes gets the next number: in its annotation, in lcw.definitions and here, with the new sum.
DEFINITIONS = {"luksnodes": (1, "776f415abc1106ea"), "luksvolumes": (1, "5db8b53edd102f2a")}


def test_a_changed_definition_has_a_new_number():
    numbers = yaml.safe_load(re.search(r'define "lcw.definitions" -}}\n(.*?){{- end', (CHART / "templates/_helpers.tpl").read_text(encoding="utf-8"), re.S)[1])
    assert numbers == {kind: number for kind, (number, _) in DEFINITIONS.items()}
    for kind, (number, seen) in DEFINITIONS.items():
        definition = yaml.safe_load((CHART / f"crds/{kind}.yaml").read_text(encoding="utf-8"))
        assert definition["metadata"]["annotations"]["lukscryptwalker.csi.k8s.io/definition"] == str(number)
        assert hashlib.sha256(json.dumps(definition["spec"], sort_keys=True).encode()).hexdigest()[:16] == seen


def test_helm_shows_two_definitions(helm):
    """It puts nothing between the files; without a separator of their own the second would take the place of the first."""
    shown = list(yaml.safe_load_all(helm.run("show", "crds", CHART)))
    assert sorted(one["spec"]["names"]["plural"] for one in shown if one) == ["luksnodes", "luksvolumes"]


@pytest.mark.parametrize("name,values", [("full", FULL), ("go-driver", GO_VALUES)])
def test_golden(helm, name, values):
    """A change that nobody meant is seen in review: LCW_GOLDEN=write renews the files."""
    path = GOLDEN / f"{name}.yaml"
    text = helm.render_text(values)
    if os.environ.get("LCW_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_values_yaml_shows_what_the_templates_use():
    """Every key of the templates has a default with a comment near it, so that nobody has to guess."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    ignored = {"securityContext", "podSecurityContext", "global"}
    assert set(schema["properties"]) - ignored == set(values)


def test_examples_of_the_specification(helm):
    assert len(EXAMPLES) == 3
    mine, s3, ovh = (helm.render(values) for values in EXAMPLES)
    postgres = pick(mine, "StorageClass", "my-encrypted-storage")
    assert postgres["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert postgres["parameters"]["fsGroup"] == "26"
    assert postgres["parameters"]["local-path"] == "/mnt/encrypted-volumes"
    mysql = pick(mine, "StorageClass", "mysql-encrypted")
    assert mysql["parameters"]["local-path"] == "/mnt/mysql-volumes"
    assert "annotations" not in mysql["metadata"]
    images = {container["image"] for name, container in containers(mine) if container["name"] in ("driver", "mounter")}
    assert images == {"my-registry/lukscryptwalker-csi:v1.0.3"}
    # The class of the specification's own text, and what the chart makes of its values, are the same.
    blocks = [yaml.safe_load(block) for block in specification_blocks() if block.startswith("apiVersion")]
    written = [one for one in blocks if one["kind"] == "StorageClass" and one["metadata"]["name"] == "lukscryptwalker-s3"
               and "csi.storage.k8s.io/provisioner-secret-name" in one["parameters"]]
    assert pick(s3, "StorageClass", "lukscryptwalker-s3")["parameters"] == written[0]["parameters"]
    assert pick(ovh, "StorageClass", "lukscryptwalker-ovh")["parameters"]["s3-path-prefix"] == "my-app/data"


def test_the_default_class_is_that_of_the_specification(helm):
    """So `kubectl apply` of the specification's own class works beside the chart."""
    blocks = [yaml.safe_load(block) for block in specification_blocks() if "kind: StorageClass" in block]
    usage = [one for one in blocks if one["metadata"]["name"] == "lukscryptwalker-local"][1]
    ours = pick(helm.render(), "StorageClass", "lukscryptwalker-local")
    for key in ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode", "allowVolumeExpansion"):
        assert ours[key] == usage[key]


@pytest.mark.parametrize("values", [{}, FULL, GO_VALUES, *EXAMPLES])
def test_the_driver_takes_every_class(helm, values):
    for one in every(helm.render(values), "StorageClass"):
        assert refused_by_the_driver(one) is None


@pytest.mark.parametrize("values", [{}, FULL])
def test_the_driver_takes_every_option(helm, values):
    """The real program reads the command lines; --help keeps it from running."""
    for name, container in containers(helm.render(values)):
        if container["name"] not in ("driver", "mounter"):
            continue
        done = run(f"{BUILD}/lukscryptwalker-csi", *container["args"], "--help")
        assert done.returncode == 0, f"{name}: {done.stderr}"


@pytest.mark.parametrize("sidecar", ["provisioner", "resizer"])
def test_the_sidecars_take_every_option(helm, sidecar):
    args = next(container["args"] for name, container in containers(helm.render()) if container["name"] == sidecar)
    done = run(tool(f"csi-{sidecar}"), *args, "--version")
    assert done.returncode == 0, done.stderr
    # The version of the image is the one that is tested.
    image = next(container["image"] for _, container in containers(helm.render()) if container["name"] == sidecar)
    assert image.split(":")[1] in tool(f"csi-{sidecar}")


def test_no_secret_without_a_cluster_and_none_that_is_empty(helm):
    assert every(helm.render(), "Secret") == []
    empty = helm.render(EXAMPLES[1])  # create: true, and both keys ""
    assert every(empty, "Secret") == []
    for secret in every(helm.render(FULL), "Secret"):
        assert all(secret["data"].values())


@pytest.mark.parametrize("values,sentence", [
    ({"imgae": {}}, "additional properties 'imgae' not allowed"),
    ({"node": {"toleration": []}}, "at '/node': additional properties 'toleration' not allowed"),
    ({"storageClasses": [{"name": "a", "fsTyp": "xfs"}]}, "at '/storageClasses/0': additional properties 'fsTyp'"),
    ({"storageClasses": [{"name": "a", "fsType": "btrfs"}]}, "at '/storageClasses/0/fsType'"),
    ({"storageClasses": [{"name": "a", "parameters": {"luks-cypher": "x"}}]}, "'luks-cypher' not allowed"),
    ({"storageClasses": [{"name": "a", "parameters": {"s3-bucket": "x"}}]}, "'s3-bucket' not allowed"),
    ({"storageClasses": [{"name": "a", "fsMode": 509}]}, "at '/storageClasses/0/fsMode'"),
    ({"storageClasses": [{"name": "a", "localPath": "relative"}]}, "at '/storageClasses/0/localPath'"),
    ({"storageClasses": [{"name": "a", "localPath": "/mnt/a", "parameters": {"local-path": "/mnt/b"}}]},
     "parameters.local-path is set by the chart already"),
    ({"storage": {"allowedPaths": ["/srv"]}}, "lies in none of storage.allowedPaths (/srv)"),
    ({"s3StorageClasses": [{"name": "a", "s3": {"bucket": "b"}}]}, "class 'a' needs s3.credentialsSecret.name"),
    ({"s3StorageClasses": [{"name": "a", "s3": {"endpoint": "https://key:secret@host"}}]}, "at '/s3StorageClasses/0/s3/endpoint'"),
    ({"csiDriver": {"name": "other"}}, "at '/csiDriver/name'"),
    ({"controller": None}, "missing property 'controller'"),
    ({"mounter": {"terminationGracePeriodSeconds": None}}, "missing property 'terminationGracePeriodSeconds'"),
    ({"image": {"tag": 1.0}}, "at '/image/tag': got number, want string"),
    ({"kubeletDir": "/"}, "at '/kubeletDir'"),
    ({"kubeletDir": "/var/lib/my kubelet"}, "at '/kubeletDir'"),
    ({"storage": {"localPath": "/"}}, "at '/storage/localPath'"),
    ({"podLabels": {"app": "mine"}}, "app.kubernetes.io/instance are those by which the pods are found"),
    ({"node": {"podLabels": {"app.kubernetes.io/instance": "mine"}}}, "are those by which the pods are found"),
    ({"serviceAccount": {"node": {"create": False}}}, "say in serviceAccount.node.name which account its pods have"),
    ({"mounter": {"enabled": False}, "s3StorageClasses": [{"name": "a", "s3": {"credentialsSecret": {"name": "k"}}}]},
     "s3StorageClasses need mounter.enabled: true"),
    ({"metrics": {"service": False, "serviceMonitor": {"enabled": True}}}, "needs metrics.service: true"),
])
def test_what_is_wrong_is_refused_with_its_place(helm, values, sentence):
    assert sentence in helm.refusal(values)


def test_two_classes_cannot_make_one_secret_different(helm):
    def s3(key):
        return {"name": f"class-{key}", "s3": {"bucket": "abc", "credentialsSecret": {
            "name": "one", "create": True, "accessKeyId": key, "secretAccessKey": "x"}}}
    assert "with different contents" in helm.refusal({"s3StorageClasses": [s3("a"), s3("b")]})
    assert len(every(helm.render({"s3StorageClasses": [s3("a"), {**s3("a"), "name": "b"}]}), "Secret")) == 1


def test_only_the_node_is_privileged(helm):
    for name, container in containers(helm.render(FULL)):
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        if name.endswith("-node"):
            assert context["privileged"] is True
        else:
            assert context["allowPrivilegeEscalation"] is False
            needed = {"add": ["CHOWN", "SETGID", "SETUID"]} if name.endswith("-mounter") else {}
            assert context["capabilities"] == {"drop": ["ALL"], **needed}
    for workload in every(helm.render(FULL), "DaemonSet") + every(helm.render(FULL), "Deployment"):
        pod = workload["spec"]["template"]["spec"]
        if workload["kind"] == "Deployment":
            assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert not [one for one in pod["volumes"] if "hostPath" in one]
        if workload["metadata"]["name"].endswith("-mounter"):
            assert pod["automountServiceAccountToken"] is False
            assert pod["containers"][0]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            assert [one["hostPath"]["path"] for one in pod["volumes"] if "hostPath" in one] == ["/run/lcw"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert workload["spec"]["template"]["metadata"]["labels"]["app"] == workload["spec"]["selector"]["matchLabels"]["app"]


def test_one_container_on_the_node(helm):
    for workload in every(helm.render(), "DaemonSet"):
        assert len(workload["spec"]["template"]["spec"]["containers"]) == 1


@pytest.mark.parametrize("values", [{}, FULL])
def test_lcw_in_the_pod_looks_where_the_driver_does(helm, values):
    container = next(one for name, one in containers(helm.render(values)) if name.endswith("-node"))
    for variable in container["env"]:
        option = variable["name"].removeprefix("LCW_").lower().replace("_", "-")
        assert not variable["name"].startswith("LCW_") or f"--{option}={variable['value']}" in container["args"]
    assert sum(one["name"].startswith("LCW_") for one in container["env"]) == 4


def test_a_start_is_no_warning(helm):
    """The first probe does not ask in the first moment; the others wait until the program has answered."""
    probed = [container for _, container in containers(helm.render()) if "readinessProbe" in container]
    assert len(probed) == 2
    for container in probed:
        startup = container["startupProbe"]
        assert startup["httpGet"] == container["livenessProbe"]["httpGet"]
        assert startup["initialDelaySeconds"] and startup["failureThreshold"] * startup["periodSeconds"] >= 60


def test_an_upgrade_never_restarts_the_mounter(helm):
    mounter = pick(helm.render(), "DaemonSet", "test-lukscryptwalker-csi-mounter")
    assert mounter["spec"]["updateStrategy"] == {"type": "OnDelete"}


def test_secrets_that_may_be_read(helm):
    """By name, S3 keys only: no list, no watch, no passphrase."""
    for role in every(helm.render(FULL), "Role") + every(helm.render(FULL), "ClusterRole"):
        for rule in role["rules"]:
            if "secrets" in rule["resources"]:
                assert rule["verbs"] == ["get"]
                assert rule["resourceNames"] and "luks-secret" not in rule["resourceNames"]
            assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
    # By default those of the specification's S3 class, and nothing else.
    rule, = (rule for role in every(helm.render(), "Role") for rule in role["rules"] if "secrets" in rule["resources"])
    assert (rule["verbs"], rule["resourceNames"]) == (["get"], ["s3-credentials"])


def test_the_examples_replace_nothing_of_the_chart(helm):
    """Least of all its passphrase: whoever tries an example on a cluster in use would lose every volume."""
    rendered = [*helm.render(), *(one for path in (REPO / "deploy").glob("*.yaml")
                                  for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one)]
    ours = {(one["kind"], one["metadata"]["name"]) for one in rendered} | {("Secret", "luks-secret")}
    assert ("StorageClass", "lukscryptwalker-local") in ours
    for path in (REPO / "examples").glob("*.yaml"):
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            assert (one["kind"], one["metadata"]["name"]) not in ours, path


def test_metrics_in_dashboard_and_alerts_exist():
    source = "".join(path.read_text(encoding="utf-8") for path in (REPO / "src/ops").glob("*.c"))
    for name in ("dashboard.json", "alerts.yaml"):
        for metric in re.findall(r"lukscryptwalker_([a-z0-9_]+)", (CHART / "files" / name).read_text(encoding="utf-8")):
            plain = re.sub("_(bucket|sum|count)$", "", metric)
            # Some names stand there without their prefix.
            assert f'"{plain}"' in source or f"lukscryptwalker_{plain}" in source, f"{name}: {metric}"


def test_alerts_fire_for_what_they_are_meant_for():
    done = run(tool("promtool"), "test", "rules", REPO / "tests/chart/alerts-test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    rules = yaml.safe_load((CHART / "files/alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
    tested = (REPO / "tests/chart/alerts-test.yaml").read_text(encoding="utf-8")
    assert all(tested.count(rule["alert"]) == 2 for rule in rules)


def test_workflows():
    """What can be said without GitHub: valid YAML, least rights, and `make` targets that exist."""
    targets = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.M))
    files = list((REPO / ".github/workflows").glob("*.yml"))
    assert files
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert "permissions" in yaml.safe_load(text)
        assert set(re.findall(r"run: make ([a-z-]+)", text)) <= targets


def test_manifests_and_reference_are_fresh():
    for script in ("manifests", "reference"):
        done = subprocess.run([REPO / f"scripts/{script}", "--check"], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr


def test_manifests_hold_no_trace_of_helm():
    for path in (REPO / "deploy").glob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert "Helm" not in text and "helm.sh" not in text
        assert "kind: Secret" not in text
