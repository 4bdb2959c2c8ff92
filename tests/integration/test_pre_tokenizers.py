# SPDX-License-Identifier: Apache-2.0
"""Every pre-tokenizer cuts where the regular expression it stands for does.

The reference runs the expressions themselves; the product has a function for
each.  Needs no model.
"""
import struct

import pytest
from tokenizers import Regex, pre_tokenizers

from support.records import run_records
from tokenizer_lines import lines

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

PRE_TOKENIZERS = {
    "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                       pre_tokenizers.ByteLevel(add_prefix_space=False)]),
    "gpt-2": pre_tokenizers.Split(Regex(GPT2), "isolated"),
    "default": pre_tokenizers.ByteLevel(add_prefix_space=False),
    "llama-bpe": pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
}


def cuts(pre, text):
    """Lengths in bytes of the reference's pieces."""
    spans = [span for _, span in pre.pre_tokenize_str(text)]
    return [len(text[first:last].encode()) for first, last in spans]


def our_cuts(name, texts):
    got = run_records("cut_lines", name, [text.encode() for text in texts])
    assert len(got) == len(texts)
    return [list(struct.unpack(f"={len(r) // 4}I", r)) for r in got]


@pytest.mark.parametrize("name", PRE_TOKENIZERS)
def test_every_pre_tokenizer_cuts_where_its_expression_does(name):
    texts = [line for category in lines().values() for line in category]
    assert len(texts) >= 2000
    for text, ours in zip(texts, our_cuts(name, texts)):
        assert ours == cuts(PRE_TOKENIZERS[name], text), repr(text)


def test_every_character_the_reference_knows_is_of_its_class():
    """Each assigned character beside a letter, a numeral, a sign and a space."""
    everything = "".join(chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    spans = pre_tokenizers.Split(Regex(r"\p{Cn}+"), "removed").pre_tokenize_str(everything)
    known = "".join(piece for piece, _ in spans)
    assert len(known) > 280_000
    texts = ["".join(f"a{c}a1{c}1.{c}. {c}" for c in known[i:i + 500])
             for i in range(0, len(known), 500)]
    for name in ("smollm", "llama-bpe"):
        for text, ours in zip(texts, our_cuts(name, texts)):
            assert ours == cuts(PRE_TOKENIZERS[name], text), f"{name}: {ascii(text)[:80]}"
