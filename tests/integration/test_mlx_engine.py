# SPDX-License-Identifier: Apache-2.0
"""The MLX engine computes what mlx_lm computes from the same folder.

Both are MLX on the CPU in f32, so where the numbers of a folder are kept as they are the logits are
equal; 1e-4 is what is promised.
"""
import os

import numpy as np
import pytest
from tokenizers import Tokenizer

from support import mlx_models
from support.cluster import MODEL, Cluster, wait_until
from support.records import run_records
from test_mlx_import import LLAMA3_ROPE, PROMPTS, imported, pomona, smollm2  # noqa: F401

MODULE = os.path.join(os.environ["POMONA_BUILD"], "libpomona_mlx.so")
os.environ["POMONA_MLX"] = MODULE
BOUND = 1e-4
TEXTS = ["<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
         "Once upon a time there was a little girl who"]
TINY = {
    "f32": {}, "f16, tied": {"dtype": mlx_models.mx.float16, "tie_word_embeddings": True},
    "bf16": {"dtype": mlx_models.mx.bfloat16},
    "4 bits in groups of 32": {"bits": 4, "group": 32, "dtype": mlx_models.mx.float16},
    "4 bits in groups of 64": {"bits": 4, "dtype": mlx_models.mx.float16},
    "4 bits in groups of 128": {"bits": 4, "group": 128, "dtype": mlx_models.mx.float16},
    "rope of llama3": {"rope_scaling": LLAMA3_ROPE},
    "rope with a factor": {"rope_scaling": {"type": "linear", "factor": 2.0}},
}


def logits_of(model, engine, prompts):
    got = run_records("engine_logits", [str(model), engine], [np.int32(p).tobytes() for p in prompts])
    return [np.frombuffer(g, np.float32).reshape(len(p), -1) for g, p in zip(got, prompts, strict=True)]


def assert_equal(folder, model, prompts):
    ours = logits_of(model, "mlx", prompts)
    for want, got in zip(mlx_models.logits(folder, prompts), ours, strict=True):
        assert abs(want - got).max() < BOUND
    for cpu, got in zip(logits_of(model, "cpu", prompts), ours, strict=True):
        assert abs(cpu - got).max() < 0.02 * got.std()


@pytest.mark.parametrize("kind", TINY)
def test_logits_equal_those_of_mlx_lm(kind, tmp_path):
    mlx_models.tiny(tmp_path / "mlx", **TINY[kind])
    assert_equal(tmp_path / "mlx", imported(tmp_path / "mlx", tmp_path), PROMPTS)


def test_logits_of_a_real_model_equal_those_of_mlx_lm(smollm2):  # noqa: F811
    folder, model = smollm2
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert_equal(folder, model, [tokenizer.encode(text).ids for text in TEXTS])


def test_run_and_bench_compute_with_it(smollm2):  # noqa: F811
    answer = pomona("run", smollm2[1], "--engine", "mlx", "--temperature", 0, "-n", 8,
                    "What is the capital of France?")
    assert answer.returncode == 0 and "Paris" in answer.stdout, answer.stderr
    figures = pomona("bench", smollm2[1], "--engine", "mlx", "-p", 0, "-n", 2, "-r", 1)
    assert figures.returncode == 0 and "kernels MLX" in figures.stdout, figures.stderr


def test_where_there_is_no_module_it_says_what_to_do(smollm2, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("POMONA_MLX", str(tmp_path / "none.so"))
    done = pomona("run", smollm2[1], "--engine", "mlx", "Hello")
    assert done.returncode == 1
    assert "the engine 'mlx' is not in this build" in done.stderr
    assert "install MLX" in done.stderr


def test_an_unknown_engine_is_refused_with_those_there_are(smollm2):  # noqa: F811
    done = pomona("run", smollm2[1], "--engine", "abacus", "Hello")
    assert done.returncode == 1
    assert "there is no engine 'abacus'; there are: cpu, mlx" in done.stderr


def instances(cluster):
    return [i["id"] for i in cluster["a"].get("/cluster/state")["instances"]]


def answer_of(folder, engines, split):
    """What an instance says whose ranks compute with these engines.  MLX is slow on a processor: on a
    crowded machine its runner may be taken for stuck, and the model be placed elsewhere.  Then once more."""
    names = "abc"[:len(engines)]
    folder.mkdir()
    with Cluster(folder, names=names) as cluster:
        for name, engine in zip(names, engines, strict=True):
            cluster[name].command += ["--engine", engine]
        cluster.start()
        for _ in range(5):
            placed = cluster.place("a", nodes=list(names), split=split)["id"]
            status, answer = cluster["a"].request("POST", "/v1/completions", {
                "model": MODEL, "prompt": "The capital of France is", "max_tokens": 10, "temperature": 0,
                "logprobs": 1}, timeout=120)
            if status == 200 and instances(cluster) == [placed]:
                logprobs = answer["choices"][0]["logprobs"]
                return list(zip(logprobs["tokens"], logprobs["token_logprobs"], strict=True))
            cluster["a"].request("POST", "/cluster/unplace", {"model": MODEL})
            wait_until(lambda: not instances(cluster), 10, "nothing is placed")
        raise AssertionError(answer)


def test_a_pipeline_of_both_engines_says_what_one_node_says(tmp_path):
    alone = answer_of(tmp_path / "alone", ["cpu"], [30])
    for number, engines in enumerate((["cpu", "mlx"], ["mlx", "cpu"])):
        mixed = answer_of(tmp_path / str(number), engines, [18, 12])
        assert [token for token, _ in mixed] == [token for token, _ in alone]
        assert [p for _, p in mixed] != [p for _, p in alone], "was it computed by one engine?"
        assert all(abs(p - q) < 0.05 for (_, p), (_, q) in zip(mixed, alone))
