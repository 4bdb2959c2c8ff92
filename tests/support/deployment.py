# SPDX-License-Identifier: Apache-2.0
"""tests/support/deployment.py - scripts/deploy_production.sh against machines of support/nspawn.py.

    with Deployment(tmp_path) as deployment:
        done = deployment.run("deploy", "--yes", release=deployment.release("1.0.0"))
        with deployment.load() as load: ...        # eight streams, for as long as the block lasts
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import ssl
import subprocess
import threading
import time

from support.certificates import Authority
from support.cluster import MODEL, MODEL_FILE, POMONA, wait_until
from support.nspawn import SOURCE, Machines

SCRIPT = SOURCE / "scripts/deploy_production.sh"
BUILD = os.environ["POMONA_BUILD"]
API_PORT = 52415
GUARDED = """auth: { required: true }
tls: { certificate: /etc/pomona/tls/api.pem, private_key: /etc/pomona/tls/api.key }
"""
# A program that seems to be whole until it is to serve: then it dies as by a wrong pointer.
CRASHING = """#!/bin/sh
case $1 in version) echo "pomona that crashes" ;; *) kill -SEGV $$ ;; esac
"""


class Deployment:
    def __init__(self, folder, n=3):
        self.folder = pathlib.Path(folder)
        self.dist = self.folder / "dist"
        first = self.release("1.0.0")
        self.machines = Machines(n, self.folder / "machines", self.requirements(first))
        for machine in self.machines:
            machine.binds.append((MODEL_FILE.resolve(strict=True), "/srv/model.gguf"))
        self.config = self.folder / "cluster_nodes.json"
        self.secrets = self.folder / "secrets"
        self.tls, self.headers, self.api_key = None, {}, ""
        self.describe()

    def describe(self, **more):
        """The cluster's file; `more`: fields of each node."""
        nodes = [{"name": m.name, "host": m.address, "memory_gb": 2.0, "threads": 1, **more} for m in self.machines]
        self.config.write_text(json.dumps({"cluster": {"name": "tested"}, "nodes": nodes}))

    def __enter__(self):
        self.machines.__enter__()
        try:
            self.machines.boot()
            self.machines.write_ssh_config(m2="admin")    # one is reached by who has to use sudo
        except BaseException:
            self.machines.__exit__()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            for m in self.machines:
                print(m.name, (m.folder / "console").read_text()[-1500:] if m.process else "")
                if m.is_up():
                    print(m.ssh("journalctl -u mlx-api-server -u mlx-health-monitor -t pomona-deploy -n 60 "
                                "--no-pager -o short-precise", check=False).stdout)
        self.machines.__exit__()

    # Releases

    def release(self, version, build=BUILD):
        """The archive of a build folder under that name."""
        found = list(self.dist.glob(f"pomona-{version}-*.tar.gz"))
        if not found:
            subprocess.run([SOURCE / "scripts/build_release.sh", "--build", build, "--version", version, "--out",
                            self.dist], check=True, timeout=120, stdout=subprocess.DEVNULL)
            found = list(self.dist.glob(f"pomona-{version}-*.tar.gz"))
        return found[0]

    def crashing_release(self, version):
        build = self.folder / "crashing"
        build.mkdir(exist_ok=True)
        (build / "pomona").write_text(CRASHING)
        (build / "pomona").chmod(0o755)
        return self.release(version, build)

    def requirements(self, archive):
        listed = subprocess.run(["tar", "-xzOf", archive, "--wildcards", "*/REQUIRES"], check=True,
                                capture_output=True, text=True).stdout
        return listed.split()

    def guard(self):
        """From the next update on the API speaks HTTPS, by a certificate of the machines' addresses, and asks for
        keys; what this asks and the script are given one."""
        addresses = [m.address for m in self.machines]
        tls = self.secrets / "tls"
        tls.mkdir(parents=True, exist_ok=True)
        authority = Authority(tls)
        certificate, key, _ = authority.issue("api", addresses=addresses)
        (tls / "api.pem").write_bytes(certificate)
        (tls / "api.key").write_bytes(key)
        (self.folder / "api_gateway.yaml").write_text(GUARDED)
        made = subprocess.run([POMONA, "keys", "create", "ops", "--scopes", "chat,embed,models,admin", "--data",
                               self.secrets], capture_output=True, text=True, check=True, timeout=60).stdout
        self.api_key = re.search(r"sk-pomona-\w+", made).group()
        (self.secrets / "monitor.env").write_text(f"POMONA_API_KEY={self.api_key}\n")
        self.tls = ssl.create_default_context(cafile=authority.file)
        self.headers = {"Authorization": f"Bearer {self.api_key}"}

    # Commands

    def command(self, command, *options, release=None, config=None):
        words = [SCRIPT, command, "--config", config or self.config, "--ssh-config", self.machines.ssh_config,
                 "--secrets", self.secrets, *options]
        if release:
            words += ["--release", release]
        if command in ("deploy", "update", "rollback"):
            words.append("--yes")
        return [str(w) for w in words]

    def environment(self):
        return {**os.environ, "XDG_STATE_HOME": str(self.folder / "state"), "NO_COLOR": "1",
                "POMONA_API_KEY": self.api_key}

    def run(self, command, *options, status=0, timeout=900, **more):
        """What it said; `status`: how it has to end."""
        done = self.machines.run(self.command(command, *options, **more), timeout=timeout, cwd=SOURCE,
                                 env=self.environment())
        print(done.stdout + done.stderr)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def popen(self, command, *options, **more):
        return self.machines.popen(self.command(command, *options, **more), cwd=SOURCE, env=self.environment(),
                                   start_new_session=True)

    # What is there

    def give_model(self):
        """A link in each store, as `pomona import` makes a copy."""
        for m in self.machines:
            m.ssh("install -d -o pomona -g pomona /var/lib/pomona/models && "
                  f"ln -sf /srv/model.gguf /var/lib/pomona/models/{MODEL_FILE.name}")

    def connection(self, host, timeout):
        if self.tls:
            return http.client.HTTPSConnection(host, API_PORT, timeout=timeout, context=self.tls)
        return http.client.HTTPConnection(host, API_PORT, timeout=timeout)

    def get(self, machine, path, timeout=10):
        """(status, JSON or text) of a machine's API; None where it does not answer."""
        try:
            with self.machines.entered():
                connection = self.connection(machine.address, timeout)
                connection.connect()
            connection.request("GET", path, headers=self.headers)
            answer = connection.getresponse()
            body = answer.read().decode()
            connection.close()
            return answer.status, json.loads(body) if "json" in (answer.headers.get_content_type() or "") else body
        except (OSError, http.client.HTTPException):
            return None

    def health(self, machine):
        answer = self.get(machine, "/health")
        return answer[1] if answer and answer[0] == 200 else {}

    def releases(self):
        return [m.out("basename $(readlink /opt/pomona/current) 2>/dev/null || true") for m in self.machines]

    def serving(self, machine, nodes=3, instances=0):
        h = self.health(machine)
        return h.get("nodes_alive", 0) >= nodes and h.get("instances_ready", 0) >= instances

    def await_serving(self, seconds=120, **more):
        for m in self.machines:
            wait_until(lambda m=m: self.serving(m, **more), seconds, f"{m.name} serves")

    def findings(self, machine):
        """Of the health monitor of that machine: {(check, subject): state}; {} while it does not answer."""
        said = machine.ssh("curl -sS --max-time 10 http://127.0.0.1:52418/health", check=False).stdout
        return {(f["check"], f["subject"]): f["state"] for f in json.loads(said)["findings"]} if said else {}

    def is_seen_well(self, machine):
        """The monitor of that machine finds every node up and ready, and models that answer."""
        found = self.findings(machine)
        wanted = [(check, f"node/{m.name}") for check in ("node.up", "api.ready") for m in self.machines]
        canaries = {state for (check, _), state in found.items() if check == "canary.ok"}
        return all(found.get(what) == "ok" for what in wanted) and canaries == {"ok"}

    @contextlib.contextmanager
    def load(self, n=8):
        load = Load(self, n)
        try:
            wait_until(lambda: load.n_done >= n or load.failures, 180, "every stream has had an answer")
            yield load
        finally:
            load.stop()


