# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_tools_openai.py - OpenAI's chat completions with tools, by their own clients.

The model says what the test wrote down (support/scripted.py); all around it is real.
"""
import asyncio
import json
import re

import openai
import pytest

from support.scripted import CACHE_MISS_TOKENS, NAME, SPELLED, WRITTEN, Scripted, call

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
                   "required": ["city"]}}}
TIME = {"type": "function", "function": {"name": "get_time"}}
ASK = [{"role": "user", "content": "How is the weather in Paris and in Rome?"}]
PARIS, ROME = call("get_weather", city="Paris"), call("get_weather", city="Rome \"}</tool_call>")


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with Scripted(tmp_path_factory.mktemp("scripted")) as node:
        yield node


@pytest.fixture(scope="module")
def client(node):
    return openai.OpenAI(base_url=f"{node.url}/v1", api_key="none", max_retries=0, timeout=60)


def chat(client, **more):
    return client.chat.completions.create(**{"model": NAME, "messages": ASK, **more})


def gather(stream):
    """(text, thoughts, calls, finish reason) of a stream's chunks."""
    text, thoughts, calls, finish = "", "", [], None
    for chunk in stream:
        choice, = chunk.choices
        delta = choice.delta
        text += delta.content or ""
        thoughts += getattr(delta, "reasoning_content", None) or ""
        for part in delta.tool_calls or []:
            if part.index == len(calls):
                assert part.id.startswith("call_") and part.type == "function"
                calls.append({"id": part.id, "name": part.function.name, "arguments": "", "pieces": 0})
            else:
                assert part.index == len(calls) - 1 and not part.id and not part.function.name
            calls[part.index]["arguments"] += part.function.arguments
            calls[part.index]["pieces"] += 1
        finish = choice.finish_reason or finish
    return text, thoughts, calls, finish


def test_a_turn_with_two_calls_and_their_results(node, client):
    node.says([{"when": "<tool_response>\n18 degrees", "say": "Paris 18, Rome 25."},
               {"when": "<tools>", "say": f"I look.\n{PARIS}\n{ROME}"}])
    answer = chat(client, tools=[WEATHER, TIME]).choices[0]
    assert answer.finish_reason == "tool_calls"
    assert answer.message.content == "I look."
    calls = answer.message.tool_calls
    assert [c.function.name for c in calls] == ["get_weather"] * 2
    assert [json.loads(c.function.arguments)["city"] for c in calls] == ["Paris", "Rome \"}</tool_call>"]
    assert len({c.id for c in calls}) == 2

    text, _, streamed, finish = gather(chat(client, tools=[WEATHER], stream=True))
    assert (text, finish) == ("I look.", "tool_calls")
    assert [json.loads(c["arguments"]) for c in streamed] == [json.loads(c.function.arguments) for c in calls]
    assert all(c["pieces"] > 2 for c in streamed), "arguments come as they are made"

    messages = ASK + [answer.message.model_dump(exclude_none=True)]
    messages += [{"role": "tool", "tool_call_id": c.id, "content": f"{n} degrees"}
                 for c, n in zip(calls, (18, 25))]
    last = chat(client, messages=messages, tools=[WEATHER]).choices[0]
    assert last.message.content == "Paris 18, Rome 25." and last.finish_reason == "stop"


def test_history_reaches_the_template_as_objects(node):
    message = {"role": "assistant", "content": None, "tool_calls": [
        {"id": "call_1", "type": "function",
         "function": {"name": "get_time", "arguments": "{\"zone\": \"UTC\"}"}}]}
    body = {"messages": ASK + [message, {"role": "tool", "tool_call_id": "call_1", "content": "12:00"}]}
    status, answer = node.node.request("POST", "/apply-template", body)
    assert status == 200, answer
    assert "<tool_call>\n{\"name\": \"get_time\", \"arguments\": {\"zone\": \"UTC\"}}\n</tool_call>" in answer["prompt"]
    assert "<tool_response>\n12:00\n</tool_response>" in answer["prompt"]


