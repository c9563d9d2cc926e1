"""A proxy in front of an S3 server that is as bad as it is told to be."""
import contextlib
import random
import re
import socket
import struct
import threading
import time

ANSWER = ("HTTP/1.1 {} Bad\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n"
          "Connection: close\r\n\r\n{}")
BODY = "<Error><Code>{}</Code><Message>made by the test</Message></Error>"
CODES = {"500": "InternalError", "503": "SlowDown", "403": "AccessDenied"}


def break_off(one):
    """The other side sees a reset, not an end."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # close() alone waits for a recv() of another thread.
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


class Faulty:
    """mode: "pass"; "refuse" (every connection is reset); "hang" (nothing is answered); "slow"
    (`rate` bytes a second and direction); "drop" (each piece of 64 KiB has the chance `chance` to
    end its connection); "500", "503", "403" (each request is answered so). A connection that begins a request with
    the words of `broken` ("HEAD /bucket/key") is broken off, in every mode."""

    def __init__(self, port):
        self.upstream, self.mode, self.rate, self.chance = port, "pass", 200_000, 0.01
        self.random, self.open, self.dropped = random.Random(1), set(), 0
        self.broken = None
        self.requests = []  # "PUT /bucket/key", as far as they begin a piece
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def be(self, mode):
        """From now on; connections that are open are broken off."""
        self.mode = mode
        for one in list(self.open):
            break_off(one)
        self.open.clear()

    def stop(self):
        self.listener.close()
        self.be("refuse")

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self.listener.accept()[0]
                self.open.add(client)
                threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        mode = self.mode
        if mode == "refuse":
            break_off(client)
        elif mode in CODES:
            with contextlib.suppress(OSError):
                self.answer(client, mode)
            client.close()
        elif mode != "hang":
            try:
                server = socket.create_connection(("127.0.0.1", self.upstream), timeout=10)
            except OSError:
                break_off(client)
                return
            server.settimeout(None)
            self.open.add(server)
            threading.Thread(target=self.pump, args=(client, server), daemon=True).start()
            self.pump(server, client)

    def answer(self, client, mode):
        """One request is read to its end, or the client would see a reset instead of the answer."""
        got = b""
        while b"\r\n\r\n" not in got:
            piece = client.recv(65536)
            if not piece:
                return
            got += piece
        head, body = got.split(b"\r\n\r\n", 1)
        if re.search(rb"^expect: 100", head, re.I | re.M):
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = re.search(rb"^content-length: *(\d+)", head, re.I | re.M)
        left = int(length.group(1)) - len(body) if length else 0
        while left > 0:
            left -= len(client.recv(65536)) or left
        text = "" if head.startswith(b"HEAD") else BODY.format(CODES[mode])
        client.sendall(ANSWER.format(mode, len(text), text).encode())

    def pump(self, source, sink):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                if request := re.match(rb"[A-Z]+ /[^ ?]*", piece):
                    self.requests.append(request.group().decode())
                    if self.requests[-1] == self.broken:
                        break
                if self.mode == "slow":
                    time.sleep(len(piece) / self.rate)
                if self.mode == "drop" and self.random.random() < self.chance:
                    self.dropped += 1
                    break
                sink.sendall(piece)
        for one in (source, sink):
            self.open.discard(one)
            break_off(one)
