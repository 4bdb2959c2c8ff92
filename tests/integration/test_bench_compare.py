# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_bench_compare.py - `pomona bench --compare` takes turns with a peer.

The peers are scripts: what is tested is how they are asked, read and ended,
not how fast anything is.
"""
import json
import os
import signal
import subprocess
import sys

import pytest

from support.cluster import MODEL_FILE, is_running, wait_until

POMONA = os.environ["POMONA"]
DEADLINE_S = 120
PEER = """#!{python}
import json, os, sys, time
log = open({log!r}, "a")
log.write(json.dumps([os.getpid(), sys.argv]) + "\\n")
log.close()
{body}
"""
NOISE = 'print("warming up"); print(json.dumps({"n_prompt": 1, "avg_ts": 0}))\n'


@pytest.fixture(name="peer")
def peer_fixture(tmp_path):
    """peer(name, body): the path of a script, and what it was asked."""
    def make(name, body):
        path, log = tmp_path / name, tmp_path / (name + ".log")
        path.write_text(PEER.format(python=sys.executable, log=str(log), body=body))
        path.chmod(0o755)

        def calls():
            return [json.loads(line) for line in log.read_text().splitlines()] \
                if log.exists() else []
        return path, calls
    return make


def command(*args):
    return [POMONA, "bench", str(MODEL_FILE), "-t", "2", *map(str, args)]


def bench(*args):
    return subprocess.run(command(*args), capture_output=True, text=True, timeout=DEADLINE_S,
                          check=False)


def option(argv, name):
    return argv[argv.index(name) + 1]


def test_each_test_goes_to_the_peer_that_knows_it(peer):
    one, one_calls = peer("one", NOISE + 'print(json.dumps({"avg_ts": 2.5}))')
    many, many_calls = peer("many", NOISE + 'print(json.dumps({"speed_tg": 5.0}))')
    done = bench("-p", 8, "-n", 4, "-b", "1,2", "-r", 3, "--json", "--compare",
                 f"llama-bench={one},llama-batched-bench={many}")
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(r["test"], r["peer"], r["peer_tokens_per_s"]) for r in results] == [
        ("pp8", "llama-bench", 2.5), ("tg4", "llama-bench", 2.5),
        ("tg4@b2", "llama-batched-bench", 5.0)]
    for r in results:
        assert len(r["ratios"]) == 3 and r["threads"] == 2
        assert r["ratio"] == pytest.approx(r["tokens_per_s"] / r["peer_tokens_per_s"], rel=0.01)
        assert r["ratio"] == sorted(r["ratios"])[1]
    asked = [argv for _, argv in one_calls()]
    assert [(option(a, "-p"), option(a, "-n")) for a in asked] == 3 * [("8", "0")] + \
        3 * [("0", "4")]
    for argv in asked + [argv for _, argv in many_calls()]:
        assert option(argv, "-m") == str(MODEL_FILE.resolve())
        assert option(argv, "-t") == "2"
    assert {(option(a, "-npl"), option(a, "-ntg")) for _, a in many_calls()} == {("2", "4")}


def test_the_table_shows_ratios(peer):
    one, _ = peer("one", 'print(json.dumps({"avg_ts": 0.001}))')
    done = bench("-p", 0, "-n", 2, "-r", 1, "--compare", f"llama-bench={one}")
    assert done.returncode == 0, done.stderr
    assert "RATIO" in done.stdout and "llama-bench" in done.stdout


@pytest.mark.parametrize("body, words", [
    ("sys.exit(3)", "status 3"),
    ("print('hello')", "avg_ts"),
    ("os.kill(os.getpid(), 11)", "signal 11"),
    ("while True: print('x' * 4096)", "4 MiB"),
])
def test_a_peer_that_fails_is_named(peer, body, words):
    one, _ = peer("one", body)
    done = bench("-p", 0, "-n", 2, "-r", 1, "--compare", f"llama-bench={one}")
    assert done.returncode == 1 and words in done.stderr and str(one) in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_no_peer_is_refused(tmp_path):
    assert bench("--compare", "llama-bench").returncode == 2
    assert bench("--compare", "other=/bin/true").returncode == 2
    assert bench("--compare", "llama-bench=").returncode == 2
    done = bench("--compare", f"llama-bench={tmp_path / 'none'}", "-p", 0, "-n", 1)
    assert done.returncode == 1 and "cannot be started" in done.stderr
    done = bench("--compare", "llama-bench=/bin/true", "-p", 0, "-n", 1, "-b", 2)
    assert done.returncode == 1 and "llama-batched-bench" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_peer_too(peer, number):
    one, calls = peer("one", f"time.sleep({2 * DEADLINE_S})")
    with subprocess.Popen(command("-p", 0, "-n", 2, "--compare", f"llama-bench={one}"),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(calls, DEADLINE_S, "the peer runs")
            pid = calls()[0][0]
            process.send_signal(number)
            _, words = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    assert process.returncode == 1 and "interrupted" in words
    assert not is_running(pid)
