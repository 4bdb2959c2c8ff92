# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_api_ollama.py - Ollama's own client, unmodified, against one node."""
import asyncio
import datetime
import re

import httpx
import numpy as np
import ollama
import pytest

from support.cluster import MODEL, MODEL_FILE, one_node, wait_until
from support.hub import Hub
from support.scripted import CACHE_MISS_TOKENS, NAME, SPELLED, Scripted, call

ASK = [{"role": "user", "content": "What is the capital of France?"}]
GREEDY = {"temperature": 0, "num_predict": 24}


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with one_node(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture(scope="module")
def client(node):
    return ollama.Client(host=f"http://127.0.0.1:{node.api_port}", timeout=60)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory):
    with Scripted(tmp_path_factory.mktemp("scripted")) as scripted:
        yield scripted


@pytest.fixture(scope="module")
def talker(scripted):
    return ollama.Client(host=scripted.url, timeout=60)


def test_models_are_listed_and_shown(client, node):
    model, = client.list().models
    assert model.model == MODEL and model.size == MODEL_FILE.stat().st_size
    assert model.details.quantization_level == "Q4_1" and model.details.family == "llama"
    shown = client.show(MODEL + ":latest")
    assert shown.modelinfo["llama.context_length"] == 8192 and "completion" in shown.capabilities
    running = wait_until(lambda: client.ps().models, 20, "the model runs")
    assert running[0].model == MODEL and running[0].context_length > 0
    assert running[0].expires_at > datetime.datetime.now(datetime.timezone.utc)
    assert node.request("GET", "/") == (200, "Ollama is running")
    assert httpx.head(f"http://127.0.0.1:{node.api_port}/api/version").status_code == 200
    assert node.get("/api/version")["version"].count(".") == 2
    assert node.get("/ollama/api/tags") == node.get("/api/tags")


def test_a_chat_is_answered_and_counted(client):
    answer = client.chat(MODEL, ASK, options=GREEDY)
    assert "Paris" in answer.message.content and answer.message.role == "assistant"
    assert answer.done and answer.done_reason == "stop" and answer.model == MODEL
    assert answer.prompt_eval_count > 10 and 0 < answer.eval_count <= 24
    assert answer.total_duration >= answer.eval_duration > 0
    short = client.chat(MODEL + ":latest", ASK, options={**GREEDY, "num_predict": 3})
    assert short.done_reason == "length" and short.eval_count == 3


def test_streams_bring_the_same_text(client):
    whole = client.chat(MODEL, ASK, options=GREEDY)
    parts = list(client.chat(MODEL, ASK, options=GREEDY, stream=True))
    assert "".join(p.message.content for p in parts) == whole.message.content
    assert [p.done for p in parts] == [False] * (len(parts) - 1) + [True] and len(parts) > 3
    assert parts[-1].eval_count == whole.eval_count


def test_the_async_client_streams(node):
    async def talk():
        client = ollama.AsyncClient(host=f"http://127.0.0.1:{node.api_port}")
        return [p async for p in await client.generate(MODEL, "Say hello.", options=GREEDY, stream=True)]
    parts = asyncio.run(talk())
    assert "".join(p.response for p in parts) and parts[-1].done


def test_generate_templates_unless_raw(client):
    templated = client.generate(MODEL, ASK[0]["content"], options=GREEDY)
    assert templated.response == client.chat(MODEL, ASK, options=GREEDY).message.content
    raw = client.generate(MODEL, "The capital of France is", raw=True, options={**GREEDY, "num_predict": 4})
    assert "Paris" in raw.response and raw.prompt_eval_count == 5
    stopped = client.generate(MODEL, "1, 2, 3, 4,", raw=True, options={**GREEDY, "stop": ["6"]})
    assert "5" in stopped.response and "6" not in stopped.response
    seeds = [client.generate(MODEL, "Once", raw=True, options={"seed": s, "num_predict": 12}).response
             for s in (1, 1, 2)]
    assert seeds[0] == seeds[1] != seeds[2]


