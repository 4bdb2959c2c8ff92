# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_fetch_link.py - fetching over slow links is broken off and goes on.

Nodes are network namespaces with links of 100 Mbit/s, so that there is a middle of fetching to break, and
bytes are counted by the kernel at their interfaces.  Without root this is skipped, and says so.
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
from support.netns import Network  # noqa: E402

if os.geteuid() != 0:
    pytest.exit("SKIPPED: network namespaces need root", returncode=77)


class Linked:
    """Node n0, and others but the last where `holders` says so, hold the model."""

    def __init__(self, folder, n, holders=None, names=(MODEL,)):
        self.folder, self.last, self.holders = folder, n - 1, holders or n - 1
        self.models = dict.fromkeys(names, MODEL_FILE)
        self.network = Network(n, ["100mbit"])
        self.nodes = []

    def __enter__(self):
        self.network.__enter__()
        try:
            self.nodes = link.start_nodes(self.folder, self.network, self.holders, self.models,
                                          Path(POMONA))
            link.wait_for_all(self.network, POMONA)
            link.wait_for_manifests(self.folder, self.holders)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *_):
        self.network.__exit__()
        for log in self.folder.glob("*.log") if kind else ():
            print(f"--- {log.name}\n{log.read_text()[-4000:]}")

    def place(self, i, *words):
        """`pomona place`, asked of node i."""
        host = self.network.hosts[i]
        return host.popen([POMONA, "place", *words, "--api", f"http://{host.address}:52415"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def begin_placing(self):
        """On the first source and the node without a model, half of the layers each."""
        return self.place(self.last, MODEL, "--nodes", f"n0,n{self.last}", "--split", "15,15")

    def shard(self):
        """What the node without a model says of its shard; None: nothing is placed."""
        instances = link.state(self.network.hosts[self.last], POMONA)["instances"]
        return instances[0]["shards"][1] if instances else None

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


def answer_of(host, model=MODEL):
    said = host.run(["curl", "-sS", f"http://{host.address}:52415/v1/completions", "-d", json.dumps(
        {"model": model, "prompt": "Once upon a time", "temperature": 0, "max_tokens": 8})])
    return json.loads(said)["choices"][0]["text"]


def test_an_empty_node_serves_its_shard_after_its_share_of_the_bytes(tmp_path):
    with Linked(tmp_path, 2) as linked:
        holder, empty = linked.network.hosts
        before = link.counted(empty, "rx")
        said, _ = (placing := linked.place(1, MODEL, "--nodes", "n0,n1", "--split",
                                           "15,15")).communicate(timeout=120)
        came = link.counted(empty, "rx") - before
        assert placing.returncode == 0, said
        ((share_mb, came_mb),) = linked.came()
        assert came_mb == share_mb and share_mb * 1e6 < 0.75 * MODEL_FILE.stat().st_size
        assert share_mb * 1e6 < came < 1.08 * share_mb * 1e6 + 1e6, (came, share_mb)
        shard = linked.shard()
        assert shard["stage"] == "ready" and shard["hub_bytes"] == 0
        assert abs(shard["peer_bytes"] - share_mb * 1e6) < 1e5, shard
        assert "from peers" in link.client(empty, POMONA, "status").stdout
        assert answer_of(empty) == answer_of(holder) != ""


def test_three_empty_nodes_do_not_all_get_all_from_the_one_holder(tmp_path):
    names = ("one", "two", "three")    # of one file: a second placing of a name would join the first
    with Linked(tmp_path, 4, holders=1, names=names) as linked:
        before = link.counted(linked.network.hosts[0], "tx")
        placings = [linked.place(i, name, "--nodes", f"n{i}", "--context", "512")
                    for i, name in enumerate(names, 1)]
        for placing in placings:
            said, _ = placing.communicate(timeout=150)
            assert placing.returncode == 0, said
        sent = link.counted(linked.network.hosts[0], "tx") - before
        copies = sent / MODEL_FILE.stat().st_size
        print(f"the holder sent {copies:.2f} copies for 3 nodes")
        assert 1 < copies < 2
        assert len({answer_of(linked.network.hosts[i], name)
                    for i, name in enumerate(names, 1)}) == 1


def test_a_killed_runner_goes_on_where_it_was(tmp_path):
    with Linked(tmp_path, 2) as linked:
        placing = linked.begin_placing()
        shard = linked.until_half()
        assert 0 < shard["bytes_per_s"] < 14e6 and 0 < shard["seconds_left"] < 60, shard
        time.sleep(2.1)    # what is here is noted every second
        runners = [pid for pid, (parent, state, _) in processes().items()
                   if parent == linked.nodes[1].pid and not state.startswith("Z")]
        os.kill(runners[0], 9)
        said, _ = placing.communicate(timeout=120)    # it is placed once more
        assert placing.returncode == 0, said
        assert "ended unexpectedly" in (tmp_path / "n1.log").read_text()
        ((shard_mb, came_mb),) = linked.came()
        assert 0 < came_mb < 0.9 * shard_mb, (shard_mb, came_mb)


def kill(linked, i):
    linked.nodes[i].kill()


def cut_cable(linked, i):
    linked.network.plug(linked.network.hosts[i], "down")


@pytest.mark.parametrize("lose", [kill, cut_cable])
def test_a_source_that_is_lost_is_done_without(tmp_path, lose):
    with Linked(tmp_path, 3) as linked:
        placing = linked.begin_placing()
        linked.until_half()
        lose(linked, 1)    # no part of the instance: only a source
        said, _ = placing.communicate(timeout=120)
        assert placing.returncode == 0, said
        assert "100%" not in said and linked.shard()["stage"] == "ready"


def test_no_source_left_is_the_callers_error(tmp_path):
    with Linked(tmp_path, 3) as linked:
        placing = linked.place(2, MODEL, "--nodes", "n2")
        wait_until(lambda: link.state(linked.network.hosts[2], POMONA)["instances"], 30,
                   "it is being placed")
        time.sleep(1)
        for node in linked.nodes[:2]:
            node.kill()
        said, _ = placing.communicate(timeout=60)
        assert placing.returncode == 1, said
        assert any(words in said for words in (
            "no node gives the model", "node 'n0' was lost", "at none that has a part",
            "neither an alive node nor a hub gives it")), said
