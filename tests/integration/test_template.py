# SPDX-License-Identifier: Apache-2.0
"""Templates render to what Jinja renders them to, in the environment that
apply_chat_template() of Hugging Face's transformers makes.

A template that Jinja refuses with an exception must be refused here too.
"""
import json
import os
import random
import subprocess

import jinja2
import jinja2.ext
import jinja2.sandbox
import pytest
from gguf import GGUFReader

from template_expressions import EXPRESSIONS, REFUSED, VARIABLES
from template_families import FAMILIES

N_CONVERSATIONS = 120
TRUSTED = {"bos_token": "<s>", "eos_token": "</s>"}


class Generation(jinja2.ext.Extension):
    """{% generation %} keeps its text."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.Scope(body, lineno=line)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def make_environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    env.filters["tojson"] = lambda x, ensure_ascii=False, indent=None, separators=None, \
        sort_keys=False: json.dumps(x, ensure_ascii=ensure_ascii, indent=indent,
                                    separators=separators, sort_keys=sort_keys)
    env.globals["raise_exception"] = raise_exception
    return env


ENVIRONMENT = make_environment()


def expected(template, variables):
    """What Jinja makes of it; None where it refuses."""
    try:
        return ENVIRONMENT.from_string(template).render(**{**variables, **TRUSTED})
    except (jinja2.exceptions.TemplateError, TypeError, ValueError, ZeroDivisionError):
        return None


def render(jobs):
    """The answers to (template, variables) pairs."""
    path = os.path.join(os.environ["POMONA_BUILD"], "tests", "support", "render_template")
    lines = [json.dumps({"template": t, "trusted": TRUSTED, "variables": v}) for t, v in jobs]
    done = subprocess.run([path], input="\n".join(lines) + "\n", capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    assert len(answers) == len(jobs)
    return answers


def assert_same(jobs):
    n_rendered = 0
    for (template, variables), ours in zip(jobs, render(jobs)):
        theirs = expected(template, variables)
        where = f"{template!r} with {variables!r}: {ours.get('error')}"
        assert ours.get("text") == theirs, where
        if theirs is not None:
            n_rendered += 1
            assert len(ours["trusted_mask"]) == len(theirs.encode()), where
    return n_rendered


WORDS = ["Hello", "world", "<|im_end|>", "</think>", "<think>", "naïve", "日本語", "🎉", "it's", '"q"',
         "a\\b", "\n", "\t", "  ", "{{ x }}", "{% if %}", "<s>", "1.5", "[INST]", "<tool_response>",
         "\u00a0", "\u2028", "é\u0301", "&lt;"]


def text(rng):
    return rng.choice(["", " ", "\n"]) + " ".join(rng.choices(WORDS, k=rng.randint(0, 8)))


def json_value(rng, depth=0):
    kind = rng.randint(0, 7 if depth < 3 else 4)
    if kind <= 1:
        return text(rng)
    if kind == 2:
        return rng.choice([0, -7, 123456789012, 1.5, 1e-7, 1e22, 0.1])
    if kind == 3:
        return rng.choice([True, False])
    if kind == 4:
        return None
    if kind == 5:
        return [json_value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {rng.choice(WORDS): json_value(rng, depth + 1) for _ in range(rng.randint(0, 3))}


def tool_call(rng):
    arguments = {rng.choice(["city", "unit", "n"]): json_value(rng) for _ in range(2)}
    return {"type": "function", "id": f"call{rng.randint(0, 99999):05d}",
            "function": {"name": rng.choice(["get_weather", "add"]), "arguments": arguments}}


def message(rng, role):
    if role == "tool":
        return {"role": role, "content": text(rng), "tool_call_id": "call00001"}
    if role == "assistant" and rng.random() < 0.2:
        return {"role": role, "content": rng.choice(["", text(rng)]),
                "tool_calls": [tool_call(rng) for _ in range(rng.randint(1, 2))]}
    if role == "user" and rng.random() < 0.1:
        return {"role": role, "content": [{"type": "text", "text": text(rng)}, {"type": "image"}]}
    made = {"role": role, "content": text(rng)}
    if role == "assistant" and rng.random() < 0.2:
        made["reasoning_content"] = text(rng)
    return made


def tool(rng):
    kinds = [{"type": "string", "enum": ["a", "b"]}, {"type": "integer"},
             {"type": "array", "items": {"type": "number"}}, {"anyOf": []},
             {"type": "object", "properties": {"B": {"type": "boolean"}, "a": {}}}]
    properties = {name: rng.choice(kinds) for name in rng.sample(["x", "Y", "z", "ä"], 2)}
    function = {"name": "f", "description": text(rng),
                "parameters": {"type": "object", "properties": properties, "required": ["x"]}}
    return {"type": "function", "function": function}


def conversation(rng):
    roles = ["system"] if rng.random() < 0.5 else []
    for _ in range(rng.randint(1, 4)):
        roles += ["user", "assistant"]
        if rng.random() < 0.2:
            roles += ["tool", "assistant"]
    if rng.random() < 0.6:
        roles.pop()
    if rng.random() < 0.1:
        rng.shuffle(roles)
    made = {"messages": [message(rng, role) for role in roles]}
    if rng.random() < 0.8:
        made["add_generation_prompt"] = rng.random() < 0.7
    if rng.random() < 0.3:
        made["tools"] = [tool(rng) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.3:
        made["enable_thinking"] = rng.random() < 0.5
    return made


def smollm2():
    field = GGUFReader(os.environ["POMONA_TEST_MODEL"]).fields["tokenizer.chat_template"]
    return bytes(field.parts[field.data[0]]).decode()


@pytest.mark.parametrize("name", ["smollm2", *FAMILIES])
def test_a_family_renders_every_conversation_as_jinja_does(name):
    template = smollm2() if name == "smollm2" else FAMILIES[name]
    rng = random.Random(20240117)
    jobs = [(template, conversation(rng)) for _ in range(N_CONVERSATIONS)]
    assert assert_same(jobs) >= N_CONVERSATIONS // 6


def test_expressions_print_what_jinja_prints():
    assert len(EXPRESSIONS) >= 150
    jobs = [("[{{ " + e + " }}]", VARIABLES) for e in EXPRESSIONS]
    assert assert_same(jobs) == len(jobs)


def test_what_jinja_refuses_is_refused():
    jobs = [("{{ " + e + " }}", VARIABLES) for e in REFUSED]
    assert assert_same(jobs) == 0


def test_white_space_control_is_jinjas():
    """Text, tags, signs and blanks in random order."""
    rng = random.Random(7)
    parts = ["a", " ", "\n", "\t", "  \n ", "\r\n", "{{ 1 }}", "{{- 2 }}", "{{ 3 -}}", "{# c #}",
             "{#- c -#}", "{#+ c +#}", "{% set x = 1 %}", "{%- set x = 1 %}", "{% set x = 1 -%}",
             "{%+ set x = 1 +%}", "{% raw %} {{ r }} {% endraw %}", "{%- raw -%} r\n{%- endraw -%}",
             "{% raw %}\n r \n  {% endraw +%}", "{{ '}}' }}", "\u00a0", "}}", "{"]
    jobs = [("".join(rng.choices(parts, k=rng.randint(1, 12))), {}) for _ in range(2000)]
    assert assert_same(jobs) > 1500     # "{" before "{{" is refused


def test_what_a_client_writes_is_never_marked_as_the_templates():
    """Private characters from the request alone: not one may carry a mark."""
    rng = random.Random(11)
    jobs = []
    for template in [smollm2(), *FAMILIES.values()]:
        for _ in range(20):
            text_of_request = json.dumps(conversation(rng), ensure_ascii=False)
            for word in ("Hello", "world", "naïve"):
                text_of_request = text_of_request.replace(word, "\ue000\ue001")
            jobs.append((template, json.loads(text_of_request)))
    n_seen = 0
    for answer in render(jobs):
        if "text" not in answer:
            continue
        at = 0
        for c in answer["text"]:
            n = len(c.encode())
            if c in "\ue000\ue001":
                n_seen += 1
                assert answer["trusted_mask"][at:at + n] == "0" * n
            at += n
    assert n_seen > 500
