"""Scenario 6: the ways in which a pod can ask for a volume."""
from local_volumes import image
from terminal import claim, pod_on

LOCAL = "lukscryptwalker-local"
WORDS = "plain-words-of-a-kind"


def is_encrypted(node, volume):
    assert node.shell(f"sync; cryptsetup isLuks {image(volume)} && grep -c {WORDS} {image(volume)} || true").strip() == "0"


def test_a_raw_block_volume(installed, node, terminal):
    block = pod_on("node1", "block", "block")
    container = block["spec"]["containers"][0]
    del container["volumeMounts"]
    container["volumeDevices"] = [{"name": "v", "devicePath": "/dev/xvda"}]
    terminal.apply(claim("block", LOCAL, "64Mi", volumeMode="Block"), block)
    terminal.pod_ready("block", seconds=300)
    terminal.execute("block", f"test -b /dev/xvda && echo {WORDS} | dd of=/dev/xvda bs=4096 seek=3 conv=sync,fsync")
    volume = terminal.volume_of("block")
    is_encrypted(node, volume)
    terminal.delete("pod/block")
    terminal.apply(block)
    terminal.pod_ready("block", seconds=300)
    assert WORDS in terminal.execute("block", "dd if=/dev/xvda bs=4096 skip=3 count=1")
    assert int(terminal.execute("block", "blockdev --getsize64 /dev/xvda")) >= 64 << 20
    terminal.delete("pod/block", "pvc/block")
    terminal.wait_gone("pv", volume)
