/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/byte_vocab.h - a vocabulary of every byte, and whether a grammar accepts a text by it. */
#ifndef POMONA_TESTS_SUPPORT_BYTE_VOCAB_H
#define POMONA_TESTS_SUPPORT_BYTE_VOCAB_H

#include "support/check.h"

#include <stdbool.h>
#include <string.h>

#include "text/grammar/run.h"

static struct grammar_vocab *byte_vocab;

static int byte_vocab_set_up(void **state)
{
    static char bytes[256];
    static struct vocab_token tokens[256];

    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        bytes[i] = (char)i;
        tokens[i] = (struct vocab_token){ &bytes[i], 1, true };
    }
    return grammar_vocab_new(tokens, 256, &byte_vocab, NULL) == ST_OK ? 0 : -1;
}

static int byte_vocab_tear_down(void **state)
{
    (void)state;
    grammar_vocab_free(byte_vocab);
    return 0;
}

/* Is `text` all of a text of the grammar?  That is given away. */
static bool byte_vocab_accepts(struct grammar *g, const char *text)
{
    struct grammar_run *run;
    struct grammar_state state;
    struct err err = { 0 };
    bool is_accepted;

    assert_ok(grammar_run_new(g, byte_vocab, &run, &err), err);
    grammar_state_init(run, &state);
    is_accepted =
        grammar_state_accept(run, &state, text, strlen(text)) && grammar_state_may_end(run, &state);
    grammar_run_free(run);
    return is_accepted;
}

#endif
