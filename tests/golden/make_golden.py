# SPDX-License-Identifier: Apache-2.0
"""tests/golden/make_golden.py - what SmolLM2 answers, computed from the formulas.

An independent forward pass in numpy, in double precision: RMS norm, rotary
positions on interleaved pairs, grouped-query attention with a cache, SwiGLU.
Weights come dequantised from the `gguf` package, tokens from the Hugging Face
`tokenizers` package, so nothing of Pomona's own code takes part.  Keys and
values are rounded to f16 when cached, as engine/engine.h defines them.

    make_golden.py MODEL.gguf smollm2_135m.golden

The file, little endian, every field 4 bytes:
    u32 magic "PGLD", u32 n_prompts, u32 n_steps, u32 n_ids, i32 ids[n_ids]
    for each prompt:
        u32 n_tokens, i32 tokens[n_tokens]   what was asked
        i32 greedy[n_steps]                  the token of the largest logit, each fed back
        f32 gap[n_steps]                     between the best two logits
        f32 std[n_steps]                     of all logits
        f32 logits[n_steps][n_ids]

Sources: Touvron et al. 2023, arXiv:2302.13971; Su et al. 2021, arXiv:2104.09864;
Ainslie et al. 2023, arXiv:2305.13245; Zhang and Sennrich 2019, arXiv:1910.07467.
"""
import struct
import sys

import gguf
import jinja2
import numpy as np
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

STEPS = 64
SMALLEST_GAP = 0.003  # of a standard deviation: below, rounding of cached keys decides
IDS = [(i * 49139 // 64 + 17) for i in range(64)]

TEXTS = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea, there was a fisherman who",
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n",
    "The three laws of thermodynamics state that",
    "1, 2, 3, 5, 8, 13, 21,",
    "Bread needs four things: flour, water, salt and yeast. First,",
    "In 1969, Apollo 11 landed on the Moon. The crew consisted of",
    "import numpy as np\n\ndef softmax(x):\n",
    "Dear Sir or Madam,\n\nI am writing to complain about",
    "The quick brown fox jumps over the lazy dog. " * 6,
    "Die Hauptstadt von Deutschland ist Berlin, und",
    "| country | capital |\n|---|---|\n| Spain | Madrid |\n| Italy | Rome |\n",
]
CHATS = [
    ["What is gravity?"],
    ["Write a haiku about the sea."],
    ["Name a planet with rings.", "Saturn has rings.", "How many moons does it have?"],
    ["Explain to a child why the sky is blue."],
    ["Write a C function that reverses a string in place."],
    ["How do I make pancakes? Give me the ingredients and the steps."],
    ["Who wrote Hamlet, and when?"],
    ["Summarise: The Roman Empire was the state ruled by the Romans following Octavian's "
     "assumption of sole rule in 27 BC. It included territories in Europe, North Africa and "
     "Western Asia, and was ruled by emperors. The fall of the Western Roman Empire in 476 AD "
     "marks the end of classical antiquity for many historians."],
]


def tokenizer_of(reader):
    """The byte-level BPE that the file describes."""
    field = lambda name: reader.fields["tokenizer.ggml." + name].contents()
    tokens, types = field("tokens"), field("token_type")
    merges = [tuple(m.split(" ")) for m in field("merges")]
    tok = tokenizers.Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tok.decoder = decoders.ByteLevel()
    control = [t for t, kind in zip(tokens, types) if kind == gguf.TokenType.CONTROL]
    tok.add_special_tokens([tokenizers.AddedToken(t, special=True, normalized=False)
                            for t in control])
    return tok


def prompts_of(reader):
    tok = tokenizer_of(reader)
    template = jinja2.Template(reader.fields["tokenizer.chat_template"].contents())
    texts = list(TEXTS)
    for chat in CHATS:
        messages = [{"role": ("user", "assistant")[i % 2], "content": c} for i, c in enumerate(chat)]
        texts.append(template.render(messages=messages, add_generation_prompt=True))
    return tok, [tok.encode(text, add_special_tokens=False).ids for text in texts]


class Model:
    def __init__(self, reader):
        number = lambda name: reader.fields["llama." + name].contents()
        self.n_layer = number("block_count")
        self.n_head = number("attention.head_count")
        self.n_kv = number("attention.head_count_kv")
        self.eps = number("attention.layer_norm_rms_epsilon")
        self.dim = number("embedding_length") // self.n_head
        pairs = np.arange(number("rope.dimension_count") // 2, dtype=np.float64)
        self.freq = number("rope.freq_base") ** (-2.0 * pairs / number("rope.dimension_count"))
        self.w = {t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64)
                  for t in reader.tensors}

    def norm(self, x, weight):
        return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.eps) * self.w[weight]

    def rotate(self, x, positions):
        """x: [rows][heads][dim]; pairs are neighbours."""
        angle = positions[:, None, None] * self.freq
        even, odd = x[..., 0::2], x[..., 1::2]
        out = np.empty_like(x)
        out[..., 0::2] = even * np.cos(angle) - odd * np.sin(angle)
        out[..., 1::2] = even * np.sin(angle) + odd * np.cos(angle)
        return out

    def attend(self, q, keys, values, positions):
        """q: [rows][n_head][dim]; keys, values: [time][n_kv][dim]."""
        group = self.n_head // self.n_kv
        q = q.reshape(len(q), self.n_kv, group, self.dim)
        score = np.einsum("rkgd,tkd->rkgt", q, keys) / np.sqrt(self.dim)
        future = np.arange(len(keys))[None, :] > positions[:, None]
        score = np.where(future[:, None, None, :], -np.inf, score)
        score = np.exp(score - score.max(axis=-1, keepdims=True))
        score /= score.sum(axis=-1, keepdims=True)
        return np.einsum("rkgt,tkd->rkgd", score, values).reshape(len(q), -1)

    def step(self, rows, spans, caches):
        """rows: token ids; spans: [(first, n, start)] of each sequence.  Hidden rows."""
        w = self.w
        h = w["token_embd.weight"][rows]
        at = np.concatenate([start + np.arange(n) for _, n, start in spans]).astype(np.float64)
        cached = lambda x: x.astype(np.float16).astype(np.float64)
        for layer in range(self.n_layer):
            name = lambda part: f"blk.{layer}.{part}.weight"
            x = self.norm(h, name("attn_norm"))
            q = self.rotate((x @ w[name("attn_q")].T).reshape(len(x), self.n_head, self.dim), at)
            k = self.rotate((x @ w[name("attn_k")].T).reshape(len(x), self.n_kv, self.dim), at)
            v = (x @ w[name("attn_v")].T).reshape(len(x), self.n_kv, self.dim)
            mixed = np.empty((len(x), self.n_head * self.dim))
            for (first, n, _), cache in zip(spans, caches):
                part = slice(first, first + n)
                old_k, old_v = cache.get(layer, (k[:0], v[:0]))
                cache[layer] = (np.concatenate([old_k, cached(k[part])]),
                                np.concatenate([old_v, cached(v[part])]))
                mixed[part] = self.attend(q[part], *cache[layer], at[part])
            h = h + mixed @ w[name("attn_output")].T
            x = self.norm(h, name("ffn_norm"))
            gate = x @ w[name("ffn_gate")].T
            h = h + (gate / (1 + np.exp(-gate)) * (x @ w[name("ffn_up")].T)) @ w[name("ffn_down")].T
        return h

    def logits(self, h):
        output = self.w.get("output.weight", self.w["token_embd.weight"])
        return self.norm(h, "output_norm.weight") @ output.T


