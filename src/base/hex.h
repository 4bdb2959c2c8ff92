/* SPDX-License-Identifier: Apache-2.0 */
/* base/hex.h - bytes as hexadecimal digits, and back. */
#ifndef POMONA_BASE_HEX_H
#define POMONA_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 2*n lower-case digits and a NUL into ret_text [2*n+1]. */
void hex_write(const uint8_t *bytes, size_t n, char *ret_text);

/* Exactly 2*n digits of either case at `text`; what follows them is not looked at.
 * False, and ret_bytes undefined, where they are none. */
bool hex_read(const char *text, size_t n, uint8_t *ret_bytes);

#endif
