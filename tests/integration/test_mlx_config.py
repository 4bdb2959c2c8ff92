# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_mlx_config.py - host files of distributed MLX, checked over a real SSH.

Two hosts with sshd and keys.  MLX itself reads what is written, and forms a ring by it.
"""
import json
import os
import stat
import subprocess
import sys

import pytest

from support import netns
from support.cluster import POMONA
from support.netns import Network
from support.ssh import Ssh

pytestmark = pytest.mark.skipif(not netns.is_possible(),
                                reason="SKIPPED: network namespaces need root and ip(8)")

SUM = """
import mlx.core as mx
group = mx.distributed.init(strict=True, backend="ring")
print(group.size(), mx.distributed.all_sum(mx.array([group.rank() + 1.0])).item())
"""


class Cluster:
    def __init__(self, network, folder):
        self.hosts, self.folder = network.hosts, folder
        self.ssh = Ssh(folder)
        self.servers = [self.ssh.serve(host) for host in self.hosts]
        for host in self.hosts:
            self.hosts[0].run(["sh", "-c", "for i in $(seq 100); do "
                               f"{' '.join(self.ssh.command)} {host.address} true && exit; sleep 0.1; "
                               "done; exit 1"])
        self.config = folder / "cluster.json"
        self.config.write_text(json.dumps({"cluster": {"name": "x"}, "nodes": [
            {"name": f"n{i}", "host": host.address,
             "links": [{"kind": "thunderbolt4", "address": host.address}]}
            for i, host in enumerate(self.hosts)]}))

    def run(self, *arguments):
        return subprocess.run(self.hosts[0].inside(
            [POMONA, "mlx-config", "--ssh", " ".join(self.ssh.command), *map(str, arguments)]),
            capture_output=True, text=True, timeout=100)

    def check(self, *arguments):
        said = self.run("--check", "--json", *arguments)
        found = json.loads(said.stdout)
        assert said.returncode == (0 if found["ok"] else 1), said
        return found["problems"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Network(2) as network:
        yield Cluster(network, tmp_path_factory.mktemp("mlx"))


@pytest.fixture
def told(tmp_path):
    """A program that answers for each host what the test says: {address: facts}."""
    def make(facts):
        for address, said in facts.items():
            (tmp_path / address).write_text(json.dumps(said))
        program = tmp_path / "program"
        program.write_text("#!/bin/sh\nfor a in $(ip -o -4 addr | awk '{split($4,x,\"/\"); print "
                           f"x[1]}}'); do cat {tmp_path}/$a 2>/dev/null; done\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program
    return make


def mac(i, **more):
    return {"system": "Darwin 25.2", "pomona": "9.9", "mlx": "0.32.4", "rdma": True,
            "addresses": [{"interface": "en0", "address": f"10.77.0.{i + 1}"}],
            "devices": [f"rdma_en{2 + i}"],
            "thunderbolt": [{"interface": f"en{2 + i}", "id": f"port-{i}", "peer": f"port-{1 - i}"}],
            **more}


def test_what_is_written_is_what_mlx_launch_reads(cluster, tmp_path):
    said = cluster.run("--config", cluster.config, "--over", "thunderbolt", "-o", tmp_path / "ring")
    assert said.returncode == 0, said
    read = subprocess.run([sys.executable, "-c", "import sys\n"
                           "from mlx._distributed_utils.common import Hostfile\n"
                           "f = Hostfile.from_file(sys.argv[1])\n"
                           "print(f.backend, [(h.ssh_hostname, h.ips) for h in f.hosts])",
                           str(tmp_path / "ring")], capture_output=True, text=True, timeout=60)
    assert read.stdout.strip() == \
        "ring [('10.77.0.1', ['10.77.0.1']), ('10.77.0.2', ['10.77.0.2'])]", read
    assert cluster.check(tmp_path / "ring") == []


def test_ranks_form_a_ring_by_what_is_written(cluster, tmp_path):
    file = tmp_path / "rank"
    assert cluster.run("--config", cluster.config, "--format", "rank", "-o", file).returncode == 0
    ranks = [host.popen([sys.executable, "-c", SUM], stdout=subprocess.PIPE, text=True,
                        env={**os.environ, "MLX_HOSTFILE": str(file), "MLX_RANK": str(rank)})
             for rank, host in enumerate(cluster.hosts)]
    assert [r.communicate(timeout=100)[0].strip() for r in ranks] == ["2 3.0"] * 2


def test_what_is_wrong_with_a_host_is_said(cluster, tmp_path):
    file = tmp_path / "file"
    file.write_text(json.dumps({"backend": "ring", "envs": [], "hosts": [
        {"ssh": "10.77.0.1", "ips": ["10.77.0.9"]}, {"ssh": "10.77.0.99", "ips": ["10.77.0.2"]}]}))
    problems = cluster.check(file)
    assert len(problems) == 2 and "has no address 10.77.0.9 now" in problems[0], problems
    assert "not reached by SSH at '10.77.0.99'" in problems[1], problems


def test_versions_that_differ_are_said(cluster, told):
    program = told({"10.77.0.1": mac(0), "10.77.0.2": mac(1, mlx="0.33.0", pomona="9.8")})
    problems = cluster.check("--config", cluster.config, "--program", program)
    assert len(problems) == 2 and "MLX 0.33.0" in problems[1] and "Pomona 9.8" in problems[0], problems


def test_devices_of_jaccl_follow_the_cables(cluster, told):
    program = told({"10.77.0.1": mac(0), "10.77.0.2": mac(1)})
    said = cluster.run("--config", cluster.config, "--backend", "jaccl", "--program", program)
    assert said.returncode == 0, said
    written = json.loads(said.stdout)
    assert written["backend"] == "jaccl", written
    assert [h["rdma"] for h in written["hosts"]] == [[None, "rdma_en2"], ["rdma_en3", None]]

    program = told({"10.77.0.1": mac(0, rdma=False), "10.77.0.2": mac(1)})
    said = cluster.run("--config", cluster.config, "--backend", "jaccl", "--program", program)
    assert said.returncode == 1 and "RDMA is not enabled on host 'n0'" in said.stderr, said
    program = told({"10.77.0.1": mac(0, thunderbolt=[]), "10.77.0.2": mac(1)})
    said = cluster.run("--config", cluster.config, "--backend", "jaccl", "--program", program)
    assert said.returncode == 1 and "has no Thunderbolt cable" in said.stderr, said


def test_an_address_that_is_an_option_of_ssh_is_not_run(cluster, tmp_path):
    file = tmp_path / "file"
    mark = tmp_path / "mark"
    file.write_text(json.dumps({"hosts": [
        {"ssh": f"-oProxyCommand=touch {mark}", "ips": ["10.77.0.1"]},
        {"ssh": "10.77.0.2", "ips": ["10.77.0.2"]}]}))
    assert "is no host" in " ".join(cluster.check(file)) and not mark.exists()
