#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/gap.py - what running streams feel while a long prompt is computed.

    bench/gap.py --streams 4 --prompt 4096

Starts `pomona serve`, lets streams run, then sends one long prompt.  Printed:
the gap between the tokens of a stream until its first token, and what it was
without, median and 95th percentile, and their ratios.  Streams grow meanwhile,
and each of their tokens takes longer than the last; so what it was without is
the mean of the time before the prompt came and the time after it was answered.
"""
import argparse
import http.client
import json
import pathlib
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
READY_S = 60
ANSWER_S = 300


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--pomona", default=str(ROOT / "build/release/pomona"))
    parser.add_argument("--model",
                        default=str(ROOT / ".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--prompt", type=int, default=4096, help="tokens of the long prompt")
    parser.add_argument("--vocabulary", type=int, default=49000, help="its tokens are below this")
    parser.add_argument("--before", type=float, default=3, help="seconds before it comes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


class Stream(threading.Thread):
    """One streamed answer; remembers when each piece of it came."""

    def __init__(self, port, body):
        super().__init__(daemon=True)
        self.port, self.body = port, body
        self.times = []
        self.stopping = False

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_S)
        connection.request("POST", "/v1/completions", json.dumps(self.body | {"stream": True}),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            sys.exit(f"the server answered {answer.status}: {answer.read()[:300]}")
        for line in answer:
            if line.startswith(b"data: {"):
                self.times.append(time.monotonic())
            if self.stopping:
                break
        connection.close()

    def gaps(self, since, until):
        """Pieces that came together are one: guessed tokens are told at once."""
        times = [t for t in self.times if since <= t <= until]
        gaps = [b - a for a, b in zip(times, times[1:])]
        return [g for g in gaps if g > 1e-4]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(is_true, seconds, what):
    until = time.monotonic() + seconds
    while not is_true():
        if time.monotonic() > until:
            sys.exit(f"after {seconds} s still not: {what}")
        time.sleep(0.01)


def answers(port):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False


def measure(a, port):
    rng = random.Random(a.seed)

    def prompt(n):
        return [rng.randrange(20, a.vocabulary) for _ in range(n)]

    def body(n_prompt, n_tokens):
        return {"model": pathlib.Path(a.model).name.removesuffix(".gguf"),
                "prompt": prompt(n_prompt), "max_tokens": n_tokens, "ignore_eos": True,
                "temperature": 1, "seed": rng.randrange(1 << 30)}

    streams = [Stream(port, body(64, 4000)) for _ in range(a.streams)]
    for stream in streams:
        stream.start()
    wait_for(lambda: all(s.times for s in streams), ANSWER_S, "all streams run")
    running = time.monotonic()
    time.sleep(a.before)
    long = Stream(port, body(a.prompt, 2))
    sent = time.monotonic()
    long.start()
    wait_for(lambda: long.times, ANSWER_S, "the long prompt is answered")
    first = long.times[0]
    time.sleep(a.before)
    until = time.monotonic()
    for stream in streams:
        stream.stopping = True
    times = {"before": (running, sent), "during": (sent, first), "after": (long.times[-1], until)}
    return ({name: [g for s in streams for g in s.gaps(*span)] for name, span in times.items()},
            first - sent)


def p95(values):
    return sorted(values)[int(len(values) * 0.95)]


def report(a, gaps, ttft):
    result = {"ttft_s": ttft, "streams": a.streams, "prompt": a.prompt}
    for name, middle in (("median", statistics.median), ("p95", p95)):
        ms = {when: middle(values) * 1e3 for when, values in gaps.items()}
        without = (ms["before"] + ms["after"]) / 2
        result |= {f"{when}_{name}_ms": value for when, value in ms.items()}
        result[f"{name}_ratio"] = ms["during"] / without
    if a.json:
        print(json.dumps(result))
        return
    for name in ("median", "p95"):
        print(f"gap, {name:6}  " + "  ".join(f"{when} {result[f'{when}_{name}_ms']:7.2f} ms"
                                             for when in gaps)
              + f"  ratio {result[f'{name}_ratio']:.2f}")
    print(f"first token of the {a.prompt} tokens after {ttft:.2f} s, "
          f"{len(gaps['during'])} gaps of {a.streams} streams meanwhile")


def main():
    a = arguments()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([a.pomona, "serve", "--model", a.model, "--listen",
                                   f"127.0.0.1:{port}", "--data", folder],
                                  stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: answers(port), READY_S, "the server is ready")
            report(a, *measure(a, port))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(timeout=30)


if __name__ == "__main__":
    main()
