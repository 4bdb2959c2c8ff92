/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/tokenizer_priv.h - what a tokenizer holds. */
#ifndef POMONA_TEXT_TOKENIZER_TOKENIZER_PRIV_H
#define POMONA_TEXT_TOKENIZER_TOKENIZER_PRIV_H

#include "text/tokenizer/merges.h"
#include "text/tokenizer/pieces.h"
#include "text/tokenizer/pre.h"
#include "text/tokenizer/special.h"
#include "text/tokenizer/tokenizer.h"

struct tokenizer {
    const struct pre_tokenizer *pre;
    struct piece_table pieces;
    struct merge_table merges;
    struct special_table specials;
    int32_t byte_ids[256]; /* the piece of each byte, or TOKEN_NONE */
    int32_t bos, eos, eot;
    bool adds_bos;
};

#endif
