"""Measures the driver against the same work done by hand. Usage: measure.py FOLDER JSON

Every comparison alternates the two sides within one run, because machines drift; what counts is
the ratio of the medians.
"""
import json
import os
import statistics
import sys
import time

import kernel
from driver import FAST, Driver, block_capability

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
PASSPHRASE = "correct horse"


def timed(call):
    start = time.monotonic()
    call()
    return time.monotonic() - start


class ByHand:
    """losetup, cryptsetup, mount, as an administrator types them, on an image of the driver."""

    def __init__(self, image, path):
        self.image, self.path, self.loop = image, path, None
        os.makedirs(path, exist_ok=True)

    def open(self):
        self.loop = kernel.run("losetup", "--show", "-f", "--direct-io=on", "-b", "4096",
                               self.image).strip()
        kernel.run("cryptsetup", "open", "--disable-keyring", "--key-file", "-", self.loop,
                   "by-hand", input=PASSPHRASE)
        kernel.run("mount", "/dev/mapper/by-hand", self.path)

    def close(self):
        kernel.run("umount", self.path)
        kernel.run("cryptsetup", "close", "by-hand")
        kernel.run("losetup", "-d", self.loop)


def stage_and_unstage(driver, name, parameters, rounds):
    """Median seconds: the driver's stage and unstage, and the same steps by hand."""
    volume = driver.create_raw(name, {"local-path": driver.data, **parameters}, 64 << 20)
    driver.stage(volume)
    driver.unstage(name)
    hand = ByHand(driver.image(name), f"{driver.base}/hand")
    times = {"stage": [], "unstage": [], "open": [], "close": []}
    for _ in range(rounds):
        times["stage"].append(timed(lambda: driver.stage(volume)))
        times["unstage"].append(timed(lambda: driver.unstage(name)))
        times["open"].append(timed(hand.open))
        times["close"].append(timed(hand.close))
    driver.delete(name)
    median = {key: statistics.median(values) for key, values in times.items()}
    return {"stage_s": median["stage"], "by_hand_open_s": median["open"],
            "stage_ratio": median["stage"] / median["open"],
            "unstage_s": median["unstage"], "by_hand_close_s": median["close"],
            "unstage_ratio": median["unstage"] / median["close"]}


def fio(path, mode, block):
    text = kernel.run("fio", "--name=x", f"--filename={path}/fio", "--size=64M", f"--rw={mode}",
                      f"--bs={block}", "--direct=1", "--ioengine=libaio", "--iodepth=8",
                      "--time_based", "--runtime=1", "--output-format=json")
    job = json.loads(text)["jobs"][0]
    return job["read"]["bw_bytes"] + job["write"]["bw_bytes"]


LOADS = {"4k random read": ("randread", "4k"), "4k random write": ("randwrite", "4k"),
         "1M read": ("read", "1M"), "1M write": ("write", "1M")}


def in_turns(driver_path, bare_path, mode, block, bare_first):
    """(driver, bare) of one round; who goes first changes, because the second finds another machine."""
    if bare_first:
        bare = fio(bare_path, mode, block)
        return fio(driver_path, mode, block), bare
    return fio(driver_path, mode, block), fio(bare_path, mode, block)


def throughput(driver, rounds):
    """fio on a published volume against bare dm-crypt on the same kind of file."""
    volume = driver.create("bench-fio", 256 << 20)
    other = driver.create("bench-bare", 256 << 20)
    driver.stage(other)
    driver.unstage("bench-bare")
    driver.stage(volume)
    target = driver.publish(volume)
    bare = ByHand(driver.image("bench-bare"), f"{driver.base}/bare")
    bare.open()
    found = {}
    for name, (mode, block) in LOADS.items():
        for path in (target, bare.path):
            fio(path, mode, block)  # lays the file out, warms up
        pairs = [in_turns(target, bare.path, mode, block, number % 2) for number in range(rounds)]
        found[name] = {"driver_mb_s": statistics.median(a for a, _ in pairs) / 1e6,
                       "bare_mb_s": statistics.median(b for _, b in pairs) / 1e6,
                       "ratio": statistics.median(a / b for a, b in pairs)}
    bare.close()
    driver.unpublish("bench-fio")
    driver.unstage("bench-fio")
    driver.delete("bench-fio")
    driver.delete("bench-bare")
    return found


