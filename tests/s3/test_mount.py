"""Staging on this machine's kernel: without a cache (rclone-vfs-cache-mode: off) it needs no
device-mapper. The cache, and all that it keeps, is tested in tests/vm/cases/test_s3_caches.py."""
import concurrent.futures
import glob
import os
import signal

import grpc
import kernel
import pytest
from driver import MODES, Driver, mount_capability, until
from s3 import PASSPHRASE, Cli, leaks
from test_controller import create, delete

import csi_pb2 as csi

RCLONE_USER = 47710  # src/s3/rclone_user.h
TEXT = "the quick brown fox is a secret"


@pytest.fixture
def volume(driver, server):
    return create(driver, "pvc-1", server.parameters(rclone_vfs_cache_mode="off"), server.secrets())


def processes(driver, command):
    """Processes with this word that serve volumes of this driver."""
    return kernel.serving(command, driver.base)


def rclones(driver):
    return processes(driver, "mount2")


def write(path, text):
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)


def condition(driver, volume_id):
    return driver.controller.ControllerGetVolume(csi.ControllerGetVolumeRequest(
        volume_id=volume_id), timeout=60).status.volume_condition


def test_the_whole_life(driver, server, volume):
    driver.stage(volume, secrets=server.secrets())
    driver.stage(volume, secrets=server.secrets())
    target = driver.publish(volume)
    driver.publish(volume)
    assert kernel.mount_at(target)[2:4] == ("fuse.rclone", "lukscryptwalker-s3:pvc-1@node-a")
    assert os.listdir(target) == []
    write(f"{target}/a-readable-name", TEXT)
    os.mkdir(f"{target}/folder")
    until("it is in the bucket", lambda: len(server.objects("volumes/pvc-1/files/")) >= 3)
    assert not server.holds(TEXT)
    assert not [key for key in server.objects() if "readable" in key or "lukscrypt" in key]
    assert driver.stats("pvc-1", target).usage[0].total == 1 << 30
    assert not condition(driver, "pvc-1").abnormal
    driver.unpublish("pvc-1")
    driver.unpublish("pvc-1")
    driver.unstage("pvc-1")
    driver.unstage("pvc-1")
    assert kernel.mount_at(driver.staging("pvc-1")) is None
    until("no rclone is left", lambda: rclones(driver) == [])

    cli = Cli(server, "volumes/pvc-1/files", "pvc-1")
    assert cli.read("a-readable-name") == TEXT
    cli.write("from-outside", TEXT)
    driver.stage(volume, secrets=server.secrets())
    assert sorted(os.listdir(driver.staging("pvc-1"))) == ["a-readable-name", "folder", "from-outside"]
    driver.unstage("pvc-1")
    delete(driver, "pvc-1", server.secrets())
    assert server.objects() == []


def test_the_mounter_ends_with_the_last_volume(driver, server, volume):
    driver.stage(volume, secrets=server.secrets())
    first, = processes(driver, "mounter")
    driver.unstage("pvc-1")
    until("it has ended", lambda: processes(driver, "mounter") == [])
    # The name of its socket stays, in a folder that is not its own, and is in nobody's way.
    driver.stage(volume, secrets=server.secrets())
    second, = processes(driver, "mounter")
    assert first != second
    driver.unstage("pvc-1")


def test_a_killed_driver_takes_no_mount_with_it(driver, server, volume):
    driver.stage(volume, secrets=server.secrets())
    victim = rclones(driver)
    driver.restart()
    assert rclones(driver) == victim
    write(f"{driver.staging('pvc-1')}/a", TEXT)
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("a") == TEXT


def test_a_wrong_passphrase_shows_nothing(driver, server, volume, refused):
    driver.stage(volume, secrets=server.secrets())
    driver.unstage("pvc-1")
    with refused("FAILED_PRECONDITION", "passphrase does not open the data") as answer:
        driver.stage(volume, secrets=server.secrets(passphrase="another-marker"))
    assert "another-marker" not in answer.sentence
    assert kernel.mount_at(driver.staging("pvc-1")) is None
    assert rclones(driver) == []


