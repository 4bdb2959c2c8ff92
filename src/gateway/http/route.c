/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/route.c - which handler a method and path belong to. */
#include "gateway/http/route.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* [n] bytes of `text` into ret [capacity].  False: too long, or an encoded
 * NUL, which would cut a name short. */
static bool percent_decode(const char *text, size_t n, char *ret, size_t capacity)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if (c == '%' && n - i > 2 && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
            c = (char)(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
            i += 2;
        }
        if (c == '\0' || len + 1 >= capacity)
            return false;
        ret[len++] = c;
    }
    ret[len] = '\0';
    return true;
}

static const char *without_version(const char *path)
{
    if (strncmp(path, "/ollama/", 8) == 0) /* a base address that some clients of exo have */
        path += 7;
    while (strncmp(path, "/v1/", 4) == 0)
        path += 3;
    return path;
}

static bool path_matches(const struct http_route *route, const char *path, char *ret_rest)
{
    const size_t n = strlen(route->path);

    ret_rest[0] = '\0';
    if (n > 1 && route->path[n - 1] == '/')
        return strncmp(path, route->path, n) == 0 && path[n] != '\0' &&
               percent_decode(path + n, strlen(path + n), ret_rest, PATH_BYTES_MAX);
    if (strncmp(path, route->path, n) != 0)
        return false;
    return path[n] == '\0' || (path[n] == '/' && path[n + 1] == '\0' && n > 1);
}

static bool method_matches(const struct http_route *route, const char *method)
{
    if (strcmp(route->method, method) == 0)
        return true;
    return strcmp(route->method, "GET") == 0 && strcmp(method, "HEAD") == 0;
}

static void allow_add(char *allow, const char *method)
{
    const size_t n = strlen(allow);

    (void)snprintf(allow + n, ALLOW_MAX - n, "%s%s", n ? ", " : "",
                   strcmp(method, "GET") == 0 ? "GET, HEAD" : method);
}

enum route_result route_find(const struct http_route *routes, size_t n_routes, const char *method,
                             const char *path, struct route_match *ret)
{
    enum route_result result = ROUTE_UNKNOWN_PATH;

    ret->route = NULL; /* `rest` is large: not cleared */
    ret->rest[0] = ret->allow[0] = '\0';
    path = without_version(path);
    for (size_t i = 0; i < n_routes; i++) {
        if (!path_matches(&routes[i], path, ret->rest))
            continue;
        if (method_matches(&routes[i], method)) {
            ret->route = &routes[i];
            return ROUTE_FOUND;
        }
        allow_add(ret->allow, routes[i].method);
        result = ROUTE_WRONG_METHOD;
    }
    return result;
}

bool query_value(const char *query, const char *name, char *ret_value, size_t capacity)
{
    const size_t n_name = strlen(name);

    ret_value[0] = '\0';
    for (const char *at = query; at && *at;) {
        const size_t n = strcspn(at, "&");

        if (n > n_name && strncmp(at, name, n_name) == 0 && at[n_name] == '=') {
            if (percent_decode(at + n_name + 1, n - n_name - 1, ret_value, capacity))
                return true;
            ret_value[0] = '\0';
            return false;
        }
        at += n;
        at += *at == '&';
    }
    return false;
}
