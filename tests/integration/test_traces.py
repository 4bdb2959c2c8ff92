# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_traces.py - what was done for a request, on every node, is one tree; and tells nothing else.

A gateway passes requests on to a cluster of two nodes that hold half of the model each. All three tell their spans to
one collector (support/collector.py).
"""
import concurrent.futures
import http.client
import json
import os
import secrets
import signal
import subprocess
import time

import jwt
import pytest
import yaml

from support.cluster import MODEL, POMONA, Cluster, Stream, free_ports, wait_until
from support.collector import Collector
from support.gateway import Gateway, entry
from support.monitoring import Monitor

SERVER, CLIENT = 2, 3
OF_AN_INSTANCE = {"queue", "prefill", "decode", "steps"}


def parent(is_sampled=True):
    """(trace id, span id, traceparent) of a client."""
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    return trace_id, span_id, f"00-{trace_id}-{span_id}-{'01' if is_sampled else '00'}"


def post(node, path, body, headers=None, timeout=120):
    """(status, JSON, the last line of it)."""
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=timeout)
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        return response.status, json.loads(response.read().splitlines()[-1])
    finally:
        connection.close()


def complete(node, traceparent=None, n=6, **more):
    return post(node, "/v1/completions", {"model": MODEL, "prompt": "Once upon a time", "max_tokens": n,
                                          "min_tokens": n, "temperature": 0, **more},
                {"traceparent": traceparent, "x-request-id": "asked-by-test"} if traceparent else None)


def settings(folder, name, url, ratio=0, **more):
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"metrics": {"off": True}, **more, "traces": {
        "endpoint": url, "ratio": ratio, "service_name": f"pomona-{name}"}}))
    return path


@pytest.fixture(scope="module", name="world")
def world_fixture(tmp_path_factory):
    """(collector, gateway, cluster) of which the instance is on both nodes."""
    folder = tmp_path_factory.mktemp("world")
    with Collector() as collector:
        options = ("--gateway-config", str(settings(folder, "cluster", collector.url)))
        with Cluster(folder, names="ab", options=options) as cluster:
            cluster.start()
            cluster.place("a", nodes=["a", "b"], split=[15, 15])
            front = [entry("cluster", cluster["a"], kind="pomona", model=MODEL)]
            with Gateway(folder / "front", front, metrics={"off": True}, traces={
                    "endpoint": collector.url + "/v1/traces/", "ratio": 1, "service_name": "front"}) as gateway:
                yield collector, gateway, cluster


def tree_of(collector, trace_id, names):
    """{name: [span]} of a trace once it has spans of all these names, in one tree."""
    spans = collector.wait_for(lambda found: names <= {s.name for s in found}, f"spans {names}", trace_id)
    ids = [s.span_id for s in spans]
    assert len(ids) == len(set(ids))
    by_id, tree = {s.span_id: s for s in spans}, {}
    for s in spans:
        tree.setdefault(s.name, []).append(s)
        assert s.begin <= s.end, s
    roots = [s for s in spans if s.parent_id not in by_id]
    assert len(roots) == 1, [(s.name, s.node, s.parent_id) for s in roots]
    return roots[0], by_id, tree


def below(by_id, span):
    return by_id[span.parent_id]


def test_a_request_is_one_tree_over_gateway_and_both_nodes(world):
    collector, gateway, cluster = world
    trace_id, client_span, traceparent = parent()
    status, answer = complete(gateway, traceparent, n=6)
    assert status == 200, answer
    names = OF_AN_INSTANCE | {"POST /completions", "forward", f"text_completion {MODEL}"}
    root, by_id, tree = tree_of(collector, trace_id, names)

    servers = sorted(tree["POST /completions"], key=lambda s: s.begin)
    assert root == servers[0] and root.parent_id == client_span and root.service == "front"
    assert {s.kind for s in servers} == {SERVER} and servers[1].node == "a"
    forward, = tree["forward"]
    assert forward.kind == CLIENT and below(by_id, forward) == root and below(by_id, servers[1]) == forward
    assert forward.attributes["pomona.upstream"] == "cluster"
    asked, = tree[f"text_completion {MODEL}"]
    assert below(by_id, asked) == servers[1]

    assert all(below(by_id, tree[name][0]) == asked and len(tree[name]) == 1 for name in OF_AN_INSTANCE)
    queue, prefill, decode, steps = (tree[name][0] for name in ("queue", "prefill", "decode", "steps"))
    assert {queue.node, prefill.node, decode.node} == {"b"}, "the driver is the last rank"
    assert steps.node == "a" and steps.attributes["pomona.rank"] == 0
    assert queue.end == prefill.begin and prefill.end == decode.begin
    assert steps.begin < prefill.end + 20e6, "of one machine all clocks are the same, about"
    assert decode.attributes["gen_ai.usage.output_tokens"] == 6
    n_prompt = answer["usage"]["prompt_tokens"]
    assert prefill.attributes["gen_ai.usage.input_tokens"] == n_prompt
    assert steps.attributes["pomona.rows"] >= n_prompt + 5 and steps.attributes["pomona.steps"] >= 2
    assert 0 < steps.attributes["pomona.busy_seconds"] * 1e9 <= steps.end - steps.begin
    for server in servers:
        said = server.attributes
        assert said["http.response.status_code"] == 200 and said["http.route"] == "/completions"
        assert said["http.request.method"] == "POST" and not server.failed
        assert said["gen_ai.request.model"] == MODEL and said["gen_ai.operation.name"] == "text_completion"
        assert (said["gen_ai.usage.input_tokens"], said["gen_ai.usage.output_tokens"]) == (n_prompt, 6)
    assert servers[1].events == ["first_token"]
    assert 0 < servers[1].attributes["pomona.time_to_first_token_seconds"]
    assert {s.attributes["request_id"] for s in by_id.values()} == {"asked-by-test"}


def test_who_comes_with_a_traceparent_has_decided_and_of_others_the_ratio_does(world):
    collector, gateway, cluster = world
    unsampled = parent(is_sampled=False)
    for node in (gateway, cluster["a"]):
        assert complete(node, unsampled[2])[0] == 200
    n_before = {s.trace_id for s in collector.spans()}
    assert complete(cluster["a"])[0] == 200       # a ratio of 0
    assert complete(gateway)[0] == 200            # a ratio of 1
    last = parent()
    for node in (gateway, cluster["a"]):
        assert complete(node, last[2])[0] == 200
    collector.wait_for(lambda spans: len([s for s in spans if s.name == "steps"]) == 2, "the last ones came", last[0])
    new = {s.trace_id for s in collector.spans()} - n_before - {last[0]}
    assert len(new) == 1, "the gateway's own, of which its upstream told, too"
    assert {s.service for s in collector.spans(new.pop())} == {"front", "pomona-cluster"}
    assert unsampled[0] not in {s.trace_id for s in collector.spans()}


def test_what_is_no_traceparent_begins_a_new_trace(world):
    collector, gateway, _ = world
    trace_id, span_id, _ = parent()
    for wrong in (f"00-{trace_id}-{span_id}", f"00-{trace_id.upper()}-{span_id}-01", f"ff-{trace_id}-{span_id}-01",
                  f"00-{'0' * 32}-{span_id}-01", f"00-{trace_id}-{'0' * 16}-01", f"00-{trace_id}-{span_id}-01-x"):
        known = {s.trace_id for s in collector.spans()}
        assert complete(gateway, wrong, n=1)[0] == 200
        new = collector.wait_for(lambda spans, known=known: {s.trace_id for s in spans} - known, "a new trace")
        assert trace_id not in {s.trace_id for s in new}, wrong


def test_canceled_and_refused_requests_are_told_as_that(world):
    collector, _, cluster = world
    trace_id, _, traceparent = parent()
    assert post(cluster["a"], "/v1/completions", {"model": "secret-name-of-none", "prompt": "x"},
                {"traceparent": traceparent})[0] == 404
    refused, = collector.wait_for(lambda spans: spans, "the refusal", trace_id)
    assert refused.attributes["http.response.status_code"] == 404 and not refused.failed
    assert "gen_ai.request.model" not in refused.attributes, "it is a client's text"

    trace_id, _, traceparent = parent()
    connection = http.client.HTTPConnection("127.0.0.1", cluster["a"].api_port, timeout=60)
    connection.request("POST", "/v1/completions", json.dumps({
        "model": MODEL, "prompt": "Once", "max_tokens": 4000, "min_tokens": 4000, "stream": True}),
        {"Content-Type": "application/json", "traceparent": traceparent})
    connection.getresponse().readline()
    connection.close()
    _, _, tree = tree_of(collector, trace_id, {"POST /completions", "decode", "steps"})
    assert tree["decode"][0].attributes["pomona.canceled"] is True
    assert tree["POST /completions"][0].attributes["pomona.client_left"] is True


def test_a_collector_that_refuses_is_asked_again_when_it_says(tmp_path):
    busy = (503, {"Retry-After": "1"}, b"")
    with Collector(answers=[busy]) as collector:
        path = tmp_path / "headers"
        path.write_text("# of the collector\nx-collector-key: k1\n")
        with Gateway(tmp_path / "node", [], model=MODEL_PATH, metrics={"off": True}, traces={
                "endpoint": collector.url, "ratio": 1, "headers_file": str(path)}) as node:
            assert complete(node)[0] == 200
            spans = collector.wait_for(lambda found: "decode" in {s.name for s in found}, "a whole request")
            assert collector.refused and collector.headers[0]["x-collector-key"] == "k1"
            sent = [line for line in node.get("/metrics").splitlines() if line.startswith("pomona_trace_spans_sent")]
            assert int(sent[0].split()[-1]) >= len(spans)


MODEL_PATH = os.environ["POMONA_TEST_MODEL"]


def test_a_collector_that_is_down_costs_spans_alone(tmp_path):
    environment = [f"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:{free_ports(1)[0]}", "OTEL_TRACES_SAMPLER_ARG=1"]
    with Gateway(tmp_path, [], model=MODEL_PATH, metrics={"off": True}, environment=environment) as node:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: complete(node, n=4), range(40)))
        assert all(status == 200 for status, _ in answers)
        assert len({answer["choices"][0]["text"] for _, answer in answers}) == 1
        wait_until(lambda: "traces do not reach their collector" in node.log.read_text(), 30, "it is said")
        assert node.log.read_text().count("traces do not reach") == 1
        assert "pomona_trace_spans_sent_total 0" in node.get("/metrics")


def test_an_answer_that_goes_on_elsewhere_tells_of_that(tmp_path):
    with Collector() as collector:
        options = ("--gateway-config", str(settings(tmp_path, "c", collector.url)))
        with Cluster(tmp_path, names="ab", options=options) as cluster:
            cluster.start()
            cluster.place("a", nodes=["b"])
            trace_id, _, traceparent = parent()
            stream = Stream(cluster["a"], 300, headers={"traceparent": traceparent}, temperature=0)
            wait_until(lambda: stream.n_chunks > 3 or stream.ended_at, 60, "it runs")
            os.kill(cluster["b"].runners()[0], signal.SIGKILL)
            stream.join(180)
            assert stream.is_done and stream.error is None, (stream.error, stream.broken)
            root, by_id, tree = tree_of(collector, trace_id, {"POST /completions", "resume", "placement", "decode"})
            assert all(below(by_id, s) == root for s in tree["resume"] + tree[f"text_completion {MODEL}"])
            first, second = sorted(tree[f"text_completion {MODEL}"], key=lambda s: s.begin)
            (resume,), placement = tree["resume"], tree["placement"][-1]
            assert resume.begin <= placement.begin and placement.end <= resume.end and below(by_id, placement) == root
            assert placement.attributes["pomona.instance"] == second.attributes["pomona.instance"]
            assert first.failed and not second.failed and not resume.failed
            assert resume.attributes["pomona.lost_instance"] == first.attributes["pomona.instance"]
            assert first.attributes["pomona.instance"] != second.attributes["pomona.instance"]
            assert [below(by_id, s) for s in tree["decode"]] == [second], "the other driver told nothing any more"


# What is nobody's business but the client's.
MARKS = {name: f"MARK{name}{secrets.token_hex(6)}" for name in ("prompt", "answer", "user", "secret", "header", "name")}


def files_with_marks(folder, marks, but=()):
    """(file, mark), of every file below but those and the model's."""
    found = []
    for path in folder.rglob("*"):
        if not path.is_file() or path in but or path.suffix == ".gguf" or ".panels" in str(path) \
                or path.is_symlink():
            continue
        content = path.read_bytes()
        found += [(path.name, name) for name, mark in marks.items() if mark.encode() in content]
    return found


