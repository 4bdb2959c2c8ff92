# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_error_shapes.py - each API's own words for what goes wrong, read by its own clients.

One node that is asked to end while it answers: what is asked then is refused, and asked to end twice it
breaks off the streams it has.
"""
import json
import signal

import anthropic
import httpx
import ollama
import openai
import pytest

from support.cluster import wait_until
from support.scripted import NAME, Scripted

ASK = [{"role": "user", "content": "Tell me a story."}]
BODIES = {
    "/v1/chat/completions": {"messages": ASK},
    "/v1/completions": {"prompt": "Once", "max_tokens": 4000},
    "/v1/responses": {"input": "Tell me a story."},
    "/v1/messages": {"messages": ASK, "max_tokens": 4000},
    "/api/chat": {"messages": ASK},
    "/api/generate": {"prompt": "Tell me a story."},
}


def streams_of(url):
    """One open stream of each client, with what it begins with read."""
    one = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)
    other = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0, timeout=60)
    third = ollama.Client(host=url, timeout=60)
    streams = {
        "/v1/chat/completions": one.chat.completions.create(model=NAME, stream=True,
                                                            **BODIES["/v1/chat/completions"]),
        "/v1/completions": one.completions.create(model=NAME, stream=True, **BODIES["/v1/completions"]),
        "/v1/responses": one.responses.create(model=NAME, stream=True, **BODIES["/v1/responses"]),
        "/v1/messages": other.messages.create(model=NAME, stream=True, **BODIES["/v1/messages"]),
        "/api/chat": third.chat(NAME, ASK, stream=True),
        "/api/generate": third.generate(NAME, "Tell me a story.", stream=True),
    }
    iterators = {path: iter(stream) for path, stream in streams.items()}
    for iterator in iterators.values():
        next(iterator)
    return iterators


def ask(url, path):
    return httpx.post(url + path, json={"model": NAME, **BODIES[path]}, timeout=30)


def refusal(url, path):
    """(status, type, code) of an error in the API's own shape."""
    answer = ask(url, path)
    error = answer.json()
    if path.startswith("/api"):
        assert set(error) == {"error"} and "shutting down" in error["error"]
        return answer.status_code, None, None
    if path == "/v1/messages":
        assert error["type"] == "error" and error["request_id"] == answer.headers["request-id"]
        return answer.status_code, error["error"]["type"], None
    assert set(error["error"]) == {"message", "type", "param", "code"}
    return answer.status_code, error["error"]["type"], error["error"]["code"]


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """(what was refused, by path; the open streams), of a node that is ending."""
    with Scripted(tmp_path_factory.mktemp("scripted"),
                  environment={"POMONA_SCRIPT_TOKENS_PER_S": "40"}) as node:
        node.says([{"say": "and then " * 2000}])
        iterators = streams_of(node.url)
        node.node.process.send_signal(signal.SIGTERM)
        wait_until(lambda: ask(node.url, "/api/chat").status_code == 503, 10, "the node refuses")
        refused = {path: refusal(node.url, path) for path in BODIES}
        node.node.process.send_signal(signal.SIGTERM)
        yield refused, iterators
        node.node.process.wait(20)
        node.node.assert_ended_well()


def test_a_node_that_ends_refuses_in_each_shape(ended):
    refused, _ = ended
    assert refused.pop("/v1/messages") == (529, "overloaded_error", None)
    assert {refused.pop("/api/chat"), refused.pop("/api/generate")} == {(503, None, None)}
    assert set(refused.values()) == {(503, "server_error", "shutting_down")} and len(refused) == 3


@pytest.mark.parametrize("path,error", [
    ("/v1/chat/completions", openai.APIError), ("/v1/completions", openai.APIError),
    ("/v1/messages", anthropic.APIStatusError), ("/api/chat", ollama.ResponseError),
    ("/api/generate", ollama.ResponseError)])
def test_a_stream_that_breaks_off_raises(ended, path, error):
    with pytest.raises(error, match="shutting down") as e:
        for _ in ended[1][path]:
            pass
    if path == "/v1/messages":
        assert e.value.body["error"]["type"] == "overloaded_error"
    elif error is openai.APIError:
        assert e.value.code == "shutting_down" and e.value.type == "server_error"


def test_a_response_that_breaks_off_has_failed(ended):
    *_, last = ended[1]["/v1/responses"]
    assert last.type == "response.failed" and last.response.status == "failed"
    assert last.response.error.code == "shutting_down"
    assert json.loads(last.to_json())["response"]["usage"] is None

