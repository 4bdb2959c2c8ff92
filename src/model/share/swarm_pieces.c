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
    SAVE_MS = 2000,
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
    uint8_t *n_asked; /* [n_pieces] transfers under way for each */
    uint32_t next;    /* every wanted piece before it is here or under way */
    uint64_t total_bytes, done_bytes;
    uint64_t piece_ns; /* a piece usually takes; 0: not known yet */
    uint64_t tell_at_ns, save_at_ns;
    uint64_t rate_since_ns, rate_since_bytes;
    double bytes_per_s;
};

static bool is_missing(const struct fetching *f, uint32_t piece)
{
    return piece_map_has(f->wanted, piece) && !piece_map_has(partial_pieces(f->partial), piece);
}

static struct transfer *idle_transfer(struct swarm *swarm)
{
    for (size_t i = 0; i < SWARM_TRANSFERS_MAX; i++)
        if (!swarm->transfers[i].source)
            return &swarm->transfers[i];
    return NULL;
}

/* The one with the least to do, other than `but`. */
static struct source *free_source(struct swarm *swarm, const struct source *but)
{
    struct source *found = NULL;

    for (size_t i = 0; i < swarm->n_sources; i++) {
        struct source *s = &swarm->sources[i];

        if (s == but || s->is_given_up || s->rests_until_ns > clock_ns() ||
            s->n_active >= SWARM_PER_SOURCE_MAX)
            continue;
        if (!found || s->n_active < found->n_active)
            found = s;
    }
    return found;
}

static bool next_piece(struct fetching *f, uint32_t *ret_piece)
{
    while (f->next < f->wanted->n_pieces && (!is_missing(f, f->next) || f->n_asked[f->next] > 0))
        f->next++;
    *ret_piece = f->next;
    return f->next < f->wanted->n_pieces;
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
    if (t->piece < f->next)
        f->next = t->piece; /* it may have to be asked for again */
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
        helper = free_source(f->swarm, t->source);
        if (helper)
            return ask(f, helper, t->piece, err);
    }
    return ST_OK;
}

static enum status ask_for_more(struct fetching *f, struct err *err)
{
    struct source *source;
    uint32_t piece;
    enum status s = ST_OK;

    while (s == ST_OK && idle_transfer(f->swarm) &&
           (source = free_source(f->swarm, NULL)) != NULL) {
        if (!next_piece(f, &piece))
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

    f->piece_ns = f->piece_ns ? (7 * f->piece_ns + age) / 8 : age;
    f->done_bytes += t->n;
    t->source->n_failures = 0;
}

/* What came of one request. */
static enum status judge(struct fetching *f, struct transfer *t, long http_status,
                         const char *words, struct err *err)
{
    struct source *source = t->source;
    const uint32_t piece = t->piece;
    char text[64];
    enum status s;

    if (!words && http_status != HTTP_PARTIAL) {
        (void)snprintf(text, sizeof(text), "it answered with HTTP status %ld", http_status);
        words = text;
    }
    if (words) {
        source_failed(f->swarm, source, words);
        put_aside(f, t);
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
    const struct fetch_progress progress = { f->done_bytes, f->total_bytes, f->bytes_per_s };

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
    while (s == ST_OK && (t = swarm_ended(f->swarm, &http_status, &words)) != NULL)
        s = judge(f, t, http_status, words, err);
    if (s == ST_OK)
        s = look_after(f, err);
    return s == ST_OK ? swarm_check_stall(f->swarm, err) : s;
}

static void give_up_all(struct fetching *f)
{
    for (size_t i = 0; i < SWARM_TRANSFERS_MAX; i++)
        if (f->swarm->transfers[i].source)
            put_aside(f, &f->swarm->transfers[i]);
}

enum status swarm_pieces(struct swarm *swarm, const struct manifest *manifest,
                         const struct piece_map *wanted, struct partial *partial, struct err *err)
{
    struct fetching f = {
        .swarm = swarm,
        .manifest = manifest,
        .wanted = wanted,
        .partial = partial,
        .n_asked = calloc(wanted->n_pieces, 1),
        .total_bytes = piece_map_count(wanted, NULL),
        .rate_since_ns = clock_ns(),
        .save_at_ns = deadline_after_ms(SAVE_MS),
    };
    enum status s = ST_OK;

    if (!f.n_asked)
        return err_set(err, ST_NOMEM, "a list of %u pieces", wanted->n_pieces);
    f.done_bytes = f.total_bytes - piece_map_count(wanted, partial_pieces(partial));
    f.rate_since_bytes = f.done_bytes;
    swarm->heard_ns = clock_ns();
    while (s == ST_OK && f.done_bytes < f.total_bytes)
        s = turn(&f, err);
    give_up_all(&f);
    free(f.n_asked);
    return s;
}