def test_foreign_data_needs_the_right_passphrase(driver, server, refused):
    volume = create(driver, "pvc-1", server.parameters(
        rclone_vfs_cache_mode="off", s3_path_prefix="old/data"), server.secrets())
    cli = Cli(server, "old/data", "old/data")
    cli.write("deep/deeper/file", TEXT)
    with refused("FAILED_PRECONDITION", "passphrase does not open the data"):
        driver.stage(volume, secrets=server.secrets(passphrase="another"))
    driver.stage(volume, secrets=server.secrets())
    with open(f"{driver.staging('pvc-1')}/deep/deeper/file", encoding="utf-8") as content:
        assert content.read() == TEXT
    driver.unstage("pvc-1")
    assert ".lukscryptwalker/volume" in cli.names()


def test_an_emptied_prefix_is_not_mounted(driver, server, volume, refused):
    driver.stage(volume, secrets=server.secrets())
    driver.unstage("pvc-1")
    server.raw("purge", "volumes-of-a-test/volumes")
    with refused("FAILED_PRECONDITION", "was used before"):
        driver.stage(volume, secrets=server.secrets())


def test_missing_secrets_are_named(driver, server, volume, refused):
    secrets = server.secrets()
    for key in ("passphrase", "s3-access-key-id", "s3-secret-access-key"):
        with refused("INVALID_ARGUMENT", key) as answer:
            driver.stage(volume, secrets={k: v for k, v in secrets.items() if k != key})
        assert PASSPHRASE not in answer.sentence


def release(driver, node, volume="pvc-1"):
    kernel.run(os.path.join(os.environ["LCW_BUILD"], "lcw"), "volume", "release", volume,
               f"--node={node}", "--accept-loss", f"--state-dir={driver.base}/state",
               f"--run-dir={driver.base}/run", f"--node-id={driver.node}")


def test_another_node_is_fenced_and_readers_are_not(driver, server, volume, refused, base):
    driver.stage(volume, secrets=server.secrets())
    other = Driver(f"{base}/other", driver.binary, node="node-b", options=driver.options).start()
    try:
        with refused("FAILED_PRECONDITION", "node-a", "release pvc-1 --node=node-a --accept-loss"):
            other.stage(volume, secrets=server.secrets())
        reader = mount_capability(mode=MODES.MULTI_NODE_READER_ONLY)
        other.stage(volume, secrets=server.secrets(), capability=reader)
        with pytest.raises(OSError):
            write(f"{other.staging('pvc-1')}/a", TEXT)
        other.unstage("pvc-1")
        driver.unstage("pvc-1")
        other.stage(volume, secrets=server.secrets())
        with refused("FAILED_PRECONDITION", "node-b"):
            driver.stage(volume, secrets=server.secrets())
        release(driver, "node-b")
        driver.stage(volume, secrets=server.secrets())
        assert "given up by an administrator" in driver.read_log()
        driver.unstage("pvc-1")
        other.unstage("pvc-1")
    finally:
        other.stop()


def test_an_accepted_loss_is_not_kept_for_later(driver, server, volume, refused, base):
    """It was said of what a node had then; what it has at another time is not given up."""
    other = Driver(f"{base}/other", driver.binary, node="node-b", options=driver.options).start()
    create(other, "pvc-1", server.parameters(rclone_vfs_cache_mode="off"))
    note = f"{base}/other/state/accepted/pvc-1"

    def is_fenced():
        driver.stage(volume, secrets=server.secrets())
        with refused("FAILED_PRECONDITION", "'node-a'", "may hold data"):
            other.stage(volume, secrets=server.secrets())
        assert not os.path.exists(note)
        driver.unstage("pvc-1")

    try:
        driver.stage(volume, secrets=server.secrets())
        release(other, "node-a")
        assert os.path.exists(note)
        driver.unstage("pvc-1")  # the node comes back before the note is used
        other.stage(volume, secrets=server.secrets())
        other.unstage("pvc-1")
        is_fenced()
        # Nor does one count that is older than what the node has.
        release(other, "node-a")
        os.utime(note, (0, 0))
        is_fenced()
        # Nor one that speaks of another node.
        release(other, "node-c")
        is_fenced()
    finally:
        other.stop()