def test_no_prompt_answer_key_or_token_is_in_logs_history_metrics_or_traces(tmp_path):
    secret, headers = tmp_path / "secret", tmp_path / "headers"
    secret.write_text(MARKS["secret"] + "-0123456789abcdef0123456789abcdef")
    headers.write_text(f"x-collector-key: {MARKS['header']}\n")
    issuer = {"issuer": "https://issuer.test/", "audiences": ["pomona"], "algorithms": ["HS256"],
              "secret_file": str(secret)}
    with Collector() as collector:
        config = settings(tmp_path, "guarded", collector.url, log={"access": True},
                          auth={"required": True, "issuers": [issuer]})
        config.write_text(config.read_text().replace("  ratio: 0\n", f"  ratio: 1\n  headers_file: {headers}\n"))
        with Cluster(tmp_path, names="ab", options=("--gateway-config", str(config), "--dev")) as cluster:
            key = subprocess.run([POMONA, "keys", "create", "tester", "--scopes", "chat,models,admin",
                                  "--data", str(tmp_path / "data")],
                                 capture_output=True, text=True, timeout=60, check=True).stdout.strip()
            now = int(time.time())
            token = jwt.encode({"iss": issuer["issuer"], "aud": "pomona", "sub": MARKS["user"], "iat": now,
                                "exp": now + 600, "scope": "chat models"}, secret.read_text(), "HS256")
            marks = {**MARKS, "key": key, "token": token, "signature": token.split(".")[2]}
            del marks["user"]    # a token's subject is its name in the access log
            cluster.start()
            with Monitor(tmp_path / "monitor", [(n.name, n.api_port) for n in cluster.nodes.values()],
                         environment={"POMONA_API_KEY": key}) as monitor:
                metrics = talk(cluster, collector, key, token)
                wait_until(lambda: (tmp_path / "monitor/data").exists(), 30, "there is a history")
                metrics += monitor.get("/metrics") + json.dumps(monitor.get("/health"))
                text = "".join(body.decode() for body in collector.bodies)
                assert len(collector.spans()) > 10 and metrics
                for name, mark in marks.items():
                    assert mark not in text + metrics, name
        said = "".join((tmp_path / f"{name}.log").read_text() for name in "ab")
        assert "a request at its driver" in said and "request answered" in said, "runners tell all, and the access log is on"
        kept = tmp_path / "planted"
        kept.write_text(marks["prompt"])
        assert files_with_marks(tmp_path, marks, {secret, headers}) == [("planted", "prompt")]


