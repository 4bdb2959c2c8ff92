# SPDX-License-Identifier: Apache-2.0
"""tests/support/hosts.py - nodes of one keyed cluster, each on a host of its own (support/netns).

    with Hosts(folder, {"a": 4.0, "b": 4.0, "g": 0.02}, holders="ab") as hosts:
        hosts.place("g", nodes=["a", "b"], split=[15, 15])
        hosts.stream("g", prompt=[1, 2, 3])
        hosts.cut("a", "b", keeps=CONTROL)

Node NAME runs on host NAME; holders have the model's file.  The API is asked inside the host, over
loopback.  Needs root.
"""
import http.client
import json
import signal
import subprocess
import threading
import time

from support.cluster import MODEL, MODEL_FILE, POMONA, wait_until
from support.netns import LARGE_BUCKET, SMALL_BUCKET, Network

CONTROL = 52416
API = 52415


class Answer(threading.Thread):
    """One streamed completion of token ids, asked on a host; chunks as they come."""

    def __init__(self, host, loopback, max_tokens, **body):
        super().__init__(daemon=True)
        self.body = {"model": MODEL, "prompt": "Once upon a time", "stream": True, "temperature": 0,
                     "max_tokens": max_tokens, "min_tokens": max_tokens, **body}
        self.text, self.arrivals, self.error, self.is_done = "", [], None, False
        self.process = host.popen(
            ["curl", "-sN", "-m", "120", f"http://{loopback}:{API}/v1/completions", "-H",
             "Content-Type: application/json", "-d", json.dumps(self.body)],
            stdout=subprocess.PIPE, text=True)
        self.start()

    def run(self):
        for line in self.process.stdout:
            line = line.strip()
            if line == "data: [DONE]":
                self.is_done = True
            elif line.startswith("data: "):
                event = json.loads(line.removeprefix("data: "))
                if "error" in event:
                    self.error = event["error"]
                else:
                    self.arrivals.append(time.monotonic())
                    self.text += event["choices"][0]["text"]
            elif line.startswith("{"):
                self.error = line

    def whole(self, within_s=60):
        self.join(timeout=within_s)
        assert self.is_done and self.error is None, (self.is_done, self.error, self.text)
        return self.text

    def gap_after(self, moment):
        """The longest silence that ended after `moment`."""
        return max((b - max(a, moment) for a, b in zip(self.arrivals, self.arrivals[1:])
                    if b > moment), default=0.0)


class Door:
    """The API of the node on a host, for support.cluster.Stream."""

    def __init__(self, host):
        self.host = host

    def connection(self, timeout):
        connection = http.client.HTTPConnection("127.0.0.1", API, timeout=timeout)
        with self.host.entered():
            connection.connect()
        return connection


