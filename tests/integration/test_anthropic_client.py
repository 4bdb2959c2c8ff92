# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_anthropic_client.py - Anthropic's own client, unmodified.

The model says what the test wrote down (support/scripted.py); all around it is real.
"""
import anthropic
import pytest

from support.scripted import CACHE_MISS_TOKENS, NAME, SPELLED, Scripted, call

ASK = [{"role": "user", "content": "How is the weather in Paris?"}]
WEATHER = {"name": "get_weather", "description": "The weather of a city.",
           "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
PARIS = call("get_weather", city="Paris")


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Scripted(tmp_path_factory.mktemp("scripted")) as node:
        yield node


@pytest.fixture(scope="module")
def client(node):
    return anthropic.Anthropic(base_url=node.url, api_key="none", max_retries=0, timeout=60)


def ask(client, **more):
    return client.messages.create(**{"model": NAME, "messages": ASK, "max_tokens": 500, **more})


def test_a_message_is_answered(node, client):
    node.says([{"say": "Fine."}])
    answer = ask(client, system="Be short.")
    assert answer.content[0].text == "Fine." and answer.stop_reason == "end_turn"
    assert answer.model == NAME and answer.id.startswith("msg_") and answer.role == "assistant"
    assert answer.usage.input_tokens > 5 and answer.usage.output_tokens >= 2
    assert [m.id for m in client.models.list()] == [NAME]


def test_max_tokens_and_stop_sequences_end_it(node, client):
    node.says([{"say": "one two three four"}])
    assert ask(client, max_tokens=2).stop_reason == "max_tokens"
    answer = ask(client, stop_sequences=["nine", "three"])
    assert (answer.content[0].text, answer.stop_reason, answer.stop_sequence) == (
        "one two ", "stop_sequence", "three")


def test_a_turn_with_a_tool(node, client):
    node.says([{"when": "<tool_response>\n18 degrees", "say": "Eighteen."},
               {"when": "<tools>", "say": f"I look.\n{PARIS}"}])
    answer = ask(client, tools=[WEATHER])
    text, use = answer.content
    assert text.text == "I look." and answer.stop_reason == "tool_use"
    assert use.name == "get_weather" and use.input == {"city": "Paris"} and use.id.startswith("toolu_")
    messages = ASK + [{"role": "assistant", "content": answer.content},
                      {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id,
                                                    "content": [{"type": "text", "text": "18 degrees"}]}]}]
    assert ask(client, messages=messages, tools=[WEATHER]).content[0].text == "Eighteen."


@pytest.mark.parametrize("streams", [False, True])
def test_a_call_comes_back_as_it_was_written(node, client, streams):
    node.says([{"when": "<tool_response>", "say": "Warm."}, {"say": f"I look.\n{SPELLED}"}])
    question = [{"role": "user", "content": f"How is the weather, streamed {streams}?"}]
    if streams:
        with client.messages.stream(model=NAME, messages=question, max_tokens=500, tools=[WEATHER]) as stream:
            answer = stream.get_final_message()
    else:
        answer = ask(client, messages=question, tools=[WEATHER])
    assert answer.content[1].input["city"] == "Z\u00fcrich"
    messages = question + [{"role": "assistant", "content": answer.content},
                           {"role": "user", "content": [{"type": "tool_result", "content": "18",
                                                         "tool_use_id": answer.content[1].id}]}]
    usage = ask(client, messages=messages, tools=[WEATHER]).usage
    known = answer.usage.input_tokens + answer.usage.cache_read_input_tokens + answer.usage.output_tokens
    assert usage.cache_read_input_tokens > known - CACHE_MISS_TOKENS


def test_a_stream_with_thoughts_words_and_calls(node, client):
    node.says([{"say": f"Hm.</think>I look.\n{PARIS}\n{call('get_weather')}"}])
    with client.messages.stream(model=NAME, messages=ASK, max_tokens=500, tools=[WEATHER],
                                thinking={"type": "enabled", "budget_tokens": 1024}) as stream:
        kinds = [event.type for event in stream]
        answer = stream.get_final_message()
    thoughts, text, first, second = answer.content
    assert thoughts.thinking == "Hm." and thoughts.signature
    assert text.text == "I look."
    assert first.input == {"city": "Paris"} and second.input == {} and first.id != second.id
    assert answer.stop_reason == "tool_use" and answer.usage.output_tokens > 10
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 4
    again = ASK + [{"role": "assistant", "content": answer.content},
                   {"role": "user", "content": [{"type": "tool_result", "tool_use_id": b.id,
                                                 "content": "?"} for b in (first, second)]}]
    assert ask(client, messages=again, tools=[WEATHER]).stop_reason


def test_what_changes_with_each_request_is_not_in_the_prompt(node, client):
    def count(system):
        return client.messages.count_tokens(model=NAME, messages=ASK, system=system).input_tokens

    plain = [{"type": "text", "text": "You are an agent."}]
    billing = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2; cch=12345;"}
    marked = [{**plain[0], "cache_control": {"type": "ephemeral"}}]
    assert count(plain) == count([billing] + plain) == count(marked)
    assert count(plain) > client.messages.count_tokens(model=NAME, messages=ASK).input_tokens
    node.says([{"say": "Yes."}])
    system = [{"type": "text", "text": "words " * 200}]
    ask(client, system=[billing] + system)
    later = {**billing, "text": billing["text"].replace("12345", "99999")}
    assert ask(client, system=[later] + system).usage.cache_read_input_tokens > 150


def test_words_put_into_its_mouth_are_gone_on_with(node, client):
    node.says([{"when": "assistant\nThe weather is", "say": " fine."}, {"say": "No."}])
    messages = ASK + [{"role": "assistant", "content": "The weather is"}]
    assert ask(client, messages=messages).content[0].text == " fine."


def test_an_answer_keeps_to_a_schema(node, client):
    said = '{"city": "Oslo"}'
    node.says([{"say": f"{said} and more"}])
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
              "additionalProperties": False}
    for where in ("output_format", "format"):
        format = {"type": "json_schema", "schema": schema}
        body = {where: format} if where == "output_format" else {"output_config": {where: format}}
        assert ask(client, extra_body=body).content[0].text == said
        for wrong in ({"type": "yaml"}, {"type": "json_schema"}):
            body = {where: wrong} if where == "output_format" else {"output_config": {where: wrong}}
            with pytest.raises(anthropic.BadRequestError, match=where):
                ask(client, extra_body=body)


def test_what_other_apis_call_their_own_is_refused_by_name(client):
    for body in ({"n": 2}, {"seed": 1}, {"stop": "x"}, {"logprobs": True}, {"logit_bias": {"1": 2}},
                 {"response_format": {"type": "json_object"}}, {"mcp_servers": [{"name": "x"}]},
                 {"max_completion_tokens": 5}, {"frequency_penalty": 1}, {"presence_penalty": 1}):
        with pytest.raises(anthropic.BadRequestError, match=next(iter(body))):
            ask(client, extra_body=body)


def test_a_system_message_stays_where_it_is(node, client):
    node.says([{"when": "first?<|im_end|>\n<|im_start|>system\nnow this", "say": "In place."},
               {"say": "Moved."}])
    messages = [{"role": "user", "content": "first?"}, {"role": "system", "content": "now this"}]
    assert ask(client, messages=messages).content[0].text == "In place."


def test_errors_have_their_own_shape(client):
    with pytest.raises(anthropic.NotFoundError) as e:
        ask(client, model="other")
    assert e.value.body["error"]["type"] == "not_found_error" and e.value.request_id
    for wrong in ({"max_tokens": 0}, {"messages": []}, {"tool_choice": {"type": "often"}},
                  {"tools": [{"name": "a b", "input_schema": {}}]}, {"extra_body": {"temperature": 3}}):
        with pytest.raises(anthropic.BadRequestError) as e:
            ask(client, **wrong)
        assert e.value.body["type"] == "error", wrong
        assert e.value.body["error"]["type"] == "invalid_request_error"
    with pytest.raises(anthropic.BadRequestError) as e:
        ask(client, messages=[{"role": "user", "content": "word " * 140000}])
    assert "prompt is too long: " in str(e.value) and "tokens > " in str(e.value)
