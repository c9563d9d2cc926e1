"""Peers that do not speak as they should: nothing they do may cost memory, descriptors or an answer."""

import os
import socket
import struct
import time

import grpc
import pytest
from conftest import Client, until
from raw import (CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, PROBE, RST, SETTINGS, VALIDATE,
                 WINDOW, Raw, frame, message, request_headers, status, volume)

PROTOCOL_ERROR, NO_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 1, 0, 7, 8, 11
UNIMPLEMENTED, INTERNAL, RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, INVALID, UNAVAILABLE = 12, 13, 8, 4, 3, 14


@pytest.fixture
def raw(server):
    with Raw(server.path) as connection:
        yield connection


def test_well_formed(raw):
    """The reference: what the others deviate from."""
    seen = raw.call()
    assert seen["headers"][":status"] == "200"
    assert seen["headers"]["content-type"] == "application/grpc"
    assert (status(seen), seen["rst"], seen["end"]) == (0, None, True)
    assert seen["data"] == message(b"\x0a\x02\x08\x01")
    assert status(raw.call()) == 0


def test_empty_reply_has_a_message(raw):
    seen = raw.call("/csi.v1.Node/NodeStageVolume", message(volume("v")))
    assert (status(seen), seen["data"]) == (0, message())


@pytest.mark.parametrize("authority", [
    "localhost", "/var/lib/kubelet/plugins/x/csi.sock", "/path/csi.sock", "%2Fpath%2Fcsi.sock", "", None, "a\0b c"])
def test_authority(server, raw, authority):
    """Old clients send the path of the socket."""
    assert status(raw.call(**{":authority": authority})) == 0


@pytest.mark.parametrize("kind,answer", [
    ("application/grpc", 0), ("application/grpc+proto", 0), ("application/grpc;charset=utf-8", 0),
    ("Application/gRPC", 0), ("text/plain", "415"), ("application/grpcx", "415"), ("application/json", "415"),
    ("", "415"), (None, "415")])
def test_content_type(raw, kind, answer):
    seen = raw.call(content_type=kind)
    if answer == 0:
        assert status(seen) == 0
    else:
        assert seen["headers"] == {":status": "415"} and seen["end"]


def test_method_get(raw):
    assert raw.call(**{":method": "GET"})["headers"] == {":status": "405"}


@pytest.mark.parametrize("headers", [
    [(":method", "POST"), (":scheme", "http"), ("content-type", "application/grpc")],
    [(":scheme", "http"), (":path", PROBE), ("content-type", "application/grpc")],
    request_headers(PROBE) + [(":path", "/other")],
    request_headers(PROBE) + [(":method", "POST")],
    request_headers("relative"), request_headers(""), request_headers("/a\0b"),
], ids=["no path", "no method", "two paths", "two methods", "relative", "empty", "NUL"])
def test_malformed_headers(raw, headers):
    seen = raw.wait(raw.headers(header_list=headers))
    assert seen["rst"] == PROTOCOL_ERROR and not seen["headers"]
    assert status(raw.call()) == 0


@pytest.mark.parametrize("timeout,answer", [
    ("99999999H", 0), ("99999999n", 0), ("5S", 0), ("1M", 0), ("20000000u", 0),
    ("5", INTERNAL), ("S", INTERNAL), ("123456789S", INTERNAL), ("-1S", INTERNAL), ("1.5S", INTERNAL),
    ("1s", INTERNAL), ("", INTERNAL), (" 1S", INTERNAL),
    ("0S", DEADLINE_EXCEEDED), ("0n", DEADLINE_EXCEEDED)])
def test_timeout_header(raw, timeout, answer):
    assert status(raw.call(grpc_timeout=timeout)) == answer


def test_short_timeout_is_answered_in_time(raw):
    begin = time.monotonic()
    seen = raw.call(VALIDATE, message(volume("sleep-5000")), grpc_timeout="300m")
    assert status(seen) == DEADLINE_EXCEEDED and 0.25 < time.monotonic() - begin < 2
    assert "the work goes on" in seen["headers"]["grpc-message"]


