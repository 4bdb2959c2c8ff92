# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_upstream_anthropic.py - Anthropic's client at a node that has the model from an upstream.

The tests are those of a node that has it itself: what they find must not depend on that.
"""
import pytest

from support.gateway import Behind
from support.scripted import NAME, Scripted

from test_anthropic_client import (client, test_a_message_is_answered,  # noqa: F401
                                   test_a_stream_with_thoughts_words_and_calls,
                                   test_a_system_message_stays_where_it_is, test_a_turn_with_a_tool,
                                   test_errors_have_their_own_shape,
                                   test_max_tokens_and_stop_sequences_end_it,
                                   test_what_changes_with_each_request_is_not_in_the_prompt)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripted")
    with Scripted(folder) as scripted, Behind(folder, scripted, NAME) as node:
        yield node
