# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_discovery.py - nodes on several hosts find one another, each way alone.

All ways are on, as they are unless configured; those that are not meant are blocked on the wire.
"""
import contextlib
import json
import os
import re
import socket
import struct
import subprocess
import threading
import time

import pytest

from support import mdns, netns
from support.cluster import IS_TIMED, PATIENCE_S, wait_until

POMONA = os.environ["POMONA"]
N = 3

BEACON, MDNS = "udp dport 52417", "udp dport 5353"

if not netns.is_possible():
    pytest.exit("SKIPPED: network namespaces need root and ip(8)", returncode=77)
has_mdns = pytest.mark.skipif(
    ", mdns;" not in subprocess.run([POMONA, "doctor"], capture_output=True, text=True).stdout,
    reason="this build has no mDNS")


@pytest.fixture
def network(tmp_path):
    with netns.Network(N) as made:
        for host in made.hosts:
            host.api = "127.0.0.1"
            host.environment = None
        yield made
    for log in tmp_path.glob("?.log"):
        said = log.read_text(errors="replace")
        assert "Sanitizer" not in said and "runtime error:" not in said, said[-6000:]


@pytest.fixture
def daemons(network, tmp_path):
    """An mDNS daemon on each host."""
    assert mdns.is_possible(), "dbus-daemon and avahi-daemon are needed"
    made = [mdns.Daemon(host, tmp_path / f"mdns-{i}") for i, host in enumerate(network.hosts)]
    for host, daemon in zip(network.hosts, made):
        host.environment = daemon.environment
    return made


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
                          env=host.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def n_alive(host):
    try:
        said = host.run(["curl", "-s", "-m", "2", f"http://{host.api}:52415/health"])
        return json.loads(said)["nodes_alive"]
    except (subprocess.CalledProcessError, KeyError, json.JSONDecodeError):
        return 0


def wait_alive(hosts, folder, n, seconds=PATIENCE_S):
    until = time.monotonic() + seconds
    while not all(n_alive(host) == n for host in hosts):
        if time.monotonic() > until:
            logs = "\n".join(p.read_text()[-2000:] for p in sorted(folder.glob("*.log")))
            raise AssertionError(f"{[n_alive(h) for h in hosts]} alive, not {n}\n{logs}")
        time.sleep(0.1)


def block(network, *matches):
    for host in network.hosts:
        for match in matches:
            host.drop(match)


def start_all(network, folder, *options):
    key = make_key(folder / "key")
    return [start(network, folder, i, key, *options) for i in range(N)]


def test_beacon_alone(network, daemons, tmp_path):
    block(network, MDNS)
    start_all(network, tmp_path)
    wait_alive(network.hosts, tmp_path, N)


@has_mdns
def test_mdns_alone(network, daemons, tmp_path):
    block(network, BEACON)
    start_all(network, tmp_path)
    wait_alive(network.hosts, tmp_path, N)


def test_seeds_alone(network, daemons, tmp_path):
    block(network, BEACON, MDNS)
    key = make_key(tmp_path / "key")
    start(network, tmp_path, 0, key)
    for i in range(1, N):
        start(network, tmp_path, i, key, "--join",
              ",".join(f"{h.address}:52416" for h in network.hosts[:i]))
    wait_alive(network.hosts, tmp_path, N)


def test_nothing_is_found_where_every_way_is_blocked(network, daemons, tmp_path):
    block(network, BEACON, MDNS)
    start_all(network, tmp_path)
    wait_alive(network.hosts, tmp_path, 1)
    time.sleep(3)
    assert [n_alive(host) for host in network.hosts] == [1, 1, 1]


def flush_other_family(network, family):
    for host in network.hosts:
        host.run(["ip", "-6" if family == "IPv4" else "-4", "addr", "flush", "dev", "eth0"])
        host.api = "127.0.0.1" if family == "IPv4" else "[::1]"


@has_mdns
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_mdns_of_one_family_alone(network, tmp_path, family):
    flush_other_family(network, family)
    for i, host in enumerate(network.hosts):
        host.environment = mdns.Daemon(host, tmp_path / f"mdns-{i}").environment
    key = make_key(tmp_path / "key")
    for i in range(N):
        start(network, tmp_path, i, key, "--discovery", "mdns", "--listen",
              f"{network.hosts[i].api}:52415")
    wait_alive(network.hosts, tmp_path, N)


def n_lines(folder, i, words):
    return (folder / f"{i}.log").read_text().count(words)


def wait_line(folder, i, words, seconds=PATIENCE_S):
    until = time.monotonic() + seconds
    while n_lines(folder, i, words) == 0:
        assert time.monotonic() < until, (words, (folder / f"{i}.log").read_text()[-2000:])
        time.sleep(0.1)


@has_mdns
def test_an_mdns_daemon_that_comes_late_ends_and_comes_back(network, daemons, tmp_path):
    """One line of log for each, however often it is tried; and nodes that are found stay."""
    daemons[0].stop()
    key = make_key(tmp_path / "key")
    start(network, tmp_path, 0, key, "--discovery", "mdns")
    start(network, tmp_path, 1, key, "--discovery", "mdns")
    wait_alive(network.hosts[:2], tmp_path, 1)
    time.sleep(4)    # several tries
    assert n_lines(tmp_path, 0, "no mDNS daemon answers") == 1
    assert n_lines(tmp_path, 1, "mDNS daemon") == 0
    daemons[0].start()
    wait_alive(network.hosts[:2], tmp_path, 2)
    wait_line(tmp_path, 0, "the mDNS daemon is here")

    daemons[1].stop()
    wait_line(tmp_path, 1, "no mDNS daemon answers")
    assert [n_alive(host) for host in network.hosts[:2]] == [2, 2]
    daemons[1].start()
    wait_line(tmp_path, 1, "the mDNS daemon is here")
    start(network, tmp_path, 2, key, "--discovery", "mdns")
    wait_alive(network.hosts, tmp_path, N)


@has_mdns
def test_an_mdns_daemon_that_hangs_holds_up_nobody(network, daemons, tmp_path):
    """Its library waits for it as long as 25 s: the nodes must neither wait nor be taken for dead."""
    nodes = start_all(network, tmp_path, "--discovery", "mdns")
    wait_alive(network.hosts, tmp_path, N)
    with contextlib.ExitStack() as stack:
        for daemon in daemons:
            stack.enter_context(daemon.hanging())
        network.hosts[2].end(nodes[2])
        wait_alive(network.hosts[:2], tmp_path, 2)
        late = start(network, tmp_path, 2, tmp_path / "key", "--discovery", "mdns")
        until = time.monotonic() + 4
        while time.monotonic() < until:
            before = time.monotonic()
            assert n_alive(network.hosts[0]) >= 2 and n_alive(network.hosts[1]) >= 2
            assert not IS_TIMED or time.monotonic() - before < 1
        network.hosts[2].end(late)
    assert n_lines(tmp_path, 0, "is lost") <= 2    # host 2's two nodes, which ended


def overhear(host, seconds):
    """What is said by multicast DNS within hearing of `host`."""
    with host.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind(("", 5353))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     socket.inet_aton("224.0.0.251") + socket.inet_aton(host.address))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            s.settimeout(max(0.01, until - time.monotonic()))
            with contextlib.suppress(TimeoutError):
                yield s.recv(65536)


def dns_name(*labels):
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def dns_record(name, kind, data):
    """RFC 1035, section 4.1.3; class IN, and an hour."""
    return name + struct.pack(">HHIH", kind, 1, 3600, len(data)) + data


def forged_answer(i, name, text, address):
    """An instance of the attacker's, by whose record (TXT) and at whose address it likes."""
    service = dns_name(b"_pomona", b"_tcp", b"local")
    instance = dns_name(name, b"_pomona", b"_tcp", b"local")
    host = dns_name(b"evil-%d" % i, b"local")
    answers = [dns_record(service, 12, instance),
               dns_record(instance, 33, struct.pack(">HHH", 0, 0, 52416) + host),
               dns_record(instance, 16, text), dns_record(host, 1, socket.inet_aton(address))]
    return struct.pack(">6H", 0, 0x8400, 0, len(answers), 0, 0) + b"".join(answers)


