/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/fetch.c - whole answers of HTTP servers, with a bound and a deadline. */
#include "monitor/fetch.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "monitor/remote.h"
#include "net/http_client.h"

struct call {
    struct fetcher *fetcher;
    struct http_call *http;
    fetch_fn *fn;
    void *arg;
    char *body;
    struct buf answer;
    int status;
    uint64_t begun_ns;
    struct call **link, *next;
};

struct fetcher {
    struct http_client *client;
    struct call *calls;
};

enum status fetcher_new(struct loop *loop, struct fetcher **ret_fetcher, struct err *err)
{
    struct fetcher *f = calloc(1, sizeof(*f));
    enum status s;

    if (!f)
        return err_set(err, ST_NOMEM, "the monitor's requests");
    s = http_client_new(loop, &f->client, err);
    if (s != ST_OK) {
        free(f);
        return s;
    }
    *ret_fetcher = f;
    return ST_OK;
}

static void call_free(struct call *c)
{
    if (c->link) {
        *c->link = c->next;
        if (c->next)
            c->next->link = c->link;
    }
    free(c->body);
    buf_release(&c->answer);
    free(c);
}

void fetcher_free(struct fetcher *f)
{
    if (!f)
        return;
    while (f->calls) {
        http_call_cancel(f->calls->http);
        call_free(f->calls);
    }
    http_client_free(f->client);
    free(f);
}

static bool on_head(void *arg, const struct http_answer_head *head)
{
    struct call *c = arg;

    c->status = head->status;
    return true;
}

static bool on_bytes(void *arg, const char *bytes, size_t n)
{
    struct call *c = arg;

    if (c->answer.len + n > REMOTE_BODY_MAX_BYTES)
        return false;
    buf_append(&c->answer, bytes, n);
    return !c->answer.failed;
}

static void on_end(void *arg, enum http_end end, const char *why)
{
    struct call *c = arg;
    const struct fetch_answer answer = {
        .status = end == HTTP_END_WHOLE ? c->status : 0,
        .bytes = buf_text(&c->answer),
        .n = c->answer.len,
        .why = end == HTTP_END_STOPPED ? "the answer is too long" : why,
        .begun_ns = c->begun_ns,
        .ended_ns = clock_ns(),
    };

    c->fn(c->arg, &answer);
    call_free(c);
}

static enum status start(struct fetcher *f, struct call *c, const struct fetch *fetch,
                         struct err *err)
{
    const uint32_t ms = (uint32_t)(fetch->deadline_s * 1000) + 1;
    const char *headers[FETCH_HEADERS_MAX + 1];
    struct http_call_options options = {
        .url = fetch->url,
        .headers = headers,
        .ca_file = fetch->ca_file,
        .body = c->body,
        .n_body = c->body ? strlen(c->body) : 0,
        .connect_ms = ms,
        .total_ms = ms,
        .on_head = on_head,
        .on_bytes = on_bytes,
        .on_end = on_end,
        .arg = c,
    };

    if (c->body)
        headers[options.n_headers++] = "Content-Type: application/json";
    for (size_t i = 0; i < fetch->n_headers && i < FETCH_HEADERS_MAX; i++)
        headers[options.n_headers++] = fetch->headers[i];
    return http_call_start(f->client, &options, &c->http, err);
}

enum status fetch_start(struct fetcher *f, const struct fetch *fetch, fetch_fn *fn, void *arg,
                        struct err *err)
{
    struct call *c = calloc(1, sizeof(*c));
    enum status s = ST_OK;

    if (!c)
        return err_set(err, ST_NOMEM, "a request to %s", fetch->url);
    *c = (struct call){ .fetcher = f, .fn = fn, .arg = arg, .begun_ns = clock_ns() };
    if (fetch->body) {
        c->body = strdup(fetch->body);
        if (!c->body)
            s = err_set(err, ST_NOMEM, "a request to %s", fetch->url);
    }
    if (s == ST_OK)
        s = start(f, c, fetch, err);
    if (s != ST_OK) {
        call_free(c);
        return s;
    }
    c->next = f->calls;
    if (c->next)
        c->next->link = &c->next;
    c->link = &f->calls;
    f->calls = c;
    return ST_OK;
}
