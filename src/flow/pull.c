/* SPDX-License-Identifier: Apache-2.0 */
/* flow/pull.c - fetch a model from a hub because a client of the API asks.
 *
 * A job's thread fetches; the loop tells the client how far it is.  A client that leaves does not end
 * it: what is there is kept, and the next pull goes on.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "flow/service_priv.h"
#include "gateway/dialect/ollama.h"
#include "gateway/http/json_out.h"
#include "model/store/pull.h"
#include "net/job.h"

enum { PULLS_MAX = 4, TELL_MS = 500 };

struct pulling {
    struct service *service;
    struct exchange *x; /* NULL: its client left */
    bool streams, is_streaming;
    struct loop_timer *tell;
    struct store store;
    char what[OLLAMA_WHAT_MAX];
    struct pull_result result;
    enum status status;
    struct err err;
    atomic_uint_fast64_t done_bytes, total_bytes;
};

static void on_progress(void *arg, uint64_t done, uint64_t total)
{
    struct pulling *p = arg;

    atomic_store(&p->total_bytes, total);
    atomic_store(&p->done_bytes, done);
}

/* On the job's thread. */
static void fetch(void *arg)
{
    struct pulling *p = arg;
    const struct pull_options options = {
        .what = p->what,
        .endpoint = p->service->hub_endpoint,
        .token = p->service->hub_token,
        .on_progress = on_progress,
        .arg = p,
    };

    p->status = store_pull(&p->store, &options, &p->result, &p->err);
}

static void send_line(struct pulling *p, struct buf *line)
{
    if (!p->is_streaming)
        exchange_stream_start(p->x, "application/x-ndjson");
    p->is_streaming = true;
    exchange_stream_send(p->x, line->data, line->len);
}

static void tell(void *arg)
{
    struct pulling *p = arg;
    const uint64_t total = atomic_load(&p->total_bytes);
    struct buf line = { 0 };

    if (!p->x || !p->streams)
        return;
    if (total == 0)
        buf_puts(&line, "{\"status\":\"pulling manifest\"}\n");
    else
        buf_printf(&line,
                   "{\"status\":\"downloading\",\"total\":%" PRIu64 ",\"completed\":%" PRIu64 "}\n",
                   total, (uint64_t)atomic_load(&p->done_bytes));
    send_line(p, &line);
    buf_release(&line);
}

static void answer(struct pulling *p)
{
    struct buf line = { 0 };
    struct api_error e;

    exchange_on_close(p->x, NULL, NULL);
    if (p->status != ST_OK) {
        (void)api_error_set(&e, p->status == ST_PEER ? API_UPSTREAM : API_INVALID_VALUE, "model",
                            "%s", p->err.words);
        if (!p->is_streaming) {
            exchange_fail(p->x, &e);
            return;
        }
        ollama_render_error(&e, &line);
    } else {
        buf_puts(&line, "{\"status\":\"success\"}");
    }
    if (p->streams) {
        buf_putc(&line, '\n');
        send_line(p, &line);
        exchange_stream_end(p->x);
    } else {
        exchange_reply(p->x, 200, "application/json", &line);
    }
    buf_release(&line);
}

static void pulling_free(struct pulling *p)
{
    loop_timer_free(p->tell);
    free(p);
}

static void done(void *arg)
{
    struct pulling *p = arg;

    p->service->n_pulls--;
    if (p->status == ST_OK)
        log_with(LOG_INFO, "a model was fetched", log_text("model", p->result.entry.info.name));
    else
        log_with(LOG_WARN, "a model was not fetched", log_text("error", p->err.words));
    if (p->x)
        answer(p);
    pulling_free(p);
}

static void client_left(void *arg)
{
    struct pulling *p = arg;

    p->x = NULL;
}

static enum status begin(struct service *service, struct pulling *p, struct err *err)
{
    enum status s;

    if (!service->data_dir[0])
        return err_set(err, ST_UNSUPPORTED, "This node has no store to fetch models to.");
    if (service->is_draining || service->n_pulls >= PULLS_MAX)
        return err_set(err, ST_FULL, "This node fetches as many models as it can already.");
    s = store_init(&p->store, service->data_dir, err);
    if (s == ST_OK)
        s = loop_timer_new(service->loop, tell, p, &p->tell);
    return s == ST_OK ? job_start(service->loop, fetch, done, NULL, p, err) : s;
}

void service_pull(void *arg, struct exchange *x, const char *what, bool streams)
{
    struct service *service = arg;
    struct pulling *p = calloc(1, sizeof(*p));
    struct err err = { .words = "There is no memory." };
    struct api_error e;

    if (p) {
        p->service = service;
        p->x = x;
        p->streams = streams;
        (void)snprintf(p->what, sizeof(p->what), "%s", what);
    }
    if (!p || begin(service, p, &err) != ST_OK) {
        (void)api_error_set(&e, API_OVERLOADED, NULL, "%s", err.words);
        exchange_fail(x, &e);
        if (p)
            pulling_free(p);
        return;
    }
    service->n_pulls++;
    exchange_on_close(x, client_left, p);
    loop_timer_every(p->tell, TELL_MS);
}
