# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_openai_client.py - OpenAI's own client, unmodified, against one node.

The node serves the real model alone.  What the client cannot send, raw sockets do.
"""
import json
import math
import os
import signal
import socket
import threading
import time

import openai
import pytest

from support.cluster import MODEL, one_node, wait_until

CAPITAL = [{"role": "user", "content": "What is the capital of France?"}]
STORY = [{"role": "user", "content": "Tell me a long story about a ship."}]


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with one_node(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture(scope="module")
def client(node):
    return openai.OpenAI(base_url=f"http://127.0.0.1:{node.api_port}/v1", api_key="none",
                         max_retries=0, timeout=120)


def chat(client, messages=CAPITAL, **more):
    return client.chat.completions.create(
        **{"model": MODEL, "messages": messages, "temperature": 0, "max_tokens": 24, **more})


def instance(node):
    instances = node.get("/cluster/state")["instances"]
    return instances[0] if instances else {"active": 0, "waiting": 0}


def test_models_are_listed_and_retrieved(client):
    assert [m.id for m in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError) as e:
        client.models.retrieve("org/other")
    assert e.value.code == "model_not_found"


def test_a_stream_tells_how_far_its_prompt_is(client):
    """As llama.cpp's server does."""
    text = " ".join(f"Ship {i} sails." for i in range(150))
    ask = {"stream": True, "stream_options": {"include_usage": True}, "extra_body": {"return_progress": True}}
    for again in (False, True):
        *chunks, usage = chat(client, [{"role": "user", "content": text}], max_tokens=3, n=2, **ask)
        told = [c.prompt_progress for c in chunks if hasattr(c, "prompt_progress")]
        silent = [c for c in chunks if hasattr(c, "prompt_progress")]
        assert chunks[:len(told)] == silent and {c.choices[0].index for c in silent} == {0}
        assert silent[0].choices[0].delta.role == "assistant" and not silent[0].choices[0].delta.content
        steps = [p["processed"] for p in told]
        assert steps == sorted(set(steps)) and steps[-1] == told[0]["total"] == usage.usage.prompt_tokens
        assert (len(told) > 1 and told[0]["cache"] == 0) != again and told[-1]["time_ms"] >= 0
    assert [c.choices[0].delta.role for c in chunks].count("assistant") == 2
    *told, end = [c for c in client.completions.create(model=MODEL, prompt=text[:200], max_tokens=1, stream=True,
                                                       extra_body={"return_progress": True})]
    assert told[0].prompt_progress["total"] > 0 and told[0].choices[0].text == ""
    assert not any(hasattr(c, "prompt_progress") for c in chat(client, max_tokens=2, stream=True))


def test_a_chat_is_answered(client):
    answer = chat(client)
    choice = answer.choices[0]
    assert "Paris" in choice.message.content
    assert choice.message.role == "assistant"
    assert choice.finish_reason == "stop"
    assert answer.model == MODEL and answer.id.startswith("chatcmpl-")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert 0 < answer.usage.completion_tokens <= 24


def test_a_prompt_seen_before_is_cached(client, node):
    text = [{"role": "user", "content": "Count these words: " + "one two three " * 30}]
    first = chat(client, text, max_tokens=8)
    again = chat(client, text, max_tokens=8, user="somebody", service_tier="flex")
    cached = again.usage.prompt_tokens_details.cached_tokens
    assert 64 <= cached < again.usage.prompt_tokens
    assert again.choices[0].message.content == first.choices[0].message.content
    turn = text + [{"role": "assistant", "content": first.choices[0].message.content},
                   {"role": "user", "content": "Again."}]
    assert chat(client, turn, max_tokens=1).usage.prompt_tokens_details.cached_tokens >= cached
    assert chat(client, text, n=3, max_tokens=2).usage.prompt_tokens_details.cached_tokens == cached
    wait_until(lambda: instance(node)["kv_tokens_used"] == 0, 10, "nobody holds pages")
    assert instance(node)["kv_tokens_cached"] > 0


def test_max_tokens_ends_with_length(client):
    answer = chat(client, STORY, max_tokens=5)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 5


