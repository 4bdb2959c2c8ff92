/* SPDX-License-Identifier: Apache-2.0 */
/* trace/tracer.c - the traces of a node. */
#include "trace/tracer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "trace/context.h"
#include "trace/work.h"

struct tracer {
    struct export *export;
    char cluster_name[CONFIG_WORDS_MAX], node_name[CONFIG_WORDS_MAX];
    double ratio;
    bool is_on;
    int64_t unix_ns; /* what to add to clock_ns() */
};

/* The clock may have been set since: the difference is looked at again where it is worth it.  As long as it stays, what
 * followed one another here does so in what is told. */
static const int64_t CLOCK_OFF_NS = 5 * (int64_t)NS_PER_MS;

static int64_t unix_offset(struct tracer *t)
{
    const int64_t now_ns = clock_unix_offset_ns();

    if (now_ns - t->unix_ns > CLOCK_OFF_NS || t->unix_ns - now_ns > CLOCK_OFF_NS)
        t->unix_ns = now_ns;
    return t->unix_ns;
}

enum status tracer_new(struct loop *loop, const struct tracer_options *options,
                       struct tracer **ret_tracer, struct err *err)
{
    struct tracer *t = calloc(1, sizeof(*t));
    enum status s;

    if (!t)
        return err_set(err, ST_NOMEM, "the traces");
    (void)snprintf(t->cluster_name, sizeof(t->cluster_name), "%s", options->cluster_name);
    (void)snprintf(t->node_name, sizeof(t->node_name), "%s", options->node_name);
    s = export_new(loop, &options->export, &t->export, err);
    if (s != ST_OK) {
        free(t);
        return s;
    }
    *ret_tracer = t;
    return ST_OK;
}

void tracer_free(struct tracer *t)
{
    if (!t)
        return;
    export_free(t->export);
    free(t);
}

static void add(json_t *all, const char *name, const char *text)
{
    if (text[0])
        (void)json_array_append_new(all, attribute_json(name, text));
}

/* Who tells: OpenTelemetry's semantic conventions, "Resource". */
static char *make_resource(const struct tracer *t, const struct api_traces *settings)
{
    json_t *all = json_array(), *resource;
    char *text;

    add(all, "service.name", settings->service_name);
    add(all, "service.namespace", t->cluster_name);
    add(all, "service.instance.id", t->node_name);
    add(all, "service.version", POMONA_VERSION);
    resource = json_pack("{s:o}", "attributes", all);
    text = json_dumps(resource, JSON_COMPACT);
    json_decref(resource);
    return text;
}

enum status tracer_use(struct tracer *t, const struct api_traces *settings, struct err *err)
{
    char *resource = make_resource(t, settings);
    enum status s = resource ? export_use(t->export, settings, resource, err)
                             : err_set(err, ST_NOMEM, "the settings of traces");

    free(resource);
    if (s != ST_OK)
        return s;
    t->ratio = settings->ratio;
    t->is_on = settings->endpoint[0] != '\0';
    return ST_OK;
}

bool tracer_is_on(const struct tracer *t)
{
    return t && t->is_on;
}

struct trace_context tracer_trace(const struct tracer *t, const struct trace_context *parent)
{
    struct trace_context c = trace_context_below(parent);

    if (!trace_context_is_set(parent))
        c.is_sampled = tracer_is_on(t) && trace_id_is_within(&c, t->ratio);
    return c;
}

struct span *tracer_begin_root(const struct tracer *t, const struct trace_context *context,
                               const uint8_t *parent_id, enum span_kind kind)
{
    struct span *s = tracer_is_on(t) && context->is_sampled ? calloc(1, sizeof(*s)) : NULL;

    if (!s)
        return NULL;
    s->context = *context;
    if (parent_id)
        memcpy(s->parent_id, parent_id, sizeof(s->parent_id));
    s->kind = kind;
    s->begin_ns = clock_ns();
    return s;
}

struct span *tracer_begin(const struct tracer *t, const struct trace_context *parent,
                          enum span_kind kind, const char *name)
{
    struct trace_context context;
    struct span *s;

    if (!tracer_is_on(t) || !parent->is_sampled)
        return NULL;
    context = trace_context_below(parent);
    s = tracer_begin_root(t, &context, parent->span_id, kind);
    span_name(s, name, NULL);
    return s;
}

void tracer_end(struct tracer *t, struct span **span)
{
    struct span *s = *span;
    json_t *told;
    char *text;

    *span = NULL;
    if (!s)
        return;
    if (s->end_ns == 0)
        s->end_ns = clock_ns();
    told = span_json(s, unix_offset(t));
    text = told ? json_dumps(told, JSON_COMPACT) : NULL;
    json_decref(told);
    free(s);
    if (text)
        export_add(t->export, text);
}

void tracer_tell_work(struct tracer *t, const struct work_span *work)
{
    struct span *s = tracer_begin(t, &work->parent, SPAN_INTERNAL, "");

    work_describe(work, s);
    tracer_end(t, &s);
}

void tracer_flush(struct tracer *t)
{
    export_flush(t->export);
}

bool tracer_is_idle(const struct tracer *t)
{
    return export_is_idle(t->export);
}
