/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/probe.c - asks each upstream for its health, every few seconds. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/upstream/pool_priv.h"

static bool on_head(void *arg, const struct http_answer_head *head)
{
    struct upstream *u = arg;

    u->probe_status = head->status;
    return true;
}

static bool on_bytes(void *arg, const char *bytes, size_t n)
{
    (void)arg; /* the status says all */
    (void)bytes;
    (void)n;
    return true;
}

/* A server that wants a key it was not given is up: requests will say what they think of the key. */
static bool is_fine(int status)
{
    return (status >= 200 && status < 300) || status == 401 || status == 403;
}

static void on_end(void *arg, enum http_end end, const char *why)
{
    struct upstream *u = arg;

    u->probe = NULL;
    if (!pulse_answer(&u->pulse, end == HTTP_END_WHOLE && is_fine(u->probe_status), clock_ns()))
        return;
    if (u->pulse.is_down)
        log_with(LOG_WARN, "an upstream is down", log_text("upstream", u->settings->name),
                 log_text("error", end == HTTP_END_WHOLE ? "it says so" : why));
    else
        log_with(LOG_INFO, "an upstream is up again", log_text("upstream", u->settings->name));
}

static void probe(struct upstream *u)
{
    char url[API_UPSTREAM_URL_MAX + 64], authorization[API_KEY_MAX + 32];
    const char *headers[] = { authorization };
    const struct http_call_options options = {
        .url = url,
        .headers = headers,
        .n_headers = u->settings->key[0] ? 1 : 0,
        .connect_ms = PULSE_WAIT_MS,
        .total_ms = PULSE_WAIT_MS,
        .on_head = on_head,
        .on_bytes = on_bytes,
        .on_end = on_end,
        .arg = u,
    };
    struct err err;

    (void)snprintf(url, sizeof(url), "%s%s", u->base, u->kind->health);
    (void)snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s",
                   u->settings->key);
    u->probe_status = 0;
    if (http_call_start(u->pool->client, &options, &u->probe, &err) != ST_OK)
        log_with(LOG_DEBUG, "an upstream is not asked for its health",
                 log_text("upstream", u->settings->name), log_text("error", err.words));
}

void pool_probe(void *arg)
{
    struct pool *pool = arg;

    for (size_t i = 0; i < pool->n; i++) {
        if (!pool->upstreams[i].probe)
            probe(&pool->upstreams[i]);
    }
}

void pool_probe_cancel(struct upstream *u)
{
    http_call_cancel(u->probe);
    u->probe = NULL;
}
