# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_logs.py - lines are structured, say who and about which request, and nothing of content.

Each format has a node that logs all, is asked with marked words and keys, well and badly, and fails; none
of the marks may be in its log.
"""
import contextlib
import json
import re
import signal
import subprocess

import pytest

from support.cluster import MODEL, POMONA, wait_until
from support.gateway import entry
from support.guarded import Guarded
from support.upstream import Upstream

PROMPT, KEY, TOKEN = "mark-of-a-prompt", "mark-of-a-key", "mark-of-a-token"
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 4}

LOGFMT = re.compile(r'ts=\S+Z level=(debug|info|warn|error) component=[a-z]+( [a-z0-9_]+=("([^"\\]|\\.)*"|[^\s"=]+))+')
PRETTY = re.compile(r"\d\d:\d\d:\d\d (debug|info |warn |error) [a-z]+: \S.*")


def settings(up, level=None):
    """Keys are needed, and there is an upstream that is asked with a key."""
    log = {"access": True, **({"level": level} if level else {})}
    return json.dumps({"auth": {"required": True}, "log": log, "metrics": {"off": True}, "upstreams": [entry("up", up)]})


def fields(line):
    """Of a line of logfmt."""
    found = re.findall(r'([a-z0-9_]+)=("(?:[^"\\]|\\.)*"|\S+)', line)
    return {key: json.loads(value) if value.startswith('"') else value for key, value in found}


def ask_in_all_ways(node, up, key):
    said = []
    for body in (CHAT, {**CHAT, "stream": True}, {**CHAT, "response_format": {"type": "json_object"}},
                 {**CHAT, "grammar": f'root ::= "{PROMPT}" ('}, {**CHAT, "max_tokens": PROMPT},
                 {**CHAT, "model": PROMPT[:8] + "none"}, {**CHAT, "tools": [{"type": PROMPT}]}):
        said.append(node.ask("POST", "/v1/chat/completions", key, body, {"x-request-id": f"asked-{len(said)}"}))
    assert [s[0] for s in said[:3]] == [200] * 3 and all(s[0] >= 400 for s in said[3:]), said
    node.ask("POST", "/v1/completions", key, {"model": MODEL, "prompt": PROMPT, "echo": True, "max_tokens": 2})
    node.ask("POST", "/v1/responses", key, {"model": MODEL, "input": PROMPT, "max_output_tokens": 2,
                                            "tools": [{"type": "web_search", "name": PROMPT}]})
    node.ask("POST", "/v1/embeddings", key, {"model": MODEL, "input": PROMPT})
    node.ask("GET", f"/v1/{PROMPT}?q={PROMPT}", key)
    node.ask("GET", "/v1/models", KEY)
    node.ask("GET", "/v1/models", f"{TOKEN}.{TOKEN}.{TOKEN}")
    # An upstream that fails and repeats what it was asked.
    echo = json.dumps({"error": {"message": PROMPT, "type": PROMPT}}).encode()
    for plan in ({"status": 400, "body": echo}, {"status": 500, "body": echo}, {"status": 200, "body": b"{" + echo},
                 {"refuse": True}, {"events": [f"data: {{{PROMPT}\n\n"]}):
        for path in ("/v1/chat/completions", "/v1/messages"):
            up.then(**plan)
            with contextlib.suppress(ValueError):    # what is no JSON is passed on
                node.ask("POST", path, key, {**CHAT, "model": "m", "stream": "events" in plan})


def check_lines(log, is_line):
    lines = log.splitlines()
    assert len(lines) > 10
    wrong = [line for line in lines if not is_line(line)]
    assert not wrong, wrong[:3]


@pytest.mark.parametrize("form, is_line", [
    ("logfmt", LOGFMT.fullmatch), ("json", json.loads), ("pretty", PRETTY.fullmatch), ("journal", LOGFMT.fullmatch)])
def test_no_format_tells_what_was_asked_or_by_what_key(tmp_path, form, is_line):
    """Without a journal its lines go to standard error as logfmt."""
    with Upstream() as up, Guarded(tmp_path, settings(up), "--log-level", "debug", "--log-format", form) as node:
        key = node.key("asker")
        ask_in_all_ways(node, up, key)
        wait_until(lambda: node.log().count("request answered") > 15, 30, "all is in the access log")
    log = node.log()
    check_lines(log, is_line)
    assert "asked-0" in log and "debug" in log
    for mark in (PROMPT, KEY, TOKEN, key):
        assert mark not in log, [line for line in log.splitlines() if mark in line][:2]


def test_a_line_says_who_and_about_which_request(tmp_path):
    with Upstream() as up, Guarded(tmp_path, settings(up, "debug")) as node:
        key = node.key("asker")
        assert node.ask("POST", "/v1/chat/completions", key, CHAT)[0] == 200
        wait_until(lambda: said_by_runner(node, "the log level is the node's"), 60, "the runner tells all")
        assert node.ask("POST", "/v1/chat/completions", key, CHAT, {"x-request-id": "mine-1"})[0] == 200
        for _ in range(8):
            up.then(refuse=True)
        node.ask("POST", "/v1/chat/completions", key, {**CHAT, "model": "m"}, {"x-request-id": "mine-2"})
        wait_until(lambda: '"request answered" request_id=mine-2' in node.log(), 30, "both are told")
    lines = [fields(line) for line in node.log().splitlines()]
    mine = [line for line in lines if line.get("request_id") == "mine-1"]
    done, answered = (next(line for line in mine if line["msg"] == m) for m in ("a request is done", "request answered"))
    assert done["component"] == "flow" and done["model"] == MODEL and done["completion_tokens"] == "4"
    assert answered["component"] == "access" and answered["status"] == "200" and answered["by"] == "key:asker"
    assert any(line.get("request_id") == "mine-2" and line["level"] == "warn" and "error" in line for line in lines)
    driver = [line for line in mine if line["component"] == "execute"]
    assert [line["state"] for line in driver] == ["begun", "finished"] and driver[0]["instance"] == done["instance"]
    ready = next(line for line in lines if line["component"] == "execute" and line["msg"].startswith("ready"))
    assert ready["node"] == "local" and ready["rank"] == "0" and ready["instance"] == done["instance"]
    assert {line["node"] for line in lines} == {"local"}


def said_by_runner(node, text):
    return any(text in line for line in node.log().splitlines() if "component=execute" in line)


def test_levels_change_while_it_runs(tmp_path):
    with Upstream() as up, Guarded(tmp_path, settings(up, level="warn")) as node:
        key = node.key("boss", "--scopes", "admin,chat")

        def level(*words, status=0):
            done = subprocess.run([POMONA, "log-level", "--api", f"http://127.0.0.1:{node.port}", *words],
                                  capture_output=True, text=True, timeout=60, check=False,
                                  env={"POMONA_API_KEY": key})
            assert done.returncode == status, done.stderr
            return done.stdout.strip() or done.stderr

        assert node.ask("POST", "/v1/chat/completions", key, CHAT)[0] == 200
        assert level() == "warn" and "level=info" not in node.log()

        # By the command: the node's component, and its runners, too.
        assert level("warn,access=info,execute=debug") == "warn,access=info,execute=debug"
        wait_until(lambda: said_by_runner(node, "the log level is the node's"), 30, "the runner heard of it")
        assert node.ask("GET", "/v1/models", key, headers={"x-request-id": "mine-1"})[0] == 200
        wait_until(lambda: "component=access" in node.log() and "request_id=mine-1" in node.log(), 30, "it is told")
        assert "component=flow" not in node.log() and "component=cmd" not in node.log()

        # What is wrong is refused; who is no admin may not.
        assert "nothing called 'engine'" in level("info,engine=debug", status=1)
        status, _, answer = node.ask("POST", "/cluster/log-level", key, {"level": "loud"})
        assert status == 400 and "'loud'" in answer["error"]["message"]
        assert node.ask("POST", "/cluster/log-level", node.key("guest", told=False), {"level": "debug"})[0] == 403
        assert level() == "warn,access=info,execute=debug", "a new key does not undo it"

        # By the settings, when they say another, and on SIGHUP.
        node.config.write_text(settings(up, level="info,cluster=error"))
        wait_until(lambda: level() == "info,cluster=error", 30, "the file was read")
        level("error")
        node.node.process.send_signal(signal.SIGHUP)
        wait_until(lambda: level() == "info,cluster=error", 30, "it is as the file says")
        node.config.write_text(settings(up, level="info,clutter=error"))
        wait_until(lambda: "nothing called 'clutter'" in node.log(), 30, "the mistake is told")
        assert level() == "info,cluster=error"


@pytest.mark.parametrize("option, words", [("--log-level", "'loud'"), ("--log-format", "'xml'")])
def test_a_wrong_option_is_refused(tmp_path, option, words):
    done = subprocess.run([POMONA, "serve", "--data", str(tmp_path), option, words.strip("'")],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and words in done.stderr
