/* SPDX-License-Identifier: Apache-2.0 */
/* flow/ollama.c - what Ollama's clients ask of models: which there are, which run, what one is. */
#include "gateway/dialect/ollama.h"

#include <stdlib.h>

#include "flow/service_priv.h"

void ollama_tags(void *arg, struct exchange *x)
{
    struct buf body = { 0 };
    size_t n;
    struct model_info *models = service_models(arg, &n);

    if (!models) {
        admin_no_memory(x);
        return;
    }
    ollama_render_tags(models, n, &body);
    free(models);
    exchange_reply(x, 200, "application/json", &body);
}

void ollama_ps(void *arg, struct exchange *x)
{
    struct model_info *models = calloc(READY_MODELS_MAX, sizeof(*models));
    uint32_t *context = calloc(READY_MODELS_MAX, sizeof(*context));
    struct buf body = { 0 };

    if (models && context) {
        ollama_render_ps(models, context, service_ready_models(arg, models, context), &body);
        exchange_reply(x, 200, "application/json", &body);
    } else {
        admin_no_memory(x);
    }
    free(models);
    free(context);
}

void ollama_show(void *arg, struct exchange *x, const char *model)
{
    struct model_info info;
    struct buf body = { 0 };
    struct api_error e;

    if (!service_find_any_model(arg, model, &info)) {
        (void)api_error_set(&e, API_MODEL_NOT_FOUND, "model", "model '%.128s' not found", model);
        exchange_fail(x, &e);
        return;
    }
    ollama_render_show(&info, &body);
    exchange_reply(x, 200, "application/json", &body);
}
