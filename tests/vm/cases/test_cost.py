# time limit: 900
"""What staged volumes cost the driver: nothing. `make bench` does it with 100."""
import kernel
from cost import assert_no_growth, resources
from driver import block_capability


def test_nothing_grows_over_30_staged_volumes(driver):
    kind = block_capability()
    volumes = [driver.create(f"pvc-{n:03d}", 1 << 20, kind, allocation="thin") for n in range(30)]
    driver.stage(volumes[0], kind)
    before = resources(driver)
    for volume in volumes[1:]:
        driver.stage(volume, kind)
    assert len([name for name in kernel.mappings() if name.startswith("luks-pvc-")]) == 30
    assert_no_growth(driver, before, 128)
    for volume in volumes:
        driver.unstage(volume.volume_id)
        driver.delete(volume.volume_id)
