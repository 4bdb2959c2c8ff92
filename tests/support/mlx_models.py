# SPDX-License-Identifier: Apache-2.0
"""Models as MLX has them: a folder of config.json, safetensors and tokenizer.json.

    python tests/support/mlx_models.py GGUF FOLDER

writes the model of a GGUF file (Q4_1 and floats, byte-level BPE) as such a folder: MLX's affine
groups of 32 hold Q4_1 exactly.  tiny() makes a small one of random numbers, quantised by MLX
itself.  logits() is what mlx_lm computes from a folder, in f32.
"""
import importlib.util
import json
import os
import pathlib
import sys
import types

os.environ["MLX_DISABLE_COMPILE"] = "1"  # which on Linux would run a C++ compiler

import gguf
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_map
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

mx.set_default_device(mx.cpu)

LAYER = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
         "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
ENDS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
CONTROL = 3


def llama():
    """mlx_lm.models.llama, without the package's own imports: they load weights from hubs."""
    if "mlx_lm" not in sys.modules:
        package = types.ModuleType("mlx_lm")
        package.__path__ = importlib.util.find_spec("mlx_lm").submodule_search_locations
        sys.modules["mlx_lm"] = package
    return importlib.import_module("mlx_lm.models.llama")


def tokenizer(pieces, merges, specials, split_digits=True):
    """Byte-level BPE as a tokenizer.json has it, of SmolLM2's kind, or of GPT-2's."""
    made = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, merges))
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.pre_tokenizer = bytes_of if not split_digits else pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), bytes_of])
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in specials])
    return made


def write_json(folder, name, value):
    (folder / name).write_text(json.dumps(value))


def write_text(folder, made, bos, eos, template):
    made.save(str(folder / "tokenizer.json"))
    write_json(folder, "tokenizer_config.json",
               {"bos_token": bos, "eos_token": {"content": eos}, "chat_template": template})


