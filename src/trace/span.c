/* SPDX-License-Identifier: Apache-2.0 */
/* trace/span.c - what a span says, and how the protocol writes it. */
#include "trace/span.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"

enum { STATUS_ERROR = 2, DIGITS_MAX = 24 };

void span_name(struct span *s, const char *first, const char *second)
{
    if (s)
        (void)snprintf(s->name, sizeof(s->name), "%s%s%s", first, second ? " " : "",
                       second ? second : "");
}

/* NULL: there is no room. */
static struct span_attribute *attribute(struct span *s, const char *name)
{
    for (uint32_t i = 0; i < s->n_attributes; i++) {
        if (strcmp(s->attributes[i].name, name) == 0)
            return &s->attributes[i];
    }
    if (s->n_attributes == SPAN_ATTRIBUTES_MAX) {
        s->n_left_out++;
        return NULL;
    }
    s->attributes[s->n_attributes].name = name;
    return &s->attributes[s->n_attributes++];
}

void span_text(struct span *s, const char *name, const char *text)
{
    const size_t n = text ? strlen(text) + 1 : 0;
    struct span_attribute *a;

    if (!s || n <= 1)
        return;
    if (n > SPAN_TEXT_MAX - s->n_text) {
        s->n_left_out++;
        return;
    }
    a = attribute(s, name);
    if (!a)
        return;
    a->type = ATTRIBUTE_TEXT;
    a->text_at = s->n_text;
    memcpy(s->text + s->n_text, text, n);
    s->n_text += (uint32_t)n;
}

void span_whole(struct span *s, const char *name, uint64_t value)
{
    struct span_attribute *a = s ? attribute(s, name) : NULL;

    if (!a)
        return;
    a->type = ATTRIBUTE_WHOLE;
    a->whole = value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

void span_real(struct span *s, const char *name, double value)
{
    struct span_attribute *a = s ? attribute(s, name) : NULL;

    if (!a)
        return;
    a->type = ATTRIBUTE_REAL;
    a->real = value;
}

void span_truth(struct span *s, const char *name)
{
    struct span_attribute *a = s ? attribute(s, name) : NULL;

    if (a)
        a->type = ATTRIBUTE_TRUTH;
}

void span_event(struct span *s, const char *name)
{
    if (s && s->n_events < SPAN_EVENTS_MAX)
        s->events[s->n_events++] = (struct span_event){ name, clock_ns() };
}

void span_fail(struct span *s, const char *why)
{
    if (s && !s->failure)
        s->failure = why;
}

/* 64-bit numbers are texts in protobuf's JSON. */
static json_t *number_json(int64_t value)
{
    char text[DIGITS_MAX];

    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    return json_string(text);
}

static json_t *pair_json(const char *name, const char *type, json_t *value)
{
    return json_pack("{s:s, s:{s:o}}", "key", name, "value", type, value);
}

json_t *attribute_json(const char *name, const char *text)
{
    return pair_json(name, "stringValue", json_string(text));
}

static json_t *value_json(const struct span *s, const struct span_attribute *a)
{
    switch (a->type) {
    case ATTRIBUTE_TEXT: return attribute_json(a->name, s->text + a->text_at);
    case ATTRIBUTE_WHOLE: return pair_json(a->name, "intValue", number_json(a->whole));
    case ATTRIBUTE_REAL: return pair_json(a->name, "doubleValue", json_real(a->real));
    case ATTRIBUTE_TRUTH: return pair_json(a->name, "boolValue", json_true());
    }
    return NULL;
}

/* What cannot be written, a model's name that is no UTF-8 say, is left out. */
static json_t *attributes_json(const struct span *s)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < s->n_attributes; i++)
        (void)json_array_append_new(all, value_json(s, &s->attributes[i]));
    return all;
}

static json_t *events_json(const struct span *s, int64_t unix_ns)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < s->n_events; i++)
        (void)json_array_append_new(all, json_pack("{s:o, s:s}", "timeUnixNano",
                                                   number_json((int64_t)s->events[i].ns + unix_ns),
                                                   "name", s->events[i].name));
    return all;
}

/* "JSON Protobuf Encoding": ids are hexadecimal there, not base64 as other bytes. */
static void add_ids(const struct span *s, json_t *out)
{
    static const uint8_t none[TRACE_SPAN_BYTES];
    char trace_id[2 * TRACE_ID_BYTES + 1], span_id[2 * TRACE_SPAN_BYTES + 1];

    hex_write(s->context.trace_id, TRACE_ID_BYTES, trace_id);
    hex_write(s->context.span_id, TRACE_SPAN_BYTES, span_id);
    (void)json_object_set_new(out, "traceId", json_string(trace_id));
    (void)json_object_set_new(out, "spanId", json_string(span_id));
    if (memcmp(s->parent_id, none, sizeof(none)) == 0)
        return;
    hex_write(s->parent_id, TRACE_SPAN_BYTES, span_id);
    (void)json_object_set_new(out, "parentSpanId", json_string(span_id));
}

json_t *span_json(const struct span *s, int64_t unix_ns)
{
    json_t *out = json_object(), *name = json_string(s->name);

    if (!out)
        return NULL;
    add_ids(s, out);
    (void)json_object_set_new(out, "flags", json_integer(s->context.is_sampled));
    (void)json_object_set_new(out, "name", name ? name : json_string("?"));
    (void)json_object_set_new(out, "kind", json_integer(s->kind));
    (void)json_object_set_new(out, "startTimeUnixNano",
                              number_json((int64_t)s->begin_ns + unix_ns));
    (void)json_object_set_new(out, "endTimeUnixNano", number_json((int64_t)s->end_ns + unix_ns));
    (void)json_object_set_new(out, "attributes", attributes_json(s));
    if (s->n_left_out > 0)
        (void)json_object_set_new(out, "droppedAttributesCount", json_integer(s->n_left_out));
    if (s->n_events > 0)
        (void)json_object_set_new(out, "events", events_json(s, unix_ns));
    if (s->failure)
        (void)json_object_set_new(
            out, "status", json_pack("{s:i, s:s}", "code", STATUS_ERROR, "message", s->failure));
    return out;
}
