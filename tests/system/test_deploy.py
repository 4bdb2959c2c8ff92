# SPDX-License-Identifier: Apache-2.0
"""tests/system/test_deploy.py - scripts/deploy_production.sh brings a cluster to bare machines and keeps it up.

Three machines booted by systemd-nspawn, with sshd, on a bridge of their own.  The API speaks HTTPS and asks
for keys, as it does where others reach it.  What else can go wrong is in test_deploy_faults.py, in clear.
"""
import json
import re

import pytest

from support.cluster import wait_until
from support.deployment import Deployment


@pytest.fixture(name="deployment", scope="module")
def deployment_fixture(tmp_path_factory):
    """Deployed on bare machines, and the model is there."""
    with Deployment(tmp_path_factory.mktemp("deployment")) as deployment:
        deployment.guard()
        said = deployment.run("deploy", release=deployment.release("1.0.0"))
        for m in deployment.machines:
            assert re.search(rf"^{m.name} +ok +ok .*none *$", said, re.M), said    # the table before
            assert re.search(rf"^{m.name} +ok +1\.0\.0 +- +3/3 ", said, re.M), said    # and after
        deployment.await_serving()
        deployment.give_model()
        yield deployment


def test_what_is_deployed_is_tight_and_is_started_with_the_machine(deployment):
    for m in deployment.machines:
        modes = dict(line.split() for line in m.out(
            "cd /etc/pomona/ && stat -c '%n %a:%U:%G' cluster.key api_gateway.yaml cluster_nodes.json . "
            "tls/api.key monitor.env /var/lib/pomona/api_keys.json "
            "/opt/pomona/incoming /var/lib/pomona").splitlines())
        assert modes == {"cluster.key": "400:pomona:pomona", "api_gateway.yaml": "640:root:pomona",
                         "cluster_nodes.json": "640:root:pomona", ".": "750:root:pomona",
                         "tls/api.key": "640:root:pomona", "monitor.env": "640:root:pomona",
                         "/var/lib/pomona/api_keys.json": "600:pomona:pomona",
                         "/opt/pomona/incoming": "700:root:root", "/var/lib/pomona": "750:pomona:pomona"}
        assert m.out("ls /opt/pomona/incoming") == ""
        assert m.out("systemctl is-enabled mlx-api-server mlx-health-monitor").split() == ["enabled"] * 2
        assert m.out("ps -o user= -p $(systemctl show -P MainPID mlx-api-server) 2>/dev/null || "
                     "stat -c %U /proc/$(systemctl show -P MainPID mlx-api-server)") == "pomona"
    keys = {m.out("sha256sum /etc/pomona/cluster.key | cut -c 1-64") for m in deployment.machines}
    assert len(keys) == 1
    # A release whose program has no monitor: its unit is skipped, which is no failure.
    has_monitor = deployment.machines[0].ssh("/opt/pomona/current/bin/pomona monitor --help", check=False).returncode
    for m in deployment.machines:
        assert m.out("systemctl is-active mlx-health-monitor || true") == ("inactive" if has_monitor else "active")


def test_the_journal_has_the_fields_of_a_line(deployment):
    m = deployment.machines[0]
    lines = [json.loads(line) for line in m.out(
        "journalctl -u mlx-api-server -o json --no-pager POMONA_COMPONENT=cmd").splitlines()]
    begun = next(line for line in lines if " answers at " in line["MESSAGE"])
    assert begun["POMONA_NODE"] == m.name and begun["POMONA_LEVEL"] == "info" and begun["PRIORITY"] == "6"
    assert begun["SYSLOG_IDENTIFIER"] == "pomona" and "level=" not in begun["MESSAGE"]
    joined = m.out("journalctl -u mlx-api-server -o json --no-pager POMONA_PEER=m2").splitlines()
    assert any(json.loads(line)["MESSAGE"] == "a node joined peer=m2" for line in joined)


def test_each_node_answers_and_an_update_under_load_fails_no_request(deployment):
    said = deployment.run("validate")
    assert len(re.findall(r"m\d: 8 tokens in \d+ ms", said)) == 3
    with deployment.load(8) as load:
        deployment.run("update", release=deployment.release("2.0.0"))
        n = load.n_done
        assert deployment.releases() == ["2.0.0"] * 3
    load.assert_nothing_failed()
    assert n > 8, "there was load while it was updated"
    assert deployment.releases() == ["2.0.0"] * 3
    told = "".join(m.out("journalctl -t pomona-deploy -o cat --no-pager") for m in deployment.machines)
    assert told.count("update of release 2.0.0: serves") == 3
    deployment.run("status")


def test_a_monitor_sees_every_node_by_https_and_with_its_key(deployment):
    for m in deployment.machines:
        wait_until(lambda m=m: deployment.is_seen_well(m), 120, f"the monitor of {m.name} sees every node")


def test_without_the_nodes_key_nothing_is_changed_and_it_is_said(deployment):
    headers, key = deployment.headers, deployment.api_key
    deployment.headers, deployment.api_key = {}, "sk-pomona-" + 64 * "0"
    assert deployment.get(deployment.machines[0], "/v1/models")[0] == 401
    assert re.search("the API of m1 m2 m3 wants a key", deployment.run("validate", status=1))
    assert "nothing was changed" in deployment.run("update", release=deployment.release("2.0.0"), status=3)
    deployment.headers, deployment.api_key = headers, key
