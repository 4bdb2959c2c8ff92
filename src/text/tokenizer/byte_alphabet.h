/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/byte_alphabet.h - the printable characters that stand for bytes.
 *
 * A byte-level vocabulary is written in text files, so each of the 256 bytes
 * has a visible character: itself where Latin-1 prints it, otherwise one from
 * U+0100 on, in the order of the bytes ("Ġ" is the space).
 *
 * Source   the GPT-2 release, encoder.py, bytes_to_unicode()
 */
#ifndef POMONA_TEXT_TOKENIZER_BYTE_ALPHABET_H
#define POMONA_TEXT_TOKENIZER_BYTE_ALPHABET_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes that `written` [n] stands for.
 *
 * ret_bytes  [n], overwritten also on failure
 * Returns    false where a character is not of the alphabet */
bool byte_alphabet_decode(const char *written, size_t n, char *ret_bytes, size_t *ret_n);

#endif
