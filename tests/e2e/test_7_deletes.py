"""Scenario 7: volumes, their claims, classes, Secrets and namespaces are deleted in every order that people find."""
from local_volumes import has_image, is_destroyed, is_open, secret, storage_class
from terminal import claim, pod


def start(terminal, name, storage, namespace="default"):
    """A claim and a pod of that name, with a file; returns the volume's name."""
    made = claim(name, storage), pod(name, name)
    for one in made:
        one["metadata"]["namespace"] = namespace
    terminal.apply(*made)
    terminal.pod_ready(name, namespace=namespace)
    terminal.run(f"kubectl -n {namespace} exec {name} -- sh -c 'echo kept > /data/file'")
    return terminal.volume_of(name, namespace)


def test_retain_keeps_the_data_until_somebody_says_so(installed, node, terminal):
    terminal.apply(storage_class("retained", reclaim="Retain"))
    volume = start(terminal, "retained", "retained")
    terminal.delete("pod/retained", "pvc/retained")
    terminal.until("it is released", lambda: terminal.get("pv", volume)["status"]["phase"] == "Released")
    assert has_image(node, volume)
    kept = terminal.get("pv", volume)
    terminal.delete(f"pv/{volume}")
    assert has_image(node, volume) and terminal.get("luksvolume", volume)["metadata"]["name"] == volume

    # As docs/operations.md says: the same volume again, for a claim that names it.
    spec = {key: kept["spec"][key] for key in kept["spec"] if key != "claimRef"}
    terminal.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "again"}, "spec": spec},
                   claim("again", "retained", volumeName="again"), pod("again", "again"))
    terminal.pod_ready("again")
    assert terminal.execute("again", "cat /data/file") == "kept\n"
    terminal.delete("pod/again", "pvc/again", "pv/again")
    assert has_image(node, volume)
    terminal.run(f"""kubectl patch luksvolume {volume} --type=merge -p '{{"spec":{{"destroy":true}}}}'""")
    terminal.delete(f"luksvolume/{volume}", "storageclass/retained")
    assert is_destroyed(node, terminal, volume)


def test_a_claim_is_deleted_while_its_pod_runs(installed, node, terminal):
    volume = start(terminal, "early", "lukscryptwalker-local")
    terminal.run("kubectl delete pvc early --wait=false")
    terminal.until("the claim ends", lambda: terminal.get("pvc", "early")["metadata"].get("deletionTimestamp"))
    assert terminal.execute("early", "echo more >> /data/file; sync; cat /data/file") == "kept\nmore\n"
    terminal.delete("pod/early")
    terminal.wait_gone("pvc", "early")
    assert is_destroyed(node, terminal, volume)


def test_a_namespace_is_deleted_with_all_in_it(installed, node, terminal):
    terminal.run("kubectl create namespace team")
    terminal.until("its service account", lambda: terminal.run("kubectl -n team get serviceaccount default -o name", check=False)
                   .startswith("serviceaccount/"))
    volumes = [start(terminal, name, "lukscryptwalker-local", "team") for name in ("one", "two")]
    terminal.delete("namespace/team")
    assert all(is_destroyed(node, terminal, volume) for volume in volumes)


def test_a_class_is_deleted_before_its_volumes(installed, node, terminal):
    terminal.apply(storage_class("brief"))
    volume = start(terminal, "classless", "brief")
    terminal.delete("storageclass/brief")
    # Everything that a pod needs is in the volume.
    terminal.delete("pod/classless")
    terminal.apply(pod("classless", "classless"))
    terminal.pod_ready("classless")
    assert terminal.execute("classless", "cat /data/file") == "kept\n"
    terminal.delete("pod/classless", "pvc/classless")
    assert is_destroyed(node, terminal, volume)


def test_a_secret_is_deleted_before_unstage_and_before_delete(installed, node, terminal):
    terminal.apply(secret("lost", "a-passphrase-of-its-own"), storage_class("secretive", "lost", "default"))
    volume = start(terminal, "secretive", "secretive")
    terminal.delete("secret/lost")
    terminal.delete("pod/secretive")
    terminal.until("it is closed", lambda: not is_open(node, volume))

    # Without it the volume is not mounted, and the pod says what is missing.
    terminal.apply(pod("secretive", "secretive"))
    terminal.until("a readable event", lambda: '"lost" not found' in terminal.run("kubectl get events"))
    terminal.apply(secret("lost", "another-passphrase"))
    terminal.until("an event of the wrong one", lambda: "passphrase does not open volume" in terminal.run("kubectl get events"), 240)
    terminal.apply(secret("lost", "a-passphrase-of-its-own"))
    terminal.pod_ready("secretive", 300)
    assert terminal.execute("secretive", "cat /data/file") == "kept\n"
    terminal.delete("secret/lost", "pod/secretive", "pvc/secretive", "storageclass/secretive")
    assert is_destroyed(node, terminal, volume)
