# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_signals.py - a node that is asked to end under load lets every accepted answer end.

Answers of its own model, streamed and whole, and some whose grammar is being compiled.  With
POMONA_TEST_FULL=1 twenty times.
"""
import http.client
import json
import os
import re
import signal
import threading

import pytest

from support.cluster import MODEL, Stream, one_node, wait_until

TIMES = 20 if os.environ.get("POMONA_TEST_FULL") else 1
N = 12 if os.environ.get("POMONA_SANITIZE") else 24    # a node that ends waits for 5 s
N_ASKED = 16
SHORT = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": N, "min_tokens": N, "temperature": 0}


def running(node):
    found = re.search(r"^pomona_sequences_running (\d+)", node.get("/metrics"), re.M)
    return int(found.group(1))


class Asked:
    """Sixteen requests at once."""

    def __init__(self, node):
        self.whole, self.held = [], []

        def ask(into, **more):
            into.append(node.request("POST", "/v1/completions", {**SHORT, **more}, timeout=120))

        self.streams = [Stream(node, max_tokens=N, temperature=0) for _ in range(6)]
        self.askers = [threading.Thread(target=ask, args=(self.whole,)) for _ in range(6)]
        self.askers += [threading.Thread(target=ask, args=(self.held,), kwargs={
            "guided_regex": f"[a-z]{{60,{500 + i}}}", "min_tokens": 0}) for i in range(4)]
        for asker in self.askers:
            asker.start()

    def is_over(self):
        return not any(thread.is_alive() for thread in self.askers + self.streams)

    def assert_answered(self, text):
        for thread in self.askers + self.streams:
            thread.join(60)
        assert all(s.is_done and s.texts[0] == text for s in self.streams)
        assert [(status, a["choices"][0]["text"]) for status, a in self.whole] == [(200, text)] * 6
        assert [status for status, _ in self.held] == [200] * 4, json.dumps(self.held)[:2000]


def all_running(node, text):
    """Sixteen that were seen to run at one time: short ones may end before the last is accepted."""
    for _ in range(20):
        asked = Asked(node)
        if wait_until(lambda: running(node) == N_ASKED and "now" or asked.is_over() and "over", 60, "they run") == "now":
            return asked
        asked.assert_answered(text)
    raise AssertionError(f"{N_ASKED} never ran at one time")


@pytest.mark.parametrize("time", range(TIMES))
def test_sigterm_under_load_lets_every_accepted_answer_end(tmp_path, time):
    with one_node(tmp_path) as node:
        status, alone = node.request("POST", "/v1/completions", SHORT, timeout=120)
        assert status == 200, alone
        text = alone["choices"][0]["text"]
        asked = all_running(node, text)
        node.runners()
        node.process.send_signal(signal.SIGTERM)
        wait_until(lambda: node.process.poll() is not None or is_ending(node), 5, "it is not ready")
        asked.assert_answered(text)
        assert node.process.wait(60) == 0
        node.start()    # the fixture ends a node that is up
        wait_until(node.health, 30, "the node answers")


def is_ending(node):
    """It says so, or is gone since it was looked at."""
    try:
        return node.request("GET", "/readyz")[0] == 503
    except (OSError, http.client.HTTPException):
        return True
