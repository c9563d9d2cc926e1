"""CreateVolume, DeleteVolume and expansion of volumes in S3."""
import contextlib
import json
import os
import re
import subprocess

import kernel
import pytest
from driver import MODES, block_capability, mount_capability, until
from s3 import ACCESS, BUCKET, PASSPHRASE, SECRET, Cli

import csi_pb2 as csi


def create(driver, name, parameters, secrets=None, size=1 << 30, capability=None):
    request = csi.CreateVolumeRequest(
        name=name, parameters=parameters, secrets=secrets or {},
        volume_capabilities=[capability or mount_capability()])
    if size:
        request.capacity_range.CopyFrom(csi.CapacityRange(required_bytes=size))
    return driver.controller.CreateVolume(request, timeout=60).volume


def delete(driver, volume_id, secrets=None):
    driver.controller.DeleteVolume(csi.DeleteVolumeRequest(volume_id=volume_id, secrets=secrets or {}),
                                   timeout=60)


def record_path(driver, volume_id):
    return f"{driver.base}/state/volumes/{volume_id}.json"


def make_used(driver, volume_id, state="formatted"):
    """As if the volume had been staged once."""
    with open(record_path(driver, volume_id), encoding="utf-8") as text:
        record = json.load(text)
    record["state"] = state
    with open(record_path(driver, volume_id), "w", encoding="utf-8") as text:
        json.dump(record, text)


def test_create_freezes_the_parameters(driver, server):
    volume = create(driver, "pvc-1", server.parameters(), server.secrets())
    assert volume.capacity_bytes == 1 << 30
    assert not volume.accessible_topology
    assert volume.volume_context["s3-bucket"] == BUCKET
    assert volume.volume_context["rclone-vfs-cache-mode"] == "full"
    again = create(driver, "pvc-1", server.parameters(), server.secrets())
    assert again == volume
    assert server.objects() == []


def test_create_needs_no_secrets(driver, server):
    create(driver, "pvc-1", server.parameters())
    delete(driver, "pvc-1")
    assert not os.path.exists(record_path(driver, "pvc-1"))


def test_another_parameter_is_another_volume(driver, server, refused):
    create(driver, "pvc-1", server.parameters())
    with refused("ALREADY_EXISTS", "rclone-vfs-write-back"):
        create(driver, "pvc-1", server.parameters(rclone_vfs_write_back="9s"))


def test_bucket_and_region_may_come_from_the_secret(driver, server, refused):
    bare = server.parameters(s3_bucket=None, s3_region=None)
    with refused("INVALID_ARGUMENT", "s3-bucket"):
        create(driver, "pvc-1", bare, server.secrets())
    secrets = server.secrets(**{"s3-bucket": BUCKET, "s3-region": "us-east-1"})
    volume = create(driver, "pvc-1", bare, secrets)
    assert volume.volume_context["s3-bucket"] == BUCKET
    with refused("INVALID_ARGUMENT", "disagree"):
        create(driver, "pvc-2", server.parameters(s3_bucket="another-one"), secrets)
    with refused("INVALID_ARGUMENT", "s3-bucket") as answer:
        create(driver, "pvc-3", bare, server.secrets(**{"s3-bucket": "MARKER-of-a-key"}))
    assert "MARKER" not in answer.sentence


def test_templates_in_the_prefix(driver, server, refused):
    parameters = server.parameters(s3_path_prefix="${pvc.namespace}/${pvc.name}-${pv.name}")
    with refused("INVALID_ARGUMENT", "extra-create-metadata"):
        create(driver, "pvc-1", parameters)
    volume = create(driver, "pvc-1", {
        **parameters, "csi.storage.k8s.io/pvc/namespace": "shop",
        "csi.storage.k8s.io/pvc/name": "data-0", "csi.storage.k8s.io/pv/name": "pvc-1"})
    assert volume.volume_context["s3-path-prefix"] == "shop/data-0-pvc-1"


