# SPDX-License-Identifier: Apache-2.0
"""tests/support/monitoring.py - a health monitor as a process, and who listens to it.

    with Monitor(tmp_path, nodes=[("a", port)], every={"poll_s": 0.2}) as monitor:
        monitor.wait_state("node.up", "node/a", "ok")

Nodes are named by where their APIs are; the monitor answers at a free port.  `settings` is
health_monitor.yaml as a dict.
"""
import contextlib
import http.client
import json
import os
import re
import signal
import subprocess

from support.cluster import POMONA, wait_until
from support.http_double import HttpDouble, Quiet

QUICK = {"poll_s": 0.2, "machine_s": 0.3, "canary_s": 0.5, "record_s": 1, "names_s": 0.5,
         "certificates_s": 0.5, "paths_s": 0.3, "units_s": 0.3, "speed_s": 0.5}


class Monitor:
    def __init__(self, folder, nodes, settings=None, name=None, environment=None, host=None, prefix=()):
        """host: the one of support/netns that it runs in, `nodes` are (name, address) then; prefix: of its command"""
        self.folder, self.host = folder, host
        folder.mkdir(exist_ok=True)
        config = folder / "cluster_nodes.json"
        config.write_text(json.dumps({"cluster": {"name": "test"}, "nodes": [
            {"name": node, "host": where} if host else
            {"name": node, "host": "127.0.0.1", "port": 1 + i, "api_port": where}    # the first is not used
            for i, (node, where) in enumerate(nodes)]}))
        self.settings = {"every": QUICK, **(settings or {})}
        self.write_settings()
        self.log = folder / "monitor.log"
        self.environment = {**os.environ, **(environment or {})}
        self.command = [POMONA, "monitor", "--config", str(config), "--node", name or nodes[0][0],
                        "--listen", "127.0.0.1:0", "--data", str(folder / "data")]
        self.command = [*prefix, *(host.inside(self.command) if host else self.command)]
        self.process = None
        self.port = None

    def write_settings(self):
        (self.folder / "health_monitor.yaml").write_text(json.dumps(self.settings))

    def said(self):
        return self.log.read_text(errors="replace")

    def start(self):
        begun = len(self.said()) if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=self.environment)

        def port():
            assert self.process.poll() is None, self.said()
            found = re.search(r"answers at port (\d+)", self.said()[begun:])
            return found and int(found.group(1))

        self.port = wait_until(port, 30, "the monitor answers")

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        self.process.wait(timeout=15)
        if number != signal.SIGKILL:
            assert self.process.returncode == 0, self.said()[-6000:]
            assert "Sanitizer" not in self.said() and "runtime error:" not in self.said(), self.said()[-6000:]

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            if kind:
                print(self.said()[-8000:])
            self.end()

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            with self.host.entered() if self.host else contextlib.nullcontext():
                connection.connect()
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read().decode()
            assert response.status == 200, (path, response.status, body)
            return json.loads(body) if path != "/metrics" else body

    def findings(self, check=None):
        return [f for f in self.get("/health")["findings"] if check in (None, f["check"])]

    def state(self, check, subject):
        """(state, value), or None."""
        for f in self.findings(check):
            if f["subject"] == subject:
                return f["state"], f["value"]
        return None

    def wait_state(self, check, subject, state, seconds=30):
        wait_until(lambda: (self.state(check, subject) or [None])[0] == state, seconds,
                   f"{check} of {subject} is {state}")

    def alarms(self):
        return [f for f in self.findings() if f["state"] in ("warning", "critical")]

    def health(self, *options):
        """What `pomona health` prints."""
        done = subprocess.run([POMONA, "health", "--monitor", f"http://127.0.0.1:{self.port}", *options],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


class Receiver(HttpDouble):
    """An HTTP server that keeps what it is sent: (path, headers, body); refuses the first `refuses`."""

    def __init__(self, refuses=0):
        self.received, self.refused = [], 0

        class Handler(Quiet):
            def do_POST(handler):
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                if self.refused < refuses:
                    self.refused += 1
                    handler.send_response(500)
                else:
                    self.received.append((handler.path, dict(handler.headers), body))
                    handler.send_response(200)
                handler.send_header("Content-Length", "0")
                handler.end_headers()

        super().__init__(Handler)
