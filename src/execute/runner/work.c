/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/work.c - the computing thread of a runner, until it is ready. */
#include "execute/runner/work.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "contract/plan.h"
#include "execute/collective.h"
#include "execute/runner/ring_file.h"
#include "execute/runner/serve.h"
#include "execute/shard/follower.h"
#include "execute/spec/draft_model.h"
#include "model/keep.h"
#include "model/model.h"
#include "model/share/fetch.h"
#include "transport/mpi/mpi.h"

enum {
    /* Other ranks may fetch their parts for as long as bytes come; the node knows when they
     * stopped coming, and ends this process then. */
    CONNECT_MS = 24 * 3600 * 1000,
    JOIN_MS = 10000, /* all listen already */
    ASSIGN_MS = 60000,
    PROGRESS_EVERY_MS = 100,
};

struct work {
    struct orders *orders;
    const struct reporter *reporter;
    struct pulse *pulse;
    struct traced *traced;
    struct assignment *assignment;
    struct endpoints *endpoints;
    struct model *model;
    struct shard_weights weights;
    const struct engine_type *engine;
    struct engine_shard *shard;
    struct model *draft_file; /* NULL: none */
    struct draft_model *draft;
    struct grammar_vocab *vocab; /* the driver's; NULL: the tokens have no text */
    struct tls *tls;             /* of the ring; NULL: in clear */
    struct transport *ring;
    struct transport_cut cut;                     /* that kept the ring from being joined */
    struct collective *sums;                      /* of the team; NULL: none */
    struct portion portions[PORTION_MEMBERS_MAX]; /* [n_shares] of the team's members */
    uint64_t progress_due_ns;
};

static bool is_of_gateway(const struct order *o)
{
    return o->kind == ORDER_SUBMIT || o->kind == ORDER_CANCEL || o->kind == ORDER_CANCEL_GATEWAY;
}

/* The node's next order.  A gateway may come and go already: nothing is
 * generated before the shard is ready, so what it asks is dropped. */
static struct order *next_of_node(struct work *w, uint64_t deadline_ns)
{
    struct order *o = orders_take_one(w->orders, deadline_ns);

    while (o && is_of_gateway(o)) {
        order_free(o);
        o = orders_take_one(w->orders, deadline_ns);
    }
    return o;
}

static enum status await(struct work *w, enum order_kind kind, uint64_t wait_ms, struct err *err)
{
    struct order *o = next_of_node(w, deadline_after_ms(wait_ms));
    enum status s = ST_OK;

    if (!o)
        return err_set(err, ST_DEADLINE, "the node did not say what to do in time");
    if (o->kind == ORDER_FAIL)
        s = err_set(err, o->why.status, "%s", o->why.words);
    else if (o->kind != kind)
        s = err_set(err, ST_FORMAT, "the node's messages came in the wrong order");
    if (s == ST_OK && kind == ORDER_ASSIGN) {
        w->assignment = o->assignment;
        o->assignment = NULL;
    } else if (s == ST_OK) {
        w->endpoints = o->endpoints;
        o->endpoints = NULL;
    }
    order_free(o);
    return s;
}

static void on_fetched(void *arg, const struct fetch_progress *p)
{
    const struct work *w = arg;
    const struct report report = { .kind = REPORT_PROGRESS,
                                   .progress = { STAGE_FETCHING, true, p->done_bytes,
                                                 p->total_bytes, p->bytes_per_s, p->peer_bytes,
                                                 p->hub_bytes } };

    report_send(w->reporter, &report);
}

/* The shard's part of the file, where this node lacks it. */
static enum status fetch(struct work *w, struct err *err)
{
    const struct assignment *a = w->assignment;
    const struct report report = { .kind = REPORT_FETCHED };
    struct swarm_source sources[SWARM_SOURCES_MAX];
    struct fetch_options options = {
        .path = a->model_path,
        .name = a->model_name,
        .origin = a->origin,
        .hub_endpoint = a->hub_endpoint[0] ? a->hub_endpoint : NULL,
        .hub_token = a->hub_token[0] ? a->hub_token : NULL,
        .first_layer = a->first_layer,
        .n_layers = a->n_layers,
        .shares = a->shares,
        .n_shares = a->n_shares,
        .member = a->rank - a->lineup.first[lineup_team(&a->lineup, a->rank)],
        .from = { .sources = sources,
                  .n_sources = a->n_sources,
                  .begin = a->fetch_begin,
                  .key = a->has_fetch_key ? a->fetch_key : NULL,
                  .root = a->has_root ? a->model_root : NULL,
                  .on_progress = on_fetched,
                  .arg = w },
    };
    struct fetch_result result;
    uint64_t start_ns;
    enum status s;

