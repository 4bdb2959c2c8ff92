# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_api_metrics.py - what /metrics counts is true, well formed and documented."""
import os
import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from support.cluster import MODEL, free_ports, one_node, wait_until

PROMPT = {"model": MODEL, "prompt": "The capital of France is", "temperature": 0, "max_tokens": 8}
DOCUMENT = Path(os.environ["POMONA_SOURCE"]) / "docs" / "metrics.md"


SETTINGS = """metrics: {{ port: {port} }}
upstreams:
  - {{ name: 'quo"te\\', url: "http://127.0.0.1:9", models: [ {{ name: far }} ] }}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """With an upstream that nobody is at, so that all there is to show is shown."""
    folder = tmp_path_factory.mktemp("node")
    settings, port = folder / "api_gateway.yaml", free_ports(1)[0]
    settings.write_text(SETTINGS.format(port=port))
    with one_node(folder, "--gateway-config", str(settings)) as node:
        node.metrics_port, node.settings = port, settings
        yield node


def scrape(node):
    status, text = node.request("GET", "/metrics")
    assert status == 200
    return text, dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


def test_requests_tokens_and_times_are_counted(node):
    before = scrape(node)[1]
    usage = node.request("POST", "/v1/completions", PROMPT)[1]["usage"]
    assert node.request("POST", "/v1/completions", {"model": MODEL})[0] == 400
    assert node.request("POST", "/v1/completions", {**PROMPT, "model": "other"})[0] == 404
    after = scrape(node)[1]
    grown = lambda name: float(after[name]) - float(before[name])
    for prefix in ("pomona_", "vllm:"):
        assert grown(prefix + "prompt_tokens_total") == usage["prompt_tokens"]
        assert grown(prefix + "generation_tokens_total") == usage["completion_tokens"]
    assert grown('vllm:request_success_total{finished_reason="length"}') == 1
    assert grown("pomona_time_to_first_token_seconds_count") == 1
    assert grown("pomona_inter_token_seconds_count") == usage["completion_tokens"] - 1
    assert 0 < grown("pomona_request_duration_seconds_sum") < 30
    assert grown('pomona_request_duration_seconds_bucket{le="+Inf"}') == 1
    assert grown('pomona_http_requests_total{code="4xx"}') == 2
    assert grown('pomona_requests_failed_total{reason="invalid"}') == 1
    assert after["pomona_nodes_alive"] == "1" and after["vllm:num_requests_waiting"] == "0"


def exported(port, path="/metrics"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def test_the_port_of_the_metrics_shows_them_and_nothing_else(node):
    kind, text = exported(node.metrics_port)
    assert kind.startswith("text/plain; version=0.0.4")
    assert [line for line in text.splitlines() if "# TYPE" in line] == \
        [line for line in scrape(node)[0].splitlines() if "# TYPE" in line]
    for path in ("/v1/models", "/cluster/state", "/"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            exported(node.metrics_port, path)
        assert refused.value.code == 404


def test_the_port_moves_when_the_settings_say_so(node):
    old, node.metrics_port = node.metrics_port, free_ports(1)[0]
    node.settings.write_text(SETTINGS.format(port=node.metrics_port))

    def is_there():
        try:
            return exported(node.metrics_port)
        except OSError:
            return None
    wait_until(is_there, 10, "the new port answers")
    with pytest.raises(OSError):
        exported(old)


def test_a_port_that_is_taken_is_no_reason_not_to_serve(node, tmp_path):
    """Two nodes of one machine: the second says so, and gives its metrics over the API."""
    settings = tmp_path / "api_gateway.yaml"
    settings.write_text(SETTINGS.format(port=node.metrics_port))
    with one_node(tmp_path, "--gateway-config", str(settings)) as second:
        assert "have no port of their own" in second.log.read_text()
        assert "pomona_nodes_alive" in scrape(second)[1]


def test_upstreams_and_the_queue_are_shown(node):
    shown = wait_until(lambda: (lambda m: m['pomona_upstream_up{upstream="quo\\"te\\\\"}'] == "0" and m)(
        scrape(node)[1]), 15, "the upstream is down")
    assert shown["pomona_queue_requests_limit"] == "1024" and shown["pomona_queue_requests"] == "0"
    before = float(shown['pomona_upstream_failures_total{upstream="quo\\"te\\\\"}'])
    assert node.request("POST", "/v1/completions", {**PROMPT, "model": "far"})[0] == 503
    after = scrape(node)[1]
    assert float(after['pomona_upstream_failures_total{upstream="quo\\"te\\\\"}']) == before + 1


def test_each_metric_is_documented_as_its_table_says_and_nothing_else(node):
    lines = scrape(node)[0].splitlines()
    helped = dict(line.removeprefix("# HELP ").split(" ", 1) for line in lines if "# HELP" in line)
    shown = {line.split()[2]: (line.split()[3], helped[line.split()[2]]) for line in lines if "# TYPE" in line}
    rows = re.findall(r"^\| `([^`]+)` \| (?:`([^`]+)`)? *\| (\w+) \|[^|]*\| (.+) \|$",
                      DOCUMENT.read_text().split("## Of the monitor")[0], re.M)
    written = {name: (kind, words) for first, second, kind, words in rows for name in (first, second) if name}
    assert written == shown


def labelled(shown, name):
    """[(labels, value)] of a metric."""
    found = (re.fullmatch(name + r"\{(.*)\}", key) for key in shown)
    return [(dict(re.findall(r'(\w+)="([^"]*)"', match[1])), float(shown[match[0]])) for match in found if match]


def test_an_instance_and_its_runner_are_shown(node):
    usage = node.request("POST", "/v1/completions", PROMPT)[1]["usage"]

    def has_told():
        """A driver tells its node when something changes, and a moment later."""
        shown = scrape(node)[1]
        alone = labelled(shown, "pomona_instance_alone_tokens_total")
        return shown if alone and alone[0][1] >= usage["completion_tokens"] - 1 else None
    shown = wait_until(has_told, 30, "the tokens are counted")
    (labels, tokens), = labelled(shown, "pomona_instance_tokens_total")
    assert labels["model"] == MODEL and re.fullmatch("[0-9a-f]{32}", labels["id"]) and tokens >= 8
    one = {name: labelled(shown, f"pomona_instance_{name}")[0][1] for name in (
        "steps_total", "step_seconds_total", "wait_seconds_total", "alone_seconds_total", "kv_tokens_limit",
        "predicted_tokens_per_second")}
    assert one["steps_total"] >= usage["completion_tokens"] and one["wait_seconds_total"] == 0
    assert 0 < one["alone_seconds_total"] <= one["step_seconds_total"]
    assert one["kv_tokens_limit"] > 0 and one["predicted_tokens_per_second"] > 0
    (runner, state), = labelled(shown, "pomona_runner_state")
    assert runner == {**labels, "rank": "0"} and state == 1
    assert labelled(shown, "pomona_runner_resident_memory_bytes")[0][1] > 1 << 20
    assert float(shown["pomona_runners_started_total"]) >= 1 and shown["pomona_runners_lost_total"] == "0"


def test_prometheus_finds_nothing_wrong(node):
    """Colons, which vLLM's names have, are for rules by custom, which promtool says: those names stay out."""
    text = scrape(node)[0]
    own = [line for line in text.splitlines() if "vllm:" not in line]
    for lines in (text.splitlines(), own):
        check = subprocess.run(["promtool", "check", "metrics"], input="\n".join(lines) + "\n", text=True,
                               capture_output=True, timeout=30)
        said = [line for line in (check.stdout + check.stderr).splitlines() if "vllm:" not in line]
        assert not said, said
    assert check.returncode == 0
