/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/proof.c - show that a request for pieces comes from who knows the key. */
#include "model/share/proof.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/buf.h"
#include "base/hex.h"

bool proof_make(const uint8_t key[PROOF_KEY_BYTES], const char *path, const char *range,
                char ret_text[PROOF_TEXT_MAX])
{
    uint8_t code[EVP_MAX_MD_SIZE];
    struct buf said = { 0 };
    unsigned n = 0;
    bool is_made;

    buf_printf(&said, "%s\n%s", path, range);
    is_made = buf_status(&said) == ST_OK &&
              HMAC(EVP_sha256(), key, PROOF_KEY_BYTES, (const uint8_t *)said.data, said.len, code,
                   &n) != NULL &&
              2 * (size_t)n + 1 == PROOF_TEXT_MAX;
    if (is_made)
        hex_write(code, n, ret_text);
    buf_release(&said);
    return is_made;
}

bool proof_holds(const uint8_t key[PROOF_KEY_BYTES], const char *path, const char *range,
                 const char *text)
{
    char wanted[PROOF_TEXT_MAX];

    return text && strlen(text) == PROOF_TEXT_MAX - 1 && proof_make(key, path, range, wanted) &&
           CRYPTO_memcmp(wanted, text, PROOF_TEXT_MAX - 1) == 0;
}