def test_a_call_comes_back_as_it_was_written(node, client):
    node.says([{"when": "<tool_response>", "say": "Warm."}, {"say": f"I look.\n{SPELLED}"}])
    answer = chat(client, tools=[WEATHER])
    message = answer.choices[0].message
    assert message.tool_calls[0].function.arguments == WRITTEN
    messages = ASK + [message.model_dump(exclude_none=True),
                      {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "18"}]
    before, after = (node.node.request("POST", "/apply-template", {"messages": m, "tools": [WEATHER]})[1]["prompt"]
                     for m in (ASK, messages))
    assert after.startswith(f"{before}I look.\n{SPELLED}")
    usage = chat(client, messages=messages, tools=[WEATHER]).usage
    known = answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert usage.prompt_tokens_details.cached_tokens > known - CACHE_MISS_TOKENS


CUSTOM = {"type": "custom", "custom": {"name": "run", "description": "Runs a line of a shell."}}
REGEX = {"type": "custom", "custom": {"name": "paint", "format": {
    "type": "grammar", "grammar": {"syntax": "regex", "definition": "(red|blue)"}}}}
LINES = """start: "=== Begin" LF line+ "=== End" LF
line: ("+" | "-") ("x" | "\\"") LF
%import common.LF
"""
LARK = {"type": "custom", "custom": {"name": "patch", "format": {
    "type": "grammar", "grammar": {"syntax": "lark", "definition": LINES}}}}


def test_tools_of_free_text(node, client):
    run = call("run", input="ls -l \"a b\"\n")
    node.says([{"when": "<tool_response>", "say": "Listed."}, {"say": f"So:\n{run}\n{PARIS}\n{run}"}])
    tools = [CUSTOM, WEATHER]
    answer = chat(client, tools=tools).choices[0]
    assert [c.type for c in answer.message.tool_calls] == ["custom", "function", "custom"]
    assert answer.message.tool_calls[0].custom.input == "ls -l \"a b\"\n" and answer.finish_reason == "tool_calls"
    inputs, names = {}, {}
    for chunk in chat(client, tools=tools, stream=True):
        for part in chunk.choices[0].delta.tool_calls or []:
            made = getattr(part, "custom", None)
            if made:
                names.setdefault(part.index, made.get("name"))
                inputs[part.index] = inputs.get(part.index, "") + made["input"]
    assert names == {0: "run", 2: "run"} and set(inputs.values()) == {"ls -l \"a b\"\n"}
    messages = ASK + [answer.message.model_dump(exclude_none=True)]
    messages += [{"role": "tool", "tool_call_id": c.id, "content": "x"} for c in answer.message.tool_calls]
    assert chat(client, messages=messages, tools=tools).choices[0].message.content == "Listed."
    prompt = node.node.request("POST", "/apply-template", {"messages": messages, "tools": tools})[1]["prompt"]
    assert run in prompt


def test_a_tool_of_free_text_keeps_to_its_format(node, client):
    node.says([{"say": call("paint", input="green")}])
    answer = chat(client, tools=[REGEX, CUSTOM], tool_choice={"type": "custom", "custom": {"name": "paint"}},
                  parallel_tool_calls=False, max_tokens=60).choices[0]
    assert answer.message.tool_calls[0].custom.input in ("red", "blue")
    told = node.node.request("POST", "/apply-template", {"messages": ASK, "tools": [REGEX, LARK]})[1]["prompt"]
    assert "=== Begin" in told and "(red|blue)" in told and '"lark"' not in told
    answer = chat(client, tools=[LARK], max_tokens=120, temperature=0.7, seed=1,
                  tool_choice={"type": "custom", "custom": {"name": "patch"}}, parallel_tool_calls=False).choices[0]
    assert re.fullmatch('=== Begin\n([-+][x"]\n)+=== End\n', answer.message.tool_calls[0].custom.input)
    for grammar in ({"syntax": "regex", "definition": "(a"}, {"syntax": "yacc", "definition": "a"}, {},
                    {"syntax": "lark", "definition": "start: a"}, {"syntax": "lark", "definition": "start: b\nb: c\nc: b"},
                    {"syntax": "lark", "definition": "start: /(?=a)a/"}):
        with pytest.raises(openai.BadRequestError) as e:
            chat(client, tools=[{"type": "custom", "custom": {"name": "f", "format": {
                "type": "grammar", "grammar": grammar}}}])
        assert e.value.param == "tools[0]"


