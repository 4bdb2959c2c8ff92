# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_mlx_ring.py - teams of nodes that compute with MLX and sum over its ring.

Two and three runners.  MLX's ring neither ends nor reports where a peer stands still: that a runner is lost is seen by its
node, and what streams is computed anew.  Few tokens, as the ring waits by spinning and this machine's cores are
fewer than its members.
"""
import os
import signal

import pytest

from support.cluster import MODEL, Cluster, Stream, is_running, wait_until

N_TOKENS = 12
PROMPTS = ["Once upon a time", "Water boils at"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("ring"), options=("--engine", "mlx")) as cluster:
        cluster.start()
        yield cluster


def unplace(cluster):
    assert cluster["a"].request("POST", "/cluster/unplace", {"model": MODEL})[0] == 200
    for node in cluster.up():
        wait_until(lambda: node.health()["instances_ready"] == 0, 15, "the instance is gone")


def streams(cluster, n_tokens=N_TOKENS):
    return [Stream(cluster["a"], max_tokens=n_tokens, prompt=p, temperature=0) for p in PROMPTS]


def outcomes(all_streams):
    for stream in all_streams:
        stream.join(timeout=150)
        assert stream.is_done and stream.error is None, (stream.error, stream.broken)
    return [s.texts[0] for s in all_streams]


@pytest.fixture(scope="module")
def alone(cluster):
    """What one node says."""
    cluster.place("a", nodes=["a"], context=512)
    said = outcomes(streams(cluster))
    unplace(cluster)
    return said


def place(cluster, nodes):
    instance = cluster.place("a", nodes=list(nodes), overrides="strategy=tensor", transport="ring",
                             context=512)
    assert instance["transport"] == "ring" and len(instance["shards"]) == len(nodes), instance
    return instance


@pytest.mark.parametrize("nodes, n_tokens", [("abc", 5), ("ab", N_TOKENS)])
def test_a_ring_gives_the_tokens_of_one_node(cluster, alone, nodes, n_tokens):
    place(cluster, nodes)
    for said, whole in zip(outcomes(streams(cluster, n_tokens)), alone):
        assert said and whole.startswith(said) and (n_tokens < N_TOKENS or said == whole)
    unplace(cluster)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_streams_go_on_after_a_member_is(cluster, alone, how):
    if cluster["c"].is_up():    # else it would take part in what comes after
        cluster["c"].kill(signal.SIGTERM)
        cluster.wait_alive()
    first = place(cluster, "ab")
    running = streams(cluster)
    wait_until(lambda: all(s.n_chunks > 3 for s in running), 60, "every stream has begun")
    victim, = cluster["a"].runners()
    others = cluster["b"].runners()
    os.kill(victim, how)
    assert outcomes(running) == alone
    for pid in (victim, *others):
        wait_until(lambda: not is_running(pid), 15, f"runner {pid} of the lost ring has ended")
    now = cluster["a"].get("/cluster/state")["instances"]
    assert [i["state"] for i in now] == ["ready"] and now[0]["id"] != first["id"], now
    unplace(cluster)


def test_a_ring_of_a_pipeline_is_refused_by_name(cluster):
    status, answer = cluster["a"].request("POST", "/cluster/place", {
        "model": MODEL, "nodes": ["a", "b"], "split": [15, 15], "transport": "ring"})
    assert "place with --strategy tensor" in str(answer), (status, answer)
