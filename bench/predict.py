# SPDX-License-Identifier: Apache-2.0
"""bench/predict.py - is what the planner predicts what is then measured?

    sudo .venv/bin/python bench/predict.py --pomona build/release/pomona MODEL.gguf [MODEL.gguf...]

Nodes in network namespaces with shaped links find each other, measure themselves and their links, and
are asked what a pipeline over one, two and three of them will be like; then it is placed and measured:
tokens/s of one stream and of eight, between the time that all have begun and that the first ends.  Every
node computes with one thread, on a core of its own, and measures itself so, as a machine of its own would
(support/machines.py), one after the other.  Of more nodes than cores, those that one stream keeps busy in
turn have a core each at their turn; beside more streams they share this machine's cores, and know it.  Who
asks is on another core than the driver.  Exits with 1 where a prediction is off by more than --bound.
"""
import argparse
import contextlib
import json
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from support.machines import Machines, n_cores  # noqa: E402
from support.netns import SMALL_BUCKET, Network, is_possible  # noqa: E402

PROMPT, ANSWER, HEAD = "Once upon a time there was a", 160, 16
ATTENDED = ANSWER // 2


class Stream:
    """One answer, read as bytes: whoever measures should not be what is measured."""

    def __init__(self, host, port, model, seed, n_tokens=ANSWER, **more):
        self.n_tokens = n_tokens
        body = json.dumps({"model": model, "prompt": PROMPT, "max_tokens": n_tokens,
                           "min_tokens": n_tokens, "stream": True, "seed": seed, **more}).encode()
        self.socket = socket.create_connection((host, port), timeout=120)
        self.socket.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: pomona\r\nContent-Type: "
                            b"application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        self.tail = b""
        self.arrivals = []    # when each piece of text came

    def read(self):
        """False at the end."""
        data = self.tail + self.socket.recv(1 << 16)
        now = time.monotonic()
        self.arrivals += [now] * data.count(b"data: {")
        is_open = len(data) > len(self.tail) and b"data: [DONE]" not in data
        self.tail = data[max(data.rfind(b"\n"), len(data) - 16):]
        return is_open


