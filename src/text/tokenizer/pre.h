/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/pre.h - cutting text into the pieces that are merged one by one.
 *
 * A model file names its pre-tokenizer: a regular expression whose matches
 * may not be merged across.  The expressions are few and their alternatives
 * simple, so each is a function that reads a character or a run and decides:
 * time is linear in the text whatever it holds, nothing is allocated, and
 * bytes that are not UTF-8 are cut like any other.
 */
#ifndef POMONA_TEXT_TOKENIZER_PRE_H
#define POMONA_TEXT_TOKENIZER_PRE_H

#include <stdbool.h>
#include <stddef.h>

struct pre_tokenizer {
    const char *name; /* tokenizer.ggml.pre in GGUF */
    /* Length of the first piece of `text` [n], n >= 1: 1..n.  Where a text is
     * cut depends only on what follows. */
    size_t (*cut)(const struct pre_tokenizer *pre, const char *text, size_t n);
    size_t max_numbers; /* numerals in one piece */
    bool numbers_apart; /* each is cut off first, so that what precedes it ends there */
    bool known_whole;   /* a piece that is in the vocabulary is not merged but taken */
};

/* NULL for a name not known here. */
const struct pre_tokenizer *pre_tokenizer_find(const char *name);

#endif
