"""What a real gRPC client gets: replies, statuses, deadlines, workers."""

import concurrent.futures
import os
import pathlib
import re
import signal
import time

import csi_pb2
import grpc
import pytest
from conftest import Client, until

Code = grpc.StatusCode


def test_inline_call(server, client):
    assert client.probe() is True
    assert client.info()["last"] == "Probe OK"
    assert server.lines(msg="rpc", method="Probe", code="OK")[0]["level"] == "debug"


def test_worker_call(server, client):
    assert client.act("hello") == "hello"
    (line,) = server.lines(msg="rpc", method="ValidateVolumeCapabilities")
    assert (line["level"], line["volume"], line["code"]) == ("info", "hello", "OK")
    assert "error" not in line and line["ms"] >= 0


def test_stage_with_empty_reply(client):
    reply = client.node.NodeStageVolume(csi_pb2.NodeStageVolumeRequest(volume_id="v"), timeout=10)
    assert reply.ByteSize() == 0


def test_error_text_is_exact(server, client):
    """But for control characters, which would break the lines of a terminal or a log."""
    text = "100% of ünïcödé \"quoted\" \\ %41 🔑 end"
    assert client.fails("error-9-" + text.replace("é ", "é\n")) == (Code.FAILED_PRECONDITION, text)
    (line,) = server.lines(msg="rpc", code="FAILED_PRECONDITION")
    assert line["error"] == text


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_every_code(client, code):
    assert client.fails(f"error-{code.value[0]}-x") == (code, "x")


def test_cut_error_stays_utf8(client):
    code, details = client.fails("error-5-" + "ü" * 2000)
    assert code is Code.NOT_FOUND
    assert re.fullmatch("ü{383}\\??", details)


@pytest.mark.parametrize("behaviour,details", [
    ("segv", "worker of ValidateVolumeCapabilities died of signal 11 (Segmentation fault)"),
    ("exit-3", "worker of ValidateVolumeCapabilities exited with code 3 without an answer"),
    ("exit-0", "worker of ValidateVolumeCapabilities exited with code 0 without an answer"),
    ("noreply", "ValidateVolumeCapabilities ended without a reply"),
    ("silent", "ValidateVolumeCapabilities failed without a reason"),
    ("badtext", "reply: field 'message' is not valid UTF-8"),
    ("garbage", "worker of ValidateVolumeCapabilities gave an answer that makes no sense"),
])
def test_worker_that_fails(server, client, behaviour, details):
    assert client.fails(behaviour) == (Code.INTERNAL, details)
    (line,) = server.lines(msg="rpc", volume=behaviour)
    assert (line["code"], line["error"]) == ("INTERNAL", details)
    assert client.probe()
    until(lambda: not server.children(), what="the worker is reaped")


def test_worker_killed_from_outside(server, client):
    call = client.begin("sleep-60000")
    pid = until(server.children, what="a worker")[0]
    # In clock_nanosleep (x86-64, arm64): by then it has said which volume it is about.
    until(lambda: pathlib.Path(f"/proc/{pid}/syscall").read_text().split()[0] in ("230", "115"))
    os.kill(int(pid), signal.SIGKILL)
    assert "died of signal 9 (Killed)" in call.exception(10).details()
    assert server.lines(volume="sleep-60000")[0]["code"] == "INTERNAL"


def test_worker_killed_at_once(server, client):
    """Any instruction may be its last."""
    killed = 0
    for i in range(40):
        call = client.begin(f"sleep-{i % 7}")
        for pid in server.children():
            os.kill(int(pid), signal.SIGKILL)
        failure = call.exception(10)
        killed += failure is not None
        assert failure is None or (failure.code(), "signal 9" in failure.details()) == (Code.INTERNAL, True)
    assert client.info()["finished"] == "40"
    assert killed > 0
    until(lambda: client.info()["workers"] == "0", what="all are buried")


def test_worker_limit_of_time(start):
    server = start(worker_ms=400)
    client = Client(server.channel())
    begin = time.monotonic()
    code, details = client.fails("sleep-60000")
    assert code is Code.INTERNAL and "was killed" in details
    assert 0.35 < time.monotonic() - begin < 5
    until(lambda: not server.children(), what="the worker is gone")
    assert client.info()["workers"] == "0"


