# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_bench_profile.py - the parts of a step add up, in the table and in the trace."""
import json
import os
import subprocess

import pytest

POMONA = os.environ["POMONA"]
MODEL = os.environ["POMONA_TEST_MODEL"]
DEADLINE_S = 120
PARTS = {"embedding", "norm", "qkv", "attention", "o", "gate/up", "down", "output", "wait",
         "engine, other", "scheduling", "transport wait", "sampling"}
ARGS = ("-t", "2", "-p", "24", "-n", "6", "-b", "2", "-r", "2")


def bench(*args):
    return subprocess.run([POMONA, "bench", MODEL, *map(str, args)], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False)


def test_the_parts_of_a_step_add_up():
    done = bench(*ARGS, "--profile", "--json")
    assert done.returncode == 0, done.stderr
    prompt, decode = map(json.loads, done.stdout.splitlines())
    assert (prompt["step"], decode["step"]) == ("prompt", "decode")
    # Twice, two sequences of 24 + 6 tokens; the first token comes of the prompt's last row.
    assert decode["rows"] + prompt["rows"] == 2 * 2 * (24 + 5)
    for r in (prompt, decode):
        assert set(r["parts_ms"]) == PARTS
        assert sum(r["parts_ms"].values()) == pytest.approx(r["total_ms"], rel=0.05)
        assert r["parts_ms"]["gate/up"] > 0 and r["parts_ms"]["sampling"] > 0
        assert r["parts_ms"]["transport wait"] < 0.05 * r["total_ms"]


def test_the_table_is_for_people():
    done = bench(*ARGS, "--profile")
    assert done.returncode == 0, done.stderr
    for part in PARTS | {"PROMPT", "DECODE", "all of it"}:
        assert part in done.stdout


def test_a_trace_shows_every_step(tmp_path):
    path = tmp_path / "steps.json"
    done = bench(*ARGS, "--trace", path)
    assert done.returncode == 0, done.stderr
    events = json.loads(path.read_text())["traceEvents"]
    steps = [e for e in events if e["name"] in ("prompt", "decode")]
    assert sum(e["args"]["rows"] for e in steps) == 2 * 2 * (24 + 5)
    assert {e["name"] for e in events} <= PARTS | {"prompt", "decode", "engine"}
    for event in events:
        assert event["ph"] == "X" and event["ts"] >= 0 and event["dur"] >= 0
        assert any(s["ts"] - 1 <= event["ts"] and
                   event["ts"] + event["dur"] <= s["ts"] + s["dur"] + 1 for s in steps), event


def test_a_trace_that_cannot_be_written_is_an_error(tmp_path):
    done = bench(*ARGS, "--trace", tmp_path / "none" / "steps.json")
    assert done.returncode == 1 and "steps.json" in done.stderr