def test_a_note_of_another_volume_of_the_prefix_can_be_given_up(driver, server, refused):
    """Its mounter died before it could take the note out of the bucket."""
    shared = server.parameters(rclone_vfs_cache_mode="off", s3_path_prefix="team/files", s3_shared_prefix="true")
    first, second = (create(driver, name, shared, server.secrets()) for name in ("pvc-1", "pvc-2"))
    driver.stage(first, secrets=server.secrets())
    release(driver, "node-a", "pvc-2")
    with refused("FAILED_PRECONDITION", "'pvc-1' of the same prefix"):  # it is in use
        driver.stage(second, secrets=server.secrets())
    os.kill(processes(driver, "mounter")[0], signal.SIGKILL)
    driver.unstage("pvc-1")
    with refused("FAILED_PRECONDITION", "'pvc-1' of the same prefix"):
        driver.stage(second, secrets=server.secrets())
    release(driver, "node-a", "pvc-2")
    driver.stage(second, secrets=server.secrets())
    driver.unstage("pvc-2")


def test_what_is_in_use_is_not_given_up(driver, server, volume):
    driver.stage(volume, secrets=server.secrets())
    write(f"{driver.staging('pvc-1')}/a", TEXT)
    with pytest.raises(AssertionError, match="is mounted at"):
        release(driver, "node-a")
    write(f"{driver.staging('pvc-1')}/b", TEXT)
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").names() == [
        ".lukscryptwalker/volume", "a", "b"]


def test_of_volumes_that_share_a_prefix_one_can_be_written(driver, server, refused):
    """Each rclone has a cache of its own and knows nothing of the other's: the last upload wins."""
    shared = server.parameters(rclone_vfs_cache_mode="off", s3_path_prefix="team/files",
                               s3_shared_prefix="true")
    first, second = (create(driver, name, shared, server.secrets()) for name in ("pvc-1", "pvc-2"))
    driver.stage(first, secrets=server.secrets())
    with refused("FAILED_PRECONDITION", "'pvc-1' of the same prefix", "this node"):
        driver.stage(second, secrets=server.secrets())
    reader = mount_capability(mode=MODES.MULTI_NODE_READER_ONLY)
    driver.stage(second, secrets=server.secrets(), capability=reader)
    driver.unstage("pvc-2")
    driver.stage(first, secrets=server.secrets())  # it is the first one's still
    with refused("FAILED_PRECONDITION", "pvc-1"):
        driver.stage(second, secrets=server.secrets())
    driver.unstage("pvc-1")
    driver.stage(second, secrets=server.secrets())
    with refused("FAILED_PRECONDITION", "pvc-2"):
        driver.stage(first, secrets=server.secrets())
    driver.unstage("pvc-2")


def test_delete_after_a_stage_that_failed_leaves_nothing(driver, server):
    """The key check had been written when the cache could not be made (it is far too large)."""
    parameters = server.parameters(rclone_vfs_cache_max_size="1P", s3_path_prefix="app/data")
    volume = create(driver, "pvc-1", parameters, server.secrets())
    with pytest.raises(grpc.RpcError, match="the cache of volume 'pvc-1'"):
        driver.stage(volume, secrets=server.secrets())
    assert len(server.objects("app/data/")) == 1
    delete(driver, "pvc-1", server.secrets())
    assert server.objects() == []


def test_a_staged_volume_is_not_deleted(driver, server, volume, refused):
    driver.stage(volume, secrets=server.secrets())
    with refused("FAILED_PRECONDITION", "node-a"):
        delete(driver, "pvc-1", server.secrets())
    driver.unstage("pvc-1")
    delete(driver, "pvc-1", server.secrets())


def test_a_reader_s_volume_is_in_use(driver, server, volume, refused):
    """It is not deleted beneath the reader, and what happens to its rclone is told."""
    reader = mount_capability(mode=MODES.SINGLE_NODE_READER_ONLY)
    driver.stage(volume, secrets=server.secrets(), capability=reader)
    target = driver.publish(volume, capability=reader)
    with refused("FAILED_PRECONDITION", "staged on node 'node-a'"):
        delete(driver, "pvc-1", server.secrets())
    os.kill(rclones(driver)[0], signal.SIGKILL)
    until("the condition says so", lambda: condition(driver, "pvc-1").abnormal)
    assert driver.stats("pvc-1", target).volume_condition.abnormal
    driver.unpublish("pvc-1")
    driver.unstage("pvc-1")
    delete(driver, "pvc-1", server.secrets())