def test_two_volumes_on_one_prefix_are_refused_with_the_template(driver, server, refused):
    create(driver, "pvc-1", server.parameters(s3_path_prefix="my-app/data"))
    with refused("INVALID_ARGUMENT", "pvc-1", r'"my-app/data-\$\{pvc.namespace\}-\$\{pvc.name\}"'):
        create(driver, "pvc-2", server.parameters(s3_path_prefix="my-app/data"))
    # One server has many names: with another one of the endpoint it is the same place.
    for endpoint in (server.endpoint + "/", "https://s3.example.com"):
        with refused("INVALID_ARGUMENT", "pvc-1", "already"):
            create(driver, "pvc-2", server.parameters(s3_path_prefix="my-app/data", s3_endpoint=endpoint))
    create(driver, "pvc-advised", {
        **server.parameters(s3_path_prefix="my-app/data-${pvc.namespace}-${pvc.name}"),
        "csi.storage.k8s.io/pvc/namespace": "shop", "csi.storage.k8s.io/pvc/name": "data-0"})
    with refused("INVALID_ARGUMENT", "inside or around"):
        create(driver, "pvc-2", server.parameters(s3_path_prefix="my-app"))
    with refused("INVALID_ARGUMENT", "inside or around"):
        create(driver, "pvc-2", server.parameters(s3_path_prefix="my-app/data/deeper"))
    create(driver, "pvc-2", server.parameters(s3_path_prefix="my-app/data2"))
    assert not os.path.exists(record_path(driver, "pvc-3"))


@pytest.mark.parametrize("parameters, word", [
    ({"s3_path_prefix": "/a"}, "s3-path-prefix"),
    ({"s3_path_prefix": "a/../b"}, "s3-path-prefix"),
    ({"s3_path_prefix": "a" * 1024}, "s3-path-prefix"),
    ({"s3_path_prefix": ""}, "s3-path-prefix"),
    ({"s3_bucket": "No_Bucket"}, "s3-bucket"),
    ({"s3_endpoint": "not-a-url"}, "s3-endpoint"),
    ({"rclone_vfs_write_back": "0s"}, "rclone-vfs-write-back"),
    ({"local_path": "/srv"}, "local-path"),
    ({"s3_buckett": "x"}, "did you mean 's3-bucket'"),
    ({"s3_shared_prefix": "true"}, "s3-path-prefix"),
])
def test_bad_parameters_are_named(driver, server, refused, parameters, word):
    with refused("INVALID_ARGUMENT", word):
        create(driver, "pvc-1", server.parameters(**parameters))


def test_an_endpoint_with_credentials_is_refused_and_not_logged(driver, server, refused):
    with refused("INVALID_ARGUMENT", "s3-endpoint") as answer:
        create(driver, "pvc-1", server.parameters(s3_endpoint="https://key:marker-pw@host"))
    assert "marker-pw" not in answer.sentence
    assert "marker-pw" not in driver.read_log()


def test_a_unicode_prefix_works(driver, server):
    parameters = server.parameters(s3_path_prefix="données/ключ")
    create(driver, "pvc-1", parameters, server.secrets())
    make_used(driver, "pvc-1")
    Cli(server, "données/ключ", "données/ключ").write("a", "text")
    delete(driver, "pvc-1", server.secrets())
    assert server.objects() == []


def classes_of_the_example():
    """{name: parameters}, as external-provisioner passes them on: without its own keys."""
    path = os.path.join(os.path.dirname(__file__), "..", "..", "examples", "s3.yaml")
    with open(path, encoding="utf-8") as text:
        documents = [one for one in text.read().split("---\n") if "kind: StorageClass" in one]
    found = {}
    for one in documents:
        pairs = re.findall(r'^  ([\w./-]+): "([^"]*)"$', one.split("parameters:\n")[1], re.M)
        found[re.search(r"^  name: (\S+)$", one, re.M).group(1)] = {
            key: value for key, value in pairs if not key.startswith("csi.storage.k8s.io/")}
    return found


