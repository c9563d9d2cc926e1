#!/usr/bin/env python3
"""agent PORT: in the VM, runs what the tests want to know or do on the node itself: one JSON list of words comes
in on a connection, one object with status and output goes back. Only the machine outside can reach the port."""
import json
import socketserver
import subprocess
import sys


class Call(socketserver.StreamRequestHandler):
    def handle(self):
        call = json.loads(self.rfile.readline())
        done = subprocess.run(call["words"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=call["seconds"], check=False)
        self.wfile.write(json.dumps({"status": done.returncode, "output": done.stdout.decode(errors="replace")}).encode() + b"\n")


class Agent(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


Agent(("", int(sys.argv[1])), Call).serve_forever()
