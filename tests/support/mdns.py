# SPDX-License-Identifier: Apache-2.0
"""tests/support/mdns.py - an mDNS daemon of its own for each host of tests/support/netns.

    with Network(2) as network:
        daemons = [mdns.Daemon(host, tmp_path / host.namespace) for host in network.hosts]
        network.hosts[0].popen([...], env=daemons[0].environment)

Avahi is asked over D-Bus, so each host has a bus too.  `ip netns exec` gives every command a
mount namespace of its own, in which the daemon's run folder is its own.
"""
import contextlib
import os
import shutil
import signal
import subprocess
import time

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
</busconfig>
"""
AVAHI_CONFIG = """[server]
host-name={name}
use-ipv4=yes
use-ipv6=yes
enable-dbus=yes
[publish]
publish-hinfo=no
publish-workstation=no
"""
RUN_FOLDER = "/run/avahi-daemon"


def is_possible():
    return bool(shutil.which("dbus-daemon") and shutil.which("avahi-daemon"))


class Daemon:
    def __init__(self, host, folder):
        self.host, self.folder = host, folder
        self.bus = folder / "bus"
        self.avahi = None
        folder.mkdir()
        os.makedirs(RUN_FOLDER, exist_ok=True)
        (folder / "bus.conf").write_text(BUS_CONFIG.format(path=self.bus))
        (folder / "avahi.conf").write_text(AVAHI_CONFIG.format(name=host.namespace))
        self.environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.bus}"}
        self._run("bus", ["dbus-daemon", f"--config-file={folder / 'bus.conf'}", "--nofork",
                          "--nopidfile"])
        self._wait(self.bus.exists, "the bus")
        self.start()

    def _run(self, name, command):
        with open(self.folder / f"{name}.log", "ab") as log:
            return self.host.popen(command, env=self.environment, stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log)

    def _wait(self, is_true, what):
        until = time.monotonic() + 20
        while not is_true():
            assert time.monotonic() < until, f"{what} did not come up; see {self.folder}"
            time.sleep(0.05)

    def start(self):
        self.avahi = self._run("avahi", [
            "sh", "-c", f"mount -t tmpfs none {RUN_FOLDER} && exec avahi-daemon --no-drop-root "
            f"--no-chroot --no-rlimits --file {self.folder / 'avahi.conf'}"])

    @contextlib.contextmanager
    def hanging(self):
        self.avahi.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.avahi.send_signal(signal.SIGCONT)

    def stop(self):
        self.avahi.terminate()
        self.avahi.wait(timeout=60)
