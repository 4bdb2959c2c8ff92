# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_prediction.py - what the planner predicts is what is then measured.

Pipelines of one, two and three nodes in network namespaces, each a machine of its own with one core
(support/machines.py), decode one stream: ranks take turns then, so two cores stand for three.  Machine, links
and pipelines are measured one after the other.  What else runs here may change the machine between: so where a
prediction is off, all is measured and predicted anew twice more, and the median of the three is judged.  bench/predict.py does the same with
more streams, where ranks share cores and memory that three machines would not.  Without root this is skipped, and
says so.
"""
import os
import sys
from pathlib import Path
from statistics import median

import pytest

from support.cluster import MODEL, MODEL_FILE, POMONA
from support.machines import Machines
from support.netns import SMALL_BUCKET, Network, is_possible

sys.path.insert(0, str(Path(os.environ["POMONA_SOURCE"]) / "bench"))
import predict  # noqa: E402

if not is_possible():
    pytest.exit("SKIPPED: network namespaces need root", returncode=77)

LAYERS, BOUND, ROUNDS, TRIES = 30, 0.2, 3, 3


def ratios(folder):
    """Predicted through measured, for each number of nodes: medians of rounds that alternate."""
    folder.mkdir()
    splits = [predict.split(LAYERS, n) for n in (1, 2, 3)]
    measured = {len(layers): [] for layers in splits}
    with Network(3, ["1gbit"], SMALL_BUCKET) as network:
        nodes = predict.Nodes(network, POMONA, [MODEL_FILE], folder, 3, Machines(3, folder))
        nodes.wait_measured()
        predicted = {len(layers): nodes.plan(MODEL, layers, 1) for layers in splits}
        for _ in range(ROUNDS):
            for layers in splits:
                nodes.place(MODEL, layers)
                measured[len(layers)].append(nodes.measure(MODEL, 1, len(layers) - 1))
                nodes.unplace(MODEL)
    return {n: predicted[n] / median(rates) for n, rates in measured.items()}


def is_right(tried):
    return all(abs(median(t[n] for t in tried) - 1) <= BOUND for n in tried[0])


def test_one_stream_is_as_fast_as_predicted(tmp_path):
    tried = [ratios(tmp_path / "0")]
    if not is_right(tried):
        tried += [ratios(tmp_path / str(i)) for i in range(1, TRIES)]
    print("predicted / measured, by the number of nodes:", tried)
    assert is_right(tried), tried
