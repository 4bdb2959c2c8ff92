/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/swarm_pieces.c - fetch pieces from all sources at once. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "model/share/swarm_priv.h"

enum {
    LOOK_MS = 50,
    TELL_MS = 100,
    SAVE_MS = 700,   /* what others are told of is what was saved */
    RATE_MS = 2000,  /* the speed told is of a time as long as this */
    SLOW_MS = 1000,  /* a piece under way for longer than this ... */
    SLOW_FACTOR = 4, /* ... and this many times the usual is asked of another source too */
    HTTP_PARTIAL = 206,
};

struct fetching {
    struct swarm *swarm;
    const struct manifest *manifest;
    const struct piece_map *wanted;
    struct partial *partial;
    struct choose choose;
    uint8_t *n_asked; /* [n_pieces] transfers under way for each */
    uint64_t total_bytes, done_bytes;
    uint64_t piece_ns; /* a piece usually takes; 0: not known yet */
    uint64_t tell_at_ns, save_at_ns;
    uint64_t rate_since_ns, rate_since_bytes;
    double bytes_per_s;
};

static struct transfer *idle_transfer(struct swarm *swarm)
{
    for (size_t i = 0; i < SWARM_TRANSFERS_MAX; i++)
        if (!swarm->transfers[i].source)
            return &swarm->transfers[i];
    return NULL;
}

static bool is_open(const struct source *s)
{
    return !s->is_given_up && s->rests_until_ns <= clock_ns() && s->n_active < SWARM_PER_SOURCE_MAX;
}

/* The sources as choose.h sees them: ret_views [n_sources]. */
static void view_sources(const struct swarm *swarm, struct choose_source *ret_views)
{
    for (size_t i = 0; i < swarm->n_sources; i++) {
        const struct source *s = &swarm->sources[i];

        ret_views[i] = (struct choose_source){
            .kind = s->kind,
            .has = s->pieces.bits ? &s->pieces : NULL,
            .is_usable = !s->is_given_up,
            .is_open = is_open(s),
            .is_dry = s->is_dry,
            .n_active = s->n_active,
        };
    }
}

static void count_parts(struct fetching *f)
{
    struct choose_source views[SWARM_SOURCES_MAX + 1];

    view_sources(f->swarm, views);
    choose_count(&f->choose, views, f->swarm->n_sources);
}

static bool next_piece(struct fetching *f, struct source **ret_source, uint32_t *ret_piece)
{
    struct choose_source views[SWARM_SOURCES_MAX + 1];
    struct swarm *swarm = f->swarm;
    bool is_found;
    size_t source;

    view_sources(swarm, views);
    is_found = choose_next(&f->choose, views, swarm->n_sources, &source, ret_piece);
    for (size_t i = 0; i < swarm->n_sources; i++)
        swarm->sources[i].is_dry = views[i].is_dry;
    if (is_found)
        *ret_source = &swarm->sources[source];
    return is_found;
}

/* Who has this piece, other than `but`, and the least to do. */
static struct source *helper_for(struct swarm *swarm, uint32_t piece, const struct source *but)
{
    struct source *found = NULL;

    for (size_t i = 0; i < swarm->n_sources; i++) {
        struct source *s = &swarm->sources[i];

        if (s == but || !is_open(s) ||
            (s->kind == SOURCE_PART && !(s->pieces.bits && piece_map_has(&s->pieces, piece))))
            continue;
        if (!found || s->n_active < found->n_active)
            found = s;
    }
    return found;
}

static enum status ask(struct fetching *f, struct source *source, uint32_t piece, struct err *err)
{
    const uint64_t first = (uint64_t)piece * f->wanted->piece_bytes;
    const uint32_t n = piece_map_bytes(f->wanted, piece);
    struct transfer *t = idle_transfer(f->swarm);
    char range[64];
    enum status s;

    (void)snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, first, first + n - 1);
    s = transfer_begin(t, source, "bytes", range, n, err);
    if (s != ST_OK)
        return s;
    t->piece = piece;
    f->n_asked[piece]++;
    return ST_OK;
}

