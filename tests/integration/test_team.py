# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_team.py - SmolLM2 split over teams of nodes: every layer over all of them.

Greedy answers of a team are those of one node; where one parts from it, the best two logits there are
closer than ERROR_MAX, which is what rounding costs when f32 sums are in another order.  A cut gives the
same answers each time.  Runners and nodes die and stop under streams, which go on.  With --full it is 20
prompts of 64 tokens, else fewer.
"""
import concurrent.futures
import json
import os
import signal
import subprocess

import pytest

from support.cluster import MODEL, POMONA, Cluster, Stream, is_running, wait_until

ERROR_MAX = 0.02
IS_FULL = bool(os.environ.get("POMONA_TEST_FULL"))
N_TOKENS = 64 if IS_FULL else 24
PROMPTS = ["Once upon a time", "The capital of France is", "def fibonacci(n):", "Water boils at",
           "Dear Sir or Madam,", "1, 1, 2, 3, 5, 8,", "The three little pigs", "In the year 2050",
           "SELECT name FROM", "Photosynthesis is", "My favourite colour", "It was a dark night",
           "To make bread you", "The moon", "A triangle has", "Shakespeare wrote", "# Title\n\n",
           "Question: why is the sky blue?", "int main(void)", "Le petit chat"][:20 if IS_FULL else 8]

CUTS = {
    "two nodes, as the planner cuts": ("ab", None),
    "two nodes, halves": ("ab", [1, 1]),
    "two nodes, two to one": ("ba", [2, 1]),
    "three nodes, thirds": ("abc", [1, 1, 1]),
    "three nodes, one without heads": ("abc", [5, 3, 1]),
    "four nodes, quarters": ("abcd", [1, 1, 1, 1]),
    "four nodes, all unlike": ("dcba", [7, 4, 2, 1]),
}
QUICK = ("two nodes, halves", "three nodes, one without heads", "four nodes, all unlike")
TEAMS = [("ab", "cd"), ("abc", "d")]    # of a hybrid, as they follow one another


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("team"), names="abcd") as cluster:
        cluster.start()
        yield cluster


def place(cluster, nodes, split):
    instance = cluster.place("d", nodes=list(nodes), overrides="strategy=tensor",
                             **({"split": split} if split else {}))
    shards = instance["shards"]
    assert [s["node"] for s in shards] == list(nodes)
    assert all((s["first_layer"], s["n_layers"]) == (0, 30) for s in shards)
    assert sum(s["share"] for s in shards) == pytest.approx(1, abs=0.001)
    return instance


def place_teams(cluster, teams):
    """A pipeline of these teams."""
    nodes = list("".join(teams))
    instance = cluster.place("d", nodes=nodes, overrides=f"strategy=hybrid:{len(teams[0])}", streams=4)
    shards = instance["shards"]
    assert [s["node"] for s in shards] == nodes
    first_layers, n_layers = [], 0
    for team in teams:
        of_team, shards = shards[:len(team)], shards[len(team):]
        assert len({(s["first_layer"], s["n_layers"]) for s in of_team}) == 1, instance
        assert sum(s.get("share", 1) for s in of_team) == pytest.approx(1, abs=0.001)
        first_layers.append(of_team[0]["first_layer"])
        n_layers += of_team[0]["n_layers"]
    assert n_layers == 30 and sorted(set(first_layers)) == first_layers, instance
    return instance


def unplace(cluster):
    status, answer = cluster["d"].request("POST", "/cluster/unplace", {"model": MODEL})
    assert status == 200, answer
    for node in cluster.up():
        wait_until(lambda: node.health()["instances_ready"] == 0, 5, "the instance is gone")


def complete(cluster, prompt, **more):
    status, answer = cluster["d"].request(
        "POST", "/v1/completions", {"model": MODEL, "prompt": prompt, "max_tokens": N_TOKENS,
                                    "temperature": 0, "ignore_eos": True, **more})
    assert status == 200, answer
    return answer["choices"][0]


def answers(cluster):
    """(tokens, the best two logprobs at each) of every prompt, all at one time."""
    def one(prompt):
        said = complete(cluster, prompt, logprobs=2)["logprobs"]
        return said["tokens"], [sorted(top.values(), reverse=True) for top in said["top_logprobs"]]
    with concurrent.futures.ThreadPoolExecutor(len(PROMPTS)) as pool:
        return list(pool.map(one, PROMPTS))


@pytest.fixture(scope="module")
def of_one_node(cluster):
    cluster.place("d", nodes=["a"])
    try:
        return answers(cluster)
    finally:
        unplace(cluster)


def assert_same_but_for_rounding(got, want):
    n_same = 0
    for (tokens, _), (wanted, best) in zip(got, want):
        assert len(tokens) == len(wanted) == N_TOKENS
        parting = next((i for i, (a, b) in enumerate(zip(tokens, wanted)) if a != b), None)
        n_same += parting is None
        if parting is not None:
            assert best[parting][0] - best[parting][1] < ERROR_MAX, (parting, tokens, wanted)
    assert n_same >= len(want) * 3 // 4    # another token at every turn would be no rounding


def assert_tokens_of_one_node(cluster, of_one_node):
    """What is placed gives them, and the same each time; then it is placed no more."""
    try:
        first, again = answers(cluster), answers(cluster)
        assert [tokens for tokens, _ in first] == [tokens for tokens, _ in again]
        assert_same_but_for_rounding(first, of_one_node)
    finally:
        unplace(cluster)


@pytest.mark.parametrize("cut", CUTS if IS_FULL else QUICK)
def test_a_team_gives_the_tokens_of_one_node(cluster, of_one_node, cut):
    place(cluster, *CUTS[cut])
    assert_tokens_of_one_node(cluster, of_one_node)


@pytest.mark.parametrize("teams", TEAMS if IS_FULL else TEAMS[:1], ids="-".join)
def test_a_pipeline_of_teams_gives_the_tokens_of_one_node(cluster, of_one_node, teams):
    place_teams(cluster, teams)
    assert_tokens_of_one_node(cluster, of_one_node)


def test_what_needs_all_logits_of_a_team_has_them(cluster):
    place(cluster, "abc", [1, 1, 1])
    try:
        schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}},
                  "required": ["city"], "additionalProperties": False}
        held = complete(cluster, "A city in JSON:", temperature=0.8, seed=3, ignore_eos=False,
                        response_format={"type": "json_schema",
                                         "json_schema": {"name": "c", "schema": schema}})
        assert list(json.loads(held["text"])) == ["city"]
        drawn = [complete(cluster, "Once", temperature=0.9, seed=7, top_p=0.9,
                          frequency_penalty=0.5, logit_bias={"28": -100}) for _ in range(2)]
        assert drawn[0]["text"] == drawn[1]["text"]
        assert "," not in drawn[0]["text"]    # token 28
    finally:
        unplace(cluster)


def test_the_best_logits_of_members_give_what_all_give(cluster):
    """A bias that raises a token is what the best do not suffice for: then all logits are gathered."""
    place(cluster, "abc", [3, 2, 1])
    try:
        for how in ({"temperature": 0}, {"temperature": 0.9, "seed": 5, "top_k": 40, "top_p": 0.95,
                                         "frequency_penalty": 0.3, "repetition_penalty": 1.1}):
            best, whole = (complete(cluster, PROMPTS[6], logprobs=5, **how, **more)
                           for more in ({}, {"logit_bias": {"0": 1e-6}}))
            assert best["text"] == whole["text"]
            assert best["logprobs"]["token_logprobs"] == pytest.approx(
                whole["logprobs"]["token_logprobs"], abs=1e-5)
    finally:
        unplace(cluster)


def test_the_command_line_places_a_team_and_shows_shares(cluster):
    api = f"http://127.0.0.1:{cluster['a'].api_port}"
    run = subprocess.run([POMONA, "place", MODEL, "--strategy", "tensor", "--nodes", "a,b,c",
                          "--split", "2,1,1", "--api", api], capture_output=True, text=True,
                         timeout=120)
    assert run.returncode == 0, run.stderr
    assert [line.split()[1:3] for line in run.stdout.splitlines() if "0-29" in line] == [
        ["0-29", "50%"], ["0-29", "25%"], ["0-29", "25%"]]
    unplace(cluster)


@pytest.mark.parametrize("plan, words", [
    ({"nodes": ["a"]}, "two nodes"),
    ({"nodes": ["a", "b"], "split": [1, 1, 1]}, "3 numbers for 2 nodes"),
    ({"split": [1, 1]}, "name the nodes"),
    ({"nodes": ["a", "b"], "split": [1, 65535], "context": 9000}, "trained"),
])
def test_a_team_that_cannot_be_is_refused_with_words(cluster, plan, words):
    status, answer = cluster["d"].request("POST", "/cluster/place", {
        "model": MODEL, "overrides": "strategy=tensor", **plan})
    assert status >= 400, answer
    assert words in answer["error"]["message"]


@pytest.mark.parametrize("victim, number", [("a", signal.SIGKILL), ("b", signal.SIGSTOP),
                                            ("c", signal.SIGKILL)])
def test_streams_go_on_when_a_member_dies_or_stops(cluster, victim, number):
    place(cluster, "abc", [2, 1, 1])
    streams = [Stream(cluster["d"], max_tokens=150, prompt=prompt) for prompt in PROMPTS[:4]]
    wait_until(lambda: all(s.n_chunks >= 15 for s in streams), 60, "every stream has begun")
    (pid,) = cluster[victim].runners()
    os.kill(pid, number)
    for stream in streams:
        stream.join(120)
        assert stream.is_done and not stream.error and not stream.broken, (stream.error, stream.broken)
        assert stream.finishes == {0: "length"}
    wait_until(lambda: not is_running(pid), 20, "the lost runner is gone")
    unplace(cluster)


@pytest.mark.parametrize("victim", "abcd" if IS_FULL else "bc")    # "d" is asked: its streams end with it
def test_streams_go_on_when_a_node_of_a_pipeline_of_teams_dies(cluster, victim):
    asked = cluster["a" if victim == "d" else "d"]
    lost = place_teams(cluster, TEAMS[0])
    streams = [Stream(asked, max_tokens=150, prompt=prompt) for prompt in PROMPTS[:4]]
    wait_until(lambda: all(s.n_chunks >= 15 for s in streams), 60, "every stream has begun")
    cluster[victim].kill()
    for stream in streams:
        stream.join(240)
        assert stream.is_done and not stream.error and not stream.broken, (stream.error, stream.broken)
        assert stream.finishes == {0: "length"}
        assert stream.usage is None or stream.usage["completion_tokens"] == 150
    (now,) = asked.get("/cluster/state")["instances"]
    assert now["id"] != lost["id"] and victim not in [s["node"] for s in now["shards"]], now
    status, answer = asked.request("POST", "/cluster/unplace", {"model": MODEL})
    assert status == 200, answer
    cluster.start(victim)
    for node in cluster.up():
        wait_until(lambda: node.health()["instances_ready"] == 0, 5, "the instance is gone")