def test_a_strict_function_is_held_to_its_schema(node, client):
    function = {**WEATHER["function"], "strict": True, "parameters": {
        "type": "object", "properties": {"city": {"enum": ["Paris", "Rome"]}}, "required": ["city"],
        "additionalProperties": False}}
    node.says([{"say": f"I look.\n{call('get_weather', city='Pisa', days=3)}"}])
    loose, strict = ({"type": "function", "function": {**function, "strict": s}} for s in (False, True))
    made = chat(client, tools=[loose]).choices[0].message.tool_calls[0].function
    assert json.loads(made.arguments) == {"city": "Pisa", "days": 3}
    answer = chat(client, tools=[strict], max_tokens=80).choices[0]
    assert answer.message.content == "I look."
    assert json.loads(answer.message.tool_calls[0].function.arguments) == {"city": "Paris"}
    node.says([{"say": "No call."}])
    assert chat(client, tools=[strict]).choices[0].message.content == "No call."
    function["parameters"] = {"type": "object", "not": {}}
    with pytest.raises(openai.BadRequestError, match="not") as e:
        chat(client, tools=[{"type": "function", "function": function}])
    assert e.value.code == "invalid_json_schema" and e.value.param == "tools[0]"


def test_only_tools_that_are_allowed_are_offered(node, client):
    node.says([{"when": "get_weather", "say": "Both."}, {"say": "One."}])
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [
        {"type": "function", "function": {"name": "get_time"}}]}}
    assert chat(client, tools=[WEATHER, TIME]).choices[0].message.content == "Both."
    assert chat(client, tools=[WEATHER, TIME], tool_choice=allowed).choices[0].message.content == "One."


def test_one_call_ends_the_answer_where_they_may_not_be_parallel(node, client):
    node.says([{"say": f"{PARIS}\n{ROME}"}])
    for streams in (False, True):
        answer = chat(client, tools=[WEATHER], parallel_tool_calls=False, stream=streams)
        if streams:
            _, _, calls, finish = gather(answer)
            assert len(calls) == 1 and finish == "tool_calls"
            assert json.loads(calls[0]["arguments"]) == {"city": "Paris"}
        else:
            assert len(answer.choices[0].message.tool_calls) == 1
            assert answer.choices[0].finish_reason == "tool_calls"


def test_what_is_no_call_is_content(node, client):
    said = "<tool_call>\n{\"name\": \"get_weather\", nonsense}\n</tool_call>"
    node.says([{"say": said}])
    answer = chat(client, tools=[WEATHER]).choices[0]
    assert answer.message.content == said and answer.finish_reason == "stop"
    assert not answer.message.tool_calls
    text, _, calls, finish = gather(chat(client, tools=[WEATHER], stream=True))
    assert (text, calls, finish) == (said, [], "stop")
    node.says([{"say": PARIS}])
    assert chat(client).choices[0].message.content == PARIS, "without tools it is text"
    assert chat(client, tools=[WEATHER], tool_choice="none").choices[0].message.content == PARIS


def test_max_tokens_cuts_arguments_and_says_so(node, client):
    node.says([{"say": PARIS}])
    answer = chat(client, tools=[WEATHER], max_tokens=14).choices[0]
    assert answer.finish_reason == "length"


def test_stop_strings_are_looked_for_in_words_alone(node, client):
    node.says([{"say": f"<think>Paris?</think>One Paris two\n{PARIS}"}])
    answer = chat(client, tools=[WEATHER], stop="two").choices[0]
    assert answer.message.content == "One Paris " and answer.finish_reason == "stop"
    assert answer.message.reasoning_content == "Paris?"
    answer = chat(client, tools=[WEATHER], stop="get_weather").choices[0]
    assert len(answer.message.tool_calls) == 1


