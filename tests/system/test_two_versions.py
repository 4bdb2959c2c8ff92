# SPDX-License-Identifier: Apache-2.0
"""tests/system/test_two_versions.py - the release before this one and this one serve in one cluster.

Nodes a and b run the program of the commit that tests/system/previous_release names, node c this one: so is
a cluster while it is updated.  Whether an instance may be split over both is the steps' version to say
(execute/shard/step.h): it is, or the newer node refuses by name.
"""
import os
import signal

import pytest

from support.cluster import MODEL, POMONA, Cluster, Stream, wait_until
from support.previous import program

N = 60


@pytest.fixture(name="cluster")
def cluster_fixture(tmp_path):
    with Cluster(tmp_path, names="abc") as cluster:
        for name in "ab":
            cluster[name].command[0] = str(program())
        assert not os.path.samefile(cluster["a"].command[0], POMONA)
        cluster.start()
        yield cluster


def ask(node, within_s=120):
    status, answer = node.request("POST", "/v1/completions", {
        "model": MODEL, "prompt": "Once upon a time", "max_tokens": N, "min_tokens": N, "temperature": 0}, within_s)
    assert status == 200, answer
    return answer["choices"][0]["text"]


def unplace(cluster, by):
    status, answer = cluster[by].request("POST", "/cluster/unplace", {"model": MODEL})
    assert status == 200, answer
    for node in cluster.up():
        wait_until(lambda node=node: node.health()["instances_ready"] == 0, 30, f"{node.name} knows that it ended")


@pytest.mark.parametrize("holder, by", [("a", "c"), ("c", "a")])
def test_gateways_of_either_version_answer_from_drivers_of_the_other(cluster, holder, by):
    cluster.place(by, nodes=[holder])
    texts = {ask(node) for node in cluster.up()}
    assert len(texts) == 1, "and the same, token for token"
    streams = [Stream(node, N, temperature=0) for node in cluster.up()]
    for stream in streams:
        stream.join(120)
        assert stream.is_done and stream.error is None and stream.texts[0] == next(iter(texts))


def test_an_instance_is_split_over_both_or_refused_by_name(cluster):
    cluster.place("a", nodes=["a"])
    alone = ask(cluster["c"])
    unplace(cluster, "c")
    status, answer = cluster["c"].request("POST", "/cluster/place", {"model": MODEL, "nodes": ["a", "c"]}, 150)
    if status == 200 and '"instance"' in str(answer):
        assert {ask(node) for node in cluster.up()} == {alone}
    else:
        assert "do not understand one another" in str(answer), answer
        assert {ask(node) for node in cluster.up()} == {alone}, "it is placed on nodes of one version"


def test_streams_go_on_while_the_holder_is_updated(cluster):
    cluster.place("c", nodes=["a"])
    streams = [Stream(cluster["c"], 400, temperature=0) for _ in range(4)]
    wait_until(lambda: all(s.n_chunks > 5 or s.ended_at for s in streams), 90, "they run")
    status, answer = cluster["c"].request("POST", "/cluster/drain", {"node": "a"})
    assert status == 200, answer
    wait_until(lambda: not any(shard["node"] == "a" for i in cluster["c"].get("/cluster/state")["instances"]
                               for shard in i["shards"]), 120, "node a holds nothing")
    cluster["a"].kill(signal.SIGTERM)
    cluster["a"].command[0] = POMONA
    cluster["a"].start()
    cluster.wait_alive()
    for stream in streams:
        stream.join(180)
        assert stream.is_done and stream.error is None and stream.broken is None, (stream.error, stream.broken)
    assert len({stream.texts[0] for stream in streams}) == 1
    assert len({ask(node) for node in cluster.up()}) == 1