def test_one_staging_path(driver, server, volume, refused):
    """A second one would take the rclone away from the pods of the first."""
    driver.stage(volume, secrets=server.secrets())
    target = driver.publish(volume)
    before = rclones(driver)
    second = f"{driver.kubelet}/second"
    with refused("FAILED_PRECONDITION", "is mounted at .*staging-pvc-1"):
        driver.stage(volume, secrets=server.secrets(), path=second)
    driver.unstage("pvc-1", path=second)  # nothing is there
    assert rclones(driver) == before
    write(f"{target}/a", TEXT)
    driver.unpublish("pvc-1")
    driver.unstage("pvc-1")
    driver.unstage("pvc-1", path=second)


def test_the_flag_ro_is_published_once_like_any_other(driver, server, volume):
    capability = mount_capability(flags=["ro"])
    driver.stage(volume, secrets=server.secrets(), capability=capability)
    for _ in range(2):
        target = driver.publish(volume, capability=capability)
    with pytest.raises(OSError):
        write(f"{target}/a", TEXT)
    driver.unpublish("pvc-1")
    driver.unstage("pvc-1")


def test_a_killed_rclone_is_told_and_replaced(driver, server, volume):
    driver.stage(volume, secrets=server.secrets())
    target = driver.publish(volume)
    os.kill(rclones(driver)[0], signal.SIGKILL)
    until("the condition says so", lambda: condition(driver, "pvc-1").abnormal)
    assert driver.stats("pvc-1", target).volume_condition.abnormal
    driver.stage(volume, secrets=server.secrets())
    write(f"{target}/a", TEXT)
    assert not condition(driver, "pvc-1").abnormal
    driver.unpublish("pvc-1")
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("a") == TEXT


def test_an_open_file_aborts_the_unstage(driver, server, volume, refused):
    driver.stage(volume, secrets=server.secrets())
    with open(f"{driver.staging('pvc-1')}/a", "w", encoding="ascii") as out:
        out.write("x")
        out.flush()
        with refused("ABORTED", "open for writing"):
            driver.unstage("pvc-1")
    driver.unstage("pvc-1")


def test_group_and_mode(driver, server, volume):
    driver.stage(volume, secrets=server.secrets())
    assert os.stat(driver.staging("pvc-1")).st_mode & 0o7777 == 0o755
    driver.unstage("pvc-1")
    driver.stage(volume, capability=mount_capability(group="26"), secrets=server.secrets())
    found = os.stat(driver.staging("pvc-1"))
    assert (found.st_mode & 0o777, found.st_gid) == (0o775, 26)
    driver.unstage("pvc-1")


def test_external_access_reads_the_volume(driver, server, volume, base):
    driver.stage(volume, secrets=server.secrets())
    write(f"{driver.staging('pvc-1')}/a", TEXT)
    driver.unstage("pvc-1")
    commands = kernel.run(os.path.join(os.environ["LCW_BUILD"], "lcw"), "volume", "external-access",
                          "pvc-1", f"--state-dir={driver.base}/state", f"--run-dir={driver.base}/run")
    secrets = server.secrets()
    assert not [word for word in secrets.values() if word in commands]
    answers = "\n".join((secrets["s3-access-key-id"], secrets["s3-secret-access-key"], PASSPHRASE, ""))
    folder = os.path.dirname(os.environ["LCW_RCLONE"])
    out = kernel.run("bash", "-ec", commands.replace("rclone copy", "true"), input=answers,
                     env={"PATH": f"{folder}:/usr/bin:/bin", "HOME": base})
    assert out.split()[-1] == "a" or "31 a" in out