def test_functions_of_the_older_kind(node, client):
    node.says([{"say": PARIS}])
    functions = [WEATHER["function"]]
    answer = chat(client, functions=functions).choices[0]
    assert answer.finish_reason == "function_call" and not answer.message.tool_calls
    assert answer.message.function_call.name == "get_weather"
    assert json.loads(answer.message.function_call.arguments) == {"city": "Paris"}
    name, arguments = "", ""
    for chunk in chat(client, functions=functions, stream=True):
        part = chunk.choices[0].delta.function_call
        name += part and part.name or ""
        arguments += part and part.arguments or ""
    assert name == "get_weather" and json.loads(arguments) == {"city": "Paris"}


def test_thoughts_are_kept_apart_and_bounded(node, client):
    node.says([{"when": "</think>", "say": "Four."},
               {"say": "Two and two, and " + "so on " * 200 + "\n</think>\n\nFour."}])
    kwargs = {"chat_template_kwargs": {"enable_thinking": True}}
    answer = chat(client, extra_body=kwargs)
    message = answer.choices[0].message
    assert message.content == "Four." and message.reasoning_content.startswith("Two and two")
    assert 200 < answer.usage.completion_tokens_details.reasoning_tokens < answer.usage.completion_tokens
    bounded = chat(client, extra_body={**kwargs, "thinking_token_budget": 20})
    message = bounded.choices[0].message
    assert message.content == "Four." and len(message.reasoning_content) < 200
    assert bounded.usage.completion_tokens_details.reasoning_tokens < 30
    text, thoughts, _, finish = gather(chat(client, stream=True, extra_body=kwargs))
    assert (text, finish) == ("Four.", "stop") and thoughts.startswith("Two and two")


def test_the_last_message_is_gone_on_with(node, client):
    node.says([{"when": "assistant\nOnce upon", "say": " a time."}, {"say": "No."}])
    messages = ASK + [{"role": "assistant", "content": "Once upon "}]
    more = {"continue_final_message": True, "add_generation_prompt": False}
    assert chat(client, messages=messages, extra_body=more).choices[0].message.content == " a time."
    prompt = node.node.request("POST", "/apply-template", {"messages": messages, **more})[1]["prompt"]
    assert prompt.endswith("<|im_start|>assistant\nOnce upon")
    for body, messages in (({**more, "add_generation_prompt": True}, messages), (more, ASK)):
        with pytest.raises(openai.BadRequestError):
            chat(client, messages=messages, extra_body=body)


def test_a_body_of_a_response_is_answered_as_a_chat(node, client):
    node.says([{"say": PARIS}])
    tool = {"type": "function", **WEATHER["function"]}
    body = {"model": NAME, "input": [{"role": "user", "content": "Weather?"}], "tools": [tool]}
    status, answer = node.node.request("POST", "/v1/chat/completions", body)
    assert status == 200 and answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "get_weather"


def test_what_is_wrong_is_said(client):
    wrong = [({"tools": "none"}, "tools"), ({"tools": [{"type": "function"}]}, "tools[0]"),
             ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0]"),
             ({"tools": [{"type": "computer"}]}, "tools[0]"),
             ({"tools": [WEATHER], "tool_choice": "often"}, "tool_choice"),
             ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "f"}}},
              "tool_choice"),
             ({"tool_choice": "required"}, "tool_choice")]
    for body, param in wrong:
        with pytest.raises(openai.BadRequestError) as e:
            chat(client, extra_body=body)
        assert e.value.param == param, body


def test_calls_at_the_same_time(node):
    node.says([{"when": "city 3", "say": call("get_weather", city="three")},
               {"say": call("get_weather", city="other")}])

    async def ask_all():
        client = openai.AsyncOpenAI(base_url=f"{node.url}/v1", api_key="none", max_retries=0)
        async with client:
            return await asyncio.gather(*(client.chat.completions.create(
                model=NAME, messages=[{"role": "user", "content": f"city {i}"}], tools=[WEATHER])
                for i in range(8)))

    cities = [json.loads(a.choices[0].message.tool_calls[0].function.arguments)["city"]
              for a in asyncio.run(ask_all())]
    assert cities == ["three" if i == 3 else "other" for i in range(8)]