def test_secrets_reach_the_handler_only_as_secrets(client):
    secrets = {"passphrase": "pässword", "other": ""}
    assert client.act("secret-passphrase", secrets=secrets) == "size=9 count=2 left=0"
    assert client.act("secret-other", secrets=secrets) == "size=0 count=2 left=0"
    assert client.act("secret-absent", secrets=secrets) == "size=-1 count=2 left=0"
    assert client.act("secret-absent") == "size=-1 count=0 left=0"


def count_in_memory(pid, marker):
    count = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            begin, end, mode = re.match(r"(\w+)-(\w+) (\S+)", line).groups()
            size = int(end, 16) - int(begin, 16)
            if "w" not in mode or size > 256 << 20:
                continue
            memory.seek(int(begin, 16))
            try:
                count += memory.read(size).count(marker)
            except OSError:
                pass
    return count


def test_no_plain_copy_of_a_secret(server, client):
    marker = "Qz7-unique-marker-%d" % time.monotonic_ns()
    # The one hit is the locked memory of struct secret.
    assert client.act("scan-" + marker[::-1], secrets={"k": marker}) == "hits=1"
    assert client.act("scan-" + marker[::-1], parameters={"k": marker}) != "hits=0"
    assert client.act("scan-" + marker[::-1]) == "hits=0"
    assert count_in_memory(server.pid, b"ValidateVolumeCapabilities") > 0
    call = client.controller.ValidateVolumeCapabilities.future(
        csi_pb2.ValidateVolumeCapabilitiesRequest(volume_id="sleep-60000", secrets={"k": marker}), timeout=20)
    until(server.children, what="a worker")
    assert count_in_memory(server.pid, marker.encode()) == 0
    until(lambda: count_in_memory(server.children()[0], marker.encode()) == 1, what="the worker has wiped the other copies")
    call.cancel()
    assert marker not in server.log()


def test_too_many_secrets(client):
    code, details = client.fails("x", secrets={str(i): "v" for i in range(129)})
    assert code is Code.INVALID_ARGUMENT and "'secrets' has 129 entries" in details
    assert client.act("secret-7", secrets={str(i): "v" for i in range(128)}) == "size=1 count=128 left=0"


def test_worker_process_is_clean(server, client):
    clients = [Client(server.channel()) for _ in range(3)]
    for other in clients:
        assert other.probe()
    hung = client.begin("sleep-60000")
    until(server.children, what="a worker")
    words = [line.split("=", 1) for line in client.act("fds").split()]
    listing = dict(word for word in words if len(word) == 2)
    assert {"0", "1", "2"} < set(listing)
    others = [target for fd, target in listing.items() if int(fd) > 2]
    assert sorted(re.sub(r"\[.*", "", target) for target in others) == ["/dev/null", "pipe:"]
    status = client.act("status")
    assert re.search(r"^SigBlk:\s+0+$", status, re.M)
    assert re.search(r"^SigIgn:\s+0000000000001000$", status, re.M)  # SIGPIPE
    assert re.search(r"^Name:\s+ValidateVolumeC$", status, re.M)
    sid, pid = (re.search(rf"^{key}:\s+(\d+)$", status, re.M).group(1) for key in ("Sid", "Pid"))
    assert sid == pid
    hung.cancel()


def test_deadline(server, client):
    begin = time.monotonic()
    code, _ = client.fails("sleep-1500", timeout=0.4)
    assert code is Code.DEADLINE_EXCEEDED
    assert 0.3 < time.monotonic() - begin < 1.2
    # The worker goes on; its outcome is the one log line of the call.
    until(lambda: server.lines(volume="sleep-1500"), what="the outcome")
    time.sleep(0.2)
    (line,) = server.lines(volume="sleep-1500")
    assert line["code"] == "OK" and line["ms"] >= 1400
    assert line["client"] in ("DEADLINE_EXCEEDED", "gone")


def test_deadline_is_known_to_the_handler(client):
    now = time.clock_gettime(time.CLOCK_MONOTONIC) * 1000
    deadline = int(client.act("deadline", timeout=15))
    assert 10000 < deadline - now < 15500


