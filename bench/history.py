# SPDX-License-Identifier: Apache-2.0
"""bench/history.py - what 90 days of 20 nodes cost the health monitor's history: size of the file, and queries.

    cmake --build build/release -t history_test_long_history
    python3 bench/history.py build/release

240 series, synthetic: a sample each minute, each ten seconds in the last twelve hours.  The program
that fills the file also computes every roll-up anew from the samples and fails where one differs
(tests/unit/history/test_long_history.c).  A query is one series over that time; the slowest of all 240 is
shown.
"""
import os
import pathlib
import re
import subprocess
import sys
import time


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: python3 bench/history.py BUILD")
    program = pathlib.Path(sys.argv[1]) / "tests/unit/history/history_test_long_history"
    begun = time.monotonic()
    done = subprocess.run([program], env={**os.environ, "POMONA_TEST_FULL": "1"}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    took = time.monotonic() - begun
    if done.returncode != 0:
        sys.exit(done.stdout)
    size, = re.findall(r"20 nodes, 90 days: ([0-9.]+) MB", done.stdout)
    print("| what | measured | bound |\n|---|---|---|")
    print(f"| file | {size} MB | 200 MB |")
    for what, ms in re.findall(r"query of (.+): at most ([0-9.]+) ms", done.stdout):
        print(f"| slowest query: {what} | {ms} ms | 100 ms |")
    print("| roll-ups that differ from their recomputation | 0 | 0 |")
    print(f"\nFilled, rolled up and computed anew in {took:.0f} s.")


if __name__ == "__main__":
    main()
