/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/models.c - the list of models, for OpenAI's and for Anthropic's clients. */
#include "gateway/dialect/models.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "gateway/http/json_out.h"

void model_render(const struct model_info *model, struct buf *out)
{
    char created[32] = "";
    const time_t at = (time_t)model->created_unix_s;
    struct tm utc;

    if (gmtime_r(&at, &utc))
        (void)strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%SZ", &utc);
    buf_puts(out, "{\"id\":");
    json_out_text(out, model->name);
    buf_puts(out, ",\"type\":\"model\",\"display_name\":");
    json_out_text(out, model->name);
    buf_puts(out, ",\"name\":");
    json_out_text(out, model->name);
    buf_puts(out, ",\"hugging_face_id\":"); /* what exo's tools place it by */
    json_out_text(out, model->name);
    buf_printf(out,
               ",\"created_at\":\"%s\",\"object\":\"model\",\"created\":%" PRId64
               ",\"owned_by\":\"pomona\"",
               created, model->created_unix_s);
    if (model->context_tokens > 0) /* an upstream's is not known */
        buf_printf(out, ",\"context_length\":%u,\"max_model_len\":%u", model->context_tokens,
                   model->context_tokens);
    buf_putc(out, '}');
}

static void id_or_null(const char *name, struct buf *out)
{
    if (name)
        json_out_text(out, name);
    else
        buf_puts(out, "null");
}

/* Both APIs' keys, so that either's client lists what is there. */
void models_render(const struct model_info *models, size_t n, struct buf *out)
{
    buf_puts(out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_putc(out, ',');
        model_render(&models[i], out);
    }
    buf_puts(out, "],\"has_more\":false,\"first_id\":");
    id_or_null(n ? models[0].name : NULL, out);
    buf_puts(out, ",\"last_id\":");
    id_or_null(n ? models[n - 1].name : NULL, out);
    buf_putc(out, '}');
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
