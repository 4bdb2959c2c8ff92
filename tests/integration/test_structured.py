# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_structured.py - answers that obey a schema, an expression or a grammar.

The node serves the real model, whose random choices (temperature 1.2) are held to random schemas;
the judge is the jsonschema package.  POMONA_TEST_FULL=1 asks for 1,000 documents.
"""
import concurrent.futures
import json
import os
import re
from typing import Literal, Optional

import jsonschema
import openai
import pydantic
import pytest

from support.cluster import MODEL, one_node
from support.schemas import schemas

N_DOCUMENTS = 1000 if os.environ.get("POMONA_TEST_FULL") else 10 if os.environ.get("POMONA_SANITIZE") else 40


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with one_node(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture(scope="module")
def client(node):
    return openai.OpenAI(base_url=f"http://127.0.0.1:{node.api_port}/v1", api_key="none",
                         max_retries=0, timeout=300)


def ask(client, text="Describe a person as JSON.", **more):
    return client.chat.completions.create(
        **{"model": MODEL, "messages": [{"role": "user", "content": text}], "temperature": 1.2,
           "max_tokens": 600, **more}).choices[0]


def of_schema(schema, name="thing"):
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}


def no_constant(text):
    raise AssertionError(f"{text} is no JSON")


def check_document(client, seed, schema):
    """True where the document came to its end: a small model may write free text for ever."""
    for attempt in range(6):
        choice = ask(client, "Write a short JSON document.", response_format=of_schema(schema),
                     seed=seed + 10000 * attempt, frequency_penalty=attempt / 4, max_tokens=300)
        if choice.finish_reason == "length":
            continue
        document = json.loads(choice.message.content, parse_constant=no_constant)
        jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator,
                            format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        return True
    return False


def test_random_schemas_hold(client):
    n_cut = 0
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        jobs = {pool.submit(check_document, client, seed, schema): schema
                for seed, schema in enumerate(schemas(20261126, N_DOCUMENTS))}
        for job, schema in jobs.items():
            try:
                n_cut += not job.result()
            except Exception as e:
                raise AssertionError(json.dumps(schema)) from e
    print(f"{N_DOCUMENTS} schemas, {n_cut} documents did not end")
    assert n_cut <= N_DOCUMENTS // 100


def test_any_object_is_json(client):
    for seed in range(4):
        choice = ask(client, response_format={"type": "json_object"}, seed=seed, max_tokens=300)
        if choice.finish_reason == "stop":
            assert isinstance(json.loads(choice.message.content), dict)
        else:
            assert choice.message.content.startswith("{")


class Pet(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=20)
    kind: Literal["cat", "dog"]
    age: int = pydantic.Field(ge=0, le=30)


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=20)
    nickname: Optional[str] = pydantic.Field(max_length=10)
    pets: list[Pet] = pydantic.Field(max_length=2)


def test_openai_parses_into_pydantic(client):
    answer = client.chat.completions.parse(
        model=MODEL, messages=[{"role": "user", "content": "Anna has a cat. Describe her."}],
        response_format=Person, temperature=0.8, seed=3, max_tokens=400)
    person = answer.choices[0].message.parsed
    assert isinstance(person, Person) and len(person.pets) <= 2
    assert answer.choices[0].finish_reason == "stop"


def test_streams_hold_too(client):
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 10,
                                                     "maximum": 99}}, "required": ["n"]}
    text = ""
    for chunk in client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "A number?"}], stream=True,
            response_format=of_schema(schema), max_tokens=60, temperature=1):
        text += chunk.choices[0].delta.content or ""
    assert 10 <= json.loads(text)["n"] <= 99
    assert chunk.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("more, pattern", [
    ({"grammar": 'root ::= ("ab" | "c")+ "!"'}, r"(ab|c)+!"),
    ({"guided_grammar": 'root ::= "yes" | "no"'}, r"yes|no"),
    ({"guided_regex": r"\d{3}-[a-f]+x?"}, r"\d{3}-[a-f]+x?"),
    ({"guided_choice": ["Paris", "London \"x\""]}, r'Paris|London "x"'),
    ({"guided_json": {"type": "integer", "minimum": 5, "maximum": 700}}, r"\d{1,3}"),
    ({"guided_json": '{"type": "boolean"}'}, r"true|false"),
    ({"json_schema": {"const": [1, "a"]}}, r'\[1,"a"\]'),
    ({"structured_outputs": {"choice": ["one", "two"]}}, r"one|two"),
    ({"structured_outputs": {"regex": "[xyz]{4}"}}, r"[xyz]{4}"),
    ({"response_format": {"type": "json_object", "schema": {"enum": ["é", 7]}}}, r'"é"|7'),
])
def test_other_servers_parameters(client, more, pattern):
    for seed in range(3):
        choice = ask(client, "Say something.", extra_body=more, seed=seed, max_tokens=200)
        assert choice.finish_reason == "length" or \
            re.fullmatch(pattern, choice.message.content, re.S), choice.message.content


def test_penalties_bias_choices_and_logprobs_stay_within(client):
    """What changes logits changes them among what is allowed; logprobs are the model's own."""
    answer = client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Hi"}], n=4, seed=11, temperature=1.5,
        frequency_penalty=1.5, presence_penalty=1, logprobs=True, top_logprobs=3, max_tokens=40,
        extra_body={"guided_regex": "(ha|ho){3,6}", "repetition_penalty": 1.3})
    assert len({c.message.content for c in answer.choices}) > 1
    for choice in answer.choices:
        assert re.fullmatch("(ha|ho){3,6}", choice.message.content)
        tokens = choice.logprobs.content
        assert "".join(t.token for t in tokens) == choice.message.content
        assert any(t.logprob < t.top_logprobs[0].logprob for t in tokens)


