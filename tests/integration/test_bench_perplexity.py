# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_bench_perplexity.py - faster kernels predict as well as the reference.

Five hundred tokens of the licence, which every checkout has; bench/run.sh does
the same with twenty thousand.
"""
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

POMONA = os.environ["POMONA"]
MODEL = os.environ["POMONA_TEST_MODEL"]
TEXT = Path(os.environ["POMONA_SOURCE"]) / "LICENSE"
N_TOKENS = 512
APART_MAX = 0.003
DEADLINE_S = 280


def bench(*args):
    return subprocess.run([POMONA, "bench", MODEL, *map(str, args)], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False)


def perplexity(*args):
    done = bench("--perplexity", TEXT, "--text-tokens", N_TOKENS, "--json", *args)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kernels_here():
    words = bench("--perplexity", TEXT, "--kernels", "none-of-that-name").stderr
    return re.search(r"there are: (.*)", words).group(1).split(", ")


@pytest.fixture(name="reference", scope="module")
def reference_fixture():
    return perplexity("--kernels", "ref")


@pytest.mark.parametrize("kernels", [k for k in kernels_here() if k != "ref"])
def test_fast_kernels_are_as_good_as_the_reference(kernels, reference):
    fast = perplexity("--kernels", kernels)
    assert fast["kernels"] == kernels
    assert (fast["tokens"], fast["scored"]) == (N_TOKENS, N_TOKENS - 1)
    assert fast["perplexity"] == pytest.approx(reference["perplexity"], rel=APART_MAX)


def test_activations_of_8_bits_cost_little(reference):
    """Five hundred tokens leave this much to chance; twenty thousand show 0.3 % (bench/RESULTS.md)."""
    fast = perplexity("--activations", 8)
    assert fast["activations"] == 8
    assert fast["perplexity"] == pytest.approx(reference["perplexity"], rel=0.01)


def test_keys_and_values_of_8_bits_cost_little(reference):
    assert perplexity("--kv", "q8_0")["perplexity"] == pytest.approx(reference["perplexity"],
                                                                     rel=0.01)


def test_a_model_knows_the_licence_better_than_chance(reference):
    assert 1 < reference["perplexity"] < 100 and reference["error"] > 0


def test_the_window_is_what_a_token_may_look_back_on(reference):
    assert perplexity("--window", 64)["perplexity"] > 1.1 * reference["perplexity"]


def test_what_cannot_be_scored_is_refused(tmp_path):
    (tmp_path / "empty").write_text("")
    for args, status in ((("--perplexity", tmp_path / "none"), 1),
                         (("--perplexity", tmp_path / "empty"), 1),
                         (("--perplexity", TEXT, "--kv", "q3"), 2),
                         (("--perplexity", TEXT, "--activations", 12), 2),
                         (("--perplexity", TEXT, "--window", 100000), 1)):
        done = bench(*args)
        assert done.returncode == status and done.stderr.count("\n") == 1, done.stderr
