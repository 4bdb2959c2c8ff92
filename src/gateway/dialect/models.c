/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/models.c - OpenAI's list of models. */
#include "gateway/dialect/models.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "gateway/http/json_out.h"

void model_render(const struct model_info *model, struct buf *out)
{
    buf_puts(out, "{\"id\":");
    json_out_text(out, model->name);
    buf_printf(out, ",\"object\":\"model\",\"created\":%" PRId64 ",\"owned_by\":\"pomona\"",
               model->created_unix_s);
    if (model->context_tokens > 0) /* an upstream's is not known */
        buf_printf(out, ",\"context_length\":%u,\"max_model_len\":%u", model->context_tokens,
                   model->context_tokens);
    buf_putc(out, '}');
}

void models_render(const struct model_info *models, size_t n, struct buf *out)
{
    buf_puts(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(out, ',');
        model_render(&models[i], out);
    }
    buf_puts(out, "]}");
}

const struct model_info *models_find(const struct model_info *models, size_t n, const char *name)
{
    size_t len = strlen(name);

    if (len == 0)
        return n == 1 ? models : NULL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(models[i].name, name) == 0)
            return &models[i];
    }
    if (len > 5 && strcasecmp(name + len - 5, ".gguf") == 0)
        len -= 5;
    for (size_t i = 0; i < n; i++) {
        if (strlen(models[i].name) == len && strncasecmp(models[i].name, name, len) == 0)
            return &models[i];
    }
    return NULL;
}