def test_the_same_seed_gives_the_same_document(client):
    schema = schemas(7, 3)[2]
    texts = {ask(client, response_format=of_schema(schema), seed=5).message.content
             for _ in range(3)}
    assert len(texts) == 1


UNSUPPORTED = [
    ("uniqueItems", {"type": "array", "uniqueItems": True}),
    ("contains", {"type": "array", "contains": {"type": "string"}}),
    ("not", {"not": {"type": "string"}}),
    ("if", {"if": {"type": "string"}, "then": {"minLength": 3}}),
    ("dependentRequired", {"type": "object", "dependentRequired": {"a": ["b"]}}),
    ("propertyNames", {"type": "object", "propertyNames": {"pattern": "^a"}}),
    ("maxProperties", {"type": "object", "maxProperties": 2}),
    ("unevaluatedProperties", {"type": "object", "unevaluatedProperties": False}),
    ("multipleOf", {"type": "number", "multipleOf": 0.01}),
    ("format", {"type": "string", "format": "iri-reference"}),
    ("$dynamicRef", {"$dynamicRef": "#x"}),
    ("minLength", {"type": "string", "minLength": 2, "pattern": "^a+$"}),
    ("oneOf", {"oneOf": [{"type": "integer"}, {"type": "number"}]}),
    ("nullable", {"type": "string", "nullable": True}),
]


@pytest.mark.parametrize("keyword, schema", UNSUPPORTED)
def test_unsupported_keywords_are_refused_by_name(client, keyword, schema):
    deep = {"type": "object", "properties": {"a": {"type": "array", "items": schema}}}
    for whole in (schema, deep, {"$ref": "#/$defs/s", "$defs": {"s": schema}}):
        with pytest.raises(openai.BadRequestError) as e:
            ask(client, response_format=of_schema(whole))
        assert e.value.code == "invalid_json_schema" and f"'{keyword}'" in e.value.message


@pytest.mark.parametrize("more, code", [
    ({"grammar": "root ::= " + "(" * 60000}, "invalid_grammar"),
    ({"grammar": "root ::= root \"a\" | \"b\""}, "invalid_grammar"),
    ({"grammar": "root ::= \"a\" root"}, "invalid_grammar"),
    ({"grammar": "root ::= other"}, "invalid_grammar"),
    ({"grammar": "root ::= ((((\"a\"{1000}){1000}){1000}){1000})"}, "invalid_grammar"),
    ({"guided_regex": "(a{9000}){9000}"}, "invalid_grammar"),
    ({"guided_regex": "(?=a)b"}, "invalid_grammar"),
    ({"guided_json": {"type": "array", "minItems": 10**9}}, "invalid_json_schema"),
    ({"guided_json": {"$ref": "#"}}, "invalid_json_schema"),
    ({"guided_json": {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}}},
     "invalid_json_schema"),
    ({"guided_json": {"enum": [f"value number {i}" for i in range(100000)]}}, "invalid_json_schema"),
    ({"guided_json": {"type": "string"}, "grammar": "root ::= \"a\""}, "invalid_value"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
     "missing_required_parameter"),
    ({"response_format": {"type": "xml"}}, "invalid_value"),
    ({"structured_outputs": {"structural_tag": "x"}}, "unsupported_parameter"),
])
def test_what_cannot_be_held_is_refused(client, more, code):
    with pytest.raises(openai.BadRequestError) as e:
        ask(client, extra_body=more)
    assert e.value.code == code


def test_an_expression_that_backtracking_dies_of(client):
    choice = ask(client, extra_body={"guided_regex": "(a+)+$"}, max_tokens=30)
    assert set(choice.message.content) == {"a"}