    if (!a->is_fetched)
        return ST_OK;
    memcpy(options.from.digest, a->model_digest, sizeof(options.from.digest));
    for (size_t i = 0; i < a->n_sources; i++)
        sources[i] = (struct swarm_source){ a->sources[i].host, a->sources[i].port,
                                            a->sources[i].is_part, &a->sources[i].hosts };
    on_fetched(w,
               &(struct fetch_progress){ 0 }); /* the node's deadlines are those of fetching now */
    start_ns = clock_ns();
    s = shard_fetch(&options, &result, err);
    if (s != ST_OK) {
        err_wrap(err, "fetch layers %u to %u", a->first_layer, a->first_layer + a->n_layers - 1);
        return s;
    }
    log_info("layers %u to %u are here: %.1f MB, of which %.1f MB came from peers in %.2f s and "
             "%.1f MB from the hub",
             a->first_layer, a->first_layer + a->n_layers - 1, (double)result.shard_bytes / 1e6,
             (double)(result.fetched_bytes - result.hub_bytes) / 1e6,
             (double)(clock_ns() - start_ns) / (double)NS_PER_S, (double)result.hub_bytes / 1e6);
    report_send(w->reporter, &report);
    return ST_OK;
}

static bool is_of_last_team(const struct assignment *a)
{
    return lineup_team(&a->lineup, a->rank) + 1 == a->lineup.n_teams;
}

/* Of each layer, this rank's: one of zeros is the whole. */
static const struct portion *portion_of(const struct work *w)
{
    const struct assignment *a = w->assignment;

    return &w->portions[a->rank - a->lineup.first[lineup_team(&a->lineup, a->rank)]];
}

static enum status open_model(struct work *w, struct err *err)
{
    const struct assignment *a = w->assignment;
    const uint32_t team = lineup_team(&a->lineup, a->rank);
    const struct model_info *info;
    enum status s;

    s = model_open(a->model_path, &w->model, err);
    if (s != ST_OK)
        return s;
    info = model_info(w->model);
    if (memcmp(info->digest, a->model_digest, MODEL_DIGEST_BYTES) != 0)
        return err_set(err, ST_FORMAT, "'%s' is not the model the plan was made for",
                       a->model_path);
    for (uint32_t i = 0; i < a->n_shares && s == ST_OK; i++)
        s = model_portion(w->model, a->shares, a->n_shares, i, &w->portions[i], err);
    if (s == ST_OK)
        s = model_shard_of(w->model, a->first_layer, a->n_layers, portion_of(w), &w->weights, err);
    if (s == ST_OK && ((team == 0) != (a->first_layer == 0) ||
                       is_of_last_team(a) != (a->first_layer + a->n_layers == info->n_layer)))
        s = err_set(err, ST_RANGE, "layers %u..%u do not belong to rank %u of %u", a->first_layer,
                    a->first_layer + a->n_layers, a->rank, a->n_ranks);
    return s;
}

static enum status join_tcp(struct work *w, struct err *err)
{
    const struct assignment *a = w->assignment;
    struct tcp_join join = { .rank = a->rank, .n_ranks = a->n_ranks, .ret_cut = &w->cut };
    enum status s = ST_OK;

    if (a->has_data_key)
        s = tls_new(&a->data_key, TLS_ROWS, &w->tls, err);
    if (s != ST_OK)
        return s;
    join.ranks = w->endpoints->ranks;
    join.tls = w->tls;
    memcpy(join.key, a->key, sizeof(join.key));
    s = tcp_join(a->listener, &join, deadline_after_ms(JOIN_MS), &w->ring, err);
    tcp_listener_close(w->assignment->listener);
    w->assignment->listener = NULL;
    return s;
}

static enum status join_ring(struct work *w, struct err *err)
{
    const struct assignment *a = w->assignment;
    const struct mpi_join job = { .rank = a->rank, .n_ranks = a->n_ranks };
    const enum status s = await(w, ORDER_CONNECT, CONNECT_MS, err);

    if (s != ST_OK)
        return s;
    if (w->endpoints->n != a->n_ranks)
        return err_set(err, ST_RANGE, "%u addresses for %u ranks", w->endpoints->n, a->n_ranks);
    return a->transport == TRANSPORT_MPI ? mpi_join(&job, &w->ring, err) : join_tcp(w, err);
}

