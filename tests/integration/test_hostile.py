# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_hostile.py - bodies made to harm: each is refused in one sentence, or answered in bounds.

All of them go to one node, in bounded time each, while an ordinary client streams beside them: it gets
the tokens that it gets alone, and never waits long.  The node's memory stays bounded.
"""
import http.client
import json
import os
import threading
import time

import pytest

from support.cluster import IS_TIMED, MODEL, Stream, one_node, resident_bytes

IS_SANITIZED = bool(os.environ.get("POMONA_SANITIZE"))
ANSWER_S = 20 if IS_TIMED else 90
GAP_S = 3 if IS_TIMED else 20       # of the client beside
GROWTH_BYTES = 300 << 20
CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}
PLAIN = {"model": MODEL, "prompt": "Hi", "max_tokens": 4}


def chat(**more):
    return "/v1/chat/completions", json.dumps({**CHAT, **more}).encode()


def plain(**more):
    return "/v1/completions", json.dumps({**PLAIN, **more}).encode()


def chat_text(more):
    """A body whose last member is this text."""
    return "/v1/chat/completions", json.dumps(CHAT).encode()[:-1] + b"," + more + b"}"


def schema(value):
    return chat(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": value}})


def regex(text):
    return plain(guided_regex=text)


def grammar(text):
    return plain(grammar=text)


def nested(depth, leaf):
    value = leaf
    for _ in range(depth):
        value = {"type": "array", "items": value}
    return value


def doubled(keyword, leaf, depth):
    for _ in range(depth):
        leaf = {keyword: [leaf, leaf]}
    return leaf


def choices(n):
    return [{"type": "object", "properties": {"k": {"const": f"v{i}"}, "x": {"type": "string"}},
             "required": ["k", "x"]} for i in range(n)]


def tool(i, **parameters):
    return {"type": "function", "function": {"name": f"f{i}", "parameters": {"type": "object", **parameters}}}


REFUSED, ANSWERED, EITHER = {400, 404, 413, 422}, {200}, {200, 400, 413, 422}

BODIES = {
    # JSON
    "nothing": (("/v1/chat/completions", b""), REFUSED),
    "no object": (("/v1/chat/completions", b"[1]"), REFUSED),
    "a megabyte of brackets": (chat_text(b'"x":' + b"[" * 1000000), REFUSED),
    "65 levels": (chat_text(b'"metadata":' + b'{"a":' * 65 + b"1" + b"}" * 65), REFUSED),
    "two million values": (chat_text(b'"x":[' + b"0," * 2000000 + b"0]"), REFUSED),
    "a million empty objects": (chat_text(b'"messages":[' + b"{}," * 400000 + b"{}]"), REFUSED),
    "invalid UTF-8": (chat_text(b'"user":"\xff\xfe\xc0\x80"'), REFUSED),
    "a surrogate as UTF-8": (chat_text(b'"user":"\xed\xa0\x80"'), REFUSED),
    "a lone surrogate": (chat_text(b'"user":"\\ud800"'), REFUSED),
    "a NUL": (chat_text(b'"user":"a\\u0000b"'), REFUSED),
    "a raw NUL": (chat_text(b'"user":"a\x00b"'), REFUSED),
    "a number without end": (chat_text(b'"seed":' + b"9" * 100000), REFUSED),
    "an exponent": (chat_text(b'"temperature":1e999999'), REFUSED),
    "a key twice": (chat_text(b'"max_tokens":2,"max_tokens":3'), EITHER),
    "a thousand keys of one name": (chat_text(b",".join([b'"user":"u"'] * 1000)), EITHER),
    "keys without sense": (chat(**{f"k{i}": i for i in range(20000)}), EITHER),
    # numbers and counts
    "n": (chat(n=1 << 31), REFUSED),
    "n of 2^64": (chat_text(b'"n":18446744073709551616'), REFUSED),
    "n below 0": (chat(n=-1), REFUSED),
    "max_tokens": (chat(max_tokens=1 << 40), REFUSED),
    "max_tokens of -2^63": (chat(max_tokens=-(1 << 63)), REFUSED),
    "stops by the thousand": (chat(stop=["x"] * 5000), REFUSED),
    "a stop of a megabyte": (chat(stop="x" * 1000000), REFUSED),
    "stops that are empty": (chat(stop=["", ""]), EITHER),
    "logit_bias of every token and more": (chat(logit_bias={str(i): 1 for i in range(300000)}), REFUSED),
    "logit_bias of no token": (chat(logit_bias={"99999999999999999999": 1}), REFUSED),
    "top_logprobs": (chat(logprobs=True, top_logprobs=1 << 30), REFUSED),
    "prompts by the thousand": (plain(prompt=["x"] * 50000), REFUSED),
    "a prompt of 4 MB": (plain(prompt="word " * 800000), REFUSED),
    "one word of 2 MB": (plain(prompt="x" * 2000000), REFUSED),
    "tokens that are none": (plain(prompt=[1 << 40, -5]), REFUSED),
    "100,000 messages": (chat(messages=[{"role": "user", "content": "hi"}] * 100000), REFUSED),
    "a role of a megabyte": (chat(messages=[{"role": "u" * 1000000, "content": "x"}]), REFUSED),
    "content in 50,000 parts": (chat(messages=[{"role": "user", "content":
                                                [{"type": "text", "text": "x"}] * 50000}]), REFUSED),
    "an image of 5 MB in base64": (chat(messages=[{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 5000000}}]}]), REFUSED),
    "5,000 tools": (chat(tools=[tool(i) for i in range(5000)]), EITHER),
    "5,000 tools, one is required": (chat(tools=[tool(i, properties={"a": {"enum": ["x", "y"]}}) for i in range(5000)],
                                          tool_choice="required"), EITHER),
    "a tool's schema is 60 deep": (chat(tools=[tool(0, properties={"a": nested(28, {"type": "string"})})],
                                        tool_choice="required"), EITHER),
    "inputs to embed": (("/v1/embeddings", json.dumps({"model": MODEL, "input": ["x"] * 100000}).encode()), REFUSED),
    "documents to rank": (("/v1/rerank", json.dumps({"model": MODEL, "query": "q",
                                                     "documents": ["x"] * 100000}).encode()), REFUSED),
    "a text to tokenize of 8 MB": (("/tokenize", json.dumps({"content": "x y" * 2700000}).encode()), EITHER),
    "Anthropic: 100,000 blocks": (("/v1/messages", json.dumps({
        "model": MODEL, "max_tokens": 4, "messages": [{"role": "user", "content":
                                                       [{"type": "text", "text": "x"}] * 100000}]}).encode()), REFUSED),
    "responses: 100,000 items": (("/v1/responses", json.dumps({
        "model": MODEL, "input": [{"role": "user", "content": "x"}] * 100000}).encode()), REFUSED),
    "Ollama: a format 40 deep": (("/api/chat", json.dumps({
        "model": MODEL, "messages": CHAT["messages"], "format": nested(28, {"type": "string"}),
        "options": {"num_predict": 4}}).encode()), EITHER),
    # expressions
    "(a|a)*": (regex("(a|a)*"), ANSWERED),
    "((a*)*)*": (regex("((a*)*)*b"), EITHER),
    "a{1,100000}": (regex("a{1,100000}"), REFUSED),
    "a{5,2}": (regex("a{5,2}"), REFUSED),
    "((a{100}){100}){100}": (regex("((a{1,100}){1,100}){1,100}"), REFUSED),
    "((a?){100}){100}": (regex("((a?){100}){100}"), REFUSED),
    "([a-z]?){400}": (regex("([a-z]?){400}"), EITHER),
    "(.{1,100}){1,10}": (regex("(.{1,100}){1,10}"), EITHER),
    "(.*a){20}": (regex("(.*a){20}"), EITHER),
    "a back-reference": (regex(r"(a)\1"), REFUSED),
    "a look-ahead": (regex("(?=a)b"), REFUSED),
    "parentheses 10,000 deep": (regex("(" * 10000 + "a" + ")" * 10000), REFUSED),
    "an expression of a megabyte": (regex("[a-z]" * 200000), REFUSED),
    # grammars
    "left recursion": (grammar('root ::= root "a" | "b"'), REFUSED),
    "a rule that never ends": (grammar('root ::= "a" root'), REFUSED),
    "a rule that is missing": (grammar("root ::= absent"), REFUSED),
    "30,000 alternatives": (grammar("root ::= " + " | ".join(f'"a{i}"' for i in range(30000))), REFUSED),
    "400 loops at once": (grammar("root ::= " + " | ".join(
        f'[^{chr(97 + i % 26)}{chr(97 + i // 26)}]* "{i}"' for i in range(400))), EITHER),
    "everything is ambiguous": (grammar("root ::= e\ne ::= . e . | . e e | . e | ."), EITHER),
    "20,000 rules": (grammar("root ::= r0\n" + "".join(f'r{i} ::= "x"? r{i + 1}\n' for i in range(19990)) +
                             'r19990 ::= "y"'), EITHER),
    "2 MB of grammar": (grammar("root ::= " + '"a" ' * 500000), REFUSED),
    "choices by the ten thousand": (plain(guided_choice=[f"choice {i}" for i in range(10001)]), REFUSED),
    # schemas
    "a reference to itself": (schema({"$ref": "#"}), REFUSED),
    "references in a circle": (schema({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"},
                                                                      "b": {"$ref": "#/$defs/a"}}}), REFUSED),
    "allOf itself": (schema({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}), REFUSED),
    "anyOf doubles 12 times": (schema(doubled("anyOf", {"type": "string"}, 12)), EITHER),
    "allOf doubles 12 times": (schema(doubled("allOf", {"type": "string"}, 12)), EITHER),
    "oneOf of 256 in each of 70": (schema({"anyOf": [{"type": "array", "items": {"oneOf": choices(256)}}] * 70}), EITHER),
    "oneOf of 10,000": (schema({"oneOf": choices(10000)}), REFUSED),
    "an enum of 100,000": (schema({"enum": [f"v{i}" for i in range(100000)]}), REFUSED),
    "100 enums of 900 in a oneOf": (schema({"oneOf": [{"enum": list(range(900 * i, 900 * i + 900))}
                                                      for i in range(100)]}), EITHER),
    "10,000 properties": (schema({"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(10000)}}),
                          REFUSED),
    "patternProperties": (schema({"type": "object", "patternProperties": {"^(a|a)*(b{1,100}){1,90}$": {}}}), EITHER),
    "500 patternProperties": (schema({"type": "object", "patternProperties": {f"^{i}": {} for i in range(500)}}), EITHER),
    "60 deep": (schema(nested(55, {"type": "string"})), REFUSED),
    "minLength of 10^9": (schema({"type": "string", "minLength": 10 ** 9}), REFUSED),
    "arrays of 10,000 arrays": (schema({"type": "array", "minItems": 10000, "items": {
        "type": "array", "minItems": 10000, "items": {"type": "number"}}}), EITHER),
    "an integer range without end": (schema({"type": "integer", "minimum": -10 ** 30, "maximum": 10 ** 30}), EITHER),
    "no value at all": (schema({"allOf": [{"type": "string"}, {"type": "number"}]}), REFUSED),
}


class Neighbour(threading.Thread):
    """One greedy answer after the other: what it says, and how long it stood still."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.is_over = node, False
        self.outcomes, self.gap = [], 0.0

    def run(self):
        while not self.is_over:
            stream = self.ask(self.node)
            self.outcomes.append((stream.status, stream.is_done, stream.texts))
            self.gap = max(self.gap, stream.gap_after(0))

    @staticmethod
    def ask(node):
        stream = Stream(node, max_tokens=48, temperature=0)
        stream.join(300)
        return stream


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with one_node(tmp_path_factory.mktemp("node")) as node:
        node.request("POST", "/v1/completions", PLAIN, timeout=120)    # places the model
        yield node


