# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_monitor_replaces.py - an instance that no node finds fault with is replaced.

The model's engine is a double (support/scripted.py): it never ends a step though its pulse goes on, or begins to
answer something else.  30 s is what the product promises for a failover.
"""
import time

from support.cluster import IS_TIMED, Stream, wait_until
from support.monitoring import Monitor
from support.scripted import NAME, Scripted

FAILOVER_S = 30
LONG = "one two three four five six seven eight nine ten " * 6


def instances(node):
    return {i["id"] for i in node.get("/cluster/state")["instances"] if i["state"] == "ready"}


def settings():
    """How often it looks and how long it waits are the product's own; only the recording is quicker."""
    return {"every": {"record_s": 1}}


def test_a_model_wedged_silently_is_replaced_and_its_streams_go_on(tmp_path):
    wedge = tmp_path / "wedge"
    environment = {"POMONA_SCRIPT_WEDGE": str(wedge), "POMONA_SCRIPT_TOKENS_PER_S": "8"}
    with Scripted(tmp_path, environment=environment) as model, \
            Monitor(tmp_path / "monitor", [("solo", model.node.api_port)], settings()) as monitor:
        model.says([{"when": "Count", "say": LONG}, {"say": " fine"}])
        wait_until(lambda: instances(model.node), 30, "the model is placed")
        monitor.wait_state("canary.ok", f"model/{NAME}", "ok", 60)
        before = instances(model.node)
        stream = Stream(model.node, 40, model=NAME, prompt="Count, please:", min_tokens=0, temperature=0)
        wait_until(lambda: stream.n_chunks >= 4, 60, "the stream is under way")
        wedge.touch()
        wait_until(lambda: not wedge.exists(), 30, "the engine is wedged")
        wedged_at = time.monotonic()
        wait_until(lambda: instances(model.node) and not instances(model.node) & before, 90,
                   "another instance is there")
        stream.join(60)
        assert stream.is_done and stream.error is None and stream.broken is None, \
            (stream.error, stream.broken)
        # the double begins its answer anew where the other broke off: that nothing is lost is test_failures'
        assert stream.texts[0].strip().startswith("one two three four") and len(stream.texts[0]) > 40
        assert "is replaced" in monitor.said()
        if IS_TIMED:
            assert stream.gap_after(wedged_at) < FAILOVER_S


def test_a_model_that_begins_to_answer_wrongly_is_replaced(tmp_path):
    with Scripted(tmp_path) as model, \
            Monitor(tmp_path / "monitor", [("solo", model.node.api_port)],
                    {"every": {"poll_s": 0.3, "canary_s": 0.3, "record_s": 1}}) as monitor:
        model.says([{"say": " four"}])
        wait_until(lambda: instances(model.node), 30, "the model is placed")
        monitor.wait_state("canary.wrong", f"model/{NAME}", "ok", 60)
        before = instances(model.node)
        model.says([{"say": " seven"}])
        wait_until(lambda: "canary.wrong" in monitor.said() and "is replaced" in monitor.said(), 60,
                   "it is replaced")
        wait_until(lambda: instances(model.node) and not instances(model.node) & before, 60,
                   "another instance is there")
