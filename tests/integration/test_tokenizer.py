# SPDX-License-Identifier: Apache-2.0
"""Tokens equal those of Hugging Face `tokenizers`, id for id and byte for byte.

The reference is built from the vocabulary and merges of the model file
itself, once without special tokens (what a user types) and once with them
(what a chat template writes).
"""
import os
import struct

import gguf
import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from support.records import run_records
from tokenizer_lines import lines

MODEL = os.environ["POMONA_TEST_MODEL"]
CONTROL = 3
LINES_AT_LEAST = 2000


def smollm():
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                    pre_tokenizers.ByteLevel(add_prefix_space=False)])


class Encoded:
    def __init__(self, ids, raw, decoded):
        self.ids = list(struct.unpack(f"={len(ids) // 4}i", ids))
        self.raw, self.decoded = raw, decoded


def encode(texts, masks=None):
    """Ours: one Encoded a text.  masks: bytes of the same length, or b"" for nowhere."""
    masks = masks or [b""] * len(texts)
    got = run_records("tokenize_lines", MODEL, [r for pair in zip(texts, masks) for r in pair])
    assert len(got) == 3 * len(texts)
    return [Encoded(*got[i:i + 3]) for i in range(0, len(got), 3)]


class Reference:
    def __init__(self):
        fields = gguf.GGUFReader(MODEL).fields

        def field(name):
            return fields["tokenizer.ggml." + name].contents()

        assert field("pre") == "smollm"
        self.pieces, kinds = field("tokens"), field("token_type")
        self.specials = [p for p, kind in zip(self.pieces, kinds) if kind == CONTROL]
        self.vocabulary = {piece: i for i, piece in enumerate(self.pieces)}
        self.merges = [tuple(line.split(" ")) for line in field("merges")]
        self.plain, self.trusted = self.make(), self.make()
        self.trusted.add_special_tokens(
            [AddedToken(p, special=True, normalized=False) for p in self.specials])
        self.absent = self.absent_bytes()

    def make(self):
        tokenizer = Tokenizer(models.BPE(self.vocabulary, self.merges))
        tokenizer.pre_tokenizer = smollm()
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer

    def absent_bytes(self):
        """Bytes that the vocabulary has no piece for: both sides drop them."""
        printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
        others = [b for b in range(256) if b not in printed]
        alphabet = {b: chr(b) for b in printed} | {b: chr(256 + i) for i, b in enumerate(others)}
        return bytes(b for b in range(256) if alphabet[b] not in self.vocabulary)


@pytest.fixture(scope="module")
def reference():
    return Reference()


@pytest.fixture(scope="module")
def categories():
    made = lines()
    assert all(made.values()), "a category without lines"
    assert sum(map(len, made.values())) >= LINES_AT_LEAST
    return made


@pytest.fixture(scope="module")
def flat(categories):
    return [(name, line) for name, category in categories.items() for line in category]


def test_what_a_user_types_equals_the_reference_without_special_tokens(reference, flat):
    got = encode([line.encode() for _, line in flat])
    special_ids = {reference.vocabulary[p] for p in reference.specials}
    for (name, line), ours in zip(flat, got):
        want = reference.plain.encode(line).ids
        assert ours.ids == want, f"{name}: {line!r}"
        assert not special_ids & set(ours.ids), f"{name}: {line!r}"
        assert ours.decoded.decode() == reference.plain.decode(want, skip_special_tokens=False)


def test_trusted_text_equals_the_reference_with_special_tokens(reference, flat):
    texts = [line.encode() for _, line in flat]
    got = encode(texts, [b"\1" * len(text) for text in texts])
    n_special = 0
    for (name, line), ours in zip(flat, got):
        want = reference.trusted.encode(line).ids
        n_special += sum(i < len(reference.specials) for i in want)
        assert ours.ids == want, f"{name}: {line!r}"
        shown = reference.trusted.decode(want, skip_special_tokens=True)
        assert ours.decoded.decode() == shown, f"{name}: {line!r}"
    assert n_special >= 300, "the lines hold too few special tokens to show anything"


def test_the_bytes_of_the_tokens_are_the_bytes_of_the_text(reference, flat):
    texts = [line.encode() for _, line in flat]
    for text, ours in zip(texts, encode(texts)):
        assert ours.raw == text.translate(None, reference.absent), repr(text)


def test_a_template_is_trusted_around_what_is_not(reference, flat):
    start, end = (reference.vocabulary[p] for p in ("<|im_start|>", "<|im_end|>"))
    before, after = b"<|im_start|>user\n", b"<|im_end|>\n"
    texts = [line.encode() for _, line in flat]
    got = encode([before + text + after for text in texts],
                 [b"\1" * len(before) + b"\0" * len(text) + b"\1" * len(after) for text in texts])
    for (name, line), ours in zip(flat, got):
        want = [start, *reference.plain.encode("user\n" + line).ids, end,
                *reference.plain.encode("\n").ids]
        assert ours.ids == want, f"{name}: {line!r}"


def test_bytes_that_are_not_utf8_come_back(reference):
    texts = [b"\x80", b"abc\xe2\x82", b"\xed\xa0\x80 surrogate", b"\xc3(", b" \xe9t\xe9 ", b"\xf0\x9f",
             b"a\xe2\x28\xa1b", bytes(range(256)), b"\xef\xbf\xbf\xf4\x90\x80\x80"]
    for text, ours in zip(texts, encode(texts)):
        kept = text.translate(None, reference.absent)
        assert ours.raw == kept
        assert ours.decoded.decode() == kept.decode(errors="replace")
