/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/cors.h - which web pages may ask.
 *
 * A browser says with "Origin" whose page it acts for.  Pages of this server itself may ask, and those in the
 * settings; every other is refused, and not only kept from reading the answer: asking alone can change
 * something.  Clients that are no browsers send no Origin.  Pure.
 * Source: WHATWG Fetch, section 3.2
 */
#ifndef POMONA_GATEWAY_HTTP_CORS_H
#define POMONA_GATEWAY_HTTP_CORS_H

#include <stdbool.h>

#include "config/api_server.h"

enum cors_verdict {
    CORS_OWN,     /* no page, or one of this server */
    CORS_ALLOWED, /* by the settings: the browser has to be told so */
    CORS_REFUSED,
};

/* origin, host  the headers; NULL: there is none */
enum cors_verdict cors_judge(const struct api_cors *cors, const char *origin, const char *host);

/* To whom an answer has to be told to be open, once the verdict is CORS_ALLOWED: "*", or `origin` itself. */
const char *cors_told(const struct api_cors *cors, const char *origin);

/* Headers of an answer that a page may read. */
#define CORS_EXPOSED                                                                               \
    "x-request-id, request-id, retry-after, retry-after-ms, x-ratelimit-remaining-requests, "      \
    "x-ratelimit-remaining-tokens"

/* May a list of header names be repeated to the browser? */
bool cors_are_names(const char *names);

#endif
