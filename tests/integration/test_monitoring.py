# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_monitoring.py - what watches a cluster: rules, dashboards and alerts, by the real programs.

LogQL, the one query of the logs' dashboard, has no checker here: Loki is no package of Debian's.
"""
import importlib.util
import json
import math
import os
import re
import subprocess
import time
from pathlib import Path

import jsonschema
import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from support.cluster import MODEL, Cluster, Stream, wait_until
from support.monitoring import Monitor
from support.watch import Alertmanager, Prometheus, Told

ROOT = Path(os.environ["POMONA_SOURCE"])
RULES = sorted((ROOT / "config/prometheus/rules").glob("*.yml"))
BOARDS = sorted((ROOT / "config/grafana/dashboards").glob("*.json"))
COMPOSE_SCHEMA = Path("/usr/lib/python3/dist-packages/compose/config/compose_spec.json")
SELDOM = {"every": {"poll_s": 1, "canary_s": 5}}    # it is not what is tested here
FULL = os.environ.get("POMONA_TEST_FULL") == "1"
INTERVAL = "15s" if FULL else "1s"    # of scrapes and of rules; 15 s is what is delivered

SETTINGS = """metrics: { off: true }
upstreams:
  - { name: far, url: "http://127.0.0.1:9", models: [ { name: far } ] }
