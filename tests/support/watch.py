# SPDX-License-Identifier: Apache-2.0
"""tests/support/watch.py - a real Prometheus, a real Alertmanager, and who is told by it.

    with Told() as told, Alertmanager(folder, config, told) as alertmanager, \\
            Prometheus(folder, config, targets, alertmanager) as prometheus:
        prometheus.values("max(pomona_nodes_alive)")

Both get copies of the configuration of this tree, with the times and addresses of a test.
"""
import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

from support.cluster import free_ports, wait_until
from support.http_double import HttpDouble, Quiet

CONFIG = Path(os.environ["POMONA_SOURCE"]) / "config"


class Told(HttpDouble):
    """A webhook: the alerts that came, newest last, as (name, status)."""

    def __init__(self):
        alerts = self.alerts = []

        class Handler(Quiet):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                alerts.extend((a["labels"]["alertname"], a["status"], a) for a in body["alerts"])
                self.send_response(200)
                self.end_headers()

        super().__init__(Handler)

    def was_told(self, name, status):
        return [alert for n, s, alert in self.alerts if (n, s) == (name, status)]


class Daemon:
    """A program that answers /-/ready on self.port; its log is shown where a test fails."""

    def __init__(self, folder, name, command):
        self.log = Path(folder) / f"{name}.log"
        self.name, self.command = name, command

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(self.is_ready, 60, f"{self.name} is ready")
        except BaseException:
            self.__exit__(AssertionError)
            raise
        return self

    def is_ready(self):
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def __exit__(self, kind, *_):
        self.process.terminate()
        self.process.wait(timeout=30)
        if kind is not None:
            print(f"--- log of {self.name}\n{self.log.read_text()[-3000:]}")


class Alertmanager(Daemon):
    def __init__(self, folder, told, group_interval="1s"):
        self.port = free_ports(1)[0]
        config = yaml.safe_load((CONFIG / "alertmanager" / "alertmanager.yml").read_text())
        config["route"].update(group_wait="1s", group_interval=group_interval)
        config["receivers"][0]["webhook_configs"] = [{"url": told.url, "send_resolved": True}]
        file = Path(folder) / "alertmanager.yml"
        file.write_text(yaml.safe_dump(config))
        super().__init__(folder, "alertmanager", [
            "prometheus-alertmanager", f"--config.file={file}", f"--storage.path={folder}/alertmanager",
            "--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{self.port}"])


class Prometheus(Daemon):
    def __init__(self, folder, targets, alertmanager, interval="1s", monitors=()):
        """targets, monitors  [(node, address)]"""
        self.port = free_ports(1)[0]
        place = Path(folder) / "prometheus"
        shutil.copytree(CONFIG / "prometheus", place)
        file = place / "prometheus.yml"
        config = yaml.safe_load(file.read_text())
        config["global"].update(scrape_interval=interval, evaluation_interval=interval)
        config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [
            f"127.0.0.1:{alertmanager.port}"]
        jobs = {job["job_name"]: job for job in config["scrape_configs"]}
        jobs["prometheus"]["static_configs"][0]["targets"] = [f"127.0.0.1:{self.port}"]
        jobs["alertmanager"]["static_configs"][0]["targets"] = [f"127.0.0.1:{alertmanager.port}"]
        file.write_text(yaml.safe_dump(config))
        for kind, who in (("pomona", targets), ("health", monitors)):
            (place / "targets" / f"{kind}.json").write_text(json.dumps(
                [{"targets": [address], "labels": {"cluster": "test", "node": name}} for name, address in who]))
        super().__init__(folder, "prometheus", [
            "prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.port}"])

    def values(self, query):
        """Of each series that it returns now; NaN is what has no value."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(url, timeout=10) as answer:
            result = json.load(answer)["data"]["result"]
        return [float(series["value"][1]) for series in result]
