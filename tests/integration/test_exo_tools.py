# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_exo_tools.py - tools written for exo work with a cluster.

What they read and send is that of exo's docs/api.md and of its bench/harness.py.
"""
import json
import threading

import pytest

from support.cluster import MODEL, Cluster, wait_until
from support.guarded import Guarded


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster"), names="abc", memory_gb={"a": 4, "b": 2, "c": 2}) as cluster:
        cluster.start()
        yield cluster


@pytest.fixture
def node(cluster):
    """Nothing is placed before, and nothing stays."""
    node = cluster["a"]
    assert node.get("/state")["instances"] == {}
    yield node
    for name in node.get("/state")["instances"]:
        node.request("DELETE", f"/instance/{name}")
    wait_until(lambda: not node.get("/state")["instances"], 15, "nothing is placed")


def inner(instance):
    (tag, inside), = instance.items()
    assert tag == "MlxRingInstance"
    return inside


def is_ready(node, name):
    """As exo's benchmark waits."""
    status, instance = node.request("GET", f"/state/instances/{name}")
    if status != 200:
        return None
    runners = inner(instance)["shardAssignments"]["runnerToShard"]
    states = [node.get(f"/state/runners/{r}") for r in runners]
    return instance if all("RunnerReady" in s for s in states) else None


def test_a_model_is_found_as_the_benchmark_finds_it(cluster):
    models = cluster["b"].get("/models")["data"]
    assert [(m["name"], m["hugging_face_id"]) for m in models] == [(MODEL, MODEL)]


def test_the_state_has_nodes_and_their_memory(cluster):
    state = cluster["b"].get("/state")
    assert sorted(state["topology"]["nodes"]) == ["a", "b", "c"] == sorted(state["nodeIdentities"])
    assert state["nodeMemory"]["a"]["ramTotal"]["inBytes"] == 4 << 30
    assert cluster["b"].get("/state/nodeMemory/a/ramAvailable/inBytes") <= 4 << 30
    assert cluster["b"].get("/node_id") == "b" and cluster["b"].get("/v1/state")["lastSeen"]
    for path in ("/state/nothing", "/state/instances/none/x", "/instance/none"):
        assert cluster["b"].request("GET", path)[0] == 404, path


def test_a_preview_can_be_placed_watched_and_ended(node):
    previews = node.get(f"/instance/previews?model_id={MODEL}")["previews"]
    assert [len(inner(p["instance"])["shardAssignments"]["nodeToRunner"]) for p in previews] == [1, 2, 3]
    for p in previews:
        assert (p["model_id"], p["sharding"], p["instance_meta"], p["error"]) == (MODEL, "Pipeline", "MlxRing", None)
        assert sum(p["memory_delta_by_node"].values()) > 70e6
        layers = [tuple(s["PipelineShardMetadata"][k] for k in ("startLayer", "endLayer"))
                  for s in inner(p["instance"])["shardAssignments"]["runnerToShard"].values()]
        assert sum(end - start for start, end in layers) == 30
    chosen = previews[1]["instance"]
    name = inner(chosen)["instanceId"]
    status, answer = node.request("POST", "/instance", {"instance": chosen})
    assert status == 200 and answer["message"] == "Command received." and answer["command_id"]
    placed = wait_until(lambda: is_ready(node, name), 60, "it is ready under the id that was asked for")
    assert placed == chosen and node.get(f"/instance/{name}") == chosen
    assert node.request("POST", "/v1/chat/completions", {
        "model": MODEL, "max_tokens": 3, "messages": [{"role": "user", "content": "Hi"}]})[0] == 200
    assert node.request("DELETE", f"/instance/{name}")[1]["instance_id"] == name
    wait_until(lambda: node.request("GET", f"/instance/{name}")[0] == 404, 15, "it is gone")