"""

# What returns nothing, or no number, until the thing it tells of has happened.
EVENTS = {"pomona_stream_interruption_seconds_bucket"}
# What some systems do not tell, and these programs cannot make them tell.
PLATFORM = {"pomona_energy_joules_total": Path("/sys/class/powercap/intel-rapl:0/energy_uj")}


def loaded(file):
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_dashboards = loaded(ROOT / "config/grafana/make_dashboards.py")


def rules():
    return [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"]
            for rule in group["rules"]]


def check(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration():
    check("promtool", "check", "config", "config/prometheus/prometheus.yml")


def test_each_alert_fires_on_what_it_is_for_and_not_on_less():
    tests = yaml.safe_load((ROOT / "tests/integration/monitoring/alerts.test.yml").read_text())["tests"]
    tested = {test["name"].removesuffix(", not"): test["alert_rule_test"] for test in tests}
    assert set(tested) == {rule["alert"] for rule in rules() if "alert" in rule}
    assert {len(t["alert_rule_test"][0]["exp_alerts"]) for t in tests} == {0, 1}
    check("promtool", "test", "rules", "tests/integration/monitoring/alerts.test.yml")


def test_alertmanager_takes_its_configuration():
    check("amtool", "check-config", "config/alertmanager/alertmanager.yml")


def test_each_alert_has_a_page_that_shows_its_expression():
    alerts = {rule["alert"]: rule for rule in rules() if "alert" in rule}
    pages = {rule["annotations"]["runbook_url"] for rule in alerts.values()}
    assert pages | {"docs/runbooks/README.md"} == {str(p.relative_to(ROOT)) for p in (ROOT / "docs/runbooks").iterdir()}
    index = (ROOT / "docs/runbooks/README.md").read_text()
    for name, rule in alerts.items():
        page = (ROOT / rule["annotations"]["runbook_url"]).read_text()
        assert page.startswith(f"# {name}\n") and f"\n{rule['expr']}\n" in page, name
        assert f"Severity {rule['labels']['severity']}" in page and f"[{name}](" in index, name


def test_the_compose_file_is_one():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    jsonschema.validate(services, json.loads(COMPOSE_SCHEMA.read_text()))
    for name, service in services["services"].items():
        assert re.fullmatch(r"[^:]+:v?\d+\.\d+\.\d+", service["image"]), f"{name}: a version that is pinned"
        assert service["healthcheck"]["test"], name
        for port in service.get("ports", []):
            assert port.startswith("${POMONA_BIND:-127.0.0.1}:"), f"{name}: loopback where nobody says more"
        for volume in service["volumes"]:
            assert not volume.startswith("./") or (ROOT / volume.split(":")[0]).exists(), volume


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.stem)
def test_a_dashboard_is_what_grafana_s_types_say(board):
    plugins.register_default_plugins()
    shown = json.loads(board.read_text())
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(shown)))
    assert make_dashboards.without_nulls(read) == shown, "a field that these types do not have"
    assert shown["uid"] == f"pomona-{board.stem}"


def test_dashboards_are_what_their_table_makes():
    assert {board.name: board.read_text() for board in BOARDS} == make_dashboards.made()


def test_targets_are_the_nodes_of_the_cluster():
    made = subprocess.run([ROOT / "scripts/prometheus_targets.sh", "--port", "8001", "--output", "-"],
                          capture_output=True, text=True, check=True, timeout=30).stdout
    nodes = json.loads((ROOT / "config/cluster_nodes.json").read_text())["nodes"]
    assert [(t["labels"]["node"], t["targets"]) for t in json.loads(made)] == \
        [(node["name"], [f"{node['host']}:8001"]) for node in nodes]


# ---- a cluster that is watched ----

@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("watched")
    settings = folder / "api_gateway.yaml"
    settings.write_text(SETTINGS)
    with Cluster(folder, options=("--gateway-config", str(settings))) as cluster, Told() as told, \
            Alertmanager(folder, told) as alertmanager:
        cluster.start()
        targets = [(name, f"127.0.0.1:{node.api_port}") for name, node in cluster.nodes.items()]
        apis = [(name, node.api_port) for name, node in cluster.nodes.items()]
        with Monitor(folder / "monitor", apis, SELDOM) as monitor, \
                Prometheus(folder, targets, alertmanager, INTERVAL,
                           monitors=[("a", f"127.0.0.1:{monitor.port}")]) as prometheus:
            cluster.place("c", nodes=["a", "b"], split=[15, 15])
            yield cluster, prometheus, told


def load(cluster, name):
    for seed in range(3):
        status, _ = cluster[name].request("POST", "/v1/completions", {
            "model": MODEL, "prompt": "Once upon a time", "max_tokens": 64, "min_tokens": 64, "seed": seed})
        assert status == 200


def queries():
    for board in BOARDS:
        for panel in json.loads(board.read_text())["panels"]:
            for target in panel["targets"]:
                if panel["datasource"]["type"] == "prometheus":
                    yield target["expr"].replace("$__rate_interval", "1m" if FULL else "15s")
    for rule in rules():
        if "record" in rule:
            yield rule["record"]
        else:    # that it fires is tested above; here, that what it looks at is there
            yield from re.findall(r"pomona[a-z_:0-9]+|process_[a-z_]+|prometheus_[a-z_]+",
                                  re.sub(r'"[^"]*"', "", rule["expr"]))


def test_monitors_are_targets_where_their_port_is_given():
    made = subprocess.run([ROOT / "scripts/prometheus_targets.sh", "--health-port", "52418", "--output", "-"],
                          capture_output=True, text=True, check=True, timeout=30).stdout
    decoder, nodes = json.JSONDecoder(), json.loads((ROOT / "config/cluster_nodes.json").read_text())["nodes"]
    _, end = decoder.raw_decode(made)
    health, _ = decoder.raw_decode(made[end:].lstrip())
    assert [t["targets"] for t in health] == [[f"{node['host']}:52418"] for node in nodes]


def silent(prometheus, wanted):
    return [query for query in wanted
            if not any(math.isfinite(value) for value in prometheus.values(query))]


def test_each_query_of_dashboards_and_rules_returns_data(watched):
    cluster, prometheus, _ = watched
    unknown = EVENTS | {name for name, file in PLATFORM.items() if not os.access(file, os.R_OK)}
    wanted = sorted({query for query in queries() if not any(name in query for name in unknown)})
    assert len(wanted) > 90
    wait_until(lambda: prometheus.values("count(up == 1)")[:1] == [6], 60, "all six are scraped")

    def has_all():
        load(cluster, "c")
        return not silent(prometheus, wanted)
    try:
        wait_until(has_all, 120 if FULL else 60, "every query has data")
    except AssertionError:
        pytest.fail(f"no data for {silent(prometheus, wanted)}")


def test_a_dead_node_s_alert_reaches_people_within_a_minute_and_is_taken_back(watched):
    cluster, prometheus, told = watched
    stream = Stream(cluster["c"], 400, temperature=0)
    wait_until(lambda: len(stream.arrivals) > 10, 30, "the stream has begun")
    events = [query for query in queries() if any(event in query for event in EVENTS)]
    assert len(events) == 3
    cluster["a"].kill()
    killed_at = time.monotonic()
    wait_until(lambda: not silent(prometheus, events), 60, "the interruption is shown")
    wait_until(lambda: prometheus.values('sum(pomona_failovers_total{result="resumed"})') == [1], 60, "and counted once")
    wait_until(lambda: told.was_told("PomonaNodeDown", "firing"), killed_at + 60 - time.monotonic(),
               "the alert reaches the webhook within a minute")
    alert = told.was_told("PomonaNodeDown", "firing")[0]
    assert alert["labels"]["node"] == "a" and (ROOT / alert["annotations"]["runbook_url"]).exists()
    stream.join(timeout=60)
    assert stream.is_done and stream.error is None and stream.broken is None
    cluster.start("a")
    wait_until(lambda: told.was_told("PomonaNodeDown", "resolved"), 90, "the alert is taken back")
