# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_discovery.py - nodes on several hosts find one another, each way alone."""
import json
import os
import subprocess
import time

import pytest

from support import netns

POMONA = os.environ["POMONA"]
N = 3

pytestmark = pytest.mark.skipif(not netns.is_possible(),
                                reason="SKIPPED: network namespaces need root and ip(8)")


@pytest.fixture
def network():
    with netns.Network(N) as made:
        for host in made.hosts:
            host.api = "127.0.0.1"
        yield made


def make_key(path):
    subprocess.run([POMONA, "keys", "cluster", "--file", str(path)], check=True,
                   capture_output=True)
    return path


def start(network, folder, i, key, *options, cluster="home", host=None):
    host = host or network.hosts[i]
    data = folder / f"data-{i}"
    data.mkdir(exist_ok=True)
    with open(folder / f"{i}.log", "ab") as log:
        return host.popen([POMONA, "serve", "--cluster", cluster, "--node", f"n{i}", "--data",
                           str(data), *(["--cluster-key", str(key)] if key else []), *options],
                          stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def n_alive(host):
    try:
        said = host.run(["curl", "-s", "-m", "2", f"http://{host.api}:52415/health"])
        return json.loads(said)["nodes_alive"]
    except (subprocess.CalledProcessError, KeyError, json.JSONDecodeError):
        return 0


def wait_alive(network, folder, n, seconds=20):
    until = time.monotonic() + seconds
    while not all(n_alive(host) == n for host in network.hosts):
        if time.monotonic() > until:
            logs = "\n".join(p.read_text()[-2000:] for p in sorted(folder.glob("*.log")))
            raise AssertionError(f"{[n_alive(h) for h in network.hosts]} alive, not {n}\n{logs}")
        time.sleep(0.1)


def test_beacon_alone(network, tmp_path):
    key = make_key(tmp_path / "key")
    for i in range(N):
        start(network, tmp_path, i, key, "--discovery", "beacon")
    wait_alive(network, tmp_path, N)


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_beacon_of_one_family_alone(network, tmp_path, family):
    """The hosts have no address of the other family."""
    for host in network.hosts:
        host.run(["ip", "-6" if family == "IPv4" else "-4", "addr", "flush", "dev", "eth0"])
        host.api = "127.0.0.1" if family == "IPv4" else "[::1]"
    key = make_key(tmp_path / "key")
    for i in range(N):
        start(network, tmp_path, i, key, "--discovery", "beacon", "--listen",
              f"{network.hosts[i].api}:52415")
    wait_alive(network, tmp_path, N)


def test_seeds_alone(network, tmp_path):
    key = make_key(tmp_path / "key")
    start(network, tmp_path, 0, key, "--discovery", "seeds")
    for i in range(1, N):
        start(network, tmp_path, i, key, "--discovery", "seeds", "--join",
              ",".join(f"{h.address}:52416" for h in network.hosts[:i]))
    wait_alive(network, tmp_path, N)


def test_an_interface_that_comes_later(network, tmp_path):
    key = make_key(tmp_path / "key")
    network.hosts[0].run(["ip", "link", "set", "eth0", "down"])
    for i in range(N):
        start(network, tmp_path, i, key, "--discovery", "beacon")
    network.hosts[0].run(["ip", "link", "set", "eth0", "up"])
    wait_alive(network, tmp_path, N)


def test_other_keys_and_clusters_stay_apart(network, tmp_path):
    key, other = make_key(tmp_path / "key"), make_key(tmp_path / "other")
    join = ["--join", ",".join(f"{h.address}:52416" for h in network.hosts)]
    start(network, tmp_path, 0, key, *join)
    start(network, tmp_path, 1, other, *join)
    start(network, tmp_path, 2, key, *join, cluster="work")
    wait_alive(network, tmp_path, 1)
    time.sleep(3)
    assert [n_alive(host) for host in network.hosts] == [1, 1, 1]
