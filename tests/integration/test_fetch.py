# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_fetch.py - nodes that lack the model fetch their share of it from one that holds it.

Node "a" alone holds SmolLM2; "b" and "c" begin with empty folders.
"""
import json
import os
import re
import subprocess

import pytest

from support.cluster import MODEL, MODEL_FILE, POMONA, Cluster, wait_until

MIB = 1 << 20
ROUNDING = 4 * MIB    # pieces are 1 MiB: the ends of the head and of runs of tensors are shared


@pytest.fixture
def cluster(tmp_path):
    with Cluster(tmp_path, holders="a") as cluster:
        cluster.start()
        wait_until(lambda: all(node.get("/v1/models")["data"] for node in cluster.up()), 10,
                   "every node knows the model")
        yield cluster


def ask(node, tokens=24):
    status, answer = node.request("POST", "/v1/completions", {
        "model": MODEL, "prompt": "Once upon a time", "temperature": 0, "max_tokens": tokens})
    assert status == 200, answer
    return answer["choices"][0]["text"]


def fetched(cluster, name):
    """Bytes on disk of what a node fetched."""
    files = list(cluster.folder.glob(f"data-{name}/nodes/{name}/shards/*/model.gguf"))
    assert len(files) <= 1
    return sum(512 * os.stat(file).st_blocks for file in files)


def shard_bytes(layers):
    """Of the head, those layers and what the ends need, by the file's own directory."""
    from gguf import GGUFReader
    reader = GGUFReader(MODEL_FILE)
    sizes = {t.name: int(t.n_bytes) for t in reader.tensors}
    head = min(int(t.data_offset) for t in reader.tensors)
    needed = head + sum(n for name, n in sizes.items()
                        if name.startswith("blk.") and int(name.split(".")[1]) in layers)
    if 0 in layers or 29 in layers:    # SmolLM2's output is its embedding
        needed += sizes["token_embd.weight"]
    return needed


def test_each_node_reads_its_share_and_no_more(cluster):
    cluster.place("a", nodes=["a"])
    alone = ask(cluster["a"])
    status, answer = cluster["a"].request("POST", "/cluster/unplace", {"model": MODEL})
    assert status == 200, answer

    status, answer = cluster["c"].request("POST", "/cluster/place", {
        "model": MODEL, "nodes": ["a", "b", "c"], "split": [10, 10, 10]}, timeout=150)
    lines = [json.loads(line) for line in answer.splitlines()]
    assert status == 200 and "instance" in lines[-1], lines[-1]
    stages = {shard["stage"] for line in lines[:-1] for shard in line["shards"]}
    assert stages <= {"starting", "fetching", "loading", "ready"}, stages
    progress = [line["progress"] for line in lines[:-1]]
    assert progress == sorted(progress)
    assert all(shard["stage"] == "ready" for shard in lines[-1]["instance"]["shards"])

    assert fetched(cluster, "a") == 0
    for name, layers in (("b", range(10, 20)), ("c", range(20, 30))):
        share = shard_bytes(layers)
        assert share <= fetched(cluster, name) <= share + ROUNDING, (name, share)
    assert shard_bytes(range(10, 20)) < MODEL_FILE.stat().st_size / 2
    for node in cluster.up():
        assert ask(node) == alone


def test_members_of_a_team_fetch_what_they_lack(cluster):
    """Which pieces that is, tests/unit/model/test_partial.c says: most of this model's matrices are
    smaller than a piece."""
    cluster.place("a", nodes=["a", "b", "c"], split=[2, 1, 1], overrides="strategy=tensor")
    text = ask(cluster["a"])
    assert fetched(cluster, "a") == 0 and fetched(cluster, "b") > 0
    assert ask(cluster["b"]) == text
    assert cluster["a"].request("POST", "/cluster/unplace", {"model": MODEL})[0] == 200
    cluster.place("a", nodes=["a", "b", "c"], split=[1, 1, 2], overrides="strategy=tensor")
    assert ask(cluster["c"]) == text


def test_what_was_fetched_is_used_again_and_added_to(cluster):
    cluster.place("a", nodes=["a", "b"], split=[20, 10])
    text, first = ask(cluster["b"]), fetched(cluster, "b")
    assert cluster["a"].request("POST", "/cluster/unplace", {"model": MODEL})[0] == 200
    cluster.place("b", nodes=["a", "b"], split=[20, 10])
    assert fetched(cluster, "b") == first
    assert "of which 0.0 MB came from peers" in cluster["b"].log.read_text()
    assert cluster["a"].request("POST", "/cluster/unplace", {"model": MODEL})[0] == 200
    cluster.place("b", nodes=["b"])
    assert fetched(cluster, "b") >= MODEL_FILE.stat().st_size
    assert ask(cluster["b"]) == text


def test_a_node_that_holds_the_model_is_taken_first(cluster):
    plan = cluster["b"].get(f"/cluster/plan?model={MODEL}")
    assert [shard["node"] for shard in plan["shards"]] == ["a"]


def test_a_damaged_piece_is_fetched_again(cluster):
    cluster.place("a", nodes=["a", "b"], split=[20, 10])
    text = ask(cluster["a"])
    assert cluster["a"].request("POST", "/cluster/unplace", {"model": MODEL})[0] == 200
    cluster["b"].kill()
    (file,) = cluster.folder.glob("data-b/nodes/b/shards/*/model.gguf")
    pieces = bytearray(file.with_name("model.gguf.pieces").read_bytes())
    pieces[12] = 0    # not clean, as after a crash
    file.with_name("model.gguf.pieces").write_bytes(pieces)
    size, time = file.stat().st_size, file.stat().st_mtime
    with open(file, "r+b") as f:
        f.seek(size - 5000)
        f.write(b"\x55" * 100)
    os.utime(file, (time, time))
    cluster["b"].start()
    cluster.wait_alive()
    cluster.place("a", nodes=["a", "b"], split=[20, 10])
    assert ask(cluster["a"]) == text
    came = [float(mb) for mb in re.findall(r"of which ([\d.]+) MB came",
                                           cluster["b"].log.read_text())]
    assert 0 < came[-1] <= 1.1 and len(came) == 2, came


def test_members_with_the_cluster_s_key_fetch_too(tmp_path):
    key = tmp_path / "cluster.key"
    subprocess.run([POMONA, "keys", "cluster", "--file", str(key)], check=True, timeout=60,
                   stdout=subprocess.DEVNULL)
    with Cluster(tmp_path, names="ab", holders="a",
                 options=("--cluster-key", str(key))) as cluster:
        cluster.start()
        wait_until(lambda: cluster["b"].get("/v1/models")["data"], 10, "b knows the model")
        cluster.place("b", nodes=["a", "b"], split=[20, 10])
        assert ask(cluster["a"]) == ask(cluster["b"])
        assert fetched(cluster, "b") >= shard_bytes(range(20, 30))


def test_a_model_whose_only_holder_is_gone_is_named(cluster):
    cluster["a"].kill()
    cluster.wait_alive()
    status, answer = cluster["b"].request("POST", "/cluster/place", {"model": MODEL})
    assert status == 404 and MODEL in answer["error"]["message"], answer