def test_work_goes_on_when_the_client_is_gone(server, client, folder):
    call = client.begin(f"touch-700-{folder}/done")
    until(server.children, what="a worker")
    call.cancel()
    server.close_channels()
    until((folder / "done").exists, what="the worker has finished")
    (line,) = until(lambda: server.lines(volume=f"touch-700-{folder}/done"), what="its outcome")
    assert (line["code"], line["client"]) == ("OK", "gone")


def test_32_hung_workers(server, client):
    calls = [client.begin(f"sleep-60000{i}", timeout=60) for i in range(32)]
    until(lambda: len(server.children()) == 32, 10, "32 workers")
    code, details = client.fails("one-more")
    assert (code, details) == (Code.UNAVAILABLE, "32 calls are running, the limit is 32; try again")
    times = []
    for _ in range(50):
        begin = time.monotonic()
        assert client.probe()
        times.append(time.monotonic() - begin)
    assert sorted(times)[25] < 0.1 and max(times) < 1
    assert client.info()["workers"] == "32"
    for pid in server.children():
        os.kill(int(pid), signal.SIGKILL)
    for call in calls:
        assert call.exception(10).code() is Code.INTERNAL
    assert until(lambda: client.info()["workers"] == "0", what="slots are free again")
    assert client.act("again") == "again"


def test_64_calls_at_once_over_few_workers(start):
    server = start(workers=64)
    client = Client(server.channel())
    begin = time.monotonic()
    calls = [client.begin(f"sleep-{500 + i}") for i in range(64)]
    assert [call.result(20).message for call in calls] == [f"sleep-{500 + i}" for i in range(64)]
    assert time.monotonic() - begin < 10


def test_big_messages(client):
    assert client.act("big-3900000") == "x" * 3900000
    code, details = client.fails("big-4200000")
    assert code is Code.INTERNAL and "more than the limit of 4194304" in details
    assert client.act("x", parameters={"p": "y" * 900000}) == "x"
    code, details = client.fails("x", parameters={"p": "y" * (1 << 20)})
    assert code is Code.RESOURCE_EXHAUSTED and "limit of 1048576" in details
    assert client.act("still usable") == "still usable"


def test_unpacked_size_is_bounded(client):
    # 250,000 empty entries: 1 MB on the wire, much more in memory.
    bomb = csi_pb2.ValidateVolumeCapabilitiesRequest.FromString(b"\x12\x00" * 1)
    assert len(bomb.volume_context) == 1
    raw = client.channel.unary_unary("/csi.v1.Controller/ValidateVolumeCapabilities")
    with pytest.raises(grpc.RpcError) as caught:
        raw(b"\x12\x00" * 500000, timeout=20)
    assert caught.value.code() is Code.RESOURCE_EXHAUSTED
    assert "8388608 bytes of memory" in caught.value.details()


def field(number, payload):
    assert len(payload) < 128
    return bytes([number << 3 | 2, len(payload)]) + payload


@pytest.mark.parametrize("name,body,details", [
    ("NUL", field(1, b"a\0b"), "field 'volume_id' holds a NUL byte"),
    ("UTF-8", field(1, b"a\xff"), "field 'volume_id' is not valid UTF-8"),
    ("surrogate", field(1, b"\xed\xa0\x80"), "field 'volume_id' is not valid UTF-8"),
    ("overlong", field(1, b"\xc0\x80"), "field 'volume_id' is not valid UTF-8"),
    ("map key", field(5, field(1, b"k\0")), "field 'secrets.key' holds a NUL byte"),
    ("map value", field(5, field(1, b"k") + field(2, b"hidden\0")), "field 'secrets.value' holds a NUL byte"),
    ("nested", field(3, field(2, field(1, b"\0"))), "field 'volume_capabilities.mount.fs_type' holds a NUL byte"),
    ("repeated", field(3, field(2, field(2, b"ok") + field(2, b"\xfe"))),
     "field 'volume_capabilities.mount.mount_flags' is not valid UTF-8"),
])
def test_bad_text(server, client, name, body, details):
    raw = client.channel.unary_unary("/csi.v1.Controller/ValidateVolumeCapabilities")
    with pytest.raises(grpc.RpcError) as caught:
        raw(body, timeout=10)
    assert (caught.value.code(), caught.value.details()) == (Code.INVALID_ARGUMENT, details)
    assert "hidden" not in server.log()


