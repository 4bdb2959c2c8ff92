/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_jwt.c - no bytes are a signed token that nobody signed, and any bytes as a key set or a
 * token do no harm.
 *
 * An input is a line "header.payload.signature" or a key set.  Header and payload of a line that is
 * not base64url are encoded first, so that their JSON is what is changed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "drive.h"
#include "gateway/guard/jwks.h"
#include "gateway/guard/jwt.h"

#define RSA_N                                                                                      \
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP" \
    "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Qvzqb" \
    "Sn8ys0v3GZ6bMFbQ3Kyb2iPqdT5-jWkGmFSOtR8EnlOPzhDZ3oLZ8d0CYhLYwF9TkQeTLcW5G7bY7YbnRzNqQg2xqb"   \
    "v0R2eV0Wc5pN1J4H3dX1sYz0aPzqE7b8sQ3tZs5h5T2p8hO7b2hK9kQ"

static const char *const texts[] = {
    "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r\",\"use\":\"sig\",\"alg\":\"RS256\",\"e\":\"AQAB\",\"n\":\"" RSA_N
    "\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"d\","
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\",\"key_ops\":[\"verify\"]},{\"kty\":\"oct\",\"k\":"
    "\"AAAA\"}]}",
    "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"r\"}.{\"iss\":\"i\",\"aud\":[\"pomona\"],\"exp\":4000000000,"
    "\"iat\":1,\"nbf\":1,\"sub\":\"s\",\"scope\":\"chat models\"}.AAAA",
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub=tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}",
    "{\"alg\":\"none\"}.{\"iss\":\"i\"}.",
    "{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}.{\"iss\":\"i\",\"exp\":\"1\"}.c2ln",
    "eyJhbGciOiJFUzI1NiIsImtpZCI6ImUifQ.eyJpc3MiOiJpIiwiZXhwIjo0MDAwMDAwMDAwfQ.AAAA",
    "{\"alg\":\"EdDSA\",\"kid\":\"d\",\"jwk\":{\"kty\":\"OKP\"},\"jku\":\"http://x\"}.{\"iss\":\"i\",\"iss\":"
    "\"j\",\"models\":[\"m\"],\"tenant\":\"t\"}."
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
};

const struct fuzz_seeds fuzz_seeds = { texts, ARRAY_LEN(texts), false };

static void encode(const uint8_t *bytes, size_t n, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (size_t i = 0; i < n; i += 3) {
        const size_t k = size_min(3, n - i);
        const uint32_t bits = (uint32_t)bytes[i] << 16 | (k > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                              (k > 2 ? bytes[i + 2] : 0u);

        for (size_t c = 0; c <= k; c++)
            buf_putc(out, digits[bits >> (18 - 6 * c) & 63]);
    }
}

/* "{header}.{payload}.signature" with its first two parts encoded. */
static void encode_parts(const uint8_t *bytes, size_t n, struct buf *out)
{
    size_t begin = 0;

    for (int i = 0; i < 2; i++) {
        size_t end = begin;

        while (end < n && !(bytes[end] == '.' && end + 1 < n && (i == 1 || bytes[end + 1] == '{') &&
                            end > begin && bytes[end - 1] == '}'))
            end++;
        encode(bytes + begin, end - begin, out);
        if (end < n)
            buf_putc(out, '.');
        begin = size_min(end + 1, n);
    }
    buf_append(out, bytes + begin, n - begin);
}

static void verify(const char *text, size_t n, const struct jwks *keys)
{
    static char audience[] = "pomona";
    static char *audiences[] = { audience };
    static const struct api_issuer issuer = {
        .issuer = "i",
        .audiences = audiences,
        .audiences_count = 1,
        .algorithms = API_RS256 | API_PS256 | API_ES256 | API_EDDSA | API_HS256,
        .leeway_s = 60,
        .scopes_claim = "scope",
        .models_claim = "models",
        .tenant_claim = "tenant",
        .priority_claim = "priority",
    };
    struct principal who;
    struct jwt jwt;

    if (jwt_read(text, n, &jwt) != JWT_FINE)
        return;
    (void)jwt_issuer(&jwt, &issuer, 1);
    if (jwt_verify(&jwt, &issuer, keys, 1700000000, &who) == JWT_FINE)
        abort(); /* these signatures are nobody's */
    jwt_release(&jwt);
}

static struct jwks *good_keys(void)
{
    static struct jwks *keys;

    if (!keys && jwks_parse(texts[0], strlen(texts[0]), &keys, NULL) != ST_OK)
        abort();
    return keys;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct buf token = { 0 };
    struct jwks *set = NULL;
    struct err err = { 0 };

    verify((const char *)bytes, n, good_keys());
    encode_parts(bytes, n, &token);
    verify(buf_text(&token), token.len, good_keys());
    if (jwks_parse((const char *)bytes, n, &set, &err) != ST_OK && !err.words[0])
        abort();
    if (set)
        verify(buf_text(&token), token.len, set);
    jwks_unref(set);
    buf_release(&token);
    return 0;
}
