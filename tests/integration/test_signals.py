# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_signals.py - a node that is asked to end under load lets every accepted answer end.

Answers of its own model, streamed and whole, and some whose grammar is being compiled.  With
POMONA_TEST_FULL=1 twenty times.
"""
import json
import os
import re
import signal
import threading

import pytest

from support.cluster import MODEL, Stream, one_node, wait_until

TIMES = 20 if os.environ.get("POMONA_TEST_FULL") else 1
N = 8 if os.environ.get("POMONA_SANITIZE") else 24    # a node that ends waits for 5 s
SHORT = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": N, "min_tokens": N, "temperature": 0}


def running(node):
    found = re.search(r"^pomona_sequences_running (\d+)", node.get("/metrics"), re.M)
    return int(found.group(1))


@pytest.mark.parametrize("time", range(TIMES))
def test_sigterm_under_load_lets_every_accepted_answer_end(tmp_path, time):
    with one_node(tmp_path) as node:
        status, alone = node.request("POST", "/v1/completions", SHORT, timeout=120)
        assert status == 200, alone
        whole, held = [], []

        def ask(into, **more):
            into.append(node.request("POST", "/v1/completions", {**SHORT, **more}, timeout=120))

        streams = [Stream(node, max_tokens=N, temperature=0) for _ in range(6)]
        askers = [threading.Thread(target=ask, args=(whole,)) for _ in range(6)]
        askers += [threading.Thread(target=ask, args=(held,), kwargs={
            "guided_regex": f"[a-z]{{60,{500 + i}}}", "min_tokens": 0}) for i in range(4)]
        for asker in askers:
            asker.start()
        wait_until(lambda: running(node) == 16, 60, "all are accepted")
        node.runners()
        node.process.send_signal(signal.SIGTERM)
        wait_until(lambda: node.process.poll() is not None or
                   node.request("GET", "/readyz")[0] == 503, 5, "it is not ready")
        for thread in askers + streams:
            thread.join(60)
        assert node.process.wait(20) == 0
        assert all(s.is_done and s.texts[0] == alone["choices"][0]["text"] for s in streams)
        assert [(status, a["choices"][0]["text"]) for status, a in whole] == \
            [(200, alone["choices"][0]["text"])] * 6
        assert [status for status, _ in held] == [200] * 4, json.dumps(held)[:2000]
        node.start()    # the fixture ends a node that is up
        wait_until(node.health, 30, "the node answers")
