/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/limit_words.c - limits as clients are told them: headers and refusals. */
#include "gateway/guard/limit_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "gateway/http/anthropic_error.h"

/* As OpenAI's headers have it: "120ms", "1.5s", "6m0s". */
static void duration(uint64_t ms, char ret[32])
{
    if (ms < 1000)
        (void)snprintf(ret, 32, "%" PRIu64 "ms", ms);
    else if (ms < 60000)
        (void)snprintf(ret, 32, "%" PRIu64 ".%" PRIu64 "s", ms / 1000, ms % 1000 / 100);
    else
        (void)snprintf(ret, 32, "%" PRIu64 "m%" PRIu64 "s", ms / 60000, ms % 60000 / 1000);
}

static void number(struct exchange *x, const char *name, uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    exchange_set_header(x, name, text);
}

/* RFC 3339. */
static void moment(struct exchange *x, const char *name, uint64_t ms)
{
    const time_t at = (time_t)(clock_unix_s() + (int64_t)((ms + 999) / 1000));
    struct tm parts;
    char text[32];

    if (gmtime_r(&at, &parts) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts) > 0)
        exchange_set_header(x, name, text);
}

static void openai(struct exchange *x, const struct limits_view *v)
{
    char text[32];

    if (v->request_limit) {
        number(x, "x-ratelimit-limit-requests", v->request_limit);
        number(x, "x-ratelimit-remaining-requests", v->requests_left);
        duration(v->request_reset_ms, text);
        exchange_set_header(x, "x-ratelimit-reset-requests", text);
    }
    if (v->token_limit) {
        number(x, "x-ratelimit-limit-tokens", v->token_limit);
        number(x, "x-ratelimit-remaining-tokens", v->tokens_left);
        duration(v->token_reset_ms, text);
        exchange_set_header(x, "x-ratelimit-reset-tokens", text);
    }
}

static void anthropic(struct exchange *x, const struct limits_view *v)
{
    if (v->request_limit) {
        number(x, "anthropic-ratelimit-requests-limit", v->request_limit);
        number(x, "anthropic-ratelimit-requests-remaining", v->requests_left);
        moment(x, "anthropic-ratelimit-requests-reset", v->request_reset_ms);
    }
    if (v->token_limit) {
        number(x, "anthropic-ratelimit-tokens-limit", v->token_limit);
        number(x, "anthropic-ratelimit-tokens-remaining", v->tokens_left);
        moment(x, "anthropic-ratelimit-tokens-reset", v->token_reset_ms);
    }
}

void limit_headers(struct exchange *x, const struct limits_view *view)
{
    if (exchange_error_shape(x) == &anthropic_errors)
        anthropic(x, view);
    else
        openai(x, view);
}

static const char *unit_of(enum limits_verdict verdict)
{
    switch (verdict) {
    case LIMITS_REQUESTS: return "requests per min (RPM)";
    case LIMITS_TOKENS: return "tokens per min (TPM)";
    case LIMITS_CONCURRENT: return "concurrent requests";
    case LIMITS_DAY: return "use per day";
    case LIMITS_TOO_LARGE: return "tokens per min (TPM)";
    case LIMITS_GRANTED:
    case LIMITS_CROWDED: break;
    }
    return "accounts";
}

enum status limit_error(const struct limits_answer *a, const char *what, const char *who,
                        struct api_error *e)
{
    const bool is_of_tokens = a->verdict == LIMITS_TOKENS || a->verdict == LIMITS_TOO_LARGE;
    const enum api_error_kind kind = a->verdict == LIMITS_DAY ? API_QUOTA
                                     : is_of_tokens           ? API_RATE_TOKENS
                                                              : API_RATE_REQUESTS;
    char wait[32], again[64] = "";

    duration(a->retry_ms, wait);
    if (a->retry_ms)
        (void)snprintf(again, sizeof(again), " Please try again in %s.", wait);
    else if (a->verdict == LIMITS_TOO_LARGE)
        (void)snprintf(again, sizeof(again), " The request exceeds the limit by itself.");
    (void)api_error_set(e, kind, NULL,
                        "Rate limit reached for %.60s in organization %.60s on %s: Limit %" PRIu64
                        ", Used %" PRIu64 ", Requested %" PRIu64 ".%s",
                        what, who, unit_of(a->verdict), a->limit, a->used, a->requested, again);
    e->retry_ms = a->retry_ms;
    e->is_final = a->retry_ms == 0;
    return ST_FULL;
}
