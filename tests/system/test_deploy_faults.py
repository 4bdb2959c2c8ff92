# SPDX-License-Identifier: Apache-2.0
"""tests/system/test_deploy_faults.py - what goes wrong while a cluster is deployed is refused or repaired.

Nothing is ever half done: after each refusal every node runs what it ran.  Machines as in test_deploy.py.
"""
import re
import signal
import subprocess
import time

import pytest

from support.cluster import wait_until
from support.deployment import Deployment
from support.nspawn import end


@pytest.fixture(name="deployment", scope="module")
def deployment_fixture(tmp_path_factory):
    with Deployment(tmp_path_factory.mktemp("deployment")) as deployment:
        deployment.run("deploy", release=deployment.release("1.0.0"))
        deployment.await_serving()
        deployment.give_model()
        deployment.run("validate")    # places the model
        yield deployment


def pids(deployment):
    return [m.out("systemctl show -P MainPID mlx-api-server") for m in deployment.machines]


@pytest.fixture(name="untouched")
def untouched_fixture(deployment):
    """Services, releases and what is staged are what they were."""
    before = pids(deployment), deployment.releases()
    yield
    assert (pids(deployment), deployment.releases()) == before
    for m in deployment.machines:
        assert m.out("ls -A /opt/pomona/incoming; ls -d /opt/pomona/releases/.partial.* "
                     "/opt/pomona/releases/*/etc.next 2>/dev/null || true") == ""


def test_deployed_again_nothing_is_touched(deployment):
    before = pids(deployment)
    said = deployment.run("deploy", release=deployment.release("1.0.0"))
    assert said.count("runs release 1.0.0 with this configuration already") == 3
    assert pids(deployment) == before


def test_a_release_that_crashes_goes_back_by_itself_and_fails_no_request(deployment):
    with deployment.load(8) as load:
        said = deployment.run("update", release=deployment.crashing_release("3.0.0"), status=1)
    load.assert_nothing_failed()
    assert deployment.releases() == ["1.0.0"] * 3
    assert "it crashes when it starts" in said and "back at release 1.0.0, and serves" in said
    assert len(re.findall(r"not touched: m\d m\d", said)) == 1, said
    told = "".join(m.out("journalctl -t pomona-deploy -o cat --no-pager") for m in deployment.machines)
    assert told.count("update of release 3.0.0: failed, goes back to 1.0.0") == 1
    assert told.count("update of release 3.0.0: is back at 1.0.0") == 1


def test_rollback_goes_to_the_release_before_or_to_any_that_is_kept(deployment):
    deployment.run("update", release=deployment.release("2.0.0"))
    with deployment.load(8) as load:
        deployment.run("rollback")
    load.assert_nothing_failed()
    assert deployment.releases() == ["1.0.0"] * 3
    deployment.run("rollback", "--version", "2.0.0")
    assert deployment.releases() == ["2.0.0"] * 3
    said = deployment.run("rollback", "--version", "7.7.7", status=3)
    assert "m1 has no release '7.7.7'; it keeps 1.0.0 2.0.0" in said
    assert deployment.releases() == ["2.0.0"] * 3


def test_a_machine_that_was_switched_off_comes_back_with_services_and_models(deployment):
    m = deployment.machines[2]
    m.shut_down()
    wait_until(lambda: deployment.serving(deployment.machines[0], nodes=2), 60, "the others know")
    m.boot()
    m.await_boot()
    wait_until(lambda: deployment.serving(m, instances=1), 120, "it is back, and sees the model")
    deployment.run("validate")


def test_all_machines_without_power_come_back_with_services_and_models(deployment):
    for m in deployment.machines:
        m.cut_power()
    deployment.machines.boot()
    deployment.await_serving(seconds=180, instances=1)
    deployment.run("validate")


def test_a_killed_service_is_back_within_5_seconds(deployment):
    m = deployment.machines[1]
    before = m.out("systemctl show -P MainPID mlx-api-server")
    m.ssh(f"kill -9 {before}")
    begun = time.monotonic()
    wait_until(lambda: deployment.serving(m, nodes=1), 60, "it answers")
    print(f"killed, and back after {time.monotonic() - begun:.1f} s")
    started = m.out("systemctl show -P ActiveEnterTimestampMonotonic mlx-api-server")
    exited = m.out("systemctl show -P InactiveEnterTimestampMonotonic mlx-api-server")
    assert m.out("systemctl show -P MainPID mlx-api-server") != before
    assert (int(started) - int(exited)) / 1e6 < 5, "as systemd's own clock has it"
    deployment.await_serving(instances=1)