def hundred_volumes(driver):
    kind = block_capability()
    volumes = [driver.create(f"bench-{n:03d}", 1 << 20, kind, allocation="thin")
               for n in range(110)]
    for volume in volumes[:10]:  # touches what every call touches
        driver.stage(volume, kind)
    before = kernel.rollup(driver.process.pid, "Rss")
    spent = timed(lambda: [driver.stage(volume, kind) for volume in volumes[10:]])
    after = kernel.rollup(driver.process.pid, "Rss")
    for volume in volumes:
        driver.unstage(volume.volume_id)
        driver.delete(volume.volume_id)
    return {"rss_growth_kb": after - before, "first_stage_with_format_s": spent / 100}


def ten_thousand_probes(driver):
    for _ in range(500):
        driver.probe()
    before = kernel.rollup(driver.process.pid, "Rss")
    spent = timed(lambda: [driver.probe() for _ in range(10000)])
    return {"rss_growth_kb": kernel.rollup(driver.process.pid, "Rss") - before,
            "probe_ms": spent / 10}


def goal(name, value, limit, at_most=True):
    met = value <= limit if at_most else value >= limit
    sign = "<=" if at_most else ">="
    print(f"  {name:48} {value:10.2f}   goal {sign} {limit:<6} {'met' if met else 'NOT met'}",
          flush=True)


def report_stage(kind, figures):
    goal(f"stage / by hand, {kind}", figures["stage_ratio"], 1.0)
    goal(f"unstage / by hand, {kind}", figures["unstage_ratio"], 1.0)


def idle_part(driver, found):
    driver.probe()
    found["idle"] = {"pss_kb": kernel.rollup(driver.process.pid, "Pss"),
                     "rss_kb": kernel.rollup(driver.process.pid, "Rss")}
    goal("idle PSS, MB", found["idle"]["pss_kb"] / 1024, 4)


def stage_part(driver, found):
    found["stage_fast"] = stage_and_unstage(driver, "bench-fast", FAST, ROUNDS)
    report_stage("without KDF time (pbkdf2 1000)", found["stage_fast"])
    found["stage_argon2id"] = stage_and_unstage(driver, "bench-argon", {}, max(3, ROUNDS // 2))
    report_stage("argon2id 64 MiB", found["stage_argon2id"])


def fio_part(driver, found):
    """Many short rounds: what else the machine does falls on both sides alike."""
    found["fio"] = throughput(driver, 3 * ROUNDS)
    for name, figures in found["fio"].items():
        goal(f"fio {name}, driver / bare dm-crypt", figures["ratio"], 0.98, at_most=False)


def growth_part(driver, found):
    found["probes_10000"] = ten_thousand_probes(driver)
    goal("RSS growth over 10,000 calls, kB", found["probes_10000"]["rss_growth_kb"], 0)
    found["volumes_100"] = hundred_volumes(driver)
    goal("RSS growth over 100 staged volumes, kB", found["volumes_100"]["rss_growth_kb"], 0)
    print(f"  first stage of a raw block volume, LUKS format with it: "
          f"{found['volumes_100']['first_stage_with_format_s']:.2f} s each")


def s3_part(driver, found):
    """With a driver of its own, which knows where rclone is."""
    import bench_s3  # pylint: disable=import-outside-toplevel # only this part needs rclone
    found["s3"] = bench_s3.measure(driver.base, ROUNDS)
    print(f"  idle PSS of the mounter {found['s3']['pss_mounter_kb'] / 1024:.1f} MB, of rclone "
          f"{found['s3']['pss_rclone_kb'] / 1024:.1f} MB", flush=True)
    for name, figures in found["s3"]["loads"].items():
        goal(f"s3 {name}, ours / bare", figures["ratio"], 0.95, at_most=False)
        print(f"    of it the driver {figures['ratio_same_cache']:.2f}, the encryption of the cache "
              f"{figures['ratio_of_encryption']:.2f}", flush=True)


PARTS = {"idle": idle_part, "stage": stage_part, "fio": fio_part, "growth": growth_part, "s3": s3_part}


def main():
    base, out = sys.argv[1:3]
    driver = Driver(base, os.path.join(os.environ["LCW_BUILD"], "lukscryptwalker-csi"))
    driver.start()
    found = {"kernel": os.uname().release, "rounds": ROUNDS}
    try:
        for part in os.environ.get("BENCH_PARTS", "").split() or PARTS:
            PARTS[part](driver, found)  # each is told as soon as it is known
    finally:
        driver.stop()
        with open(out, "w", encoding="ascii") as text:
            json.dump(found, text, indent=2)


if __name__ == "__main__":
    main()
