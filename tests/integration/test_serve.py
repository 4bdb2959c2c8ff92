# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_serve.py - `pomona serve` as a command: how it starts, finds models, ends."""
import json
import signal
import subprocess
import time

import pytest

from support.cluster import (MODEL, MODEL_FILE, POMONA, Cluster, Node, Stream, free_ports,
                             is_running, wait_until)


@pytest.fixture
def alone(tmp_path):
    """Makes a node without a configuration; ended with the test."""
    nodes = []

    def start(*options, port=None):
        port = port or free_ports(1)[0]
        node = Node("local", 0, port, [POMONA, "serve", "--data", str(tmp_path / "data"),
                                       "--listen", f"127.0.0.1:{port}", "--threads", "1",
                                       *options], tmp_path / "local.log")
        node.start()
        nodes.append(node)
        wait_until(node.health, 20, "the node answers")
        return node

    yield start
    for node in nodes:
        if node.is_up():
            node.kill(signal.SIGTERM)


def refused(*options):
    """(exit status, what it says) of a serve that cannot start."""
    done = subprocess.run([POMONA, "serve", *options], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def names(node):
    return [model["id"] for model in node.get("/v1/models")["data"]]


def complete(node, model):
    return node.request("POST", "/v1/completions",
                        {"model": model, "prompt": "Hello", "max_tokens": 2, "min_tokens": 2})


def test_one_file_is_served_alone_under_its_name(alone):
    node = alone("--model", str(MODEL_FILE))
    assert names(node) == [MODEL]
    status, answer = complete(node, MODEL)
    assert status == 200, answer


def test_the_model_named_is_ready_before_anybody_asks(alone):
    node = alone("--model", str(MODEL_FILE))
    wait_until(lambda: node.health()["instances_ready"] == 1, 20, "the model is placed")


def test_a_draft_model_guesses_for_an_instance(alone, tmp_path):
    node = alone()
    (tmp_path / "data" / "models" / "small.gguf").symlink_to(MODEL_FILE.resolve())
    wait_until(lambda: names(node) == ["small"], 10, "the model is listed")
    status, answer = node.request("POST", "/cluster/place", {"model": "small", "draft": "none"})
    assert status == 400 and answer["error"]["param"] == "draft", answer
    status, answer = node.request("POST", "/cluster/place", {"model": "small", "draft": "small"},
                                  timeout=60)
    assert status == 200 and "instance" in json.loads(answer.splitlines()[-1]), answer
    assert "'small' guesses tokens ahead" in node.log.read_text()
    status, answer = complete(node, "small")
    assert status == 200, answer


def test_a_model_that_does_not_fit_is_refused_at_once(tmp_path):
    status, words = refused("--model", str(MODEL_FILE), "--memory-gb", "0.05",
                            "--data", str(tmp_path), "--listen", f"127.0.0.1:{free_ports(1)[0]}")
    assert status == 1
    assert "needs" in words and words.count("\n") <= 2, words


def test_an_imported_model_appears_by_itself(alone, tmp_path):
    node = alone()
    assert names(node) == []
    status, answer = complete(node, "late")
    assert status == 404 and answer["error"]["code"] == "model_not_found"
    (tmp_path / "data" / "models" / "late.gguf").symlink_to(MODEL_FILE.resolve())
    wait_until(lambda: names(node) == ["late"], 10, "the new model is listed")
    status, answer = complete(node, "late")
    assert status == 200, answer


def test_a_file_that_is_no_model_is_left_out_and_named_once(alone, tmp_path):
    models = tmp_path / "data" / "models"
    models.mkdir(parents=True)
    (models / "bad.gguf").write_bytes(b"not a model" * 100)
    node = alone()
    assert names(node) == []
    (models / "good.gguf").symlink_to(MODEL_FILE.resolve())
    wait_until(lambda: names(node) == ["good"], 10, "the good model is listed")
    assert node.log.read_text().count("is left out") == 1
    assert "bad.gguf" in node.log.read_text()


def test_the_node_id_is_made_once(alone, tmp_path):
    file = tmp_path / "data" / "nodes" / "local" / "id"
    node = alone()
    first = node.get("/cluster/state")["nodes"][0]["id"]
    assert file.read_text().strip() == first and len(first) == 32
    node.kill(signal.SIGTERM)
    assert alone().get("/cluster/state")["nodes"][0]["id"] == first
    file.write_text("hand-made\n")
    status, said = refused("--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0")
    assert status == 1 and "is not a node's id" in said


def test_a_running_answer_may_end_first(alone):
    node = alone("--model", str(MODEL_FILE))
    assert complete(node, MODEL)[0] == 200
    stream = Stream(node, max_tokens=24)
    wait_until(lambda: stream.n_chunks > 0 or stream.ended_at, 60, "a first token")
    node.runners()
    node.process.send_signal(signal.SIGTERM)
    stream.join(timeout=60)
    assert stream.is_done, (stream.error, stream.broken)
    assert node.process.wait(timeout=60) == 0


def test_an_answer_that_does_not_end_is_cut_after_seconds(alone):
    node = alone("--model", str(MODEL_FILE))
    stream = Stream(node, max_tokens=7000)
    wait_until(lambda: stream.n_chunks > 0 or stream.ended_at, 60, "a first token")
    (runner,) = node.runners()
    start = time.monotonic()
    node.process.send_signal(signal.SIGINT)
    assert node.process.wait(timeout=60) == 0
    assert time.monotonic() - start > 4
    stream.join(timeout=60)
    assert not stream.is_done
    wait_until(lambda: not is_running(runner), 5, "the runner ended")


def test_a_node_asked_twice_ends_at_once_and_tells_its_clients(alone):
    node = alone("--model", str(MODEL_FILE))
    stream = Stream(node, max_tokens=7000)
    wait_until(lambda: stream.n_chunks > 0 or stream.ended_at, 60, "a first token")
    start = time.monotonic()
    node.process.send_signal(signal.SIGINT)
    node.kill(signal.SIGTERM)
    assert time.monotonic() - start < 4
    stream.join(timeout=60)
    assert stream.error and stream.error["code"] == "shutting_down", stream.broken


@pytest.mark.parametrize("seconds", [0.02, 0.05, 0.1])
def test_a_node_asked_twice_while_it_reads_a_tokenizer_ends_well(alone, seconds):
    node = alone("--model", str(MODEL_FILE))
    stream = Stream(node, max_tokens=4)
    time.sleep(seconds)    # one of them is while it reads
    node.process.send_signal(signal.SIGINT)
    node.kill(signal.SIGTERM)
    stream.join(timeout=60)
    assert stream.ended_at


def test_wrong_use_is_told_in_one_sentence(tmp_path):
    config = tmp_path / "cluster.json"
    data = ["--data", str(tmp_path / "data")]
    config.write_text(json.dumps({"cluster": {"name": "c"},
                                  "nodes": [{"name": "x", "host": "127.0.0.1"},
                                            {"name": "y", "host": "127.0.0.2"}]}))
    status, said = refused(*data, "--config", str(config), "--node", "z")
    assert status == 1 and "no node 'z' in cluster 'c'; its nodes are x, y" in said
    status, said = refused(*data, "--config", str(tmp_path / "absent.json"), "--node", "x")
    assert status == 1 and "absent.json" in said
    config.write_text('{"cluster":{"name":"c"},\n"nodez":[]}')
    status, said = refused(*data, "--config", str(config), "--node", "x")
    assert status == 1 and "cluster.json:" in said and "nodez" in said
    status, said = refused(*data, "--listen", "nowhere")
    assert status == 1 and "ADDRESS:PORT" in said
    status, said = refused(*data, "--model", str(tmp_path / "absent.gguf"))
    assert status == 1 and "absent" in said
    status, said = refused(*data, "--config", str(config), "--model", str(MODEL_FILE))
    assert status == 2


def test_a_port_in_use_is_named(alone):
    node = alone()
    status, said = refused("--data", str(node.log.parent / "other"), "--listen",
                           f"127.0.0.1:{node.api_port}")
    assert status == 1 and str(node.api_port) in said


def test_a_node_of_another_cluster_is_turned_away(tmp_path):
    with Cluster(tmp_path / "one", names="ab") as cluster:
        cluster["a"].start()
        config = json.loads((tmp_path / "one" / "cluster_nodes.json").read_text())
        config["cluster"]["name"] = "impostor"
        (tmp_path / "other.json").write_text(json.dumps(config))
        option = cluster["b"].command.index("--config") + 1
        cluster["b"].command[option] = str(tmp_path / "other.json")
        cluster["b"].start()
        wait_until(lambda: cluster["a"].health() and cluster["b"].health(), 20, "both answer")
        wait_until(lambda: "another cluster" in cluster["b"].log.read_text(), 10,
                   "the refusal is logged")
        assert cluster["a"].health()["nodes_alive"] == 1
        assert cluster["b"].health()["nodes_alive"] == 1
