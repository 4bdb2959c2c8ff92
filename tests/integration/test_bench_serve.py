# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_bench_serve.py - `pomona bench --url` tells what a server did.

Against a real node the figures must agree with one another; against a server
that misbehaves on purpose each fault must be counted under its own name.
"""
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.cluster import MODEL, Cluster, free_ports

POMONA = os.environ["POMONA"]
DEADLINE_S = 240


def bench(*args, model=MODEL):
    return subprocess.run([POMONA, "bench", model, *map(str, args)], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False)


def report(*args, model=MODEL):
    done = bench(*args, "--json", model=model)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    return json.loads(line)


@pytest.fixture(name="node", scope="module")
def node_fixture(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("bench"), names="a", threads=2) as cluster:
        cluster.start()
        yield cluster["a"]


def url_of(node):
    return f"http://127.0.0.1:{node.api_port}/v1"


def assert_ordered(distribution):
    values = [distribution[p] for p in ("p50", "p90", "p95", "p99", "max")]
    assert values == sorted(values) and values[0] > 0, distribution
    assert distribution["mean"] <= distribution["max"]


def test_a_closed_loop_answers_every_request(node):
    r = report("--url", url_of(node), "-c", 3, "--requests", 7, "--words", 12, "--max-tokens", 6,
               "--extra", '{"ignore_eos": true}')
    assert (r["loop"], r["clients"], r["requests"], r["answered"]) == ("closed", 3, 7, 7)
    assert r["errors"] == {} and r["goodput"] == 1
    assert r["tokens_from"] == "usage" and r["completion_tokens"] == 7 * 6
    assert r["prompt_tokens"] >= 7 * 12
    assert r["tokens_per_s"] == pytest.approx(42 / r["seconds"], rel=1e-3)
    for name in ("ttft_ms", "gap_ms", "token_ms", "latency_ms"):
        assert_ordered(r[name])
    assert r["ttft_ms"]["p50"] <= r["latency_ms"]["p50"]
    assert r["latency_ms"]["max"] <= 1000 * r["seconds"] + 1


def test_an_open_loop_sends_at_its_own_pace(node):
    r = report("--url", url_of(node), "--rate", 20, "--requests", 6, "--words", 8, "--max-tokens",
               4, "--seed", 3)
    assert (r["loop"], r["rate"], r["answered"]) == ("open", 20, 6)


def test_bounds_that_no_answer_meets_leave_no_goodput(node):
    r = report("--url", url_of(node), "-c", 1, "--requests", 2, "--words", 4, "--max-tokens", 2,
               "--ttft-ms", 0.001)
    assert r["answered"] == 2 and r["goodput"] == 0


def test_duration_ends_a_run(node):
    r = report("--url", url_of(node), "-c", 2, "--requests", 100000, "--duration", 1, "--words", 4,
               "--max-tokens", 2)
    assert 0 < r["requests"] < 100000


def test_the_table_is_for_people(node):
    done = bench("--url", url_of(node), "-c", 2, "--requests", 2, "--words", 4, "--max-tokens", 4)
    assert done.returncode == 0, done.stderr
    for words in ("closed loop, 2 clients", "2 of 2", "tokens/s", "P99", "to the first token"):
        assert words in done.stdout


def test_what_cannot_be_measured_is_said_at_once(node):
    done = bench("--url", url_of(node), model="no-such-model")
    assert done.returncode == 1 and "no-such-model" in done.stderr and "http_4xx" in done.stderr
    (port,) = free_ports(1)
    done = bench("--url", f"http://127.0.0.1:{port}/v1")
    assert done.returncode == 1 and "no_connection" in done.stderr
    assert bench("--url", "nonsense").returncode == 1
    assert bench("--url", url_of(node), "--extra", "[]").returncode == 1


class Moody(BaseHTTPRequestHandler):
    """Answers well once, then as the mood of the server says; no usage, which llama.cpp of old and
    others leave out."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def event(self, data):
        line = f"data: {data}\r\n\r\n".encode()
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    def text(self, words):
        self.event(json.dumps({"choices": [{"delta": {"content": words}}]}))

    def refuse(self, status):
        body = json.dumps({"error": {"message": "not today"}}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.lock:
            self.server.n_requests += 1
            mood = "fine" if self.server.n_requests <= 2 else self.server.mood
        if mood.isdigit():
            self.refuse(int(mood))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.event('{"choices": [{"delta": {"role": "assistant", "content": ""}}]}')
        getattr(self, "be_" + mood)()

    def be_fine(self):
        for words in ("one", " two", " three"):
            self.text(words)
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def be_broken(self):
        self.text("one")
        self.close_connection = True

    def be_slow(self):
        self.text("one")
        self.server.end.wait(DEADLINE_S)
        self.close_connection = True

    def be_sorry(self):
        self.text("one")
        self.event('{"error": {"message": "the instance is gone"}}')
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")

    def be_silly(self):
        self.event("well, well")
        self.event("[DONE]")
        self.wfile.write(b"0\r\n\r\n")


@pytest.mark.parametrize("mood, fault", [
    ("fine", None), ("broken", "broken_off"), ("slow", "timeout"), ("sorry", "error_event"),
    ("silly", "not_understood"), ("429", "http_4xx"), ("503", "http_5xx")])
def test_each_fault_has_its_name(mood, fault):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    server.daemon_threads = True
    server.mood, server.n_requests, server.lock = mood, 0, threading.Lock()
    server.end = threading.Event()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        r = report("--url", f"http://127.0.0.1:{server.server_address[1]}/v1/", "-c", 1,
                   "--requests", 4, "--timeout", 3, model="any")
    finally:
        server.end.set()
        server.shutdown()
        server.server_close()
    # The first, unmeasured, is not among the four; the second is fine.
    assert r["requests"] == 4 and r["tokens_from"] == "chunks"
    assert r["answered"] == (1 if fault else 4)
    assert r["errors"] == ({fault: 3} if fault else {})
    assert r["completion_tokens"] == 3 * r["answered"]