def test_timeout_runs_from_the_headers(server, raw):
    stream = raw.headers(VALIDATE, grpc_timeout="300m")
    seen = raw.wait(stream)
    assert (status(seen), seen["rst"]) == (DEADLINE_EXCEEDED, None)
    assert not server.children()


def test_unknown_method_answers_before_the_body(raw):
    """The status must overtake the reset that follows it."""
    stream = raw.headers("/no.such/Method")
    seen = raw.wait(stream)
    assert status(seen) == UNIMPLEMENTED and seen["end"]
    raw.ping()
    assert raw.streams[stream]["rst"] == NO_ERROR
    assert status(raw.call()) == 0


def test_log_and_message_of_a_hostile_path(server, raw):
    seen = raw.wait(raw.headers("/a\r\n\x1b[31mb/\xff%41", end=True))
    assert status(seen) == UNIMPLEMENTED
    assert all(0x20 <= ord(c) < 0x7f for c in seen["headers"]["grpc-message"])
    assert "\x1b" not in server.log() and "\r" not in server.log()


@pytest.mark.parametrize("body,answer", [
    (message(b"", flag=1), UNIMPLEMENTED), (message(b"", flag=2), INTERNAL), (message(b"", flag=255), INTERNAL),
    (b"", INTERNAL), (b"\0", INTERNAL), (b"\0\0\0\0", INTERNAL), (message(b"", length=1), INTERNAL),
    (message(volume("x"))[:-1], INTERNAL), (message() + b"\0", INTERNAL), (message() + message(), INTERNAL),
    (message(b"", length=0xffffffff), RESOURCE_EXHAUSTED), (message(b"", length=(1 << 20) + 1), RESOURCE_EXHAUSTED),
    (message(b"\x0a\xff"), INVALID)])
def test_framing(raw, body, answer):
    for path in (PROBE, VALIDATE):
        assert status(raw.call(path, body)) == answer
    assert status(raw.call()) == 0


def test_headers_alone(raw):
    assert status(raw.wait(raw.headers(end=True))) == INTERNAL


def test_trailers_of_the_client_end_the_request(raw):
    stream = raw.headers()
    raw.data(stream, message(), end=False)
    raw.headers(stream=stream, header_list=[("x-trailer", "y")], end=True)
    assert status(raw.wait(stream)) == 0


def test_4_gib_announced_is_refused_on_the_fifth_byte(server, raw):
    stream = raw.headers(VALIDATE)
    raw.data(stream, b"\0\xff\xff\xff\xff", end=False)
    seen = raw.wait(stream)
    assert status(seen) == RESOURCE_EXHAUSTED
    raw.ping()
    assert raw.streams[stream]["rst"] == NO_ERROR


def test_message_in_single_bytes(raw):
    stream = raw.headers(VALIDATE)
    body = message(volume("drops"))
    for i, byte in enumerate(body):
        raw.data(stream, bytes([byte]), end=i == len(body) - 1)
    assert raw.wait(stream)["data"][5:] == b"\x12\x05drops"


def test_everything_in_single_bytes(server):
    with Raw(server.path, hello=False) as raw:
        block = raw.encoder.encode(request_headers(PROBE))
        whole = (PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, block) +
                 frame(DATA, END_STREAM, 1, message()))
        for byte in whole:
            raw.send(bytes([byte]))
        assert status(raw.wait(1)) == 0


def test_padding_and_empty_data(raw):
    stream = raw.headers(VALIDATE)
    body = message(volume("padded"))
    raw.data(stream, b"", end=False)
    raw.send(frame(DATA, 8, stream, bytes([200]) + body[:4] + b"\xee" * 200))
    raw.data(stream, b"", end=False)
    raw.data(stream, body[4:])
    assert b"padded" in raw.wait(stream)["data"]


