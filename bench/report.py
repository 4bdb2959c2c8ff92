# SPDX-License-Identifier: Apache-2.0
"""bench/report.py - the figures of bench/measure.py as the Markdown of bench/RESULTS.md.

A run of some parts replaces their sections, and leaves the others as they are.
"""
import re
import statistics

MODELS = {"1b": "Llama-3.2-1B shape, Q4_0", "8b": "Llama-3.1-8B shape, Q4_0",
          "small": "SmolLM2-135M, Q4_1"}
median = statistics.median


def ratio(values):
    return f"{median(values):.2f} | {min(values):.2f} - {max(values):.2f}"


TITLE = """# Measured speed

Made by `bench/run.sh`, the gateway's by `bench/gateway.py`, those of two nodes by `bench/tensor.py`; under each heading stands when and where. Programs take turns; medians, and
the range of the ratios.
"""


def origin(m):
    busy = "" if m["busy"] < 0.1 else " **The machine was busy.**"
    return (f"{m['date']}: {m['cpu']}, {m['threads']} threads, {m['system']}; {m['pomona']}, "
            f"{m['peer']}; {m['pairs']} pairs of runs or more.{busy}")


def speed(m, rows):
    lines = [
        "## Tokens per second", "", origin(m), "",
        f"Kernels {rows[0][2]['kernels']}. Share: of what the machine reads (STREAM) and computes "
        "(8-bit products) at best, measured in the same runs. Bits: of activations; llama.cpp's are 8.",
        "",
        "| model | what | bits | pomona | llama.cpp | ratio | from - to | GB/s | of STREAM | GOPS "
        "| of peak |",
        "|---|---|---|---|---|---|---|---|---|---|---|"]
    for heading, model, r in rows:
        lines.append(
            f"| {MODELS[model]} | {heading} | {r['activations']} | {r['tokens_per_s']:.1f} "
            f"| {r['peer_tokens_per_s']:.1f} | {ratio(r['ratios'])} | {r['gb_per_s']:.1f} "
            f"| {r['stream_share']:.0%} | {r['gops']:.0f} | {r['peak_share']:.0%} |")
    return lines


def server(m, pairs):
    def of(which, value):
        return [value(pair[which]) for pair in pairs]
    lines = ["## A server under load", "", origin(m), "",
             f"{MODELS['small']}, {m['clients']} clients in a closed loop, prompts of {m['words']} "
             f"words, answers of {m['answer_tokens']} tokens.", "",
             "| what | pomona | llama-server | ratio | from - to |", "|---|---|---|---|---|"]
    for name, value in (("tokens/s", lambda r: r["tokens_per_s"]),
                        ("time to first token, p50, ms", lambda r: r["ttft_ms"]["p50"]),
                        ("time to first token, p99, ms", lambda r: r["ttft_ms"]["p99"]),
                        ("between pieces of text, p99, ms", lambda r: r["gap_ms"]["p99"]),
                        ("whole answer, p50, ms", lambda r: r["latency_ms"]["p50"])):
        ours, theirs = of("pomona", value), of("peer", value)
        lines.append(f"| {name} | {median(ours):.0f} | {median(theirs):.0f} "
                     f"| {ratio([o / t for o, t in zip(ours, theirs)])} |")
    return lines


def load(m, rows):
    lines = ["## Loading", "", origin(m), "",
             "From the start of `pomona run` to the first byte of its answer.", "",
             "| model | first | later, median | later, slowest | peak memory / file |",
             "|---|---|---|---|---|"]
    for name, first, later, file_bytes, peak in rows:
        lines.append(f"| {MODELS[name]}, {file_bytes / 1e9:.2f} GB | {first:.2f} s "
                     f"| {median(later):.2f} s | {max(later):.2f} s | {peak / file_bytes:.2f} |")
    return lines


def quality(m, rows):
    reference = rows[-1]["perplexity"]
    lines = ["## Quality", "", origin(m), "",
             f"Perplexity of {MODELS['small']} on a text of {rows[0]['tokens']} tokens, windows of "
             f"{rows[0]['window']}; the reference computes in f32 throughout.", "",
             "| kernels | keys and values | activations, bits | perplexity | from the reference |",
             "|---|---|---|---|---|"]
    for r in rows:
        lines.append(f"| {r['kernels']} | {r['kv']} | {r['activations']} | {r['perplexity']:.4f} "
                     f"| {100 * (r['perplexity'] / reference - 1):+.3f} % |")
    return lines


PARTS = {"speed": speed, "server": server, "load": load, "quality": quality}


def sections_of(text):
    """{heading: its text} in their order."""
    return {part.split("\n", 1)[0]: part.rstrip() + "\n"
            for part in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]}


def text_of(machine, figures, old_text):
    sections = sections_of(old_text)
    for name, rows in figures.items():
        sections |= sections_of("\n".join(PARTS[name](machine, rows)))
    return "\n".join([TITLE, *sections.values()])
