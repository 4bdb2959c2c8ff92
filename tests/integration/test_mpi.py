# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_mpi.py - an instance over Open MPI: mpirun starts its runners over SSH.

Two hosts with sshd and keys; what dies or stands still is replaced, and streams go on.
"""
import os
import signal
import shutil
import subprocess
from pathlib import Path

import pytest

from support import netns
from support.cluster import POMONA, wait_until
from support.hosts import API, Hosts
from support.ssh import Ssh, called

pytestmark = pytest.mark.skipif(not netns.is_possible(),
                                reason="SKIPPED: network namespaces need root and ip(8)")

N_STREAMS = 3
N_TOKENS = 120


class MpiHosts(Hosts):
    def __init__(self, folder):
        assert shutil.which("mpirun"), "mpirun is missing: install openmpi-bin and libopenmpi-dev"
        super().__init__(folder, {"a": 0.125, "b": 0.125})    # one has room for a short context
        self.ssh = Ssh(folder)
        self.environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                            "OMPI_MCA_plm_rsh_agent": " ".join(self.ssh.command)}

    def start(self, name):
        self.ssh.serve(self.host[name], f"host-{name}")
        with open(self.folder / f"{name}.log", "ab") as log:
            self.node[name] = self.host[name].popen(
                called(f"host-{name}",
                       [POMONA, "serve", "--config", self.config, "--node", name, "--data",
                        self.folder / f"data-{name}", "--cluster-key", self.key, "--no-measure",
                        "--listen", f"{self.loopback}:{API}"]),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)

    def instances(self):
        return self.get("a", "/cluster/state").get("instances", [])

    def place_over_mpi(self):
        return self.place("a", nodes=["a", "b"], split=[18, 12], transport="mpi", context=1024)

    def streams(self):
        return [self.stream("a", N_TOKENS, seed=i, temperature=i / 2) for i in range(N_STREAMS)]


def inside(host):
    """{process: its arguments} of what runs on `host`; zombies have none."""
    network = os.stat(f"/run/netns/{host.namespace}").st_ino
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.stat(entry / "ns/net").st_ino == network:
                found[int(entry.name)] = (entry / "cmdline").read_text().split("\0")
        except OSError:
            continue    # it ended meanwhile
    return found


def ranks_of(hosts, instance):
    """[process] of the runners that mpirun started for it, by rank."""
    return [pid for name in "ab" for pid, command in inside(hosts.host[name]).items()
            if command[1:4] == ["runner", "--instance", instance]]


def jobs(hosts):
    return [command for name in "ab" for command in inside(hosts.host[name]).values()
            if Path(command[0]).name in ("mpirun", "orted") or "--instance" in command]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    with MpiHosts(tmp_path_factory.mktemp("mpi")) as made:
        yield made
        wait_until(lambda: not jobs(made), 30, "mpirun and all that it started has ended")


@pytest.fixture(scope="module")
def undisturbed(hosts):
    """What one node says."""
    hosts.place("a", nodes=["a"], context=256)
    said = [s.whole() for s in hosts.streams()]
    hosts.ask("a", "/cluster/unplace", {"model": hosts.instances()[0]["model"]})
    wait_until(lambda: not hosts.instances(), 30, "the model is placed no more")
    return said


@pytest.fixture
def placed(hosts, undisturbed):
    """The instance over MPI; afterwards it is gone."""
    yield hosts.place_over_mpi()
    hosts.ask("a", "/cluster/unplace", {"model": hosts.instances()[0]["model"]})
    wait_until(lambda: not hosts.instances(), 30, "the model is placed no more")


def test_two_nodes_over_mpi_give_the_tokens_of_one(hosts, undisturbed, placed):
    assert placed["transport"] == "mpi" and len(ranks_of(hosts, placed["id"])) == 2, placed
    assert [s.whole() for s in hosts.streams()] == undisturbed


@pytest.mark.parametrize("rank", [0, 1], ids=["first", "driver"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_streams_go_on_after_a_rank_is(hosts, undisturbed, placed, how, rank):
    streams = hosts.streams()
    wait_until(lambda: all(len(s.arrivals) > 10 for s in streams), 60, "every stream has begun")
    victims = ranks_of(hosts, placed["id"])
    os.kill(victims[rank], how)
    assert [s.whole(120) for s in streams] == undisturbed
    now = hosts.instances()
    assert [i["state"] for i in now] == ["ready"] and now[0]["id"] != placed["id"], now
    assert now[0]["transport"] == "mpi" and len(now[0]["shards"]) == 2, now
    wait_until(lambda: not ranks_of(hosts, placed["id"]), 30, "the ranks of the first instance are gone")
