# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_topology.py - nodes measure themselves and the links between them.

In network namespaces with two bridges of different rates.  Without root this is skipped, and says so.
"""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.cluster import MODEL, MODEL_FILE, POMONA, wait_until
from support.netns import SMALL_BUCKET, Network, is_possible

sys.path.insert(0, str(Path(os.environ["POMONA_SOURCE"]) / "bench"))
import predict  # noqa: E402

if not is_possible():
    pytest.exit("SKIPPED: network namespaces need root", returncode=77)

SLOW, FAST = 100e6 / 8, 1e9 / 8    # bytes/s


def test_links_and_machines_are_measured_and_planned_with(tmp_path):
    with Network(2, ["100mbit", "1gbit"], SMALL_BUCKET) as network:
        nodes = predict.Nodes(network, POMONA, [MODEL_FILE], tmp_path, 2)
        nodes.wait_measured()
        state = wait_until(lambda: len((s := nodes.get("/cluster/state"))["links"]) == 4 and s, 60,
                           "both addresses of both nodes are probed")
        for node in state["nodes"]:
            assert node["speed"]["memory_gbs"] > 0 and node["speed"]["compute_gops"] > 0, node
        for link in state["links"]:
            is_fast = link["host"].startswith("10.77.1.")
            assert link["best"] == is_fast, state["links"]
            # a crowded machine makes a link look slower than it is, hardly faster
            assert (SLOW if is_fast else SLOW / 4) < link["bytes_per_s"] < \
                1.5 * (FAST if is_fast else SLOW), state["links"]

        said = network.hosts[1].run([POMONA, "status", "--links", "--api",
                                     f"http://{network.hosts[1].address}:52415"])
        assert said.count("  *") == 2 and "GB/s" in said and "GOPS" in said, said
        one, two = nodes.plan(MODEL, [30], 1), nodes.plan(MODEL, [15, 15], 1)
        assert 0 < two < one, "a hop costs one stream time"


def test_what_was_measured_is_kept(tmp_path):
    figures = tmp_path / "speed" / "figures"
    done = subprocess.run([POMONA, "measure", "--threads", "1", "--file", figures, "--json"],
                          capture_output=True, text=True, timeout=120, check=True)
    measured = json.loads(done.stdout)
    kept = dict(line.split() for line in figures.read_text().splitlines()[1:])
    for owner in ("node", "machine"):
        for name, value in measured[owner].items():
            assert float(kept[f"{owner}.{name}"]) == pytest.approx(value, rel=1e-4)