def test_a_service_that_stands_still_is_replaced(deployment):
    m = deployment.machines[1]
    before = m.out("systemctl show -P MainPID mlx-api-server")
    m.ssh(f"kill -STOP {before}")
    wait_until(lambda: m.out("systemctl show -P MainPID mlx-api-server") not in (before, "0"), 180,
               "the watchdog has it replaced")
    assert "Watchdog timeout" in m.out("journalctl -u mlx-api-server -o cat --no-pager -n 200")
    deployment.await_serving(instances=1)


def test_settings_are_read_again_on_reload(deployment):
    m = deployment.machines[0]
    before = m.out("systemctl show -P MainPID mlx-api-server")
    m.ssh("systemctl reload mlx-api-server")    # returns when it is ready again
    assert m.out("systemctl show -P MainPID mlx-api-server") == before
    assert "asked to read the gateway's settings again" in m.out("journalctl -u mlx-api-server -o cat --no-pager -n 50")


def refused(deployment, *options, release="4.0.0", **more):
    return deployment.run("update", *options, release=deployment.release(release), status=3, **more)


def test_a_full_disk_is_refused_before_anything_changes(deployment, untouched):
    m = deployment.machines[1]
    m.ssh("mkdir -p /opt/pomona/incoming && mount -t tmpfs -o size=1m tmpfs /opt/pomona/incoming")
    try:
        said = refused(deployment)    # found where the archive arrives: the table looks at /opt/pomona
        assert "m2: the release could not be brought there" in said and "nothing was changed" in said
    finally:
        m.ssh("umount /opt/pomona/incoming")
    m.ssh("mount -t tmpfs -o size=100m tmpfs /var/lib/pomona")
    try:
        said = refused(deployment)
        assert re.search(r"m2: disk: \d+ MiB are free for the data, \d+ are needed: make room", said)
        assert re.search(r"^m2 .*FAIL", said, re.M) and "nothing was changed" in said
    finally:
        m.ssh("umount /var/lib/pomona")


def test_a_key_that_is_refused_is_told(deployment, untouched):
    m = deployment.machines[2]
    m.ssh("mv /root/.ssh/authorized_keys /root/.ssh/away", check=True)
    try:
        said = refused(deployment)
        assert re.search(r"^m3 +FAIL *$", said, re.M)
        assert "m3: ssh: its key is refused: put your public key into authorized_keys there" in said
    finally:
        (m.root / "root/.ssh/away").rename(m.root / "root/.ssh/authorized_keys")


def test_a_host_key_that_is_not_known_is_told(deployment, untouched):
    known = deployment.machines.folder / "known_hosts"
    text = known.read_text()
    lines = text.splitlines(keepends=True)
    try:
        known.write_text("".join(lines[:2]))
        assert "m3: ssh: its host key is not known: compare it" in refused(deployment)
        known.write_text("".join(lines[:2]) + lines[0].replace("10.79.0.11", "10.79.0.13"))
        assert "m3: ssh: its host key is not the one that is known" in refused(deployment)
    finally:
        known.write_text(text)


def test_a_node_that_is_not_reached_is_told_and_others_can_be_named(deployment):
    away, before = deployment.machines[2], deployment.releases()
    away.ssh("systemctl stop ssh.socket ssh.service", check=False)
    try:
        said = refused(deployment)
        assert re.search(r"^m3 +FAIL *$", said, re.M) and "m3: ssh: not reached at 10.79.0.13" in said
        for m, release in zip(deployment.machines.machines[:2], before):
            assert m.out("basename $(readlink /opt/pomona/current)") == release
        status = deployment.run("status", status=1)
        assert re.search(r"^m3 +FAIL", status, re.M) and re.search(r"^m1 +ok ", status, re.M)
    finally:
        subprocess.run(["nsenter", "-t", leader(away), "-a", "systemctl", "start", "ssh.service"], check=True, timeout=60)
    away.await_boot()