def test_nothing_asked_is_to_load(client, node):
    assert client.generate(MODEL).done_reason == "load"
    assert client.chat(MODEL, []).done_reason == "load"
    assert node.request("POST", "/api/generate", {"model": MODEL, "keep_alive": 0})[1]["done_reason"] == "unload"


def test_texts_are_embedded(client):
    answer = client.embed(MODEL, ["a small dog", "a big cat"], dimensions=32)
    assert np.array(answer.embeddings).shape == (2, 32) and answer.prompt_eval_count > 4
    assert np.allclose(np.linalg.norm(answer.embeddings, axis=1), 1, atol=1e-5)
    old = client.embeddings(MODEL, "a small dog").embedding
    assert np.allclose(old, client.embed(MODEL, "a small dog").embeddings[0], atol=1e-6)


def test_a_tool_result_is_read(client):
    messages = [*ASK, {"role": "assistant", "content": "", "tool_calls": [
        {"function": {"name": "look_up", "arguments": {"what": "capital"}}}]},
        {"role": "tool", "tool_name": "look_up", "content": "Paris"}]
    assert client.chat(MODEL, messages, options=GREEDY).message.content


def get_weather(city: str) -> str:
    """The weather of a city."""
    return city


@pytest.mark.parametrize("streams", [False, True])
def test_calls_and_their_results(scripted, talker, streams):
    scripted.says([{"when": "<tool_response>\nrain", "say": "Wet."},
                   {"say": f"I look.\n{SPELLED}\n{call('get_time')}"}])
    ask = [{"role": "user", "content": f"Weather, streamed {streams}?"}]
    answer = talker.chat(NAME, ask, tools=[get_weather], stream=streams)
    parts = list(answer) if streams else [answer]
    calls = [c for p in parts for c in p.message.tool_calls or []]
    assert "".join(p.message.content for p in parts) == "I look." and parts[-1].done_reason == "stop"
    assert [c.function.name for c in calls] == ["get_weather", "get_time"]
    assert calls[0].function.arguments["city"] == "Z\u00fcrich" and calls[1].function.arguments == {}
    ask += [{"role": "assistant", "content": "I look.", "tool_calls": calls[:1]},
            {"role": "tool", "tool_name": "get_weather", "content": "rain"}]
    last = talker.chat(NAME, ask, tools=[get_weather])
    assert last.message.content == "Wet."


def cached_tokens(scripted):
    said = scripted.node.request("GET", "/metrics")[1]
    return sum(float(n) for n in re.findall(r"^pomona_cached_tokens_total(?:\{.*\})? (\S+)$", said, re.M))


def test_a_call_comes_back_as_it_was_written(scripted, talker):
    scripted.says([{"say": SPELLED}])
    first = talker.chat(NAME, ASK, tools=[get_weather])
    messages = [*ASK, first.message.model_dump(exclude_none=True),
                {"role": "tool", "tool_name": "get_weather", "content": "rain"}]
    scripted.says([{"say": "Wet."}])
    before = cached_tokens(scripted)    # which Ollama's API has no word for
    talker.chat(NAME, messages, tools=[get_weather])
    known = first.prompt_eval_count + first.eval_count
    assert cached_tokens(scripted) - before > known - CACHE_MISS_TOKENS


def test_cut_arguments_are_an_object_all_the_same(scripted, talker):
    scripted.says([{"say": SPELLED}])
    cut = talker.chat(NAME, ASK, tools=[get_weather], options={"num_predict": 40})
    assert cut.done_reason == "length" and cut.message.tool_calls[0].function.arguments == {}


@pytest.mark.parametrize("streams", [False, True])
def test_thoughts_are_kept_apart(scripted, talker, streams):
    scripted.says([{"when": "<think>", "say": "Two and two.\n</think>\n\nFour."}, {"say": "Five."}])
    for think, thoughts, said in ((True, "Two and two.", "Four."), ("high", "Two and two.", "Four."),
                                  (False, "", "Five.")):
        for ask, text in ((lambda: talker.chat(NAME, ASK, think=think, stream=streams),
                           lambda p: p.message.content),
                          (lambda: talker.generate(NAME, "Add.", think=think, stream=streams),
                           lambda p: p.response)):
            parts = list(ask()) if streams else [ask()]
            thinking = [getattr(p, "message", p).thinking or "" for p in parts]
            assert ("".join(thinking), "".join(map(text, parts))) == (thoughts, said)
    with pytest.raises(ollama.ResponseError, match="think"):
        talker.chat(NAME, ASK, think="a lot")


