/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/api_error.h - what a client is told when its request fails.
 *
 * OpenAI's shape: {"error":{"message","type","param","code"}}, the four keys
 * always there.  Before the first byte of an answer it is an HTTP error;
 * after that, an event in the stream.
 */
#ifndef POMONA_GATEWAY_HTTP_API_ERROR_H
#define POMONA_GATEWAY_HTTP_API_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

enum { PARAM_MAX = 96 };

/* Every error the API gives: name, HTTP status, type, code (NULL is JSON's null). */
#define API_ERROR_MAP(X)                                                                           \
    X(API_INVALID, 400, "invalid_request_error", NULL)                                             \
    X(API_INVALID_JSON, 400, "invalid_request_error", "invalid_json")                              \
    X(API_INVALID_TYPE, 400, "invalid_request_error", "invalid_type")                              \
    X(API_INVALID_VALUE, 400, "invalid_request_error", "invalid_value")                            \
    X(API_MISSING, 400, "invalid_request_error", "missing_required_parameter")                     \
    X(API_UNSUPPORTED, 400, "invalid_request_error", "unsupported_parameter")                      \
    X(API_GRAMMAR, 400, "invalid_request_error", "invalid_grammar")                                \
    X(API_SCHEMA, 400, "invalid_request_error", "invalid_json_schema")                             \
    X(API_CONTEXT_LENGTH, 400, "invalid_request_error", "context_length_exceeded")                 \
    X(API_KEY_INVALID, 401, "authentication_error", "invalid_api_key")                             \
    X(API_TOKEN_EXPIRED, 401, "authentication_error", "token_expired")                             \
    X(API_ORIGIN, 403, "permission_error", "origin_not_allowed")                                   \
    X(API_HOST, 403, "permission_error", "host_not_allowed")                                       \
    X(API_SCOPE, 403, "permission_error", "insufficient_scope")                                    \
    X(API_MODEL_DENIED, 403, "permission_error", "model_not_allowed")                              \
    X(API_UNKNOWN_URL, 404, "invalid_request_error", "unknown_url")                                \
    X(API_MODEL_NOT_FOUND, 404, "invalid_request_error", "model_not_found")                        \
    X(API_UNKNOWN_ANSWER, 404, "invalid_request_error", "not_found")                               \
    X(API_CANCELED, 499, "invalid_request_error", "cancelled")                                     \
    X(API_NOT_PLACED, 404, "invalid_request_error", "model_not_placed")                            \
    X(API_METHOD, 405, "invalid_request_error", "method_not_allowed")                              \
    X(API_TOO_LARGE, 413, "invalid_request_error", "request_too_large")                            \
    X(API_MEDIA_TYPE, 415, "invalid_request_error", "unsupported_media_type")                      \
    X(API_QUEUE_SHARE, 429, "rate_limit_error", "queue_share_exceeded")                            \
    X(API_RATE_REQUESTS, 429, "requests", "rate_limit_exceeded")                                   \
    X(API_RATE_TOKENS, 429, "tokens", "rate_limit_exceeded")                                       \
    X(API_QUOTA, 429, "insufficient_quota", "insufficient_quota")                                  \
    X(API_INTERNAL, 500, "server_error", "internal_error")                                         \
    X(API_NOT_DONE, 501, "invalid_request_error", "not_supported")                                 \
    X(API_UPSTREAM, 503, "server_error", "upstream_error")                                         \
    X(API_OVERLOADED, 503, "server_error", "server_overloaded")                                    \
    X(API_NO_NODES, 503, "server_error", "no_healthy_upstream")                                    \
    X(API_SHUTTING_DOWN, 503, "server_error", "shutting_down")                                     \
    X(API_TIMEOUT, 504, "server_error", "upstream_timeout")

enum api_error_kind {
#define X(name, http, type, code) name,
    API_ERROR_MAP(X)
#undef X
};

struct api_error {
    enum api_error_kind kind;
    char param[PARAM_MAX]; /* path of what is wrong, "messages[1].content"; "" is null */
    char message[ERR_WORDS_MAX];
    uint64_t n_prompt_tokens; /* with API_CONTEXT_LENGTH only */
    uint64_t n_context_tokens;
    uint64_t retry_ms; /* when it may do better; 0: nothing is known */
    bool is_final;     /* asking again does not help, though the status says so */
};

/* Fill `e`; `param` may be NULL.  Always returns ST_FORMAT, so that a parser
 * can say `return api_error_set(...)`. */
enum status api_error_set(struct api_error *e, enum api_error_kind kind, const char *param,
                          const char *fmt, ...) __attribute__((format(printf, 4, 5)));

int api_error_http(enum api_error_kind kind);
const char *api_error_code(enum api_error_kind kind); /* may be NULL */

/* How errors of an API look. */
struct error_shape {
    int (*http)(enum api_error_kind kind);
    void (*render)(const struct api_error *e, const char *request_id, struct buf *out);
    const char
        *id_header; /* where its clients look for the request's id, beside x-request-id; or NULL */
};

/* Append the JSON object. */
void api_error_render(const struct api_error *e, struct buf *out);

#endif
