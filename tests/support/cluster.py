# SPDX-License-Identifier: Apache-2.0
"""tests/support/cluster.py - nodes of one cluster as processes, for tests in Python.

    with Cluster(tmp_path, names="abc") as cluster:
        cluster.start()
        cluster.place("SmolLM2...", nodes=["a", "b"])
        cluster["a"].get("/health")

Every node listens on free loopback ports and shares one data folder, whose
store links $POMONA_TEST_MODEL; or has one of its own; with holders="a" the stores of the
holders alone link the model.  Leaving the block ends every node and fails
if a process of theirs is left over.
"""
import contextlib
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

POMONA = os.environ["POMONA"]
MODEL_FILE = Path(os.environ["POMONA_TEST_MODEL"])
MODEL = MODEL_FILE.name.removesuffix(".gguf")


# How long something takes is judged where a test has the machine for itself: with --full, and not of
# sanitized code (TIMED of cmake/tests.cmake).
IS_TIMED = bool(os.environ.get("POMONA_TEST_FULL")) and not os.environ.get("POMONA_SANITIZE")
# A deadline is for what hangs: on a crowded machine, and sanitized, all takes several times as long.
PATIENCE_S = 120 if os.environ.get("POMONA_SANITIZE") else 60


# Below the ports that systems give to outgoing connections: one of these could take a free port
# between its choice and its use.
PORTS = range(20000, 32000)


def free_ports(n):
    """`n` ports that nothing listens on, for TCP and UDP; held open together so that all differ."""
    held, ports = [], []
    try:
        for port in random.SystemRandom().sample(PORTS, 50 * n):
            pair = [socket.socket(type=kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
            held += pair
            try:
                for s in pair:
                    s.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == n:
                return ports
    finally:
        for s in held:
            s.close()
    raise AssertionError(f"fewer than {n} free ports in {PORTS}")


def wait_until(is_true, seconds, what):
    """Ask again until it is true, for `seconds` or PATIENCE_S, whichever is longer; the last answer is returned."""
    seconds = max(seconds, PATIENCE_S)
    until = time.monotonic() + seconds
    while True:
        answer = is_true()
        if answer:
            return answer
        assert time.monotonic() < until, f"after {seconds} s still not: {what}"
        time.sleep(0.02)


def processes():
    """{pid: (parent, state, command)} of this machine."""
    lines = subprocess.run(["ps", "-axo", "pid=,ppid=,stat=,command="], capture_output=True,
                           text=True, check=True).stdout.splitlines()
    found = {}
    for line in lines:
        pid, parent, state, *command = line.split(None, 3)
        found[int(pid)] = (int(parent), state, command[0] if command else "")
    return found


def is_running(pid):
    """A zombie has ended: whoever inherited it may not have looked yet."""
    entry = processes().get(pid)
    return entry is not None and not entry[1].startswith("Z")


def resident_bytes(pid):
    """Memory that process `pid` holds now."""
    return 1024 * int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True,
                                     text=True, check=True).stdout)


