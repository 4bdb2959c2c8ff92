# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_guard.py - who may use the API: keys, scopes, models, and settings read again."""
import json
import os
import signal
import stat
import subprocess
import threading
import time

import pytest

from support.cluster import MODEL, POMONA, wait_until
from support.guarded import Guarded
from support.upstream import Upstream

REQUIRED = "auth: { required: true }\n"
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Guarded(tmp_path_factory.mktemp("guard"), REQUIRED) as guarded:
        yield guarded


def test_without_a_key_only_health_answers(node):
    for path in ("/health", "/livez"):
        assert node.ask("GET", path)[0] == 200
    for method, path in (("GET", "/v1/models"), ("GET", f"/v1/models/{MODEL}"),
                         ("POST", "/v1/chat/completions"), ("GET", "/cluster/state"),
                         ("POST", "/cluster/place"), ("GET", "/v1/v1/models")):
        status, headers, body = node.ask(method, path, body=CHAT if method == "POST" else None)
        assert status == 401, (path, status)
        assert headers["WWW-Authenticate"].startswith("Bearer")
        assert body["error"]["code"] == "invalid_api_key" and "param" in body["error"]
        assert node.keys("list") not in json.dumps(body)


def test_nobody_can_tell_what_another_tenant_asked(node):
    text = " ".join(f"Ship {i} sails." for i in range(40))
    one, same, other = (node.key(name, "--tenant", tenant) for name, tenant in
                        (("one-a", "one"), ("one-b", "one"), ("two-a", "two")))

    def cached(key, **more):
        ask = {"model": MODEL, "prompt": text, "max_tokens": 1, **more}
        status, _, body = node.ask("POST", "/v1/completions", key, ask)
        assert status == 200, body
        return body["usage"]["prompt_tokens_details"]["cached_tokens"]

    assert cached(one) == 0 and cached(same) > 100
    assert cached(other) == 0 and cached(other) > 100
    assert cached(one, cache_salt="x") == 0 and cached(one, cache_salt="x") > 100
    assert node.ask("POST", "/v1/completions", one, {"model": MODEL, "prompt": "a", "cache_salt": 1})[0] == 400


def test_a_key_is_taken_in_both_headers(node):
    key = node.key("both", told=False)
    assert node.ask("GET", "/v1/models", key)[0] == 200
    assert node.ask("GET", "/v1/models", headers={"x-api-key": key})[0] == 200
    assert node.ask("GET", "/v1/models", headers={"Authorization": f"bEARER {key}"})[0] == 200
    status, _, body = node.ask("POST", "/v1/chat/completions", key, CHAT)
    assert status == 200, body


@pytest.mark.parametrize("change", [lambda k: k[:-1], lambda k: k + "0", lambda k: k.upper(),
                                    lambda k: "", lambda k: " ", lambda k: k[:-1] + "\x7f",
                                    lambda k: "' OR 1=1 --", lambda k: "x" * 8000])
def test_nearly_a_key_is_none(node, change):
    key = node.key(f"near-{time.monotonic_ns()}")
    # a byte that no header may have is refused before it is taken for a key
    assert node.ask("GET", "/v1/models", change(key))[0] == (400 if "\x7f" in change(key) else 401)


def test_two_credentials_are_none(node):
    key = node.key("two")
    headers = {"Authorization": f"Bearer {key}", "x-api-key": key}
    assert node.ask("GET", "/v1/models", headers=headers)[0] == 401


def test_a_key_does_what_its_scopes_say(node):
    user, lister, admin = (node.key("user"), node.key("lister", "--scopes", "models"),
                           node.key("admin", "--scopes", "admin"))
    status, _, body = node.ask("GET", "/cluster/state", user)
    assert status == 403 and body["error"]["code"] == "insufficient_scope"
    assert node.ask("POST", "/v1/cluster/unplace", user, {"model": MODEL})[0] == 403
    assert node.ask("GET", "/v1/models", lister)[0] == 200
    assert node.ask("POST", "/v1/chat/completions", lister, CHAT)[0] == 403
    assert node.ask("GET", "/cluster/state", admin)[0] == 200
    assert node.ask("POST", "/v1/chat/completions", admin, CHAT)[0] == 200


def test_a_key_uses_its_models_alone(node):
    key = node.key("narrow", "--models", "another,one")
    status, _, body = node.ask("POST", "/v1/chat/completions", key, CHAT)
    assert status == 403 and body["error"]["code"] == "model_not_allowed", body
    assert node.ask("POST", "/v1/chat/completions", key, {**CHAT, "model": ""})[0] == 403
    wide = node.key("wide", "--models", MODEL)
    assert node.ask("POST", "/v1/chat/completions", wide, CHAT)[0] == 200


def test_a_response_is_its_tenants_alone(node):
    mine, other = node.key("mine"), node.key("other")
    first = {"model": MODEL, "input": "Hi", "max_output_tokens": 2}
    status, _, body = node.ask("POST", "/v1/responses", mine, first)
    assert status == 200, body
    then = {**first, "previous_response_id": body["id"]}
    assert node.ask("POST", "/v1/responses", mine, then)[0] == 200
    status, _, refused = node.ask("POST", "/v1/responses", other, then)
    assert status == 400 and refused["error"]["param"] == "previous_response_id"
    own = f"/v1/responses/{body['id']}"
    for method, path in (("GET", own), ("GET", f"{own}/input_items"), ("POST", f"{own}/cancel"),
                         ("DELETE", own)):
        assert node.ask(method, path)[0] == 401
        assert node.ask(method, path, other, {} if method == "POST" else None)[0] == 404, (method, path)
    assert node.ask("GET", own, mine)[2]["id"] == body["id"]
    assert node.ask("DELETE", own, mine)[2]["deleted"] is True
    assert node.ask("GET", own, mine)[0] == 404


