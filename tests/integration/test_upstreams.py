# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_upstreams.py - a gateway before servers of other kinds, that fail in every way."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request

import pytest
import yaml

from support.cluster import (MODEL, MODEL_FILE, POMONA, Node, Stream, free_ports, resident_bytes,
                             wait_until)
from support.gateway import Gateway, entry
from support.upstream import Upstream, chunk


def ask(gateway, stream=False, headers=None, **body):
    """(status, headers, bytes) of a chat."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.api_port, timeout=30)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}],
                       "stream": stream, **body})
    try:
        connection.request("POST", "/v1/chat/completions", body,
                           {"Content-Type": "application/json", **(headers or {})})
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()
    finally:
        connection.close()


@pytest.fixture
def two(tmp_path):
    """A gateway and the two upstreams of its model."""
    with Upstream() as a, Upstream() as b:
        with Gateway(tmp_path, [entry("a", a), entry("b", b)], balancing="round-robin") as gateway:
            yield gateway, a, b


def test_a_request_goes_as_it_came_under_the_name_and_key_of_the_upstream(tmp_path):
    with Upstream() as up:
        (tmp_path / "key").write_text("sk-upstream\n")
        upstream = entry("a", up, there="org/Model-7B", key_file=str(tmp_path / "key"))
        with Gateway(tmp_path, [upstream]) as gateway:
            assert [m["id"] for m in gateway.get("/v1/models")["data"]] == ["m"]
            connection = http.client.HTTPConnection("127.0.0.1", gateway.api_port, timeout=60)
            raw = (b'{ "temperature":0.7000, "model" : "m","x_unknown":[1e400,{"model":"inner"}],'
                   b'"messages":[{"role":"user","content":"\\"model\\":\\"m\\""}]}')
            connection.request("POST", "/chat/completions", raw.replace(b"1e400", b"1e40"),
                               {"Content-Type": "application/json", "Authorization": "Bearer sk-client",
                                "Cookie": "c=1", "TE": "trailers", "Keep-Alive": "5",
                                "x-request-id": "abc", "anthropic-version": "2023-06-01"})
            response = connection.getresponse()
            assert response.status == 200 and response.read() == b'{"id":"x","choices":[]}'
            assert response.headers["x-request-id"] == "abc"
            [sent] = up.requests
            assert sent["path"] == "/v1/chat/completions"
            assert sent["raw"] == raw.replace(b'"m","x', b'"org/Model-7B","x').replace(b"1e400", b"1e40")
            lower = {k.lower(): v for k, v in sent["headers"].items()}
            assert lower["authorization"] == "Bearer sk-upstream"
            assert lower["x-request-id"] == "abc" and lower["anthropic-version"] == "2023-06-01"
            assert not {"cookie", "te", "keep-alive", "expect"} & set(lower), lower
            assert "sk-" not in gateway.log.read_text()


def test_two_readers_of_a_body_see_one_model(tmp_path):
    """A second "model", in escapes or not, must not reach the upstream as another one."""
    with Upstream() as up, Gateway(tmp_path, [entry("a", up, there="real")]) as gateway:
        for raw in (b'{"model":"other","mod\\u0065l":"m","messages":[]}',
                    b'{"model":"other","model":"m","messages":[]}'):
            connection = http.client.HTTPConnection("127.0.0.1", gateway.api_port, timeout=60)
            connection.request("POST", "/v1/chat/completions", raw, {"Content-Type": "application/json"})
            assert connection.getresponse().status == 200
            assert json.loads(up.requests[-1]["raw"], object_pairs_hook=list)[0] == ("model", "real")
            assert up.requests[-1]["raw"].count(b"del\"") == 1


def test_a_stream_comes_through_byte_for_byte(tmp_path):
    with Upstream() as up, Gateway(tmp_path, [entry("a", up)]) as gateway:
        up.events = [": hello\n\n", "event: x\ndata: {}\n\n", chunk("ä"), chunk("\r\n\r\n"),
                     "data: [DONE]\n\n"]
        status, headers, body = ask(gateway, stream=True)
        assert status == 200 and headers["Content-Type"].startswith("text/event-stream")
        assert body.decode() == "".join(up.events)


def test_one_failure_is_not_seen_by_the_client(two):
    gateway, a, b = two
    for plan in ({"status": 503}, {"refuse": True}, {"cut_after": 0}):
        a.then(**plan)
        for i in range(8):      # until a is the one that is asked
            status, _, body = ask(gateway, stream=True)
            assert status == 200 and body.endswith(b"data: [DONE]\n\n"), (plan, body)
            if not a.plans:
                break
            time.sleep(0.2)
        assert not a.plans, "a was never asked"
        time.sleep(1.1)


def test_what_the_client_did_wrong_is_not_repeated(two):
    gateway, a, b = two
    for up in (a, b):
        up.then(status=422, body=b'{"error":{"message":"bad"}}')
    status, _, body = ask(gateway)
    assert status == 422 and body == b'{"error":{"message":"bad"}}'
    assert len(a.requests) + len(b.requests) == 1


def test_an_upstream_that_asks_for_time_is_left_alone(two):
    gateway, a, b = two
    for up in (a, b):
        up.then(status=429, headers={"Retry-After": "2"})
    status, headers, _ = ask(gateway)
    assert status == 429 and headers["retry-after"] == "2"      # both were asked
    assert len(a.requests) == len(b.requests) == 1
    time.sleep(2.1)
    assert ask(gateway)[0] == 200


def test_the_key_of_the_gateway_is_not_the_clients_fault(tmp_path):
    with Upstream() as up, Gateway(tmp_path, [entry("a", up)]) as gateway:
        up.then(status=401)
        status, _, body = ask(gateway)
        assert status == 503 and json.loads(body)["error"]["code"] == "upstream_error"


def test_a_stream_that_breaks_ends_with_an_error_event(tmp_path):
    with Upstream() as up, Gateway(tmp_path, [entry("a", up)]) as gateway:
        for events in (None, [chunk("one"), chunk("two")]):     # cut, or ended early as if it were well
            up.then(**({"cut_after": 2} if events is None else {"events": events}))
            status, _, body = ask(gateway, stream=True)
            lines = body.decode().strip().split("\n\n")
            assert status == 200 and len(lines) == 3, body
            assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "upstream_error"
            assert b"[DONE]" not in body and b"hal" not in body


def test_nobody_there_is_a_503_that_says_so(tmp_path):
    with Gateway(tmp_path, [entry("a", free_ports(1)[0])]) as gateway:
        status, headers, body = ask(gateway)
        assert status == 503 and int(headers["retry-after"]) >= 1, (status, body)


def test_an_upstream_that_is_not_well_is_not_asked_until_it_is(tmp_path):
    with Upstream() as a, Upstream() as b:
        a.is_well = False
        with Gateway(tmp_path, [entry("a", a), entry("b", b)], balancing="round-robin") as gateway:
            wait_until(lambda: "an upstream is down\" upstream=a" in gateway.log.read_text(), 15, "a is down")
            for _ in range(6):
                assert ask(gateway)[0] == 200
            assert len(a.requests) == 0 and len(b.requests) == 6
            a.is_well = True
            wait_until(lambda: "an upstream is up again\" upstream=a" in gateway.log.read_text(), 15, "a is up")
            for _ in range(4):
                assert ask(gateway)[0] == 200
            assert len(a.requests) == 2


def test_a_client_that_leaves_ends_the_work_upstream(tmp_path):
    with Upstream() as up, Gateway(tmp_path, [entry("a", up)]) as gateway:
        up.pause, up.events = 0.02, [chunk("x")] * 1000
        s = socket.create_connection(("127.0.0.1", gateway.api_port))
        body = b'{"model":"m","messages":[],"stream":true}'
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
                  % (len(body), body))
        assert b"data:" in s.recv(65536) + s.recv(65536)
        s.close()
        wait_until(lambda: up.n_left == 1, 2, "the upstream is told")


def test_a_slow_reader_is_cut_and_takes_no_memory(tmp_path):
    with Upstream() as up, Gateway(tmp_path, [entry("a", up)]) as gateway:
        up.events = [chunk("x" * 8000)] * 20000         # 160 MB
        before = resident_bytes(gateway.process.pid)
        body = b'{"model":"m","messages":[],"stream":true}'
        with socket.create_connection(("127.0.0.1", gateway.api_port)) as s:
            s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
                      % (len(body), body))
            wait_until(lambda: up.n_left == 1, 20, "the upstream is left")
            assert resident_bytes(gateway.process.pid) - before < 16 << 20


def test_sigterm_lets_every_accepted_request_end(two):
    gateway, a, b = two
    a.pause = b.pause = 0.2
    answers, threads = [], []
    for i in range(40):
        threads.append(threading.Thread(
            target=lambda i=i: answers.append(ask(gateway, stream=i % 2 == 0))))
        threads[-1].start()
    wait_until(lambda: len(a.requests) + len(b.requests) == 40, 10, "all are under way")
    gateway.process.send_signal(signal.SIGTERM)
    wait_until(lambda: gateway.request("GET", "/readyz")[0] == 503, 2, "it is not ready")
    for thread in threads:
        thread.join()
    assert len(answers) == 40
    assert all(status == 200 for status, _, _ in answers)
    assert all(body.endswith((b"[DONE]\n\n", b"}")) for _, _, body in answers)
    assert gateway.process.wait(10) == 0


def test_a_wrong_file_is_refused_by_line(tmp_path):
    for text, words in (("upstreams:\n  - name: a\n    url: http://x\n    colour: red\n", "colour"),
                        ("upstreams:\n  - {name: a, url: ftp://x, models: [{name: m}]}\n", "http://"),
                        ("balancing: {policy: fastest}\n", "round-robin"),
                        ("upstreams:\n  - {name: a, url: http://x, kind: z, models: [{name: m}]}\n",
                         "ENUM")):
        (tmp_path / "g.yaml").write_text(text)
        done = subprocess.run([POMONA, "serve", "--data", str(tmp_path), "--listen", "127.0.0.1:0",
                               "--gateway-config", str(tmp_path / "g.yaml")], capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 1 and words in done.stderr, done.stderr


def pomona(folder):
    """A node of its own that serves the real model."""
    folder.mkdir()
    port = free_ports(1)[0]
    node = Node(folder.name, 0, port, [POMONA, "serve", "--data", str(folder), "--no-measure",
                                       "--listen", f"127.0.0.1:{port}", "--threads", "1",
                                       "--model", str(MODEL_FILE)], folder / "node.log")
    node.start()
    wait_until(node.health, 20, "the node answers")
    wait_until(lambda: node.health()["instances_ready"] == 1, 30, "the model is placed")
    return node


def test_another_pomona_goes_on_where_one_died(tmp_path):
    nodes = [pomona(tmp_path / "a"), pomona(tmp_path / "b")]
    try:
        upstreams = [entry(n.name, n, kind="pomona") for n in nodes]
        for upstream in upstreams:
            upstream["models"] = [{"name": MODEL}]
        upstreams[0]["weight"] = 1000.0
        with Gateway(tmp_path / "gateway", upstreams) as gateway:
            undisturbed = Stream(nodes[0], max_tokens=300, seed=7, temperature=1)
            undisturbed.join()
            stream = Stream(gateway, max_tokens=300, seed=7, temperature=1)
            wait_until(lambda: stream.n_chunks > 50, 30, "the answer has begun")
            nodes[0].kill()
            stream.join()
            assert stream.is_done and stream.error is None, (stream.error, stream.broken)
            assert stream.texts == undisturbed.texts and stream.finishes == undisturbed.finishes
    finally:
        for node in nodes:
            if node.is_up():
                node.kill(signal.SIGTERM)


def test_a_message_goes_on_where_one_died(tmp_path):
    """Anthropic's words, made of what two upstreams said."""
    nodes = [pomona(tmp_path / "a"), pomona(tmp_path / "b")]
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Tell me a long story."}], "max_tokens": 300,
            "temperature": 0}
    try:
        upstreams = [entry(n.name, n, kind="pomona", model=MODEL) for n in nodes]
        upstreams[0]["weight"] = 1000.0
        status, undisturbed = nodes[1].request("POST", "/v1/messages", body)
        assert status == 200
        with Gateway(tmp_path / "gateway", upstreams) as gateway:
            connection = gateway.connection(60)
            connection.request("POST", "/v1/messages", json.dumps({**body, "stream": True}),
                               {"Content-Type": "application/json"})
            response, events = connection.getresponse(), []
            for line in response:
                if line.startswith(b"data: "):
                    events.append(json.loads(line[6:]))
                if len(events) == 20:
                    nodes[0].kill()
            connection.close()
            kinds = [e["type"] for e in events]
            assert kinds.count("message_start") == 1 and kinds[-1] == "message_stop", kinds[-1]
            text = "".join(e["delta"]["text"] for e in events if e["type"] == "content_block_delta")
            assert text == undisturbed["content"][0]["text"]
            shown = metrics_of(gateway)
            assert shown['pomona_upstream_resumes_total{upstream="b"}'] == "1"
    finally:
        for node in nodes:
            if node.is_up():
                node.kill(signal.SIGTERM)


