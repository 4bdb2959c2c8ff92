# SPDX-License-Identifier: Apache-2.0
"""A folder as MLX has models becomes a model here: the same numbers, tokens and template.

The references are mlx_lm for logits and `tokenizers` for tokens, both reading the folder itself.
"""
import json
import os
import subprocess

import gguf
import numpy as np
import pytest
from tokenizers import Regex, Tokenizer, pre_tokenizers

from support import mlx_models
from support.records import run_records
from test_pre_tokenizers import LLAMA3
from tokenizer_lines import lines

POMONA = os.environ["POMONA"]
PROMPTS = [[i * 7 % 250 for i in range(40)], [5, 9, 200, 17, 44]]
# Of the CPU engine with keys and values in f16, in standard deviations of the logits.
BOUND = 0.02
LLAMA3_ROPE = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 128}
TINY = {
    "f32": {}, "f16": {"dtype": mlx_models.mx.float16},
    "bf16, tied, in three files": {"dtype": mlx_models.mx.bfloat16, "n_files": 3,
                                   "tie_word_embeddings": True},
    "4 bits in groups of 32": {"bits": 4, "group": 32},
    "4 bits in groups of 64 with bf16": {"bits": 4, "dtype": mlx_models.mx.bfloat16},
    "4 bits in groups of 128": {"bits": 4, "group": 128},
    "8 bits in groups of 64": {"bits": 8},
    "rope of llama3": {"rope_scaling": LLAMA3_ROPE},
    "rope of llama3 in the newer form": {"rope_scaling": LLAMA3_ROPE, "newer": True},
    "rope with a factor": {"rope_scaling": {"type": "linear", "factor": 2.0}},
}


def pomona(*arguments):
    return subprocess.run([POMONA, *map(str, arguments)], capture_output=True, text=True,
                          timeout=120, check=False)


def imported(folder, data, name="it"):
    done = pomona("import", folder, "--data", data, "--name", name)
    assert done.returncode == 0, done.stderr
    return data / "models" / f"{name}.gguf"


def refused(folder, data):
    done = pomona("import", folder, "--data", data)
    assert done.returncode == 1 and not list(data.glob("models/*")), done.stdout
    return done.stderr


