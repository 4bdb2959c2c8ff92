/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/swarm.c - the sources, and the manifest they give. */
#include "model/share/swarm_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/size.h"
#include "model/share/share_tls.h"

enum {
    REST_MS = 100,
    LOOK_MS = 100,
    HTTP_OK_STATUS = 200,
    HTTP_MISSING_STATUS = 404,
    HTTP_BUSY_STATUS = 503
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_start(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT); /* a failure shows in curl_multi_init() */
}

static void add_address(struct source *source, const char *host)
{
    const size_t at = strlen(source->addresses);

    (void)snprintf(source->addresses + at, sizeof(source->addresses) - at,
                   strchr(host, ':') ? "%s[%s]" : "%s%s", at > 0 ? "," : "", host);
}

static void add_node(struct swarm *swarm, const struct swarm_source *from)
{
    struct source *source = &swarm->sources[swarm->n_sources++];

    (void)snprintf(source->host, sizeof(source->host), "%s", from->host);
    source->port = from->port;
    for (size_t i = 0; from->hosts && from->hosts->n > 1 && i < from->hosts->n; i++)
        add_address(source, from->hosts->text[i]);
    source->kind = from->is_part ? SOURCE_PART : SOURCE_WHOLE;
}

/* For words its name is enough: a URL may carry what is nobody's business. */
static void add_hub(struct swarm *swarm, const char *url)
{
    struct source *source = &swarm->sources[swarm->n_sources];
    const char *host = strstr(url, "://");

    if (strlen(url) >= sizeof(source->url) || !host)
        return;
    host += strlen("://");
    memcpy(source->url, url, strlen(url) + 1);
    (void)snprintf(source->host, sizeof(source->host), "%.*s", (int)strcspn(host, "/?#"), host);
    source->kind = SOURCE_HUB;
    swarm->n_sources++;
}

enum status swarm_new(const struct swarm_options *options, struct swarm **ret_swarm,
                      struct err *err)
{
    struct swarm *swarm;
    enum status s;

    (void)pthread_once(&curl_once, curl_start);
    swarm = calloc(1, sizeof(*swarm));
    if (swarm)
        swarm->multi = curl_multi_init();
    if (!swarm || !swarm->multi) {
        free(swarm);
        return err_set(err, ST_NOMEM, "the sources of a model");
    }
    s = options->key ? share_tls_new(options->key, &swarm->tls, err) : ST_OK;
    if (s != ST_OK) {
        swarm_free(swarm);
        return s;
    }
    swarm->options = *options;
    if (swarm->options.stall_ms == 0)
        swarm->options.stall_ms = SWARM_STALL_MS;
    hex_write(options->digest, MODEL_DIGEST_BYTES, swarm->digest);
    for (size_t i = 0; i < SWARM_TRANSFERS_MAX; i++)
        swarm->transfers[i].swarm = swarm;
    swarm->news.swarm = swarm;
    for (size_t i = 0; i < options->n_sources && i < SWARM_SOURCES_MAX; i++)
        add_node(swarm, &options->sources[i]);
    if (options->hub_url)
        add_hub(swarm, options->hub_url);
    swarm->options.sources = NULL;
    swarm->options.hub_url = NULL;
    swarm->options.key = NULL;
    swarm->heard_ns = clock_ns();
    (void)err_set(&swarm->why, ST_PEER, "no node was named that has it");
    *ret_swarm = swarm;
    return ST_OK;
}

void swarm_free(struct swarm *swarm)
{
    if (!swarm)
        return;
    for (size_t i = 0; i < SWARM_TRANSFERS_MAX; i++)
        transfer_release(&swarm->transfers[i]);
    transfer_release(&swarm->news);
    (void)curl_multi_cleanup(swarm->multi);
    for (size_t i = 0; i < swarm->n_sources; i++) {
        piece_map_release(&swarm->sources[i].pieces);
        free(swarm->sources[i].direct_url);
    }
    tls_free(swarm->tls);
    free(swarm);
}

/* Several requests to a hub may fail for one reason: that is one failure. */
static bool is_the_same_failure(const struct source *source)
{
    return source->kind == SOURCE_HUB && source->rests_until_ns > clock_ns();
}

static void note_why(struct swarm *swarm, const struct source *source, const char *words)
{
    if (source->kind == SOURCE_HUB)
        (void)err_set(&swarm->why, ST_PEER, "%.100s: %s", source->host, words);
    else
        (void)err_set(&swarm->why, ST_PEER, "%s port %u: %s", source->host, source->port, words);
}

void source_failed(struct swarm *swarm, struct source *source, const char *words)
{
    if (is_the_same_failure(source))
        return;
    source->n_failures++;
    source->is_given_up = source->n_failures >= SWARM_FAILURES_MAX;
    source->rests_until_ns = deadline_after_ms((uint64_t)REST_MS * source->n_failures);
    note_why(swarm, source, words);
}

void source_lied(struct swarm *swarm, struct source *source, const char *words)
{
    source->is_given_up = true;
    note_why(swarm, source, words);
}

void swarm_came(const struct swarm *swarm, uint64_t *ret_peer_bytes, uint64_t *ret_hub_bytes)
{
    *ret_peer_bytes = swarm->peer_bytes;
    *ret_hub_bytes = swarm->hub_bytes;
}

/* A hub gives no manifest. */
static bool has_node(const struct swarm *swarm)
{
    for (size_t i = 0; i < swarm->n_sources; i++)
        if (!swarm->sources[i].is_given_up && swarm->sources[i].kind != SOURCE_HUB)
            return true;
    return false;
}

