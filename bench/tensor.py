#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/tensor.py - two nodes beside one, and beside distributed-llama and llama.cpp's RPC.

    sudo .venv/bin/python bench/tensor.py --peers DIR [--rate 10gbit,1gbit] [--rounds 3]

Two hosts as network namespaces whose links are shaped; each node computes with one thread on a core of
its own.  All take turns, a round after another, on one random model of 1B parameters in Q4_0, which is
made where it is missing; medians of the rounds, and their range.  Ratios are of what was measured in one round.

    one node             a node alone, the other idle
    side by side         both with the whole model and a stream each, nothing sent: two cores of one machine
                         share its memory, so this is the most that two nodes can be here; on two machines
                         it were twice one node
    tensor, pipeline     the same model over both
    dllama               distributed-llama, root and worker
    llama.cpp RPC        llama-server with half of the layers on an ggml-rpc-server

Waiting: the driver's share of the time of its steps that it waits for the other rank.  Streams draw with
top-k 40, as the peers' defaults do; else a random model's text repeats itself and is guessed ahead.
"""
import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dllama_model
import predict
from predict import ROOT
from support.machines import Machines
from support.netns import SMALL_BUCKET, Network, is_possible

ONE, MANY = 1, 32
N_SHORT, N_LONG = 8, {ONE: 104, MANY: 40}
HOW = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "ignore_eos": True}
PEER_PORT = 9998
READY_S = 180


def seconds(host, port, model, n, n_tokens):
    """Until n answers of so many tokens, asked for at once, are all there."""
    begin = time.monotonic()
    streams = [predict.Stream(host, port, model, seed, n_tokens=n_tokens, **HOW) for seed in range(n)]
    predict.read_all(streams)
    return time.monotonic() - begin


def client(host, port, model, n):
    """Tokens/s while n streams decode: of what long answers have more than short ones, as some tokens
    of a random model are no text and nothing tells when they come."""
    seconds(host, port, model, n, N_SHORT)
    short, long = (seconds(host, port, model, n, k) for k in (N_SHORT, N_LONG[n]))
    return n * (N_LONG[n] - N_SHORT) / (long - short)


class Bed:
    """Two hosts, the nodes on them, and what asks them."""

    def __init__(self, options, rate, stack):
        self.o = options
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pomona-tensor-")))
        self.machines = Machines(2, self.folder)
        self.network = stack.enter_context(Network(2, [rate], SMALL_BUCKET))
        self.model = options.model.name.removesuffix(".gguf")
        self.nodes = predict.Nodes(self.network, str(options.pomona), [options.model], self.folder, 2,
                                   self.machines)
        self.nodes.wait_measured()

    def ask(self, host, port, model, streams, on=None):
        """A client on the host, beside the core that drives where there is one."""
        at = self.network.hosts[host]
        return at.popen([sys.executable, __file__, "--client", f"{at.address}:{port}", model,
                         str(streams)], stdout=subprocess.PIPE, text=True,
                        preexec_fn=self.machines.beside(host if on is None else on))

    def rate_of(self, asking):
        said, _ = asking.communicate(timeout=READY_S)
        assert asking.returncode == 0, said
        return float(said)

    def loads(self):
        """(seconds of steps, seconds waited) of the driver so far; it tells several times a second."""
        time.sleep(1)
        (instance,) = self.nodes.get("/cluster/state")["instances"]
        return instance["step_seconds"], instance["wait_seconds"]

    def ours(self, names, streams, *more):
        """(tokens/s of each number of streams, share waited)"""
        self.nodes.place_on(self.model, names, "--streams", str(max(streams)), *more)
        driver = int(names[-1][1:])
        try:
            self.rate_of(self.ask(driver, 52415, self.model, ONE))    # everything is warm
            rates = []
            for n in streams:
                before = self.loads()
                rate = self.rate_of(self.ask(driver, 52415, self.model, n))
                steps, waited = (b - a for a, b in zip(before, self.loads()))
                rates.append((rate, waited / max(steps, 1e-9)))
            return rates
        finally:
            self.nodes.unplace(self.model)

    def side_by_side(self):
        """Each node has an instance of its own; the sum of what both make at one time."""
        for name in ("n0", "n1"):
            self.nodes.place_on(self.model, [name])
        try:
            both = [self.ask(i, 52415, self.model, ONE, on=i) for i in range(2)]
            return sum(self.rate_of(one) for one in both)
        finally:
            self.nodes.unplace(self.model)

    def on(self, i, command, log):
        how = self.machines.on(i, command)
        return self.network.hosts[i].popen(**how, stdout=log, stderr=subprocess.STDOUT, text=True)

    def dllama(self):
        worker_host, root = self.network.hosts[0], self.network.hosts[1]
        program = self.o.peers / "dllama"
        n_steps = N_LONG[ONE] + len(predict.PROMPT)
        with open(self.folder / "dllama.log", "w+", encoding="utf-8") as log:
            worker = self.on(0, [program, "worker", "--port", PEER_PORT, "--nthreads", 1], log)
            try:
                time.sleep(0.5)
                done = root.run(
                    ["taskset", "-c", str(self.machines.cores[1]), program, "inference", "--model",
                     self.o.dllama[0], "--tokenizer", self.o.dllama[1], "--buffer-float-type", "q80",
                     "--nthreads", "1", "--max-seq-len", "1024", "--prompt", predict.PROMPT, "--steps",
                     str(n_steps), "--workers", f"{worker_host.address}:{PEER_PORT}"], errors="replace")
            finally:
                worker_host.end(worker)
        return float(re.search(r"Prediction\n.*\n\s*tokens/s: ([\d.]+)", done)[1])

    def llama_rpc(self):
        hosts = self.network.hosts
        with open(self.folder / "rpc.log", "w+", encoding="utf-8") as log:
            remote = self.on(0, [self.o.peers / "ggml-rpc-server", "-H", hosts[0].address, "-p",
                                 PEER_PORT, "-t", 1], log)
            time.sleep(0.5)
            server = self.on(1, [self.o.peers / "llama-server", "-m", self.o.model, "--rpc",
                                 f"{hosts[0].address}:{PEER_PORT}", "-ngl", 8, "-t", 1, "-c", 2048,
                                 "--fit", "off", "--host", hosts[1].address, "--port", PEER_PORT], log)
            try:
                self._wait_ready(hosts[1])
                self.rate_of(self.ask(1, PEER_PORT, "any", ONE))
                return self.rate_of(self.ask(1, PEER_PORT, "any", ONE))
            finally:
                hosts[1].end(server)
                hosts[0].end(remote)

    def _wait_ready(self, host):
        until = time.monotonic() + READY_S
        while True:
            try:
                host.run(["curl", "-sf", "-m", "2", f"http://{host.address}:{PEER_PORT}/health"])
                return
            except subprocess.CalledProcessError:
                assert time.monotonic() < until, (self.folder / "rpc.log").read_text()[-2000:]
                time.sleep(0.3)


def one_round(bed, parts):
    """{name: (tokens/s, share waited or None)}"""
    got = {}
    if "tensor" in parts or "pipeline" in parts:
        streams = [n for n, part in ((ONE, "tensor"), (MANY, "pipeline")) if part in parts]
        for n, figures in zip(streams, bed.ours(["n1"], streams)):
            got["one node", n] = figures
    if "tensor" in parts:
        got["side by side", ONE] = bed.side_by_side(), None
        for wire in bed.o.wires:
            got[f"tensor, {wire}", ONE] = bed.ours(
                ["n0", "n1"], [ONE], "--strategy", "tensor", "--split", "1,1",
                *(["--wire", wire] if wire != "f32" else []))[0]
    if "pipeline" in parts:
        got["pipeline", MANY] = bed.ours(["n0", "n1"], [MANY], "--strategy", "pipeline")[0]
    if "dllama" in parts:
        got["dllama", ONE] = bed.dllama(), None
    if "rpc" in parts:
        got["llama.cpp RPC", ONE] = bed.llama_rpc(), None
    return got


def row(rate, name, n, rounds):
    rates = [r[name, n][0] for r in rounds]
    ratios = [r[name, n][0] / r["one node", n][0] for r in rounds if ("one node", n) in r]
    waits = [r[name, n][1] for r in rounds if r[name, n][1] is not None]
    middle = statistics.median
    against = f"{middle(ratios):.2f} | {min(ratios):.2f} - {max(ratios):.2f}" if ratios else "| "
    waited = f"{middle(waits):.0%}" if waits else ""
    return (f"| {rate} | {name} | {n} | {middle(rates):.1f} | {min(rates):.1f} - {max(rates):.1f} "
            f"| {against} | {waited} |")


def run(options):
    print("| links | what | streams | tokens/s | from - to | of one node | from - to | waiting |\n"
          "|---|---|---|---|---|---|---|---|", flush=True)
    for rate in options.rate:
        with contextlib.ExitStack() as stack:
            bed = Bed(options, rate, stack)
            rounds = []
            for _ in range(options.rounds):
                rounds.append(one_round(bed, options.only))
                print(json.dumps({f"{k[0]} x{k[1]}": v for k, v in rounds[-1].items()}),
                      file=sys.stderr, flush=True)
            for name, n in rounds[0]:
                print(row(rate, name, n, rounds), flush=True)
    return 0


def prepare(options):
    """The models, where they are missing."""
    if not options.model.exists():
        options.model.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, ROOT / "bench/make_model.py", "llama-1b", options.model,
                        "--tokenizer", options.tokenizer], check=True)
    if "dllama" in options.only:
        options.dllama = [options.model.with_suffix(end) for end in (".m", ".t")]
        dllama_model.write(options.model, *options.dllama)


def words(text):
    return [word for word in text.split(",") if word]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pomona", type=Path, default=ROOT / "build/release/pomona")
    parser.add_argument("--model", type=Path, default=ROOT / ".cache/bench/llama-1b-q4_0.gguf")
    parser.add_argument("--tokenizer", default=str(
        ROOT / ".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf"), help="of a model that is made")
    parser.add_argument("--peers", type=Path, help="folder of dllama, llama-server and ggml-rpc-server")
    parser.add_argument("--rate", type=words, default=["10gbit", "1gbit"], help="as tc writes it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wires", type=words, default=["f32"], help="of sums: f32, f16, q8")
    parser.add_argument("--only", type=words, default=["tensor", "pipeline", "dllama", "rpc"])
    parser.add_argument("--client", nargs=3, help=argparse.SUPPRESS)  # itself, inside a namespace
    options = parser.parse_args()
    if options.client:
        where, model, streams = options.client
        host, port = where.split(":")
        print(client(host, int(port), model, int(streams)))
        return 0
    if not is_possible():
        print("SKIPPED: network namespaces need root", file=sys.stderr)
        return 0
    if not options.peers:
        options.only = [part for part in options.only if part not in ("dllama", "rpc")]
    options.pomona, options.model = options.pomona.resolve(), options.model.absolute()
    prepare(options)
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
