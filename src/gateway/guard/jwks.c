/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/jwks.c - the keys that an issuer signs with.
 *
 * cjose reads keys and verifies HS256, RS256, PS256 and ES256; Ed25519 (RFC 8037), which it
 * does not know, is OpenSSL's own.
 */
#include "gateway/guard/jwks.h"

#include <cjose/cjose.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "config/api_gateway.h"
#include "gateway/guard/base64url.h"

enum {
    RSA_MIN_BITS = 2048, /* RFC 7518, section 3.3 */
    TRIES_MAX = 4,
    ED25519_BYTES = 32,
    ES256_SIGNATURE_BYTES = 64,
};

struct key {
    char kid[KID_MAX];
    bool has_kid;
    uint32_t algorithms;
    cjose_jwk_t *jwk;  /* NULL for Ed25519 */
    EVP_PKEY *ed25519; /* NULL for all others */
};

struct jwks {
    struct key keys[JWKS_KEYS_MAX];
    size_t n;
    uint32_t n_refs;
};

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text ? text : "";
}

/* RSA exponents: odd, at least 3. */
static bool is_exponent(const char *text)
{
    uint8_t bytes[16];
    size_t n;

    if (!base64url_read(text, strlen(text), bytes, sizeof(bytes), &n) || n == 0)
        return false;
    return (bytes[n - 1] & 1) && (n > 1 || bytes[0] >= 3);
}

/* What a key of this type can be used for. */
static uint32_t algorithms_of_type(const json_t *json)
{
    const char *type = text_of(json, "kty"), *curve = text_of(json, "crv");

    if (strcmp(type, "RSA") == 0)
        return API_RS256 | API_PS256;
    if (strcmp(type, "EC") == 0 && strcmp(curve, "P-256") == 0)
        return API_ES256;
    if (strcmp(type, "OKP") == 0 && strcmp(curve, "Ed25519") == 0)
        return API_EDDSA;
    return 0;
}

static uint32_t algorithm_named(const char *name)
{
    static const struct {
        const char *name;
        uint32_t algorithm;
    } rows[] = {
        { "RS256", API_RS256 }, { "PS256", API_PS256 },   { "ES256", API_ES256 },
        { "EdDSA", API_EDDSA }, { "Ed25519", API_EDDSA },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].algorithm;
    return 0;
}

static bool verifies(const json_t *operations)
{
    if (!operations)
        return true;
    for (size_t i = 0; i < json_array_size(operations); i++) {
        const char *name = json_string_value(json_array_get(operations, i));

        if (name && strcmp(name, "verify") == 0)
            return true;
    }
    return false;
}

static uint32_t algorithms_of(const json_t *json)
{
    uint32_t algorithms = algorithms_of_type(json);

    if (json_object_get(json, "alg"))
        algorithms &= algorithm_named(text_of(json, "alg"));
    if (json_object_get(json, "use") && strcmp(text_of(json, "use"), "sig") != 0)
        return 0;
    return verifies(json_object_get(json, "key_ops")) ? algorithms : 0;
}

static EVP_PKEY *read_ed25519(const json_t *json)
{
    const char *x = text_of(json, "x");
    uint8_t bytes[ED25519_BYTES];
    size_t n;

    if (!base64url_read(x, strlen(x), bytes, sizeof(bytes), &n) || n != sizeof(bytes))
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, n);
}

/* The public numbers of a key and nothing else, each strict base64url: cjose ends the process at a stray
 * '='.  NULL: one is not, or no memory. */
static json_t *public_part(const json_t *json)
{
    static const char *const names[] = { "n", "e", "x", "y" };
    json_t *part =
        json_pack("{s:s, s:s}", "kty", text_of(json, "kty"), "crv", text_of(json, "crv"));

    for (size_t i = 0; i < sizeof(names) / sizeof(*names) && part; i++) {
        json_t *number = json_object_get(json, names[i]);
        const char *text = json_string_value(number);
        uint8_t bytes[JWKS_NUMBER_MAX];
        size_t n;

        if (!number)
            continue;
        if (!text || !base64url_read(text, strlen(text), bytes, sizeof(bytes), &n) || n == 0 ||
            json_object_set(part, names[i], number) != 0) {
            json_decref(part);
            return NULL;
        }
    }
    return part;
}

static cjose_jwk_t *read_jwk(const json_t *json)
{
    json_t *part = public_part(json);
    char *text = part ? json_dumps(part, JSON_COMPACT) : NULL;
    cjose_jwk_t *jwk = NULL;
    cjose_err why;

    json_decref(part);
    if (text)
        jwk = cjose_jwk_import(text, strlen(text), &why);
    free(text);
    if (jwk && cjose_jwk_get_kty(jwk, &why) == CJOSE_JWK_KTY_RSA &&
        (cjose_jwk_get_keysize(jwk, &why) < RSA_MIN_BITS || !is_exponent(text_of(json, "e")))) {
        (void)cjose_jwk_release(jwk);
        jwk = NULL;
    }
    return jwk;
}

