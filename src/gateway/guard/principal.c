/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/principal.c - who asks, and what they may. */
#include "gateway/guard/principal.h"

#include <string.h>

#include "base/size.h"

static const struct {
    const char *name;
    uint32_t scope;
} scopes[] = {
    { "chat", SCOPE_CHAT },
    { "embed", SCOPE_EMBED },
    { "models", SCOPE_MODELS },
    { "admin", SCOPE_ADMIN },
};

uint32_t scope_find(const char *name, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
        if (strlen(scopes[i].name) == n && memcmp(scopes[i].name, name, n) == 0)
            return scopes[i].scope;
    return 0;
}

enum status scopes_parse(const char *text, uint32_t *ret_scopes, struct err *err)
{
    uint32_t all = 0;

    for (const char *at = text; *at;) {
        const size_t n = strcspn(at, " ,");
        const uint32_t scope = scope_find(at, n);

        if (n > 0 && scope == 0)
            return err_set(err, ST_RANGE,
                           "there is no scope '%.*s'; there are chat, embed, models, admin",
                           (int)(n < 40 ? n : 40), at);
        all |= scope;
        at += n + (at[n] != '\0');
    }
    *ret_scopes = all;
    return ST_OK;
}

bool principal_may_use(const struct principal *p, const char *model)
{
    if (!p->is_restricted)
        return true;
    for (size_t i = 0; i < p->n_models; i++)
        if (strcmp(p->models[i], model) == 0)
            return true;
    return false;
}

bool principal_may(const struct principal *p, uint32_t scope)
{
    return scope == 0 || (p->scopes & (scope | SCOPE_ADMIN)) != 0;
}

enum status principal_add_model(struct principal *p, const char *name, struct err *err)
{
    if (strcmp(name, "*") == 0) {
        p->is_restricted = false;
        return ST_OK;
    }
    if (p->n_models == PRINCIPAL_MODELS_MAX || strlen(name) >= CONFIG_WORDS_MAX)
        return err_set(err, ST_RANGE, "at most %d models, each of at most %d bytes",
                       PRINCIPAL_MODELS_MAX, CONFIG_WORDS_MAX - 1);
    memcpy(p->models[p->n_models++], name, strlen(name) + 1);
    p->is_restricted = true;
    return ST_OK;
}
