# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_secrecy.py - what a listener on the wire learns, and who lacks the key.

Two hosts hold a half of SmolLM2 each, one of which it fetches from the other; a third, which
holds nothing, answers clients.  A sniffer has every packet between them.  It must see neither
prompt nor tokens, hidden rows nor pieces of the model.  That it would is shown by nodes without a
key, which talk in clear over the loopback interface of one host.
"""
import os
import re
import struct
import subprocess
import time

import pytest

from support import netns
from support.cluster import MODEL, MODEL_FILE, Cluster
from support.hosts import Hosts
from support.sniff import Sniffer

pytestmark = pytest.mark.skipif(not netns.is_possible(),
                                reason="SKIPPED: network namespaces need root and ip(8)")

PROMPT = [4000 + 37 * i for i in range(24)]
MEMORY = {"a": 4.0, "b": 4.0, "g": 0.02}
TCP_VERSION, STEP_HIDDEN, STEP_VERSION = 1, 2, 3    # of transport/tcp/hello.c, execute/shard/step_format.c


def varints(numbers):
    out = bytearray()
    for n in numbers:
        while n > 127:
            out.append(n & 127 | 128)
            n >>= 7
        out.append(n)
    return bytes(out)


def secrets():
    """{what: bytes that travel of it}, each so long that no hundred megabytes of noise hold it by chance"""
    model = MODEL_FILE.read_bytes()
    pieces = {f"model byte {at}": model[at:at + 48] for at in (
        len(model) // 2, len(model) * 3 // 4, len(model) - 100_000)}
    return {"prompt": varints(PROMPT), "header of hidden rows": b"STEP" + struct.pack("<HH", STEP_HIDDEN, STEP_VERSION),
            "hello of a rank": b"PMNA" + struct.pack("<I", TCP_VERSION), "request for pieces": b"/model/", **pieces}


def seen(sniffer):
    return {what for what, words in secrets().items() if sniffer.saw(words)}


def test_a_listener_sees_nothing_that_the_key_protects(tmp_path):
    with Hosts(tmp_path, MEMORY, holders="a") as hosts:
        with Sniffer(hosts.host["b"], tmp_path / "packets") as sniffer:
            hosts.place("g", nodes=["a", "b"], split=[15, 15])
            text = hosts.stream("g", 24, prompt=PROMPT).whole()
        assert text and sniffer.n_bytes() > 30e6    # of the fetched half
        assert seen(sniffer) == set()
        assert not sniffer.saw(text[-40:].encode())


def test_the_listener_would_see_it_in_clear(tmp_path):
    """The same words are found where nothing is sealed, so the test above can fail."""
    with netns.Network(1) as network, Sniffer(network.hosts[0], tmp_path / "packets") as sniffer:
        subprocess.run(["ip", "netns", "exec", network.hosts[0].namespace, os.sys.executable, "-c",
                        "from test_secrecy import talk_in_clear; talk_in_clear()"],
                       check=True, timeout=120, cwd=tmp_path,
                       env={**os.environ, "PYTHONPATH": os.pathsep.join(os.sys.path)})
    assert seen(sniffer) == set(secrets())


def talk_in_clear():
    with Cluster(".", names="ab", holders="a") as cluster:
        cluster.start()
        cluster.place("a", nodes=["a", "b"], split=[15, 15])
        status, answer = cluster["b"].request("POST", "/v1/completions", {
            "model": MODEL, "prompt": PROMPT, "max_tokens": 8})
        assert status == 200, answer


# What a stranger says first: nothing at all, HTTP, an instance's hello, the beginning of TLS, noise.
GREETINGS = [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"PMNA\x01\0\0\0" + bytes(24),
             b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), bytes(range(256)) * 8]

STRANGER = """
import socket, sys
greetings = {greetings!r}
answers = b""
for port in {ports!r}:
    for n, greeting in enumerate(greetings * 20):
        s = socket.create_connection(({address!r}, port), timeout=60)
        s.settimeout(0.02 if n % 5 == 0 else 0.2)
        try:
            s.sendall(greeting)
            answers += s.recv(4096)
        except (TimeoutError, ConnectionError):
            pass
        if n % 3:
            s.close()
sys.stdout.write(answers.hex())
"""


def listening(host):
    """TCP ports of runners and of pieces: all but the control channel's, the API's and the metrics'."""
    lines = host.run(["ss", "-Hltn"]).splitlines()
    ports = {int(re.search(r":(\d+)\s", line).group(1)) for line in lines}
    return sorted(ports - {52415, 52416, 8000})


def test_a_stranger_gets_nothing_and_disturbs_nobody(tmp_path):
    with Hosts(tmp_path, MEMORY) as hosts:
        hosts.place("g", nodes=["a", "b"], split=[15, 15])
        undisturbed = hosts.stream("g", prompt=PROMPT).whole()
        stream = hosts.stream("g", prompt=PROMPT)
        b = hosts.host["b"]
        ports = listening(b)
        assert len(ports) >= 2, ports    # of pieces and of the driver
        answers = bytes.fromhex(hosts.host["a"].run(["python3", "-c", STRANGER.format(
            greetings=GREETINGS, ports=ports, address=b.address)]))
        assert stream.whole() == undisturbed
        # TLS alerts alone: type 21, version 3.3, two bytes
        assert re.fullmatch(rb"(\x15\x03[\x01\x03]\x00\x02..)*", answers, re.DOTALL), answers[:200]
        assert hosts.stream("g", prompt=PROMPT).whole() == undisturbed
        assert hosts.get("g", "/health")["instances_ready"] == 1


def test_a_key_of_another_cluster_opens_no_port(tmp_path):
    """OpenSSL's own client, with a key and an identity that are not this cluster's."""
    with Hosts(tmp_path, MEMORY) as hosts:
        hosts.place("g", nodes=["b"])
        b = hosts.host["b"]
        for port in listening(b):
            said = subprocess.run(
                ["ip", "netns", "exec", hosts.host["a"].namespace, "timeout", "5", "openssl",
                 "s_client", "-connect", f"{b.address}:{port}", "-tls1_3", "-psk", "00" * 32,
                 "-psk_identity", "pomona"], input="", capture_output=True, text=True)
            assert "no peer certificate available" in said.stdout, said
            assert "Reused" not in said.stdout or "alert" in said.stderr, said
            assert said.returncode != 0, said
        time.sleep(0.1)
        assert hosts.stream("g", 8).whole()