def test_the_cluster_goes_on_where_an_upstream_died(tmp_path):
    node = pomona(tmp_path / "a")
    try:
        upstream = {**entry("a", node, kind="pomona"), "models": [{"name": MODEL}], "weight": 1000.0}
        with Gateway(tmp_path / "gateway", [upstream], model=str(MODEL_FILE)) as gateway:
            wait_until(lambda: gateway.health()["instances_ready"] == 1, 30, "the model is placed")
            undisturbed = Stream(node, max_tokens=300, seed=7, temperature=1)
            undisturbed.join()
            stream = Stream(gateway, max_tokens=300, seed=7, temperature=1)
            wait_until(lambda: stream.n_chunks > 50, 30, "the answer has begun")
            node.kill()
            stream.join()
            assert stream.is_done and stream.error is None, (stream.error, stream.broken)
            assert stream.texts == undisturbed.texts
            assert "asking another server" in gateway.log.read_text()
    finally:
        if node.is_up():
            node.kill(signal.SIGTERM)


def test_a_node_whose_engine_stands_still_is_not_ready(tmp_path):
    node = pomona(tmp_path / "a")
    try:
        assert node.request("GET", "/readyz")[0] == 200
        [runner] = node.runners()
        os.kill(runner, signal.SIGSTOP)
        status, body = wait_until(lambda: (lambda a: a[0] == 503 and a)(node.request("GET", "/readyz")), 5,
                                  "it says that it is not")
        assert body["status"] == "stalled" and node.request("GET", "/livez")[0] == 200
        wait_until(lambda: node.request("GET", "/readyz")[0] == 200, 5, "the runner was ended")
    finally:
        node.kill(signal.SIGTERM)


