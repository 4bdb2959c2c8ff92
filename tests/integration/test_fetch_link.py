# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_fetch_link.py - fetching over slow links is broken off and goes on.

Nodes are network namespaces with links of 100 Mbit/s (bench/fetch.py makes them), so that there is a
middle of fetching to break.  Without root this is skipped, and says so.
"""
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.cluster import MODEL, MODEL_FILE, POMONA, processes, wait_until

sys.path.insert(0, str(Path(os.environ["POMONA_SOURCE"]) / "bench"))
import fetch as link  # noqa: E402

if os.geteuid() != 0:
    pytest.exit("SKIPPED: network namespaces need root", returncode=77)


class Linked:
    def __init__(self, folder, n):
        self.folder, self.n, self.last = folder, n, n - 1
        (folder / "pomona").symlink_to(POMONA)
        self.nodes = []

    def __enter__(self):
        try:
            link.make_net(self.n, "100mbit")
            self.nodes = link.start_nodes(self.folder, self.n, MODEL_FILE, Path(POMONA))
            link.wait_for_all(self.folder, self.n)
            link.wait_for_manifests(self.folder, self.n - 1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            node.terminate()
        for node in self.nodes:
            node.wait(timeout=15)
        link.remove_net(self.n)

    def begin_placing(self):
        """On the first source and the node without a model, half of the layers each."""
        return subprocess.Popen(
            link.inside(self.last, POMONA, "place", MODEL, "--nodes", f"n0,n{self.last}",
                        "--split", "15,15", "--api", f"http://{link.address(self.last)}:52415"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def shard(self):
        """What the node without a model says of its shard; None: nothing is placed."""
        state = json.loads(link.client(self.last, self.folder, "status", "--json").stdout)
        return state["instances"][0]["shards"][1] if state["instances"] else None

    def until_half(self):
        def is_half():
            shard = self.shard()
            return shard and shard["stage"] == "fetching" and shard["total_bytes"] > 0 and \
                shard["done_bytes"] > 0.3 * shard["total_bytes"] and shard
        shard = wait_until(is_half, 60, "a part was fetched")
        assert shard["done_bytes"] < shard["total_bytes"]
        return shard

    def came(self):
        """(of the shard, fetched now) in MB, for each time that it was fetched."""
        log = (self.folder / f"n{self.last}.log").read_text()
        return [tuple(map(float, found)) for found in re.findall(
            r"are here: ([\d.]+) MB, of which ([\d.]+) MB came", log)]


def test_a_killed_runner_goes_on_where_it_was(tmp_path):
    with Linked(tmp_path, 2) as linked:
        placing = linked.begin_placing()
        shard = linked.until_half()
        assert 0 < shard["bytes_per_s"] < 14e6 and 0 < shard["seconds_left"] < 60, shard
        time.sleep(2.1)    # what is here is noted every two seconds
        runners = [pid for pid, (parent, state, _) in processes().items()
                   if parent == linked.nodes[1].pid and not state.startswith("Z")]
        os.kill(runners[0], 9)
        said, _ = placing.communicate(timeout=60)
        assert placing.returncode == 1 and "ended unexpectedly" in said, said
        placing = linked.begin_placing()
        said, _ = placing.communicate(timeout=120)
        assert placing.returncode == 0, said
        ((shard_mb, came_mb),) = linked.came()
        assert 0 < came_mb < 0.9 * shard_mb, (shard_mb, came_mb)


def test_a_source_that_dies_is_done_without(tmp_path):
    with Linked(tmp_path, 3) as linked:
        placing = linked.begin_placing()
        linked.until_half()
        linked.nodes[1].kill()    # no part of the instance: only a source
        said, _ = placing.communicate(timeout=120)
        assert placing.returncode == 0, said
        assert "100%" not in said and linked.shard()["stage"] == "ready"


def test_no_source_left_is_the_callers_error(tmp_path):
    with Linked(tmp_path, 3) as linked:
        placing = subprocess.Popen(
            link.inside(2, POMONA, "place", MODEL, "--nodes", "n2", "--api",
                        f"http://{link.address(2)}:52415"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_until(lambda: "stage" in link.client(2, linked.folder, "status", "--json").stdout, 30,
                   "it is being placed")
        time.sleep(1)
        for node in linked.nodes[:2]:
            node.kill()
        said, _ = placing.communicate(timeout=60)
        assert placing.returncode == 1, said
        assert "no node gives the model" in said or "node 'n0' was lost" in said, said