class Attacker(threading.Thread):
    """Accepts on many addresses, says nothing, and counts who is connected; lies by mDNS."""

    def __init__(self, host, texts):
        super().__init__(daemon=True)
        self.host, self.texts = host, texts
        self.is_over, self.most_open, self.n_calls, self.heard = threading.Event(), 0, 0, set()
        self.start()

    def run(self):
        with self.host.entered(), socket.create_server(("0.0.0.0", 52416), backlog=512) as server, \
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as said:
            said.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                            socket.inet_aton(self.host.address))
            said.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
            said.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            said.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            said.bind(("", 5353))    # answers from another port are not taken: RFC 6762, section 11
            server.setblocking(False)
            self.attack(server, said)

    def attack(self, server, said):
        held, i = [], 0
        while not self.is_over.is_set():
            for _ in range(4):
                address = f"10.77.0.{100 + i % 60}"
                text = self.texts[i % len(self.texts)]
                tag = re.search(rb"node=([0-9a-f]{16})", text)
                name = b"pomona-" + (tag[1] if tag and i % 8 == 0 else b"%016x" % i)
                said.sendto(forged_answer(i, name, text, address), ("224.0.0.251", 5353))
                i = (i + 1) % 600
            with contextlib.suppress(BlockingIOError):
                while True:
                    held.append(server.accept()[0])
                    held[-1].setblocking(False)
                    self.n_calls += 1
            held = [s for s in held if not self.is_closed(s)]
            self.most_open = max(self.most_open, len(held))
            time.sleep(0.02)

    def is_closed(self, s):
        try:
            got = s.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.heard.add(got[:1])
        return not got