class Load:
    """`n` clients that stream one completion after the other.  As clients of several nodes do, one that is
    not taken (refused, 503) asks the next node; an answer that has begun has to end at its place."""

    TOKENS = 40

    def __init__(self, deployment, n):
        self.deployment = deployment
        self.hosts = [m.address for m in deployment.machines]
        self.n_done, self.n_moved, self.failures = 0, 0, []
        self.is_over = False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._client, args=(i,), daemon=True) for i in range(n)]
        for thread in self.threads:
            thread.start()

    def _client(self, i):
        with self.deployment.machines.entered():    # a thread's own namespace
            while not self.is_over:
                i += self._ask(i)

    def _ask(self, i):
        """One answer, from whichever node takes the request; returns by how many nodes it moved on."""
        for moved in range(60):
            host = self.hosts[(i + moved) % len(self.hosts)]
            try:
                why = self._stream(host)
            except (OSError, http.client.HTTPException) as e:
                why = f"{host}: {e!r} in an answer"
            if why == "not taken":
                time.sleep(0.2 if moved % len(self.hosts) == len(self.hosts) - 1 else 0)
                continue
            with self.lock:
                self.n_done += why is None
                self.n_moved += moved
                if why:
                    self.failures.append(why)
            return moved
        with self.lock:
            self.failures.append("no node took a request")
        return 1

    def _stream(self, host):
        connection = self.deployment.connection(host, 120)
        body = {"model": MODEL, "prompt": "Once upon a time", "stream": True, "max_tokens": self.TOKENS,
                "min_tokens": self.TOKENS}
        try:
            connection.request("POST", "/v1/completions", json.dumps(body),
                               {"Content-Type": "application/json", **self.deployment.headers})
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException):
            connection.close()
            return "not taken"
        try:
            if answer.status == 503:
                answer.read()
                return "not taken"
            lines = [line.decode().strip() for line in answer]
            if answer.status != 200 or "data: [DONE]" not in lines:
                return f"{host}: {answer.status} {lines[-2:]}"
            bad = [line for line in lines if '"error"' in line]
            return f"{host}: {bad[0]}" if bad else None
        finally:
            connection.close()

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join(timeout=180)
        assert not any(t.is_alive() for t in self.threads), "a stream hangs"

    def assert_nothing_failed(self):
        assert not self.failures, self.failures[:5]
        print(f"{self.n_done} answers, {self.n_moved} times asked another node, none failed")
