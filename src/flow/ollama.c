/* SPDX-License-Identifier: Apache-2.0 */
/* flow/ollama.c - what Ollama's clients ask of models: which there are, which run, what one is. */
#include "gateway/dialect/ollama.h"

#include <stdlib.h>
#include <string.h>

#include "flow/service_priv.h"

void ollama_tags(void *arg, struct exchange *x)
{
    struct service *service = arg;
    struct model_info *models = calloc(MODELS_MAX, sizeof(*models));
    struct buf body = { 0 };
    size_t n;

    if (!models) {
        admin_no_memory(x);
        return;
    }
    n = cluster_models(service->cluster, models, MODELS_MAX);
    ollama_render_tags(models, n < MODELS_MAX ? n : MODELS_MAX, &body);
    free(models);
    exchange_reply(x, 200, "application/json", &body);
}

/* Models of the instances that are ready, each once. */
static size_t running(struct service *service, const struct cluster_instance *instances, size_t n,
                      struct model_info *ret_models, uint32_t *ret_context)
{
    size_t n_models = 0;

    for (size_t i = 0; i < n; i++) {
        bool is_new = instances[i].view.is_ready;

        for (size_t k = 0; k < n_models; k++)
            is_new = is_new && strcmp(ret_models[k].name, instances[i].view.model) != 0;
        if (!is_new || !service_find_model(service, instances[i].view.model, &ret_models[n_models]))
            continue;
        ret_context[n_models++] = instances[i].plan.context_tokens;
    }
    return n_models;
}

void ollama_ps(void *arg, struct exchange *x)
{
    struct service *service = arg;
    struct cluster_instance *instances;
    const size_t n = service_instances(service, &instances);
    struct model_info *models = calloc(n + 1, sizeof(*models));
    uint32_t *context = calloc(n + 1, sizeof(*context));
    struct buf body = { 0 };

    if (models && context) {
        ollama_render_ps(models, context, running(service, instances, n, models, context), &body);
        exchange_reply(x, 200, "application/json", &body);
    } else {
        admin_no_memory(x);
    }
    free(models);
    free(context);
    free(instances);
}

void ollama_show(void *arg, struct exchange *x, const char *model)
{
    struct model_info info;
    struct buf body = { 0 };
    struct api_error e;

    if (!service_find_model(arg, model, &info)) {
        (void)api_error_set(&e, API_MODEL_NOT_FOUND, "model", "model '%.128s' not found", model);
        exchange_fail(x, &e);
        return;
    }
    ollama_render_show(&info, &body);
    exchange_reply(x, 200, "application/json", &body);
}