@has_mdns
def test_copied_and_forged_records_lead_nowhere(network, daemons, tmp_path):
    """Nodes call where a copied record points: few at once, not for long, telling nothing."""
    host = network.hosts[2]
    host.environment = None
    for i in range(60):
        host.run(["ip", "addr", "add", f"10.77.0.{100 + i}/24", "dev", "eth0"])
    key = make_key(tmp_path / "key")
    second = start(network, tmp_path, 1, key, "--discovery", "mdns")
    copied = {m for said in overhear(host, seconds=3) for m in re.findall(rb"node=[0-9a-f]{72}", said)}
    assert len(copied) == 1
    network.hosts[1].end(second)
    time.sleep(3)    # what it withdrew is forgotten everywhere: RFC 6762, section 10.1
    texts = [b"\x09txtvers=1" + bytes([len(m)]) + m for m in copied]
    attacker = Attacker(host, [*texts, b"\x09txtvers=1\x4dnode=" + b"0" * 72, b"\xff" * 200, b""])
    start(network, tmp_path, 0, key, "--discovery", "mdns")
    wait_until(lambda: attacker.n_calls, 30, "a copy is followed")
    start(network, tmp_path, 1, key, "--discovery", "mdns")    # is found amid the lies
    wait_alive(network.hosts[:2], tmp_path, 2)
    attacker.is_over.set()
    attacker.join()
    print(f"{attacker.n_calls} calls of the attacker, at most {attacker.most_open} at once")
    assert attacker.most_open <= 2 * 32    # CALLS_MAX of candidates.h, of two nodes
    assert attacker.heard <= {b"", b"\x16"}    # TLS handshakes alone
    assert [n_alive(h) for h in network.hosts[:2]] == [2, 2]


@has_mdns
def test_mdns_says_nothing_of_cluster_node_or_id(network, daemons, tmp_path):
    start_all(network, tmp_path, "--discovery", "mdns")
    said = b"".join(overhear(network.hosts[1], seconds=3))
    ids = [p.read_text().strip() for p in tmp_path.glob("data-*/nodes/*/id")]
    assert len(ids) == N and b"\x07_pomona\x04_tcp" in said and b"txtvers=1" in said
    assert len(set(re.findall(rb"pomona-[0-9a-f]{16}", said))) == N
    assert not re.search(rb"home|\bn[012]\b", said)
    for node_id in ids:
        assert node_id.encode() not in said and bytes.fromhex(node_id) not in said


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_beacon_of_one_family_alone(network, tmp_path, family):
    """The hosts have no address of the other family."""
    flush_other_family(network, family)
    key = make_key(tmp_path / "key")
    for i in range(N):
        start(network, tmp_path, i, key, "--discovery", "beacon", "--listen",
              f"{network.hosts[i].api}:52415")
    wait_alive(network.hosts, tmp_path, N)


@pytest.mark.parametrize("way", ["beacon", pytest.param("mdns", marks=has_mdns)])
def test_an_interface_that_comes_later(network, daemons, tmp_path, way):
    key = make_key(tmp_path / "key")
    network.hosts[0].run(["ip", "link", "set", "eth0", "down"])
    for i in range(N):
        start(network, tmp_path, i, key, "--discovery", way)
    wait_alive(network.hosts[1:], tmp_path, 2)
    assert n_alive(network.hosts[0]) == 1
    network.hosts[0].run(["ip", "link", "set", "eth0", "up"])
    wait_alive(network.hosts, tmp_path, N)


def test_other_keys_and_clusters_stay_apart(network, daemons, tmp_path):
    key, other = make_key(tmp_path / "key"), make_key(tmp_path / "other")
    join = ["--join", ",".join(f"{h.address}:52416" for h in network.hosts)]
    start(network, tmp_path, 0, key, *join)
    start(network, tmp_path, 1, other, *join)
    start(network, tmp_path, 2, key, *join, cluster="work")
    wait_alive(network.hosts, tmp_path, 1)
    time.sleep(3)
    assert [n_alive(host) for host in network.hosts] == [1, 1, 1]
