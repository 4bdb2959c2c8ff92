# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_leader.py - what shall be placed outlives every process, and every cut.

All nodes of a cluster are killed at once and come back; the leader is killed while it places;
three hosts are cut into one and two that each place the model, and meet again.
"""
import json
import subprocess
import threading
import time

import pytest

from support import netns
from support.cluster import MODEL, MODEL_FILE, POMONA, Cluster, Stream, wait_until

STREAM_TOKENS = 1500


def leader(node):
    """Name of the elected leader as `node` sees it, or None."""
    state = node.get("/cluster/state")
    return state["leader"] if state["leadership"] == "elected" else None


def await_leader(cluster, seconds=15):
    """One leader, in the eyes of all."""
    def agreed():
        leaders = {leader(node) for node in cluster.up()}
        return leaders.pop() if len(leaders) == 1 else None
    return wait_until(agreed, seconds, "all agree on a leader")


def instances(node):
    return node.get("/cluster/state")["instances"]


def split_of(instance):
    return [(shard["node"], shard["n_layers"]) for shard in instance["shards"]]


def kill_all(cluster):
    for node in cluster.up():
        node.kill()


def await_ready(cluster, n, seconds, what):
    for node in cluster.up():
        wait_until(lambda: node.health()["instances_ready"] == n, seconds, what)


def test_the_models_come_back_after_a_restart_of_all(tmp_path):
    with Cluster(tmp_path, names="abc") as cluster:
        cluster.start()
        before = cluster.place("b", nodes=["a", "c"], split=[12, 18])
        epoch = cluster["a"].get("/cluster/state")["epoch"]
        kill_all(cluster)
        cluster.start()
        begun = time.monotonic()
        await_ready(cluster, 1, 20, "the model came back without a request")
        print(f"the model was back {time.monotonic() - begun:.1f} s after the nodes")
        (after,) = instances(cluster["b"])
        assert after["id"] != before["id"] and split_of(after) == split_of(before)
        assert cluster["a"].get("/cluster/state")["epoch"] > epoch

        status, answer = cluster["c"].request("POST", "/cluster/unplace", {"model": MODEL})
        assert status == 200, answer
        kill_all(cluster)
        cluster.start()
        await_leader(cluster)
        time.sleep(3)  # longer than the leader waits before it places what shall be
        for node in cluster.up():
            state = node.get("/cluster/state")
            assert state["instances"] == [] and state["wanted"] == [], state


def test_a_node_alone_serves_at_once_and_keeps_what_it_served(tmp_path):
    with Cluster(tmp_path, names="a") as cluster:
        cluster.start()
        body = {"model": MODEL, "prompt": "Once", "max_tokens": 2}
        status, answer = cluster["a"].request("POST", "/v1/completions", body)
        assert status == 200, answer
        cluster["a"].kill()
        cluster.start()
        await_ready(cluster, 1, 20, "the model came back without a request")
        cluster["a"].kill()
        kept = next(tmp_path.glob("data/nodes/a/state/council"))
        kept.write_bytes(kept.read_bytes()[:-1])  # torn
        cluster.start()
        assert cluster["a"].get("/cluster/state")["wanted"] == []
        assert kept.with_name("council.damaged").exists()
        assert cluster["a"].request("POST", "/v1/completions", body)[0] == 200


def test_a_few_of_many_configured_nodes_serve(tmp_path):
    """One of three cannot elect a leader; it looks after requests all the same."""
    with Cluster(tmp_path, names="abc") as cluster:
        cluster.start("b")
        body = {"model": MODEL, "prompt": "Once", "max_tokens": 2}
        status, answer = cluster["b"].request("POST", "/v1/completions", body)
        assert status == 200, answer
        assert cluster["b"].get("/cluster/state")["leadership"] == "caretaker"
        status, answer = cluster["b"].request("POST", "/cluster/unplace", {"model": MODEL})
        assert status >= 500 and "1 of the 3 configured nodes" in answer["error"]["message"]

        served = instances(cluster["b"])[0]["id"]
        cluster.start("a", "c")
        await_leader(cluster)
        wait_until(lambda: cluster["a"].get("/cluster/state")["wanted"], 10,
                   "the leader adopts what the caretaker placed")
        assert [i["id"] for i in instances(cluster["a"])] == [served]


def place_in_background(node, answers):
    def run():
        answers.append(node.request("POST", "/cluster/place", {"model": MODEL}, timeout=120))
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_a_leader_killed_while_it_places_costs_no_placement(tmp_path):
    memory = {"a": 0.15, "b": 0.15, "c": 0.15, "d": 0.15}  # more than one node is needed
    with Cluster(tmp_path, names="abcd", memory_gb=memory, shares_data=False) as cluster:
        cluster.start()
        first = await_leader(cluster)
        asked = cluster[next(name for name in "abcd" if name != first)]
        answers = []
        thread = place_in_background(asked, answers)
        wait_until(lambda: [i for i in instances(asked) if i["state"] == "placing"], 10,
                   "the placing is under way")
        cluster[first].kill()
        thread.join(timeout=90)
        assert answers and answers[0][0] == 200, answers
        last = json.loads(answers[0][1].splitlines()[-1])
        assert "instance" in last, last
        second = await_leader(cluster)
        assert second != first
        await_ready(cluster, 1, 10, "one instance is ready")
        stream = Stream(asked, 20)
        stream.join(timeout=60)
        assert stream.is_done and stream.error is None


# --- a cut between hosts ---

def api(host, path, body=None):
    """The JSON that a node in a namespace answers, or None."""
    command = ["curl", "-s", "-m", "60", f"http://127.0.0.1:52415{path}"]
    if body is not None:
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    try:
        return json.loads(host.run(command).splitlines()[-1])
    except (subprocess.CalledProcessError, IndexError, json.JSONDecodeError):
        return None


def ready(host):
    state = api(host, "/cluster/state")
    return [i for i in state["instances"] if i["state"] == "ready"] if state else []


def stream(host, path, seed):
    body = {"model": MODEL, "prompt": "Once upon a time", "stream": True, "temperature": 1,
            "seed": seed, "max_tokens": STREAM_TOKENS, "min_tokens": STREAM_TOKENS}
    with open(path, "wb") as out:
        return host.popen(["curl", "-sN", "-m", "240", "http://127.0.0.1:52415/v1/completions", "-H",
                           "Content-Type: application/json", "-d", json.dumps(body)], stdout=out)


def text_of(path):
    """(text, whether it came to its end); an error event fails the test."""
    events = [line.removeprefix("data: ") for line in path.read_text().splitlines()
              if line.startswith("data: ")]
    said = [json.loads(e) for e in events if e != "[DONE]"]
    assert not [e for e in said if "error" in e], said[-1]
    return "".join(e["choices"][0]["text"] for e in said if e["choices"]), "[DONE]" in events


@pytest.mark.skipif(not netns.is_possible(),
                    reason="SKIPPED: network namespaces need root and ip(8)")
def test_two_sides_of_a_cut_become_one_cluster_with_one_instance(tmp_path):
    key = tmp_path / "key"
    subprocess.run([POMONA, "keys", "cluster", "--file", str(key)], check=True, capture_output=True)
    with netns.Network(3) as network:
        alone, *others = network.hosts
        for i, host in enumerate(network.hosts):
            data = tmp_path / f"data-{i}"
            (data / "models").mkdir(parents=True)
            (data / "models" / MODEL_FILE.name).symlink_to(MODEL_FILE.resolve(strict=True))
            with open(tmp_path / f"{i}.log", "wb") as log:
                host.popen([POMONA, "serve", "--cluster", "home", "--node", f"n{i}", "--data",
                            str(data), "--cluster-key", str(key), "--threads", "1", "--memory-gb",
                            "2"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            cut_and_heal(tmp_path, network, alone, others)
        except AssertionError:
            for i in range(3):
                print(f"--- log of n{i}\n{(tmp_path / f'{i}.log').read_text()[-6000:]}")
            raise


def n_alive(host):
    return (api(host, "/health") or {}).get("nodes_alive")


def cut_and_heal(tmp_path, network, alone, others):
    wait_until(lambda: all(n_alive(h) == 3 for h in network.hosts), 30, "three find one another")
    assert "instance" in api(others[0], "/cluster/place", {"model": MODEL, "nodes": ["n1"]})
    undisturbed = {}
    runs = [stream(others[0], tmp_path / f"want-{seed}", seed) for seed in (1, 2)]
    for seed, run in zip((1, 2), runs):
        assert run.wait(timeout=240) == 0
        undisturbed[seed], is_done = text_of(tmp_path / f"want-{seed}")
        assert is_done

    netns.ip("-n", network.bridge, "link", "set", "port0", "down")
    wait_until(lambda: n_alive(alone) == 1 and n_alive(others[0]) == 2, 15, "the cut is seen")
    assert "choices" in api(alone, "/v1/completions", {"model": MODEL, "prompt": "Once",
                                                        "max_tokens": 1})
    runs = [stream(alone, tmp_path / "got-1", 1), stream(others[1], tmp_path / "got-2", 2)]
    assert len(ready(alone)) == 1 and len(ready(others[0])) == 1
    wait_until(lambda: all((tmp_path / f"got-{s}").read_text().count("data:") > 20 for s in (1, 2)),
               30, "both sides stream")
    netns.ip("-n", network.bridge, "link", "set", "port0", "up")
    healed = time.monotonic()
    wait_until(lambda: all(n_alive(h) == 3 for h in network.hosts), 30, "the cut heals")

    def is_one():
        states = [api(host, "/cluster/state") for host in network.hosts]
        return (all(states) and len({(s["leader"], s["epoch"]) for s in states}) == 1 and
                all(len(s["instances"]) == 1 for s in states))
    wait_until(is_one, 60, "one leader and one instance")
    print(f"one leader and one instance {time.monotonic() - healed:.1f} s after the cut healed")
    for seed, run in zip((1, 2), runs):
        assert run.wait(timeout=240) == 0
        text, is_done = text_of(tmp_path / f"got-{seed}")
        assert is_done and text == undisturbed[seed]