def read_all(streams):
    """Until the last has ended."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream.socket, selectors.EVENT_READ, stream)
        while selector.get_map():
            for key, _ in selector.select(timeout=120):
                if not key.data.read():
                    selector.unregister(key.fileobj)


def measure(host, port, model, n, **more):
    """Tokens/s of n streams while all of them flow; `more` as Stream has it.  A piece of text may be
    more than one token, so the pieces of an answer stand for the tokens that were asked for."""
    streams = [Stream(host, port, model, seed, **more) for seed in range(n)]
    read_all(streams)
    begun = max(s.arrivals[HEAD] for s in streams)
    ended = min(s.arrivals[-1] for s in streams)
    return sum(sum(begun < t <= ended for t in s.arrivals) * s.n_tokens / len(s.arrivals)
               for s in streams) / (ended - begun)


class Nodes:
    """`pomona serve` on each host of a network.  With `machines` each is measured there first; else they
    measure this machine and share that."""

    def __init__(self, network, pomona, models, folder, n, machines=None):
        self.network, self.pomona, self.n, self.machines = network, pomona, n, machines
        self.names = [f"n{i}" for i in range(n)]
        key = folder / "cluster.key"
        subprocess.run([pomona, "keys", "cluster", "--file", key], check=True, capture_output=True)
        commands, self.logs = [], []
        for i, host in enumerate(network.hosts[:n]):
            data = folder / f"data{i}"
            (data / "models").mkdir(parents=True)
            for model in models:
                (data / "models" / model.name).symlink_to(model.resolve())
            command = [pomona, "serve", "--cluster", "bench", "--node", f"n{i}", "--data", data,
                       "--cluster-key", key, "--threads", "1", "--listen", f"{host.address}:52415",
                       "--join", f"{network.hosts[0].address}:52416", "--memory-gb", "6"]
            with open(folder / f"n{i}.log", "wb") as log:
                if machines:    # none computes yet, so it has the memory to itself
                    measuring = [pomona, "measure", "--threads", "1"]
                    assert self._start(i, measuring, folder, log).wait(timeout=120) == 0, log.name
                self.logs.append(log.name)
            commands.append(command)
        for i, command in enumerate(commands):
            with open(self.logs[i], "ab") as log:
                self._start(i, command, folder, log)

    def _start(self, i, command, folder, log):
        cache = folder / (f"cache{i}" if self.machines else "cache")
        how = self.machines.on(i, command) if self.machines else {"command": command}
        return self.network.hosts[i].popen(**how, stdout=log, stderr=log,
                                           env={**os.environ, "XDG_CACHE_HOME": str(cache)})

    def get(self, path, host=0):
        text = self.network.hosts[host].run(
            ["curl", "-s", "-m", "10", f"http://{self.network.hosts[host].address}:52415{path}"])
        return json.loads(text)

    def wait_measured(self, seconds=120):
        """Until each knows its speed, and every link is measured by both ends."""
        until = time.monotonic() + seconds
        while True:
            try:
                state = self.get("/cluster/state")
            except (subprocess.CalledProcessError, ValueError):
                state = {"nodes": [], "links": []}
            links = {(link["from"], link["to"]) for link in state["links"] if link["answers"]}
            if sum("speed" in node for node in state["nodes"]) == self.n and \
                    len(links) == self.n * (self.n - 1):
                return state
            assert time.monotonic() < until, state
            time.sleep(0.2)

    def plan(self, model, layers, streams):
        query = urllib.parse.urlencode({
            "model": model, "nodes": ",".join(self.names[:len(layers)]), "streams": streams,
            "split": ",".join(map(str, layers)), "context": 1024, "prompt": ATTENDED})
        ways = {way["name"]: way for way in self.get(f"/cluster/plan?{query}")["strategies"]}
        return ways["pipeline"]["tokens_per_s"]

    def place(self, model, layers):
        self.place_on(model, self.names[:len(layers)], "--split", ",".join(map(str, layers)))

    def place_on(self, model, names, *more):
        self.network.hosts[0].run(
            [self.pomona, "place", model, "--nodes", ",".join(names), *more, "--context", "1024",
             "--api", f"http://{self.network.hosts[0].address}:52415"])

    def unplace(self, model):
        self.network.hosts[0].run([self.pomona, "unplace", model, "--api",
                                   f"http://{self.network.hosts[0].address}:52415"])

    def measure(self, model, streams, driver):
        """By way of the node that drives: its tokens are not sent on."""
        host = self.network.hosts[driver]
        text = host.run([sys.executable, __file__, "--client", f"{host.address}:52415", model,
                         "--streams", str(streams)],
                        preexec_fn=self.machines.beside(driver) if self.machines else None)
        return float(text)


def split(n_layers, n):
    return [n_layers // n + (i < n_layers % n) for i in range(n)]


def compare(nodes, model, n_layers, n, streams, repetitions):
    """(predicted, measured): the median of some repetitions."""
    layers = split(n_layers, n)
    predicted = [nodes.plan(model, layers, s) for s in streams]
    nodes.place(model, layers)
    measured = [sorted(nodes.measure(model, s, n - 1) for _ in range(repetitions))[repetitions // 2]
                for s in streams]
    nodes.unplace(model)
    return list(zip(streams, predicted, measured))


def tell_what_was_measured(state, n, how):
    speed = state["nodes"][0]["speed"]
    links = [f"{link['latency_us']:.0f} us and {link['bytes_per_s'] / 1e6:.0f} MB/s"
             for link in state["links"][:1]]
    print(f"Each of {n} nodes {how}, reads "
          f"{speed['memory_gbs']:.1f} GB/s, computes {speed['compute_gops']:.0f} GOPS"
          + "".join(f"; a link {link}" for link in links), file=sys.stderr)


def compare_all(options, n, streams, has_cores):
    """Print a row for each model and number of streams; the largest error."""
    worst = 0
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pomona-predict-")))
        machines = Machines(n, folder) if has_cores else None
        network = stack.enter_context(Network(n, [options.rate], SMALL_BUCKET))
        nodes = Nodes(network, str(options.pomona.resolve()), options.model, folder, n, machines)
        state = nodes.wait_measured()
        tell_what_was_measured(state, n, "has a core" if machines else "takes turns at all cores")
        for model, n_layers in {m["name"]: m["n_layer"] for m in state["models"]}.items():
            for s, predicted, measured in compare(nodes, model, n_layers, n, streams,
                                                  options.repetitions):
                worst = max(worst, abs(predicted / measured - 1))
                print(f"| {model} | {n} | {s} | {predicted:.1f} | {measured:.1f} "
                      f"| {predicted / measured:.2f} |", flush=True)
    return worst


def run(options):
    print("| model | nodes | streams | predicted | measured | ratio |\n|---|---|---|---|---|---|")
    worst = 0
    for n in options.nodes:
        apart = [s for s in options.streams if s == 1 or n <= n_cores()]
        together = [s for s in options.streams if s not in apart]
        for streams, has_cores in ((apart, True), (together, False)):
            if streams:
                worst = max(worst, compare_all(options, n, streams, has_cores))
    print(f"\nThe worst is off by {worst:.0%}, {options.bound:.0%} are allowed.")
    return 0 if worst <= options.bound else 1


def numbers(text):
    return [int(n) for n in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="+")
    parser.add_argument("--pomona", type=Path, default=ROOT / "build/release/pomona")
    parser.add_argument("--rate", default="1gbit", help="of each link, as tc writes it")
    parser.add_argument("--nodes", type=numbers, default=[1, 2, 3])
    parser.add_argument("--streams", type=numbers, default=[1, 8])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--bound", type=float, default=0.2)
    parser.add_argument("--client", help=argparse.SUPPRESS)  # itself, inside a namespace
    options = parser.parse_args()
    if options.client:
        host, port = options.client.split(":")
        print(measure(host, int(port), options.model[0], options.streams[0]))
        return 0
    if not is_possible():
        print("SKIPPED: network namespaces need root", file=sys.stderr)
        return 0
    options.model = [Path(model) for model in options.model]
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
