# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_several_links.py - two links between two nodes: the faster is used, the other is
the fallback.

Two hosts on two bridges of different rates, a model split over both.  What the interfaces carried tells
which link was used.  Then its cable is pulled during streams.
"""
import json
import time

import pytest

from support import netns
from support.cluster import IS_TIMED, MODEL, MODEL_FILE, wait_until
from support.hosts import Hosts

pytestmark = pytest.mark.skipif(not netns.is_possible(),
                                reason="SKIPPED: network namespaces need root and ip(8)")

SLOW, FAST = "100mbit", "2gbit"
N_STREAMS = 4
# Two seconds to notice; then the model is placed once more.
RESUMED_WITHIN_S = 8.0 if IS_TIMED else 60.0


def sent(hosts, name, k):
    said = hosts.host[name].run(["ip", "-j", "-s", "link", "show", f"eth{k}"])
    return json.loads(said)[0]["stats64"]["tx"]["bytes"]


def wait_probed(hosts, fast):
    def are_best():
        links = hosts.get("a", "/cluster/state").get("links", [])
        return len(links) == 4 and all(
            link["best"] == link["host"].startswith(f"10.77.{fast}.") for link in links)
    wait_until(are_best, 90, "both ends know which link is faster")


def streams_of(hosts):
    return [hosts.stream("a", seed=i, temperature=i / 2) for i in range(N_STREAMS)]


def place(hosts):
    hosts.place("a", nodes=["a", "b"], split=[15, 15], context=1024)


@pytest.mark.parametrize("fast", [1, 0], ids=["of_data_alone", "of_data_and_control"])
def test_the_faster_link_is_used_and_the_other_when_it_is_cut(tmp_path, fast):
    rates = [SLOW, FAST] if fast == 1 else [FAST, SLOW]
    with Hosts(tmp_path, {"a": 0.11, "b": 0.11}, rates=rates) as hosts:
        wait_probed(hosts, fast)
        place(hosts)
        before = [sent(hosts, name, k) for name in "ab" for k in (0, 1)]
        undisturbed = [s.whole() for s in streams_of(hosts)]
        carried = [sent(hosts, name, k) - b for b, (name, k) in
                   zip(before, ((name, k) for name in "ab" for k in (0, 1)))]
        print("bytes on a eth0, eth1, b eth0, eth1:", carried)
        on_fast, on_slow = (carried[k] + carried[2 + k] for k in (fast, 1 - fast))
        assert on_fast > 4 * on_slow, carried    # gossip and beats go on, on both

        streams = streams_of(hosts)
        wait_until(lambda: all(len(s.arrivals) > 10 for s in streams), 30, "every stream has begun")
        cut_at = time.monotonic()
        hosts.network.plug(hosts.host["b"], "down", fast)
        assert [s.whole() for s in streams] == undisturbed
        gap = max(s.gap_after(cut_at) for s in streams)
        print(f"resumed after {gap:.2f} s")
        assert gap <= RESUMED_WITHIN_S
        state = hosts.get("a", "/cluster/state")
        nodes = [shard["node"] for shard in state["instances"][0]["shards"]]
        assert state["instances"][0]["model"] == MODEL and sorted(nodes) == ["a", "b"], state

        before = sent(hosts, "a", 1 - fast)    # its rows; the driver answers with little
        assert hosts.stream("a").whole()
        assert sent(hosts, "a", 1 - fast) - before > 100_000


def test_pieces_of_a_model_come_over_the_faster_link(tmp_path):
    with Hosts(tmp_path, {"a": 4.0, "b": 4.0}, holders="a", rates=[SLOW, FAST]) as hosts:
        wait_probed(hosts, 1)
        before = [sent(hosts, "a", k) for k in (0, 1)]
        hosts.place("a", nodes=["b"])
        slow, fast = (sent(hosts, "a", k) - b for k, b in zip((0, 1), before))
        print(f"{fast / 1e6:.1f} MB over the faster link, {slow / 1e6:.1f} over the other")
        assert fast > 0.9 * MODEL_FILE.stat().st_size > 20 * slow
