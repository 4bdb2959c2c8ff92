/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/jwt_claims.c - what a token whose signature is good claims (RFC 7519, section 4.1). */
#include "gateway/guard/jwt_claims.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

/* Whole seconds are exact in a double up to here. */
static const double DATE_MAX = 9007199254740992.0;

/* False: it is there, and no date.  *ret is -1 where it is missing. */
static bool date_of(const json_t *claims, const char *name, double *ret)
{
    const json_t *date = json_object_get(claims, name);
    const double value = json_number_value(date);

    *ret = -1;
    if (!date)
        return true;
    if (!json_is_number(date) || !isfinite(value) || value < 0 || value > DATE_MAX)
        return false;
    *ret = value;
    return true;
}

static enum jwt_fault check_dates(const json_t *claims, const struct api_issuer *issuer,
                                  int64_t now_s, int64_t *ret_expires_s)
{
    const double now = (double)now_s, leeway = issuer->leeway_s;
    double expires, from, issued;

    if (!date_of(claims, "exp", &expires) || !date_of(claims, "nbf", &from) ||
        !date_of(claims, "iat", &issued) || expires < 0)
        return JWT_CLAIMS;
    if (from > now + leeway || issued > now + leeway)
        return JWT_CLAIMS;
    if (expires - (issued >= 0 ? issued : now) > (double)issuer->max_lifetime_s + leeway)
        return JWT_CLAIMS;
    if (expires + leeway <= now)
        return JWT_EXPIRED;
    *ret_expires_s = (int64_t)(expires + leeway);
    return JWT_FINE;
}

static bool is_audience(const json_t *name, const struct api_issuer *issuer)
{
    for (unsigned i = 0; i < issuer->audiences_count && json_is_string(name); i++)
        if (strcmp(issuer->audiences[i], json_string_value(name)) == 0)
            return true;
    return false;
}

static bool names_audience(const json_t *audience, const struct api_issuer *issuer)
{
    bool is_ours = is_audience(audience, issuer);

    for (size_t i = 0; i < json_array_size(audience); i++) {
        if (!json_is_string(json_array_get(audience, i)))
            return false;
        is_ours |= is_audience(json_array_get(audience, i), issuer);
    }
    return is_ours;
}

/* A word of the claim may be ours, or another service's: those are passed over.  "llm:chat" is "chat". */
static void add_scope(struct principal *p, const char *word, size_t n)
{
    if (n > 4 && memcmp(word, "llm:", 4) == 0) {
        word += 4;
        n -= 4;
    }
    p->scopes |= scope_find(word, n);
}

static void read_scopes(const json_t *claim, struct principal *p)
{
    const char *text = json_string_value(claim);

    for (const char *at = text; at && *at;) {
        const size_t n = strcspn(at, " ");

        add_scope(p, at, n);
        at += n + (at[n] != '\0');
    }
    for (size_t i = 0; i < json_array_size(claim); i++) {
        const json_t *word = json_array_get(claim, i);

        if (json_is_string(word))
            add_scope(p, json_string_value(word), json_string_length(word));
    }
}

static bool read_models(const json_t *claim, struct principal *p)
{
    const json_t *name;
    size_t i;

    if (!claim)
        return true;
    if (!json_is_array(claim))
        return false;
    p->is_restricted = true; /* an empty list allows none */
    json_array_foreach(claim, i, name) if (!json_is_string(name) ||
                                           principal_add_model(p, json_string_value(name), NULL) !=
                                               ST_OK) return false;
    json_array_foreach(claim, i, name) if (strcmp(json_string_value(name), "*") == 0)
        p->is_restricted = false;
    return true;
}

static bool read_text(const json_t *claim, char *ret, size_t capacity)
{
    if (!claim)
        return true;
    if (!json_is_string(claim) || json_string_length(claim) >= capacity)
        return false;
    memcpy(ret, json_string_value(claim), json_string_length(claim) + 1);
    return true;
}

/* Any other word, and none, is the priority that there is without one. */
static bool is_batch(const json_t *claim)
{
    return json_is_string(claim) && strcmp(json_string_value(claim), "batch") == 0;
}

enum jwt_fault jwt_claims_check(const json_t *claims, const struct api_issuer *issuer,
                                int64_t now_s, struct principal *ret)
{
    struct principal p = { 0 };
    char subject[CONFIG_WORDS_MAX] = "";
    enum jwt_fault fault;

    if (!names_audience(json_object_get(claims, "aud"), issuer))
        return JWT_CLAIMS;
    fault = check_dates(claims, issuer, now_s, &p.expires_s);
    if (fault != JWT_FINE)
        return fault;
    if (!read_text(json_object_get(claims, "sub"), subject, sizeof(subject)) ||
        !read_text(json_object_get(claims, issuer->tenant_claim), p.tenant, sizeof(p.tenant)) ||
        !read_models(json_object_get(claims, issuer->models_claim), &p))
        return JWT_CLAIMS;
    p.is_batch = is_batch(json_object_get(claims, issuer->priority_claim));
    read_scopes(json_object_get(claims, issuer->scopes_claim), &p);
    (void)snprintf(p.name, sizeof(p.name), "jwt:%08x:%s", /* two issuers may know one name */
                   (unsigned)XXH3_64bits(issuer->issuer, strlen(issuer->issuer)), subject);
    *ret = p;
    return JWT_FINE;
}
