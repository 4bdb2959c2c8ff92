/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/route.h - which handler a method and path belong to.
 *
 * Paths of OpenAI's API are taken with "/v1", without, and with it twice:
 * people put it into the base address, or forget it.  Pure.
 */
#ifndef POMONA_GATEWAY_HTTP_ROUTE_H
#define POMONA_GATEWAY_HTTP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

enum { PATH_BYTES_MAX = 8192, ALLOW_MAX = 64 };

struct exchange;
typedef void handler_fn(void *arg, struct exchange *x);

struct http_route {
    const char *method; /* "GET" answers HEAD too */
    const char *path;   /* without /v1; one that ends in "/" takes any non-empty rest */
    handler_fn *handle;
};

enum route_result { ROUTE_FOUND, ROUTE_UNKNOWN_PATH, ROUTE_WRONG_METHOD };

struct route_match {
    const struct http_route *route; /* ROUTE_FOUND */
    char rest[PATH_BYTES_MAX];      /* what a path ending in "/" took, percent-decoded */
    char allow[ALLOW_MAX];          /* ROUTE_WRONG_METHOD: value of the Allow header */
};

/* path  without the query, as it was sent */
enum route_result route_find(const struct http_route *routes, size_t n_routes, const char *method,
                             const char *path, struct route_match *ret);

/* Value of `name` in `query` ("a=1&b=2", may be NULL), percent-decoded, into ret_value
 * [capacity]; "" and false where it is missing or too long. */
bool query_value(const char *query, const char *name, char *ret_value, size_t capacity);

#endif
