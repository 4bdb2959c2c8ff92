# SPDX-License-Identifier: Apache-2.0
"""tests/integration/test_upstream_responses.py - OpenAI's Responses of a node that has the model from an upstream.

The tests are those of a node that has it itself: what they find must not depend on that.
"""
import pytest

from support.gateway import Behind
from support.scripted import NAME, Scripted

from test_responses_client import (client, test_a_cut_stream_says_so, test_a_response_is_text,  # noqa: F401
                                   test_every_event_comes_in_its_order,
                                   test_items_are_replayed_and_results_answered,
                                   test_langchain_calls_tools, test_litellm_as_client,
                                   test_nobody_elses_response_is_gone_on_with, test_what_is_wrong_is_said)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripted")
    with Scripted(folder) as scripted, Behind(folder, scripted, NAME) as node:
        yield node
