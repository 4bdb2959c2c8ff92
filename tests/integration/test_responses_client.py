# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_responses_client.py - OpenAI's Responses, LangChain and LiteLLM.

The model says what the test wrote down (support/scripted.py); all around it is real.
"""
import json
import os

import openai
import pytest

from support.scripted import CACHE_MISS_TOKENS, NAME, SPELLED, WRITTEN, Scripted, call

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it would fetch one otherwise

WEATHER = {"type": "function", "name": "get_weather", "description": "The weather of a city.",
           "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
           "strict": False}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Apply a patch."}
PARIS = call("get_weather", city="Paris")


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Scripted(tmp_path_factory.mktemp("scripted")) as node:
        yield node


@pytest.fixture(scope="module")
def client(node):
    return openai.OpenAI(base_url=f"{node.url}/v1", api_key="none", max_retries=0, timeout=60)


def ask(client, said="How is the weather in Paris?", **more):
    return client.responses.create(**{"model": NAME, "input": said, **more})


def test_a_response_is_text(node, client):
    node.says([{"when": "Be short.", "say": "Fine."}])
    answer = ask(client, instructions="Be short.", metadata={"a": "b"})
    assert answer.output_text == "Fine." and answer.status == "completed" and not answer.error
    assert answer.id.startswith("resp_") and answer.metadata == {"a": "b"}
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    cut = ask(client, instructions="Be short.", max_output_tokens=1)
    assert cut.status == "incomplete" and cut.incomplete_details.reason == "max_output_tokens"


def test_every_event_comes_in_its_order(node, client):
    node.says([{"say": f"<think>Hm.</think>I look.\n{PARIS}\n{call('apply_patch', input='*** Begin')}"}])
    events = list(ask(client, tools=[WEATHER, PATCH, {"type": "web_search"}], stream=True))
    kinds = [e.type for e in events]
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    assert [k for k in kinds if k.startswith("response.output_item")] == [
        "response.output_item.added", "response.output_item.done"] * 4
    assert "response.reasoning_text.delta" in kinds and "response.output_text.done" in kinds
    assert "response.function_call_arguments.done" in kinds
    assert "response.custom_tool_call_input.done" in kinds
    output = events[-1].response.output
    assert [i.type for i in output] == ["reasoning", "message", "function_call", "custom_tool_call"]
    assert json.loads(output[2].arguments) == {"city": "Paris"} and output[2].call_id.startswith("call_")
    assert output[3].input == "*** Begin"
    done = [e.item for e in events if e.type == "response.output_item.done"]
    assert [i.id for i in done] == [i.id for i in output]
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == output[1].content[0].text == "I look."
    whole = ask(client, tools=[WEATHER, PATCH])
    assert [i.type for i in whole.output] == [i.type for i in output]


def test_a_cut_stream_says_so(node, client):
    node.says([{"say": "one two three four"}])
    events = list(ask(client, max_output_tokens=2, stream=True))
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.incomplete_details.reason == "max_output_tokens"


def test_items_are_replayed_and_results_answered(node, client):
    node.says([{"when": "<tool_response>\n18", "say": "Eighteen."}, {"say": PARIS}])
    first = ask(client, tools=[WEATHER])
    items = [{"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]}]
    items += [i.model_dump(exclude_none=True) for i in first.output]
    items += [{"type": "function_call_output", "call_id": first.output[0].call_id, "output": "18"}]
    assert ask(client, items, tools=[WEATHER]).output_text == "Eighteen."
    follow = ask(client, items[-1:], previous_response_id=first.id, tools=[WEATHER])
    assert follow.output_text == "Eighteen." and follow.previous_response_id == first.id


@pytest.mark.parametrize("replays", [False, True])
def test_a_call_comes_back_as_it_was_written(node, client, replays):
    node.says([{"when": "<tool_response>", "say": "Warm."}, {"say": f"I look.\n{SPELLED}"}])
    question = [{"role": "user", "content": f"Weather, replayed {replays}?"}]
    first = ask(client, question, tools=[WEATHER])
    assert first.output[1].arguments == WRITTEN
    items = [{"type": "function_call_output", "call_id": first.output[1].call_id, "output": "18"}]
    if replays:
        items = question + [i.model_dump(exclude_none=True) for i in first.output] + items
    usage = ask(client, items, tools=[WEATHER],
                **({} if replays else {"previous_response_id": first.id})).usage
    assert usage.input_tokens_details.cached_tokens > first.usage.total_tokens - CACHE_MISS_TOKENS


def test_nobody_elses_response_is_gone_on_with(node, client):
    node.says([{"say": "Yes."}])
    mine = ask(client, user="me")
    assert ask(client, "Sure?", previous_response_id=mine.id, user="me").output_text == "Yes."
    for more in ({"user": "you", "previous_response_id": mine.id}, {"previous_response_id": "resp_0"},
                 {"previous_response_id": ask(client, store=False).id}):
        with pytest.raises(openai.BadRequestError) as e:
            ask(client, **more)
        assert e.value.param == "previous_response_id"


def test_a_response_is_shown_and_deleted(node, client):
    node.says([{"say": "Yes."}])
    for streams in (False, True):
        answer = ask(client, [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "One."},
                              {"role": "user", "content": "Two?"}], metadata={"a": "b"}, stream=streams)
        answer = list(answer)[-1].response if streams else answer
        assert client.responses.retrieve(answer.id) == answer
        items = client.responses.input_items.list(answer.id, limit=2, order="asc")
        assert items.has_more and [i.content[0].text for i in items.data] == ["One?", "One."]
        assert [i.content[0].text for i in items] == ["One?", "One.", "Two?"], "page by page"
        newest = client.responses.input_items.list(answer.id, limit=1)
        assert newest.data[0].content[0].text == "Two?" and newest.data[0].id
        with pytest.raises(openai.BadRequestError, match="complete"):
            client.responses.cancel(answer.id)
        client.responses.delete(answer.id)
        for gone in (client.responses.retrieve, client.responses.input_items.list, client.responses.delete,
                     client.responses.cancel):
            with pytest.raises(openai.NotFoundError):
                gone(answer.id)
    unkept = ask(client, store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(unkept.id)


def test_a_response_is_canceled_while_it_is_given(node, client):
    node.says([{"say": "one two three " * 5000}])
    with ask(client, stream=True) as stream:
        events = iter(stream)
        answer = next(events).response
        assert client.responses.cancel(answer.id).status == "cancelled"
        *_, last = events
    assert last.type == "response.failed" and last.response.error.code == "cancelled"


def test_log_probabilities_are_given_where_they_are_asked_for(node, client):
    node.says([{"say": "one two three"}])
    more = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    part = ask(client, **more).output[0].content[0]
    assert "".join(p.token for p in part.logprobs) == part.text == "one two three"
    assert all(len(p.top_logprobs) == 2 and p.logprob > -0.01 for p in part.logprobs)
    events = list(ask(client, stream=True, **more))
    deltas = [p for e in events if e.type == "response.output_text.delta" for p in e.logprobs]
    done = next(e for e in events if e.type == "response.output_text.done")
    last = events[-1].response.output[0].content[0].logprobs
    assert [p.token for p in deltas] == [p.token for p in done.logprobs] == [p.token for p in part.logprobs]
    assert last == part.logprobs
    assert not ask(client).output[0].content[0].logprobs


def test_an_answer_keeps_to_a_schema(node, client):
    import pydantic

    class Place(pydantic.BaseModel):
        city: str
        people: int

    said = '{"city": "Oslo", "people": 7}'
    node.says([{"say": f"{said} and more"}])
    answer = client.responses.parse(model=NAME, input="A city?", text_format=Place)
    assert answer.output_parsed == Place(city="Oslo", people=7) and answer.output_text == said
    assert ask(client, text={"format": {"type": "json_object"}}).output_text == said
    assert ask(client).output_text != said


def test_what_is_wrong_is_said(client, node):
    for body, param in (({"background": True}, "background"), ({"conversation": "c"}, "conversation"),
                        ({"tool_choice": "often"}, "tool_choice"),
                        ({"n": 2}, "n"), ({"max_tokens": 5}, "max_tokens"), ({"logprobs": True}, "logprobs"),
                        ({"top_logprobs": 50}, "top_logprobs"), ({"include": "all"}, "include"),
                        ({"text": {"format": {"type": "yaml"}}}, "text.format.type"),
                        ({"text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
                        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
                        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0]")):
        with pytest.raises(openai.BadRequestError) as e:
            ask(client, extra_body=body)
        assert e.value.param == param, body
    status, counted = node.node.request("POST", "/v1/responses/input_tokens",
                                        {"model": NAME, "input": "one two three"})
    assert status == 200 and counted["object"] == "response.input_tokens" and counted["input_tokens"] > 3


def test_langchain_calls_tools(node):
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"18 degrees in {city}"

    node.says([{"when": "18 degrees in Paris", "say": "Eighteen."}, {"say": PARIS}])
    model = ChatOpenAI(model=NAME, base_url=f"{node.url}/v1", api_key="none").bind_tools([get_weather])
    messages = [HumanMessage("How is the weather in Paris?")]
    answer = model.invoke(messages)
    request, = answer.tool_calls
    messages += [answer, ToolMessage(get_weather.invoke(request["args"]), tool_call_id=request["id"])]
    assert model.invoke(messages).content == "Eighteen."
    pieces = None
    for piece in model.stream(messages[:1]):
        pieces = piece if pieces is None else pieces + piece
    assert pieces.tool_calls[0]["args"] == {"city": "Paris"}


def test_litellm_as_client(node):
    import litellm

    node.says([{"say": PARIS}])
    tools = [{"type": "function", "function": {k: WEATHER[k] for k in ("name", "description", "parameters")}}]
    answer = litellm.completion(model=f"openai/{NAME}", api_base=f"{node.url}/v1", api_key="none",
                                messages=[{"role": "user", "content": "Weather?"}], tools=tools)
    made = answer.choices[0].message.tool_calls[0].function
    assert made.name == "get_weather" and json.loads(made.arguments) == {"city": "Paris"}
    assert answer.choices[0].finish_reason == "tool_calls"
