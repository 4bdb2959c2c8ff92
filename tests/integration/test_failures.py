# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_failures.py - runners and nodes are killed under streams.

Three nodes, a to c, hold SmolLM2, one third each; a fourth, g, holds nothing and
answers clients.  Streams of 200 tokens (support/streams.py) are open when something
dies or stops.  Every one of them must end as in the run that nothing disturbed, on the same
connection, and go on within five seconds, which --full judges.  No process stays behind, and the next request is answered.

Each node has its own data folder, so that a survivor packs the layers that are new to it.
One cluster bears all deaths: what died is started again.  Each death happens once;
POMONA_TEST_FULL=1 repeats it 20 times.
"""
import os
import signal
import subprocess
import time

import pytest

from support.cluster import IS_TIMED, MODEL, POMONA, Cluster, Stream, is_running, wait_until
from support.streams import (N_TOKENS, RESUMED_WITHIN_S, Gaps, assert_complete,
                             assert_undisturbed, await_tokens, start_streams, undisturbed_outcomes)

ROUNDS = 20 if os.environ.get("POMONA_TEST_FULL") else 1
GATEWAY_ONLY = {"g": 0.02, "a": 4.0, "b": 4.0, "c": 4.0}
NEITHER_ALONE = {"a": 0.2, "b": 0.2, "g": 0.02}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return undisturbed_outcomes(tmp_path_factory.mktemp("undisturbed"))


class Kept:
    """A cluster for one test after another; made anew after one that failed."""

    def __init__(self, tmp_path_factory):
        self.tmp_path_factory, self.cluster, self.is_whole = tmp_path_factory, None, False

    def take(self):
        if not self.is_whole:
            self.end()
            self.cluster = Cluster(self.tmp_path_factory.mktemp("kept"), names="abcg",
                                   memory_gb=GATEWAY_ONLY, shares_data=False)
            self.cluster.start()
        self.is_whole = False
        return self.cluster

    def end(self):
        if self.cluster:
            self.cluster.__exit__(None if self.is_whole else AssertionError, None, None)
            self.cluster = None


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    holder = Kept(tmp_path_factory)
    yield holder
    holder.end()


def of_node(name):
    def kill(cluster):
        cluster[name].kill()
    return kill


def of_runner(name, number):
    def kill(cluster):
        (pid,) = cluster[name].runners()
        os.kill(pid, number)
    return kill


def leader(cluster):
    """Name of the node that leads, once all agree."""
    def agreed():
        states = [node.get("/cluster/state") for node in cluster.up()]
        leaders = {state["leader"] for state in states if state["leadership"] == "elected"}
        return len(leaders) == 1 and len(states) == len(cluster.up()) and leaders.pop()
    return wait_until(agreed, 15, "all agree on a leader")


def kill_leader(cluster):
    cluster[leader(cluster)].kill()


def let_another_lead(cluster):
    """The gateway stays up under streams: so it must not be the leader that is to be killed."""
    while leader(cluster) == "g":
        cluster["g"].kill()
        cluster.wait_alive()
        leader(cluster)
        cluster.start("g")


DEATHS = {
    "node of the first rank, which coordinates": of_node("a"),
    "node of the middle rank": of_node("b"),
    "node of the driver": of_node("c"),
    "leader": kill_leader,
    "runner of the first rank": of_runner("a", signal.SIGKILL),
    "runner of the middle rank": of_runner("b", signal.SIGKILL),
    "runner that drives": of_runner("c", signal.SIGKILL),
    "stopped runner": of_runner("b", signal.SIGSTOP),
    "stopped runner that drives": of_runner("c", signal.SIGSTOP),
}


def assert_answers(node):
    status, answer = node.request("POST", "/v1/completions",
                                  {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 4,
                                   "min_tokens": 4}, timeout=120)
    assert status == 200, answer
    assert answer["usage"]["completion_tokens"] == 4


def place_in_thirds(cluster):
    instance = cluster.place("g", nodes=["a", "b", "c"], split=[10, 10, 10])
    assert [shard["node"] for shard in instance["shards"]] == ["a", "b", "c"]


def unplace(cluster):
    status, answer = cluster["g"].request("POST", "/cluster/unplace", {"model": MODEL})
    assert status == 200, answer
    for node in cluster.up():
        wait_until(lambda: node.health()["instances_ready"] == 0, 5, "the instance is gone")


def kill_under_streams(cluster, undisturbed, kill, n_chunks):
    """The longest silence of a stream."""
    let_another_lead(cluster)
    place_in_thirds(cluster)
    old_runners = {pid for node in cluster.up() for pid in node.runners()}
    assert len(old_runners) == 3

    streams = start_streams(cluster["g"])
    await_tokens(streams, n_chunks)
    killed_at = time.monotonic()
    kill(cluster)
    assert_complete(streams)
    assert_undisturbed(streams, undisturbed)
    cluster.wait_alive()
    for pid in old_runners:
        wait_until(lambda: not is_running(pid), 3, f"old runner {pid} ended")
    return max(s.gap_after(killed_at) for s in streams)


@pytest.fixture(scope="module")
def outage(tmp_path_factory):
    """(cluster, stream): half of the nodes that the stream needs is gone.  It waits half a minute for
    them, so this begins before the other tests, and ends after them."""
    with Cluster(tmp_path_factory.mktemp("outage"), names="abg", memory_gb=NEITHER_ALONE) as cluster:
        cluster.start()
        assert len(cluster.place("g")["shards"]) == 2
        stream = Stream(cluster["g"], 7000)
        await_tokens([stream], 10)
        cluster["b"].kill()
        wait_until(lambda: cluster["g"].health()["instances_ready"] == 0, 5, "it is lost")
        yield cluster, stream


def test_what_fits_nowhere_is_refused_at_once(outage):
    cluster, stream = outage
    status, answer = cluster["g"].request("POST", "/v1/completions",
                                          {"model": MODEL, "prompt": "Hello"})
    assert stream.ended_at is None    # which waits longer
    assert status == 503 and "GiB" in answer["error"]["message"], answer


@pytest.mark.parametrize("what", DEATHS)
def test_every_stream_goes_on_as_if_nothing_had_happened(kept, undisturbed, what):
    cluster, gaps = kept.take(), Gaps(what)
    for round_ in range(ROUNDS):
        gaps.add(kill_under_streams(cluster, undisturbed, DEATHS[what], 10 + 5 * (round_ % 20)))
        unplace(cluster)
        for node in cluster.nodes.values():
            if not node.is_up():
                cluster.start(node.name)
    cluster.assert_no_process_left()
    kept.is_whole = True
    gaps.tell()


def test_a_node_that_hangs_is_dead_by_its_silence(tmp_path, undisturbed):
    with Cluster(tmp_path, names="abcg", memory_gb=GATEWAY_ONLY) as cluster:
        cluster.start()
        place_in_thirds(cluster)
        old_runners = cluster.known_runners()
        streams = start_streams(cluster["g"])
        await_tokens(streams, 10)
        stopped_at = time.monotonic()
        cluster["b"].process.send_signal(signal.SIGSTOP)
        assert_complete(streams)
        assert_undisturbed(streams, undisturbed)
        assert max(s.gap_after(stopped_at) for s in streams) <= RESUMED_WITHIN_S
        wait_until(lambda: cluster["a"].health()["nodes_alive"] == 3, 30, "node b is dead")

        cluster["b"].process.send_signal(signal.SIGCONT)
        cluster.wait_alive()
        assert_answers(cluster["b"])
        for pid in old_runners:
            wait_until(lambda: not is_running(pid), 5, f"old runner {pid} ended")


def test_the_clients_of_a_killed_gateway_see_their_connections_end(tmp_path):
    with Cluster(tmp_path, names="ab") as cluster:
        cluster.start()
        cluster.place("a", nodes=["a"])
        streams = [Stream(cluster["b"]) for _ in range(2)]
        await_tokens(streams, 1)
        cluster["b"].kill()
        for s in streams:
            s.join(timeout=30)
            assert s.ended_at is not None and not s.is_done
        assert_answers(cluster["a"])


@pytest.mark.parametrize("way", [{"temperature": 1}, {"temperature": 0, "stop": ["ed to the"]}],
                         ids=["sampled", "held back"])
def test_a_client_whose_gateway_died_goes_on_at_another(tmp_path, way):
    key = {"Idempotency-Key": "3f6c-11"}
    with Cluster(tmp_path, names="abc") as cluster:
        cluster.start()
        cluster.place("a", nodes=["c"])
        first = Stream(cluster["a"], N_TOKENS, headers=key, **way)
        await_tokens([first], 40)
        cluster["a"].kill()
        first.join(timeout=30)
        assert first.ended_at is not None and not first.is_done and first.resume_tokens >= 40

        usage = {"stream_options": {"include_usage": True}}
        rest = Stream(cluster["b"], N_TOKENS, **way, **usage, headers={
            **key, "Pomona-Resume-Tokens": str(first.resume_tokens)})
        whole = Stream(cluster["b"], N_TOKENS, headers=key, **way, **usage)
        other = Stream(cluster["b"], N_TOKENS, headers={"Idempotency-Key": "other"}, **way)
        assert_complete([rest, whole, other])
        assert first.texts[0] + rest.texts[0] == whole.texts[0]
        assert rest.finishes == whole.finishes and rest.usage == {**whole.usage, **{
            "prompt_tokens_details": rest.usage["prompt_tokens_details"]}}
        assert (other.texts == whole.texts) == (way["temperature"] == 0)

        at_the_end = Stream(cluster["b"], N_TOKENS, **way, headers={
            **key, "Pomona-Resume-Tokens": str(N_TOKENS)})
        assert_complete([at_the_end])
        assert at_the_end.texts == {0: ""} and at_the_end.finishes == whole.finishes


def test_another_ready_instance_takes_over_at_once(tmp_path, undisturbed):
    with Cluster(tmp_path, names="abg", memory_gb={"a": 4.0, "b": 4.0, "g": 0.02}) as cluster:
        cluster.start()
        cluster.place("g", nodes=["a"])
        status, answer = cluster["g"].request("POST", "/cluster/place",
                                              {"model": MODEL, "nodes": ["b"]}, timeout=60)
        assert status == 200, answer
        wait_until(lambda: cluster["g"].health()["instances_ready"] == 2, 5, "two instances")
        streams = start_streams(cluster["g"])
        await_tokens(streams, 10)
        killed_at = time.monotonic()
        cluster["a"].kill()
        assert_complete(streams)
        assert_undisturbed(streams, undisturbed)
        gap = max(s.gap_after(killed_at) for s in streams)
        print(f"another took over after {gap:.2f} s")
        assert not IS_TIMED or gap <= 2.5


def pomona(cluster, *args):
    return subprocess.run([POMONA, *args, "--api", f"http://127.0.0.1:{cluster['g'].api_port}"],
                          capture_output=True, text=True, timeout=90, check=False)


def test_a_node_is_drained_under_streams(tmp_path, undisturbed):
    with Cluster(tmp_path, names="abcg", memory_gb=GATEWAY_ONLY) as cluster:
        cluster.start()
        place_in_thirds(cluster)
        streams = start_streams(cluster["g"])
        await_tokens(streams, 10)
        done = pomona(cluster, "drain", "b")
        assert done.returncode == 0 and done.stdout == "b holds nothing\n", done
        wait_until(lambda: cluster["b"].runners() == [], 3, "its runner ended")
        assert_complete(streams)
        assert_undisturbed(streams, undisturbed)

        status = pomona(cluster, "status").stdout
        assert [line.split()[2] for line in status.splitlines() if line.startswith(("a ", "b "))
                ] == ["alive", "draining"], status
        instances = cluster["g"].get("/cluster/state")["instances"]
        assert len(instances) == 1
        assert "b" not in {shard["node"] for shard in instances[0]["shards"]}
        unplace(cluster)
        status, answer = cluster["g"].request("POST", "/cluster/place",
                                              {"model": MODEL, "nodes": ["a", "b"]})
        assert status == 400 and "drained" in answer["error"]["message"], answer
        assert_answers(cluster["b"])  # as a gateway it goes on

        assert pomona(cluster, "undrain", "b").returncode == 0
        for node in cluster.up():
            wait_until(lambda: not any(n["draining"] for n in node.get("/cluster/state")["nodes"]),
                       3, f"node {node.name} knows that b takes part again")
        unplace(cluster)
        cluster.place("g", nodes=["b"])


def test_a_stream_waits_for_a_node_that_comes_back(tmp_path):
    with Cluster(tmp_path, names="abg", memory_gb=NEITHER_ALONE) as cluster:
        cluster.start()
        assert len(cluster.place("g")["shards"]) == 2
        stream = Stream(cluster["g"], 1000, temperature=0)
        await_tokens([stream], 10)
        cluster["b"].kill()
        wait_until(lambda: cluster["g"].health()["instances_ready"] == 0, 5, "it is lost")
        cluster.start("b")
        assert_complete([stream])


def test_a_node_whose_part_fits_nowhere_beside_it_is_drained_with_a_pause(tmp_path):
    memory = {"a": 0.2, "b": 0.2, "c": 0.2, "g": 0.02}
    with Cluster(tmp_path, names="abcg", memory_gb=memory) as cluster:
        cluster.start()
        shards = cluster.place("g", nodes=["a", "b"])["shards"]
        assert len(shards) == 2
        stream = Stream(cluster["g"], 1000, temperature=0)
        await_tokens([stream], 10)
        done = pomona(cluster, "drain", "b")
        assert done.returncode == 0, done
        assert_complete([stream])
        (instance,) = cluster["g"].get("/cluster/state")["instances"]
        assert {shard["node"] for shard in instance["shards"]} == {"a", "c"}
        assert pomona(cluster, "drain", "c", "--wait", "1").returncode == 1  # nowhere to go
        assert_answers(cluster["g"])


def test_a_request_places_the_model_and_a_restarted_node_takes_part_again(tmp_path):
    with Cluster(tmp_path) as cluster:
        cluster.start("a", "b")
        assert_answers(cluster["b"])
        assert cluster["a"].health()["instances_ready"] == 1

        cluster.start("c")
        wait_until(lambda: cluster["c"].health()["instances_ready"] == 1, 5,
                   "the late node knows the instance")
        assert_answers(cluster["c"])

        status, answer = cluster["c"].request("POST", "/cluster/unplace", {"model": MODEL})
        assert status == 200, answer
        cluster["a"].kill()
        cluster.wait_alive()
        assert_answers(cluster["c"])
        cluster.start("a")
        assert_answers(cluster["a"])
        assert len({node["id"] for node in cluster["a"].get("/cluster/state")["nodes"]}) == 3


def test_a_stream_for_which_nothing_fits_is_told_what_is_missing(outage):
    _, stream = outage
    stream.join(timeout=120)
    assert stream.ended_at is not None and not stream.is_done
    assert "GiB" in stream.error["message"], stream.error
