/* SPDX-License-Identifier: Apache-2.0 */
/* flow/models.c - which models can be asked for: those that nodes hold, and those that upstreams serve.
 *
 * Every list of models comes from here.  Of an upstream's model the name alone is known.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "flow/service_priv.h"
#include "gateway/dialect/models.h"

/* Of the cluster alone; NULL: no memory. */
static struct model_info *held_models(const struct service *service, size_t *ret_n)
{
    struct model_info *models = calloc(MODELS_MAX, sizeof(*models));

    if (!models)
        return NULL;
    *ret_n = cluster_models(service->cluster, models, MODELS_MAX);
    if (*ret_n > MODELS_MAX)
        *ret_n = MODELS_MAX;
    return models;
}

static void name_model(const char *name, struct model_info *ret)
{
    *ret = (struct model_info){ .created_unix_s = clock_unix_s() };
    (void)snprintf(ret->name, MODEL_NAME_MAX, "%s", name);
}

struct model_info *service_models(const struct service *service, size_t *ret_n)
{
    const char *names[MODELS_MAX];
    const size_t n_names = pool_models(pools_now(service->pools), names, MODELS_MAX);
    struct model_info *models = held_models(service, ret_n);

    for (size_t i = 0; models && i < n_names && *ret_n < MODELS_MAX; i++) {
        if (!models_find(models, *ret_n, names[i]))
            name_model(names[i], &models[(*ret_n)++]);
    }
    return models;
}

bool service_find_model(const struct service *service, const char *name, struct model_info *ret)
{
    size_t n;
    struct model_info *models = held_models(service, &n);
    const struct model_info *found = models ? models_find(models, n, name) : NULL;

    if (found)
        *ret = *found;
    free(models);
    return found != NULL;
}

bool service_find_any_model(const struct service *service, const char *name, struct model_info *ret)
{
    if (service_find_model(service, name, ret))
        return true;
    if (!pool_has_model(pools_now(service->pools), name))
        return false;
    name_model(name, ret);
    return true;
}

static bool is_listed(const struct model_info *models, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(models[i].name, name) == 0)
            return true;
    }
    return false;
}

static size_t add_placed(struct service *service, struct model_info *models, uint32_t *context)
{
    struct cluster_instance *instances;
    const size_t n_instances = service_instances(service, &instances);
    size_t n = 0, n_held;
    struct model_info *held = held_models(service, &n_held);

    for (size_t i = 0; held && i < n_instances; i++) {
        const struct instance_view *v = &instances[i].view;
        const struct model_info *found = models_find(held, n_held, v->model);

        if (!v->is_ready || !found || is_listed(models, n, v->model))
            continue;
        models[n] = *found;
        context[n++] = instances[i].plan.context_tokens;
    }
    free(held);
    free(instances);
    return n;
}

size_t service_ready_models(struct service *service, struct model_info *ret, uint32_t *ret_context)
{
    const struct pool *pool = pools_now(service->pools);
    const char *names[MODELS_MAX];
    const size_t n_names = pool_models(pool, names, MODELS_MAX);
    size_t n = add_placed(service, ret, ret_context);

    for (size_t i = 0; i < n_names && n < READY_MODELS_MAX; i++) {
        if (is_listed(ret, n, names[i]) || !pool_is_up(pool, names[i]))
            continue;
        ret_context[n] = 0;
        name_model(names[i], &ret[n++]);
    }
    return n;
}
