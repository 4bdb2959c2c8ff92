# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_managed.py - what a node tells its service manager, and how it serves a developer.

The manager is this test: a datagram socket as systemd has one (sd_notify(3)).
"""
import json
import os
import re
import shutil
import signal
import socket

import pytest

from support.cluster import MODEL_FILE, POMONA, Node, Stream, free_ports, wait_until


class Manager:
    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(60)
        self.heard = []

    def hear(self, word):
        """The next message that has the assignment; those before it are kept, too."""
        while True:
            message = self.socket.recv(4096).decode().split("\n")
            self.heard.append(message)
            if any(line == word for line in message):
                return message


@pytest.fixture(name="manager")
def manager_fixture(tmp_path):
    manager = Manager(tmp_path)
    yield manager
    manager.socket.close()


def make_node(folder, *more, program=POMONA):
    port, = free_ports(1)
    (folder / "data/models").mkdir(parents=True)
    (folder / "data/models" / MODEL_FILE.name).symlink_to(MODEL_FILE.resolve(strict=True))
    return Node("solo", 0, port, [str(program), "serve", "--listen", f"127.0.0.1:{port}", "--data",
                                  str(folder / "data"), "--no-measure", "--threads", "1", *more],
                folder / "log")


def test_the_manager_is_told_of_each_turn_and_has_signs_of_life(tmp_path, manager, monkeypatch):
    node = make_node(tmp_path, "--drain", "7")
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    node.start()
    try:
        manager.hear("READY=1")
        assert node.health(), "it says READY when it answers"
        manager.hear("WATCHDOG=1")
        manager.hear("WATCHDOG=1")
        node.process.send_signal(signal.SIGHUP)
        assert any(line.startswith("MONOTONIC_USEC=") for line in manager.hear("RELOADING=1"))
        assert "STATUS=serving" in manager.hear("READY=1")
        node.process.send_signal(signal.SIGTERM)
        stopping = manager.hear("STOPPING=1")
        assert "EXTEND_TIMEOUT_USEC=22000000" in stopping and "STATUS=running answers have 7 s" in stopping
        assert node.process.wait(60) == 0
    finally:
        if node.is_up():
            node.kill()
        print(node.log.read_text()[-3000:])


def test_a_loop_that_stands_still_gives_no_sign(tmp_path, manager, monkeypatch):
    node = make_node(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    node.start()
    try:
        manager.hear("WATCHDOG=1")
        node.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, node.process.pid, os.WSTOPPED | os.WNOWAIT)
        manager.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                manager.socket.recv(4096)
        manager.socket.settimeout(1.5)    # five times what is allowed
        with pytest.raises(TimeoutError):
            manager.socket.recv(4096)
    finally:
        node.kill(signal.SIGKILL)


# --dev

def describe(path, api_port, **more):
    """Written beside and renamed, as editors do."""
    node = {"name": "solo", "host": "127.0.0.1", "api_port": api_port, **more}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"cluster": {"name": "dev"}, "nodes": [node]}))
    partial.rename(path)


class Developed:
    """A node under --dev with a program and a configuration of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.program, self.config = folder / "pomona", folder / "nodes.json"
        shutil.copy2(POMONA, self.program)
        port, control = free_ports(2)
        self.control = control
        describe(self.config, port, port=control)
        (folder / "data/models").mkdir(parents=True)
        (folder / "data/models" / MODEL_FILE.name).symlink_to(MODEL_FILE.resolve(strict=True))
        self.node = Node("solo", control, port,
                         [str(self.program), "serve", "--dev", "--config", str(self.config), "--drain",
                          "120", "--data", str(folder / "data"), "--no-measure", "--threads", "1"],
                         folder / "log")

    def log(self):
        return self.node.log.read_text(errors="replace")

    def n_starts(self):
        return self.log().count("node 'solo' of cluster 'dev' answers at")


@pytest.fixture(name="developed")
def developed_fixture(tmp_path):
    developed = Developed(tmp_path)
    developed.node.start()
    try:
        wait_until(developed.node.health, 60, "the node answers")
        yield developed
        developed.node.kill(signal.SIGTERM)
    finally:
        if developed.node.is_up():
            developed.node.kill()
        print(developed.log()[-6000:])


def replace_program(developed):
    """As a linker does: another file under the same name."""
    partial = developed.folder / "pomona.partial"
    shutil.copy2(developed.program, partial)
    os.utime(partial)
    partial.rename(developed.program)


def test_a_new_program_takes_over_when_the_streams_have_ended(developed):
    pid = developed.node.process.pid
    stream = Stream(developed.node, max_tokens=64)
    wait_until(lambda: stream.n_chunks > 0 or stream.ended_at, 90, "the stream runs")
    replace_program(developed)
    stream.join(120)
    assert stream.is_done and stream.error is None and stream.broken is None
    assert stream.finishes == {0: "length"}
    wait_until(lambda: developed.n_starts() == 2, 60, "it started anew")
    wait_until(developed.node.health, 60, "the node answers")
    assert developed.node.process.pid == pid and developed.node.is_up()
    assert os.path.samefile(f"/proc/{pid}/exe", developed.program)


def test_a_changed_configuration_holds_and_a_wrong_one_does_not(developed):
    other, = free_ports(1)
    developed.config.write_text('{ "cluster": ')
    wait_until(lambda: "the node goes on as it is" in developed.log(), 60, "the mistake is told")
    assert developed.n_starts() == 1 and developed.node.health()
    describe(developed.config, other, port=developed.control)
    wait_until(lambda: developed.n_starts() == 2, 60, "it started anew")
    developed.node.api_port = other
    wait_until(developed.node.health, 60, "the node answers at its new port")


def test_a_developer_reads_lines_for_people(developed):
    assert "level=" not in developed.log() and re.search(r"^\d\d:\d\d:\d\d info  cmd: ", developed.log(), re.M)
    assert "\033" not in developed.log()    # a file has no colours