@pytest.mark.parametrize("opening", [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", os.urandom(4096), b"\0" * 4096,
    b"\x16\x03\x01\x02\x00\x01\x00"], ids=["http1", "preface", "random", "zeros", "tls"])
def test_not_http2(server, opening):
    with Raw(server.path, hello=False) as raw:
        raw.send(opening)
        if len(opening) < 24:
            raw.sock.shutdown(socket.SHUT_WR)
        assert raw.wait_close() < 5


@pytest.mark.parametrize("bad", [
    os.urandom(9)[:3] + b"\xff" * 60, frame(HEADERS, END_HEADERS, 1, b"\xff" * 20),
    b"\xff\xff\xff" + bytes([DATA, 0]) + b"\0\0\0\1", frame(HEADERS, END_HEADERS | END_STREAM, 2, b"\x82"),
    frame(DATA, END_STREAM, 7, b"x"), frame(SETTINGS, 0, 0, b"12345"), frame(PING, 0, 0, b"1234567"),
    frame(WINDOW, 0, 0, b"\0\0\0\0"), frame(CONTINUATION, END_HEADERS, 1, b"\x82"), frame(5, END_HEADERS, 1, b"\0\0\0\2"),
    frame(RST, 0, 9, b"\0\0\0\0")],
    ids=["garbage", "hpack", "long frame", "even stream", "idle stream", "settings", "ping", "window",
         "continuation", "push", "rst idle"])
def test_protocol_error(raw, bad):
    raw.send(bad)
    raw.wait_close()
    assert raw.goaway and raw.goaway[1] != NO_ERROR


