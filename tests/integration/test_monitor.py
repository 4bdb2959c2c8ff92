# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_monitor.py - the health monitor sees what is wrong, and says so.

Faults are real; how long they have to last is set short.
"""
import datetime
import hashlib
import hmac
import json
import os
import re
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.cluster import MODEL, Cluster, wait_until
from support.monitoring import Monitor, Receiver
from support.watch import Alertmanager, Told

AT_ONCE = {"for_s": 0.5, "clear_s": 0.5}
QUIET_S = 600 if os.environ.get("POMONA_TEST_FULL") == "1" else 4
DOCUMENT = Path(os.environ["POMONA_SOURCE"]) / "docs" / "metrics.md"
SECRET = "a secret of a webhook"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster"), names="ab") as c:
        c.start()
        c.place("a", nodes=["a", "b"])
        yield c


def nodes_of(cluster):
    return [(node.name, node.api_port) for node in cluster.nodes.values()]


def watch(folder, cluster, checks=(), **settings):
    return Monitor(folder / "monitor", nodes_of(cluster), {
        "checks": [{"name": name, **AT_ONCE, **more} for name, more in checks], **settings})


def test_nothing_is_wrong_where_nothing_is(tmp_path, cluster):
    with watch(tmp_path, cluster) as monitor:
        for check, subject in (("node.up", "node/a"), ("node.up", "node/b"), ("api.ready", "node/b"),
                               ("node.clock_s", "node/b"), ("link.connected", "link/a/b"),
                               ("link.connected", "link/b/a"), ("model.ready", f"model/{MODEL}"),
                               ("canary.ok", f"model/{MODEL}"), ("canary.wrong", f"model/{MODEL}"),
                               ("memory.free", "node/a"), ("node.versions", "cluster/test")):
            monitor.wait_state(check, subject, "ok")
        until = time.monotonic() + QUIET_S
        while time.monotonic() < until:
            # how this machine's memory and disks are depends on what runs beside
            alarms = [f for f in monitor.alarms() if f["group"] != "resources"
                      and not f["check"].endswith("seconds") and f["check"] != "link.rtt_s"]
            assert not alarms
            time.sleep(0.2)
        shown = monitor.get("/metrics")
        assert 'pomona_health_state{check="node.up",subject="node/a"} 1' in shown
        assert_documented(shown)


def assert_documented(shown):
    """Each metric of a monitor is in docs/metrics.md, and nothing else; promtool finds nothing wrong."""
    helped = re.findall(r"^# HELP (\S+) (.+)$", shown, re.M)
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", shown, re.M))
    written = re.findall(r"^\| `([^`]+)` \| (\w+) \|[^|]*\| (.+) \|$",
                         DOCUMENT.read_text().split("## Of the monitor")[1], re.M)
    assert written == [(name, kinds[name], words) for name, words in helped]
    check = subprocess.run(["promtool", "check", "metrics"], input=shown, text=True, capture_output=True, timeout=60)
    assert (check.returncode, check.stdout + check.stderr) == (0, "")


def test_a_dead_node_is_told_to_all_who_want_to_know(tmp_path, cluster):
    told = tmp_path / "told"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ncat >> {told}; echo >> {told}\n")
    program.chmod(0o755)
    with Receiver(refuses=1) as hook, Receiver() as alerts:
        callbacks = [{"kind": "command", "command": [str(program)]},
                     {"kind": "webhook", "url": hook.url + "/hook", "secret_env": "HOOK_SECRET"},
                     {"kind": "alertmanager", "url": alerts.url}]
        monitor = watch(tmp_path, cluster, [("node.up", {})], callbacks=callbacks)
        monitor.environment["HOOK_SECRET"] = SECRET
        with monitor:
            monitor.wait_state("node.up", "node/b", "ok")
            os.kill(cluster["b"].process.pid, signal.SIGSTOP)
            try:
                monitor.wait_state("node.up", "node/b", "critical")
            finally:
                os.kill(cluster["b"].process.pid, signal.SIGCONT)
            monitor.wait_state("node.up", "node/b", "ok")

            def notices():
                lines = told.read_text().splitlines() if told.exists() else []
                return [n for n in map(json.loads, filter(None, lines)) if n["check"] == "node.up"]

            wait_until(lambda: {n["to"] for n in notices()} >= {"critical", "ok"}, 30,
                       "the program was told of both")
            bad, good = (next(n for n in notices() if n["to"] == to) for to in ("critical", "ok"))
            assert (bad["subject"], bad["to"], bad["value"]) == ("node/b", "critical", 0)
            assert (good["from"], good["to"], good["cluster"]) == ("critical", "ok", "test")

            wait_until(lambda: sum(b"node.up" in r[2] for r in hook.received) >= 2, 30,
                       "the webhook was told, though it refused once")
            assert hook.refused == 1
            path, headers, body = hook.received[0]
            signed = headers["X-Pomona-Timestamp"].encode() + b"." + body
            assert path == "/hook"
            assert headers["X-Pomona-Signature"] == \
                "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()

            wait_until(lambda: sum(b"node.up" in r[2] for r in alerts.received) >= 2, 30,
                       "Alertmanager was told")
            sent = [a for r in alerts.received for a in json.loads(r[2])
                    if a["labels"]["check"] == "node.up"]
            assert alerts.received[0][0] == "/api/v2/alerts"
            assert {a["labels"]["severity"] for a in sent} == {"critical"}
            assert sent[0]["startsAt"] < sent[0]["endsAt"]
        assert SECRET not in monitor.said()
    cluster.wait_alive()


def test_a_real_alertmanager_tells_of_a_fault_and_of_its_end(tmp_path, cluster):
    with Told() as told, Alertmanager(tmp_path, told) as alertmanager:
        callbacks = [{"kind": "alertmanager", "url": f"http://127.0.0.1:{alertmanager.port}"}]
        with watch(tmp_path, cluster, [("node.up", {})], callbacks=callbacks) as monitor:
            monitor.wait_state("node.up", "node/b", "ok")
            os.kill(cluster["b"].process.pid, signal.SIGSTOP)
            try:
                firing = wait_until(lambda: about_b(told, "firing"), 90, "Alertmanager tells of it")
            finally:
                os.kill(cluster["b"].process.pid, signal.SIGCONT)
            assert firing[0]["labels"]["severity"] == "critical"
            wait_until(lambda: about_b(told, "resolved"), 90, "and of its end")
    cluster.wait_alive()


def about_b(told, status):
    return [alert for alert in told.was_told("PomonaHealth", status)
            if (alert["labels"]["check"], alert["labels"]["subject"]) == ("node.up", "node/b")]


def certificate(path, days):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(key.public_key()).serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=90))
            .not_valid_after(now + datetime.timedelta(days=days)).sign(key, hashes.SHA256()))
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def test_faults_of_names_certificates_and_pressure_are_seen(tmp_path, cluster):
    files = {days: tmp_path / f"{days}.pem" for days in (-1, 10, 60)}
    for days, path in files.items():
        certificate(path, days)
    pressure = tmp_path / "memory.pressure"
    pressure.write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
    with watch(tmp_path, cluster, [("name.found", {}), ("memory.pressure", {})],
               names=["localhost", "nowhere.invalid"], pressure_file=str(pressure),
               certificates=[str(p) for p in files.values()]) as monitor:
        monitor.wait_state("name.found", "name/localhost", "ok")
        monitor.wait_state("name.found", "name/nowhere.invalid", "critical", 120)
        for days, state in ((-1, "critical"), (10, "warning"), (60, "ok")):
            monitor.wait_state("certificate.days", f"certificate/{files[days]}", state)
        monitor.wait_state("memory.pressure", "node/a", "ok")
        pressure.write_text("some avg10=80.00 avg60=20.00 avg300=0.00 total=9\n")
        monitor.wait_state("memory.pressure", "node/a", "critical")
        pressure.write_text("some avg10=1.00 avg60=20.00 avg300=0.00 total=9\n")
        monitor.wait_state("memory.pressure", "node/a", "ok")


def test_descriptors_that_run_out_are_seen(tmp_path, cluster):
    pid = cluster["a"].process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    n_open = len(os.listdir(f"/proc/{pid}/fd"))
    held = []
    with watch(tmp_path, cluster, [("files.used", {})]) as monitor:
        try:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (n_open + 10, before[1]))
            held = [socket.create_connection(("127.0.0.1", cluster["a"].api_port)) for _ in range(20)]
            monitor.wait_state("files.used", "node/a", "critical")
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            for s in held:
                s.close()
    cluster.wait_alive()


def fill(path):
    with open(path, "wb", buffering=0) as f, pytest.raises(OSError):
        while True:
            f.write(bytes(4096))


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted by root alone")
def test_a_full_disk_drains_its_node_until_there_is_room(tmp_path, cluster):
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "pomona-test", disk], check=True)
    try:
        with watch(tmp_path, cluster, [("disk.free", {})], disks=[str(disk)]) as monitor:
            subject = f"disk/a/{str(disk)[:70]}"
            monitor.wait_state("disk.free", subject, "ok")
            filler = disk / "filler"
            fill(filler)
            monitor.wait_state("disk.free", subject, "critical")

            def is_draining():
                return {n["name"]: n["draining"] for n in cluster["b"].get("/cluster/state")["nodes"]}

            wait_until(lambda: is_draining() == {"a": True, "b": False}, 30, "node a drains")
            filler.unlink()
            monitor.wait_state("disk.free", subject, "ok")
            wait_until(lambda: is_draining() == {"a": False, "b": False}, 30, "node a takes part")

            # one that is killed meanwhile knows what it did, and lets nobody drain whom a person drains
            fill(filler)
            wait_until(lambda: is_draining()["a"], 30, "node a drains again")
            monitor.end(signal.SIGKILL)
            filler.unlink()
            status, _ = cluster["b"].request("POST", "/cluster/drain", {"node": "b"})
            assert status == 200
            monitor.start()
            wait_until(lambda: is_draining() == {"a": False, "b": True}, 30, "node a takes part, b does not")
            fill(filler)
            wait_until(lambda: "a node is not drained" in monitor.said() and "node 'b' is drained already" in monitor.said(), 30,
                       "there is one at a time")
            assert is_draining() == {"a": False, "b": True}
            status, _ = cluster["b"].request("POST", "/cluster/undrain", {"node": "b"})
            wait_until(lambda: is_draining() == {"a": True, "b": False}, 30, "its turn has come")
            filler.unlink()
            wait_until(lambda: is_draining() == {"a": False, "b": False}, 30, "both take part")
    finally:
        cluster["b"].request("POST", "/cluster/undrain", {"node": "b"})
        subprocess.run(["umount", disk], check=True)


def test_history_outlasts_the_monitor_and_its_damage_is_set_aside(tmp_path, cluster):
    monitor = watch(tmp_path, cluster, [("node.up", {})])
    with monitor:

        def of_b():
            """(what is known of its API, events)"""
            report = monitor.get("/report?since=3600&node=b")
            found = [s for s in report["subjects"] if (s["subject"], s["check"]) == ("node/b", "node.up")]
            return found and (found[0], report["events"])

        monitor.wait_state("node.up", "node/b", "ok")
        wait_until(of_b, 30, "what is well is recorded")
        os.kill(cluster["b"].process.pid, signal.SIGSTOP)
        try:
            monitor.wait_state("node.up", "node/b", "critical")
            wait_until(lambda: of_b()[0]["availability"] < 1 and of_b()[0]["is_down"], 30,
                       "the failure is recorded")
            recorded_at = int(time.time())    # a second has one sample, the last: it shall be this one
            wait_until(lambda: int(time.time()) > recorded_at, 30, "that second is over")
        finally:
            os.kill(cluster["b"].process.pid, signal.SIGCONT)
        monitor.wait_state("node.up", "node/b", "ok")
        wait_until(lambda: of_b()[0]["mttr_s"] is not None, 30, "its end is recorded")
        subject, events = of_b()
        assert subject["failures"] >= 1 and 0 < subject["availability"] < 1
        assert all("b" in e["subject"].split("/") for e in events)
        monitor.end(signal.SIGKILL)
        monitor.start()
        monitor.wait_state("node.up", "node/b", "ok")
        assert json.loads(monitor.health("--since", "1h", "--json"))["report"]["subjects"]
        text = monitor.health("--since", "1h", "--node", "b")
        assert "node/b" in text and "critical" in text and "\033[" not in text
        monitor.end()
        with open(tmp_path / "monitor/data/health.db", "r+b") as f:
            f.seek(100)
            f.write(b"\xff" * 6000)
        monitor.start()
        wait_until(lambda: "health.db.corrupt-" in monitor.said(), 30, "the damage is warned of")
        wait_until(lambda: monitor.get("/report?since=60")["subjects"], 30, "a new history is written")
    cluster.wait_alive()


def test_settings_are_read_again_and_mistakes_refused(tmp_path, cluster):
    with watch(tmp_path, cluster) as monitor:
        monitor.wait_state("memory.free", "node/a", "ok")
        monitor.settings["checks"] = [{"name": "memory.fre"}]
        monitor.write_settings()
        monitor.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "there is no check 'memory.fre'" in monitor.said(), 30, "it is refused")
        monitor.settings["checks"] = [{"name": "memory.free", "warning": 1.5, "critical": 1.2, **AT_ONCE}]
        monitor.write_settings()
        monitor.process.send_signal(signal.SIGHUP)
        monitor.wait_state("memory.free", "node/a", "critical")
    for broken in ('{"every": {"poll_s": -1}}', '{"every": {"record_s": 0.5}}',
                   '{"callbacks": [{"kind": "webhook", "url": "x"}]}', "{"):
        (monitor.folder / "health_monitor.yaml").write_text(broken)
        done = subprocess.run(monitor.command, capture_output=True, text=True, timeout=30)
        assert done.returncode == 1 and "health_monitor.yaml:1:" in done.stderr
