# SPDX-License-Identifier: Apache-2.0
"""tests/support/load.py - a server that computes nothing, a gateway before it, and thousands of clients.

Of the programs of tests/support: stream_double is the server, stream_load the clients.
"""
import json
import os
import resource
import socket
import subprocess
import time
from pathlib import Path

from support.cluster import POMONA, free_ports, resident_bytes

PROGRAMS = Path(os.environ["POMONA_BUILD"]) / "tests" / "support"


def allow_files(n=20000):
    """Let this process and those it starts hold that many files, as far as the system permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < n:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(n, hard), hard))


def wait_listening(port, process, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, f"what should listen on {port} ended: {process.args}"
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on {port}: {process.args}")


class Served:
    """A process that listens on `port`, ended with the block."""

    def __init__(self, command, port, log, seconds=60):
        self.port = port
        self.log = open(log, "wb")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log)
        wait_listening(port, self.process, seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def double(folder, tokens_per_s):
    port = free_ports(1)[0]
    return Served([PROGRAMS / "stream_double", str(port), str(tokens_per_s)], port,
                  folder / "double.log")


def gateway(folder, upstream, option="--gateway-config"):
    port = free_ports(1)[0]
    config = folder / "api_gateway.yaml"
    config.write_text(json.dumps({"upstreams": [
        {"name": "double", "url": f"http://127.0.0.1:{upstream.port}", "models": [{"name": "m"}]}]}))
    return Served([POMONA, "serve", "--data", str(folder / "data"), "--listen",
                   f"127.0.0.1:{port}", "--no-measure", option, str(config)], port,
                  folder / "gateway.log")


def load(port, n, tokens, seconds, memory_of=None):
    """What stream_load says; with the most bytes that process `memory_of` held meanwhile."""
    run = subprocess.Popen([PROGRAMS / "stream_load", "127.0.0.1", str(port), "m", str(n),
                            str(tokens), str(seconds)], stdout=subprocess.PIPE, text=True)
    peak = 0
    while run.poll() is None:
        if memory_of:
            peak = max(peak, resident_bytes(memory_of))
        time.sleep(0.2)
    assert run.returncode == 0, run.returncode
    return {**json.loads(run.stdout.read()), "peak_bytes": peak}