@pytest.fixture(scope="module")
def beside(node):
    """What an ordinary client saw, for all of this file."""
    alone = Neighbour.ask(node)
    assert alone.is_done and alone.n_chunks > 10
    before = resident_bytes(node.process.pid)
    neighbour = Neighbour(node)
    neighbour.start()
    yield
    neighbour.is_over = True
    neighbour.join(300)
    growth = resident_bytes(node.process.pid) - before
    print(f"{len(neighbour.outcomes)} answers beside, longest gap {neighbour.gap:.2f} s; "
          f"the node grew by {growth / (1 << 20):.0f} MiB")
    assert all(outcome == (200, True, alone.texts) for outcome in neighbour.outcomes)
    assert neighbour.gap < GAP_S
    assert IS_SANITIZED or growth < GROWTH_BYTES


def post(node, path, body):
    connection = http.client.HTTPConnection("127.0.0.1", node.api_port, timeout=ANSWER_S)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def words_of(answer):
    """The sentence of an error, in OpenAI's, Anthropic's or Ollama's shape."""
    error = json.loads(answer)["error"]
    return error if isinstance(error, str) else error["message"]


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_refused_in_words_or_answered(node, beside, name):
    (path, body), allowed = BODIES[name]
    begun = time.monotonic()
    status, answer = post(node, path, body)
    print(f"{name}: {status} in {time.monotonic() - begun:.3f} s, {answer[:300]}")
    assert status in allowed, (status, answer[:500])
    if status != 200:
        words = words_of(answer)
        assert 10 < len(words) < 600 and "\n" not in words and words.endswith((".", " maximum")), words    # Anthropic's own words
    assert node.health()


def test_a_hundred_at_once_change_nothing_for_others(node, beside):
    worst = [BODIES[name][0] for name in ("a million empty objects", "oneOf of 256 in each of 70", "400 loops at once",
                                          "((a?){100}){100}", "100,000 messages")]
    statuses = []

    def attack(i):
        statuses.append(post(node, *worst[i % len(worst)])[0])

    threads = [threading.Thread(target=attack, args=(i,)) for i in range(20 if IS_SANITIZED else 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == len(threads) and set(statuses) <= EITHER | {429, 503}, statuses