@pytest.mark.parametrize("name", classes_of_the_example())
def test_the_example_classes_make_volumes(driver, name):
    parameters = classes_of_the_example()[name]
    assert len(parameters) >= 3
    volume = create(driver, "pvc-1", parameters)
    assert parameters.items() <= dict(volume.volume_context).items()
    commands = kernel.run(os.path.join(os.environ["LCW_BUILD"], "lcw"), "volume", "external-access",
                          "pvc-1", f"--state-dir={driver.base}/state",
                          f"--run-dir={driver.base}/run")
    for key in ("s3-bucket", "s3-region", "s3-endpoint"):
        assert parameters.get(key, "") in commands
    assert ("force_path_style=true" in commands) == ("s3-force-path-style" in parameters)


def test_a_grown_volume_shows_it_after_the_next_stage(driver, server):
    volume = create(driver, "pvc-1", server.parameters(rclone_vfs_cache_mode="off"), server.secrets())
    driver.stage(volume, secrets=server.secrets())
    for size in (2 << 30, 1 << 30):  # it never shrinks
        answer = driver.expand("pvc-1", size)
        assert (answer.capacity_bytes, answer.node_expansion_required) == (2 << 30, False)
    driver.unstage("pvc-1")
    driver.stage(volume, secrets=server.secrets())
    assert driver.stats("pvc-1", driver.staging("pvc-1")).usage[0].total == 2 << 30
    driver.unstage("pvc-1")


def test_kinds_that_s3_cannot_be(driver, server, refused):
    with refused("INVALID_ARGUMENT", "raw block"):
        create(driver, "pvc-1", server.parameters(), capability=block_capability())
    with refused("INVALID_ARGUMENT", "two writers"):
        create(driver, "pvc-1", server.parameters(),
               capability=mount_capability(mode=MODES.MULTI_NODE_MULTI_WRITER))
    create(driver, "pvc-1", server.parameters(),
           capability=mount_capability(mode=MODES.MULTI_NODE_READER_ONLY, fs="ext4"))