/* A team sums over the ring. */
static enum status join_team(struct work *w, struct err *err)
{
    const struct assignment *a = w->assignment;
    const struct collective_options options = {
        .ring = w->ring,
        .first_rank = a->lineup.first[lineup_team(&a->lineup, a->rank)],
        .n_members = a->n_shares,
        .format = a->sums,
        .deadline_ms = RUNNER_STEP_DEADLINE_MS,
    };

    return a->n_shares > 0 ? collective_new(&options, &w->sums, err) : ST_OK;
}

static void on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
    struct work *w = arg;
    const struct report report = {
        .kind = REPORT_PROGRESS,
        .progress = { .stage = STAGE_LOADING, .done_bytes = done_bytes, .total_bytes = total_bytes }
    };

    if (clock_ns() < w->progress_due_ns && done_bytes < total_bytes)
        return;
    w->progress_due_ns = deadline_after_ms(PROGRESS_EVERY_MS);
    report_send(w->reporter, &report);
}

static void on_lost(void *arg, const struct err *why)
{
    (void)arg;
    log_warn("the weights are repacked at every start: %s", why->words);
}

static enum status open_engine(struct work *w, struct err *err)
{
    const struct assignment *a = w->assignment;
    char ring_file[PATH_MAX_BYTES] = "";
    struct model_keep keep;
    enum status s = ST_OK;

    if (a->transport == TRANSPORT_RING && a->n_ranks > 1)
        s = ring_file_write(a, w->endpoints, w->sums, ring_file, err);
    if (s != ST_OK)
        return s;

    model_keep_init(&keep, w->model);
    keep.engine.on_lost = on_lost;

    const struct engine_options options = {
        .page_tokens = RUNNER_PAGE_TOKENS,
        .n_pages = a->n_pages,
        .max_rows = RUNNER_MAX_ROWS,
        .max_logit_rows = RUNNER_MAX_SEQUENCES + RUNNER_MAX_GUESSES,
        .kv_format = a->kv_format,
        .activations = a->activations,
        .n_threads = a->n_threads,
        .kernels = a->kernels,
        .keep = keep.engine,
        .sum = w->sums ? collective_sum : NULL,
        .sum_arg = w->sums,
        .ring_file = ring_file[0] ? ring_file : NULL,
        .on_progress = on_progress,
        .progress_arg = w,
        .on_pulse = pulse_feel,
        .pulse_arg = w->pulse,
    };

    w->engine = engine_find(a->engine);
    if (!w->engine)
        return err_set(err, ST_UNSUPPORTED, "there is no engine '%s'; there are: cpu, mlx",
                       a->engine);
    s = w->engine->open(&w->weights, &options, &w->shard, err);
    if (ring_file[0])
        (void)unlink(ring_file);
    return s;
}

/* On the driver, where the plan has one. */
static enum status open_draft(struct work *w, struct err *err)
{
    const struct assignment *a = w->assignment;
    const struct draft_model_options options = {
        .of = w->model,
        .context_tokens = a->context_tokens,
        .max_sequences = RUNNER_MAX_SEQUENCES,
        .n_contexts = PLAN_DRAFT_CONTEXTS,
        .activations = a->activations,
        .kernels = a->kernels,
        .n_threads = a->n_threads,
        .on_progress = on_progress,
        .progress_arg = w,
    };
    enum status s;

    if (!a->draft_path[0])
        return ST_OK;
    s = model_open(a->draft_path, &w->draft_file, err);
    if (s == ST_OK)
        s = draft_model_open(w->draft_file, &options, &w->draft, err);
    if (s != ST_OK)
        err_wrap(err, "the draft model");
    else
        log_info("'%s' guesses tokens ahead", model_info(w->draft_file)->name);
    return s;
}

/* On the driver: the text of tokens, for grammars.  A model without is served without. */
static enum status open_vocab(struct work *w, struct err *err)
{
    const struct assignment *a = w->assignment;
    struct tokenizer *tokenizer;
    struct err why = { 0 };
    enum status s;

    if (a->rank + 1 != a->n_ranks)
        return ST_OK;
    if (model_tokenizer(w->model, &tokenizer, &why) != ST_OK) {
        log_warn("answers cannot be held to grammars: %s", why.words);
        return ST_OK;
    }
    s = grammar_vocab_of(tokenizer, w->weights.shape.n_vocab, &w->vocab, err);
    tokenizer_free(tokenizer);
    return s;
}

