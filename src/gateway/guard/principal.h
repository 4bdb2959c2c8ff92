/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/principal.h - who asks, and what they may. */
#ifndef POMONA_GATEWAY_GUARD_PRINCIPAL_H
#define POMONA_GATEWAY_GUARD_PRINCIPAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "config/api_gateway.h"

enum {
    PRINCIPAL_NAME_MAX = 160, /* bytes, NUL included; as all here */
    PRINCIPAL_MODELS_MAX = 16,
};

/* Scopes: bits. */
enum {
    SCOPE_CHAT = 1u << 0, /* everything that generates text */
    SCOPE_EMBED = 1u << 1,
    SCOPE_MODELS = 1u << 2, /* lists of models; who may use them may list them, too */
    SCOPE_ADMIN = 1u << 3,  /* what changes the cluster, and all else */
};

struct principal {
    char name[PRINCIPAL_NAME_MAX];   /* "key:NAME", "jwt:SUBJECT" */
    char tenant[PRINCIPAL_NAME_MAX]; /* "": itself */
    uint32_t scopes;
    char models[PRINCIPAL_MODELS_MAX][CONFIG_WORDS_MAX];
    size_t n_models;    /* with is_restricted */
    bool is_restricted; /* to those models */
    bool is_batch;      /* its requests yield to those of others */
    bool has_limits;
    struct api_limits limits; /* its own, with has_limits */
    int64_t expires_s;        /* Unix time; 0: never */
};

/* The bit of a scope's name; 0: there is none such. */
uint32_t scope_find(const char *name, size_t n);

/* Words between spaces or commas.  Errors: ST_RANGE, an unknown word, with those there are */
enum status scopes_parse(const char *text, uint32_t *ret_scopes, struct err *err);

bool principal_may_use(const struct principal *p, const char *model);
bool principal_may(const struct principal *p, uint32_t scope); /* admin may all */

/* "*" lifts the restriction.  Errors: ST_RANGE, too many or too long */
enum status principal_add_model(struct principal *p, const char *name, struct err *err);

#endif