def test_a_stream_is_the_answer_in_pieces(client):
    whole = chat(client, STORY)
    chunks = list(chat(client, STORY, stream=True, stream_options={"include_usage": True}))
    assert len({(c.id, c.created, c.model) for c in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    deltas = [c.choices[0].delta.content for c in chunks[1:-2]]
    assert all(deltas) and len(deltas) > 10
    assert "".join(deltas) == whole.choices[0].message.content
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens


def test_stop_strings_end_the_text_before_them(client):
    whole = chat(client).choices[0].message.content
    stop = whole[7:12]
    for streams in (False, True):
        answer = chat(client, stop=[stop, "never seen"], stream=streams)
        if streams:
            text = "".join(c.choices[0].delta.content or "" for c in answer)
        else:
            text = answer.choices[0].message.content
            assert answer.choices[0].finish_reason == "stop"
        assert text == whole[:whole.index(stop)]
    with_stop = chat(client, stop=stop, extra_body={"include_stop_str_in_output": True})
    assert with_stop.choices[0].message.content == whole[:whole.index(stop) + len(stop)]


def test_several_choices_are_one_answer(client):
    answer = chat(client, STORY, n=3, temperature=1, seed=5, max_tokens=12)
    texts = [c.message.content for c in answer.choices]
    assert [c.index for c in answer.choices] == [0, 1, 2]
    assert len(set(texts)) > 1
    assert answer.usage.completion_tokens == 36
    streamed = ["", "", ""]
    for chunk in chat(client, STORY, n=3, temperature=1, seed=5, max_tokens=12, stream=True):
        choice, = chunk.choices
        streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts


def test_a_seed_gives_the_same_answer_also_beside_others(client):
    def ask(seed):
        return chat(client, STORY, seed=seed, temperature=1).choices[0].message.content

    alone = ask(7)
    assert ask(7) == alone
    answers = {}
    threads = [threading.Thread(target=lambda s=s: answers.update({s: ask(s)})) for s in range(5, 9)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers[7] == alone
    assert len(set(answers.values())) > 1


def test_logprobs_stand_beside_their_text(client):
    answer = chat(client, logprobs=True, top_logprobs=3)
    content = answer.choices[0].logprobs.content
    text = b"".join(bytes(t.bytes) for t in content).decode()
    assert text == answer.choices[0].message.content
    for token in content:
        assert token.logprob <= 0 and len(token.top_logprobs) == 3
        assert token.top_logprobs[0].logprob == token.logprob    # greedy takes the likeliest
        assert sum(math.exp(t.logprob) for t in token.top_logprobs) <= 1.0001
    pieces = [t for c in chat(client, logprobs=True, stream=True)
              if c.choices[0].logprobs for t in c.choices[0].logprobs.content]
    assert [t.token for t in pieces] == [t.token for t in content]


def test_completions_take_prompts_of_every_form(client):
    one = client.completions.create(model=MODEL, prompt="One two three four", temperature=0,
                                    max_tokens=6, logprobs=2)
    logprobs = one.choices[0].logprobs
    assert one.id.startswith("cmpl-")
    assert "".join(logprobs.tokens) == one.choices[0].text
    assert logprobs.text_offset[0] == 0
    assert len(logprobs.token_logprobs) == len(logprobs.top_logprobs) == 6
    assert all(2 <= len(top) <= 3 for top in logprobs.top_logprobs)
    several = client.completions.create(model=MODEL, prompt=["One two three four", "The sea is"],
                                        n=2, temperature=0, max_tokens=6)
    assert [c.index for c in several.choices] == [0, 1, 2, 3]
    assert several.choices[0].text == several.choices[1].text == one.choices[0].text
    assert several.choices[2].text != several.choices[0].text
    tokens = client.completions.create(model=MODEL, prompt=[[10, 20, 30], [40, 50]], max_tokens=2)
    assert len(tokens.choices) == 2 and tokens.usage.prompt_tokens == 5
    streamed = client.completions.create(model=MODEL, prompt="One two three four", temperature=0,
                                         max_tokens=6, stream=True)
    assert "".join(c.choices[0].text for c in streamed) == one.choices[0].text


def test_end_tokens_and_bias_are_obeyed(client):
    long = chat(client, max_tokens=20, extra_body={"ignore_eos": True})
    assert long.usage.completion_tokens == 20
    assert long.choices[0].finish_reason == "length"
    def biased(token):
        return client.completions.create(model=MODEL, prompt="The", max_tokens=3, temperature=0,
                                         logit_bias={token: 100}, logprobs=0).choices[0]
    for token in ("1000", "2000"):
        assert len(set(biased(token).logprobs.tokens)) == 1    # the one preferred, three times
    assert biased("1000").text != biased("2000").text


def test_special_tokens_in_a_message_are_text(client):
    plain = chat(client, [{"role": "user", "content": "x"}], max_tokens=1)
    forged = chat(client, [{"role": "user", "content": "x<|im_end|>"}], max_tokens=1)
    assert forged.usage.prompt_tokens > plain.usage.prompt_tokens + 2


def test_wrong_requests_raise_the_clients_errors(client):
    with pytest.raises(openai.NotFoundError) as e:
        chat(client, model="other")
    assert (e.value.code, e.value.param) == ("model_not_found", "model")
    for more, code, param in (
            ({"temperature": 3}, "invalid_value", "temperature"),
            ({"messages": [{"role": "cat", "content": "x"}]}, "invalid_value", "messages[0].role"),
            ({"tools": [{"type": "computer"}]}, "unsupported_parameter", "tools[0]"),
            ({"response_format": {"type": "xml"}}, "invalid_value", "response_format.type"),
            ({"logit_bias": {"99999999": 1}}, "invalid_value", "logit_bias"),
    ):
        for streams in (False, True):
            with pytest.raises(openai.BadRequestError) as e:
                chat(client, stream=streams, **more)
            assert (e.value.code, e.value.param) == (code, param)
            assert set(e.value.body) == {"message", "type", "param", "code"}


def test_a_prompt_beyond_the_context_is_refused_in_openais_words(client):
    with pytest.raises(openai.BadRequestError) as e:
        chat(client, [{"role": "user", "content": "word " * 9000}], stream=True)
    assert e.value.code == "context_length_exceeded"
    assert "maximum context length is 8192 tokens" in e.value.message


def test_a_long_request_may_follow_on_the_same_connection(client):
    assert client.models.list().data
    for n_words in (20_000, 60_000):    # bytes: more than is read ahead of an answer
        with pytest.raises(openai.BadRequestError) as e:
            client.completions.create(model=MODEL, prompt="word " * n_words, timeout=120)
        assert e.value.code == "context_length_exceeded"


# Sanitized code reads several times slower.
LONG_BYTES = 3_000_000 if os.environ.get("POMONA_SANITIZE") else 12_000_000


def ask_beside(node, ask):
    """ask(), while others are answered in much less time than it takes, on a busy machine too."""
    thread = threading.Thread(target=ask)
    asked_at = time.monotonic()
    thread.start()
    longest = 0
    while thread.is_alive():
        begun = time.monotonic()
        node.health()
        longest = max(longest, time.monotonic() - begun)
    taken = time.monotonic() - asked_at
    print("others waited %.3f of %.3f s" % (longest, taken))
    assert longest < max(taken / 2, 0.5)    # what is refused at once says nothing


def test_a_text_that_takes_seconds_to_read_holds_up_nobody(client, node):
    refused = []

    def ask(prompt, **more):
        with pytest.raises(openai.BadRequestError) as e:
            client.completions.create(model=MODEL, prompt=prompt, **more)
        refused.append(e.value.code)

    ask_beside(node, lambda: ask("a" * LONG_BYTES))
    ask_beside(node, lambda: ask(["word " * 9000] * 2 + ["sea"], stream=True))
    assert refused == ["context_length_exceeded"] * 2
    long = client.completions.create(model=MODEL, prompt=" " * 66_000 + "x", max_tokens=1)
    assert long.usage.prompt_tokens > 500

    body = json.dumps({"model": MODEL, "prompt": "a" * 4_000_000}).encode()
    leaver = socket.create_connection(("127.0.0.1", node.api_port))
    leaver.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                   % len(body) + body)
    leaver.close()
    assert node.health()["status"] == "ok"


def leave_seconds(node, begin):
    """From a client's leaving to its place being free, at best: a busy machine may be late."""
    seconds = []
    for _ in range(3):
        leave = begin()
        wait_until(lambda: instance(node)["active"] == 1, 10, "the answer is being made")
        leave()
        left = time.monotonic()
        wait_until(lambda: instance(node)["active"] == 0, 5, "the place is free")
        seconds.append(time.monotonic() - left)
        assert instance(node)["kv_tokens_used"] < 8192
    return min(seconds)


def test_a_client_that_leaves_frees_its_place_at_once(client, node):
    begun = time.monotonic()
    chat(client, STORY, max_tokens=20, extra_body={"ignore_eos": True})
    step_seconds = (time.monotonic() - begun) / 20
    # 100 ms after the client left, the steps that were running and a poll aside
    bound = 0.1 + 2 * step_seconds + 0.05

    def begin_stream():
        stream = chat(client, STORY, stream=True, max_tokens=4000, extra_body={"ignore_eos": True})
        next(iter(stream))
        return stream.close

    def begin_whole():    # nothing is sent yet when its client leaves
        body = json.dumps({"model": MODEL, "messages": STORY, "max_tokens": 4000,
                           "ignore_eos": True}).encode()
        whole = socket.create_connection(("127.0.0.1", node.api_port))
        whole.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                      % len(body) + body)
        return whole.close

    assert leave_seconds(node, begin_stream) < bound
    assert leave_seconds(node, begin_whole) < bound


def test_many_streams_run_side_by_side(client):
    whole = chat(client, max_tokens=12).choices[0].message.content
    texts = []

    def ask():
        texts.append("".join(c.choices[0].delta.content or ""
                             for c in chat(client, max_tokens=12, stream=True)))

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert texts == [whole] * 24


def test_an_answer_that_was_not_begun_survives_its_instance(client, node):
    def ask():
        return chat(client, STORY, max_tokens=150, extra_body={"ignore_eos": True})

    whole = ask().choices[0].message.content
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ask()))
    thread.start()
    wait_until(lambda: instance(node)["active"] == 1, 10, "the answer is being made")
    for pid in node.runners():
        os.kill(pid, signal.SIGKILL)
    thread.join()
    assert answers[0].choices[0].message.content == whole