def metrics_of(gateway):
    return dict(line.rsplit(" ", 1) for line in gateway.get("/metrics").splitlines() if line[0] != "#")


def test_metrics_tell_what_became_of_the_requests_of_each_upstream(two):
    gateway, a, b = two
    a.then(status=503)
    for _ in range(4):
        assert ask(gateway, stream=True)[0] == 200
    shown = metrics_of(gateway)
    of = lambda name, up: float(shown[f'pomona_upstream_{name}{{upstream="{up}"}}'])
    assert of("requests_total", "a") == len(a.requests) and of("requests_total", "b") == len(b.requests)
    assert (of("failures_total", "a"), of("failures_total", "b")) == (1, 0)
    assert (of("retries_total", "a"), of("retries_total", "b"), of("resumes_total", "b")) == (0, 1, 0)
    assert of("up", "a") == of("up", "b") == 1 and of("requests_outstanding", "a") == 0


def test_every_list_of_models_has_those_of_upstreams(two):
    gateway, a, b = two
    assert [m["id"] for m in gateway.get("/v1/models")["data"]] == ["m"]
    assert gateway.get("/v1/models/m")["id"] == "m"
    assert [m["name"] for m in gateway.get("/api/tags")["models"]] == ["m"]
    assert [m["name"] for m in gateway.get("/api/ps")["models"]] == ["m"]
    status, shown = gateway.request("POST", "/api/show", {"model": "m:latest"})
    assert status == 200 and shown["capabilities"] and shown["model_info"] == {}
    a.is_well = b.is_well = False
    wait_until(lambda: gateway.get("/api/ps")["models"] == [], 20, "it runs nowhere")
    assert [m["name"] for m in gateway.get("/api/tags")["models"]] == ["m"]


