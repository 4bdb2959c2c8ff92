# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_api_metrics.py - what /metrics counts is true, well formed and documented."""
import os
import re
import subprocess
from pathlib import Path

import pytest

from support.cluster import MODEL, one_node

PROMPT = {"model": MODEL, "prompt": "The capital of France is", "temperature": 0, "max_tokens": 8}
DOCUMENT = Path(os.environ["POMONA_SOURCE"]) / "docs" / "metrics.md"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with one_node(tmp_path_factory.mktemp("node")) as node:
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


def test_each_metric_is_documented_and_nothing_else(node):
    shown = {line.split()[2]: line.split()[3] for line in scrape(node)[0].splitlines() if "# TYPE" in line}
    rows = re.findall(r"^\| `([^`]+)` \| (?:`([^`]+)`)? *\| (\w+) \|", DOCUMENT.read_text(), re.M)
    written = {name: kind for row in rows for name, kind in ((row[0], row[2]), (row[1], row[2])) if name}
    assert written == shown


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
