# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_cable.py - a host's cable is pulled under streams, and put back.

As test_failures.py, but a to c and the gateway g are hosts of their own (support/netns.py), and one of
a to c is cut off from all others in turn.  What it computes with is alive, and must give way when it
is back.  Once for each; POMONA_TEST_FULL=1: 20 times in all.
"""
import os
import time

import pytest

from support import netns
from support.cluster import MODEL, wait_until
from support.hosts import Hosts
from support.streams import (Gaps, assert_complete, assert_undisturbed, await_tokens, start_streams,
                             undisturbed_outcomes)

if not netns.is_possible():
    pytest.exit("SKIPPED: network namespaces need root and ip(8)", returncode=77)

ROUNDS = 20 if os.environ.get("POMONA_TEST_FULL") else 3
MEMORY = {"a": 4.0, "b": 4.0, "c": 4.0, "g": 0.02}


def await_health(hosts, names, key, value, seconds, what):
    for name in names:
        wait_until(lambda: hosts.get(name, "/health").get(key) == value, seconds, f"{name}: {what}")


def test_streams_outlive_a_cut_cable(tmp_path):
    undisturbed = undisturbed_outcomes(tmp_path / "undisturbed")
    gaps = Gaps("cut cable")
    with Hosts(tmp_path, MEMORY) as hosts:
        for round_ in range(ROUNDS):
            victim = hosts.host["abc"[round_ % 3]]
            hosts.place("g", nodes=["a", "b", "c"], split=[10, 10, 10])
            streams = start_streams(hosts.door("g"))
            await_tokens(streams, 10 + 5 * (round_ % 20))
            cut_at = time.monotonic()
            hosts.network.plug(victim, "down")
            assert_complete(streams)
            assert_undisturbed(streams, undisturbed)
            gaps.add(max(s.gap_after(cut_at) for s in streams))

            hosts.network.plug(victim, "up")
            await_health(hosts, hosts.names, "nodes_alive", len(hosts.names), 30, "all are back")
            await_health(hosts, hosts.names, "instances_ready", 1, 10, "one instance is left")
            said = hosts.ask("g", "/cluster/unplace", {"model": MODEL})
            assert "error" not in said, said
            await_health(hosts, hosts.names, "instances_ready", 0, 10, "it is gone")
    gaps.tell()
