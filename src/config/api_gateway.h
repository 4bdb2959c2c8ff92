/* SPDX-License-Identifier: Apache-2.0 */
/* config/api_gateway.h - how the API is guarded, as config/api_gateway.yaml says it.
 *
 * Immutable once loaded, and shared by reference: a reload makes a new one, who uses the old
 * one keeps it until it is done.  Every value is filled in: what the file leaves out is
 * here as its default.  The shipped file explains each.
 *
 * Threads  any: the count of references is atomic
 */
#ifndef POMONA_CONFIG_API_GATEWAY_H
#define POMONA_CONFIG_API_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "config/api_server.h"
#include "config/api_traces.h"
#include "config/api_upstreams.h"
#include "config/config.h"

enum {
    API_ISSUERS_MAX = 16,
    API_NAMED_MAX = 1024, /* limits of single tenants or models */
    API_WORDS_MAX = 64,   /* entries of a list of words */
    API_URL_MAX = 1024,
    API_METRICS_PORT = 8000, /* where the file does not say */
};

/* Algorithms of a token's signature: bits. */
enum {
    API_HS256 = 1u << 0,
    API_RS256 = 1u << 1,
    API_PS256 = 1u << 2,
    API_ES256 = 1u << 3,
    API_EDDSA = 1u << 4,
};

/* 0: no limit. */
struct api_limits {
    uint32_t requests_per_minute, concurrent;
    uint64_t tokens_per_minute; /* of prompt and answer */
    uint64_t requests_per_day, tokens_per_day;
};

enum { API_INTERACTIVE = 0, API_BATCH };

struct api_named_limits {
    char name[CONFIG_WORDS_MAX];
    int priority; /* API_BATCH: its requests yield to others */
    struct api_limits limits;
};

/* Who signs tokens (JWT).  Exactly one of jwks_file, jwks_url and secret_file is set. */
struct api_issuer {
    char issuer[API_URL_MAX]; /* claim "iss", exactly */
    char **audiences;         /* [audiences_count] of which "aud" names one */
    unsigned audiences_count;
    uint32_t algorithms; /* API_* */
    char jwks_file[CONFIG_PATH_MAX], jwks_url[API_URL_MAX];
    char secret_file[CONFIG_PATH_MAX]; /* of HS256 */
    uint32_t leeway_s, max_lifetime_s, refresh_s, stale_s;
    char scopes_claim[CONFIG_WORDS_MAX], models_claim[CONFIG_WORDS_MAX];
    char tenant_claim[CONFIG_WORDS_MAX], priority_claim[CONFIG_WORDS_MAX];
};

struct api_auth {
    bool required;
    struct api_issuer *issuers; /* [issuers_count] */
    unsigned issuers_count;
};

struct api_all_limits {
    struct api_limits key, tenant, model;      /* of each that has no other */
    struct api_named_limits *tenants, *models; /* [tenants_count], [models_count] */
    unsigned tenants_count, models_count;
};

/* Of the whole node. */
struct api_queue {
    uint32_t requests;      /* that wait or run */
    uint64_t prompt_tokens; /* of those; 0: no bound */
    uint32_t wait_s;        /* for the first token */
};

/* Where Prometheus asks, beside /metrics of the API. */
struct api_metrics {
    bool off;
    char host[CONFIG_HOST_MAX]; /* numeric address; "": the API's */
    uint16_t port;
};

struct api_gateway {
    struct api_auth auth;
    struct api_all_limits limits;
    struct api_tls tls;
    char **hosts; /* [hosts_count] by which one may ask without a key on loopback; "*": any */
    unsigned hosts_count;
    struct api_cors cors;
    struct api_sizes sizes;
    struct api_timeouts timeouts;
    struct api_connections connections;
    struct api_log log;
    struct api_queue queue;
    struct api_metrics metrics;
    struct api_traces traces;
    struct api_balancing balancing;
    struct api_upstream *upstreams; /* [upstreams_count] */
    unsigned upstreams_count;
    uint32_t n_refs; /* atomic: api_gateway_ref() */
};

/* Read and check the whole file.
 * ret_config  given: api_gateway_unref()
 * Errors      ST_NOTFOUND, ST_IO, ST_NOMEM; ST_FORMAT and ST_RANGE with file, line and column */
enum status api_gateway_load(const char *path, struct api_gateway **ret_config, struct err *err);

/* What holds without a file.  As api_gateway_load(). */
enum status api_gateway_default(struct api_gateway **ret_config, struct err *err);

struct api_gateway *api_gateway_ref(struct api_gateway *config);
void api_gateway_unref(struct api_gateway *config); /* NULL is allowed */

#endif
