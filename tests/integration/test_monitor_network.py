# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_monitor_network.py - the health monitor sees what is wrong with a network.

Two hosts (tests/support/netns) on a slow link; the monitor runs on the first.  Faults are real, how long they
have to last is set short.
"""
import pytest

from support import netns
from support.cluster import wait_until
from support.hosts import Hosts
from support.monitoring import Monitor

if not netns.is_possible():
    pytest.exit("SKIPPED: network namespaces need root and ip(8)", returncode=77)

AT_ONCE = {"for_s": 0.5, "clear_s": 0.5}
CHECKS = ("link.loss", "link.mb_s", "link.mtu", "link.connected", "link.datagrams")
LINK, PATH = "link/a/b", "path/a/10.77.0.2"
SLOW = "40mbit"    # 5 MB/s: below what is a warning


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    with Hosts(tmp_path_factory.mktemp("hosts"), {"a": 1.0, "b": 1.0}, holders="", rates=(SLOW,),
               bucket=netns.SMALL_BUCKET, api="0.0.0.0") as made:
        yield made


@pytest.fixture(scope="module")
def monitor(tmp_path_factory, hosts):
    nodes = [(name, hosts.host[name].address) for name in hosts.names]
    settings = {"checks": [{"name": name, **AT_ONCE} for name in CHECKS]}
    with Monitor(tmp_path_factory.mktemp("monitor"), nodes, settings, host=hosts.host["a"]) as made:
        yield made


def test_a_slow_link_is_seen_and_the_rest_is_well(hosts, monitor):
    for check, subject in (("node.up", "node/b"), ("link.connected", LINK), ("link.datagrams", LINK),
                           ("link.loss", LINK), ("link.mtu", PATH), ("link.answers", PATH)):
        monitor.wait_state(check, subject, "ok")
    monitor.wait_state("link.mb_s", PATH, "warning")
    state, megabytes = monitor.state("link.mb_s", PATH)
    assert 1 < megabytes < 10
    assert monitor.state("link.mtu", PATH)[1] == 1500
    assert {f["check"] for f in monitor.alarms() if f["group"] == "network"} == {"link.mb_s"}


def test_a_smaller_mtu_of_the_other_end_is_seen(hosts, monitor):
    monitor.wait_state("link.mtu", PATH, "ok")
    hosts.host["b"].run(["ip", "link", "set", "eth0", "mtu", "1300"])
    try:
        monitor.wait_state("link.mtu", PATH, "warning")
        assert monitor.state("link.mtu", PATH)[1] == 1300
    finally:
        hosts.host["b"].run(["ip", "link", "set", "eth0", "mtu", "1500"])
    monitor.wait_state("link.mtu", PATH, "ok")


def test_a_smaller_mtu_of_this_end_is_seen(hosts, monitor):
    hosts.host["a"].run(["ip", "link", "set", "eth0", "mtu", "1100"])
    try:
        monitor.wait_state("link.mtu", PATH, "critical")
    finally:
        hosts.host["a"].run(["ip", "link", "set", "eth0", "mtu", "1500"])
    monitor.wait_state("link.mtu", PATH, "ok")


def test_lost_datagrams_are_counted(hosts, monitor):
    monitor.wait_state("link.loss", LINK, "ok")
    hosts.host["b"].drop("udp dport 52416 numgen random mod 100 < 25")
    try:
        wait_until(lambda: (monitor.state("link.loss", LINK) or [""])[0] in ("warning", "critical"), 60,
                   "the loss is seen")
        assert monitor.state("link.connected", LINK)[0] == "ok"
    finally:
        hosts.host["b"].drop_nothing()
    monitor.wait_state("link.loss", LINK, "ok")


def test_blocked_datagrams_and_a_cut_cable_are_seen(hosts, monitor):
    hosts.host["b"].drop("udp dport 52416")
    try:
        monitor.wait_state("link.datagrams", LINK, "warning")
        monitor.wait_state("node.up", "node/b", "ok")
    finally:
        hosts.host["b"].drop_nothing()
    monitor.wait_state("link.datagrams", LINK, "ok")
    hosts.network.plug(hosts.host["b"], "down")
    try:
        monitor.wait_state("node.up", "node/b", "critical")
    finally:
        hosts.network.plug(hosts.host["b"], "up")
    monitor.wait_state("node.up", "node/b", "ok")
    monitor.wait_state("link.connected", LINK, "ok")