def test_the_last_words_are_gone_on_with(scripted, talker):
    scripted.says([{"when": "assistant\nOnce upon", "say": " a time."}, {"say": "No."}])
    ask = [*ASK, {"role": "assistant", "content": "Once upon"}]
    assert talker.chat(NAME, ask).message.content == " a time."


def test_a_format_is_kept_to(scripted, talker):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
              "additionalProperties": False}
    said = '{"city": "Oslo"}'
    scripted.says([{"say": f"{said} and more"}])
    for format in ("json", schema):
        assert talker.chat(NAME, ASK, format=format).message.content == said
        assert talker.generate(NAME, "A city?", format=format).response == said
        assert "".join(p.message.content for p in talker.chat(NAME, ASK, format=format, stream=True)) == said
    assert talker.chat(NAME, ASK, format="").message.content != said
    with pytest.raises(ollama.ResponseError, match="format"):
        talker.chat(NAME, ASK, format={"type": "object", "dependentSchemas": {}})


def test_log_probabilities_are_given(scripted, talker):
    scripted.says([{"say": "one two"}])
    more = {"logprobs": True, "top_logprobs": 2}
    for parts in ([talker.chat(NAME, ASK, **more)], list(talker.chat(NAME, ASK, stream=True, **more)),
                  [talker.generate(NAME, "Count.", **more)], [talker.generate(NAME, "Count.", raw=True, **more)]):
        probs = [p for part in parts for p in part.logprobs or []]
        assert "".join(p.token for p in probs) == "one two"
        assert all(len(p.top_logprobs) == 2 and p.logprob > -0.01 for p in probs)


@pytest.mark.parametrize("body,words", [
    ({"model": "other", "messages": ASK}, "other"), ({"messages": ASK}, "model"),
    ({"model": MODEL, "messages": ASK, "options": {"mirostat": 2}}, "mirostat"),
    ({"model": MODEL, "messages": ASK, "options": 3}, "options"),
    ({"model": MODEL, "messages": [{"role": "king", "content": "x"}]}, "role"),
    ({"model": MODEL, "messages": [{"role": "user", "content": "x", "images": ["aGk="]}]}, "images"),
    ({"model": MODEL, "messages": ASK, "format": "yaml"}, "format"),
])
def test_errors_are_words_alone(node, body, words):
    status, answer = node.request("POST", "/api/chat", body)
    assert status in (400, 404) and set(answer) == {"error"} and words in answer["error"], answer


def test_models_are_not_changed_over_this_api(client):
    for ask in (lambda: client.delete(MODEL), lambda: client.copy(MODEL, "x"), lambda: client.push(MODEL)):
        with pytest.raises(ollama.ResponseError) as e:
            ask()
        assert e.value.status_code == 501


def test_an_error_of_a_stream_is_raised(client):
    with pytest.raises(ollama.ResponseError, match="not found|does not exist"):
        list(client.chat("other", ASK, stream=True))


def test_a_model_is_pulled(tmp_path, monkeypatch):
    with Hub(MODEL_FILE.read_bytes()) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with one_node(tmp_path) as node:
            client = ollama.Client(host=f"http://127.0.0.1:{node.api_port}", timeout=60)
            parts = list(client.pull("me/tiny-GGUF:Tiny.Q4_1.gguf", stream=True))
            assert parts[-1].status == "success"
            pulled = tmp_path / "data" / "models" / "Tiny.Q4_1.gguf"
            assert pulled.read_bytes() == MODEL_FILE.read_bytes()
            with pytest.raises(ollama.ResponseError):
                client.pull("me/nothing-GGUF:Nothing.gguf")