class Node:
    def __init__(self, name, port, api_port, command, log):
        self.name, self.port, self.api_port = name, port, api_port
        self.command, self.log = command, log
        self.process = None
        self.known_runners = set()

    def start(self):
        assert not self.is_up(), f"node {self.name} is up already"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)

    def connection(self, timeout):
        """To its API; connects when it is used first."""
        return http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=timeout)

    def request(self, method, path, body=None, timeout=60):
        """(status, JSON or text)."""
        connection = self.connection(timeout)
        try:
            connection.request(method, path, body and json.dumps(body),
                               {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            text = response.read().decode()
            is_json = response.headers.get_content_type() == "application/json"
            return response.status, json.loads(text) if is_json else text
        finally:
            connection.close()

    def get(self, path, timeout=60):
        status, answer = self.request("GET", path, timeout=timeout)
        assert status == 200, (path, status, answer)
        return answer

    def health(self):
        """None while it does not answer."""
        try:
            return self.get("/health", timeout=2)
        except (OSError, http.client.HTTPException):
            assert self.process.poll() is None, f"node {self.name} ended; see {self.log}"
            return None

    def runners(self):
        """Processes of the runners of this node that are running now."""
        pids = [pid for pid, (parent, state, _) in processes().items()
                if parent == self.process.pid and not state.startswith("Z")]
        self.known_runners.update(pids)
        return pids

    def kill(self, number=signal.SIGKILL):
        self.runners()
        self.process.send_signal(number)
        self.process.send_signal(signal.SIGCONT)    # a test that failed may have left it stopped
        self.process.wait(timeout=60)
        if number != signal.SIGKILL:
            self.assert_ended_well()

    def assert_ended_well(self):
        """It was asked to end: status 0, and no sanitizer found fault with it or its runners."""
        said = self.log.read_text(errors="replace")
        assert self.process.returncode == 0, (self.name, self.process.returncode, said[-6000:])
        assert "Sanitizer" not in said and "runtime error:" not in said, said[-6000:]

    def is_up(self):
        return self.process is not None and self.process.poll() is None


class Cluster:
    def __init__(self, folder, names="abc", memory_gb=4.0, threads=1, shares_data=True,
                 holders=None, options=()):
        """`memory_gb`: of each node, or {name: of it}; `options`: more of each node's command"""
        self.folder = Path(folder)
        shares_data = shares_data and holders is None
        datas = {name: self.folder / ("data" if shares_data else f"data-{name}") for name in names}
        for data in {datas[name] for name in holders or names}:
            (data / "models").mkdir(parents=True)
            (data / "models" / MODEL_FILE.name).symlink_to(MODEL_FILE.resolve(strict=True))
        memory = memory_gb if isinstance(memory_gb, dict) else dict.fromkeys(names, memory_gb)
        ports = free_ports(2 * len(names))
        config = self.folder / "cluster_nodes.json"
        config.write_text(json.dumps({
            "cluster": {"name": "test"},
            "nodes": [{"name": name, "host": "127.0.0.1", "port": ports[2 * i],
                       "api_port": ports[2 * i + 1], "memory_gb": memory[name], "threads": threads}
                      for i, name in enumerate(names)]}))
        self.nodes = {
            name: Node(name, ports[2 * i], ports[2 * i + 1],
                       [POMONA, "serve", "--config", str(config), "--node", name,
                        "--data", str(datas[name]), "--no-measure", *options], self.folder / f"{name}.log")
            for i, name in enumerate(names)}

    def __getitem__(self, name):
        return self.nodes[name]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for node in self.nodes.values():
            if node.is_up():
                node.kill(signal.SIGTERM)
        if kind is not None:
            for node in self.nodes.values():
                if node.log.exists():
                    print(f"--- log of node {node.name}\n{node.log.read_text()[-6000:]}")
        self.assert_no_process_left()

    def up(self):
        return [node for node in self.nodes.values() if node.is_up()]

    def start(self, *names):
        """Start the nodes named, or all, and wait until all that are up know one another."""
        for name in names or self.nodes:
            self.nodes[name].start()
        self.wait_alive()

    def wait_alive(self, seconds=30):
        up = self.up()
        for node in up:
            wait_until(lambda: (node.health() or {}).get("nodes_alive") == len(up), seconds,
                       f"node {node.name} knows {len(up)} nodes")

    def place(self, by, **plan):
        """Place MODEL by way of node `by`; the instance, once every node knows it."""
        status, answer = self.nodes[by].request("POST", "/cluster/place", {"model": MODEL, **plan},
                                                timeout=150)
        assert status == 200, answer
        last = json.loads(answer.splitlines()[-1])
        assert "instance" in last, last
        for node in self.up():
            wait_until(lambda: node.health()["instances_ready"] == 1, 5,
                       f"node {node.name} knows the instance")
            node.runners()
        return last["instance"]

    def known_runners(self):
        return set().union(*(node.known_runners for node in self.nodes.values()))

    def assert_no_process_left(self, seconds=5):
        """No runner that was ever seen, and no node that was ended, is running."""
        gone = {n.process.pid for n in self.nodes.values() if n.process and not n.is_up()}
        here = {pid for node in self.up() for pid in node.runners()}
        for pid in (gone | self.known_runners()) - here:
            wait_until(lambda: not is_running(pid), seconds, f"process {pid} ended")


class Stream(threading.Thread):
    """One streamed completion; how it went is in the fields once join() returns."""

    def __init__(self, node, max_tokens=1500, headers=None, **body):
        super().__init__(daemon=True)
        self.node = node
        self.headers = headers or {}
        self.body = {"model": MODEL, "prompt": "Once upon a time", "stream": True,
                     "max_tokens": max_tokens, "min_tokens": max_tokens, **body}
        self.n_chunks = 0
        self.arrivals = []        # when each chunk came
        self.texts = {}           # of each choice, by index
        self.finishes = {}
        self.logprobs = []        # (token, logprob) in order
        self.resume_tokens = 0    # as the last chunk said
        self.usage = None
        self.status = None        # of the HTTP answer
        self.error = None         # the error event or body
        self.is_done = False      # [DONE] came
        self.broken = None        # the exception that ended the connection
        self.ended_at = None
        self.start()

    def run(self):
        connection = self.node.connection(120)
        try:
            connection.request("POST", "/v1/completions", json.dumps(self.body),
                               {"Content-Type": "application/json", **self.headers})
            response = connection.getresponse()
            self.status = response.status
            if response.status != 200:
                self.error = json.loads(response.read())["error"]
                return
            for line in response:
                self.take(line.decode().strip())
        except (OSError, http.client.HTTPException, ValueError) as e:
            self.broken = e
        finally:
            self.ended_at = time.monotonic()
            connection.close()

    def take(self, line):
        if line == "data: [DONE]":
            self.is_done = True
        elif line.startswith("data: "):
            event = json.loads(line.removeprefix("data: "))
            if "error" in event:
                self.error = event["error"]
            else:
                self.take_chunk(event)

    def take_chunk(self, event):
        self.n_chunks += 1
        self.arrivals.append(time.monotonic())
        self.usage = event.get("usage") or self.usage
        self.resume_tokens = event.get("resume_tokens", self.resume_tokens)
        for choice in event["choices"]:
            index = choice["index"]
            self.texts[index] = self.texts.get(index, "") + choice["text"]
            if choice["finish_reason"]:
                self.finishes[index] = choice["finish_reason"]
            said = choice.get("logprobs")
            if said:
                self.logprobs += zip(said["tokens"], said["token_logprobs"])

    def outcome(self):
        """All that must be the same in a run that nothing disturbs."""
        return (self.texts, self.finishes, self.logprobs, self.usage and self.usage["prompt_tokens"],
                self.usage and self.usage["completion_tokens"])

    def gap_after(self, moment):
        """The longest silence that ended after `moment`, as seen by the client."""
        return max((b - max(a, moment) for a, b in zip(self.arrivals, self.arrivals[1:])
                    if b > moment), default=0.0)


@contextlib.contextmanager
def one_node(folder, *more):
    """A node that serves the test model alone; nothing of it is left afterwards."""
    port, = free_ports(1)
    node = Node("solo", 0, port, [POMONA, "serve", "--model", str(MODEL_FILE), "--listen",
                                  f"127.0.0.1:{port}", "--data", str(folder / "data"), *more],
                folder / "log")
    node.start()
    try:
        wait_until(node.health, 30, "the node answers")
        yield node
        node.kill(signal.SIGTERM)
        assert node.process.returncode == 0
        for pid in node.known_runners:
            wait_until(lambda: not is_running(pid), 5, f"runner {pid} ended")
    finally:
        if node.is_up():
            node.kill()
        print(node.log.read_text()[-6000:])