@pytest.fixture
def misleading(monkeypatch):
    """Variables that rclone would believe more than its configuration."""
    for name, value in (("AWS_CA_BUNDLE", "/nonexistent"), ("RCLONE_READ_ONLY", "true"),
                        ("RCLONE_S3_ENDPOINT", "http://127.0.0.1:1"), ("GOMEMLIMIT", "1KiB"),
                        ("NO_PROXY", "127.0.0.1")):
        monkeypatch.setenv(name, value)


def test_rclone_has_the_class_s_parameters_and_nobody_s_environment(misleading, driver, server):
    wanted = {"rclone-vfs-cache-mode": "off", "rclone-vfs-cache-max-age": "2h",
              "rclone-vfs-cache-poll-interval": "20s", "rclone-vfs-write-back": "9s",
              "rclone-dir-cache-time": "7m", "rclone-attr-timeout": "3s",
              "rclone-vfs-read-chunk-streams": "4"}
    volume = create(driver, "pvc-1", server.parameters(**wanted), server.secrets())
    driver.stage(volume, secrets=server.secrets())
    write(f"{driver.staging('pvc-1')}/a", TEXT)
    process, = rclones(driver)
    words = kernel.words_of(process)
    assert [f"--{key.removeprefix('rclone-')}={value}" for key, value in wanted.items()
            if f"--{key.removeprefix('rclone-')}={value}" not in words] == []
    with open(f"/proc/{process}/environ", encoding="ascii") as text:
        found = dict(one.split("=", 1) for one in text.read().split("\0") if one)
    certificates_and_proxies = {"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY",
                                "https_proxy", "http_proxy", "no_proxy"}
    assert set(found) - certificates_and_proxies == {"HOME", "PATH", "GOMEMLIMIT", "NOTIFY_SOCKET"}
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("a") == TEXT


@pytest.mark.parametrize("limit, expected", [(None, 256 << 20), ("96Mi", 96 << 20)])
def test_the_memory_limit_of_the_class(driver, server, limit, expected):
    volume = create(driver, "pvc-1", server.parameters(
        rclone_vfs_cache_mode="off", rclone_memory_limit=limit), server.secrets())
    driver.stage(volume, secrets=server.secrets())
    with open(f"/proc/{rclones(driver)[0]}/environ", encoding="ascii") as text:
        assert f"GOMEMLIMIT={expected}B" in text.read().split("\0")
    driver.unstage("pvc-1")


def assert_no_rights(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as text:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in text if ":\t" in line)
    rights = {name: int(status[name], 16) for name in status if name.startswith("Cap")}
    assert len(rights) == 5 and not any(rights.values()), (pid, rights)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert set(status["Uid"].split() + status["Gid"].split()) == {str(RCLONE_USER)}
    assert status["Groups"].strip() == ""


def test_mounter_and_rclone_have_no_rights(driver, server, volume):
    driver.stage(volume, secrets=server.secrets())
    pids = [*processes(driver, "mounter"), *rclones(driver)]
    assert len(pids) == 2
    for pid in pids:
        assert_no_rights(pid)
    folder = driver.staging("pvc-1")
    write(f"{folder}/a", TEXT)
    os.mkdir(f"{folder}/b")
    assert {(os.stat(f"{folder}/{name}").st_uid, os.stat(f"{folder}/{name}").st_gid)
            for name in (".", "a", "b")} == {(0, 0)}
    driver.unstage("pvc-1")


def asking_rclones(driver):
    """Those that ask one question, and run by now: {pid: the worker of the driver that started it}."""
    return {one: worker for worker in kernel.children(driver.process.pid)
            for one in kernel.children(worker) if "--retries=1" in kernel.words_of(one)}


@pytest.mark.parametrize("call", ["create", "stage", "delete"])
def test_an_rclone_that_asks_has_no_rights_and_dies_with_its_worker(driver, server, volume, call):
    """Probe, key check and purge; caught while the server does not answer."""
    driver.stage(volume, secrets=server.secrets())
    driver.unstage("pvc-1")
    calls = {"create": lambda: create(driver, "pvc-2", server.parameters(), server.secrets()),
             "stage": lambda: driver.stage(volume, secrets=server.secrets()),
             "delete": lambda: delete(driver, "pvc-1", server.secrets())}
    server.pause()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(calls[call])
        (victim, worker), = until("an rclone asks", lambda: asking_rclones(driver)).items()
        assert_no_rights(victim)
        os.kill(worker, signal.SIGKILL)
        until("it is gone too", lambda: not os.path.exists(f"/proc/{victim}"))
        assert isinstance(answer.exception(timeout=30), grpc.RpcError)
        server.go_on()
        pool.submit(calls[call]).result(timeout=60)
    driver.unstage("pvc-1")


