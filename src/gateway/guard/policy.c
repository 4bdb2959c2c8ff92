/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/policy.c - what each address needs of who asks, and how it words errors. */
#include "gateway/guard/policy.h"

#include <string.h>

#include "base/size.h"
#include "gateway/guard/principal.h"

enum { LISTS = SCOPE_MODELS | SCOPE_CHAT | SCOPE_EMBED };

/* clang-format off */
static const struct policy policies[] = {
    { "/",            true,  0,           API_ERRORS_OPENAI },
    { "/health",      true,  0,           API_ERRORS_OPENAI },
    { "/livez",       true,  0,           API_ERRORS_OPENAI },
    { "/readyz",      true,  0,           API_ERRORS_OPENAI },
    { "/models",      false, LISTS,       API_ERRORS_OPENAI },
    { "/models/",     false, LISTS,       API_ERRORS_OPENAI },
    { "/messages",    false, SCOPE_CHAT,  API_ERRORS_ANTHROPIC },
    { "/messages/",   false, SCOPE_CHAT,  API_ERRORS_ANTHROPIC },
    { "/embeddings",  false, SCOPE_EMBED, API_ERRORS_OPENAI },
    { "/rerank",      false, SCOPE_EMBED, API_ERRORS_OPENAI },
    { "/reranking",   false, SCOPE_EMBED, API_ERRORS_OPENAI },
    { "/api/version", true,  0,           API_ERRORS_OPENAI },
    { "/api/tags",    false, LISTS,       API_ERRORS_OPENAI },
    { "/api/ps",      false, LISTS,       API_ERRORS_OPENAI },
    { "/api/show",    false, LISTS,       API_ERRORS_OPENAI },
    { "/api/embed",   false, SCOPE_EMBED, API_ERRORS_OPENAI },
    { "/api/embeddings", false, SCOPE_EMBED, API_ERRORS_OPENAI },
    { "/api/pull",    false, SCOPE_ADMIN, API_ERRORS_OPENAI },
    { "/metrics",     false, SCOPE_ADMIN, API_ERRORS_OPENAI },
    { "/cluster/",    false, SCOPE_ADMIN, API_ERRORS_OPENAI },
    { "/state",       false, SCOPE_ADMIN, API_ERRORS_OPENAI },
    { "/instance",    false, SCOPE_ADMIN, API_ERRORS_OPENAI },
    { "/instance/",   false, SCOPE_ADMIN, API_ERRORS_OPENAI },
    { "/cancel/",     false, SCOPE_ADMIN, API_ERRORS_OPENAI },
};
/* clang-format on */

static const struct policy otherwise = { "", false, SCOPE_CHAT, API_ERRORS_OPENAI };

static bool is_meant(const struct policy *p, const char *path)
{
    const size_t n = strlen(p->path);

    return n > 1 && p->path[n - 1] == '/' ? strncmp(path, p->path, n) == 0
                                          : strcmp(path, p->path) == 0;
}

const struct policy *policy_find(const char *route_path)
{
    for (size_t i = 0; i < ARRAY_LEN(policies); i++)
        if (is_meant(&policies[i], route_path))
            return &policies[i];
    return &otherwise;
}
