# SPDX-License-Identifier: Apache-2.0
"""tests/support/sniff.py - everything that crosses the interfaces of a host, as a listener has it.

    with Sniffer(host, path) as sniffer:       # host: one of support/netns
        ...
    sniffer.saw(b"words")

Runs in the host's network namespace as a program of its own: an AF_PACKET socket whose
packets are written to `path`, one after another.  A search joins what one TCP connection sent, so
that words which two packets share are found.  Needs root.
"""
import signal
import socket
import struct
import subprocess
import sys
import time

ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
IPV4, TCP = b"\x08\x00", 6


def capture(path):
    """Until a second after SIGTERM: some may wait in the socket.  Says "ready" first."""
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sniffer.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
    sniffer.settimeout(0.2)
    until = []
    signal.signal(signal.SIGTERM, lambda *_: until.append(time.monotonic() + 1))
    with open(path, "wb", buffering=1 << 20) as out:
        print("ready", flush=True)
        while not until or time.monotonic() < until[0]:    # nodes are never silent for long
            try:
                packet = sniffer.recv(1 << 17)
            except TimeoutError:
                continue
            out.write(struct.pack("<I", len(packet)) + packet)


def payloads(path):
    """{(source, destination): bytes} of TCP over IPv4, each packet once; other packets whole."""
    streams, seen = {}, set()
    data = path.read_bytes()
    at = 0
    while at < len(data):
        (n,) = struct.unpack_from("<I", data, at)
        packet = data[at + 4:at + 4 + n]
        at += 4 + n
        if packet[12:14] != IPV4 or packet[23] != TCP:
            streams.setdefault("other", bytearray()).extend(packet)
            continue
        ip_bytes = (packet[14] & 15) * 4
        tcp = 14 + ip_bytes
        (total,) = struct.unpack_from(">H", packet, 16)
        payload = packet[tcp + (packet[tcp + 12] >> 4) * 4:14 + total]
        key = packet[26:34] + packet[tcp:tcp + 4]
        sequence = (key, packet[tcp + 4:tcp + 8], len(payload))
        if not payload or sequence in seen:    # a bridge shows each twice
            continue
        seen.add(sequence)
        streams.setdefault(key, bytearray()).extend(payload)
    return streams


class Sniffer:
    def __init__(self, host, path):
        self.host, self.path = host, path
        self.streams = None

    def __enter__(self):
        self.process = self.host.popen([sys.executable, __file__, str(self.path)],
                                       stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_):
        time.sleep(0.2)    # what is under way
        self.process.terminate()
        self.process.wait(timeout=30)
        self.streams = payloads(self.path)

    def n_bytes(self):
        return sum(map(len, self.streams.values()))

    def saw(self, words):
        return any(words in stream for stream in self.streams.values())


if __name__ == "__main__":
    capture(sys.argv[1])
