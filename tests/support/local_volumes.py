"""StorageClasses of local volumes, and what a node has of a volume."""
FOLDER = "/opt/local-path-provisioner"


def storage_class(name, secret="luks-secret", namespace="kube-system", reclaim="Delete", **parameters):
    return {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
            "provisioner": "lukscryptwalker.csi.k8s.io", "reclaimPolicy": reclaim, "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": True, "parameters": {
                "csi.storage.k8s.io/node-stage-secret-name": secret,
                "csi.storage.k8s.io/node-stage-secret-namespace": namespace, **parameters}}


def secret(name, passphrase, namespace="default"):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
            "stringData": {"passphrase": passphrase}}


def image(volume, folder=FOLDER):
    """Its path on the node."""
    return f"{folder}/{volume}/luks-{volume}.img"


def has_image(node, volume, folder=FOLDER):
    return node.shell(f"test -e {image(volume, folder)} && echo yes || true").strip() == "yes"


def is_open(node, volume):
    return volume in node.shell("dmsetup ls --target crypt")


def is_destroyed(node, terminal, volume, folder=FOLDER):
    """Waits until nothing of it is left, on the node and in the cluster."""
    terminal.wait_gone("pv", volume)
    terminal.wait_gone("luksvolume", volume)
    assert not is_open(node, volume)
    assert node.shell(f"ls -d {folder}/{volume} 2> /dev/null || true") == ""
    return True
