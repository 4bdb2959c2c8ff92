# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_predict.py - the planner's prediction for one stream is about what comes.

bench/predict.py measures; here the bound is wide, as whoever else computes on this machine
disturbs both what is predicted and what is measured.
"""
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.netns import is_possible

if not is_possible():
    pytest.exit("SKIPPED: network namespaces need root", returncode=77)

SCRIPT = Path(os.environ["POMONA_SOURCE"]) / "bench/predict.py"
BOUND = 0.35


def test_one_stream_over_one_and_two_machines_is_predicted():
    done = subprocess.run(
        [sys.executable, SCRIPT, "--pomona", os.environ["POMONA"], "--nodes", "1,2", "--streams",
         "1", "--bound", str(BOUND), os.environ["POMONA_TEST_MODEL"]],
        capture_output=True, text=True, timeout=270, check=False)
    print(done.stdout, done.stderr)
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| SmolLM2")]
    assert [row[2].strip() for row in rows] == ["1", "2"], done.stderr
    assert done.returncode == 0, done.stdout