FAULTS = {
    "network": ({"s3_endpoint": "http://127.0.0.1:1"}, {}, "UNAVAILABLE", "cannot be reached"),
    "dns": ({"s3_endpoint": "http://no-such-host.invalid"}, {}, "UNAVAILABLE", "DNS"),
    "tls": ({"s3_endpoint": "TLS"}, {}, "FAILED_PRECONDITION", "TLS"),
    "key": ({}, {"s3-access-key-id": "AKIANOBODY"}, "FAILED_PRECONDITION", "[Ss]ecret"),
    "secret": ({}, {"s3-secret-access-key": "wrong"}, "FAILED_PRECONDITION", "does not accept the keys"),
    "bucket": ({"s3_bucket": "no-such-bucket"}, {}, "FAILED_PRECONDITION", "does not exist"),
    "region": ({"s3_region": "eu-west-9"}, {}, "FAILED_PRECONDITION", "s3-region"),
    "newline": ({}, {"s3-secret-access-key": SECRET + "\n"}, "INVALID_ARGUMENT", "line end"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_own_sentence(driver, server, refused, fault):
    parameters, secrets, code, word = FAULTS[fault]
    if parameters.get("s3_endpoint") == "TLS":
        parameters = {"s3_endpoint": server.endpoint.replace("http:", "https:")}
    with refused(code, word) as answer:
        create(driver, "pvc-1", server.parameters(**parameters), {**server.secrets(), **secrets})
    for hidden in (SECRET, ACCESS, PASSPHRASE):
        assert hidden not in answer.sentence
    assert not os.path.exists(record_path(driver, "pvc-1"))


def test_a_hanging_server_does_not_hang_the_call(driver, server, refused):
    server.pause()
    with refused("UNAVAILABLE"):
        create(driver, "pvc-1", server.parameters(), server.secrets())


def test_delete_purges_the_prefix_and_nothing_else(driver, server):
    create(driver, "pvc-1", server.parameters(), server.secrets())
    make_used(driver, "pvc-1")
    mine = Cli(server, "volumes/pvc-1/files", "pvc-1")
    other = Cli(server, "volumes/pvc-11/files", "pvc-11")
    for number in range(20):
        mine.write(f"folder/{number}", "text")
    other.write("kept", "text")
    delete(driver, "pvc-1", server.secrets())
    assert server.objects("volumes/pvc-1/") == []
    assert other.names() == ["kept"]
    assert not os.path.exists(record_path(driver, "pvc-1"))
    delete(driver, "pvc-1", server.secrets())


@contextlib.contextmanager
def uploading(server, key):
    """An upload in parts that runs: some have been sent, more are to come. May be killed inside."""
    words = [os.environ["LCW_RCLONE"], "--config", "", "--retries", "1", "--s3-chunk-size", "5M",
             "--streaming-upload-cutoff", "1M", "rcat", server.remote(f"{BUCKET}/{key}")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, env={"HOME": "/nonexistent"}) as upload:
        upload.stdin.write(bytes(12 << 20))
        upload.stdin.flush()
        until("it runs", lambda: key in server.uploads(key))
        yield upload
        upload.stdin.close()


def test_delete_removes_unfinished_uploads_of_the_volume_only(driver, server):
    """rclone itself takes the prefix "team/a" for the one of "team/ab/large" too."""
    for name in ("a", "c"):
        create(driver, name, server.parameters(s3_path_prefix=f"team/{name}"), server.secrets())
        make_used(driver, name)
        with uploading(server, f"team/{name}/broken-off") as upload:
            upload.kill()
            upload.wait()
    with uploading(server, "team/ab/large") as neighbour:
        delete(driver, "a", server.secrets())
        delete(driver, "c", server.secrets())
        assert server.uploads("team/ab/large")
    assert neighbour.returncode == 0
    assert server.objects("team/") == ["team/ab/large"]
    assert server.uploads("team/c") == []
    assert not server.lists_uploads or server.uploads("team/c/broken-off") == []


def test_delete_goes_on_where_it_was_broken_off(driver, server, refused):
    create(driver, "pvc-1", server.parameters(), server.secrets())
    make_used(driver, "pvc-1")
    Cli(server, "volumes/pvc-1/files", "pvc-1").write("a", "text")
    server.stop()
    with refused("UNAVAILABLE"):
        delete(driver, "pvc-1", server.secrets())
    assert os.path.exists(record_path(driver, "pvc-1"))
    server.start()
    delete(driver, "pvc-1", server.secrets())
    assert server.objects() == []


def test_delete_without_keys_names_them(driver, server, refused):
    create(driver, "pvc-1", server.parameters())
    make_used(driver, "pvc-1")
    with refused("INVALID_ARGUMENT", "s3-access-key-id"):
        delete(driver, "pvc-1")
    assert os.path.exists(record_path(driver, "pvc-1"))


def test_a_record_without_a_prefix_of_its_own_deletes_nothing(driver, server, refused):
    create(driver, "pvc-1", server.parameters(s3_path_prefix="mine"), server.secrets())
    make_used(driver, "pvc-1")
    server.raw("rcat", f"{BUCKET}/precious", stdin=b"x")
    path = record_path(driver, "pvc-1")
    for evil in ("", "/", ".", "..", "mine/..", "mine/"):
        with open(path, encoding="utf-8") as text:
            record = json.load(text)
        record["parameters"]["s3-path-prefix"] = evil
        with open(path, "w", encoding="utf-8") as text:
            json.dump(record, text)
        with refused("FAILED_PRECONDITION", "s3-path-prefix"):
            delete(driver, "pvc-1", server.secrets())
    assert server.objects() == ["precious"]


def shared_volumes(driver, server):
    """Two volumes that see the same file."""
    shared = server.parameters(s3_path_prefix="team/files", s3_shared_prefix="true")
    for name in ("pvc-1", "pvc-2"):
        create(driver, name, shared, server.secrets())
        make_used(driver, name)
    cli = Cli(server, "team/files", "team/files")
    cli.write("a", "text")
    return shared, cli


def test_a_shared_prefix_goes_with_its_last_volume(driver, server):
    _, cli = shared_volumes(driver, server)
    delete(driver, "pvc-1", server.secrets())
    assert cli.names() == ["a"]
    delete(driver, "pvc-2", server.secrets())
    assert server.objects() == []


def test_a_neighbour_that_nobody_can_read_is_not_taken_for_none(driver, server, refused):
    shared, cli = shared_volumes(driver, server)
    with open(record_path(driver, "pvc-2"), encoding="utf-8") as text:
        whole = text.read()
    for damaged in ("", whole.replace("s3-bucket", "s3-basket")):
        with open(record_path(driver, "pvc-2"), "w", encoding="utf-8") as text:
            text.write(damaged)
        with refused("FAILED_PRECONDITION", "record of volume 'pvc-2' cannot be read"):
            delete(driver, "pvc-1", server.secrets())
        with refused("FAILED_PRECONDITION", "record of volume 'pvc-2' cannot be read"):
            create(driver, "pvc-3", shared, server.secrets())
        assert cli.names() == ["a"]
    create(driver, "pvc-4", server.parameters(), server.secrets())  # in a place of its own
    with open(record_path(driver, "pvc-2"), "w", encoding="utf-8") as text:
        text.write(whole)
    delete(driver, "pvc-1", server.secrets())
    assert cli.names() == ["a"]


def test_of_two_that_are_deleted_at_once_one_takes_the_data(driver, server, refused):
    """And no new volume comes into a prefix that is being purged."""
    shared, _ = shared_volumes(driver, server)
    make_used(driver, "pvc-2", "deleting")  # by another call, which waits for S3 now
    delete(driver, "pvc-1", server.secrets())
    assert server.objects() == []
    with refused("ABORTED", "'pvc-2' with the same prefix", "being deleted"):
        create(driver, "pvc-3", shared, server.secrets())
    delete(driver, "pvc-2", server.secrets())
    create(driver, "pvc-3", shared, server.secrets())


def test_a_class_with_templates_is_the_volume_s_own(driver, server):
    """ValidateVolumeCapabilities with the class as it is written."""
    written = {**server.parameters(s3_path_prefix="${pvc.namespace}/${pvc.name}", s3_bucket=None),
               "csi.storage.k8s.io/pvc/namespace": "shop", "csi.storage.k8s.io/pvc/name": "data-0"}
    create(driver, "pvc-1", written, server.secrets(**{"s3-bucket": BUCKET}))

    def confirmed(**other):
        return driver.controller.ValidateVolumeCapabilities(csi.ValidateVolumeCapabilitiesRequest(
            volume_id="pvc-1", parameters={**written, **other}, volume_capabilities=[mount_capability()]),
            timeout=30).HasField("confirmed")

    assert confirmed()
    assert not confirmed(**{"s3-path-prefix": "elsewhere"}) and not confirmed(**{"rclone-vfs-write-back": "9s"})


def test_expansion_is_bookkeeping(driver, server):
    create(driver, "pvc-1", server.parameters())
    answer = driver.expand("pvc-1", 2 << 30)
    assert answer.capacity_bytes == 2 << 30
    assert not answer.node_expansion_required
    assert driver.expand("pvc-1", 1 << 30).capacity_bytes == 2 << 30


def test_the_list_shows_both_backends(driver, server):
    create(driver, "pvc-1", server.parameters())
    listed = driver.controller.ListVolumes(csi.ListVolumesRequest(), timeout=30).entries
    assert [entry.volume.volume_id for entry in listed] == ["pvc-1"]
    assert not listed[0].status.volume_condition.abnormal
    assert "not staged" in listed[0].status.volume_condition.message


def test_the_log_holds_no_secret(driver, server):
    create(driver, "pvc-1", server.parameters(), server.secrets())
    make_used(driver, "pvc-1")
    delete(driver, "pvc-1", server.secrets())
    for hidden in (SECRET, ACCESS, PASSPHRASE):
        assert hidden not in driver.read_log()
