/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/exchange_trace.c - the trace of a request: taken from its header, or begun; and its span.
 *
 * Of a path the route alone is told, and of the query nothing, as both may name what was asked.
 *
 * Source  OpenTelemetry semantic conventions, "HTTP server" and "Generative AI"
 */
#include "gateway/http/exchange_priv.h"

#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <string.h>
#include <strings.h>

enum { SERVER_ERROR = 500, CLIENT_LEFT = 499 };

/* Who asks for the state of things now and then, a scrape or a health check, begins no trace. */
static bool begins_none(const struct exchange *x)
{
    return !x->has_parent && exchange_method(x) != EVHTTP_REQ_POST;
}

void exchange_trace_begin(struct exchange *x)
{
    struct trace_context parent = { 0 };

    /* Two of them are none: nobody knows which is meant. */
    x->has_parent = exchange_count_headers(x, TRACE_PARENT_HEADER) == 1 &&
                    trace_context_read(exchange_header(x, TRACE_PARENT_HEADER), &parent);
    x->trace = tracer_trace(x->home->tracer, &parent);
    if (begins_none(x))
        x->trace.is_sampled = false;
    x->span = tracer_begin_root(x->home->tracer, &x->trace, x->has_parent ? parent.span_id : NULL,
                                SPAN_SERVER);
    span_text(x->span, "request_id", x->id);
}

void exchange_trace_end(struct exchange *x)
{
    const char *method = method_name(exchange_method(x));

    if (!x->span)
        return;
    span_name(x->span, method, x->route);
    span_text(x->span, "http.request.method", method);
    span_text(x->span, "http.route", x->route);
    span_text(x->span, "network.protocol.version", x->req->minor == 0 ? "1.0" : "1.1");
    span_whole(x->span, "http.response.status_code", (uint64_t)x->http_status);
    if (x->http_status >= SERVER_ERROR)
        span_fail(x->span, "it was answered with an error");
    if (x->http_status == CLIENT_LEFT)
        span_truth(x->span, "pomona.client_left");
    if (x->n_prompt_tokens + x->n_answer_tokens > 0) {
        span_whole(x->span, "gen_ai.usage.input_tokens", x->n_prompt_tokens);
        span_whole(x->span, "gen_ai.usage.output_tokens", x->n_answer_tokens);
    }
    tracer_end(x->home->tracer, &x->span);
}

const struct trace_context *exchange_trace(const struct exchange *x)
{
    return &x->trace;
}

struct span *exchange_span(const struct exchange *x)
{
    return x->span;
}

const char *exchange_trace_parent(const struct exchange *x)
{
    return x->has_parent ? exchange_header(x, TRACE_PARENT_HEADER) : NULL;
}

/* RFC 9110, section 5.3: several fields of a name are one list.  It goes on as it came, or not at all. */
bool exchange_trace_state(const struct exchange *x, char *ret_text)
{
    const struct evkeyvalq *headers = evhttp_request_get_input_headers(x->req);
    size_t n = 0;

    if (!x->has_parent)
        return false;
    for (const struct evkeyval *h = headers->tqh_first; h; h = h->next.tqe_next) {
        const size_t n_value = strlen(h->value);

        if (strcasecmp(h->key, TRACE_STATE_HEADER) != 0)
            continue;
        if (n + n_value + 1 >= TRACE_STATE_MAX)
            return false;
        if (n > 0)
            ret_text[n++] = ',';
        memcpy(ret_text + n, h->value, n_value);
        n += n_value;
    }
    ret_text[n] = '\0';
    return trace_state_is_valid(ret_text);
}
