# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_formats.py - number formats belong to an instance, not to a node.

The probabilities of an answer tell formats apart where its words may not; they have to be the
same wherever the layers are.
"""
import pytest

from support.cluster import MODEL, Cluster

N_TOKENS = 12


def probabilities(cluster, by):
    status, answer = cluster[by].request("POST", "/v1/chat/completions", {
        "model": MODEL, "messages": [{"role": "user", "content": "Name three fruits."}],
        "max_tokens": N_TOKENS, "temperature": 0, "logprobs": True})
    assert status == 200, answer
    return [(t["token"], t["logprob"])
            for t in answer["choices"][0]["logprobs"]["content"]]


def placed(folder, names, by, options=(), **plan):
    """What an instance answers that was placed so."""
    folder.mkdir()
    with Cluster(folder, names=names, options=options) as cluster:
        cluster.start()
        cluster.place(by, **plan)
        return probabilities(cluster, by)


@pytest.fixture(name="alone", scope="module")
def alone_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return {bits: placed(folder / str(bits), "a", "a", activations=bits) for bits in (16, 8)}


def test_widths_of_activations_can_be_told_apart(alone):
    assert len(alone[8]) == len(alone[16]) == N_TOKENS
    assert [p for _, p in alone[8]] != [p for _, p in alone[16]]


def test_every_rank_takes_the_width_that_was_asked_for(tmp_path, alone):
    assert placed(tmp_path / "c", "ab", "a", activations=8, nodes=["a", "b"],
                  split=[15, 15]) == alone[8]


def test_what_a_node_is_told_holds_for_what_is_placed_from_it(tmp_path, alone):
    assert placed(tmp_path / "c", "ab", "b", ("--activations", "8"), nodes=["a", "b"],
                  split=[10, 20]) == alone[8]