/* Take the key if it can verify something. */
static void take_key(struct jwks *set, const json_t *json)
{
    struct key *key = &set->keys[set->n];
    const char *kid = text_of(json, "kid");

    *key = (struct key){ .algorithms = algorithms_of(json) };
    if (key->algorithms == 0 || strlen(kid) >= sizeof(key->kid))
        return;
    key->has_kid = kid[0] != '\0';
    memcpy(key->kid, kid, strlen(kid) + 1);
    if (key->algorithms & API_EDDSA)
        key->ed25519 = read_ed25519(json);
    else
        key->jwk = read_jwk(json);
    ERR_clear_error();
    if (key->ed25519 || key->jwk)
        set->n++;
}

enum status jwks_parse(const char *text, size_t n, struct jwks **ret_set, struct err *err)
{
    json_t *root = n <= JWKS_BYTES_MAX ? json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *list = json_object_get(root, "keys");
    struct jwks *set = calloc(1, sizeof(*set));
    enum status s = ST_OK;

    if (!set)
        s = err_set(err, ST_NOMEM, "the key set");
    else if (!json_is_array(list) || json_array_size(list) > JWKS_KEYS_MAX)
        s = err_set(err, ST_FORMAT, "it is no JSON Web Key Set of at most %d keys", JWKS_KEYS_MAX);
    for (size_t i = 0; i < json_array_size(list) && s == ST_OK; i++)
        take_key(set, json_array_get(list, i));
    if (s == ST_OK && set->n == 0)
        s = err_set(err, ST_FORMAT, "none of its keys can verify a signature here");
    json_decref(root);
    if (set)
        set->n_refs = 1;
    if (s == ST_OK)
        *ret_set = set;
    else
        jwks_unref(set);
    return s;
}

enum status jwks_of_secret(const uint8_t *secret, size_t n, struct jwks **ret_set, struct err *err)
{
    struct jwks *set;
    cjose_err why;

    if (n < JWKS_SECRET_MIN_BYTES)
        return err_set(err, ST_RANGE, "the secret has %zu bytes; HS256 needs at least %d", n,
                       JWKS_SECRET_MIN_BYTES);
    set = calloc(1, sizeof(*set));
    if (!set)
        return err_set(err, ST_NOMEM, "the secret");
    set->n_refs = 1;
    set->keys[0].algorithms = API_HS256;
    set->keys[0].jwk = cjose_jwk_create_oct_spec(secret, n, &why);
    if (!set->keys[0].jwk) {
        jwks_unref(set);
        return err_set(err, ST_NOMEM, "the secret");
    }
    set->n = 1;
    *ret_set = set;
    return ST_OK;
}

struct jwks *jwks_ref(struct jwks *set)
{
    (void)__atomic_add_fetch(&set->n_refs, 1, __ATOMIC_RELAXED);
    return set;
}

void jwks_unref(struct jwks *set)
{
    if (!set || __atomic_sub_fetch(&set->n_refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < set->n; i++) {
        if (set->keys[i].jwk)
            (void)cjose_jwk_release(set->keys[i].jwk);
        EVP_PKEY_free(set->keys[i].ed25519);
    }
    free(set);
}

static bool verify_ed25519(const struct key *key, const char *token, size_t n_signed,
                           const uint8_t *signature, size_t n_signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const bool is_good =
        ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key->ed25519) == 1 &&
        EVP_DigestVerify(ctx, signature, n_signature, (const unsigned char *)token, n_signed) == 1;

    EVP_MD_CTX_free(ctx);
    return is_good;
}

static bool verify_jws(const struct key *key, const char *token, size_t n)
{
    cjose_err why;
    cjose_jws_t *jws = cjose_jws_import(token, n, &why);
    const bool is_good = jws && cjose_jws_verify(jws, key->jwk, &why);

    cjose_jws_release(jws);
    return is_good;
}

enum jwks_verdict jwks_verify(const struct jwks *set, uint32_t algorithm, const char *kid,
                              const char *token, size_t n, size_t n_signed,
                              const uint8_t *signature, size_t n_signature)
{
    unsigned n_tried = 0;
    bool is_good = false;

    for (size_t i = 0; i < set->n && !is_good && n_tried < TRIES_MAX; i++) {
        const struct key *key = &set->keys[i];

        /* A key without a name is meant by any: a secret of HS256 has none. */
        if (!(key->algorithms & algorithm) || (kid && key->has_kid && strcmp(key->kid, kid) != 0))
            continue;
        n_tried++;
        if (algorithm == API_ES256 && n_signature != ES256_SIGNATURE_BYTES)
            continue; /* RFC 7518, section 3.4 */
        is_good = key->ed25519 ? verify_ed25519(key, token, n_signed, signature, n_signature)
                               : verify_jws(key, token, n);
        ERR_clear_error();
    }
    return is_good ? JWKS_GOOD : n_tried > 0 ? JWKS_BAD : JWKS_UNKNOWN_KEY;
}
