# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_upstream_kinds.py - other dialects before servers that speak OpenAI's chat alone, and badly.

The clients are Anthropic's, OpenAI's (Responses) and Ollama's own.
"""
import json

import anthropic
import ollama
import openai
import pytest

from support.gateway import Gateway, entry
from support.upstream import Upstream

ASK = [{"role": "user", "content": "Hi"}]
WEATHER = {"name": "f", "input_schema": {"type": "object"}}


def event(choice=None, **more):
    return "data: " + json.dumps({"choices": [{"index": 0, **choice}] if choice else [], **more}) + "\n\n"


def delta(**what):
    return event({"delta": what})


USAGE = {"prompt_tokens": 12, "completion_tokens": 34, "prompt_tokens_details": {"cached_tokens": 2}}
END = [event({"delta": {}, "finish_reason": "stop"}), event(usage=USAGE), "data: [DONE]\n\n"]
WORDS = [delta(reasoning="Hm."), delta(content="Hel"), delta(content="lo.")] + END


@pytest.fixture(scope="module")
def up():
    with Upstream() as up:
        yield up


@pytest.fixture(scope="module")
def gateway(up, tmp_path_factory):
    with Gateway(tmp_path_factory.mktemp("gateway"), [
            entry("strict", up, there="gpt"), entry("mlx", up, kind="mlx", model="x"),
            entry("vllm", up, kind="vllm", model="v"), entry("mlx2", up, kind="mlx", model="v")]) as gateway:
        yield gateway


@pytest.fixture
def fresh(up, gateway):
    up.events, up.plans = WORDS, []
    up.requests.clear()
    return up


def claude(gateway):
    return anthropic.Anthropic(base_url=f"http://127.0.0.1:{gateway.api_port}", api_key="none", max_retries=0,
                               timeout=60)


def message(gateway, **more):
    return claude(gateway).messages.create(**{"model": "m", "messages": ASK, "max_tokens": 50, **more})


def responses(gateway):
    return openai.OpenAI(base_url=f"http://127.0.0.1:{gateway.api_port}/v1", api_key="none", max_retries=0,
                         timeout=60).responses


def local(gateway):
    return ollama.Client(host=f"http://127.0.0.1:{gateway.api_port}", timeout=60)


def test_each_client_has_the_words_in_its_own_shape(gateway, fresh):
    answer = message(gateway, thinking={"type": "enabled", "budget_tokens": 1024})
    assert [(b.type, getattr(b, "text", None) or b.thinking) for b in answer.content] == [
        ("thinking", "Hm."), ("text", "Hello.")]
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens, answer.usage.output_tokens) == (10, 2, 34)
    assert answer.model == "m" and answer.stop_reason == "end_turn"
    answer = responses(gateway).create(model="m", input="Hi", instructions="Be short.")
    assert answer.output_text == "Hello." and answer.output[0].type == "reasoning"
    assert answer.usage.total_tokens == 46
    answer = local(gateway).chat("m", ASK, think=True)
    assert answer.message.content == "Hello." and answer.message.thinking == "Hm." and answer.eval_count == 34
    for sent in fresh.requests:
        body = sent["body"]
        assert sent["path"] == "/v1/chat/completions" and body["model"] == "gpt"
        assert body["stream"] and body["stream_options"] == {"include_usage": True}
        assert set(body) <= {"model", "messages", "stream", "stream_options", "temperature", "max_tokens",
                             "top_p", "reasoning_effort"}, "a strict server would refuse it"
    assert fresh.requests[1]["body"]["messages"][0] == {"role": "system", "content": "Be short."}


def test_streams_come_as_they_are_made(gateway, fresh):
    with claude(gateway).messages.stream(model="m", messages=ASK, max_tokens=50) as stream:
        kinds = [e.type for e in stream]
        assert stream.get_final_message().usage.output_tokens == 34
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop" and kinds.count("text") == 2
    events = list(responses(gateway).create(model="m", input="Hi", stream=True))
    assert [e.delta for e in events if e.type == "response.output_text.delta"] == ["Hel", "lo."]
    pieces = list(local(gateway).generate("m", "Hi", stream=True))
    assert "".join(p.response for p in pieces) == "Hello." and pieces[-1].prompt_eval_count == 12


def test_calls_come_whole_or_in_pieces(gateway, fresh):
    fresh.events = [delta(content="I look."),
                    delta(tool_calls=[{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]),
                    delta(tool_calls=[{"index": 0, "function": {"arguments": '{"city": '}}]),
                    delta(tool_calls=[{"index": 0, "function": {"arguments": '"Paris"}'}}]),
                    delta(tool_calls=[{"index": 1, "id": "b", "function": {"name": "f", "arguments": "{}"}}])] + END
    with claude(gateway).messages.stream(model="m", messages=ASK, max_tokens=50, tools=[WEATHER]) as stream:
        partial = [e.partial_json for e in stream if e.type == "input_json"]
        text, first, second = stream.get_final_message().content
        assert stream.get_final_message().stop_reason == "tool_use"
    assert partial == ['{"city": ', '"Paris"}', "{}"] and first.input == {"city": "Paris"} and second.input == {}
    assert fresh.requests[-1]["body"]["tools"][0]["function"]["name"] == "f"
    fresh.events = [delta(tool_calls=[{"function": {"name": "f", "arguments": {"a": 1}}}])] + END
    answer = local(gateway).chat("x", ASK, tools=[{"type": "function", "function": {"name": "f"}}])
    assert answer.message.tool_calls[0].function.arguments == {"a": 1}


def test_an_answer_that_is_no_stream_is_read_all_the_same(gateway, fresh):
    whole = {"choices": [{"message": {"content": "Hello."}, "finish_reason": "length"}], "usage": USAGE}
    fresh.then(status=200, body=json.dumps(whole).encode())
    answer = message(gateway)
    assert answer.content[0].text == "Hello." and answer.stop_reason == "max_tokens"


def test_refusals_and_failures_have_the_clients_shape(gateway, fresh):
    fresh.then(status=400, body=b'{"error":{"message":"top of the morning","code":null}}')
    with pytest.raises(anthropic.BadRequestError) as e:
        message(gateway)
    assert e.value.body["error"] == {"type": "invalid_request_error", "message": "top of the morning"}
    fresh.then(status=500, body=b'{"error":{"message":"at line 7 of secret.py"}}')
    with pytest.raises(anthropic.APIStatusError) as e:
        message(gateway)
    assert e.value.status_code >= 500 and "secret" not in str(e.value)
    fresh.then(status=429, headers={"Retry-After": "1"})
    with pytest.raises(ollama.ResponseError) as e:
        local(gateway).chat("x", ASK)
    assert e.value.status_code == 503
    for events, model in (([delta(content="Hel"), event(error={"message": "boom"})], "m"),
                          ([delta(content="Hel"), "data: nonsense\n\n"], "m"), ([delta(content="Hel")], "m")):
        fresh.then(events=events)
        with pytest.raises(anthropic.APIStatusError) as e:
            with claude(gateway).messages.stream(model=model, messages=ASK, max_tokens=50) as stream:
                assert stream.get_final_message()
        assert e.value.body["type"] == "error", events
    assert "boom" in gateway.log.read_text()


def test_one_failure_is_not_seen_by_who_waits_for_the_whole(fresh, tmp_path):
    """Nothing went out, so the half of an answer is forgotten and another server asked."""
    with Upstream() as other:
        other.events = WORDS
        with Gateway(tmp_path, [entry("a", fresh), entry("b", other)], balancing="round-robin") as gateway:
            for up in (fresh, other):
                up.then(events=[delta(content="half"), delta(tool_calls=[
                    {"index": 0, "function": {"name": "f", "arguments": "{"}}])])
                answers = [message(gateway) for _ in range(2)]
                assert not up.plans
                assert [a.content[-1].text for a in answers] == ["Hello.", "Hello."]
                assert [a.stop_reason for a in answers] == ["end_turn", "end_turn"]


def test_who_would_not_hold_the_answer_to_its_form_is_not_asked(gateway, fresh):
    form = {"type": "object", "properties": {"a": {"type": "integer"}}}
    for _ in range(4):      # vllm holds, and mlx, which has the model too, does not
        local(gateway).chat("v", ASK, format=form)
        assert fresh.requests[-1]["body"]["response_format"]["json_schema"]["schema"] == form
    n = len(fresh.requests)
    with pytest.raises(ollama.ResponseError) as e:
        local(gateway).chat("x", ASK, format=form)
    assert e.value.status_code == 400 and "form" in e.value.error and len(fresh.requests) == n
    with pytest.raises(anthropic.BadRequestError):
        claude(gateway).messages.count_tokens(model="m", messages=ASK)


def test_vectors_come_from_there_too(gateway, fresh):
    vectors = {"data": [{"index": i, "embedding": [i, 0.5]} for i in range(2)], "usage": {"prompt_tokens": 5}}
    fresh.then(status=200, body=json.dumps(vectors).encode())
    answer = local(gateway).embed("m", ["a", "b"])
    assert answer.embeddings == [[0, 0.5], [1, 0.5]] and answer.prompt_eval_count == 5
    fresh.then(status=200, body=json.dumps(vectors).encode())
    status, given = gateway.request("POST", "/v1/embeddings", {"model": "m", "input": ["a", "b"]})
    assert (status, given) == (200, vectors)
    assert [r["path"] for r in fresh.requests] == ["/v1/embeddings"] * 2
