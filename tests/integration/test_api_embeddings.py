# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_api_embeddings.py - vectors of texts, against the formulas in numpy.

The reference is the forward pass of tests/golden/make_golden.py, in double precision, from the
weights that the `gguf` package reads: nothing of Pomona's own code takes part in it.
"""
import base64
import sys
from pathlib import Path

import gguf
import numpy as np
import openai
import pytest

from support.cluster import MODEL, MODEL_FILE, Cluster, one_node

sys.path.insert(0, str(Path(__file__).parents[1] / "golden"))
import make_golden  # noqa: E402

TEXTS = ["The capital of France is Paris.", "Paris is the capital city of France.",
         "def fibonacci(n):\n    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)\n", "a"]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with one_node(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture(scope="module")
def client(node):
    return openai.OpenAI(base_url=f"http://127.0.0.1:{node.api_port}/v1", api_key="none",
                         max_retries=0, timeout=120)


@pytest.fixture(scope="module")
def reference():
    """Hidden rows after the output norm, of each text."""
    reader = gguf.GGUFReader(MODEL_FILE)
    model, tokenizer = make_golden.Model(reader), make_golden.tokenizer_of(reader)
    rows = {}
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        h = model.step(np.array(ids), [(0, len(ids), 0)], [{}])
        rows[text] = model.norm(h, "output_norm.weight")
    return rows


def unit(v):
    return v / np.linalg.norm(v)


def embed(client, texts, **more):
    return client.embeddings.create(model=MODEL, input=texts, **more)


def test_vectors_are_those_of_the_formulas(client, reference):
    answer = embed(client, TEXTS, encoding_format="float")
    assert [d.index for d in answer.data] == list(range(len(TEXTS)))
    for text, d in zip(TEXTS, answer.data):
        want = unit(reference[text].mean(axis=0))
        got = np.array(d.embedding)
        assert got.shape == want.shape and abs(np.linalg.norm(got) - 1) < 1e-5
        assert got @ want > 0.9995, text
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == sum(map(len, reference.values()))


def test_the_last_row_may_be_asked_for(client, reference):
    for d, text in zip(embed(client, TEXTS, extra_body={"pooling": "last"}).data, TEXTS):
        assert np.array(d.embedding) @ unit(reference[text][-1]) > 0.999


def test_base64_holds_the_same_numbers(client, node):
    status, raw = node.request("POST", "/v1/embeddings",
                               {"model": MODEL, "input": TEXTS[0], "encoding_format": "base64"})
    assert status == 200
    numbers = np.frombuffer(base64.b64decode(raw["data"][0]["embedding"]), dtype="<f4")
    floats = embed(client, TEXTS[0], encoding_format="float").data[0].embedding
    assert np.array_equal(numbers, np.array(floats, dtype=np.float32))


def test_tokens_are_as_good_as_their_text(client, node):
    ids = [node.request("POST", "/tokenize", {"content": t})[1]["tokens"] for t in TEXTS]
    want = [d.embedding for d in embed(client, TEXTS).data]
    assert [d.embedding for d in embed(client, ids).data] == want
    assert embed(client, ids[0]).data[0].embedding == want[0]


def test_fewer_dimensions_are_the_first_ones_made_longer(client):
    whole = np.array(embed(client, TEXTS[0]).data[0].embedding)
    cut = np.array(embed(client, TEXTS[0], dimensions=64).data[0].embedding)
    assert len(cut) == 64 and np.allclose(cut, unit(whole[:64]), atol=1e-6)
    with pytest.raises(openai.BadRequestError, match="dimensions"):
        embed(client, TEXTS[0], dimensions=len(whole) + 1)


def test_many_texts_and_a_long_one(client):
    texts = [f"text number {i}" for i in range(300)] + ["one two three " * 600]
    batch = [d.embedding for d in embed(client, texts).data]
    assert len(batch) == 301
    for i in (0, 150, 299, 300):  # neither a batch nor cached pages change a vector
        assert embed(client, texts[i]).data[0].embedding == batch[i]


@pytest.mark.parametrize("body", [
    {"input": ""}, {"input": []}, {"input": ["a", ""]}, {"input": [1 << 24]}, {"input": {"a": 1}},
    {"input": "a", "encoding_format": "int8"}, {"input": "a", "dimensions": 0}, {"input": "a", "pooling": "cls"},
    {"input": "word " * 9000}, {"input": [str(i) for i in range(2049)]}, {},
])
def test_what_is_wrong_is_said(node, body):
    status, answer = node.request("POST", "/v1/embeddings", {"model": MODEL, **body})
    assert status == 400 and answer["error"]["message"]


def test_documents_are_ranked_by_cosine(client, node):
    query, documents = "Which city is the capital of France?", TEXTS[:3]
    vectors = [np.array(d.embedding) for d in embed(client, [query] + documents).data]
    want = sorted(range(3), key=lambda i: -(vectors[0] @ vectors[i + 1]))
    jina = node.request("POST", "/v1/rerank", {"model": MODEL, "query": query, "documents": documents,
                                               "top_n": 2, "return_documents": True})[1]
    assert [r["index"] for r in jina["results"]] == want[:2] and want[-1] == 2
    for r in jina["results"]:
        assert abs(r["relevance_score"] - vectors[0] @ vectors[r["index"] + 1]) < 1e-5
        assert r["document"]["text"] == documents[r["index"]]
    assert jina["usage"]["total_tokens"] > 0
    tei = node.request("POST", "/rerank", {"query": query, "texts": documents})[1]
    assert [r["index"] for r in tei] == want and all(set(r) == {"index", "score"} for r in tei)
    assert node.request("POST", "/v1/reranking", {"model": MODEL, "query": query, "documents": []})[0] == 400


def test_vectors_do_not_depend_on_where_layers_are(tmp_path, client):
    want = [d.embedding for d in embed(client, TEXTS).data]
    with Cluster(tmp_path, names="ab") as cluster:
        cluster.start()
        cluster.place("a", nodes=["a", "b"])
        body = {"model": MODEL, "input": TEXTS}
        status, answer = cluster["a"].request("POST", "/v1/embeddings", body, timeout=120)
        assert status == 200, answer
        got = np.array([d["embedding"] for d in answer["data"]], dtype=np.float32)
        assert np.array_equal(got, np.array(want, dtype=np.float32))
