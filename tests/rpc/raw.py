"""A hand-made HTTP/2 client: says exactly what a test wants, however wrong."""

import socket
import struct
import time

import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
PROBE = "/csi.v1.Identity/Probe"
VALIDATE = "/csi.v1.Controller/ValidateVolumeCapabilities"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def message(payload=b"", flag=0, length=None):
    return struct.pack(">BI", flag, len(payload) if length is None else length) + payload


def volume(identity):
    """A ValidateVolumeCapabilitiesRequest with this volume_id, as bytes."""
    text = identity if isinstance(identity, bytes) else identity.encode()
    assert len(text) < 128
    return b"\x0a" + bytes([len(text)]) + text


def request_headers(path, **changes):
    headers = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost",
               "te": "trailers", "content-type": "application/grpc"}
    headers.update({key.replace("_", "-") if key[0] != ":" else key: value for key, value in changes.items()})
    return [(key, value) for key, value in headers.items() if value is not None]


class Raw:
    def __init__(self, path, hello=True, settings=b"", timeout=10):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)  # blocking: with a timeout a full backlog would be an error
        self.sock.settimeout(timeout)
        self.timeout = timeout
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.buffer = b""
        self.closed = False
        self.goaway = None
        self.streams = {}
        self.next_stream = 1
        self.hello = hello
        if hello:
            self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def send(self, data):
        self.sock.sendall(data)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def headers(self, path=PROBE, end=False, stream=None, header_list=None, **changes):
        if stream is None:
            stream = self.next_stream
            self.next_stream += 2
        block = self.encoder.encode(header_list or request_headers(path, **changes))
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block))
        return stream

    def data(self, stream, payload, end=True):
        self.send(frame(DATA, END_STREAM if end else 0, stream, payload))

    def start(self, path=PROBE, body=None, **changes):
        stream = self.headers(path, **changes)
        self.data(stream, message() if body is None else body)
        return stream

    def call(self, path=PROBE, body=None, **changes):
        return self.wait(self.start(path, body, **changes))

    def read_frame(self, deadline):
        """The next frame, or None when the server has closed the connection."""
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            self.sock.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                more = self.sock.recv(1 << 20)
            except (ConnectionResetError, BrokenPipeError):
                more = b""
            if not more:
                self.closed = True
                return None
            self.buffer += more
        size = int.from_bytes(self.buffer[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
        payload, self.buffer = self.buffer[9:9 + size], self.buffer[9 + size:]
        self.note(kind, flags, stream, payload)
        return kind, flags, stream, payload

    def note(self, kind, flags, stream, payload):
        if kind == GOAWAY:
            self.goaway = (struct.unpack(">I", payload[:4])[0], struct.unpack(">I", payload[4:8])[0])
        elif kind == SETTINGS and not flags & ACK and self.hello:
            self.send_quietly(frame(SETTINGS, ACK, 0))
        if not stream:
            return
        seen = self.streams.setdefault(stream, {"headers": {}, "data": b"", "rst": None, "end": False})
        if kind == HEADERS:
            assert flags & END_HEADERS
            seen["headers"].update(self.decoder.decode(payload))
        elif kind == DATA:
            seen["data"] += payload
        elif kind == RST:
            seen["rst"] = struct.unpack(">I", payload)[0]
        if kind in (HEADERS, DATA) and flags & END_STREAM:
            seen["end"] = True

    def send_quietly(self, data):
        try:
            self.send(data)
        except OSError:
            pass

    def wait(self, stream, timeout=None):
        """What came on the stream by its end (or reset, or the end of the connection)."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            seen = self.streams.get(stream)
            if seen and (seen["end"] or seen["rst"] is not None):
                return seen
            if self.read_frame(deadline) is None:
                return seen or {"headers": {}, "data": b"", "rst": None, "end": False, "closed": True}

    def wait_close(self, timeout=None):
        """Seconds until the server closed the connection."""
        begin = time.monotonic()
        deadline = begin + (timeout or self.timeout)
        while self.read_frame(deadline) is not None:
            pass
        return time.monotonic() - begin

    def ping(self, timeout=None):
        self.send(frame(PING, 0, 0, b"12345678"))
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            got = self.read_frame(deadline)
            assert got is not None, "the server closed the connection"
            if got[0] == PING and got[1] & ACK:
                return


def status(seen):
    """The gRPC status as a number, or None."""
    text = seen["headers"].get("grpc-status")
    return None if text is None else int(text)
