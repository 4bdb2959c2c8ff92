#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/dllama_model.py - a GGUF file of Q4_0 as distributed-llama reads models.

    bench/dllama_model.py llama-1b-q4_0.gguf OUT.m OUT.t

Blocks of Q4_0 are laid out alike in both, so they are copied; the embedding and the norms are f32 there.
Its tokenizer wants the special tokens last, which ours of random models need not have: so it is one of
bytes, filled up, which is as good where only speed counts.
"""
import argparse
import os
import struct
from pathlib import Path

import gguf
import numpy as np

MODEL_MAGIC, TOKENIZER_MAGIC = 0xA00ABCD, 0x567124
LLAMA, SILU, Q40 = 0xABCD00, 1, 2
LAYER = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_down", "ffn_up",
         "attn_norm", "ffn_norm")    # in the order of its loader
ROWS_AT_ONCE = 4096


def header(magic, pairs):
    data = b"".join(struct.pack("<ii", key, value) for key, value in pairs)
    return struct.pack("<ii", magic, 8 + len(data)) + data


def floats(blocks):
    """Q4_0 rows as f32: the low halves of 16 bytes are the first 16 numbers, the high ones the last."""
    blocks = blocks.reshape(blocks.shape[0], -1, 18)
    scale = blocks[:, :, :2].copy().view(np.float16).astype(np.float32)
    nibbles = np.concatenate([blocks[:, :, 2:] & 15, blocks[:, :, 2:] >> 4], axis=2)
    return ((nibbles.astype(np.float32) - 8) * scale).reshape(blocks.shape[0], -1)


def write_model(reader, path):
    field = {key: f.contents() for key, f in reader.fields.items() if key.startswith("llama.")}
    tensors = {t.name: t.data for t in reader.tensors}
    embedding = tensors["token_embd.weight"]
    with open(path, "wb") as out:
        out.write(header(MODEL_MAGIC, [
            (0, 1), (1, LLAMA), (2, field["llama.embedding_length"]),
            (3, field["llama.feed_forward_length"]), (4, field["llama.block_count"]),
            (5, field["llama.attention.head_count"]), (6, field["llama.attention.head_count_kv"]),
            (7, 0), (8, 0), (9, len(embedding)), (10, field["llama.context_length"]), (11, SILU),
            (12, int(field["llama.rope.freq_base"])), (13, Q40),
            (19, field["llama.rope.dimension_count"])]))
        for at in range(0, len(embedding), ROWS_AT_ONCE):
            out.write(floats(embedding[at:at + ROWS_AT_ONCE]).tobytes())
        for i in range(field["llama.block_count"]):
            for name in LAYER:
                out.write(tensors[f"blk.{i}.{name}.weight"].tobytes())
        out.write(tensors["output_norm.weight"].tobytes())
        out.write(tensors["output.weight"].tobytes())
    return len(embedding)


def write_tokenizer(path, n_vocab):
    bos, eos = n_vocab - 2, n_vocab - 1
    pieces = [bytes([i]) for i in range(256)] + [b"<%d>" % i for i in range(256, n_vocab)]
    with open(path, "wb") as out:
        out.write(header(TOKENIZER_MAGIC, [(0, 1), (1, n_vocab), (2, max(map(len, pieces))), (3, bos),
                                           (9, 1), (10, 1)]))
        out.write(struct.pack("<i", eos))
        for piece in pieces:
            out.write(struct.pack("<fI", 0.0, len(piece)) + piece)


def write(source, model, tokenizer):
    """Both, where they are missing: what has the right name is whole."""
    if Path(model).exists() and Path(tokenizer).exists():
        return
    part = Path(f"{model}.part")
    write_tokenizer(tokenizer, write_model(gguf.GGUFReader(source), part))
    os.replace(part, model)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("tokenizer", type=Path)
    a = parser.parse_args()
    write(a.gguf, a.model, a.tokenizer)


if __name__ == "__main__":
    main()
