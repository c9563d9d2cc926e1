"""What the idle process costs. Not for a build with sanitizers."""
import csi_pb2 as csi
import kernel
from cost import assert_no_growth, resources


def test_an_idle_driver_costs_less_than_4_mb(driver):
    driver.probe()
    assert kernel.rollup(driver.process.pid, "Pss") <= 4096


def test_nothing_grows_over_10000_calls(driver):
    """In the loop, and in workers."""
    def calls(count):
        for number in range(count):
            driver.probe()
            if number % 10 == 0:
                driver.controller.ListVolumes(csi.ListVolumesRequest(), timeout=60)
    calls(500)
    before = resources(driver)
    calls(10000)
    assert_no_growth(driver, before, 64)
