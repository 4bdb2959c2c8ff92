# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_plan.py - `pomona plan --cluster`: plans for machines that are not there."""
import json
import os
import pathlib
import subprocess

import pytest

POMONA = os.environ["POMONA"]
MODEL = os.environ["POMONA_TEST_MODEL"]
ROOT = pathlib.Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "config" / "cluster_nodes.json"
DEADLINE_S = 60


def plan(*args, cluster=CLUSTER):
    return subprocess.run([POMONA, "plan", *map(str, args), "--cluster", str(cluster)],
                          capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def plan_json(*args):
    done = plan(*args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_plans_of_the_shipped_cluster_are_the_golden_ones():
    done = subprocess.run([ROOT / "tests/golden/make_plans.sh", POMONA], capture_output=True,
                          text=True, timeout=DEADLINE_S, check=True)
    assert done.stdout == (ROOT / "tests/golden/plans.golden").read_text()


def test_every_strategy_is_shown_with_a_plan_or_a_reason():
    plans = plan_json("llama-70b-q4_0", "--streams", 16)
    names = [way["name"] for way in plans["strategies"]]
    assert names == ["single", "ring-memory-weighted", "pipeline", "tensor", "hybrid", "replicate"]
    for way in plans["strategies"]:
        assert (way["parts"] if way["possible"] else way["reason"])
    assert sum(shard["n_layers"] for shard in plans["shards"]) == 80


def test_a_local_model_is_planned_by_its_file(tmp_path):
    plans = plan_json(MODEL, "--data", tmp_path)
    assert plans["strategy"] == "single" and plans["shards"][0]["n_layers"] == 30


def test_pins_of_a_file_or_the_command_line_win(tmp_path):
    (tmp_path / "pins").write_text("studio-1=30 # warm\nstudio-2\n!studio-3\n")
    for pins in (tmp_path / "pins", "studio-1=30,studio-2,!studio-3"):
        plans = plan_json("llama-70b-q4_0", "--overrides", pins)
        assert [(s["node"], s["n_layers"]) for s in plans["shards"]] == [("studio-1", 30),
                                                                        ("studio-2", 50)]
    plans = plan_json("llama-70b-q4_0", "--nodes", "studio-2,studio-1", "--split", "50,30")
    assert [(s["node"], s["n_layers"]) for s in plans["shards"]] == [("studio-2", 50),
                                                                    ("studio-1", 30)]


@pytest.mark.parametrize("args, words", [
    (("no-such-model",), "llama-70b-q4_0"),
    (("llama-8b-q4_0", "--overrides", "studio-9=4"), "studio-9"),
    (("llama-8b-q4_0", "--overrides", "studio-1=many"), "studio-1=many"),
    (("llama-8b-q4_0", "--overrides", "./no-such-file"), "no-such-file"),
    (("llama-8b-q4_0", "--overrides", "strategy=magic"), "magic"),
    (("llama-8b-q4_0", "--context", "1000000"), "131072"),
    (("llama-8b-q4_0", "--nodes", "studio-1,studio-1"), "twice"),
    (("llama-8b-q4_0", "--split", "16,16"), "2 parts for 3 nodes"),
])
def test_mistakes_are_named(args, words, tmp_path):
    done = plan(*args, "--data", tmp_path)
    assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1


def test_a_model_that_fits_nowhere_says_what_is_missing(tmp_path):
    small = tmp_path / "small.json"
    small.write_text('{"cluster":{"name":"c"},"nodes":[{"name":"a","host":"::1","memory_gb":8}]}')
    done = plan("llama-70b-q4_0", cluster=small)
    assert done.returncode == 1 and "GB more on a" in done.stdout
    assert "no strategy" in done.stderr
