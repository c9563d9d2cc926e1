"""A tour through the life of an encrypted volume in S3. Usage: tour_s3.py FOLDER"""
import os
import subprocess
import sys

import kernel
from driver import Driver, mount_capability, until
from s3 import Cli, Server
from tour import MARKER, WRITER, check, checks, contains, show, step

import csi_pb2 as csi


def listing(server):
    show("\n".join(f"{os.path.getsize(f'{server.buckets}/volumes-of-a-test/{key}'):8} {key}"
                   for key in server.objects()) or "(empty)")


def create(driver, server):
    step("CreateVolume: the bucket is looked at, the parameters are frozen")
    volume = driver.controller.CreateVolume(csi.CreateVolumeRequest(
        name="demo", parameters=server.parameters(), secrets=server.secrets(),
        volume_capabilities=[mount_capability()],
        capacity_range=csi.CapacityRange(required_bytes=1 << 30)), timeout=120).volume
    check("it has no node: every node can have it", not volume.accessible_topology)
    return volume


def open_it(driver, server, volume):
    step("NodeStageVolume, NodePublishVolume: key check, holder, cache on LUKS, rclone, FUSE, bind")
    driver.stage(volume, secrets=server.secrets())
    target = driver.publish(volume)
    show(kernel.run("findmnt", "-no", "SOURCE,FSTYPE,SIZE,OPTIONS", target))
    check("the pod's folder is a FUSE mount", kernel.mount_at(target)[2] == "fuse.rclone")
    check("its cache lies on dm-crypt", "luks-demo" in kernel.mappings())
    return target


def kill_the_driver(driver, target):
    step("kill -9 of the driver under a running writer, and a new driver")
    stop = f"{driver.base}/stop"
    with subprocess.Popen([sys.executable, "-c", WRITER, f"{target}/log", stop],
                          stdout=subprocess.PIPE, text=True) as writer:
        until("the writer writes", lambda: os.path.exists(f"{target}/log"))
        try:
            driver.kill()
            during = os.path.getsize(f"{target}/log")
            until("the writer goes on", lambda: os.path.getsize(f"{target}/log") > during)
            driver.start()
        finally:
            with open(stop, "w", encoding="ascii"):
                pass
            output = writer.communicate(timeout=60)[0].strip()
    check(f"the writer saw no error ({output} writes, each synced)", writer.returncode == 0)
    return int(output or "-1")


def close_and_look(driver, server, lines):
    step("unpublish, unstage: success says that every byte is in S3")
    driver.unpublish("demo")
    driver.unstage("demo")
    listing(server)
    check("no name in the bucket can be read", not [key for key in server.objects()
                                                    if "note" in key or "log" in key.split("/")])
    check("nor can the text", not server.holds(MARKER))
    check("the cache is gone", "luks-demo" not in kernel.mappings())
    step("rclone alone reads it, with the commands of `lcw volume external-access`")
    show(kernel.run(os.path.join(os.environ["LCW_BUILD"], "lcw"), "volume", "external-access",
                    "demo", f"--state-dir={driver.base}/state", f"--run-dir={driver.base}/run"))
    cli = Cli(server, "volumes/demo/files", "demo")
    show(cli.run("ls", "myremote:"))
    check("the note", cli.read("note") == MARKER)
    check("every line of the writer", len(cli.read("log")) == 5 * lines)


def another_node(base, server, volume):
    step("another node stages it: the data is there")
    other = Driver(f"{base}/node-b", os.path.join(os.environ["LCW_BUILD"], "lukscryptwalker-csi"),
                   node="node-b", options=[f"--rclone={os.environ['LCW_RCLONE']}"]).start()
    try:
        other.stage(volume, secrets=server.secrets())
        check("the note is as it was", contains(f"{other.staging('demo')}/note", MARKER))
        other.unstage("demo")
    finally:
        other.stop()


def delete(driver, server):
    step("DeleteVolume: the prefix is purged")
    driver.controller.DeleteVolume(csi.DeleteVolumeRequest(
        volume_id="demo", secrets=server.secrets()), timeout=120)
    check("the bucket is empty", server.objects() == [])
    check("no record", os.listdir(f"{driver.base}/state/volumes") == [])
    check("no mount", not [m for m in kernel.mounts() if m[0].startswith(driver.base)])


def clear_away(driver):
    """After an interruption: whatever the tour had open is closed again."""
    for mount in reversed(kernel.mounts()):
        if mount[0].startswith(f"{driver.base}/"):
            kernel.run("umount", "-l", mount[0], check=False)
    if "luks-demo" in kernel.mappings():
        kernel.run("cryptsetup", "close", "luks-demo", check=False)
    if driver.process and driver.process.poll() is None:
        driver.process.terminate()
        driver.process.wait(60)


def main():
    base = sys.argv[1]
    step("an S3 server, and the driver: role `all`, no Kubernetes")
    server = Server(base).start()
    driver = Driver(f"{base}/node-a", os.path.join(os.environ["LCW_BUILD"], "lukscryptwalker-csi"),
                    options=[f"--rclone={os.environ['LCW_RCLONE']}"])
    try:
        driver.start()
        check("it is ready", driver.probe())
        volume = create(driver, server)
        target = open_it(driver, server, volume)
        with open(f"{target}/note", "w", encoding="ascii") as out:
            out.write(MARKER)
        lines = kill_the_driver(driver, target)
        close_and_look(driver, server, lines)
        another_node(base, server, volume)
        delete(driver, server)
        check("the driver ends on SIGTERM", driver.stop() == 0)
    finally:
        clear_away(driver)
        server.stop()
    print(f"\ndemo: {'all' if all(checks) else 'NOT all'} {len(checks)} checks passed", flush=True)
    return 0 if all(checks) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
