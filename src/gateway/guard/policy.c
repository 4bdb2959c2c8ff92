/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/policy.c - what each address needs of who asks, and how it words errors. */
#include "gateway/guard/policy.h"

#include <string.h>

#include "base/size.h"
#include "gateway/dialect/ollama.h"
#include "gateway/guard/principal.h"
#include "gateway/http/anthropic_error.h"

enum { LISTS = SCOPE_MODELS | SCOPE_CHAT | SCOPE_EMBED };

/* clang-format off */
static const struct policy policies[] = {
    { "/",            true,  0,           NULL },
    { "/health",      true,  0,           NULL },
    { "/livez",       true,  0,           NULL },
    { "/readyz",      true,  0,           NULL },
    { "/models",      false, LISTS,       NULL },
    { "/models/",     false, LISTS,       NULL },
    { "/messages",    false, SCOPE_CHAT,  &anthropic_errors },
    { "/messages/",   false, SCOPE_CHAT,  &anthropic_errors },
    { "/embeddings",  false, SCOPE_EMBED, NULL },
    { "/rerank",      false, SCOPE_EMBED, NULL },
    { "/reranking",   false, SCOPE_EMBED, NULL },
    { "/api/version", true,  0,           &ollama_errors },
    { "/api/tags",    false, LISTS,       &ollama_errors },
    { "/api/ps",      false, LISTS,       &ollama_errors },
    { "/api/show",    false, LISTS,       &ollama_errors },
    { "/api/embed",   false, SCOPE_EMBED, &ollama_errors },
    { "/api/embeddings", false, SCOPE_EMBED, &ollama_errors },
    { "/api/pull",    false, SCOPE_ADMIN, &ollama_errors },
    { "/api/",        false, SCOPE_CHAT,  &ollama_errors },
    { "/metrics",     false, SCOPE_ADMIN, NULL },
    { "/cluster/",    false, SCOPE_ADMIN, NULL },
    { "/state",       false, SCOPE_ADMIN, NULL },
    { "/state/",      false, SCOPE_ADMIN, NULL },
    { "/instance",    false, SCOPE_ADMIN, NULL },
    { "/instance/",   false, SCOPE_ADMIN, NULL },
    { "/cancel/",     false, SCOPE_CHAT | SCOPE_EMBED, NULL }, /* their own */
    { "/node_id",     false, SCOPE_ADMIN, NULL },
    { "/place_instance", false, SCOPE_ADMIN, NULL },
};
/* clang-format on */

static const struct policy otherwise = { "", false, SCOPE_CHAT, NULL };

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
