#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/fetch.py - how much of a 1 Gbit/s link a node without a model uses to fetch its shard.

    bench/fetch.py                          SmolLM2, which scripts/fetch_smollm2.sh fetched
    bench/fetch.py --model llama-1b.gguf    one of bench/make_model.py: long enough for a figure
    bench/fetch.py --sources 2 --rate 100mbit

Each node is a network namespace (tests/support/netns.py), its link shaped by tbf.  The sources hold the model,
the last node begins with an empty folder and gets the second half of the layers.  Bytes are counted
by the kernel at that node's interface.  Exit status 1 below --least of the link.  Needs root.
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from support.netns import Network  # noqa: E402

UNITS = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}


def start_nodes(folder, network, holders, models, pomona, environment=None):
    """A node in each host, called n0, n1 and so on; the first `holders` have the models,
    {name: file}."""
    hosts = network.hosts
    config = folder / "cluster.json"
    config.write_text(json.dumps({"cluster": {"name": "bench"}, "nodes": [
        {"name": f"n{i}", "host": host.address, "memory_gb": 3} for i, host in enumerate(hosts)]}))
    key = folder / "cluster.key"    # without one, peers are heard on loopback only
    subprocess.run([str(pomona), "keys", "cluster", "--file", str(key)], check=True, timeout=10,
                   stdout=subprocess.DEVNULL)
    nodes = []
    for i, host in enumerate(hosts):
        store = folder / f"data{i}" / "models"
        store.mkdir(parents=True)
        for name, file in models.items() if i < holders else ():
            (store / f"{name}.gguf").symlink_to(file.resolve())
        with open(folder / f"n{i}.log", "wb") as log:
            nodes.append(host.popen(
                [str(pomona), "serve", "--config", str(config), "--node", f"n{i}", "--data",
                 str(folder / f"data{i}"), "--threads", "1", "--cluster-key", str(key)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(environment or {})}))
    return nodes


def client(host, pomona, *words):
    """What `pomona WORDS` on that host prints."""
    return subprocess.run(host.inside([str(pomona), *words, "--api",
                                       f"http://{host.address}:52415"]),
                          capture_output=True, text=True, timeout=600)


def state(host, pomona):
    """None while its node does not answer."""
    done = client(host, pomona, "status", "--json")
    return json.loads(done.stdout) if done.returncode == 0 else None


def wait_for_all(network, pomona):
    """Until each node knows all and what they hold; the models."""
    until = time.monotonic() + 30
    for host in network.hosts:
        while True:
            seen = state(host, pomona)
            if seen and seen["models"] and \
                    sum(node["alive"] for node in seen["nodes"]) == len(network.hosts):
                break
            assert time.monotonic() < until, seen
            time.sleep(0.1)
    return seen["models"]


def wait_for_manifests(folder, holders):
    """They are made when a node starts, once for each model: no part of fetching."""
    until = time.monotonic() + 600
    while not all(list(folder.glob(f"data{i}/manifests/*")) for i in range(holders)):
        assert time.monotonic() < until, "no manifest was made"
        time.sleep(0.1)


def counted(host, way):
    """Bytes that its interface has seen: way "rx" or "tx"."""
    return int(host.run(["cat", f"/sys/class/net/eth0/statistics/{way}_bytes"]))


def cpu_seconds(process):
    """Of the node alone, not of its runners."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(options, folder, network, nodes):
    n, last = options.sources + 1, network.hosts[-1]
    (model,) = wait_for_all(network, options.pomona)
    layers = model["n_layer"]
    wait_for_manifests(folder, options.sources)
    before, cpu_before = counted(last, "rx"), cpu_seconds(nodes[0])
    done = client(last, options.pomona, "place", model["name"], "--nodes", f"n0,n{n - 1}",
                  "--split", f"{layers - layers // 2},{layers // 2}", "--context", "512")
    assert done.returncode == 0, done.stderr + (folder / f"n{n - 1}.log").read_text()
    log = (folder / f"n{n - 1}.log").read_text()
    shard, came, seconds = map(float, re.search(
        r"are here: ([\d.]+) MB, of which ([\d.]+) MB came from peers in ([\d.]+) s", log).groups())
    wire = (counted(last, "rx") - before) / 1e6
    rate = float(options.rate[:-4]) * UNITS[options.rate[-4:]]
    part = came * 8e6 / seconds / rate
    print(f"{model['name']}: {came:.1f} MB in {seconds:.2f} s, writing it to disk included: "
          f"{came * 8 / seconds:.0f} Mbit/s, {part:.1%} of {options.rate} from {options.sources} "
          f"source(s)")
    print(f"  the shard needs {shard:.1f} MB of the file's {model['file_bytes'] / 1e6:.1f} MB; "
          f"{wire:.1f} MB came through the interface, all traffic included; "
          f"node n0 used {cpu_seconds(nodes[0]) - cpu_before:.2f} s of a processor")
    return part


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path,
                        default=ROOT / ".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--pomona", type=Path, default=ROOT / "build/release/pomona")
    parser.add_argument("--sources", type=int, default=1)
    parser.add_argument("--rate", default="1gbit", help="of each link, as tc writes it")
    parser.add_argument("--least", type=float, default=0.8, help="of the link (default 0.8)")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("SKIPPED: network namespaces need root", file=sys.stderr)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="pomona-fetch-") as name, \
            Network(options.sources + 1, [options.rate]) as network:
        nodes = start_nodes(Path(name), network, options.sources,
                            {options.model.stem: options.model}, options.pomona)
        part = measure(options, Path(name), network, nodes)
    return 0 if part >= options.least else 1


if __name__ == "__main__":
    sys.exit(main())
