# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_links.py - a link is cut for what computes, and not for what controls.

Hosts whose control channels go on, over another address as it were, while the packets of their
runners, drivers and gateways are dropped.  Streams go on within five seconds, with the tokens that
they would have had.
"""
import time

import pytest

from support import netns
from support.cluster import IS_TIMED, wait_until
from support.hosts import CONTROL, Hosts

pytestmark = pytest.mark.skipif(not netns.is_possible(),
                                reason="SKIPPED: network namespaces need root and ip(8)")

RESUMED_WITHIN_S = 5.0 if IS_TIMED else 30.0
N_STREAMS = 4
DEAF_S = 8    # datagrams that do not come are noticed after 5
MEMORY = {"a": 4.0, "b": 4.0, "g": 0.02}


def streams_of(hosts):
    return [hosts.stream("g", seed=i, temperature=i / 2) for i in range(N_STREAMS)]


def on(instance):
    return {shard["node"] for shard in instance["shards"]}


def assert_go_on(hosts, undisturbed, cut):
    streams = streams_of(hosts)
    wait_until(lambda: all(len(s.arrivals) > 10 for s in streams), 30, "every stream has begun")
    cut_at = time.monotonic()
    cut()
    assert [s.whole() for s in streams] == undisturbed
    gap = max(s.gap_after(cut_at) for s in streams)
    print(f"resumed after {gap:.2f} s")
    assert gap <= RESUMED_WITHIN_S


def test_a_cut_between_two_ranks_is_noticed(tmp_path):
    with Hosts(tmp_path, MEMORY) as hosts:
        hosts.place("g", nodes=["a", "b"], split=[15, 15])
        undisturbed = [s.whole() for s in streams_of(hosts)]
        assert_go_on(hosts, undisturbed, lambda: hosts.cut("a", "b", keeps=CONTROL))


def test_an_instance_is_placed_anew_beside_a_cut_link(tmp_path):
    """No node has room for the model alone, and two of three do not reach each other any more."""
    with Hosts(tmp_path, {"a": 0.13, "b": 0.13, "c": 0.13, "g": 0.02}) as hosts:
        was = on(hosts.place("g", nodes=["a", "b"], split=[15, 15], context=1024))
        assert was == {"a", "b"}
        undisturbed = [s.whole() for s in streams_of(hosts)]
        assert_go_on(hosts, undisturbed, lambda: hosts.cut("a", "b", keeps=CONTROL))
        assert "c" in on(hosts.get("g", "/cluster/state")["instances"][0])


def test_a_gateway_whose_link_to_the_driver_is_cut_goes_on_over_another_node(tmp_path):
    with Hosts(tmp_path, MEMORY) as hosts:
        instance = hosts.place("g", nodes=["a", "b"], split=[15, 15])
        undisturbed = [s.whole() for s in streams_of(hosts)]
        assert_go_on(hosts, undisturbed, lambda: hosts.cut("g", "b", keeps=CONTROL))
        assert hosts.get("g", "/cluster/state")["instances"][0]["id"] == instance["id"]
        assert hosts.stream("g", 8).whole()    # new requests too


def test_a_gateway_goes_on_over_a_third_node(tmp_path):
    """Nothing at all goes between the gateway and the driver any more, so the driver's own node cannot
    pass on what they say: the other one does."""
    with Hosts(tmp_path, MEMORY) as hosts:
        instance = hosts.place("g", nodes=["a", "b"], split=[15, 15])
        undisturbed = [s.whole() for s in streams_of(hosts)]
        assert_go_on(hosts, undisturbed, lambda: hosts.cut("g", "b"))
        assert hosts.get("g", "/cluster/state")["instances"][0]["id"] == instance["id"]
        assert hosts.stream("g", 8).whole()    # new requests too
        assert "by way of node 'a'" in hosts.log("g")
        assert "is lost" not in hosts.log("g"), "the driver's node lives, as the others say"


def assert_nobody_was_lost(hosts):
    for name in hosts.names:
        assert "is lost" not in hosts.log(name) and "is gone" not in hosts.log(name), name


def test_datagrams_that_get_through_one_way_only_kill_nobody(tmp_path):
    with Hosts(tmp_path, {"a": 4.0, "b": 4.0}) as hosts:
        hosts.place("a", nodes=["a", "b"], split=[15, 15])
        undisturbed = hosts.stream("a").whole()
        hosts.host["a"].run(["nft", "add table ip deaf; add chain ip deaf input "
                             "{ type filter hook input priority 0; }; add rule ip deaf input "
                             f"ip saddr {hosts.address('b', 0)} udp dport {CONTROL} drop"])
        until = time.monotonic() + DEAF_S
        while time.monotonic() < until:
            assert hosts.stream("a").whole() == undisturbed
        assert_nobody_was_lost(hosts)
        assert "no datagrams of node 'b' come" in hosts.log("a")


def test_a_node_that_stands_still_for_a_moment_is_not_taken_for_dead(tmp_path):
    with Hosts(tmp_path, MEMORY) as hosts:
        hosts.place("g", nodes=["a", "b"], split=[15, 15])
        undisturbed = hosts.stream("g").whole()
        for pause_s, name in zip((1.2, 1.3, 1.4, 1.5), "abab"):
            stream = hosts.stream("g")
            hosts.pause(name, pause_s)
            assert stream.whole() == undisturbed
            time.sleep(1)
        assert_nobody_was_lost(hosts)


def test_hosts_with_ipv6_alone_split_a_model(tmp_path):
    with Hosts(tmp_path, {"a": 4.0, "b": 4.0}, family="IPv6") as hosts:
        hosts.place("a", nodes=["a", "b"], split=[15, 15])
        assert hosts.stream("a", 8).whole()