def test_headers_before_settings(server):
    with Raw(server.path, hello=False) as raw:
        raw.send(PREFACE + frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82"))
        raw.wait_close()
        assert raw.goaway and raw.goaway[1] == PROTOCOL_ERROR


def test_truncated_frame_then_half_close(server, raw):
    raw.ping()
    before = server.descriptors()
    raw.send(frame(HEADERS, END_HEADERS, 1, b"x" * 50)[:30])
    raw.sock.shutdown(socket.SHUT_WR)
    assert raw.wait_close() < 5
    with Raw(server.path) as other:
        other.ping()
        assert server.descriptors() == before  # the other's instead


def test_rapid_reset(server, raw):
    """HEADERS and RST_STREAM at once, many times: ends by GOAWAY, starts nothing, keeps nothing."""
    raw.call()
    rss = server.rss_kib()
    block = raw.encoder.encode(request_headers(VALIDATE))
    try:
        for _ in range(20000):
            raw.send(frame(HEADERS, END_HEADERS, raw.next_stream, block) +
                     frame(RST, 0, raw.next_stream, struct.pack(">I", CANCEL)))
            raw.next_stream += 2
    except OSError:
        pass
    raw.wait_close()
    assert raw.goaway and raw.goaway[1] != NO_ERROR
    assert server.rss_kib() - rss < 4096 and not server.children()


def test_rapid_reset_of_complete_requests(server, raw):
    """Each is whole and reset in one piece: no worker may come into being."""
    block = raw.encoder.encode(request_headers(VALIDATE))
    burst = b""
    for i in range(50):
        stream = 1 + 2 * i
        burst += (frame(HEADERS, END_HEADERS, stream, block) +
                  frame(DATA, END_STREAM, stream, message(volume(f"touch-0-{server.folder}/reset-{i}"))) +
                  frame(RST, 0, stream, struct.pack(">I", CANCEL)))
    raw.send(burst)
    raw.next_stream = 101
    assert status(raw.call()) == 0
    time.sleep(0.3)
    assert not [name for name in os.listdir(server.folder) if name.startswith("reset")]
    assert "ValidateVolumeCapabilities" not in server.log()


@pytest.mark.parametrize("flood", [frame(PING, 0, 0, b"12345678"), frame(SETTINGS, 0, 0)], ids=["ping", "settings"])
def test_flood_without_reading(server, raw, flood):
    raw.ping()
    rss = server.rss_kib()
    raw.sock.settimeout(0.5)
    with pytest.raises(OSError) as caught:
        for _ in range(20000):
            raw.sock.sendall(flood * 100)
    assert isinstance(caught.value, (BrokenPipeError, ConnectionResetError)), caught.value
    assert server.rss_kib() - rss < 4096


def test_continuation_flood(server, raw):
    rss = server.rss_kib()
    raw.send(frame(HEADERS, 0, 1, raw.encoder.encode(request_headers(PROBE))))
    with pytest.raises(OSError):
        for _ in range(5000):
            raw.send(frame(CONTINUATION, 0, 1, b"\0\x03abc\x01x" * 100))
            time.sleep(0.001)
    assert server.rss_kib() - rss < 4096


def test_header_list_too_large(raw):
    seen = raw.call(x_long="z" * 15000, x_more="w" * 1300)
    assert status(seen) == RESOURCE_EXHAUSTED and "16384" in seen["headers"]["grpc-message"]
    assert status(raw.call(x_long="z" * 10000)) == 0


def test_header_bomb(server, raw):
    """One large entry in the table of HPACK, then thousands of references of one byte each."""
    rss = server.rss_kib()
    block = raw.encoder.encode(request_headers(PROBE) + [("x", "b" * 4000)])
    index = 62  # the newest dynamic entry
    raw.send(frame(HEADERS, END_HEADERS, 1, block + bytes([0x80 | index]) * (16000 - len(block))))
    raw.data(1, message())
    raw.next_stream = 3
    seen = raw.wait(1)
    assert status(seen) == RESOURCE_EXHAUSTED
    assert server.rss_kib() - rss < 4096
    assert status(raw.call()) == 0


def test_too_many_streams(start):
    server = start(streams=10)
    with Raw(server.path) as raw:
        streams = [raw.headers(VALIDATE) for _ in range(12)]
        for stream in streams[10:]:
            assert raw.wait(stream)["rst"] == REFUSED_STREAM
        for stream in streams[:10]:
            raw.data(stream, message(volume("ok")))
            assert status(raw.wait(stream)) == 0


def test_total_of_requests_is_bounded(start):
    server = start(total_bytes=1 << 20)
    with Raw(server.path) as raw:
        first = raw.headers(VALIDATE)
        raw.data(first, message(b"x", length=900000), end=False)
        raw.ping()
        second = raw.start(VALIDATE, message(b"x", length=900000))
        seen = raw.wait(second)
        assert status(seen) == UNAVAILABLE and "at once" in seen["headers"]["grpc-message"]
        raw.send(frame(RST, 0, first, struct.pack(">I", CANCEL)))
        third = raw.start(VALIDATE, message(b"", length=900000))
        assert status(raw.wait(third)) == INTERNAL  # there was room again; it was not whole


def test_worker_does_not_inherit_requests_of_others(server, raw):
    """What is being received for one call is not in the memory of another's worker."""
    marker = b"Qz8-unique-marker-%d" % time.monotonic_ns()
    stream = raw.headers(VALIDATE)
    raw.data(stream, message(marker, length=1000), end=False)
    raw.ping()
    assert Client(server.channel()).act("scan-" + marker.decode()[::-1]) == "hits=0"
    raw.data(stream, b"\xfa\x07" + b"\0" * (998 - len(marker)))
    assert status(raw.wait(stream)) == INVALID


def test_large_request_does_not_stall(raw):
    """The windows let a request of the limit through without waiting for updates."""
    raw.ping()
    stream = raw.headers(VALIDATE)
    unknown = b"\xfa\x07\x80\x80\x20" + b"y" * 524288  # field 127 of 512 KiB
    body = message(volume("large") + unknown)
    for at in range(0, len(body), 16384):
        raw.data(stream, body[at:at + 16384], end=at + 16384 >= len(body))
    seen = raw.wait(stream)
    assert status(seen) == 0 and b"large" in seen["data"]


def test_slow_reader_is_bounded(start):
    """Many large replies for a client that gives all the window but does not read."""
    server = start(idle_ms=2000)
    with Raw(server.path, settings=struct.pack(">HI", 4, 0x7fffffff)) as raw:
        raw.send(frame(WINDOW, 0, 0, struct.pack(">I", 0x7fff0000)))
        raw.ping()
        rss = server.rss_kib()
        for _ in range(30):
            raw.start(VALIDATE, message(volume("big-3000000")))
        until(lambda: len(server.lines(volume="big-3000000")) == 30, 20, "all workers have answered")
        assert server.rss_kib() - rss < 24 * 1024
        until(lambda: "closing a connection that makes no progress" in server.log(), 10,
              "the slow reader is dropped")
        until(lambda: server.rss_kib() - rss < 8 * 1024, what="its replies are freed")


def test_no_window_given(start):
    """The client reads but gives no window for the reply: its stream is reset, nothing else."""
    server = start(idle_ms=600)
    with Raw(server.path, settings=struct.pack(">HI", 4, 0)) as raw:
        stream = raw.start(VALIDATE, message(volume("big-100000")))
        begin = time.monotonic()
        seen = raw.wait(stream)
        assert seen["rst"] == CANCEL and 0.4 < time.monotonic() - begin < 5
        raw.ping()


def test_flow_control_in_small_steps(raw):
    raw.send(frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 1000)))
    stream = raw.start(VALIDATE, message(volume("big-20000")))
    deadline = time.monotonic() + 10
    while not raw.streams.get(stream, {}).get("end"):
        got = raw.read_frame(deadline)
        if got[0] == DATA and got[3]:
            assert len(got[3]) <= 1000
            raw.send(frame(WINDOW, 0, stream, struct.pack(">I", len(got[3]))))
    assert raw.streams[stream]["data"].count(b"x") == 20000


