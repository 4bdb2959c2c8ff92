# SPDX-License-Identifier: Apache-2.0
"""tests/support/netns.py - several hosts on one machine: network namespaces on a bridge.

    with Network(3) as network:
        network.hosts[0].popen([...])       # runs in the first host
        network.hosts[0].run(["ip", "addr"])

Host i has 10.77.0.(i+1)/24 and an IPv6 link-local address on its interface
`eth0`.  With Network(3, rates=["1gbit", "100mbit"]) there are two bridges, each host has `eth1` with
10.77.1.(i+1)/24 too, and no port of either gives or takes more than its rate.  The bridges live in a namespace of their own, so nothing of this machine's
network is touched.  Everything is removed when the block ends, also by Ctrl-C;
what a killed run left behind is removed by the next one.  Needs root.
"""
import contextlib
import ctypes
import os
import subprocess

PREFIX = "pomona-test-"
LARGE_BUCKET = ("256kb", "20ms")    # for what flows
SMALL_BUCKET = ("16kb", "50ms")     # for probes: what a burst saves must not hide the rate
CLONE_NEWNET = 0x40000000    # linux/sched.h


def is_possible():
    """Root, and a kernel and an `ip` that make namespaces."""
    if os.geteuid() != 0:
        return False
    name = f"{PREFIX}probe-{os.getpid()}"
    try:
        made = subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
    if made:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True)
    return made


def _enter(namespace):
    """setns(2) of the calling thread; os.setns() is younger than the Pythons that run this."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Host:
    def __init__(self, namespace, address):
        self.namespace, self.address = namespace, address
        self.processes = []

    def inside(self, command):
        return ["ip", "netns", "exec", self.namespace, *command]

    def run(self, command, **more):
        return subprocess.run(self.inside(command), check=True, capture_output=True, text=True,
                              timeout=60, **more).stdout

    def popen(self, command, **more):
        process = subprocess.Popen(self.inside(command), **more)
        self.processes.append(process)
        return process

    def drop(self, match):
        """Lose every packet of this host, coming or going, that nft's `match` describes."""
        for chain in ("input", "output"):
            self.run(["nft", f"add table inet lost; add chain inet lost {chain} "
                      f"{{ type filter hook {chain} priority 0; }}; "
                      f"add rule inet lost {chain} {match} drop"])

    def drop_nothing(self):
        self.run(["nft", "delete table inet lost"])

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread makes inside the block are the host's."""
        with open("/proc/thread-self/ns/net") as home, \
                open(f"/run/netns/{self.namespace}") as there:
            _enter(there)
            try:
                yield
            finally:
                _enter(home)

    def end(self, process, seconds=15):
        process.terminate()
        process.wait(timeout=seconds)

    def stop(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class Network:
    """`rates`: of the links on each bridge, both ways, as tc writes it; None: as fast as it goes.
    `bucket`: what a quiet link saves up, and how long it queues."""

    def __init__(self, n_hosts, rates=(None,), bucket=LARGE_BUCKET):
        self.tag = f"{PREFIX}{os.getpid()}"
        self.bridge = f"{self.tag}-bridge"
        self.rates = rates
        self.burst, self.queue = bucket
        self.hosts = [Host(f"{self.tag}-{i}", f"10.77.0.{i + 1}") for i in range(n_hosts)]

    def __enter__(self):
        self._remove_leftovers()
        try:
            ip("netns", "add", self.bridge)
            for i, host in enumerate(self.hosts):
                ip("netns", "add", host.namespace)
                ip("-n", host.namespace, "link", "set", "lo", "up")
            for k, rate in enumerate(self.rates):
                ip("-n", self.bridge, "link", "add", f"br{k}", "type", "bridge")
                ip("-n", self.bridge, "link", "set", f"br{k}", "up")
                for i, host in enumerate(self.hosts):
                    self._connect(k, i, host, rate)
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_):
        for host in self.hosts:
            host.stop()
        self._remove()

    def _port(self, k, i):
        return f"port{i}" if k == 0 else f"port{k}-{i}"

    def _connect(self, k, i, host, rate):
        port, name = self._port(k, i), f"eth{k}"
        ip("-n", host.namespace, "link", "add", name, "type", "veth", "peer", "name", port,
           "netns", self.bridge)
        ip("-n", self.bridge, "link", "set", port, "master", f"br{k}", "up")
        ip("-n", host.namespace, "addr", "add", f"10.77.{k}.{i + 1}/24", "broadcast",
           f"10.77.{k}.255", "dev", name)
        ip("-n", host.namespace, "link", "set", name, "up")
        for space, device in ((self.bridge, port), (host.namespace, name)) if rate else ():
            subprocess.run(["tc", "-n", space, "qdisc", "add", "dev", device, "root", "tbf", "rate",
                            rate, "burst", self.burst, "latency", self.queue], check=True,
                           capture_output=True)

    def plug(self, host, how, k=0):
        """The host's cable on bridge k in or out: `how` is "up" or "down"."""
        ip("-n", self.bridge, "link", "set", self._port(k, self.hosts.index(host)), how)

    def _remove(self):
        for namespace in [self.bridge, *(h.namespace for h in self.hosts)]:
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)

    @staticmethod
    def _remove_leftovers():
        """Namespaces of runs whose process is gone."""
        listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
        for line in listed.splitlines():
            name = line.split()[0] if line.strip() else ""
            owner = name.removeprefix(PREFIX).split("-")[0]
            if name.startswith(PREFIX) and owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
                subprocess.run(["ip", "netns", "delete", name], capture_output=True)
