# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_traffic.py - many clients of every kind at once, some of whom leave.

OpenAI's client talks to both nodes of a cluster whose model is split over
them.  Afterwards nothing is held for anybody: no place, no page, no memory.

Memory settles: pages of keys and values stay cached until the pool is full, so it is filled first,
and a process grows as long as traffic reaches a new peak of buffers.  What leaks grows with every
round of traffic, so rounds are repeated until one adds little.
"""
import random
import signal
import threading
import time

import openai
import pytest

from support.cluster import MODEL, Cluster, resident_bytes, wait_until

SECONDS = 6               # of one round of traffic
ROUNDS_MAX = 5
N_CLIENTS = 8
CONTEXT = 1024
LONG_WORDS = 900          # about as many tokens
REPORT_SECONDS = 3
FILL_MAX = 40             # prompts; the pool holds some twenty of them
GROWTH_MAX = 24 << 20     # of a process in the round that settles it

WORDS = "the sea was calm and the old ship went slowly home with salt and wind".split()


class Visitor(threading.Thread):
    """Asks one thing after the other until the time is over; what went wrong is in `errors`."""

    def __init__(self, node, seed, until):
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.client = openai.OpenAI(base_url=f"http://127.0.0.1:{node.api_port}/v1",
                                    api_key="none", max_retries=0, timeout=60)
        self.until = until
        self.n_done = {}
        self.errors = []
        self.start()

    def run(self):
        kinds = [self.chat, self.stream, self.leave_stream, self.leave_whole, self.completions,
                 self.be_wrong]
        while time.monotonic() < self.until:
            kind = self.random.choice(kinds)
            try:
                kind()
                self.n_done[kind.__name__] = self.n_done.get(kind.__name__, 0) + 1
            except Exception as e:    # pylint: disable=broad-except
                self.errors.append((kind.__name__, repr(e)))
        self.client.close()

    def ask(self, **more):
        text = " ".join(self.random.choices(WORDS, k=self.random.randint(1, 60)))
        return self.client.chat.completions.create(
            **{"model": MODEL, "messages": [{"role": "user", "content": text}],
               "max_tokens": self.random.randint(1, 12), "temperature": 1,
               "seed": self.random.randint(0, 99), **more})

    def chat(self):
        n = self.random.randint(1, 3)
        answer = self.ask(n=n, logprobs=self.random.random() < 0.5)
        assert len(answer.choices) == n
        assert all(c.finish_reason in ("stop", "length") for c in answer.choices)

    def stream(self):
        chunks = list(self.ask(stream=True, stream_options={"include_usage": True},
                               stop=[" a", "ship"]))
        assert chunks[-1].usage.completion_tokens > 0
        assert chunks[-2].choices[0].finish_reason in ("stop", "length")

    def leave_stream(self):
        stream = self.ask(stream=True, n=self.random.randint(1, 2), max_tokens=500,
                          extra_body={"ignore_eos": True})
        for _ in range(self.random.randint(0, 4)):
            next(iter(stream))
        stream.close()

    def leave_whole(self):
        with pytest.raises(openai.APITimeoutError):
            self.client.with_options(timeout=self.random.uniform(0.005, 0.4)).completions.create(
                model=MODEL, prompt="Once", max_tokens=900, extra_body={"ignore_eos": True})

    def completions(self):
        prompts = [" ".join(self.random.choices(WORDS, k=5)) for _ in range(3)]
        answer = self.client.completions.create(model=MODEL, prompt=prompts, max_tokens=4)
        assert [c.index for c in answer.choices] == [0, 1, 2]

    def be_wrong(self):
        with pytest.raises(openai.BadRequestError):
            self.ask(temperature=9)
        with pytest.raises(openai.BadRequestError) as e:
            self.ask(messages=[{"role": "user", "content": "word " * (CONTEXT + 1)}])
        assert e.value.code == "context_length_exceeded"


def traffic(cluster, seconds, seed):
    """(kinds of requests done, errors) of all visitors."""
    until = time.monotonic() + seconds
    visitors = [Visitor(cluster["ab"[i % 2]], seed + i, until) for i in range(N_CLIENTS)]
    for v in visitors:
        v.join(timeout=seconds + 60)
        assert not v.is_alive(), "a request never ended"
    done = {}
    for v in visitors:
        for kind, n in v.n_done.items():
            done[kind] = done.get(kind, 0) + n
    return done, [e for v in visitors for e in v.errors]


def is_idle(node):
    instance, = node.get("/cluster/state")["instances"]
    return instance["active"] == instance["waiting"] == instance["kv_tokens_used"] == 0


def memory(cluster):
    """{process: bytes it holds} of every node and runner."""
    return {pid: resident_bytes(pid)
            for node in cluster.up() for pid in [node.process.pid, *node.runners()]}


def kv_tokens_cached(node):
    instance, = node.get("/cluster/state")["instances"]
    return instance["kv_tokens_cached"]


def has_cached_more(node, before):
    """Did the last prompt find room beside those before it?  Nodes hear of it by beats."""
    until = time.monotonic() + REPORT_SECONDS
    while time.monotonic() < until:
        if kv_tokens_cached(node) >= before + LONG_WORDS // 2:
            return True
        time.sleep(0.05)
    return False


def fill_pool(node):
    """Cache prompts that share nothing until a further one pushes others out."""
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{node.api_port}/v1", api_key="none",
                           max_retries=0, timeout=120)
    words = random.Random(7)
    for _ in range(FILL_MAX):
        before = kv_tokens_cached(node)
        client.completions.create(model=MODEL, max_tokens=1,
                                  prompt=" ".join(words.choices(WORDS, k=LONG_WORDS)))
        if not has_cached_more(node, before):
            break
    else:
        pytest.fail(f"{FILL_MAX} prompts do not fill the pool: {kv_tokens_cached(node)} tokens")
    client.close()


def run_round(cluster, seed):
    """Bytes by which each process grew."""
    before = memory(cluster)
    done, errors = traffic(cluster, SECONDS, seed)
    assert not errors, errors[:5]
    assert len(done) == 6, done
    for node in cluster.up():
        wait_until(lambda: is_idle(node), 10, f"node {node.name} shows that nothing runs")
    return {pid: n - before[pid] for pid, n in memory(cluster).items()}


def test_nothing_is_held_after_mixed_traffic(tmp_path):
    with Cluster(tmp_path, names="ab") as cluster:
        cluster.start()
        cluster.place("a", nodes=["a", "b"], split=[15, 15], context=CONTEXT)
        fill_pool(cluster["a"])
        run_round(cluster, seed=0)
        for n in range(1, ROUNDS_MAX):
            grown = run_round(cluster, seed=100 * n)
            assert len(grown) == 4, grown
            if max(grown.values()) < GROWTH_MAX:
                break
        else:
            pytest.fail(f"memory still grows in round {ROUNDS_MAX}: {grown}")
        for node in cluster.up():
            node.kill(signal.SIGTERM)
