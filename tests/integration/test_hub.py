# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_hub.py - what no node gives comes from the hub that the model came from, and
what a damaged node has is not taken for the model.
"""
import http.client
import os
import shutil
import subprocess
import threading
import time

import pytest

from support.cluster import MODEL, MODEL_FILE, POMONA, Cluster, wait_until
from support.hub import COMMIT, Hub

SIZE = MODEL_FILE.stat().st_size
TOKEN = "hf_not_to_be_told"
MIB = 1 << 20


@pytest.fixture
def hub(monkeypatch):
    with Hub(MODEL_FILE.read_bytes()) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


@pytest.fixture
def cluster(hub, tmp_path):
    """Node "a" pulled the model, "b" lacks it; then "b" fetched a third of it, and "a" died."""
    with Cluster(tmp_path, names="ab", holders="a") as cluster:
        (tmp_path / "data-a" / "models" / MODEL_FILE.name).unlink()
        subprocess.run([POMONA, "pull", hub.NAME, "--name", MODEL, "--data", tmp_path / "data-a"],
                       check=True, timeout=60, stdout=subprocess.DEVNULL)
        cluster.start()
        wait_until(lambda: cluster["b"].get("/v1/models")["data"], 10, "b knows the model")
        cluster.place("b", nodes=["a", "b"], split=[20, 10])
        cluster.text = ask(cluster["b"])
        cluster["a"].kill(15)
        cluster.wait_alive()
        wait_until(lambda: part_of(cluster["b"]), 10, "b tells of its part")
        with hub.lock:
            hub.asked, hub.tokens, hub.given = [], [], 0
        yield cluster


def ask(node):
    status, answer = node.request("POST", "/v1/completions", {
        "model": MODEL, "prompt": "Once upon a time", "temperature": 0, "max_tokens": 16})
    assert status == 200, answer
    return answer["choices"][0]["text"]


def part_of(node):
    """The model as a node knows it when nobody has the whole."""
    models = node.get("/cluster/state")["models"]
    return models and models[0]["is_part"] and models[0]


def here(cluster):
    (file,) = cluster.folder.glob("data-b/nodes/b/shards/*/model.gguf")
    return 512 * os.stat(file).st_blocks


def assert_only_ranges(hub):
    assert hub.asked and all(asked for _, asked, _ in hub.asked), hub.asked[:5]


def test_a_model_whose_holder_is_gone_is_known_by_its_parts(cluster, hub):
    part = part_of(cluster["b"])
    assert part["name"] == MODEL and len(part["root"]) == 64
    assert part["origin"] == f"hf:me/tiny-GGUF/Tiny.Q4_1.gguf@{COMMIT}"
    assert [m["id"] for m in cluster["b"].get("/v1/models")["data"]] == [MODEL]


def test_what_is_missing_and_no_more_comes_from_the_hub(cluster, hub):
    hub.revisions = [COMMIT]    # of a branch that moved on
    before = here(cluster)
    instance = cluster.place("b", nodes=["b"])
    assert ask(cluster["b"]) == cluster.text
    assert_only_ranges(hub)
    assert SIZE - before - 4 * MIB < hub.given < SIZE - before + 4 * MIB
    (shard,) = instance["shards"]
    assert shard["peer_bytes"] == 0 and abs(shard["hub_bytes"] - hub.given) < MIB, (shard, hub.given)
    assert "from the hub" in subprocess.run(
        [POMONA, "status", "--api", f"http://127.0.0.1:{cluster['b'].api_port}"], check=True,
        capture_output=True, text=True, timeout=60).stdout
    assert hub.tokens[0] == f"Bearer {TOKEN}"
    asked = [path for path, _, _ in hub.asked if "/resolve/" in path]
    assert len(asked) <= 12, "where the hub sends on to is asked the next time"
    log = cluster["b"].log.read_text()
    assert TOKEN not in log and "key=secret" not in log


def test_a_hub_that_breaks_off_waits_and_forgets_is_coped_with(cluster, hub):
    hub.revisions, hub.cuts, hub.waits, hub.expires = [COMMIT], 3, [1], 2
    cluster.place("b", nodes=["b"])
    assert ask(cluster["b"]) == cluster.text


def test_a_killed_node_goes_on_at_the_hub_where_it_was(cluster, hub):
    hub.revisions, hub.pause = [COMMIT], 0.2
    node, missing = cluster["b"], SIZE - here(cluster)
    placing = threading.Thread(target=place_in_vain, args=(node,))
    placing.start()
    wait_until(lambda: hub.given > missing / 2, 60, "half came")
    node.kill()
    placing.join()
    hub.pause = 0
    node.start()
    cluster.wait_alive()
    assert wait_until(lambda: part_of(node), 10, "b tells of its part")["name"] == MODEL
    cluster.place("b", nodes=["b"])
    assert ask(node) == cluster.text
    assert hub.given < 1.5 * missing, "what was noted is not fetched again"


def place_in_vain(node):
    try:
        node.request("POST", "/cluster/place", {"model": MODEL, "nodes": ["b"]}, timeout=60)
    except (OSError, http.client.HTTPException):
        pass


@pytest.mark.parametrize("how, words", [
    (lambda hub: setattr(hub, "content", bytes(SIZE)), "bytes that are not the model's"),
    (lambda hub: setattr(hub, "status", 404), "there is nothing at"),
    (lambda hub: setattr(hub, "status", 401), "HF_TOKEN")])
def test_a_hub_that_does_not_give_it_is_told_in_words(cluster, hub, how, words):
    hub.revisions = [COMMIT]
    how(hub)
    status, answer = cluster["b"].request("POST", "/cluster/place", {"model": MODEL, "nodes": ["b"]})
    assert words in str(answer) and TOKEN not in str(answer), answer


def damage(file, copy):
    """The same head and size, other weights."""
    shutil.copy(file, copy)
    with open(copy, "r+b") as f:
        f.seek(SIZE - 300_000)
        f.write(bytes(200_000))


def test_a_damaged_holder_poisons_nobody(tmp_path):
    with Cluster(tmp_path, names="abcd", holders="abc") as cluster:
        models = tmp_path / "data-b" / "models"
        (models / MODEL_FILE.name).unlink()
        damage(MODEL_FILE, models / MODEL_FILE.name)
        cluster.start()
        for name in "abc":    # node d hears it in the same moment
            wait_until(lambda: cluster[name].get("/cluster/state")["models"][0]["root"], 20,
                       f"{name} hashed its file")
        time.sleep(0.5)
        cluster.place("a", nodes=["a"])
        text = ask(cluster["a"])
        assert cluster["a"].request("POST", "/cluster/unplace", {"model": MODEL})[0] == 200
        cluster.place("d", nodes=["b", "d"], split=[15, 15])
        assert ask(cluster["d"]) == text
        assert "is not the other nodes'" in cluster["b"].log.read_text()
        assert list(tmp_path.glob("data-b/nodes/b/shards/*/model.gguf"))


def test_two_files_that_pass_for_one_are_the_callers_error(tmp_path):
    with Cluster(tmp_path, names="abc", holders="a") as cluster:
        (tmp_path / "data-a" / "models" / MODEL_FILE.name).unlink()
        cluster.start()
        leader = wait_until(lambda: cluster["a"].get("/cluster/state").get("leader"), 10, "a leader")
        holders = sorted({"a", "b", "c"} - {leader})    # what the leader has itself would decide
        for name, put in zip(holders, (lambda path: path.symlink_to(MODEL_FILE),
                                       lambda path: damage(MODEL_FILE, path))):
            models = tmp_path / f"data-{name}" / "models"
            models.mkdir(parents=True, exist_ok=True)
            put(models / MODEL_FILE.name)
        for name in holders:
            wait_until(lambda: [m for m in cluster[name].get("/cluster/state")["models"]
                                if m["root"]], 20, f"{name} hashed its file")
        time.sleep(0.5)
        status, answer = cluster[leader].request("POST", "/cluster/place", {"model": MODEL})
        assert "'%s' and '%s' hold different files" % tuple(holders) in str(answer), (status, answer)