def test_the_mounter_does_not_step_back(driver, server, volume):
    """A worker starts it, and workers go behind the driver; what it serves lasts."""
    driver.stage(volume, secrets=server.secrets())
    own = os.getpriority(os.PRIO_PROCESS, driver.process.pid)
    pids = [*processes(driver, "mounter"), *rclones(driver)]
    assert [os.getpriority(os.PRIO_PROCESS, pid) for pid in pids] == [own, own]
    driver.unstage("pvc-1")


def test_the_mounter_takes_over_what_was_root_s(driver, server, volume):
    """An earlier version ran as root: its folders are there, and closed."""
    driver.stage(volume, secrets=server.secrets())
    driver.unstage("pvc-1")
    until("the mounter ended", lambda: processes(driver, "mounter") == [])
    folder = f"{driver.base}/run/mounter"
    assert os.stat(folder).st_uid == RCLONE_USER
    kernel.run("chown", "-R", "0:0", folder)
    assert {os.stat(path).st_mode & 0o777 for path in (folder, *glob.glob(f"{folder}/*/"))} == {0o700}
    driver.stage(volume, secrets=server.secrets())
    write(f"{driver.staging('pvc-1')}/a", TEXT)
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("a") == TEXT


def test_no_secret_in_processes_and_files(driver, server, volume):
    driver.stage(volume, secrets=server.secrets())
    pids = [driver.process.pid, *processes(driver, "mounter"), *rclones(driver)]
    assert len(pids) == 3
    assert leaks(driver, server, pids, "pvc-1") == []
    driver.unstage("pvc-1")


def test_a_read_only_publish_and_a_writable_one(driver, server, volume, refused):
    driver.stage(volume, secrets=server.secrets())
    reader = driver.publish(volume, number=1, readonly=True)
    writer = driver.publish(volume, number=2)
    with pytest.raises(OSError):
        write(f"{reader}/a", TEXT)
    write(f"{writer}/a", TEXT)
    with refused("ALREADY_EXISTS", "writable"):
        driver.publish(volume, number=2, readonly=True)
    with refused("FAILED_PRECONDITION", "unpublish it first"):
        driver.unstage("pvc-1")
    driver.unpublish("pvc-1", number=1)
    driver.unpublish("pvc-1", number=2)
    driver.unstage("pvc-1")


def test_a_name_that_the_server_cannot_take_is_an_error(driver, server, volume):
    """143 bytes are crypt's limit on a server whose names have 255 (S3's have 1024)."""
    driver.stage(volume, secrets=server.secrets())
    folder = driver.staging("pvc-1")
    write(f"{folder}/{'n' * 143}", TEXT)
    with pytest.raises(OSError):
        write(f"{folder}/{'n' * 200}", TEXT)
    driver.unstage("pvc-1")
    assert Cli(server, "volumes/pvc-1/files", "pvc-1").read("n" * 143) == TEXT


def test_an_old_rclone_is_refused(server, base, refused):
    old = f"{base}/rclone"
    write(old, f"#!/bin/sh\n[ \"$1\" != version ] || exec echo rclone v1.60.1-DEV\n"
               f"exec {os.environ['LCW_RCLONE']} \"$@\"\n")
    for path in (old, base):  # it is asked by a user of its own
        os.chmod(path, 0o755)
    one = Driver(f"{base}/driver", os.path.join(os.environ["LCW_BUILD"], "lukscryptwalker-csi"),
                 options=[f"--rclone={old}"]).start()
    volume = create(one, "pvc-1", server.parameters(rclone_vfs_cache_mode="off"))
    with refused("FAILED_PRECONDITION", "1.60.1", "1.69.2"):
        one.stage(volume, secrets=server.secrets())
    assert one.stop() == 0
