/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/base64url.h - bytes of base64url without padding, strictly (RFC 4648, sections 3.5 and 5). */
#ifndef POMONA_GATEWAY_GUARD_BASE64URL_H
#define POMONA_GATEWAY_GUARD_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* [n] characters at `text` into ret_bytes [capacity].  False for a character that is not of the
 * alphabet, padding, a length that none has, bits beyond the last byte that are not zero (the same bytes
 * would have several spellings), and for more than `capacity` bytes. */
bool base64url_read(const char *text, size_t n, uint8_t *ret_bytes, size_t capacity, size_t *ret_n);

#endif
