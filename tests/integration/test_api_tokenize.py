# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_api_tokenize.py - text to tokens and back over HTTP."""
import json
import urllib.error
import urllib.request

import pytest

from support.cluster import MODEL, one_node

TEXT = "Hello wörld, 3.14 <|im_end|> — naïve\n\n  indented"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    with one_node(tmp_path_factory.mktemp("node")) as node:
        yield node


def post(node, path, body):
    request = urllib.request.Request(f"http://127.0.0.1:{node.api_port}{path}", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)


@pytest.mark.parametrize("path", ["/tokenize", "/v1/tokenize"])
def test_text_comes_back_from_its_tokens(node, path):
    code, answer = post(node, path, {"content": TEXT})
    assert code == 200 and answer["count"] == len(answer["tokens"]) > 8
    assert post(node, "/detokenize", {"tokens": answer["tokens"]})[1]["content"] == TEXT
    assert post(node, "/v1/detokenize", {"model": MODEL, "tokens": answer["tokens"]})[1]["prompt"] == TEXT


def test_special_tokens_are_text_where_that_is_asked(node):
    special = post(node, "/tokenize", {"content": "<|im_end|>"})[1]["tokens"]
    plain = post(node, "/tokenize", {"content": "<|im_end|>", "parse_special": False})[1]["tokens"]
    assert special == [2] and len(plain) > 3
    assert post(node, "/detokenize", {"tokens": plain})[1]["content"] == "<|im_end|>"


def test_pieces_join_to_the_text(node):
    answer = post(node, "/tokenize", {"prompt": "Hello wörld", "return_token_strs": True})[1]
    assert "".join(answer["token_strs"]) == "Hello wörld"
    assert [t["piece"] for t in answer["tokens"]] == answer["token_strs"]
    assert answer["max_model_len"] == 8192


def test_a_conversation_is_counted_as_it_is_templated(node):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    prompt = post(node, "/apply-template", {"messages": messages})[1]["prompt"]
    assert prompt == ("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
                      "<|im_start|>assistant\n")
    counted = post(node, "/v1/chat/completions/input_tokens", {"model": MODEL, "messages": messages})[1]
    assert counted["input_tokens"] == post(node, "/tokenize", {"content": prompt})[1]["count"]
    assert counted["input_tokens"] == post(node, "/tokenize", {"messages": messages})[1]["count"]
    usage = post(node, "/v1/chat/completions",
                 {"model": MODEL, "messages": messages, "max_tokens": 1})[1]["usage"]
    assert usage["prompt_tokens"] == counted["input_tokens"]


def test_a_long_text_is_read_beside_other_requests(node):
    text = "one two three " * 20000
    code, answer = post(node, "/tokenize", {"content": text})
    assert code == 200 and answer["count"] >= 60000


@pytest.mark.parametrize("path,body,code", [
    ("/tokenize", {}, 400), ("/tokenize", {"content": 3}, 400), ("/detokenize", {"tokens": "x"}, 400),
    ("/detokenize", {"tokens": [1 << 24]}, 400), ("/detokenize", {"tokens": [-1]}, 400),
    ("/tokenize", {"content": "x", "model": "other"}, 404), ("/apply-template", {"messages": []}, 400),
    ("/v1/audio/speech", {}, 404), ("/v1/images/generations", {}, 404), ("/v1/batches", {}, 404),
])
def test_what_is_wrong_is_said(node, path, body, code):
    got, answer = post(node, path, body)
    assert got == code and answer["error"]["message"]