@pytest.mark.parametrize("body", [
    b"\x0a", b"\x0a\x05abc", b"\x0a\xff\xff\xff\xff\x0f", b"\x80" * 11, b"\x00", b"\x0b", b"\x0f", b"\x09abc",
    b"\x0d\x00", b"\x08\x01", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x2a\x02\x12\x7f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
], ids=lambda body: body.hex())
def test_malformed_message(client, body):
    for path, name in (("Controller/ValidateVolumeCapabilities", "ValidateVolumeCapabilities"),
                       ("Node/NodeStageVolume", "NodeStageVolume")):
        with pytest.raises(grpc.RpcError) as caught:
            client.channel.unary_unary("/csi.v1." + path)(body, timeout=10)
        assert (caught.value.code(), caught.value.details()) == (
            Code.INVALID_ARGUMENT, f"request of {name} is not a valid message")


def test_unknown_fields_and_enums_are_accepted(client):
    raw = client.channel.unary_unary("/csi.v1.Controller/ValidateVolumeCapabilities")
    unknown = b"\xf8\x07\x01" + b"\xfa\x07\x03\0\xff\0"  # field 127, as a number and as bytes
    mode = field(3, field(3, b"\x08\x63"))
    reply = csi_pb2.ValidateVolumeCapabilitiesResponse.FromString(
        raw(field(1, b"known") + unknown + mode, timeout=10))
    assert reply.message == "known"


def test_unknown_method(server, client):
    for path in ("/csi.v1.Node/NoSuch", "/nothing", "/csi.v1.Identity/ProbE", "/" + "x" * 300):
        with pytest.raises(grpc.RpcError) as caught:
            client.channel.unary_unary(path)(b"", timeout=5)
        assert caught.value.code() is Code.UNIMPLEMENTED
        assert client.info()["last"] == "unknown UNIMPLEMENTED"
    assert client.probe()


def test_gzip_is_refused(client):
    request = csi_pb2.ValidateVolumeCapabilitiesRequest(volume_id="z" * 4000)
    with pytest.raises(grpc.RpcError) as caught:
        client.controller.ValidateVolumeCapabilities(request, timeout=5, compression=grpc.Compression.Gzip)
    assert caught.value.code() is Code.UNIMPLEMENTED


def test_new_connection_for_every_call(server):
    """What the kubelet does."""
    before = server.descriptors()
    for _ in range(60):
        channel = server.channel()
        assert Client(channel).probe()
        channel.close()
    until(lambda: server.descriptors() <= before, what="descriptors are given back")


def test_many_clients(server):
    def work(i):
        client = Client(server.channel())
        return [client.act(f"id-{i}-{j}") for j in range(5)]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, range(8)))
    assert results == [[f"id-{i}-{j}" for j in range(5)] for i in range(8)]
    assert int(Client(server.channel()).info()["finished"]) == 40


def test_no_growth_over_many_calls(server, client):
    for i in range(100):
        client.act(str(i))
    rss, descriptors = server.rss_kib(), server.descriptors()
    for i in range(400):
        assert client.act(str(i)) == str(i)
    until(lambda: server.descriptors() <= descriptors, what="no more descriptors than before")
    assert server.rss_kib() - rss < 2048


def test_idle_server_does_not_wake(server, client):
    assert client.probe()
    assert client.act("x") == "x"
    server.close_channels()
    time.sleep(0.5)
    switches = server.status("voluntary_ctxt_switches")
    time.sleep(2)
    assert server.status("voluntary_ctxt_switches") - switches <= 1


def test_log_is_one_line_per_call(server, client):
    for behaviour in ("ok", "error-3-bad", "exit-1", "sleep-50"):
        try:
            client.act(behaviour)
        except grpc.RpcError:
            pass
    assert [line["volume"] for line in server.lines(msg="rpc", method="ValidateVolumeCapabilities")] == [
        "ok", "error-3-bad", "exit-1", "sleep-50"]
    assert pathlib.Path(server.log_path).read_text().count("\n") == 4