def test_each_api_words_its_refusal(node):
    _, _, body = node.ask("POST", "/v1/messages", body={})
    assert body["type"] == "error" and body["error"]["type"] == "authentication_error"
    _, _, body = node.ask("POST", "/api/chat", body={})
    assert isinstance(body["error"], str)


def test_an_upstream_is_guarded_like_the_cluster(tmp_path):
    with Upstream() as up:
        settings = REQUIRED + json.dumps({"upstreams": [
            {"name": "up", "url": f"http://127.0.0.1:{up.port}/v1", "kind": "openai",
             "models": [{"name": "m"}]}]})[1:-1]
        with Guarded(tmp_path, settings) as node:
            narrow = node.key("narrow", "--models", "another")
            few = node.key("few", "--tpm", "1000")
            chat = {**CHAT, "model": "m"}
            assert node.ask("POST", "/v1/chat/completions", body=chat)[0] == 401
            status, _, body = node.ask("POST", "/v1/chat/completions", narrow, chat)
            assert status == 403 and body["error"]["code"] == "model_not_allowed"
            assert up.requests == []
            assert node.ask("POST", "/v1/chat/completions", few, chat)[0] == 200
            status, _, body = node.ask("POST", "/v1/chat/completions", few, {**chat, "max_tokens": 5000})
            assert status in (400, 429) and len(up.requests) == 1


def test_a_revoked_key_ends_within_seconds(node):
    key = node.key("short-lived")
    node.keys("revoke", "short-lived")
    wait_until(lambda: node.ask("GET", "/v1/models", key)[0] == 401, 3, "the key is gone")


def test_keys_lie_hashed_and_for_the_owner_alone(node):
    key = node.key("secret")
    path = node.data / "api_keys.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key not in path.read_text() and key[10:] not in path.read_text()
    assert "secret" in node.keys("list") and key not in node.keys("list")
    assert key not in node.log()


def test_many_creators_lose_no_key(node):
    done = [subprocess.Popen([POMONA, "keys", "create", f"many-{i}", "--data", str(node.data)],
                             stdout=subprocess.DEVNULL) for i in range(10)]
    assert [p.wait(20) for p in done] == [0] * 10
    assert node.keys("list").count("many-") == 10


def test_the_command_line_sends_its_key(node):
    admin = node.key("operator", "--scopes", "admin")
    command = [POMONA, "status", "--api", f"http://127.0.0.1:{node.port}"]
    plain = {k: v for k, v in os.environ.items() if k != "POMONA_API_KEY"}
    refused = subprocess.run(command, env=plain, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and "key" in refused.stderr, refused
    done = subprocess.run(command, env={**plain, "POMONA_API_KEY": admin}, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_wrong_file_is_told_with_its_line_and_changes_nothing(tmp_path):
    with Guarded(tmp_path, REQUIRED) as node:
        key = node.key("still")
        node.config.write_text("auth:\n  required: perhaps\n")
        wait_until(lambda: "api_gateway.yaml:2:13" in node.log(), 5, "the mistake is told")
        assert node.ask("GET", "/v1/models")[0] == 401
        assert node.ask("GET", "/v1/models", key)[0] == 200
        node.keys("revoke", "still")    # a mistake there does not keep a revoked key alive
        wait_until(lambda: node.ask("GET", "/v1/models", key)[0] == 401, 5, "the key is gone")
        node.config.write_text("auth: { required: false }\n")
        wait_until(lambda: node.ask("GET", "/v1/models")[0] == 200, 5, "the file is good again")


def test_a_node_does_not_start_with_a_wrong_file(tmp_path):
    path = tmp_path / "api_gateway.yaml"
    path.write_text("auth:\n  requird: true\n")
    done = subprocess.run([POMONA, "serve", "--data", str(tmp_path), "--listen", "127.0.0.1:0",
                           "--gateway-config", str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and f"{path}:2:" in done.stderr, done.stderr


def test_sighup_under_load_fails_no_request(tmp_path):
    with Guarded(tmp_path, REQUIRED) as node:
        key = node.key("busy")
        wrong, n_done = [], [0] * 4
        is_over = threading.Event()

        def ask(i):
            while not is_over.is_set():
                status, _, body = node.ask("POST", "/v1/chat/completions", key,
                                           {**CHAT, "stream": i % 2 == 0})
                n_done[i] += 1
                if status != 200 or (i % 2 == 0 and "[DONE]" not in body):
                    wrong.append((status, body))

        askers = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
        for asker in askers:
            asker.start()
        for i in range(20):
            node.config.write_text(f"{REQUIRED}limits: {{ key: {{ concurrent: {100 + i} }} }}\n")
            node.node.process.send_signal(signal.SIGHUP)
            time.sleep(0.15)
        is_over.set()
        for asker in askers:
            asker.join(60)
        assert not wrong and min(n_done) > 0, (wrong[:3], n_done)
        assert node.log().count("were read again") >= 10