def groups_of_q4_1(raw, n_rows, n_cols):
    """weight, scales and biases of MLX's affine groups of 32, of rows of Q4_1 blocks."""
    blocks = raw.reshape(n_rows, n_cols // 32, 20)
    halves = blocks[:, :, :4].copy().view(np.float16)
    low, high = blocks[:, :, 4:] & 15, blocks[:, :, 4:] >> 4
    codes = np.concatenate([low, high], axis=2).reshape(n_rows, n_cols).astype(np.uint32)
    words = np.zeros((n_rows, n_cols // 8), np.uint32)
    for i in range(8):
        words |= codes[:, i::8] << np.uint32(4 * i)
    return words, halves[:, :, 0], halves[:, :, 1]


def unturned(array, n_heads):
    """GGUF's llama shuffles the two halves of a head's rows; as they were."""
    shape = array.shape
    return array.reshape(n_heads, shape[0] // n_heads // 2, 2, -1).swapaxes(1, 2).reshape(shape)


def put_tensor(tensors, name, t, n_heads):
    def turn(a):
        return mx.array(np.ascontiguousarray(unturned(a, n_heads) if n_heads else a))

    if t.tensor_type.name == "Q4_1":
        parts = groups_of_q4_1(np.asarray(t.data), int(t.shape[1]), int(t.shape[0]))
        for part, array in zip(("weight", "scales", "biases"), parts):
            tensors[f"{name}.{part}"] = turn(array)
    else:
        floats = gguf.dequantize(t.data, t.tensor_type)
        tensors[f"{name}.weight"] = turn(floats if len(t.shape) == 1 else floats.astype(np.float16))


def from_gguf(path, folder):
    reader = gguf.GGUFReader(path)
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)

    def field(name):
        return reader.fields[name].contents()

    heads = {"attn_q": field("llama.attention.head_count"),
             "attn_k": field("llama.attention.head_count_kv")}
    tensors = {}
    for t in reader.tensors:
        parts = t.name.split(".")
        if parts[0] == "blk":
            put_tensor(tensors, f"model.layers.{parts[1]}.{LAYER[parts[2]]}", t, heads.get(parts[2]))
        else:
            put_tensor(tensors, ENDS[parts[0]], t, None)
    mx.save_safetensors(str(folder / "model.safetensors"), tensors)
    write_json(folder, "config.json", {
        "model_type": "llama", "hidden_act": "silu",
        "hidden_size": field("llama.embedding_length"),
        "intermediate_size": field("llama.feed_forward_length"),
        "num_hidden_layers": field("llama.block_count"),
        "num_attention_heads": heads["attn_q"], "num_key_value_heads": heads["attn_k"],
        "max_position_embeddings": field("llama.context_length"),
        "rms_norm_eps": field("llama.attention.layer_norm_rms_epsilon"),
        "rope_theta": field("llama.rope.freq_base"), "vocab_size": field("llama.vocab_size"),
        "tie_word_embeddings": "lm_head.weight" not in tensors,
        "quantization": {"group_size": 32, "bits": 4}})
    pieces, kinds = field("tokenizer.ggml.tokens"), field("tokenizer.ggml.token_type")
    made = tokenizer(pieces, [tuple(m.split(" ")) for m in field("tokenizer.ggml.merges")],
                     [p for p, kind in zip(pieces, kinds) if kind == CONTROL])
    write_text(folder, made, pieces[field("tokenizer.ggml.bos_token_id")],
               pieces[field("tokenizer.ggml.eos_token_id")], field("tokenizer.chat_template"))


def tiny_tokenizer(split_digits=True):
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printed]
    pieces = ["<|endoftext|>", "<|im_start|>", "<|im_end|>",
              *(chr(b) for b in printed), *(chr(256 + i) for i in range(len(others)))]
    merges = [("t", "h"), ("h", "e"), ("th", "e"), ("i", "n"), ("a", "n"), ("an", "d")]
    return tokenizer(pieces + [a + b for a, b in merges], merges, pieces[:3], split_digits)


def tiny(folder, bits=None, group=64, dtype=mx.float32, seed=7, n_files=1, **config):
    """A random llama; bits: quantised by MLX, embedding too; dtype: of what is left of floats."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = tiny_tokenizer()
    settings = {"model_type": "llama", "hidden_size": 128, "intermediate_size": 256,
                "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
                "rms_norm_eps": 1e-5, "vocab_size": made.get_vocab_size() + 5,
                "max_position_embeddings": 512, "rope_theta": 10000.0,
                "tie_word_embeddings": False} | config
    mx.random.seed(seed)
    model = llama().Model(llama().ModelArgs.from_dict(settings))
    model.update(tree_map(lambda p: (mx.random.normal(p.shape) * (0.1 if p.ndim > 1 else 0.05)
                                     + (0 if p.ndim > 1 else 1)).astype(dtype), model.parameters()))
    if bits:
        nn.quantize(model, group_size=group, bits=bits)
        settings["quantization"] = {"group_size": group, "bits": bits}
    write_json(folder, "config.json", settings)
    save(folder, dict(nn.utils.tree_flatten(model.parameters())), n_files)
    write_text(folder, made, "<|im_start|>", "<|im_end|>",
               "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + "
               "'<|im_end|>\n' }}{% endfor %}")


def save(folder, tensors, n_files):
    if n_files == 1:
        mx.save_safetensors(str(folder / "model.safetensors"), tensors)
        return
    names, index = sorted(tensors), {}
    for i in range(n_files):
        file = f"model-{i + 1:05}-of-{n_files:05}.safetensors"
        part = {name: tensors[name] for name in names[i::n_files]}
        mx.save_safetensors(str(folder / file), part)
        index |= {name: file for name in part}
    write_json(folder, "model.safetensors.index.json", {"weight_map": index})


def logits(folder, prompts):
    """What mlx_lm computes: for each list of tokens an array [n][n_vocab]."""
    folder = pathlib.Path(folder)
    settings = json.loads((folder / "config.json").read_text())
    weights = {}
    for file in sorted(folder.glob("*.safetensors")):
        weights |= mx.load(str(file))
    model = llama().Model(llama().ModelArgs.from_dict(settings))
    weights = model.sanitize(weights)
    if "quantization" in settings:
        nn.quantize(model, class_predicate=lambda name, _: f"{name}.scales" in weights,
                    **settings["quantization"])
    model.load_weights([(k, w if w.dtype == mx.uint32 else w.astype(mx.float32))
                        for k, w in weights.items()])
    model.eval()
    return [np.array(model(mx.array([prompt]))[0]) for prompt in prompts]


if __name__ == "__main__":
    from_gguf(*sys.argv[1:])
