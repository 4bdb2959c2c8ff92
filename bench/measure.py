#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/measure.py - every figure of bench/RESULTS.md, beside llama.cpp's.

bench/run.sh prepares what this needs and calls it.  Programs take turns, and each pair of runs gives
one ratio: machines drift with heat and neighbours, ratios of neighbouring runs hardly do.  The median
of the ratios and their range are the result.
"""
import argparse
import contextlib
import itertools
import json
import os
import pathlib
import platform
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import report

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUN_S = 1800
START_S = 120
TEXT_TOKENS = 20000
BUSY_MAX = 0.1
TEXTS = ("GPL-3", "MPL-2.0", "Apache-2.0", "GFDL-1.3", "LGPL-2.1", "GPL-2")  # of any Debian
CLIENTS, WORDS, ANSWER_TOKENS = 8, 64, 32


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run.sh",
                                     description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--peers", default=os.environ.get("POMONA_PEERS"),
                        help="folder of llama-bench, llama-batched-bench and llama-server "
                        "(POMONA_PEERS)")
    parser.add_argument("--pomona", default=str(ROOT / "build/release/pomona"))
    parser.add_argument("--models", default=str(ROOT / ".cache/bench"), type=pathlib.Path,
                        help="folder of the random models, made where they are missing")
    parser.add_argument("--small", default=str(
        ROOT / ".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf"), help="the real model")
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument("--pairs", type=int, default=5, help="how often two programs take turns")
    parser.add_argument("--only", default="", metavar="PART,PART",
                        help="of speed, server, load, quality")
    parser.add_argument("--prefix", default="", help="before each command, as 'numactl -N 0'")
    parser.add_argument("--busy", action="store_true", help="measure though the machine is busy")
    parser.add_argument("--output", default=str(ROOT / "bench/RESULTS.md"), type=pathlib.Path)
    a = parser.parse_args()
    if not a.peers:
        parser.error("give --peers DIR or POMONA_PEERS: README.md says how to get them")
    a.peers = pathlib.Path(a.peers)
    a.prefix = shlex.split(a.prefix)
    return a


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def output_of(a, *command):
    done = subprocess.run([*a.prefix, *map(str, command)], capture_output=True, text=True,
                          check=False, timeout=RUN_S)
    if done.returncode != 0:
        sys.exit(f"measure.py: {command[0]} ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def say(words):
    print(words, flush=True)


def busy_share(seconds=1.0):
    """How much of the processors others use, now; by /proc/stat, else the load average."""
    def ticks():
        fields = pathlib.Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        values = list(map(int, fields[1:9]))
        return sum(values), values[3] + values[4]
    try:
        total, idle = ticks()
        time.sleep(seconds)
        total_then, idle_then = ticks()
    except OSError:
        return min(1.0, os.getloadavg()[0] / cores())
    return 1 - (idle_then - idle) / max(1, total_then - total)


# ---- speed ----

SPEED = (  # heading, model, threads (0: all), arguments
    ("decode, 1 stream", "1b", 0, ("-p", "0", "-n", "32")),
    ("decode, 1 stream, 1 thread", "1b", 1, ("-p", "0", "-n", "16")),
    ("prefill 256", "1b", 0, ("-p", "256", "-n", "0")),
    ("decode, 32 streams", "1b", 0, ("-p", "0", "-n", "16", "-b", "32")),
    ("decode, 1 stream", "small", 0, ("-p", "0", "-n", "128")),
    ("decode, 1 stream, 1 thread", "small", 1, ("-p", "0", "-n", "64")),
    ("prefill 256", "small", 0, ("-p", "256", "-n", "0")),
    ("decode, 32 streams", "small", 0, ("-p", "0", "-n", "32", "-b", "32")),
)


def model_of(a, name):
    return a.small if name == "small" else str(a.models / f"llama-{name}-q4_0.gguf")


def compare(a, model, threads, tests, bits):
    """Runs of two pairs each, so that neither program is always the first."""
    peers = ",".join(f"{name}={a.peers / name}" for name in ("llama-bench", "llama-batched-bench"))
    runs = [json.loads(output_of(a, a.pomona, "bench", model_of(a, model), "-t", threads, *tests,
                                 "--activations", bits, "-r", "2", "--json", "--compare", peers))
            for _ in range((a.pairs + 1) // 2)]
    ratios = [ratio for run in runs for ratio in run["ratios"]]
    best = max(runs, key=lambda run: run["stream_gb_per_s"])
    middle = {key: statistics.median(run[key] for run in runs)
              for key in ("tokens_per_s", "peer_tokens_per_s", "gb_per_s", "stream_share", "gops",
                          "peak_share")}
    return {**best, **middle, "ratios": ratios}


def speeds(a):
    rows = []
    for (heading, model, threads, tests), bits in itertools.product(SPEED, (16, 8)):
        row = compare(a, model, threads or a.threads, tests, bits)
        say(f"{model} {heading}, activations of {bits} bits: {row['tokens_per_s']:.1f} to "
            f"{row['peer_tokens_per_s']:.1f}, ratio {statistics.median(row['ratios']):.2f}")
        rows.append((heading, model, row))
    return rows


# ---- a server ----

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@contextlib.contextmanager
def running(command, health):
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + START_S
            while not answers(health):
                if process.poll() is not None or time.monotonic() > until:
                    sys.exit(f"measure.py: {command[0]} does not answer at {health}")
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()


def served_by(a, which):
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    name = pathlib.Path(a.small).name.removesuffix(".gguf")
    with tempfile.TemporaryDirectory() as data:
        command = {
            "pomona": [a.pomona, "serve", "--model", a.small, "--listen", f"127.0.0.1:{port}",
                       "--threads", str(a.threads), "--data", data],
            "peer": [str(a.peers / "llama-server"), "-m", a.small, "-t", str(a.threads), "--host",
                     "127.0.0.1", "--port", str(port), "-np", str(CLIENTS), "-c",
                     str(CLIENTS * 512), "-fa", "on"],
        }[which]
        with running(command, base + "/health"):
            return json.loads(output_of(
                a, a.pomona, "bench", name, "--url", base + "/v1", "-c", CLIENTS, "--requests",
                8 * CLIENTS, "--words", WORDS, "--max-tokens", ANSWER_TOKENS, "--extra",
                '{"ignore_eos": true}', "--json"))


def servers(a):
    pairs = []
    for i in range(a.pairs):
        order = ("pomona", "peer") if i % 2 == 0 else ("peer", "pomona")
        pair = {which: served_by(a, which) for which in order}
        say("server: " + ", ".join(f"{w} {pair[w]['tokens_per_s']:.0f} tokens/s, first token "
                                   f"{pair[w]['ttft_ms']['p50']:.0f} ms" for w in pair))
        pairs.append(pair)
    return pairs


# ---- loading ----

def first_token(a, model):
    """(seconds from the start of the process to the first byte of its answer, peak bytes)."""
    start = time.monotonic()
    with subprocess.Popen([a.pomona, "run", model, "--raw", "Hello", "--max-tokens", "2", "-t",
                           str(a.threads), "--temperature", "0", "--context", "512"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        first = os.read(process.stdout.fileno(), 1)
        seconds = time.monotonic() - start
        process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if not first or process.returncode != 0:
        sys.exit("measure.py: pomona run gave no answer")
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def loads(a):
    """[(model, first load, later loads, file bytes, largest peak)]."""
    rows = []
    for name in ("8b", "small"):
        model = model_of(a, name)
        shutil.rmtree(f"{model}.panels", ignore_errors=True)  # so that the first load packs
        first, *later = (first_token(a, model) for _ in range(1 + a.pairs))
        row = (name, first[0], [s for s, _ in later], os.path.getsize(model),
               max(peak for _, peak in [first, *later]))
        say(f"{name}: first token after {first[0]:.2f} s, then {statistics.median(row[2]):.2f} s, "
            f"peak {row[4] / row[3]:.2f} of the file")
        rows.append(row)
    return rows


# ---- quality ----

def text_file(folder):
    """Twenty thousand tokens and more that this machine has: licences, else the tree's own words."""
    texts = [pathlib.Path("/usr/share/common-licenses") / name for name in TEXTS]
    if not all(t.is_file() for t in texts):
        texts = sorted(ROOT.glob("*.md")) + [ROOT / "LICENSE"] + sorted(ROOT.glob("src/**/*.h"))
    path = pathlib.Path(folder) / "text.txt"
    path.write_bytes(b"\n".join(t.read_bytes() for t in texts))
    return path


