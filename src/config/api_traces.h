/* SPDX-License-Identifier: Apache-2.0 */
/* config/api_traces.h - where traces are sent, and of which requests: a section of api_gateway.yaml.
 *
 * What the file leaves out is taken from the environment variables that OpenTelemetry names.  Headers, which may hold
 * a key, come from a file of their own, since people show one another this one.
 *
 * Source  OpenTelemetry, "Environment Variable Specification" and "OpenTelemetry Protocol Exporter"
 */
#ifndef POMONA_CONFIG_API_TRACES_H
#define POMONA_CONFIG_API_TRACES_H

#include "base/status.h"
#include "config/config.h"

enum {
    API_TRACES_URL_MAX = 512,
    API_TRACES_HEADERS_MAX = 8,
    API_TRACES_HEADER_MAX = 1024, /* bytes of a line, NUL included */
};

struct api_traces {
    char endpoint
        [API_TRACES_URL_MAX]; /* spans are posted to /v1/traces below it; "": there are no traces */
    char headers_file[CONFIG_PATH_MAX];
    double ratio; /* 0..1, of the requests that come without a trace of their own */
    char service_name[CONFIG_WORDS_MAX];
    char headers[API_TRACES_HEADERS_MAX]
                [API_TRACES_HEADER_MAX]; /* [n_headers] "Name: value", as read */
    unsigned n_headers;
};

#endif