def test_a_model_is_placed_on_so_many_nodes(node):
    answers = []
    connection = node.connection(90)
    connection.request("GET", f"/instance/await?model_id={MODEL}&timeout_seconds=80")
    thread = threading.Thread(target=lambda: answers.append(connection.getresponse().read().decode()))
    thread.start()
    status, answer = node.request("POST", "/place_instance", {
        "model_id": MODEL, "sharding": "Pipeline", "instance_meta": "MlxRing", "min_nodes": 2})
    assert status == 200 and answer["model_card"]["nLayers"] == 30
    thread.join()
    connection.close()
    event, = [json.loads(line[6:]) for line in answers[0].splitlines() if line.startswith("data: ")]
    assert event["type"] == "ready"
    assert len(inner(event["instance"])["shardAssignments"]["nodeToRunner"]) == 2
    assert inner(event["instance"])["instanceId"] == answer["instance_id"]


def test_what_cannot_be_is_said_at_once(node):
    for body, code, word in (({"model_id": "none"}, 404, "does not exist"), ({"min_nodes": 1}, 400, "model_id"),
                             ({"model_id": MODEL, "sharding": "Tensor"}, 400, "Pipeline"),
                             ({"model_id": MODEL, "instance_meta": "MlxJaccl"}, 400, "MlxRing"),
                             ({"model_id": MODEL, "min_nodes": 4}, 503, "3 nodes"),
                             ({"model_id": MODEL, "min_nodes": 0}, 400, "min_nodes")):
        status, answer = node.request("POST", "/place_instance", body)
        assert status == code and word in answer["error"]["message"], (body, answer)
    for body in ({"instance": 1}, {"instance": {}}, {"instance": {"X": {"shardAssignments": {"modelId": MODEL}}}},
                 {"instance": {"X": {"shardAssignments": {"modelId": MODEL, "nodeToRunner": {"a": "r"}}}}},
                 {"instance": {"X": {"shardAssignments": {"modelId": MODEL, "nodeToRunner": {"a": "r"}, "runnerToShard": {
                     "r": {"P": {"startLayer": 0, "endLayer": 7}}}}}}}):
        assert node.request("POST", "/instance", body)[0] == 400, body
    assert node.request("DELETE", "/instance/none")[0] == 404
    for query in ("", "?model_id=m&timeout_seconds=301", "?model_id=m&timeout_seconds=x"):
        assert node.request("GET", "/instance/await" + query)[0] == 400
    text = node.request("GET", f"/instance/await?model_id={MODEL}&timeout_seconds=0.1")[1]
    assert json.loads(text.strip().splitlines()[-1][6:])["type"] == "timeout"
    only = node.get(f"/instance/previews?model_id={MODEL}&node_ids=b&node_ids=c")["previews"]
    assert [set(p["memory_delta_by_node"]) for p in only] == [{"b"}, {"b", "c"}] or \
        [set(p["memory_delta_by_node"]) for p in only] == [{"c"}, {"b", "c"}]
    assert len(inner(node.get(f"/instance/placement?model_id={MODEL}&min_nodes=3"))["shardAssignments"][
        "runnerToShard"]) == 3


def test_who_asked_may_cancel_and_nobody_else(tmp_path):
    with Guarded(tmp_path, "auth: { required: true }") as node:
        mine = node.key("alice", "--tenant", "one", "--scopes", "chat")
        same = node.key("bob", "--tenant", "one", "--scopes", "chat")
        other = node.key("eve", "--tenant", "two", "--scopes", "chat")
        admin = node.key("root", "--scopes", "admin")
        for path in ("/state", "/node_id", "/instance/previews?model_id=m"):
            assert node.ask("GET", path, mine)[0] == 403, path
        assert node.ask("POST", "/place_instance", mine, {"model_id": MODEL})[0] == 403
        for who in (same, admin):
            connection = node.node.connection(60)
            connection.request("POST", "/v1/completions", json.dumps({
                "model": MODEL, "prompt": "Once", "stream": True, "max_tokens": 4000, "min_tokens": 4000}),
                {"Content-Type": "application/json", "Authorization": f"Bearer {mine}"})
            response = connection.getresponse()
            name = json.loads(response.readline()[6:])["id"]
            assert node.ask("POST", f"/v1/cancel/{name}", other, {})[0] == 404
            status, _, answer = node.ask("POST", f"/v1/cancel/{name}", who, {})
            assert (status, answer["command_id"]) == (200, name)
            assert b"cancel" in response.read()
            connection.close()
