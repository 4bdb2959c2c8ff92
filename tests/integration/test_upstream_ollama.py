# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_upstream_ollama.py - Ollama's client at a node that has the model from another Pomona.

The tests are those of a node that has it itself: what they find must not depend on that.
"""
import pytest

from support.cluster import MODEL, one_node
from support.gateway import Gateway, entry

from test_api_ollama import (client, test_a_chat_is_answered_and_counted, test_a_tool_result_is_read,  # noqa: F401
                             test_an_error_of_a_stream_is_raised, test_generate_templates_unless_raw,
                             test_nothing_asked_is_to_load, test_streams_bring_the_same_text,
                             test_texts_are_embedded, test_the_async_client_streams)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("node")
    with one_node(folder, "--no-measure") as behind:
        with Gateway(folder / "gateway", [entry("behind", behind, kind="pomona", model=MODEL)]) as node:
            yield node
