#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/decode.py - decode and prompt speed of `pomona bench` against llama.cpp's llama-bench.

    bench/decode.py --peer /path/to/llama-bench

Machines drift (heat, neighbours), so the two programs take turns and each
pair gives one ratio; the median of the ratios and their spread are the
result.  Also measured: cold start, from the start of the process to the
first byte of an answer.  Results go to bench/RESULTS.md.

A busy machine is refused: other work hits the two differently (llama-bench's
threads spin while they wait), so the ratios would say nothing about either.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUN_S = 600
LOAD_MAX = 0.5  # runnable processes, average of the last minute


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--peer", default=os.environ.get("LLAMA_BENCH", "llama-bench"),
                        help="path of llama-bench (LLAMA_BENCH)")
    parser.add_argument("--pomona", default=str(ROOT / "build/release/pomona"))
    parser.add_argument("--model",
                        default=str(ROOT / ".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=256)
    parser.add_argument("--decode", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=9, help="how often the two take turns")
    parser.add_argument("--cold-starts", type=int, default=9)
    parser.add_argument("--busy", action="store_true",
                        help="measure on a busy machine nevertheless; the report says so")
    parser.add_argument("--output", default=str(ROOT / "bench/RESULTS.md"))
    return parser.parse_args()


def output_of(command):
    return subprocess.run(command, capture_output=True, text=True, check=True,
                          timeout=RUN_S).stdout


def pomona_rates(a):
    lines = output_of([a.pomona, "bench", a.model, "-t", str(a.threads), "-p", str(a.prompt),
                       "-n", str(a.decode), "--reps", "1", "--json"])
    return {r["test"]: r["tokens_per_s"] for r in map(json.loads, lines.splitlines())}


def peer_rates(a):
    results = json.loads(output_of([a.peer, "-m", a.model, "-t", str(a.threads), "-p",
                                    str(a.prompt), "-n", str(a.decode), "-r", "1", "-o", "json"]))
    return {f"pp{r['n_prompt']}" if r["n_prompt"] else f"tg{r['n_gen']}": r["avg_ts"]
            for r in results}


def cold_start_s(a):
    start = time.monotonic()
    with subprocess.Popen([a.pomona, "run", a.model, "Hello", "--max-tokens", "4", "-t",
                           str(a.threads), "--temperature", "0"],
                          stdout=subprocess.PIPE) as process:
        first = os.read(process.stdout.fileno(), 1)
        passed = time.monotonic() - start
        process.stdout.read()
    if not first or process.returncode != 0:
        sys.exit("decode.py: pomona run gave no answer")
    return passed


def measure_pairs(a):
    """test -> list of (ours, theirs), the two taking turns at going first."""
    pairs = {}
    for i in range(a.pairs):
        order = (pomona_rates, peer_rates) if i % 2 == 0 else (peer_rates, pomona_rates)
        rates = {measure: measure(a) for measure in order}
        for test, ours in rates[pomona_rates].items():
            pairs.setdefault(test, []).append((ours, rates[peer_rates][test]))
        print(f"pair {i + 1} of {a.pairs}: " + ", ".join(
            f"{test} {p[-1][0]:.1f} / {p[-1][1]:.1f}" for test, p in pairs.items()), flush=True)
    return pairs


def row(test, pairs):
    ratios = [ours / theirs for ours, theirs in pairs]
    return (f"| {test} | {statistics.median(o for o, _ in pairs):.1f} "
            f"| {statistics.median(t for _, t in pairs):.1f} "
            f"| {statistics.median(ratios):.2f} | {min(ratios):.2f} - {max(ratios):.2f} |")


def cpu_name():
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def peer_build(a):
    results = json.loads(output_of([a.peer, "-m", a.model, "-p", "0", "-n", "1", "-r", "1",
                                    "-o", "json"]))
    return results[0]["build_commit"]


def report(a, load, pairs, cold):
    return "\n".join([
        "# Measured speed",
        "",
        f"Made by `bench/decode.py` on {time.strftime('%Y-%m-%d')}: {cpu_name()}, "
        f"{a.threads} threads, {pathlib.Path(a.model).name}, load before {load:.1f}.",
        *(["", "**The machine was busy: these ratios compare nothing.**", ""]
          if load > LOAD_MAX else []),
        f"Peer: llama.cpp's llama-bench, commit {peer_build(a)}. {a.pairs} pairs of runs, the two "
        "taking turns;",
        "tokens per second are medians.",
        "",
        "| test | pomona | llama-bench | median ratio | ratios from - to |",
        "|---|---|---|---|---|",
        *(row(test, p) for test, p in pairs.items()),
        "",
        f"Cold start to the first byte of an answer (`pomona run`): median "
        f"{1000 * statistics.median(cold):.0f} ms, from {1000 * min(cold):.0f} to "
        f"{1000 * max(cold):.0f} ms over {len(cold)} runs.",
        "",
    ])


def main():
    a = arguments()
    load = os.getloadavg()[0]
    if load > LOAD_MAX and not a.busy:
        sys.exit(f"decode.py: the machine is busy (load {load:.1f}); wait, or give --busy")
    cold_start_s(a)  # brings the files into memory
    cold = [cold_start_s(a) for _ in range(a.cold_starts)]
    text = report(a, load, measure_pairs(a), cold)
    pathlib.Path(a.output).write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
