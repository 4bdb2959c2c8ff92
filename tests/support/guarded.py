# SPDX-License-Identifier: Apache-2.0
"""tests/support/guarded.py - a node whose API is guarded, and keys for it.

    with Guarded(tmp_path, "auth: { required: true }") as node:
        key = node.key("alice", "--rpm", "60")
        status, headers, body = node.ask("GET", "/v1/models", key)
"""
import http.client
import json
import signal
import subprocess

from support.cluster import MODEL_FILE, POMONA, Node, free_ports, wait_until


class Guarded:
    def __init__(self, folder, settings, *options, context=None):
        """context: an ssl.SSLContext where the settings say that it speaks TLS."""
        self.folder, self.options, self.context = folder, options, context
        self.data, self.config = folder / "data", folder / "api_gateway.yaml"
        (self.data / "models").mkdir(parents=True)
        (self.data / "models" / MODEL_FILE.name).symlink_to(MODEL_FILE.resolve(strict=True))
        self.config.write_text(settings)
        self.port = free_ports(1)[0]
        self.node = Node("local", 0, self.port,
                         [POMONA, "serve", "--data", str(self.data), "--threads", "1",
                          "--listen", f"127.0.0.1:{self.port}", "--no-measure",
                          "--gateway-config", str(self.config), *options], folder / "local.log")

    def __enter__(self):
        self.node.start()
        wait_until(self.answers, 20, "the node answers")
        return self

    def answers(self):
        try:
            return self.ask("GET", "/health", timeout=60)[0] == 200
        except OSError:
            return False

    def connection(self, timeout=60):
        if self.context:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout,
                                               context=self.context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def __exit__(self, kind, *_):
        if self.node.is_up():
            self.node.kill(signal.SIGTERM)
        if kind is not None:
            print(self.log()[-6000:])

    def log(self):
        return self.node.log.read_text(errors="replace")

    def keys(self, *words):
        """What `pomona keys ...` prints."""
        done = subprocess.run([POMONA, "keys", *words, "--data", str(self.data)],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def key(self, name, *options, taken=True, told=True):
        """A new key; `taken`: wait until the node knows it; `told`: it looks now, not within a second."""
        key = self.keys("create", name, *options)
        if told:
            self.node.process.send_signal(signal.SIGHUP)
        if taken:
            wait_until(lambda: self.ask("GET", "/v1/models", key)[0] != 401, 5, f"{name} is known")
        return key

    def ask(self, method, path, key=None, body=None, headers=(), timeout=60):
        """(status, headers, JSON or text)."""
        connection = self.connection(timeout)
        given = dict(headers)
        if key is not None:
            given.setdefault("Authorization", f"Bearer {key}")
        if body is not None:
            given["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body if body is None else json.dumps(body), given)
            response = connection.getresponse()
            text = response.read().decode()
            is_json = response.headers.get_content_type() == "application/json"
            return response.status, response.headers, json.loads(text) if is_json and text else text
        finally:
            connection.close()
