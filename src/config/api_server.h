/* SPDX-License-Identifier: Apache-2.0 */
/* config/api_server.h - how the API's HTTP server listens: TLS, origins, bounds, the access log.
 *
 * Sections of config/api_gateway.yaml, which explains each value.
 */
#ifndef POMONA_CONFIG_API_SERVER_H
#define POMONA_CONFIG_API_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log_level.h"
#include "config/config.h"

enum api_tls_version { API_TLS_1_2 = 12, API_TLS_1_3 = 13 };

struct api_tls {
    char certificate[CONFIG_PATH_MAX]; /* PEM, with its chain; "": HTTP in clear */
    char private_key[CONFIG_PATH_MAX];
    enum api_tls_version min_version;
};

/* Web pages that may ask. */
struct api_cors {
    char **origins; /* [origins_count] "https://chat.example.org", or "*" alone */
    unsigned origins_count;
};

struct api_sizes {
    uint32_t header_bytes; /* of a request's line and header, all together */
    uint32_t header_lines;
    uint32_t url_bytes;
    uint64_t body_bytes;
};

struct api_timeouts {
    uint32_t header_s;         /* for a request's header, and for TLS before it */
    uint32_t body_s;           /* for its body; a longer one has to come at this rate: */
    uint32_t body_bytes_per_s; /* */
    uint32_t idle_s;           /* between requests of a connection */
    uint32_t stall_s;          /* for a client to read on */
};

struct api_connections {
    uint32_t total;
    uint32_t per_address; /* an IPv4 address, or a /64 of IPv6 */
};

struct api_log {
    bool access;                     /* a line for each request */
    char level[LOG_LEVELS_TEXT_MAX]; /* base/log_level.h */
    char format[16];                 /* base/log_event.h, read once, at the start */
};

#endif