def generate(model, prompts):
    """Greedy tokens of all prompts at once: tokens, logits, each [prompts][STEPS]."""
    caches = [{} for _ in prompts]
    last = np.stack([model.step(np.array(p), [(0, len(p), 0)], [c])[-1]
                     for p, c in zip(prompts, caches)])
    steps = []
    for i in range(STEPS):
        logits = model.logits(last)
        steps.append(logits)
        print(f"step {i + 1} of {STEPS}", file=sys.stderr)
        if i + 1 < STEPS:
            spans = [(r, 1, len(p) + i) for r, p in enumerate(prompts)]
            last = model.step(logits.argmax(axis=-1), spans, caches)
    return np.stack(steps, axis=1)


def main():
    reader = gguf.GGUFReader(sys.argv[1])
    tok, prompts = prompts_of(reader)
    logits = generate(Model(reader), prompts)
    best = np.sort(np.partition(logits, -2, axis=-1)[..., -2:], axis=-1)
    gap = best[..., 1] - best[..., 0]
    std = logits.std(axis=-1)
    for i in np.flatnonzero((gap / std).min(axis=-1) < SMALLEST_GAP):
        sys.exit(f"prompt {i} has two tokens too close to call: choose another text")
    with open(sys.argv[2], "wb") as f:
        f.write(struct.pack("<4sIII", b"PGLD", len(prompts), STEPS, len(IDS)))
        f.write(np.array(IDS, "<i4").tobytes())
        for i, prompt in enumerate(prompts):
            f.write(struct.pack("<I", len(prompt)) + np.array(prompt, "<i4").tobytes())
            f.write(logits[i].argmax(axis=-1).astype("<i4").tobytes())
            f.write(gap[i].astype("<f4").tobytes() + std[i].astype("<f4").tobytes())
            f.write(logits[i][:, IDS].astype("<f4").tobytes())
            print(len(prompt), repr(tok.decode(logits[i].argmax(axis=-1).tolist()))[:150])
    print("smallest gap", gap.min(), "in standard deviations", (gap / std).min())


if __name__ == "__main__":
    main()
