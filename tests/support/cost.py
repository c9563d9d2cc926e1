"""What the driver's process holds, whether it grew, and whether it still answers."""
import time

import kernel
from driver import until


def resources(driver):
    """(RSS in kB, descriptors), when no worker runs: a call's pipe is closed after its answer."""
    until("no worker runs", lambda: not kernel.children(driver.process.pid))
    return kernel.rollup(driver.process.pid, "Rss"), kernel.descriptors(driver.process.pid)


def assert_no_growth(driver, before, allowed_kb):
    rss, descriptors = resources(driver)
    assert rss <= before[0] + allowed_kb
    assert descriptors <= before[1]


def assert_probe_answers(driver):
    """Every time, and nine of ten times within a second."""
    times = []
    for _ in range(100):
        start = time.monotonic()
        assert driver.probe()
        times.append(time.monotonic() - start)
    assert sorted(times)[90] < 1
