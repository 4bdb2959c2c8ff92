# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_bench_links.py - what `pomona bench --links` says of links, in words and in JSON.

How fast they are is no test's business: that each figure is there and is one, is.
"""
import json
import subprocess

import pytest

from support.cluster import POMONA

SIZES = [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20]


def assert_figures(figures):
    assert figures["latency_us"] > 0
    assert [size["bytes"] for size in figures["sizes"]] == SIZES
    for size in figures["sizes"]:
        assert size["mb_per_s"] > 0
        assert set(size["sum_us"]) == {"f32", "f16", "q8"}
        assert all(us > 0 for us in size["sum_us"].values())


def bench(*arguments):
    return subprocess.run([POMONA, "bench", "--links", *arguments], capture_output=True, text=True,
                          timeout=120)


def test_each_transport_of_this_machine_is_measured():
    run = bench("--json")
    assert run.returncode == 0, run.stderr
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert [line["transport"] for line in lines] == ["inproc", "tcp", "tls"]
    for line in lines:
        assert_figures(line)


def test_two_processes_measure_one_another_under_the_clusters_key(tmp_path):
    key = tmp_path / "cluster.key"
    subprocess.run([POMONA, "keys", "cluster", "--file", key], check=True, capture_output=True,
                   timeout=10)
    waiting = subprocess.Popen([POMONA, "bench", "--links", "--listen", "127.0.0.1", "--cluster-key",
                                key], stdout=subprocess.PIPE, text=True)
    try:
        peer = waiting.stdout.readline().split("--peer ")[1].split()[0]
        run = bench("--peer", peer, "--cluster-key", str(key), "--json")
        assert run.returncode == 0, run.stderr
        figures = json.loads(run.stdout)
        assert figures["transport"] == "tls"
        assert_figures(figures)
        assert waiting.wait(timeout=60) == 0
    finally:
        waiting.kill()
        waiting.wait()


def test_a_table_names_what_it_shows(tmp_path):
    help_text = subprocess.run([POMONA, "bench", "--help"], capture_output=True, text=True,
                               timeout=10).stdout
    assert "--links" in help_text and "--peer HOST:PORT" in help_text
    run = bench()
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("us one way") == 3
    assert "MB/S" in run.stdout and "SUM F32" in run.stdout


@pytest.mark.parametrize("arguments, words", [
    (("model",), "leave out 'model'"),
    (("--listen", "127.0.0.1", "--peer", "127.0.0.1:1"), "on the other"),
])
def test_what_cannot_be_measured_is_refused(arguments, words):
    run = bench(*arguments)
    assert run.returncode == 2
    assert words in run.stderr


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.0.0.1:0", ":5", "127.0.0.1:x"])
def test_a_peer_that_is_no_address_is_named(peer):
    run = bench("--peer", peer)
    assert run.returncode == 1
    assert f"'{peer}' is not HOST:PORT" in run.stderr
