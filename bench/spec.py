#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/spec.py - what guessing ahead gains on texts that repeat, and costs on texts that do not.

    bench/spec.py [--model FILE] [--draft FILE]

Each text is answered with guesses and without, the two taking turns, and
each pair gives one ratio of decode speeds; the median and the spread are the
result.  The answers must be the same.  A table goes to standard output.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUN_S = 600

PARAGRAPH = """The river Thames flows through southern England including London. At 215 miles, it is the
longest river entirely in England and the second-longest in the United Kingdom, after the River
Severn. It rises at Thames Head in Gloucestershire, and flows into the North Sea near Tilbury, Essex
and Gravesend, Kent, via the Thames Estuary. The Thames also drains the whole of Greater London."""

CODE = """def area(width, height):
    return width * height

def volume(width, height, depth):
    return area(width, height) * depth

def surface(width, height, depth):
    return 2 * (area(width, height) + area(height, depth) + area(width, depth))"""

STORY = "Tell me a long story about a sailor who finds a strange island."

# name: (prompt, options)
TEXTS = {
    "repeat": ("Repeat this text exactly, word for word:\n\n" + PARAGRAPH, ["--temperature", "0"]),
    "edit": ("Copy this text, with 'river' in upper case:\n\n" + PARAGRAPH, ["--temperature", "0"]),
    "code": ("Add a docstring to each function:\n\n" + CODE, ["--temperature", "0"]),
    "story, greedy": (STORY, ["--temperature", "0"]),
    "story, sampled": (STORY, ["--temperature", "0.8", "--seed", "1"]),
    "story, random": (STORY, ["--temperature", "1.3", "--top-p", "1", "--seed", "2"]),
    "noise": ("Name numbers:", ["--temperature", "2", "--top-p", "1", "--seed", "3"]),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--pomona", default=str(ROOT / "build/release/pomona"))
    parser.add_argument("--model",
                        default=str(ROOT / ".cache/models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    parser.add_argument("--draft", help="a small model of the same vocabulary that guesses too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=192)
    parser.add_argument("--pairs", type=int, default=7, help="how often the two take turns")
    parser.add_argument("--text", action="append", choices=sorted(TEXTS), help="these only")
    parser.add_argument("--quiet", help="a command that runs another while nothing else does")
    return parser.parse_args()


def answer(a, text, extra):
    prompt, options = TEXTS[text]
    command = [a.pomona, "run", a.model, prompt, "--json", "-t", str(a.threads), "-n",
               str(a.tokens), *options, *extra]
    out = subprocess.run([*([a.quiet] if a.quiet else []), *command], capture_output=True,
                         text=True, check=True, timeout=RUN_S).stdout
    return json.loads(out)


def measure(a, text):
    """[(tokens/s with guesses, without)], tokens of the answer"""
    variants = (["--draft", a.draft] if a.draft else [], ["--no-spec"])
    pairs, n_tokens = [], 0
    for i in range(a.pairs):
        order = variants if i % 2 == 0 else variants[::-1]
        results = {tuple(extra): answer(a, text, extra) for extra in order}
        ours, plain = (results[tuple(extra)] for extra in variants)
        if ours["text"] != plain["text"] or ours["completion_tokens"] != plain["completion_tokens"]:
            sys.exit(f"spec.py: '{text}' is another answer with guesses than without")
        pairs.append((ours["tokens_per_s"], plain["tokens_per_s"]))
        n_tokens = ours["completion_tokens"]
    return pairs, n_tokens


def row(text, pairs, n_tokens):
    ratios = [ours / plain for ours, plain in pairs]
    return (f"| {text} | {n_tokens} | {statistics.median(p for _, p in pairs):.1f} "
            f"| {statistics.median(o for o, _ in pairs):.1f} | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f} - {max(ratios):.2f} |")


def main():
    a = arguments()
    print("| text | tokens | plain, tokens/s | guessing, tokens/s | median ratio | ratios |")
    print("|---|---|---|---|---|---|")
    for text in a.text or TEXTS:
        print(row(text, *measure(a, text)), flush=True)


if __name__ == "__main__":
    main()
