/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/accounts.c - whose limits a request counts against, by the settings. */
#include "gateway/guard/accounts.h"

#include <string.h>

static const struct api_named_limits *find(const struct api_named_limits *rows, unsigned n,
                                           const char *name)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

const char *account_tenant(const struct principal *who)
{
    return who->tenant[0] ? who->tenant : who->name;
}

/* Its own limits, else those of the settings. */
struct limits_of account_of_key(const struct api_all_limits *all, const struct principal *who)
{
    return (struct limits_of){ LIMITS_KEY, who->name, who->has_limits ? who->limits : all->key };
}

struct limits_of account_of_tenant(const struct api_all_limits *all, const struct principal *who)
{
    const char *name = account_tenant(who);
    const struct api_named_limits *row = find(all->tenants, all->tenants_count, name);

    return (struct limits_of){ LIMITS_TENANT, name, row ? row->limits : all->tenant };
}

struct limits_of account_of_model(const struct api_all_limits *all, const char *model)
{
    const struct api_named_limits *row = find(all->models, all->models_count, model);

    return (struct limits_of){ LIMITS_MODEL, model, row ? row->limits : all->model };
}

bool account_is_batch(const struct api_all_limits *all, const struct principal *who,
                      const char *model)
{
    const struct api_named_limits *of_model = find(all->models, all->models_count, model);
    const struct api_named_limits *of_tenant =
        who ? find(all->tenants, all->tenants_count, account_tenant(who)) : NULL;

    return (of_model && of_model->priority == API_BATCH) || (who && who->is_batch) ||
           (of_tenant && of_tenant->priority == API_BATCH);
}