def test_what_is_known_of_an_upstream_outlives_other_settings(tmp_path):
    """Keys and limits change often; a server that is down must not be asked again for that."""
    with Upstream() as a, Upstream() as b, Gateway(tmp_path, [entry("a", a), entry("b", b)],
                                                   balancing="round-robin") as gateway:
        for change in ({"limits": {"key": {"concurrent": 9}}}, {"balancing": {"policy": "least-outstanding"}}):
            for _ in range(4):
                assert ask(gateway)[0] == 200
            probes, counted = a.probes, metrics_of(gateway)['pomona_upstream_requests_total{upstream="a"}']
            n_read = gateway.log.read_text().count("were read again")
            settings = yaml.safe_load((tmp_path / "api_gateway.yaml").read_text())
            (tmp_path / "api_gateway.yaml").write_text(yaml.safe_dump({**settings, **change}))
            wait_until(lambda: gateway.log.read_text().count("were read again") > n_read, 10, "it is read")
            assert float(counted) > 0
            assert metrics_of(gateway)['pomona_upstream_requests_total{upstream="a"}'] == counted
            assert "balancing" in change or a.probes <= probes + 1, "a pool was made anew"


def test_settings_that_change_hold_for_the_next_request(tmp_path):
    with Upstream() as a, Upstream() as b, Gateway(tmp_path, [entry("a", a)]) as gateway:
        a.pause = 0.3
        answers = []
        thread = threading.Thread(target=lambda: answers.append(ask(gateway, stream=True)))
        thread.start()
        wait_until(lambda: a.requests, 5, "the first is under way")
        (tmp_path / "api_gateway.yaml").write_text(yaml.safe_dump({"upstreams": [entry("b", b)]}))
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(lambda: ask(gateway)[0] == 200 and b.requests, 5, "b is asked")
        thread.join()
        assert answers[0][0] == 200 and answers[0][2].endswith(b"[DONE]\n\n")


