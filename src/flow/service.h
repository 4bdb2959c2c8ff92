/* SPDX-License-Identifier: Apache-2.0 */
/* flow/service.h - a node's HTTP service: the OpenAI API and the cluster's admin API.
 *
 * Ties the gateway to the cluster: each request becomes a flow (flow.c) that
 * goes through the six stages.  How serve.c uses it:
 *
 *   service_new()                            nothing listens yet
 *   cluster_new(..., &service_cluster_events, service, ...)
 *   service_start(service, cluster)          listens; requests arrive
 *   loop_run()
 *   service_drain(service, ms, stop_the_loop, ...)   on SIGTERM; then loop_run() returns
 *   service_free(), cluster_free(), loop_free()      in this order
 *
 * Threads  the loop's
 */
#ifndef POMONA_FLOW_SERVICE_H
#define POMONA_FLOW_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "cluster/cluster.h"
#include "net/loop.h"

struct service;

struct service_options {
    const char *listen_host; /* numeric address; copied, as every string here */
    uint16_t listen_port;    /* 0 picks one: service_port() */
    const char *cluster_name;
    const char *node_name;
    const char *version;
    const char *data_dir;     /* where models are fetched to; NULL: they are not */
    const char *hub_endpoint; /* model/store/hub.h; NULL: the usual one; these two are borrowed */
    const char *hub_token;    /* NULL: none */
    enum kv_format kv_format; /* of instances that nobody asked for another */
    enum activation_format activations; /* the same */
    const char *api_keys;               /* path of the API keys, which may not be there */
    const char *quotas;                 /* path where the use of quotas is kept; NULL: nowhere */
    const char *gateway_config;         /* path of api_gateway.yaml; NULL: the defaults */
    const char *log_levels;             /* that hold over those of the file; NULL: none */
};

/* Errors  ST_NOMEM; of gateway_config as api_gateway_load() */
enum status service_new(struct loop *loop, const struct service_options *options,
                        struct service **ret_service, struct err *err);

/* Every open request ends without an answer.  NULL is allowed.  The cluster
 * given to service_start() must still be there, and calls no event afterwards. */
void service_free(struct service *service);

/* Give these and the service as `arg` to cluster_new().  They may be called
 * before service_start(). */
extern const struct cluster_events service_cluster_events;

/* Listen and answer.  `cluster` is borrowed until service_free().
 * Errors  ST_IO  the address is in use or not this machine's, named */
enum status service_start(struct service *service, struct cluster *cluster, struct err *err);

uint16_t service_port(const struct service *service); /* once started */
bool service_speaks_tls(const struct service *service);

/* Read the gateway's settings again, changed or not; connections stay.  Then done(arg) on the loop. */
void service_reload(struct service *service, loop_fn *done, void *arg);

/* Begin to place a model before anybody asks for it; requests that come
 * meanwhile join.  What goes wrong later is logged, and the next request
 * tries again.
 * Errors  ST_NOTFOUND  no such model, or no node can hold it; ST_FULL  it does not fit */
enum status service_place(struct service *service, const char *model, struct err *err);

/* Refuse new requests with 503, let running ones end, for `ms` at the longest;
 * `done` is called on the loop when none is left and no background job needs
 * the loop.  Asking again changes how long. */
void service_drain(struct service *service, uint64_t ms, loop_fn *done, void *arg);

#endif