/* Who had no part, or no manifest, may have pieces by now. */
static void forgive_parts(struct swarm *swarm)
{
    for (size_t i = 0; i < swarm->n_sources; i++) {
        struct source *source = &swarm->sources[i];

        if (source->kind != SOURCE_PART || !source->is_without_part)
            continue;
        source->is_given_up = false;
        source->n_failures = 0;
    }
}

bool swarm_has_source(const struct swarm *swarm)
{
    for (size_t i = 0; i < swarm->n_sources; i++)
        if (!swarm->sources[i].is_given_up)
            return true;
    return false;
}

enum status swarm_nobody(const struct swarm *swarm, struct err *err)
{
    return err_set(err, ST_PEER, "no node gives the model: %s", swarm->why.words);
}

static bool has_more_than_parts(const struct swarm *swarm)
{
    for (size_t i = 0; i < swarm->n_sources; i++)
        if (!swarm->sources[i].is_given_up && swarm->sources[i].kind != SOURCE_PART)
            return true;
    return false;
}

enum status swarm_check_stall(const struct swarm *swarm, struct err *err)
{
    const bool is_hopeful = has_more_than_parts(swarm);
    const uint64_t limit_ms = is_hopeful || swarm->options.stall_ms < SWARM_PARTS_STALL_MS
                                  ? swarm->options.stall_ms
                                  : SWARM_PARTS_STALL_MS;
    const uint64_t now_ns = clock_ns();

    if (now_ns < swarm->heard_ns || now_ns - swarm->heard_ns < limit_ms * NS_PER_MS)
        return ST_OK;
    if (!is_hopeful)
        return err_set(err, ST_PEER,
                       "no node has the whole model, and what is missing is at none that has a "
                       "part: %s",
                       swarm->why.words);
    return err_set(err, ST_DEADLINE, "no node gave a byte of the model for %llu s: %s",
                   (unsigned long long)limit_ms / 1000, swarm->why.words);
}

/* ---- the manifest ---- */

/* "DONE TOTAL" of a source that is still making it: news resets the clock. */
static void take_news(struct swarm *swarm, const struct transfer *t, uint64_t *hashed)
{
    struct fetch_progress progress = { 0 };
    unsigned long long done = 0, total = 0;
    char text[64];

    (void)snprintf(text, sizeof(text), "%.*s", (int)size_min(t->n, sizeof(text) - 1),
                   (const char *)t->bytes);
    if (sscanf(text, "%20llu %20llu", &done, &total) != 2 || done == *hashed || done > total)
        return;
    *hashed = done;
    swarm->heard_ns = clock_ns();
    progress.total_bytes = total;
    if (swarm->options.on_progress)
        swarm->options.on_progress(swarm->options.arg, &progress);
}

static bool take_manifest(struct swarm *swarm, struct transfer *t, struct manifest *ret_manifest)
{
    struct manifest m;
    struct err err = { 0 };

    if (manifest_decode(t->bytes, t->n, &m, &err) != ST_OK) {
        source_lied(swarm, t->source, err.words);
        return false;
    }
    if (memcmp(m.model_digest, swarm->options.digest, sizeof(m.model_digest)) != 0 ||
        (swarm->options.root && memcmp(m.root, swarm->options.root, sizeof(m.root)) != 0)) {
        manifest_release(&m);
        source_lied(swarm, t->source, "its file is another than the cluster's model");
        return false;
    }
    *ret_manifest = m;
    return true;
}

/* The next source in turn that may be asked; NULL: all rest. */
static struct source *next_source(struct swarm *swarm, size_t *turn)
{
    for (size_t i = 0; i < swarm->n_sources; i++) {
        struct source *source = &swarm->sources[(*turn + i) % swarm->n_sources];

        if (source->kind == SOURCE_HUB || source->is_given_up ||
            source->rests_until_ns > clock_ns())
            continue;
        *turn = (*turn + i + 1) % swarm->n_sources;
        return source;
    }
    return NULL;
}

/* What came of one request.  True: the manifest is here. */
static bool judge_manifest(struct swarm *swarm, struct transfer *t, long http_status,
                           const char *words, uint64_t *hashed, struct manifest *ret_manifest)
{
    char text[64];

    if (words) {
        source_failed(swarm, t->source, words);
        return false;
    }
    if (http_status == HTTP_OK_STATUS)
        return take_manifest(swarm, t, ret_manifest);
    if (http_status == HTTP_BUSY_STATUS) {
        t->source->rests_until_ns = deadline_after_ms(REST_MS);
        take_news(swarm, t, hashed);
        return false;
    }
    t->source->is_without_part = http_status == HTTP_MISSING_STATUS;
    (void)snprintf(text, sizeof(text), "it answered with HTTP status %ld", http_status);
    source_failed(swarm, t->source, text);
    return false;
}

enum status swarm_manifest(struct swarm *swarm, struct manifest *ret_manifest, struct err *err)
{
    struct transfer *t = &swarm->transfers[0];
    uint64_t hashed = 0;
    size_t turn = 0;
    enum status s = ST_OK;

    swarm->heard_ns = clock_ns();
    while (s == ST_OK) {
        struct source *source = t->source ? NULL : next_source(swarm, &turn);
        const char *words;
        bool is_here;
        long status;

        if (!t->source && !has_node(swarm))
            return swarm_nobody(swarm, err);
        if (source)
            s = transfer_begin(t, source, "manifest", "", MANIFEST_BYTES_MAX, err);
        if (s == ST_OK)
            s = swarm_turn(swarm, LOOK_MS, err);
        if (s == ST_OK && swarm_ended(swarm, &status, &words)) {
            is_here = judge_manifest(swarm, t, status, words, &hashed, ret_manifest);
            transfer_end(t);
            if (is_here) {
                forgive_parts(swarm);
                return ST_OK;
            }
        }
        if (s == ST_OK)
            s = swarm_check_stall(swarm, err);
    }
    return s;
}