def test_an_answer_from_an_upstream_is_counted_as_one_from_here(tmp_path):
    """The same request, answered here and by another Pomona: the same in metrics and access log."""
    asked = {"model": "m", "prompt": "The capital of France is", "temperature": 0, "max_tokens": 8}
    names = ["prompt_tokens_total", "generation_tokens_total", "cache_looked_up_tokens_total",
             "request_duration_seconds_count", 'requests_finished_total{finished_reason="length"}']
    of_streams = ["time_to_first_token_seconds_count", "inter_token_seconds_count"]
    with Gateway(tmp_path / "far", [], model=str(MODEL_FILE), log={"access": True}) as far:
        upstream = entry("far", far, kind="pomona", there=MODEL)
        with Gateway(tmp_path / "near", [upstream], log={"access": True}) as near:
            for i, (path, more) in enumerate((
                    ("completions", {}),
                    ("completions", {"stream": True, "stream_options": {"include_usage": True}}),
                    ("chat/completions", {"stream": True, "stream_options": {"include_usage": True}}),
                    ("messages", {}), ("messages", {"stream": True}))):
                body = {**asked, "messages": [{"role": "user", "content": "Hi"}], **more}
                del body["messages" if path == "completions" else "prompt"]
                before = [scrape(node) for node in (near, far)]
                connection = http.client.HTTPConnection("127.0.0.1", near.api_port, timeout=60)
                connection.request("POST", f"/v1/{path}", json.dumps(body),
                                   {"Content-Type": "application/json", "x-request-id": f"case-{i}"})
                response = connection.getresponse()
                assert response.status == 200 and response.read()
                connection.close()
                is_streamed = "stream" in more or path == "messages"    # which asks for a stream there

                def counted():
                    """By both alike; the record of a stream is written when its last byte went out."""
                    found = [{name: now[name] - then[name] for name in names + of_streams * is_streamed}
                             for then, now in zip(before, (scrape(node) for node in (near, far)))]
                    tokens = [re.findall(rf"request_id=case-{i} .* prompt_tokens=(\d+) completion_tokens=(\d+) by=", node.log.read_text())
                              for node in (near, far)]
                    return found[0] == found[1] and len(tokens[0]) == 1 and tokens[0] == tokens[1] and found[0]
                same = wait_until(counted, 20, f"{path} {body} is counted alike")
                assert same["generation_tokens_total"] == 8 and same["request_duration_seconds_count"] == 1


def scrape(node):
    """{name without prefix: value}"""
    with urllib.request.urlopen(f"http://127.0.0.1:{node.api_port}/metrics", timeout=10) as answer:
        rows = [line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[:7] == "pomona_"]
    return {name.removeprefix("pomona_"): float(value) for name, value in rows}