class Hosts:
    def __init__(self, folder, memory_gb, holders=None, family="IPv4", rates=(None,), bucket=None,
                 api=None):
        """family "IPv6": the hosts have no IPv4, and find one another without a file.
        rates, bucket: of several links between them, the first that of their `host` (support/netns).
        api: where each answers its API; None: at its loopback alone."""
        self.family = family
        self.loopback = "127.0.0.1" if family == "IPv4" else "[::1]"
        self.folder, self.names = folder, list(memory_gb)
        self.network = Network(len(self.names), rates,
                               bucket or (SMALL_BUCKET if len(rates) > 1 else LARGE_BUCKET))
        self.api = api or self.loopback
        self.host = dict(zip(self.names, self.network.hosts))
        self.node = {}    # its process
        self.config = folder / "cluster.json"
        self.config.write_text(json.dumps({"cluster": {"name": "hosts"}, "nodes": [
            {"name": name, "host": self.host[name].address, "memory_gb": memory_gb[name],
             "threads": 1, **({"links": [{"kind": "ethernet", "address": self.address(name, k)}
                                         for k in range(len(rates))]} if len(rates) > 1 else {})}
            for name in self.names]}))
        self.key = folder / "cluster.key"
        subprocess.run([POMONA, "keys", "cluster", "--file", str(self.key)], check=True, timeout=60,
                       stdout=subprocess.DEVNULL)
        for name in self.names:
            models = folder / f"data-{name}" / "models"
            models.mkdir(parents=True)
            if name in (holders or self.names):
                (models / MODEL_FILE.name).symlink_to(MODEL_FILE.resolve(strict=True))

    def __enter__(self):
        self.network.__enter__()
        try:
            for i, name in enumerate(self.names):
                if self.family == "IPv6":
                    self.host[name].run(["ip", "-4", "addr", "flush", "dev", "eth0"])
                    self.host[name].run(["ip", "-6", "addr", "add", f"fd77::{i + 1}/64", "dev",
                                         "eth0", "nodad"])
            for name in self.names:
                self.start(name)
            for name in self.names:
                wait_until(lambda: self.get(name, "/health").get("nodes_alive") == len(self.names),
                           30, f"{name} knows all")
        except BaseException:
            self.__exit__(AssertionError)
            raise
        return self

    def __exit__(self, kind, *_):
        self.network.__exit__(None, None, None)
        if kind is not None:
            for name in self.names:
                print(f"--- log of {name}\n{self.log(name)[-6000:]}")
            return
        for name in self.names:
            said = self.log(name)
            assert "Sanitizer" not in said and "runtime error:" not in said, said[-6000:]

    def address(self, name, k):
        return f"10.77.{k}.{self.names.index(name) + 1}"

    def log(self, name):
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def start(self, name):
        where = ["--config", str(self.config)] if self.family == "IPv4" else ["--cluster", "hosts"]
        with open(self.folder / f"{name}.log", "ab") as log:
            self.node[name] = self.host[name].popen(
                [POMONA, "serve", *where, "--node", name, "--data",
                 str(self.folder / f"data-{name}"), "--cluster-key", str(self.key), "--no-measure",
                 "--listen", f"{self.api}:{API}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def pause(self, name, seconds):
        """The node's process stands still; its runners do not."""
        self.node[name].send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.node[name].send_signal(signal.SIGCONT)

    def ask(self, name, path, body=None, seconds=60):
        """The last line of the answer, which is JSON; {} while there is none."""
        data = ["-d", json.dumps(body), "-H", "Content-Type: application/json"] if body else []
        try:
            said = self.host[name].run(["curl", "-s", "-m", str(seconds), *data,
                                        f"http://{self.loopback}:{API}{path}"])
        except subprocess.CalledProcessError:
            return {}
        return json.loads(said.splitlines()[-1])

    def get(self, name, path):
        return self.ask(name, path, seconds=2)

    def place(self, by, **plan):
        said = self.ask(by, "/cluster/place", {"model": MODEL, **plan})
        assert "instance" in said, said
        for name in self.names:
            wait_until(lambda: self.get(name, "/health").get("instances_ready") == 1, 5,
                       f"{name} knows the instance")
        return said["instance"]

    def door(self, name):
        return Door(self.host[name])

    def stream(self, name, max_tokens=200, **body):
        return Answer(self.host[name], self.loopback, max_tokens, **body)

    def cut(self, one, other, keeps=None):
        """Nothing goes between two hosts any more but, both ways, TCP of port `keeps`."""
        for here, there in ((one, other), (other, one)):
            address = self.host[there].address
            kept = [f"{way} {keeps} accept" for way in ("tcp sport", "tcp dport") if keeps]
            rules = "; ".join(["add table ip cut"] + [
                f"add chain ip cut {chain} {{ type filter hook {chain} priority 0; }}; " + "; ".join(
                    f"add rule ip cut {chain} ip {end} {address} {verdict}"
                    for verdict in (*kept, "drop"))
                for chain, end in (("input", "saddr"), ("output", "daddr"))])
            self.host[here].run(["nft", rules])
