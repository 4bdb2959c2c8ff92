/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/jwt.c - a signed token: its structure and its signature.  The claims: jwt_claims.c. */
#include "gateway/guard/jwt.h"

#include <string.h>

#include "base/size.h"
#include "gateway/guard/base64url.h"
#include "gateway/guard/jwt_claims.h"

static bool is_shallow(const json_t *json, unsigned depth)
{
    const char *name;
    json_t *value;
    size_t i;

    if (depth == 0)
        return false;
    if (json_is_array(json)) {
        json_array_foreach(json, i, value) if (!is_shallow(value, depth - 1)) return false;
    } else if (json_is_object(json)) {
        json_object_foreach((json_t *)json, name,
                            value) if (!is_shallow(value, depth - 1)) return false;
    }
    return true;
}

/* One part as an object.  jansson refuses what is not UTF-8, NUL in strings, and what follows the
 * value. */
static json_t *object_of(const char *part, size_t n, size_t n_max)
{
    uint8_t bytes[JWT_PAYLOAD_MAX];
    json_t *json;
    size_t len;

    if (n == 0 || !base64url_read(part, n, bytes, n_max, &len))
        return NULL;
    json = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, NULL);
    if (json && json_is_object(json) && is_shallow(json, JWT_DEPTH_MAX))
        return json;
    json_decref(json);
    return NULL;
}

static uint32_t algorithm_of(const char *name)
{
    static const struct {
        const char *name;
        uint32_t algorithm;
    } rows[] = {
        { "HS256", API_HS256 }, { "RS256", API_RS256 }, { "PS256", API_PS256 },
        { "ES256", API_ES256 }, { "EdDSA", API_EDDSA },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows) && name; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].algorithm;
    return 0; /* "none", in whatever case, is here */
}

/* "JWT", or an access token's type (RFC 9068, section 4); absent is usual. */
static bool is_type(const json_t *type)
{
    const char *text = json_string_value(type);

    if (!type)
        return true;
    return text && (strcasecmp(text, "JWT") == 0 || strcasecmp(text, "at+jwt") == 0 ||
                    strcasecmp(text, "application/at+jwt") == 0);
}

static enum jwt_fault read_header(const json_t *header, struct jwt *jwt)
{
    const json_t *kid = json_object_get(header, "kid");

    /* What has to be understood is not (RFC 7515, section 4.1.11; "b64" of RFC 7797 needs it). */
    if (json_object_get(header, "crit") || json_object_get(header, "b64") ||
        json_object_get(header, "enc") || json_object_get(header, "zip"))
        return JWT_MALFORMED;
    if (!is_type(json_object_get(header, "typ")))
        return JWT_MALFORMED;
    if (kid && (!json_is_string(kid) || json_string_length(kid) >= KID_MAX ||
                json_string_length(kid) == 0))
        return JWT_MALFORMED;
    jwt->has_kid = kid != NULL;
    if (kid)
        memcpy(jwt->kid, json_string_value(kid), json_string_length(kid) + 1);
    jwt->algorithm = algorithm_of(json_string_value(json_object_get(header, "alg")));
    return jwt->algorithm ? JWT_FINE : JWT_ALGORITHM;
}

enum jwt_fault jwt_read(const char *text, size_t n, struct jwt *ret_jwt)
{
    struct jwt jwt = { .text = text, .n = n };
    const char *first = n <= JWT_BYTES_MAX ? memchr(text, '.', n) : NULL;
    const char *second = first ? memchr(first + 1, '.', n - (size_t)(first + 1 - text)) : NULL;
    enum jwt_fault fault;
    json_t *header;

    if (!second || memchr(second + 1, '.', n - (size_t)(second + 1 - text)))
        return JWT_MALFORMED;
    jwt.n_signed = (size_t)(second - text);
    if (!base64url_read(second + 1, n - jwt.n_signed - 1, jwt.signature, sizeof(jwt.signature),
                        &jwt.n_signature) ||
        jwt.n_signature == 0)
        return JWT_MALFORMED;
    header = object_of(text, (size_t)(first - text), JWT_HEADER_MAX);
    fault = header ? read_header(header, &jwt) : JWT_MALFORMED;
    json_decref(header);
    if (fault != JWT_FINE)
        return fault;
    jwt.claims = object_of(first + 1, (size_t)(second - first - 1), JWT_PAYLOAD_MAX);
    if (!jwt.claims)
        return JWT_MALFORMED;
    *ret_jwt = jwt;
    return JWT_FINE;
}

void jwt_release(struct jwt *jwt)
{
    json_decref(jwt->claims);
    jwt->claims = NULL;
}

int jwt_issuer(const struct jwt *jwt, const struct api_issuer *issuers, unsigned n)
{
    const json_t *issuer = json_object_get(jwt->claims, "iss");

    for (unsigned i = 0; i < n && json_is_string(issuer); i++)
        if (strcmp(issuers[i].issuer, json_string_value(issuer)) == 0)
            return (int)i;
    return -1;
}

enum jwt_fault jwt_verify(const struct jwt *jwt, const struct api_issuer *issuer,
                          const struct jwks *keys, int64_t now_s, struct principal *ret)
{
    if (!(issuer->algorithms & jwt->algorithm))
        return JWT_ALGORITHM;
    switch (jwks_verify(keys, jwt->algorithm, jwt->has_kid ? jwt->kid : NULL, jwt->text, jwt->n,
                        jwt->n_signed, jwt->signature, jwt->n_signature)) {
    case JWKS_GOOD: break;
    case JWKS_BAD: return JWT_SIGNATURE;
    case JWKS_UNKNOWN_KEY: return JWT_UNKNOWN_KEY;
    }
    return jwt_claims_check(jwt->claims, issuer, now_s, ret);
}