static void put_aside(struct fetching *f, struct transfer *t)
{
    f->n_asked[t->piece]--;
    if (!piece_map_has(partial_pieces(f->partial), t->piece)) { /* it has to be asked for again */
        choose_again(&f->choose, t->piece);
        for (size_t i = 0; i < f->swarm->n_sources; i++)
            f->swarm->sources[i].is_dry = false;
    }
    transfer_end(t);
}

static bool is_slow(const struct fetching *f, const struct transfer *t)
{
    const uint64_t age = clock_ns() - t->begun_ns;

    return t->source && f->n_asked[t->piece] == 1 && age > SLOW_MS * NS_PER_MS &&
           age > SLOW_FACTOR * f->piece_ns;
}

/* Nothing is left to ask for: whoever has time helps with what takes long. */
static enum status help_slow(struct fetching *f, struct err *err)
{
    for (size_t i = 0; i < SWARM_TRANSFERS_MAX; i++) {
        const struct transfer *t = &f->swarm->transfers[i];
        struct source *helper;

        if (!is_slow(f, t) || !idle_transfer(f->swarm))
            continue;
        helper = helper_for(f->swarm, t->piece, t->source);
        if (helper)
            return ask(f, helper, t->piece, err);
    }
    return ST_OK;
}

static enum status ask_for_more(struct fetching *f, struct err *err)
{
    struct source *source;
    uint32_t piece;
    enum status s = news_ask(f->swarm, err);

    while (s == ST_OK && idle_transfer(f->swarm)) {
        if (!next_piece(f, &source, &piece))
            return help_slow(f, err);
        s = ask(f, source, piece, err);
    }
    return s;
}

static void end_others(struct fetching *f, uint32_t piece)
{
    for (size_t i = 0; i < SWARM_TRANSFERS_MAX; i++) {
        struct transfer *t = &f->swarm->transfers[i];

        if (t->source && t->piece == piece)
            put_aside(f, t);
    }
}

static void took(struct fetching *f, const struct transfer *t)
{
    const uint64_t age = clock_ns() - t->begun_ns;

    if (t->source->kind == SOURCE_HUB)
        f->swarm->hub_bytes += t->n;
    else
        f->swarm->peer_bytes += t->n;
    f->piece_ns = f->piece_ns ? (7 * f->piece_ns + age) / 8 : age;
    f->done_bytes += t->n;
    t->source->n_failures = 0;
}

/* No piece came of a request: what that says of its source. */
static void judge_failure(struct fetching *f, struct transfer *t, long http_status,
                          const char *words)
{
    struct source *source = t->source;
    char text[64];

    if (words)
        source_failed(f->swarm, source, words);
    else if (source->kind == SOURCE_HUB)
        source_refused(t, http_status);
    else {
        (void)snprintf(text, sizeof(text), "it answered with HTTP status %ld", http_status);
        source_failed(f->swarm, source, text);
    }
    if (source->kind == SOURCE_PART) { /* it may have lost what it had */
        piece_map_release(&source->pieces);
        source->news_at_ns = 0;
    }
    if (source->is_given_up || source->kind == SOURCE_PART)
        count_parts(f);
    put_aside(f, t);
}

/* What came of one request. */
static enum status judge(struct fetching *f, struct transfer *t, long http_status,
                         const char *words, struct err *err)
{
    struct source *source = t->source;
    const uint32_t piece = t->piece;
    enum status s;

    if (words || http_status != HTTP_PARTIAL) {
        judge_failure(f, t, http_status, words);
        return ST_OK;
    }
    s = partial_put(f->partial, piece, t->bytes, t->n, err);
    if (s == ST_OK) {
        took(f, t);
        end_others(f, piece);
        return ST_OK;
    }
    put_aside(f, t);
    if (s != ST_FORMAT)
        return s;
    source_lied(f->swarm, source, "it gave bytes that are not the model's");
    count_parts(f);
    return ST_OK;
}

