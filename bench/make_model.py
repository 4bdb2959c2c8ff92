#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/make_model.py - a GGUF file of random weights in the shape of a real model.

    bench/make_model.py llama-1b out.gguf --tokenizer SmolLM2-135M-Instruct.Q4_1.gguf

What it says is noise; how fast it says it is not: shapes and Q4_0 blocks are those of the real model.
Weights are scaled so that every layer's output keeps its size, as trained ones do.  The tokenizer is
that of another file, filled up with unused tokens.  Tensors are written as they are made, so that a
model larger than memory can be.
"""
import argparse
import dataclasses
import math
import os
import pathlib

import gguf
import numpy as np

BLOCK, BLOCK_BYTES = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType.Q4_0]
NIBBLE_SD = math.sqrt((16 ** 2 - 1) / 12)  # of whole numbers -8..7, all as likely
ROWS_AT_ONCE = 4096


@dataclasses.dataclass(frozen=True)
class Shape:
    layers: int
    hidden: int
    ff: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    rope_base: float
    context: int = 131072


# As the models' config.json files give them.
SHAPES = {
    "llama-1b": Shape(16, 2048, 8192, 32, 8, 64, 128256, 500000.0),
    "llama-8b": Shape(32, 4096, 14336, 32, 8, 128, 128256, 500000.0),
}


def tensors(s):
    """(name, rows, columns) in the file's order; norms have one row."""
    q, kv = s.heads * s.head_dim, s.kv_heads * s.head_dim
    yield "token_embd.weight", s.vocab, s.hidden
    for i in range(s.layers):
        for name, rows, columns in (
                ("attn_norm", 1, s.hidden), ("attn_q", q, s.hidden), ("attn_k", kv, s.hidden),
                ("attn_v", kv, s.hidden), ("attn_output", s.hidden, q), ("ffn_norm", 1, s.hidden),
                ("ffn_gate", s.ff, s.hidden), ("ffn_up", s.ff, s.hidden),
                ("ffn_down", s.hidden, s.ff)):
            yield f"blk.{i}.{name}.weight", rows, columns
    yield "output_norm.weight", 1, s.hidden
    yield "output.weight", s.vocab, s.hidden


def random_rows(rng, rows, columns):
    """Q4_0: a scale in f16, then 32 numbers of 4 bits."""
    blocks = np.frombuffer(rng.bytes(rows * (columns // BLOCK) * BLOCK_BYTES), dtype=np.uint8)
    blocks = blocks.reshape(rows, columns // BLOCK, BLOCK_BYTES).copy()
    scale = np.float16(1 / (NIBBLE_SD * math.sqrt(columns)))
    blocks[:, :, :2] = np.frombuffer(scale.tobytes(), dtype=np.uint8)
    return blocks.reshape(rows, -1)


def write_description(writer, s):
    writer.add_context_length(s.context)
    writer.add_embedding_length(s.hidden)
    writer.add_block_count(s.layers)
    writer.add_feed_forward_length(s.ff)
    writer.add_head_count(s.heads)
    writer.add_head_count_kv(s.kv_heads)
    writer.add_rope_dimension_count(s.head_dim)
    writer.add_rope_freq_base(s.rope_base)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(s.vocab)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)


def write_tokenizer(writer, source, n_vocab):
    fields = {k.removeprefix("tokenizer."): f.contents()
              for k, f in gguf.GGUFReader(source).fields.items() if k.startswith("tokenizer.")}
    pieces, kinds = fields["ggml.tokens"], list(fields["ggml.token_type"])
    n_unused = n_vocab - len(pieces)
    writer.add_token_list(pieces + [f"<unused {i}>" for i in range(n_unused)])
    writer.add_token_types(kinds + n_unused * [int(gguf.TokenType.UNUSED)])
    writer.add_tokenizer_model(fields["ggml.model"])
    writer.add_tokenizer_pre(fields["ggml.pre"])
    writer.add_token_merges(fields["ggml.merges"])
    writer.add_bos_token_id(fields["ggml.bos_token_id"])
    writer.add_eos_token_id(fields["ggml.eos_token_id"])
    writer.add_chat_template(fields["chat_template"])


def write_model(path, name, tokenizer, seed):
    s, rng = SHAPES[name], np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"{name}, random")
    write_description(writer, s)
    write_tokenizer(writer, tokenizer, s.vocab)
    for tensor, rows, columns in tensors(s):
        if rows == 1:
            writer.add_tensor_info(tensor, (columns,), np.dtype(np.float32), 4 * columns)
        else:
            row_bytes = columns // BLOCK * BLOCK_BYTES
            writer.add_tensor_info(tensor, (rows, row_bytes), np.dtype(np.uint8), rows * row_bytes,
                                   raw_dtype=gguf.GGMLQuantizationType.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, rows, columns in tensors(s):
        if rows == 1:
            writer.write_tensor_data(np.ones(columns, dtype=np.float32))
        else:
            writer.write_tensor_data(np.concatenate(
                [random_rows(rng, min(ROWS_AT_ONCE, rows - at), columns)
                 for at in range(0, rows, ROWS_AT_ONCE)]))
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tokenizer", required=True, help="GGUF file to take the tokenizer from")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    part = a.out.with_suffix(".part")  # whatever has the right name is whole
    write_model(part, a.shape, a.tokenizer, a.seed)
    os.replace(part, a.out)


if __name__ == "__main__":
    main()
