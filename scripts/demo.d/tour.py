"""A tour through the life of one encrypted volume. Usage: tour.py FOLDER"""
import os
import subprocess
import sys

import kernel
from driver import Driver, until

MARKER = "the quick brown fox is a secret"
WRITER = """
import os, sys, time
out = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
count = 0
while not os.path.exists(sys.argv[2]):
    os.write(out, b"line\\n"); os.fsync(out); count += 1
print(count)
"""
checks = []


def step(text):
    print(f"\n--- {text}", flush=True)


def check(text, true):
    checks.append(bool(true))
    print(f"    {'ok  ' if true else 'FAIL'}  {text}", flush=True)


def show(text):
    for line in text.strip().splitlines():
        print(f"          {line}", flush=True)


def contains(path, words):
    with open(path, "rb") as content:
        return words.encode() in content.read()


def size_of(path):
    found = os.statvfs(path)
    return found.f_blocks * found.f_frsize


def create(driver):
    step("CreateVolume: a LUKS2 file of 64 MiB is reserved on this node")
    volume = driver.create_raw("demo", {"local-path": driver.data}, 64 << 20)
    show(kernel.run("ls", "-l", f"{driver.data}/demo"))
    check("image and record are there", os.path.exists(driver.image("demo"))
          and os.path.exists(driver.record("demo")))
    return volume


def open_it(driver, volume):
    step("NodeStageVolume and NodePublishVolume: loop, LUKS (argon2id), ext4, mount, bind")
    driver.stage(volume)
    target = driver.publish(volume)
    show(kernel.run("findmnt", "-no", "SOURCE,FSTYPE,SIZE,OPTIONS", target))
    check("the pod's folder is a mount of the mapping", kernel.mount_at(target)[2] == "ext4")
    return target


def look_at_the_disk(driver, target):
    step("a file is written, and the backing file is searched for its text")
    with open(f"{target}/note", "w", encoding="ascii") as out:
        out.write(MARKER)
    kernel.run("sync")
    image = driver.image("demo")
    show("\n".join(line for line in kernel.luks_dump(image).splitlines()
                   if line.strip().startswith(("Version", "UUID", "cipher", "PBKDF", "Memory"))))
    check("the text is in the pod's folder", contains(f"{target}/note", MARKER))
    check("the text is not in the backing file", not contains(image, MARKER))
    with open(image, "rb") as content:
        check("the backing file begins with a LUKS header", content.read(6) == b"LUKS\xba\xbe")


def kill_the_driver(driver, target):
    step("kill -9 of the driver under a running writer, and a new driver")
    stop = f"{driver.base}/stop"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, f"{target}/log", stop],
                              stdout=subprocess.PIPE, text=True)
    until("the writer writes", lambda: os.path.exists(f"{target}/log"))
    try:
        driver.kill()
        during = os.path.getsize(f"{target}/log")
        until("the writer goes on", lambda: os.path.getsize(f"{target}/log") > during)
        driver.start()
    finally:
        open(stop, "w", encoding="ascii").close()
        output = writer.communicate(timeout=60)[0]
    check(f"the writer saw no error ({output.strip()} writes, each synced)", writer.returncode == 0)
    check("and every one is there",
          os.path.getsize(f"{target}/log") == 5 * int(output or "-1"))


def grow(driver, target):
    step("ControllerExpandVolume and NodeExpandVolume: 64 to 128 MiB while it is mounted")
    before = size_of(target)
    driver.expand("demo", 128 << 20)
    answer = driver.node_expand("demo", target)
    show(f"file system: {before} bytes before, {size_of(target)} after")
    check("the file system has grown", size_of(target) > 1.8 * before)
    check("the driver says so too", answer.capacity_bytes == 128 << 20)


def close_it(driver, volume, target):
    step("unpublish, unstage, stage again: the data is there")
    driver.unpublish("demo")
    driver.unstage("demo")
    check("no mapping is open", "luks-demo" not in kernel.mappings())
    driver.stage(volume)
    check("the note is as it was", contains(f"{driver.staging('demo')}/note", MARKER))
    driver.unstage("demo")
    check("the mount point is gone", not os.path.exists(target))


def delete(driver):
    step("DeleteVolume: keys destroyed first, then the file; and nothing is left")
    driver.delete("demo")
    check("no file", os.listdir(driver.data) == [])
    check("no record", os.listdir(f"{driver.base}/state/volumes") == [])
    check("no mount", not [m for m in kernel.mounts() if m[0].startswith(driver.kubelet)])
    check("no mapping", "luks-demo" not in kernel.mappings())
    check("no loop device", not [row for row in kernel.loops().values()
                                 if row["back-file"].startswith(driver.data)])


def clear_away(driver):
    """After an interruption: whatever the tour had open is closed again."""
    for mount in reversed(kernel.mounts()):
        if mount[0].startswith(driver.kubelet):
            kernel.run("umount", mount[0], check=False)
    if "luks-demo" in kernel.mappings():
        kernel.run("cryptsetup", "close", "luks-demo", check=False)
    if driver.process and driver.process.poll() is None:
        driver.process.terminate()
        driver.process.wait(60)


def main():
    step("the driver starts: one process, role `all`, no Kubernetes")
    driver = Driver(sys.argv[1], os.path.join(os.environ["LCW_BUILD"], "lukscryptwalker-csi"))
    try:
        driver.start()
        show(f"memory (PSS): {kernel.rollup(driver.process.pid, 'Pss')} kB")
        check("it is ready", driver.probe())
        volume = create(driver)
        target = open_it(driver, volume)
        look_at_the_disk(driver, target)
        kill_the_driver(driver, target)
        grow(driver, target)
        close_it(driver, volume, target)
        delete(driver)
        check("the driver ends on SIGTERM", driver.stop() == 0)
    finally:
        clear_away(driver)
    print(f"\ndemo: {'all' if all(checks) else 'NOT all'} {len(checks)} checks passed", flush=True)
    return 0 if all(checks) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
