# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_monitor_faults.py - what goes wrong with one machine is seen by its health monitor.

Faults are real (support/faults.py) but where the machine would have to be broken for them: its sensors and its
manager of services are files and a program of the test's.  How long they have to last is set short.
"""
import os
import subprocess
import sys

import pytest

from support.cluster import Cluster, wait_until
from support.faults import Distorted, SlowDisk, memory_pressure
from support.monitoring import Monitor

if os.geteuid() != 0:
    pytest.exit("SKIPPED: groups of processes, disks and mounts need root", returncode=77)

AT_ONCE = {"for_s": 0.3, "clear_s": 0.3}
BAD = ("warning", "critical")


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster"), names="a", memory_gb=0.1) as cluster:
        cluster.start()
        yield cluster["a"]


def watch(folder, port, checks, **more):
    settings = {"canary": {"off": True}, **more.pop("settings", {}),
                "checks": [{"name": name, **AT_ONCE, **limits} for name, limits in checks.items()]}
    return Monitor(folder / "monitor", [("a", port)], settings, **more)


def wait_bad(monitor, check, subject):
    wait_until(lambda: (monitor.state(check, subject) or [""])[0] in BAD, 60, f"{check} of {subject} is seen")


def test_processes_that_wait_for_memory_are_seen(tmp_path, node):
    with memory_pressure(tmp_path) as pressure, \
            watch(tmp_path, node.api_port, {"memory.pressure": {"warning": 1, "critical": 90}},
                  settings={"pressure_file": str(pressure)}) as monitor:
        monitor.wait_state("memory.pressure", "node/a", "warning")


def test_a_slow_disk_is_seen_and_a_fast_one_again(tmp_path, node):
    limits = {"disk.read_mb_s": {}, "disk.write_mb_s": {}}
    with SlowDisk(tmp_path) as disk, \
            watch(tmp_path, node.api_port, limits, prefix=disk.prefix, settings={"disks": [str(disk.path)]}) as monitor:
        subject = f"disk/a/{str(disk.path)[:70]}"
        wait_until(lambda: monitor.state("disk.read_mb_s", subject), 60, "it is measured")
        fast = monitor.state("disk.write_mb_s", subject)[1]
        disk.slow(5_000_000)
        wait_bad(monitor, "disk.read_mb_s", subject)
        wait_bad(monitor, "disk.write_mb_s", subject)
        assert monitor.state("disk.write_mb_s", subject)[1] < fast
        disk.slow(0)


SYSTEMCTL = """#!/bin/sh
test "$1" = show || exit 2
for unit; do :; done
cat {folder}/$unit 2>/dev/null || echo "LoadState=not-found\nActiveState=inactive"
"""


def test_a_service_that_does_not_run_is_seen(tmp_path, node):
    program = tmp_path / "systemctl"
    program.write_text(SYSTEMCTL.format(folder=tmp_path))
    program.chmod(0o755)
    running = "LoadState=loaded\nActiveState=active\nSubState=running\nNRestarts=0\n"
    failed = "LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nNRestarts=7\n"
    (tmp_path / "well.service").write_text(running)
    (tmp_path / "ill.service").write_text(running)
    with watch(tmp_path, node.api_port, {"unit.active": {}},
               settings={"units": ["well.service", "ill.service", "gone.service"]},
               environment={"PATH": f"{tmp_path}:{os.environ['PATH']}"}) as monitor:
        monitor.wait_state("unit.active", "unit/a/well.service", "ok")
        monitor.wait_state("unit.active", "unit/a/ill.service", "ok")
        monitor.wait_state("unit.active", "unit/a/gone.service", "critical")
        (tmp_path / "ill.service").write_text(failed)
        monitor.wait_state("unit.active", "unit/a/ill.service", "critical")
        words = [f["words"] for f in monitor.findings("unit.active") if "ill" in f["subject"]]
        assert words == ["activating (auto-restart), started anew 7 times"]
        (tmp_path / "ill.service").write_text(running)
        monitor.wait_state("unit.active", "unit/a/ill.service", "ok")
        assert monitor.state("unit.active", "unit/a/well.service")[0] == "ok"


def test_what_is_hot_or_full_is_seen(tmp_path, node):
    """Sensors as the kernel shows them, mounted for the monitor alone where the kernel's are."""
    sensors = tmp_path / "class"
    values = {"thermal/thermal_zone0/temp": 41000, "hwmon/hwmon0/name": "k10temp", "hwmon/hwmon0/temp2_input": 45000,
              "hwmon/hwmon1/name": "amdgpu", "hwmon/hwmon1/temp1_input": 99000,
              "drm/card0/device/hwmon/hwmon1/temp1_input": 50000, "drm/card0/device/mem_info_vram_used": 100,
              "drm/card0/device/mem_info_vram_total": 1000}
    for name, value in values.items():
        (sensors / name).parent.mkdir(parents=True, exist_ok=True)
        (sensors / name).write_text(f"{value}\n")
    prefix = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /sys/class && exec "$@"', str(sensors)]
    checks = dict.fromkeys(("temperature.c", "gpu.temperature_c", "gpu.memory_used"), {})
    with watch(tmp_path, node.api_port, checks, prefix=prefix) as monitor:
        for check, value in (("temperature.c", 45), ("gpu.temperature_c", 50), ("gpu.memory_used", 0.1)):
            monitor.wait_state(check, "node/a", "ok")
            assert monitor.state(check, "node/a")[1] == value
        (sensors / "hwmon/hwmon0/temp2_input").write_text("93000\n")
        (sensors / "drm/card0/device/hwmon/hwmon1/temp1_input").write_text("106000\n")
        (sensors / "drm/card0/device/mem_info_vram_used").write_text("998\n")
        monitor.wait_state("temperature.c", "node/a", "warning")
        monitor.wait_state("gpu.temperature_c", "node/a", "critical")
        monitor.wait_state("gpu.memory_used", "node/a", "critical")


def test_a_wrong_clock_a_slow_answer_and_another_version_are_seen(tmp_path, node):
    checks = dict.fromkeys(("node.clock_s", "api.seconds", "node.versions"), {})
    with Distorted(node.api_port) as glass:
        monitor = watch(tmp_path, node.api_port, checks, settings={"deadline": {"poll_s": 30}})
        config = monitor.folder / "cluster_nodes.json"
        config.write_text(config.read_text().replace(
            '"nodes": [', f'"nodes": [{{"name": "b", "host": "127.0.0.1", "port": 9, "api_port": {glass.port}}}, '))
        with monitor:
            for check, subject in (("node.clock_s", "node/b"), ("node.versions", "cluster/test")):
                monitor.wait_state(check, subject, "ok")
            glass.change = {"unix_ms": lambda ms: ms - 60_000, "version": lambda v: v + "-other"}
            monitor.wait_state("node.clock_s", "node/b", "critical")
            monitor.wait_state("node.versions", "cluster/test", "warning")
            monitor.wait_state("node.clock_s", "node/a", "ok")
            glass.change, glass.delay_s = {}, 0.8
            wait_bad(monitor, "api.seconds", "node/b")
            glass.delay_s = 0
            monitor.wait_state("node.clock_s", "node/b", "ok")


def test_busy_processors_are_seen(tmp_path, node):
    with watch(tmp_path, node.api_port, {"cpu.busy": {"warning": 0.5 / os.cpu_count()}}) as monitor:
        wait_until(lambda: monitor.state("cpu.busy", "node/a"), 60, "it is measured")
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            wait_bad(monitor, "cpu.busy", "node/a")
        finally:
            busy.kill()
            busy.wait()
