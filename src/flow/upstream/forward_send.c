/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/forward_send.c - what an upstream is sent: the body, and headers made for it.
 *
 * Of the client's own headers those in passed[] go along; so neither its key nor what concerns its connection alone
 * (RFC 9110, section 7.6.1) does.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "flow/upstream/body.h"
#include "flow/upstream/chat_request.h"
#include "flow/upstream/forward_priv.h"
#include "gateway/dialect/repeat.h"
#include "trace/context.h"

enum { LINE_MAX = 640, LINES_MAX = 20 };

static const char *const passed[] = {
    "anthropic-version",        "anthropic-beta",    "OpenAI-Beta", "X-Session-Affinity",
    "X-Claude-Code-Session-Id", "X-Conversation-Id", "session_id",
};

struct lines {
    char text[LINES_MAX][LINE_MAX];
    const char *all[LINES_MAX];
    size_t n;
};

/* A value that does not fit, or could end its line, is left out. */
static void add(struct lines *lines, const char *name, const char *value)
{
    const size_t n_name = strlen(name), n_value = value ? strlen(value) : 0;
    char *line = lines->text[lines->n];

    if (!value || lines->n == LINES_MAX || n_name + 2 + n_value >= LINE_MAX)
        return;
    for (const char *c = value; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7F)
            return;
    }
    memcpy(line, name, n_name);
    memcpy(line + n_name, ": ", 2);
    memcpy(line + n_name + 2, value, n_value + 1);
    lines->all[lines->n++] = line;
}

static void add_key(const struct forward *f, struct lines *lines)
{
    char value[API_KEY_MAX + 16];

    if (!f->at->settings->key[0])
        return;
    (void)snprintf(value, sizeof(value), "Bearer %s", f->at->settings->key);
    add(lines, "Authorization", value);
}

/* Where the stream is, for who goes on with it; the client's own word before there is any. */
static void add_place(const struct forward *f, struct lines *lines)
{
    char tokens[24];

    if (!f->key[0])
        return;
    add(lines, REPEAT_KEY_HEADER, f->key);
    if (f->seen.resume_tokens == 0 && f->words) /* its tokens are not those of the client's words */
        return;
    if (f->seen.resume_tokens == 0) {
        add(lines, REPEAT_TOKENS_HEADER, exchange_header(f->x, REPEAT_TOKENS_HEADER));
        return;
    }
    (void)snprintf(tokens, sizeof(tokens), "%llu", (unsigned long long)f->seen.resume_tokens);
    add(lines, REPEAT_TOKENS_HEADER, tokens);
}

/* "" says nothing. */
static void add_trace(const struct forward *f, struct lines *lines)
{
    char parent[TRACE_PARENT_MAX], state[TRACE_STATE_MAX];

    forward_trace_headers(f, parent, state);
    add(lines, TRACE_PARENT_HEADER, parent[0] ? parent : NULL);
    add(lines, TRACE_STATE_HEADER, parent[0] && state[0] ? state : NULL);
}

static void make_lines(const struct forward *f, struct lines *lines)
{
    add(lines, "Content-Type", "application/json");
    add(lines, "Accept", f->streams ? "text/event-stream" : "application/json");
    add(lines, "x-request-id", exchange_id(f->x));
    add(lines, FORWARDED_HEADER, "1");
    add_key(f, lines);
    add_trace(f, lines);
    for (size_t i = 0; i < ARRAY_LEN(passed); i++)
        add(lines, passed[i], exchange_header(f->x, passed[i]));
    if (f->at->kind->can_resume || exchange_header(f->x, REPEAT_KEY_HEADER))
        add_place(f, lines);
}

static int append(const char *bytes, size_t n, void *arg)
{
    buf_append(arg, bytes, n);
    return 0;
}

static void write_chat(struct forward *f, const char *model)
{
    json_t *body = chat_request_body(translation_request(f->words), model, f->at->kind->can);

    if (!body || json_dump_callback(body, append, &f->sent, JSON_COMPACT) != 0)
        f->sent.failed = true;
    json_decref(body);
}

static bool make_body(struct forward *f)
{
    const struct api_upstream_model *model = &f->at->settings->models[f->model_there];
    size_t n;
    const char *text = exchange_body(f->x, &n);

    buf_clear(&f->sent);
    if (f->words)
        write_chat(f, model->there);
    else if (strcmp(model->name, model->there) == 0)
        buf_append(&f->sent, text, n);
    else
        body_with_model(text, n, f->body, model->there, &f->sent);
    return buf_status(&f->sent) == ST_OK;
}

static void enter(struct forward *f)
{
    struct upstream *u = f->at;

    breaker_enter(&u->breakers[f->model_there]);
    u->n_outstanding++;
    u->counts.requests++;
    u->counts.retries += f->n_tries > 1;
    u->counts.resumes += f->seen.n_events > 0;
    u->n_waiting_tokens += f->wanted.n_prompt_tokens;
    f->is_waiting = true;
    f->n_waiting_tokens = u->n_waiting_tokens;
    f->has_answer = false;
    buf_clear(&f->held);
    f->sent_ns = clock_ns();
    f->head = (struct http_answer_head){ 0 };
    forward_trace_begin(f);
}

bool forward_send(struct forward *f)
{
    struct lines lines; /* large: not cleared */
    char url[API_UPSTREAM_URL_MAX + FORWARD_PATH_MAX];
    struct http_call_options options = {
        .url = url,
        .headers = lines.all,
        .connect_ms = FORWARD_CONNECT_MS,
        .silence_ms = FORWARD_SILENCE_MS,
        .on_head = forward_on_head,
        .on_bytes = forward_on_bytes,
        .on_end = forward_on_end,
        .arg = f,
    };
    struct err err;

    lines.n = 0;
    enter(f);
    if (!make_body(f))
        return false;
    make_lines(f, &lines);
    (void)snprintf(url, sizeof(url), "%s%s", f->at->base, f->path);
    options.n_headers = lines.n;
    options.body = f->sent.data;
    options.n_body = f->sent.len;
    if (http_call_start(f->pool->client, &options, &f->call, &err) == ST_OK)
        return true;
    log_with(LOG_WARN, "a request could not be sent", log_text("request_id", exchange_id(f->x)),
             log_text("upstream", f->at->settings->name), log_text("error", err.words));
    return false;
}