def change(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    folder = tmp_path_factory.mktemp("smollm2")
    mlx_models.from_gguf(os.environ["POMONA_TEST_MODEL"], folder / "mlx")
    return folder / "mlx", imported(folder / "mlx", folder)


def assert_same_logits(folder, model, prompts):
    got = run_records("engine_logits", str(model), [np.int32(p).tobytes() for p in prompts])
    for want, ours in zip(mlx_models.logits(folder, prompts), got, strict=True):
        ours = np.frombuffer(ours, np.float32).reshape(want.shape)
        assert abs(want - ours).max() < BOUND * want.std()


@pytest.mark.parametrize("kind", TINY)
def test_logits_are_those_of_mlx_lm(kind, tmp_path):
    settings = dict(TINY[kind])
    is_newer = settings.pop("newer", False)
    mlx_models.tiny(tmp_path / "mlx", **settings)
    if is_newer:
        change(tmp_path / "mlx", rope_scaling=None, rope_theta=None,
               rope_parameters=LLAMA3_ROPE | {"rope_theta": 10000.0})
    model = imported(tmp_path / "mlx", tmp_path)
    if is_newer:
        change(tmp_path / "mlx", rope_scaling=LLAMA3_ROPE, rope_theta=10000.0)
    assert_same_logits(tmp_path / "mlx", model, PROMPTS)


def test_logits_of_a_real_model_are_those_of_mlx_lm(smollm2):
    assert_same_logits(*smollm2, PROMPTS[1:])


def assert_same_tokens(folder, model):
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = [line for category in lines().values() for line in category]
    assert len(texts) >= 2000
    marked = [text.encode() for text in texts]
    got = run_records("tokenize_lines", str(model),
                      [r for text in marked for r in (text, b"\1" * len(text))])
    for text, ids in zip(texts, got[::3], strict=True):
        assert np.frombuffer(ids, np.int32).tolist() == reference.encode(text).ids, repr(text)


def test_tokens_are_those_of_tokenizer_json(smollm2):
    assert_same_tokens(*smollm2)


@pytest.mark.parametrize("name", ["gpt-2", "llama-bpe"])
def test_tokens_of_other_pre_tokenizers_are_those_of_tokenizer_json(name, tmp_path):
    mlx_models.tiny(tmp_path / "mlx")
    path = tmp_path / "mlx" / "tokenizer.json"
    made = mlx_models.tiny_tokenizer(split_digits=False)
    if name == "llama-bpe":
        made.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        made.model.ignore_merges = True
    made.save(str(path))
    assert_same_tokens(tmp_path / "mlx", imported(tmp_path / "mlx", tmp_path))


def test_a_real_model_answers_by_its_chat_template(smollm2):
    done = pomona("run", smollm2[1], "--temperature", 0, "-n", 12, "--no-spec",
                  "What is the capital of France?")
    assert done.returncode == 0 and "Paris" in done.stdout, done.stderr


def test_two_tunings_are_two_models(tmp_path):
    """A model is known by its file's head, which is all that the marks can make differ."""
    marks = []
    for seed in (1, 2, 2):
        folder = tmp_path / f"{len(marks)}"
        mlx_models.tiny(folder, seed=seed)
        model = imported(folder, tmp_path, f"tuning-{len(marks)}")
        marks.append(gguf.GGUFReader(model).fields["pomona.content_xxh128"].contents())
    assert marks[0] != marks[1] == marks[2]


@pytest.mark.parametrize("settings, words", [
    ({"model_type": "gemma"}, "'model_type' is 'gemma'"),
    ({"attention_bias": True}, "'attention_bias' is true"),
    ({"hidden_act": "gelu"}, "'hidden_act' is 'gelu'"),
    ({"sliding_window": 4096}, "'sliding_window' is set"),
    ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope scaling 'yarn'"),
    ({"quantization": {"mode": "mxfp4"}}, "mode 'mxfp4'"),
    ({"quantization_config": {"quant_method": "gptq"}}, "quantised by 'gptq'"),
    ({"num_hidden_layers": 2}, "tensor 'model.layers.2."),
    ({"num_hidden_layers": 4}, "tensor 'model.layers.3.input_layernorm.weight' is missing"),
    ({"hidden_size": 64}, "not of the shape of"),
    ({"num_hidden_layers": "many"}, "'num_hidden_layers' is missing or no whole number"),
    ({"vocab_size": 1 << 40}, "'vocab_size' is 1099511627776"),
])
def test_what_the_graph_has_not_is_refused_by_name(settings, words, tmp_path):
    mlx_models.tiny(tmp_path / "mlx")
    change(tmp_path / "mlx", **settings)
    assert words in refused(tmp_path / "mlx", tmp_path)


@pytest.mark.parametrize("settings, words", [
    ({"bits": 3}, "quantised to 3 bits in groups of 64"),
    ({"dtype": mlx_models.mx.bfloat16, "scale": 1e6}, "a number that F16 cannot hold"),
])
def test_numbers_without_a_format_here_are_refused_by_name(settings, words, tmp_path):
    scale = settings.pop("scale", None)
    mlx_models.tiny(tmp_path / "mlx", **settings)
    if scale:
        path = str(tmp_path / "mlx" / "model.safetensors")
        mlx_models.mx.save_safetensors(
            path, {k: w * scale for k, w in mlx_models.mx.load(path).items()})
    assert words in refused(tmp_path / "mlx", tmp_path)


@pytest.mark.parametrize("settings, words", [
    ({"normalizer": {"type": "NFC"}}, "normalizer is 'NFC'"),
    ({"model": {"type": "Unigram"}}, "model is 'Unigram'"),
    ({"pre_tokenizer": {"type": "Metaspace"}}, "pre-tokenizer is 'Metaspace '"),
    ({"pre_tokenizer": None}, "pre-tokenizer is ' '"),
])
def test_other_tokenizers_are_refused_by_name(settings, words, tmp_path):
    mlx_models.tiny(tmp_path / "mlx")
    path = tmp_path / "mlx" / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))
    assert words in refused(tmp_path / "mlx", tmp_path)


def test_a_folder_is_not_linked(tmp_path):
    mlx_models.tiny(tmp_path / "mlx")
    done = pomona("import", tmp_path / "mlx", "--data", tmp_path, "--link")
    assert done.returncode == 1 and "leave out --link" in done.stderr