static void report_ready(const struct work *w, uint64_t start_ns)
{
    struct report report = {
        .kind = REPORT_READY,
        .weight_bytes = w->weights.total_bytes,
        .kv_bytes = (uint64_t)w->assignment->n_pages * w->engine->page_bytes(w->shard),
        .load_seconds = (double)(clock_ns() - start_ns) / (double)NS_PER_S,
    };

    snprintf(report.kernels, sizeof(report.kernels), "%s", w->engine->kernels(w->shard));
    report_send(w->reporter, &report);
    log_info("ready: layers %u..%u, %s kernels, %.2f s", w->assignment->first_layer,
             w->assignment->first_layer + w->assignment->n_layers, report.kernels,
             report.load_seconds);
}

static enum status follow(const struct work *w, const struct step_limits *limits, struct err *err)
{
    const struct follower_options options = {
        .shard = w->shard,
        .ring = w->ring,
        .lineup = &w->assignment->lineup,
        .first_output = is_of_last_team(w->assignment) ? portion_of(w)->first_output : 0,
        .n_outputs = is_of_last_team(w->assignment) ? portion_of(w)->n_outputs : 0,
        .limits = *limits,
        .traced = w->traced,
        .step_deadline_ms = RUNNER_STEP_DEADLINE_MS,
    };

    return follower_run(&options, err);
}

static enum status drive(const struct work *w, const struct step_limits *limits, struct err *err)
{
    const struct driver_options options = {
        .shard = w->shard,
        .ring = w->ring,
        .n_ranks = w->assignment->n_ranks,
        .lineup = &w->assignment->lineup,
        .portions = w->sums ? w->portions : NULL,
        .n_vocab = limits->n_vocab,
        .n_hidden = limits->n_hidden,
        .context_tokens = limits->context_tokens,
        .page_tokens = limits->page_tokens,
        .n_pages = limits->n_pages,
        .max_rows = limits->max_rows,
        .max_sequences = limits->max_spans,
        .max_logit_rows = limits->max_spans + RUNNER_MAX_GUESSES,
        .max_guesses = RUNNER_MAX_GUESSES,
        .draft = draft_model_draft(w->draft),
        .vocab = w->vocab,
        .max_waiting = RUNNER_MAX_WAITING,
        .step_deadline_ms = RUNNER_STEP_DEADLINE_MS,
        .step_target_ms = RUNNER_STEP_TARGET_MS,
    };

    return serve_run(&options, w->orders, w->reporter, err);
}

static enum status prepare(struct work *w, struct err *err)
{
    enum status s;

    s = await(w, ORDER_ASSIGN, ASSIGN_MS, err);
    if (s == ST_OK)
        s = fetch(w, err);
    if (s == ST_OK)
        s = open_model(w, err);
    if (s == ST_OK && w->assignment->n_ranks > 1)
        s = join_ring(w, err);
    if (s == ST_OK)
        s = join_team(w, err);
    if (s == ST_OK)
        s = open_engine(w, err);
    if (s == ST_OK)
        s = open_draft(w, err);
    if (s == ST_OK)
        s = open_vocab(w, err);
    return s;
}

static void release(struct work *w)
{
    collective_free(w->sums);
    transport_close(w->ring);
    tls_free(w->tls);
    draft_model_close(w->draft);
    grammar_vocab_free(w->vocab);
    model_free(w->draft_file);
    if (w->shard)
        w->engine->close(w->shard);
    shard_weights_release(&w->weights);
    model_free(w->model);
    assignment_free(w->assignment);
    free(w->endpoints);
}

enum status work_run(struct orders *orders, const struct reporter *reporter, struct pulse *pulse,
                     struct traced *traced, struct transport_cut *ret_cut, struct err *err)
{
    struct work w = { .orders = orders, .reporter = reporter, .pulse = pulse, .traced = traced };
    const uint64_t start_ns = clock_ns();
    struct step_limits limits;
    enum status s;

    s = prepare(&w, err);
    if (s == ST_OK) {
        limits = assignment_limits(w.assignment, w.weights.shape.n_vocab, w.weights.shape.n_hidden);
        report_ready(&w, start_ns);
        traced_set_rank(traced, w.assignment->rank);
        s = w.assignment->rank + 1 == w.assignment->n_ranks ? drive(&w, &limits, err)
                                                            : follow(&w, &limits, err);
    }
    traced_sweep(traced, clock_ns(), 0);
    *ret_cut = w.ring ? w.ring->cut : w.cut;
    release(&w);
    return s;
}
