/* SPDX-License-Identifier: Apache-2.0 */
/* flow/exporter.c - the second door to the metrics: a port of its own, where no key is asked for. */
#include "flow/exporter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/size.h"
#include "config/config.h"
#include "gateway/http/server.h"

struct exporter {
    struct loop *loop;
    struct http_server *server; /* NULL: none listens */
    void (*show)(void *arg, struct exchange *x);
    void *arg;
    char host[CONFIG_HOST_MAX]; /* as asked for last */
    uint16_t port;
};

static void show(void *arg, struct exchange *x)
{
    struct exporter *e = arg;

    e->show(e->arg, x);
}

static const struct http_route routes[] = { { "GET", "/metrics", show } };

enum status exporter_new(struct loop *loop, void (*fn)(void *arg, struct exchange *x), void *arg,
                         struct exporter **ret_exporter, struct err *err)
{
    struct exporter *e = calloc(1, sizeof(*e));

    if (!e)
        return err_set(err, ST_NOMEM, "the exporter of metrics");
    e->loop = loop;
    e->show = fn;
    e->arg = arg;
    *ret_exporter = e;
    return ST_OK;
}

void exporter_free(struct exporter *e)
{
    if (!e)
        return;
    http_server_free(e->server);
    free(e);
}

static void start(struct exporter *e)
{
    const struct http_server_options options = {
        .host = e->host,
        .port = e->port,
        .routes = routes,
        .n_routes = ARRAY_LEN(routes),
        .arg = e,
    };
    struct err err;

    if (http_server_new(e->loop, &options, &e->server, &err) == ST_OK)
        log_info("metrics are on http://%s:%u/metrics", e->host, e->port);
    else
        log_warn("metrics have no port of their own, and are at /metrics of the API alone: %s",
                 err.words);
}

void exporter_listen(struct exporter *e, const char *host, uint16_t port)
{
    if (e->port == port && strcmp(e->host, host) == 0)
        return;
    http_server_free(e->server);
    e->server = NULL;
    (void)snprintf(e->host, sizeof(e->host), "%s", host);
    e->port = port;
    if (port != 0)
        start(e);
}
