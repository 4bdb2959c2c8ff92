#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/fetch.py - how much of a 1 Gbit/s link a node without a model uses to fetch its shard.

    bench/fetch.py                          SmolLM2, which scripts/fetch_smollm2.sh fetched
    bench/fetch.py --model llama-1b.gguf    one of bench/make_model.py: long enough for a figure
    bench/fetch.py --sources 2 --rate 100mbit

Each node is a network namespace on one bridge, its link shaped by tbf.  The sources hold the model,
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
BRIDGE = f"pf{os.getpid() % 100000}"
UNITS = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def space(i):
    return f"{BRIDGE}n{i}"


def address(i):
    return f"10.77.33.{i + 1}"


def make_net(n, rate):
    ip("link", "add", BRIDGE, "type", "bridge")
    ip("link", "set", BRIDGE, "up")
    for i in range(n):
        port = f"{BRIDGE}v{i}"
        ip("netns", "add", space(i))
        ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space(i))
        ip("link", "set", port, "master", BRIDGE, "up")
        ip("-n", space(i), "addr", "add", f"{address(i)}/24", "dev", "eth0")
        ip("-n", space(i), "link", "set", "eth0", "up")
        ip("-n", space(i), "link", "set", "lo", "up")
        # Both ways: a switch's port neither gives nor takes more.
        shape = ["root", "tbf", "rate", rate, "burst", "256kb", "latency", "20ms"]
        subprocess.run(["tc", "-n", space(i), "qdisc", "add", "dev", "eth0", *shape], check=True)
        subprocess.run(["tc", "qdisc", "add", "dev", port, *shape], check=True)


def remove_net(n):
    for i in range(n):    # the links first: a namespace takes its end away some time after it went
        for words in (["link", "del", f"{BRIDGE}v{i}"], ["netns", "del", space(i)]):
            subprocess.run(["ip", *words], stderr=subprocess.DEVNULL)
    subprocess.run(["ip", "link", "del", BRIDGE], stderr=subprocess.DEVNULL)


def inside(i, *command):
    return ["ip", "netns", "exec", space(i), *command]


def start_nodes(folder, n, model, pomona):
    config = folder / "cluster.json"
    config.write_text(json.dumps({"cluster": {"name": "bench"}, "nodes": [
        {"name": f"n{i}", "host": address(i), "memory_gb": 3} for i in range(n)]}))
    key = folder / "cluster.key"    # without one, peers are heard on loopback only
    subprocess.run([str(pomona), "keys", "cluster", "--file", str(key)], check=True, timeout=10,
                   stdout=subprocess.DEVNULL)
    nodes = []
    for i in range(n):
        models = folder / f"data{i}" / "models"
        models.mkdir(parents=True)
        if i < n - 1:
            (models / model.name).symlink_to(model.resolve())
        with open(folder / f"n{i}.log", "wb") as log:
            nodes.append(subprocess.Popen(
                inside(i, str(pomona), "serve", "--config", str(config), "--node", f"n{i}",
                       "--data", str(folder / f"data{i}"), "--threads", "1", "--cluster-key",
                       str(key)),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log))
    return nodes


def client(i, folder, *words):
    """What `pomona WORDS` on node i prints."""
    return subprocess.run(inside(i, str(folder / "pomona"), *words, "--api",
                                 f"http://{address(i)}:52415"),
                          capture_output=True, text=True, timeout=600)


def wait_for_all(folder, n):
    until = time.monotonic() + 30
    while True:
        done = client(n - 1, folder, "status", "--json")
        state = json.loads(done.stdout) if done.returncode == 0 else {"nodes": [], "models": []}
        if sum(node["alive"] for node in state["nodes"]) == n and state["models"]:
            return state["models"][0]
        assert time.monotonic() < until, done.stderr
        time.sleep(0.1)


def wait_for_manifests(folder, sources):
    """They are made when a node starts, once for each model: no part of fetching."""
    until = time.monotonic() + 600
    while not all(list(folder.glob(f"data{i}/manifests/*")) for i in range(sources)):
        assert time.monotonic() < until, "no manifest was made"
        time.sleep(0.1)


def received(i):
    text = subprocess.run(inside(i, "cat", "/sys/class/net/eth0/statistics/rx_bytes"),
                          capture_output=True, text=True, check=True).stdout
    return int(text)


def cpu_seconds(process):
    """Of the node alone, not of its runners."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(options, folder, nodes):
    n = options.sources + 1
    model = wait_for_all(folder, n)
    layers = model["n_layer"]
    wait_for_manifests(folder, options.sources)
    before, cpu_before = received(n - 1), cpu_seconds(nodes[0])
    done = client(n - 1, folder, "place", model["name"], "--nodes", f"n0,n{n - 1}",
                  "--split", f"{layers - layers // 2},{layers // 2}", "--context", "512")
    assert done.returncode == 0, done.stderr + (folder / f"n{n - 1}.log").read_text()
    log = (folder / f"n{n - 1}.log").read_text()
    shard, came, seconds = map(float, re.search(
        r"are here: ([\d.]+) MB, of which ([\d.]+) MB came from peers in ([\d.]+) s", log).groups())
    wire = (received(n - 1) - before) / 1e6
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
    n = options.sources + 1
    nodes = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="pomona-fetch-") as name:
        folder = Path(name)
        (folder / "pomona").symlink_to(options.pomona.resolve())
        try:
            make_net(n, options.rate)
            nodes = start_nodes(folder, n, options.model, options.pomona)
            part = measure(options, folder, nodes)
        finally:
            for node in nodes:
                node.terminate()
            for node in nodes:
                node.wait(timeout=15)
            remove_net(n)
    return 0 if part >= options.least else 1


if __name__ == "__main__":
    sys.exit(main())
