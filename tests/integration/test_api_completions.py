# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_api_completions.py - the legacy completions that evaluations use: echo, logprobs, suffix.

What a prompt's tokens are scored with is held against what the same tokens have when they are
generated, and against the formulas in numpy (tests/golden/make_golden.py).
"""
import sys
from pathlib import Path

import gguf
import numpy as np
import openai
import pytest

from support.cluster import MODEL, MODEL_FILE, Cluster, one_node

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
import make_golden  # noqa: E402

TEXT = "The capital of France is Paris, and the capital of Spain is Madrid."


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with one_node(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture(scope="module")
def client(node):
    return openai.OpenAI(base_url=f"http://127.0.0.1:{node.api_port}/v1", api_key="none",
                         max_retries=0, timeout=120)


def complete(client, prompt, **more):
    return client.completions.create(**{"model": MODEL, "prompt": prompt, "temperature": 0, "max_tokens": 1,
                                        **more})


@pytest.fixture(scope="module")
def reference():
    """Tokens of TEXT, and the logprob that the formulas give each but the first."""
    reader = gguf.GGUFReader(MODEL_FILE)
    model = make_golden.Model(reader)
    ids = make_golden.tokenizer_of(reader).encode(TEXT, add_special_tokens=False).ids
    logits = model.logits(model.step(np.array(ids), [(0, len(ids), 0)], [{}]))
    logprobs = logits - np.log(np.exp(logits - logits.max(axis=-1, keepdims=True)).sum(
        axis=-1, keepdims=True)) - logits.max(axis=-1, keepdims=True)
    return ids, [logprobs[i, token] for i, token in enumerate(ids[1:])], logits[:-1].argmax(axis=-1)


@pytest.mark.parametrize("max_tokens", [0, 1])
def test_a_prompt_is_scored_as_the_formulas_say(client, reference, max_tokens):
    ids, want, best = reference
    choice = complete(client, TEXT, echo=True, logprobs=3, max_tokens=max_tokens).choices[0]
    l = choice.logprobs
    assert len(l.tokens) == len(l.token_logprobs) == len(l.top_logprobs) == len(ids) + max_tokens
    assert l.token_logprobs[0] is None and l.top_logprobs[0] is None
    assert np.allclose(l.token_logprobs[1:len(ids)], want, atol=0.15)
    greedy = [max(top, key=top.get) == token for top, token in zip(l.top_logprobs[1:], l.tokens[1:])]
    assert sum(g == (b == t) for g, b, t in zip(greedy, best, ids[1:])) >= len(ids) - 2
    assert choice.text.startswith(TEXT) and "".join(l.tokens) == choice.text
    assert [choice.text[at:at + len(t)] for at, t in zip(l.text_offset, l.tokens)] == l.tokens
    assert choice.finish_reason == "length"


def test_what_an_evaluation_sends_is_scored(client, node, reference):
    """lm-eval's local-completions: token ids, echo, one token that it leaves out."""
    ids, want, _ = reference
    answer = complete(client, [ids, ids[:5]], echo=True, logprobs=1, max_tokens=1, seed=1234)
    for choice, n in zip(sorted(answer.choices, key=lambda c: c.index), (len(ids), 5)):
        scored = choice.logprobs.token_logprobs[2:-1]
        assert len(scored) == n - 2
        assert sum(scored) == pytest.approx(sum(want[1:n - 1]), abs=0.5)
        assert all(len(top) in (1, 2) for top in choice.logprobs.top_logprobs[1:])


def test_scores_are_those_of_generating_the_same_tokens(client):
    made = complete(client, TEXT, max_tokens=12, logprobs=2).choices[0]
    echoed = complete(client, TEXT + made.text, echo=True, logprobs=2, max_tokens=0).choices[0]
    n = len(made.logprobs.tokens)
    assert echoed.logprobs.tokens[-n:] == made.logprobs.tokens
    assert echoed.logprobs.token_logprobs[-n:] == pytest.approx(made.logprobs.token_logprobs, abs=1e-4)


def test_a_long_prompt_is_scored_whole_and_the_same_again(client):
    text = "one two three four " * 200
    first = complete(client, text, echo=True, logprobs=0, max_tokens=0)
    again = complete(client, text, echo=True, logprobs=0, max_tokens=0)
    assert first.choices[0].logprobs == again.choices[0].logprobs
    assert len(first.choices[0].logprobs.tokens) == first.usage.prompt_tokens > 800
    assert first.usage.completion_tokens == 0 and first.choices[0].text == text


def test_echo_without_logprobs_and_streamed(client):
    plain = complete(client, TEXT, max_tokens=8).choices[0].text
    assert complete(client, TEXT, max_tokens=8, echo=True).choices[0].text == TEXT + plain
    chunks = list(complete(client, TEXT, max_tokens=8, echo=True, stream=True, logprobs=1))
    assert "".join(c.choices[0].text for c in chunks) == TEXT + plain
    assert chunks[0].choices[0].logprobs.token_logprobs[0] is None
    assert complete(client, TEXT, max_tokens=0, echo=True).choices[0].text == TEXT


def test_each_choice_of_each_prompt_is_echoed(client):
    answer = complete(client, ["One, two,", "Red, green,"], n=2, echo=True, max_tokens=3, temperature=1, seed=3)
    assert [c.text[:8] for c in answer.choices] == ["One, two"] * 2 + ["Red, gre"] * 2


def test_a_model_without_tokens_for_a_gap_says_so(client):
    with pytest.raises(openai.BadRequestError, match="suffix"):
        complete(client, "def f(", suffix="return x")
    assert complete(client, "def f(", suffix="").choices[0].text
    with pytest.raises(openai.BadRequestError, match="suffix"):
        complete(client, "def f(", suffix="x", echo=True)


@pytest.mark.parametrize("more", [{"max_tokens": 0}, {"best_of": 3}, {"echo": "yes"}, {"logprobs": 21}])
def test_what_cannot_be_done_is_refused(client, more):
    with pytest.raises(openai.BadRequestError):
        complete(client, TEXT, **more)


def test_an_answer_is_canceled_by_its_id(client, node):
    stream = iter(complete(client, "Once upon a time", max_tokens=2000, stream=True,
                           extra_body={"ignore_eos": True}))
    first = next(stream)
    assert node.request("POST", f"/v1/cancel/{first.id}")[1]["command_id"] == first.id
    with pytest.raises(openai.APIError, match="canceled"):
        list(stream)
    assert node.request("POST", f"/v1/cancel/{first.id}")[0] == 404


def test_a_pipeline_scores_the_same(tmp_path, client):
    want = complete(client, TEXT, echo=True, logprobs=2, max_tokens=1).choices[0].logprobs
    with Cluster(tmp_path, names="abc") as cluster:
        cluster.start()
        cluster.place("a", nodes=["a", "b", "c"])
        status, answer = cluster["b"].request(
            "POST", "/v1/completions", {"model": MODEL, "prompt": TEXT, "temperature": 0, "echo": True,
                                        "logprobs": 2, "max_tokens": 1})
        assert status == 200, answer
        assert answer["choices"][0]["logprobs"]["token_logprobs"][1:] == pytest.approx(want.token_logprobs[1:])
