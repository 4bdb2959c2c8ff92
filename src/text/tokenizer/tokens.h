/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/tokens.h - growing a list of tokens. */
#ifndef POMONA_TEXT_TOKENIZER_TOKENS_H
#define POMONA_TEXT_TOKENIZER_TOKENS_H

#include "text/tokenizer/tokenizer.h"

/* Room for `n` more ids. */
enum status tokens_reserve(struct tokens *tokens, size_t n, struct err *err);

#endif
