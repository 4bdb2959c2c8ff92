# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_priorities.py - who yields to others, and for how long."""
import os
import signal
import threading

from support.cluster import MODEL, wait_until
from support.guarded import Guarded

SETTINGS = """auth: { required: true }
queue: { wait_s: 2 }
limits: { tenants: [ { name: night, priority: batch } ] }
"""
ASK = {"model": MODEL, "prompt": "The capital of France is", "temperature": 0, "max_tokens": 8}


def queued(node, admin):
    text = node.ask("GET", "/metrics", admin)[2]
    return {line.split()[0]: line.split()[1] for line in text.splitlines() if line.startswith("pomona_queue")}


def test_a_batch_yields_for_a_while_and_is_answered(tmp_path):
    """Of a key, of a tenant of the settings, of a request: one that waits too long is asked for once more."""
    with Guarded(tmp_path, SETTINGS) as node:
        admin = node.key("root", "--scopes", "admin")
        asks = [(node.key("quick"), {"service_tier": "flex"}), (node.key("slow", "--priority", "batch"), {}),
                (node.key("of-night", "--tenant", "night"), {})]
        assert "(batch)" in node.keys("list")
        expected = node.ask("POST", "/v1/completions", asks[0][0], ASK)[2]["choices"]
        assert "yielded" not in node.log()
        [runner] = node.node.runners()
        for i, (key, more) in enumerate(asks):
            answers = []
            thread = threading.Thread(target=lambda: answers.append(
                node.ask("POST", "/v1/completions", key, {**ASK, **more})))
            os.kill(runner, signal.SIGSTOP)     # it is ended after two seconds
            try:
                thread.start()
                wait_until(lambda: queued(node, admin)["pomona_queue_batch_requests"] == "1", 5, "it waits")
                wait_until(lambda: node.log().count("yielded to others") == i + 1, 5, "it yielded for long")
            finally:
                os.kill(runner, signal.SIGCONT)
            thread.join()
            status, _, answer = answers[0]
            assert status == 200 and answer["choices"] == expected, answer
            assert queued(node, admin)["pomona_queue_batch_requests"] == "0"
