/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/ollama_models.c - what Ollama's API says of models. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/hex.h"
#include "gateway/dialect/ollama.h"
#include "gateway/dialect/param.h"
#include "gateway/http/json_out.h"

enum { DIGEST_TEXT = 2 * MODEL_ROOT_BYTES + 1, KEEP_S = 300 };

void ollama_render_error(const struct api_error *e, struct buf *out)
{
    buf_puts(out, "{\"error\":");
    json_out_text(out, e->message);
    buf_putc(out, '}');
}

static void render(const struct api_error *e, const char *request_id, struct buf *out)
{
    (void)request_id;
    ollama_render_error(e, out);
}

const struct error_shape ollama_errors = { .http = api_error_http, .render = render };

void ollama_time(int64_t unix_s, char ret_text[OLLAMA_TIME_MAX])
{
    struct timespec now = { .tv_sec = (time_t)unix_s };
    struct tm tm;
    size_t n;

    if (unix_s == 0)
        (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    n = strftime(ret_text, OLLAMA_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(ret_text + n, OLLAMA_TIME_MAX - n, ".%09ldZ", now.tv_nsec);
}

void ollama_strip_tag(char *model)
{
    static const char tag[] = ":latest";
    const size_t n = strlen(model), n_tag = sizeof(tag) - 1;

    if (n > n_tag && strcmp(model + n - n_tag, tag) == 0)
        model[n - n_tag] = '\0';
}

enum status ollama_name_parse(const json_t *body, struct ollama_name *ret, struct api_error *e)
{
    enum status s;

    *ret = (struct ollama_name){ .streams = true };
    s = param_text(body, "name", ret->name, sizeof(ret->name), e);
    if (s == ST_OK)
        s = param_text(body, "model", ret->name, sizeof(ret->name), e);
    if (s == ST_OK)
        s = param_bool(body, "stream", &ret->streams, e);
    if (s == ST_OK && !ret->name[0])
        s = api_error_set(e, API_MISSING, "model", "model is required");
    if (s != ST_OK)
        return s;
    (void)snprintf(ret->model, sizeof(ret->model), "%.*s", MODEL_NAME_MAX - 1, ret->name);
    ollama_strip_tag(ret->model);
    return ST_OK;
}

/* "Q4_1" of "SmolLM2-135M-Instruct.Q4_1": names carry it by custom. */
static const char *quantization_of(const char *name)
{
    const char *found = "unknown";

    for (const char *at = strpbrk(name, ".-"); at; at = strpbrk(at + 1, ".-"))
        if (strchr("QFBqfb", at[1]) && at[1] && isdigit((unsigned char)at[2]))
            found = at + 1;
    return found;
}

static void write_details(const struct model_info *m, struct buf *out)
{
    const double millions = (double)m->n_parameters / 1e6;

    buf_puts(out, "\"details\":{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":");
    json_out_text(out, m->architecture);
    buf_puts(out, ",\"families\":[");
    json_out_text(out, m->architecture);
    buf_printf(
        out, millions >= 1000 ? "],\"parameter_size\":\"%.1fB\"" : "],\"parameter_size\":\"%.0fM\"",
        millions >= 1000 ? millions / 1000 : millions);
    buf_puts(out, ",\"quantization_level\":");
    json_out_text(out, quantization_of(m->name));
    buf_putc(out, '}');
}

static void write_model(const struct model_info *m, struct buf *out)
{
    char digest[DIGEST_TEXT], when[OLLAMA_TIME_MAX];

    hex_write(m->has_root ? m->root : m->digest,
              m->has_root ? MODEL_ROOT_BYTES : MODEL_DIGEST_BYTES, digest);
    ollama_time(m->created_unix_s, when);
    buf_puts(out, "{\"name\":");
    json_out_text(out, m->name);
    buf_puts(out, ",\"model\":");
    json_out_text(out, m->name);
    buf_printf(out, ",\"modified_at\":\"%s\",\"size\":%" PRIu64 ",\"digest\":\"%s\",", when,
               m->file_bytes, digest);
    write_details(m, out);
}

void ollama_render_tags(const struct model_info *models, size_t n, struct buf *out)
{
    buf_puts(out, "{\"models\":[");
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, i ? "," : "");
        write_model(&models[i], out);
        buf_putc(out, '}');
    }
    buf_puts(out, "]}");
}

void ollama_render_ps(const struct model_info *models, const uint32_t *context_tokens, size_t n,
                      struct buf *out)
{
    char when[OLLAMA_TIME_MAX];

    ollama_time(clock_unix_s() + KEEP_S, when);
    buf_puts(out, "{\"models\":[");
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, i ? "," : "");
        write_model(&models[i], out);
        buf_printf(out, ",\"expires_at\":\"%s\",\"size_vram\":0,\"context_length\":%u}", when,
                   context_tokens[i]);
    }
    buf_puts(out, "]}");
}

/* An upstream's model has none that are known. */
static void write_numbers(const struct model_info *m, struct buf *out)
{
    buf_puts(out, "\"general.architecture\":");
    json_out_text(out, m->architecture);
    buf_printf(out,
               ",\"general.parameter_count\":%" PRIu64
               ",\"%s.context_length\":%u,\"%s.embedding_length\":%u,\"%s.block_count\":%u",
               m->n_parameters, m->architecture, m->context_tokens, m->architecture, m->n_hidden,
               m->architecture, m->n_layer);
}

void ollama_render_show(const struct model_info *m, struct buf *out)
{
    char when[OLLAMA_TIME_MAX];

    ollama_time(m->created_unix_s, when);
    buf_puts(out, "{\"license\":\"\",\"modelfile\":\"\",\"parameters\":\"\",\"template\":\"\",");
    write_details(m, out);
    buf_puts(out, ",\"model_info\":{");
    if (m->architecture[0])
        write_numbers(m, out);
    buf_printf(
        out, "},\"capabilities\":[\"completion\",\"tools\",\"embedding\"],\"modified_at\":\"%s\"}",
        when);
}
