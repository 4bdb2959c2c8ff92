/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/swarm_news.c - which pieces the nodes have that fetch at the same time.
 *
 * One is asked at a time, each every NEWS_MS.  A node that has nothing yet answers 404, which
 * is no failure: it may begin a moment later.  A map that came is believed for asking only;
 * what a piece is worth its hash says.
 */
#include <string.h>

#include "base/clock.h"
#include "model/share/swarm_priv.h"

enum { NEWS_MS = 500, NOTHING_MS = 1000, HTTP_OK_STATUS = 200, HTTP_MISSING = 404 };

static struct source *next_source(struct swarm *swarm)
{
    const uint64_t now_ns = clock_ns();

    for (size_t i = 0; i < swarm->n_sources; i++) {
        struct source *s = &swarm->sources[i];

        if (s->kind == SOURCE_PART && !s->is_given_up && s->news_at_ns <= now_ns &&
            s->rests_until_ns <= now_ns)
            return s;
    }
    return NULL;
}

enum status news_ask(struct swarm *swarm, struct err *err)
{
    struct source *source = swarm->news.source ? NULL : next_source(swarm);

    if (!source)
        return ST_OK;
    source->news_at_ns = deadline_after_ms(NEWS_MS);
    return transfer_begin(&swarm->news, source, "pieces", "", PIECE_MAP_BYTES_MAX, err);
}

/* ST_OK, or ST_FORMAT: no map of this file. */
static enum status take_map(struct swarm *swarm, const struct transfer *t,
                            const struct manifest *manifest, bool *ret_is_news)
{
    struct source *source = t->source;
    struct piece_map map;

    if (piece_map_decode(t->bytes, t->n, &map, NULL) != ST_OK)
        return ST_FORMAT;
    if (map.file_bytes != manifest->file_bytes || map.piece_bytes != manifest->piece_bytes) {
        piece_map_release(&map);
        return ST_FORMAT;
    }
    *ret_is_news =
        !source->pieces.bits || memcmp(source->pieces.bits, map.bits, map.n_pieces / 8 + 1) != 0;
    if (*ret_is_news) /* it gets on, so what it lacks may come */
        swarm->heard_ns = clock_ns();
    piece_map_release(&source->pieces);
    source->pieces = map;
    return ST_OK;
}

bool news_judge(struct swarm *swarm, const struct manifest *manifest, long http_status,
                const char *words)
{
    struct transfer *t = &swarm->news;
    bool is_news = false;

    if (words)
        source_failed(swarm, t->source, words);
    else if (http_status == HTTP_OK_STATUS && take_map(swarm, t, manifest, &is_news) != ST_OK)
        source_lied(swarm, t->source, "it has pieces of another file");
    else if (http_status != HTTP_OK_STATUS && http_status != HTTP_MISSING)
        source_failed(swarm, t->source, "it does not say which pieces it has");
    if (is_news)
        t->source->is_dry = false;
    if (http_status == HTTP_MISSING)
        t->source->news_at_ns = deadline_after_ms(NOTHING_MS);
    transfer_end(t);
    return is_news;
}
