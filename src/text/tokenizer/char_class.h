/* SPDX-License-Identifier: Apache-2.0 */
/* text/tokenizer/char_class.h - what a pre-tokenizer's expression asks of a character.
 *
 * The expressions know four kinds: \s, \p{L}, \p{N} and the rest.
 */
#ifndef POMONA_TEXT_TOKENIZER_CHAR_CLASS_H
#define POMONA_TEXT_TOKENIZER_CHAR_CLASS_H

#include <stddef.h>

enum char_class {
    CHAR_OTHER,
    CHAR_SPACE,  /* \s: Unicode's White_Space */
    CHAR_LETTER, /* \p{L} */
    CHAR_NUMBER, /* \p{N} */
};

/* The class and the length of the first character of `text` [n], n >= 1.  A byte
 * that begins no valid UTF-8 is one character, of the class of U+FFFD that
 * a decoder would put in its place: CHAR_OTHER. */
enum char_class char_class_at(const char *text, size_t n, size_t *ret_length);

#endif
