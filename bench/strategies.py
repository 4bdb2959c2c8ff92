#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/strategies.py - what the planner says of one node, a team of two and two stages, and what they do.

    sudo .venv/bin/python bench/strategies.py [--rate 10gbit,1gbit] [--rounds 3] [--wires f32,f16,q8]

The two nodes of bench/tensor.py, their links shaped, a core and a thread each, measure themselves and their
links, and are asked for a plan of each way for the streams that are then measured.  Each round does all of that
anew, as what a machine's memory gives changes with its neighbours; the error is the median of the
rounds' errors.  Exits with 1 where one is off by more than --bound.

Two nodes here read one memory, which two machines would not.  How much that costs is measured beside:
each with the whole model and a stream, at one time ("side by side"), against what one does alone.  The planner
is asked about two machines, so it is too fast for a team by up to that.
"""
import argparse
import contextlib
import json
import statistics
import sys
import urllib.parse
from pathlib import Path

import predict
import tensor
from predict import ROOT
from support.netns import is_possible

CONTEXT = 1024
# What each row is: its nodes, strategy and numbers of streams.
WAYS = {"single": (["n1"], [1, 32]), "tensor": (["n0", "n1"], [1]), "pipeline": (["n0", "n1"], [1, 32])}


def attended(n):
    """Tokens that a row attends to, on average, while n streams are measured."""
    return len(predict.PROMPT.split()) + tensor.N_LONG[n] // 2


def predicted(bed, way, n, more):
    names, _ = WAYS[way]
    query = {"model": bed.model, "nodes": ",".join(names), "streams": n, "context": CONTEXT,
             "prompt": attended(n), "overrides": f"strategy={way}", **more}
    ways = bed.nodes.get(f"/cluster/plan?{urllib.parse.urlencode(query)}")["strategies"]
    found = next(one for one in ways if one["name"] == way)
    assert found["possible"], found
    return found["tokens_per_s"]


def measured(bed, way, streams, more):
    options = [part for key, value in more.items() for part in (f"--{key}", value)]
    rates = bed.ours(WAYS[way][0], streams, "--strategy", way, *options)
    return [rate for rate, _ in rates]


def rows_of(options):
    """(way, wire or nothing, numbers of streams) in the order in which they take turns."""
    for way in options.only:
        for wire in options.wires if way == "tensor" else [None]:
            yield way, {} if wire in (None, "f32") else {"wire": wire}, WAYS[way][1]


def told(bed):
    state = bed.nodes.get("/cluster/state")
    speeds = [f"{node['speed']['memory_gbs']:.1f} GB/s and {node['speed']['compute_gops']:.0f} GOPS"
              for node in state["nodes"]]
    links = [f"{link['latency_us']:.0f} us and {link['bytes_per_s'] / 1e6:.0f} MB/s"
             for link in state["links"]]
    return f"nodes: {'; '.join(speeds)}; links: {'; '.join(links)}"


def one_round(options, rate):
    """([(predicted, measured)] of each way, side by side): machine and links measured, then the ways."""
    with contextlib.ExitStack() as stack:
        bed = tensor.Bed(options, rate, stack)
        print(told(bed), file=sys.stderr, flush=True)
        rows = list(rows_of(options))
        said = [[predicted(bed, way, n, more) for n in streams] for way, more, streams in rows]
        done = [measured(bed, way, streams, more) for way, more, streams in rows]
        return [list(zip(*both)) for both in zip(said, done)], bed.side_by_side()


def one_rate(options, rate):
    """Print a row for each way; the largest error."""
    worst, rounds, beside = 0, [], []
    for _ in range(options.rounds):
        got, together = one_round(options, rate)
        rounds.append(got)
        beside.append(together)
        print(json.dumps({"predicted, measured": got, "side by side": together}), file=sys.stderr, flush=True)
    for i, (way, more, streams) in enumerate(rows_of(options)):
        for k, n in enumerate(streams):
            pairs = [got[i][k] for got in rounds]
            errors = [said / done - 1 for said, done in pairs]
            worst = max(worst, abs(statistics.median(errors)))
            print(f"| {rate} | {' '.join([way, *more.values()])} | {n} "
                  f"| {statistics.median(said for said, _ in pairs):.1f} "
                  f"| {statistics.median(done for _, done in pairs):.1f} | {statistics.median(errors):+.0%} "
                  f"| {min(errors):+.0%} - {max(errors):+.0%} |", flush=True)
    print(f"| {rate} | side by side | 1 | | {statistics.median(beside):.1f} | | |", flush=True)
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pomona", type=Path, default=ROOT / "build/release/pomona")
    parser.add_argument("--model", type=Path, default=ROOT / ".cache/bench/llama-1b-q4_0.gguf")
    parser.add_argument("--tokenizer", default=str(
        ROOT / ".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf"), help="of a model that is made")
    parser.add_argument("--rate", type=tensor.words, default=["10gbit"], help="as tc writes it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wires", type=tensor.words, default=["f32"], help="of sums: f32, f16, q8")
    parser.add_argument("--only", type=tensor.words, default=list(WAYS), help="of " + ", ".join(WAYS))
    parser.add_argument("--bound", type=float, default=0.2)
    options = parser.parse_args()
    if not is_possible():
        sys.exit("network namespaces need root")
    options.pomona, options.model = options.pomona.resolve(), options.model.absolute()
    tensor.prepare(options)
    print("| links | what | streams | predicted | measured | error | from - to |\n|---|---|---|---|---|---|---|",
          flush=True)
    worst = max(one_rate(options, rate) for rate in options.rate)
    print(f"\nThe worst is off by {worst:.0%}, {options.bound:.0%} are allowed.")
    return 0 if worst <= options.bound else 1


if __name__ == "__main__":
    sys.exit(main())