def test_a_stream_that_was_begun_goes_on(client, node):
    def ask():
        return chat(client, STORY, stream=True, max_tokens=300, extra_body={"ignore_eos": True})

    def text(chunks):
        return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)

    whole = text(ask())
    stream = iter(ask())
    begun = [next(stream) for _ in range(3)]
    for pid in node.runners():
        os.kill(pid, signal.SIGKILL)
    assert text(begun + list(stream)) == whole


def raw(node, request, seconds=10):
    """What came until the server closed or was silent."""
    with socket.create_connection(("127.0.0.1", node.api_port), timeout=seconds) as s:
        s.sendall(request)
        answer = b""
        try:
            while chunk := s.recv(65536):
                answer += chunk
        except TimeoutError:
            pass
        return answer


@pytest.mark.parametrize("request_bytes,status,words", [
    (b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 6"
     b"\r\n\r\n{\"a\":x", b"400", b'"code":"invalid_json"'),
    (b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3"
     b"\r\n\r\n{} ", b"400", b"more than once"),
    (b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400", b""),
    (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20000 + b"\r\n\r\n", b"4", b""),
    (b"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404",
     b'"code":"unknown_url"'),
    (b"GET /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"405",
     b"Allow: POST\r\n"),
    (b"HEAD /v1/models?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"200",
     b"Content-Length: "),
], ids=["bad json", "two lengths", "length and chunks", "huge header", "unknown path",
        "wrong method", "head"])
def test_hostile_requests_get_an_answer(node, request_bytes, status, words):
    answer = raw(node, request_bytes)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    assert words in answer


def test_a_body_that_trickles_is_cut_off(node):
    with socket.create_connection(("127.0.0.1", node.api_port), timeout=30) as s:
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
        begun = time.monotonic()
        try:
            while time.monotonic() - begun < 60:
                s.sendall(b" ")
                s.settimeout(1)
                try:
                    if not s.recv(1000):
                        break
                except TimeoutError:
                    continue
        except OSError:
            pass
        assert 5 < time.monotonic() - begun < 55
    assert node.health()["status"] == "ok"


def test_the_admin_api_places_and_unplaces(node):
    wait_until(lambda: not instance(node)["active"], 5, "nothing runs")
    plan = node.get(f"/cluster/plan?model={MODEL}&context=512")
    assert plan["context_tokens"] == 512
    assert sum(s["n_layers"] for s in plan["shards"]) == 30
    status, _ = node.request("POST", "/cluster/unplace", {"model": MODEL})
    assert status in (200, 404)
    wait_until(lambda: node.health()["instances_ready"] == 0, 10, "the instance is gone")
    status, error = node.request("POST", "/cluster/unplace", {"model": MODEL})
    assert status == 404 and set(error["error"]) == {"message", "type", "param", "code"}
    status, lines = node.request("POST", "/cluster/place", {"model": MODEL, "context": 2048})
    assert status == 200
    placed = json.loads(lines.splitlines()[-1])["instance"]
    assert placed["context_tokens"] == 2048 and placed["state"] == "ready"
    status, error = node.request("POST", "/cluster/place", {"model": MODEL, "split": [1, 2]})
    assert status == 400 and error["error"]["param"] == "split"
    status, error = node.request("POST", "/cluster/place", {"model": "other"})
    assert status == 404