def test_silent_peer_is_dropped(start):
    server = start(handshake_ms=500)
    idle = server.descriptors()
    with Raw(server.path, hello=False) as silent, Raw(server.path, hello=False) as half, Raw(server.path) as honest:
        half.send(PREFACE[:10])
        honest.ping()
        assert 0.3 < silent.wait_close() < 3
        half.wait_close(3)
        time.sleep(0.5)
        honest.ping()  # a connection that has shaken hands may idle for ever
        assert server.descriptors() == idle + 1


@pytest.mark.parametrize("part", [
    frame(HEADERS, END_HEADERS, 1, b"x" * 30)[:5], frame(HEADERS, END_HEADERS, 1, b"x" * 30)[:20],
    frame(PING, 0, 0, b"12345678")[:12], frame(HEADERS, 0, 1, b"\x82")], ids=["head", "payload", "ping", "block"])
def test_stuck_in_a_frame(start, part):
    server = start(idle_ms=500)
    with Raw(server.path) as raw:
        raw.ping()
        raw.send(part)
        assert 0.3 < raw.wait_close() < 3
    assert Client(server.channel()).probe()


def test_dripping_does_not_help(start):
    server = start(idle_ms=500)
    with Raw(server.path) as raw:
        raw.ping()
        begin = time.monotonic()
        with pytest.raises(OSError):
            for byte in frame(HEADERS, END_HEADERS, 1, b"x" * 200):
                raw.send(bytes([byte]))
                time.sleep(0.05)
        assert time.monotonic() - begin < 4


def test_stuck_in_a_request(start):
    server = start(idle_ms=500)
    with Raw(server.path) as raw:
        stream = raw.headers(VALIDATE)
        raw.data(stream, message(b"x", length=1000), end=False)
        seen = raw.wait(stream)
        assert status(seen) == DEADLINE_EXCEEDED and "did not arrive" in seen["headers"]["grpc-message"]
        assert status(raw.call()) == 0  # the connection is still good
        assert status(raw.call(VALIDATE, message(volume("sleep-900")))) == 0  # a slow worker is not a stuck request