def talk(cluster, collector, key, token):
    """Requests that bear the marks, in each way that there is; what /metrics says afterwards."""
    def ask(node, path, body, bearer):
        return post(node, path, body, {"Authorization": f"Bearer {bearer}"})

    status, answer = ask(cluster["a"], "/cluster/place", {"model": MODEL, "nodes": ["a", "b"]}, key)
    assert status == 200 and "instance" in answer, answer
    words = {"type": "object", "properties": {"word": {"const": MARKS["answer"]}}, "required": ["word"],
             "additionalProperties": False}
    body = {"model": MODEL, "messages": [{"role": "user", "content": MARKS["prompt"]}], "max_tokens": 120,
            "response_format": {"type": "json_schema", "json_schema": {"name": "words", "schema": words}}}
    plain = {name: value for name, value in body.items() if name != "response_format"}
    for node, bearer in ((cluster["a"], key), (cluster["b"], token)):
        status, answer = ask(node, "/v1/chat/completions", body, bearer)
        assert status == 200, answer
        assert MARKS["answer"] in answer["choices"][0]["message"]["content"]
        assert ask(node, "/v1/chat/completions", {**plain, "model": MARKS["name"]}, bearer)[0] == 404
        assert ask(node, "/v1/chat/completions", {**plain, "max_tokens": MARKS["prompt"]}, bearer)[0] == 400
        assert ask(node, f"/v1/models/{MARKS['name']}?q={MARKS['prompt']}", {}, bearer)[0] in (404, 405)
        assert ask(node, "/v1/chat/completions", body, "sk-" + MARKS["name"])[0] == 401
    collector.wait_for(lambda spans: {"decode", "steps"} <= {s.name for s in spans}, "traces of it")
    connection = http.client.HTTPConnection("127.0.0.1", cluster["a"].api_port, timeout=60)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {key}"})
    return connection.getresponse().read().decode()
