# SPDX-License-Identifier: Apache-2.0
"""tests/support/streams.py - streams of 200 tokens, and what each says where nothing dies.

Sixteen, two of each way.

Greedy and sampled in several ways; any placement gives the same tokens, so one run that nothing
disturbs is the measure of all.
"""
import os
import time

from support.cluster import IS_TIMED, Cluster, Stream, wait_until

N_STREAMS = 16    # fewer end before a silence of 2 s is noticed
N_TOKENS = 200
RESUMED_WITHIN_S = 5.0 if IS_TIMED else 30.0

# What each stream asks for beside a prompt of its own.
WAYS = [
    {"temperature": 0},
    {"temperature": 1, "seed": 11},
    {"temperature": 1.2, "seed": 12, "top_p": 0.9, "presence_penalty": 0.8},
    {"temperature": 0.8, "seed": 13, "frequency_penalty": 0.9, "repetition_penalty": 1.1},
    {"temperature": 0, "logprobs": 3},
    {"temperature": 1, "seed": 15, "n": 2},
    {"temperature": 0.9, "seed": 16, "stop": ["\n\n", "the king said nothing"]},
    {"temperature": 1, "seed": 17, "min_tokens": 150},
]
PROMPTS = ["Once upon a time", "The recipe needs", "In the year 1850 the ship", "Dear friend,"]


def start_streams(node):
    return [Stream(node, N_TOKENS, prompt=PROMPTS[i % len(PROMPTS)],
                   stream_options={"include_usage": True},
                   **{"min_tokens": N_TOKENS, **WAYS[i % len(WAYS)]}) for i in range(N_STREAMS)]


def await_tokens(streams, n):
    wait_until(lambda: all(s.n_chunks >= n or s.ended_at for s in streams), 90,
               f"every stream has {n} chunks")


def assert_complete(streams, within_s=120):
    until = time.monotonic() + within_s
    for s in streams:
        s.join(timeout=max(0.0, until - time.monotonic()))
        assert s.ended_at is not None, f"a stream hangs after {s.n_chunks} chunks"
        assert s.error is None and s.broken is None, (s.error, s.broken)
        assert s.status == 200 and s.is_done


def assert_undisturbed(streams, undisturbed):
    for s, want in zip(streams, undisturbed, strict=True):
        assert s.outcome() == want


def undisturbed_outcomes(folder):
    """What each stream says where nothing dies, and nothing is split."""
    with Cluster(folder, names="a", threads=2) as cluster:
        cluster.start()
        streams = start_streams(cluster["a"])
        assert_complete(streams)
        outcomes = [s.outcome() for s in streams]
    for s, (texts, finishes, logprobs, _, n_tokens) in zip(streams, outcomes):
        assert len(texts) == len(finishes) == s.body.get("n", 1)
        assert bool(logprobs) == ("logprobs" in s.body)
        assert "stop" in s.body or n_tokens == N_TOKENS * s.body.get("n", 1)
    return outcomes


class Gaps:
    """How long the streams of each round were silent at the longest; POMONA_TEST_GAPS names a
    file that gets a line for each kind of failure."""

    def __init__(self, what):
        self.what, self.seconds = what, []

    def add(self, seconds):
        self.seconds.append(seconds)
        print(f"{self.what}, round {len(self.seconds)}: resumed after {seconds:.2f} s", flush=True)
        assert seconds <= RESUMED_WITHIN_S

    def tell(self):
        ordered = sorted(self.seconds)
        line = (f"{self.what}: {len(ordered)} times, resumed after {ordered[len(ordered) // 2]:.2f} s "
                f"(median), {ordered[-1]:.2f} s (longest)")
        print(line)
        if os.environ.get("POMONA_TEST_GAPS"):
            with open(os.environ["POMONA_TEST_GAPS"], "a") as file:
                file.write(line + "\n")
