/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/proof.h - show that a request for pieces comes from who knows the key.
 *
 * The header "Pomona-Proof" carries HMAC-SHA-256 over the request's path and range: the key
 * never travels, and a proof that is seen and sent again gets the same bytes of the same
 * model and nothing else.  Without a key every request passes: keep to a trusted network.
 */
#ifndef POMONA_MODEL_SHARE_PROOF_H
#define POMONA_MODEL_SHARE_PROOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROOF_HEADER "Pomona-Proof"

enum { PROOF_TEXT_MAX = 2 * 32 + 1, PROOF_KEY_BYTES = 32 };

/* range  the Range header's value; "" where there is none */
bool proof_make(const uint8_t key[PROOF_KEY_BYTES], const char *path, const char *range,
                char ret_text[PROOF_TEXT_MAX]);

/* text  NULL: the request has no proof */
bool proof_holds(const uint8_t key[PROOF_KEY_BYTES], const char *path, const char *range,
                 const char *text);

#endif