def leader(machine):
    """The first process of a machine: the child of its systemd-nspawn."""
    done = subprocess.run(["pgrep", "-P", str(machine.process.pid)], capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def test_a_second_run_at_the_same_time_is_refused(deployment):
    first = deployment.popen("update", release=deployment.release("5.0.0"))
    seen = []
    for line in first.stdout:
        seen.append(line)
        if "draining" in line:
            break
    here = deployment.run("update", release=deployment.release("6.0.0"), status=4)
    assert "another run of deploy_production.sh has to do with cluster 'tested'" in here
    # Somebody else's, of whom this machine knows nothing.
    command = deployment.command("update", release=deployment.release("6.0.0"))
    there = deployment.machines.run(command, timeout=300, env={**deployment.environment(), "XDG_STATE_HOME": str(
        deployment.folder / "elsewhere")}, cwd=command[0].rsplit("/", 2)[0])
    assert there.returncode == 4, there.stdout
    assert re.search(r"m\d is locked: \S+ process \d+, update since ", there.stdout)
    rest, _ = first.communicate(timeout=600)
    assert first.returncode == 0, "".join(seen) + rest
    assert deployment.releases() == ["5.0.0"] * 3


def test_interrupted_it_finishes_the_node_at_hand_and_stops(deployment):
    run = deployment.popen("update", release=deployment.release("8.0.0"))
    for line in run.stdout:
        if "draining" in line:
            break
    run.send_signal(signal.SIGINT)
    rest, _ = run.communicate(timeout=600)
    assert run.returncode == 1 and "stopped by a signal; changed so far: m" in rest, rest
    assert sorted(deployment.releases()) == ["5.0.0", "5.0.0", "8.0.0"]
    deployment.await_serving(instances=1)    # two releases, one cluster
    said = deployment.run("update", release=deployment.release("8.0.0"))
    assert said.count("runs release 8.0.0 with this configuration already") == 1
    assert deployment.releases() == ["8.0.0"] * 3


def test_killed_it_leaves_no_lock(deployment):
    run = deployment.popen("update", release=deployment.release("9.0.0"))
    for line in run.stdout:
        if "draining" in line:
            break
    run.kill()
    run.stdout.close()
    run.wait(timeout=30)
    deployment.run("update", release=deployment.release("9.0.0"))
    assert deployment.releases() == ["9.0.0"] * 3
    deployment.await_serving(instances=1)


def test_a_changed_configuration_is_rolled_out_and_a_bad_one_back(deployment):
    deployment.describe(memory_gb=2.5)
    deployment.run("update", release=deployment.release("9.0.0"))
    for m in deployment.machines:
        assert '"memory_gb": 2.5' in m.out("cat /etc/pomona/cluster_nodes.json")
    deployment.describe(memory_gb=2.5, threads=1000000)
    try:
        with deployment.load(8) as load:
            said = deployment.run("update", release=deployment.release("9.0.0"), status=1)
        load.assert_nothing_failed()
        assert "back at release 9.0.0, and serves" in said
        for m in deployment.machines:
            assert "1000000" not in m.out("cat /etc/pomona/cluster_nodes.json")
    finally:
        deployment.describe(memory_gb=2.5)


def test_old_releases_go_and_what_could_be_gone_back_to_stays(deployment):
    for m in deployment.machines:
        kept = m.out("ls /opt/pomona/releases").split()
        assert "9.0.0" in kept and m.out("basename $(readlink /opt/pomona/previous)") in kept
        assert len(kept) <= 5, kept


def test_an_archive_that_was_changed_is_not_sent(deployment, untouched):
    archive = deployment.release("10.0.0")
    with open(archive, "r+b") as file:
        file.seek(archive.stat().st_size // 2)
        file.write(b"damaged")
    assert "is not what its .sha256 says" in refused(deployment, release="10.0.0")


def test_interrupted_before_anything_runs_it_ends_at_once(deployment, untouched):
    run = deployment.popen("validate")
    run.stdout.readline()
    assert end(run) in (0, 130)


def test_an_update_brings_https_and_keys_and_the_next_one_needs_them(deployment):
    """Node by node; the script, clients and monitors follow.  The last test here: the cluster stays guarded."""
    release = deployment.release(deployment.releases()[0])
    assert deployment.get(deployment.machines[0], "/v1/models")[0] == 200
    deployment.guard()
    deployment.run("update", release=release)
    said = deployment.run("validate")
    assert len(re.findall(r"m\d: 8 tokens in \d+ ms", said)) == 3
    for m in deployment.machines:
        assert deployment.get(m, "/v1/models")[0] == 200
        wait_until(lambda m=m: deployment.is_seen_well(m), 120, f"the monitor of {m.name} sees every node")
    with deployment.load(8) as load:
        deployment.run("update", release=deployment.release("9.0.0"))
    load.assert_nothing_failed()