def test_descriptors_run_out(start):
    """200 clients, 64 descriptors: waits without spinning, and serves again when they are gone."""
    server = start(files=64, connections=1000)
    socks = []
    for _ in range(100):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(server.path)
        socks.append(sock)
    until(lambda: "cannot accept a connection now" in server.log(), what="EMFILE")
    before = server.cpu_seconds()
    time.sleep(1)
    assert server.cpu_seconds() - before < 0.3
    for sock in socks:
        sock.close()
    client = Client(server.channel())
    assert client.probe(10) and client.act("back") == "back"


def test_worker_without_descriptors(start):
    server = start(files=24, connections=1000)
    with Raw(server.path) as raw:
        raw.ping()
        socks = []
        for _ in range(30):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(server.path)
            socks.append(sock)
        until(lambda: "cannot accept a connection now" in server.log(), what="EMFILE")
        seen = raw.call(VALIDATE, message(volume("x")))
        assert status(seen) == UNAVAILABLE and "Too many open files" in seen["headers"]["grpc-message"]
        assert status(raw.call()) == 0
        for sock in socks:
            sock.close()
        until(lambda: status(raw.call(VALIDATE, message(volume("x")))) == 0, 10, "workers start again")
    assert not server.children() or until(lambda: not server.children())


def test_too_many_connections(start):
    server = start(connections=4)
    raws = [Raw(server.path) for _ in range(4)]
    for raw in raws:
        raw.ping()
    with Raw(server.path, hello=False) as fifth:
        assert fifth.wait_close() < 2
    assert server.log().count("too many connections") == 1
    before = server.descriptors()
    raws[0].close()
    until(lambda: server.descriptors() < before, what="one is free")
    with Raw(server.path) as again:
        again.ping()
    for raw in raws:
        raw.close()


def test_10000_connections(server):
    def visit(i):
        with Raw(server.path) as raw:
            if i % 4 == 0:
                raw.start()
            elif i % 4 == 1:
                raw.headers(VALIDATE)
            elif i % 4 == 2:
                assert status(raw.call()) == 0

    for i in range(400):
        visit(i)
    time.sleep(0.3)
    rss, descriptors = server.rss_kib(), server.descriptors()
    for i in range(10000):
        visit(i)
    until(lambda: server.descriptors() <= descriptors, what="no more descriptors than before")
    assert len(server.lines(method="Probe", code="OK")) >= 2500 and "too many" not in server.log()
    assert server.rss_kib() - rss < 2048


def test_random_bytes_behind_a_hello(server):
    import random
    source = random.Random(20260101)
    for _ in range(300):
        with Raw(server.path) as raw:
            blob = b"".join(
                frame(source.randrange(11), source.randrange(256), source.randrange(8), source.randbytes(source.randrange(60)))
                for _ in range(source.randrange(1, 12)))
            raw.send_quietly(blob)
            if source.random() < 0.5:
                raw.send_quietly(source.randbytes(source.randrange(64)))


def test_mutated_calls(server):
    """Bits turned in a good conversation."""
    import random
    source = random.Random(42)
    with Raw(server.path) as model:
        block = model.encoder.encode(request_headers(VALIDATE))
    good = (PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, block) +
            frame(DATA, END_STREAM, 1, message(volume("fuzz") + b"\x2a\x06\x0a\x01k\x12\x01v")))
    for _ in range(600):
        bad = bytearray(good)
        for _ in range(source.randrange(1, 6)):
            bad[source.randrange(24, len(bad))] = source.randrange(256)
        with Raw(server.path, hello=False) as raw:
            raw.send_quietly(bytes(bad))
            raw.sock.shutdown(socket.SHUT_WR)
            raw.wait_close()
