# SPDX-License-Identifier: Apache-2.0
"""tests/support/scripted.py - a node whose model says what a test tells it to say.

    with Scripted(tmp_path) as node:
        node.says([{"when": "weather", "say": "<tool_call>...</tool_call>"}, {"say": "Fine."}])

The node is the program itself but for its engine (scripted_engine.c).  The model is a file with the real
model's tokenizer, a template with tools, room for a long prompt, and weights that nobody reads.
"""
import json
import os
import signal
from pathlib import Path

import gguf
import numpy as np

from support.cluster import MODEL_FILE, Node, free_ports, wait_until

PROGRAM = Path(os.environ["POMONA_BUILD"]) / "tests/support/pomona_scripted"
NAME = "scripted"

# Functions as Hermes has them, with ids as Mistral wants them; thoughts as Qwen 3 has them.
TEMPLATE = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- '<tools>' }}
    {%- for tool in tools %}{{- '\\n' + (tool | tojson) }}{%- endfor %}
    {{- '\\n</tools>\\nAnswer <tool_call>{\"name\": ..., \"arguments\": ...}</tool_call> to call.<|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\\n' + message.content }}
        {%- for call in message.tool_calls or [] %}
            {%- if call.id|length != 9 %}{{- raise_exception('the id of a call is not nine characters') }}{%- endif %}
            {%- if message.content or not loop.first %}{{- '\\n' }}{%- endif %}
            {{- '<tool_call>\\n{\"name\": \"' + call.function.name + '\", \"arguments\": ' }}
            {{- (call.function.arguments | tojson) + '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif not (loop.first and message.role == 'system') %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{{- '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and enable_thinking is true %}{{- '<think>\\n' }}{%- endif %}
"""


def call(name, **arguments):
    """A call as the model says it."""
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


# A long call as no JSON library writes it, and how many of its first turn's tokens a cache may miss: pages
# are whole, and the last token of an answer is in none.
WRITTEN = '{"city":"Z\\u00fcrich",  "why":"' + "because " * 120 + '"}'
SPELLED = f"<tool_call>\n{{\"name\": \"get_weather\", \"arguments\": {WRITTEN}}}\n</tool_call>"
CACHE_MISS_TOKENS = 40


def write_model(path, context=131072, template=TEMPLATE):
    """One small layer of ones under the real tokenizer."""
    fields = {k: f.contents() for k, f in gguf.GGUFReader(MODEL_FILE).fields.items()
              if k.startswith("tokenizer.")}
    pieces = fields["tokenizer.ggml.tokens"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(NAME)
    writer.add_context_length(context)
    writer.add_embedding_length(64)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_rope_dimension_count(32)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(pieces))
    writer.add_tokenizer_model(fields["tokenizer.ggml.model"])
    writer.add_tokenizer_pre(fields["tokenizer.ggml.pre"])
    writer.add_token_list(pieces)
    writer.add_token_types(fields["tokenizer.ggml.token_type"])
    writer.add_token_merges(fields["tokenizer.ggml.merges"])
    writer.add_bos_token_id(fields["tokenizer.ggml.bos_token_id"])
    writer.add_eos_token_id(fields["tokenizer.ggml.eos_token_id"])
    writer.add_chat_template(template)
    for name, shape in (("token_embd", (len(pieces), 64)), ("output_norm", (64,)),
                        ("blk.0.attn_norm", (64,)), ("blk.0.attn_q", (64, 64)),
                        ("blk.0.attn_k", (32, 64)), ("blk.0.attn_v", (32, 64)),
                        ("blk.0.attn_output", (64, 64)), ("blk.0.ffn_norm", (64,)),
                        ("blk.0.ffn_gate", (64, 64)), ("blk.0.ffn_up", (64, 64)),
                        ("blk.0.ffn_down", (64, 64))):
        kind = np.float32 if len(shape) == 1 else np.float16
        writer.add_tensor(f"{name}.weight", np.ones(shape, dtype=kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Scripted:
    def __init__(self, folder, options=(), environment=None, template=TEMPLATE, context=None):
        self.folder = Path(folder)
        self.script = self.folder / "script.json"
        model = self.folder / f"{NAME}.gguf"
        write_model(model, template=template)
        self.says([{"say": "Hello."}])
        self.context = context      # None: what a node takes by itself
        port, = free_ports(1)
        self.node = Node("solo", 0, port, [PROGRAM, "serve", "--model", str(model), "--listen",
                                           f"127.0.0.1:{port}", "--data", str(self.folder / "data"),
                                           *options], self.folder / "log")
        self.environment = {"POMONA_SCRIPT": str(self.script), "POMONA_SCRIPT_MODEL": str(model),
                            **(environment or {})}
        self.url = f"http://127.0.0.1:{port}"

    def says(self, script):
        """From the next prompt on."""
        part = self.script.with_suffix(".part")
        part.write_text(json.dumps(script))
        part.rename(self.script)

    def __enter__(self):
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            self.node.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        wait_until(self.node.health, 30, "the node answers")
        if self.context:
            self.place()
        return self

    def place(self):
        """Once more, with room for longer prompts."""
        wait_until(lambda: self.node.get("/cluster/state")["instances"], 30, "the model is placed")
        for what, body in (("unplace", {}), ("place", {"context": self.context})):
            status, answer = self.node.request("POST", f"/cluster/{what}", {"model": NAME, **body})
            assert status == 200, (what, answer)

    def __exit__(self, kind, *_):
        if self.node.is_up():
            self.node.kill(signal.SIGTERM)
        if kind:
            print(self.node.log.read_text(errors="replace")[-6000:])
