"""Every worker is taken: what the loop answers itself is answered all the same."""
import concurrent.futures
import fcntl

import csi_pb2 as csi
import grpc
import kernel
from cost import assert_probe_answers
from driver import until

WORKERS = 32  # src/rpc/server.h


def test_u15_probe_is_answered_while_every_worker_is_taken(driver, refused):
    """They wait for the lock of the prefixes, which somebody else has."""
    s3 = {"storage-backend": "s3", "s3-bucket": "bucket", "s3-region": "here"}
    with open(f"{driver.base}/run/s3-places.0", "w", encoding="ascii") as lock, \
            concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        calls = [pool.submit(driver.create_raw, f"pvc-{number}", s3) for number in range(WORKERS)]
        until("every worker is taken", lambda: len(kernel.children(driver.process.pid)) == WORKERS)
        try:
            with refused("UNAVAILABLE"):
                driver.controller.ListVolumes(csi.ListVolumesRequest(), timeout=60)
            assert_probe_answers(driver)
            driver.nodes.NodeGetInfo(csi.NodeGetInfoRequest(), timeout=5)
            with grpc.insecure_channel(f"unix:{driver.socket}") as another:
                grpc.channel_ready_future(another).result(timeout=5)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
        assert [call.result(timeout=60).volume_id for call in calls] == [f"pvc-{number}" for number in range(WORKERS)]
    driver.probe()
