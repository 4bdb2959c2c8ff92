# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_forced_calls.py - what has to be a call is one, whatever the model would say.

The real model was never taught to call, and its chat template has no place for functions: it is told of
them in words (text/tool_prompt.h), and a grammar holds its random answers to calls.
"""
import json

import jsonschema
import openai
import pytest

from support.cluster import MODEL, one_node

WEATHER = {"type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]},
                                            "days": {"type": "integer", "minimum": 1, "maximum": 9}},
           "required": ["city", "days"], "additionalProperties": False}
ADD = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
       "required": ["a", "b"], "additionalProperties": False}
SCHEMAS = {"weather": WEATHER, "add": ADD}
TOOLS = [{"type": "function", "function": {"name": name, "description": f"The {name}.", "parameters": schema}}
         for name, schema in SCHEMAS.items()]
MESSAGES = [{"role": "user", "content": "Tell me a long story about a fox."}]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with one_node(tmp_path_factory.mktemp("node")) as node:
        yield openai.OpenAI(base_url=f"http://127.0.0.1:{node.api_port}/v1", api_key="none",
                            max_retries=0, timeout=300)


def ask(client, seed, **more):
    return client.chat.completions.create(model=MODEL, messages=MESSAGES, tools=TOOLS, seed=seed,
                                          temperature=1.2, max_tokens=200, **more).choices[0]


def check(call):
    jsonschema.validate(json.loads(call.function.arguments), SCHEMAS[call.function.name])


@pytest.mark.parametrize("seed", range(4))
def test_required_is_a_call(client, seed):
    choice = ask(client, seed, tool_choice="required", parallel_tool_calls=False)
    assert choice.finish_reason == "tool_calls"
    assert len(choice.message.tool_calls) == 1
    check(choice.message.tool_calls[0])


@pytest.mark.parametrize("name", SCHEMAS)
def test_named_is_that_function(client, name):
    choice = ask(client, 7, tool_choice={"type": "function", "function": {"name": name}})
    assert choice.finish_reason in ("tool_calls", "length")
    assert {call.function.name for call in choice.message.tool_calls} == {name}
    check(choice.message.tool_calls[0])


def test_streamed(client):
    with client.chat.completions.stream(model=MODEL, messages=MESSAGES, tools=TOOLS, seed=3, temperature=1.2,
                                        max_tokens=200, tool_choice="required",
                                        parallel_tool_calls=False) as stream:
        choice = stream.get_final_completion().choices[0]
    assert choice.finish_reason == "tool_calls"
    check(choice.message.tool_calls[0])


def test_none_is_words(client):
    choice = ask(client, 5, tool_choice="none")
    assert not choice.message.tool_calls and choice.message.content


def test_the_model_is_told_of_functions(client):
    told = client.post("/apply-template", cast_to=object, body={"messages": MESSAGES, "tools": TOOLS})
    assert '"name":"weather"' in told["prompt"] and "<tool_call>" in told["prompt"]
