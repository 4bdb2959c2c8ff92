/* SPDX-License-Identifier: Apache-2.0 */
/* trace/span.h - something that was done for a request: its name, its time, what is known of it.
 *
 * Nothing a client sent becomes part of a span but ids: names of attributes are constants, texts are those of
 * this program, of its settings, or of a model that there is.
 *
 * Memory   a span has room for all it may say; what is too much is left out, and counted in what is told
 * Threads  one at a time
 * Source   opentelemetry-proto, trace/v1/trace.proto; OTLP specification, "JSON Protobuf Encoding"
 */
#ifndef POMONA_TRACE_SPAN_H
#define POMONA_TRACE_SPAN_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/trace.h"

enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_CLIENT = 3 }; /* the protocol's numbers */

enum {
    SPAN_NAME_MAX = 160,
    SPAN_ATTRIBUTES_MAX = 24,
    SPAN_TEXT_MAX = 1024, /* of all texts together */
    SPAN_EVENTS_MAX = 4,
};

struct span_attribute {
    const char *name; /* lent for ever */
    enum { ATTRIBUTE_TEXT, ATTRIBUTE_WHOLE, ATTRIBUTE_REAL, ATTRIBUTE_TRUTH } type;
    uint32_t text_at; /* in the span's text */
    int64_t whole;
    double real;
};

struct span_event {
    const char *name; /* lent for ever */
    uint64_t ns;
};

struct span {
    struct trace_context context;
    uint8_t parent_id[TRACE_SPAN_BYTES]; /* zero: it has none */
    enum span_kind kind;
    uint64_t begin_ns, end_ns; /* clock_ns() */
    char name[SPAN_NAME_MAX];
    struct span_attribute attributes[SPAN_ATTRIBUTES_MAX];
    struct span_event events[SPAN_EVENTS_MAX];
    char text[SPAN_TEXT_MAX];
    uint32_t n_attributes, n_events, n_text, n_left_out;
    const char *failure; /* lent for ever; NULL: nothing is known to have gone wrong */
};

/* For each of these a span of NULL is fine: what is not sampled has none.  An attribute of a name that is there is
 * replaced; a text that is NULL or "" says nothing. */
void span_name(struct span *span, const char *first,
               const char *second); /* with a space; NULL: no second */
void span_text(struct span *span, const char *name, const char *text);
void span_whole(struct span *span, const char *name, uint64_t value);
void span_real(struct span *span, const char *name, double value);
void span_truth(struct span *span, const char *name);
void span_event(struct span *span, const char *name); /* now */
void span_fail(struct span *span, const char *why);

/* As the protocol's JSON.  unix_ns: what to add to clock_ns() for nanoseconds since 1970.
 * Given: json_decref(); NULL: no memory. */
json_t *span_json(const struct span *span, int64_t unix_ns);

/* An attribute as JSON; given, NULL without memory or where the text is no UTF-8. */
json_t *attribute_json(const char *name, const char *text);

#endif