static void measure(struct fetching *f, uint64_t now_ns)
{
    const uint64_t passed_ns = now_ns - f->rate_since_ns;

    if (passed_ns < RATE_MS * NS_PER_MS / 4)
        return;
    f->bytes_per_s =
        (double)(f->done_bytes - f->rate_since_bytes) * (double)NS_PER_S / (double)passed_ns;
    if (passed_ns < RATE_MS * NS_PER_MS)
        return;
    f->rate_since_ns = now_ns;
    f->rate_since_bytes = f->done_bytes;
}

static enum status look_after(struct fetching *f, struct err *err)
{
    const uint64_t now_ns = clock_ns();
    const struct fetch_progress progress = { f->done_bytes, f->total_bytes, f->bytes_per_s,
                                             f->swarm->peer_bytes, f->swarm->hub_bytes };

    measure(f, now_ns);
    if (f->swarm->options.on_progress && now_ns >= f->tell_at_ns) {
        f->tell_at_ns = deadline_after_ms(TELL_MS);
        f->swarm->options.on_progress(f->swarm->options.arg, &progress);
    }
    if (now_ns < f->save_at_ns)
        return ST_OK;
    f->save_at_ns = deadline_after_ms(SAVE_MS);
    return partial_save(f->partial, err);
}

static enum status turn(struct fetching *f, struct err *err)
{
    struct transfer *t;
    const char *words;
    long http_status;
    enum status s;

    if (!swarm_has_source(f->swarm))
        return swarm_nobody(f->swarm, err);
    s = ask_for_more(f, err);
    if (s == ST_OK)
        s = swarm_turn(f->swarm, LOOK_MS, err);
    while (s == ST_OK && (t = swarm_ended(f->swarm, &http_status, &words)) != NULL) {
        if (t != &f->swarm->news)
            s = judge(f, t, http_status, words, err);
        else if (news_judge(f->swarm, f->manifest, http_status, words))
            count_parts(f);
    }
    if (s == ST_OK)
        s = look_after(f, err);
    return s == ST_OK ? swarm_check_stall(f->swarm, err) : s;
}

static void give_up_all(struct fetching *f)
{
    for (size_t i = 0; i < SWARM_TRANSFERS_MAX; i++)
        if (f->swarm->transfers[i].source)
            put_aside(f, &f->swarm->transfers[i]);
    transfer_end(&f->swarm->news);
}

/* Other wanted pieces than those of before: who was dry may have them. */
static enum status prepare(struct fetching *f, struct err *err)
{
    struct choose *c = &f->choose;

    f->n_asked = calloc(f->wanted->n_pieces, 1);
    c->n_parts = calloc(f->wanted->n_pieces, 1);
    if (!f->n_asked || !c->n_parts)
        return err_set(err, ST_NOMEM, "a list of %u pieces", f->wanted->n_pieces);
    c->wanted = f->wanted;
    c->here = partial_pieces(f->partial);
    c->n_asked = f->n_asked;
    c->start = (uint32_t)(f->swarm->options.begin * f->wanted->n_pieces);
    for (size_t i = 0; i < f->swarm->n_sources; i++)
        f->swarm->sources[i].is_dry = false;
    count_parts(f);
    return ST_OK;
}

enum status swarm_pieces(struct swarm *swarm, const struct manifest *manifest,
                         const struct piece_map *wanted, struct partial *partial, struct err *err)
{
    struct fetching f = {
        .swarm = swarm,
        .manifest = manifest,
        .wanted = wanted,
        .partial = partial,
        .total_bytes = piece_map_count(wanted, NULL),
        .rate_since_ns = clock_ns(),
        .save_at_ns = deadline_after_ms(SAVE_MS),
    };
    enum status s = prepare(&f, err);

    f.done_bytes = f.total_bytes - piece_map_count(wanted, partial_pieces(partial));
    f.rate_since_bytes = f.done_bytes;
    swarm->heard_ns = clock_ns();
    while (s == ST_OK && f.done_bytes < f.total_bytes)
        s = turn(&f, err);
    if (f.n_asked)
        give_up_all(&f);
    free(f.n_asked);
    free(f.choose.n_parts);
    return s;
}
