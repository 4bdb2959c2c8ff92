# SPDX-License-Identifier: Apache-2.0
"""bench/report.py - the figures of bench/measure.py as the Markdown of bench/RESULTS.md."""
import statistics

MODELS = {"1b": "Llama-3.2-1B shape, Q4_0", "8b": "Llama-3.1-8B shape, Q4_0",
          "small": "SmolLM2-135M, Q4_1"}
median = statistics.median


def ratio(values):
    return f"{median(values):.2f} | {min(values):.2f} - {max(values):.2f}"


def head(m):
    busy = "" if m["busy"] < 0.1 else " **The machine was busy.**"
    return [
        "# Measured speed",
        "",
        f"Made by `bench/run.sh` on {m['date']}: {m['cpu']}, {m['threads']} threads, "
        f"{m['system']}.{busy}",
        f"{m['pomona']}; {m['peer']}. {m['pairs']} pairs of runs or more, the two taking turns; "
        "medians, and the range of the ratios.",
    ]


def speed(_, rows):
    lines = [
        "", "## Tokens per second", "",
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
    lines = ["", "## A server under load", "",
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


def load(_, rows):
    lines = ["", "## Loading", "",
             "From the start of `pomona run` to the first byte of its answer.", "",
             "| model | first | later, median | later, slowest | peak memory / file |",
             "|---|---|---|---|---|"]
    for name, first, later, file_bytes, peak in rows:
        lines.append(f"| {MODELS[name]}, {file_bytes / 1e9:.2f} GB | {first:.2f} s "
                     f"| {median(later):.2f} s | {max(later):.2f} s | {peak / file_bytes:.2f} |")
    return lines


def quality(_, rows):
    reference = rows[-1]["perplexity"]
    lines = ["", "## Quality", "",
             f"Perplexity of {MODELS['small']} on a text of {rows[0]['tokens']} tokens, windows of "
             f"{rows[0]['window']}; the reference computes in f32 throughout.", "",
             "| kernels | keys and values | activations, bits | perplexity | from the reference |",
             "|---|---|---|---|---|"]
    for r in rows:
        lines.append(f"| {r['kernels']} | {r['kv']} | {r['activations']} | {r['perplexity']:.4f} "
                     f"| {100 * (r['perplexity'] / reference - 1):+.3f} % |")
    return lines


PARTS = {"speed": speed, "server": server, "load": load, "quality": quality}


def text_of(machine, figures):
    lines = head(machine)
    for name, rows in figures.items():
        lines += PARTS[name](machine, rows)
    return "\n".join(lines) + "\n"