def quality(a):
    """What each kernel table and number format makes of the same text."""
    with tempfile.TemporaryDirectory() as folder:
        text = text_file(folder)
        results = []
        for options in ((), ("--kv", "q8_0"), ("--activations", "8"), ("--kernels", "ref")):
            results.append(json.loads(output_of(
                a, a.pomona, "bench", a.small, "--perplexity", text, "--text-tokens", TEXT_TOKENS,
                "-t", a.threads, "--json", *options)))
            say(f"perplexity {' '.join(options)}: {results[-1]['perplexity']:.4f}")
        return results


# ---- all of it ----

def cpu_name():
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def peer_build(a):
    line = json.loads(output_of(a, a.peers / "llama-bench", "-m", a.small, "-p", "0", "-n", "1",
                                "-r", "1", "-o", "jsonl"))
    return f"llama.cpp {line['build_commit']}"


def models_make(a, wanted):
    """The random models that the wanted parts need."""
    for name in [name for part, name in (("speed", "1b"), ("load", "8b")) if part in wanted]:
        path = pathlib.Path(model_of(a, name))
        if not path.exists():
            say(f"making {path}")
            path.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([sys.executable, str(ROOT / "bench/make_model.py"), f"llama-{name}",
                            str(path), "--tokenizer", a.small], check=True, timeout=RUN_S)


def main():
    a = arguments()
    busy = busy_share()
    if busy > BUSY_MAX and not a.busy:
        sys.exit(f"measure.py: others use {busy:.0%} of this machine: wait, or give --busy")
    parts = {"speed": speeds, "server": servers, "load": loads, "quality": quality}
    wanted = a.only.split(",") if a.only else list(parts)
    models_make(a, wanted)
    machine = {"cpu": cpu_name(), "threads": a.threads, "busy": busy, "pairs": a.pairs,
               "pomona": output_of(a, a.pomona, "version").strip(), "peer": peer_build(a),
               "date": time.strftime("%Y-%m-%d"), "system": f"{platform.system()} "
               f"{platform.release()}", "clients": CLIENTS, "words": WORDS,
               "answer_tokens": ANSWER_TOKENS}
    text = a.output.read_text(encoding="utf-8") if a.output.exists() else ""
    for name in wanted:  # each is kept, whatever becomes of the next
        text = report.text_of(machine, {name: parts[name](a)}, text)
        a.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
