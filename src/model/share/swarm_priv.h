/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/swarm_priv.h - sources and transfers, as the files of the swarm share them. */
#ifndef POMONA_MODEL_SHARE_SWARM_PRIV_H
#define POMONA_MODEL_SHARE_SWARM_PRIV_H

#include <curl/curl.h>

#include "model/share/swarm.h"

enum { SWARM_ADDRESSES_MAX = HOSTS_MAX * (HOST_NUMERIC_MAX + 3) };

struct source {
    enum source_kind kind;
    char host[SWARM_HOST_MAX]; /* of a hub: its URL's, for words */
    uint16_t port;
    char addresses[SWARM_ADDRESSES_MAX]; /* as CURLOPT_RESOLVE has them; "": `host` alone */
    bool is_given_up, is_dry;
    bool is_without_part; /* of SOURCE_PART: it had none when it was asked for the manifest */
    unsigned n_failures, n_active; /* in a row; transfers under way */
    uint64_t rests_until_ns;
    struct piece_map pieces; /* of SOURCE_PART; bits NULL: not known */
    uint64_t news_at_ns;     /* when to ask for them again */
    char url[SWARM_URL_MAX]; /* of SOURCE_HUB */
    char *direct_url;        /* owned: where the hub sent the last request on to; NULL: nowhere */
};

/* One request under way, or idle. */
struct transfer {
    struct swarm *swarm;
    CURL *curl;
    struct curl_slist *headers;
    struct curl_slist *resolve; /* where the name in the URL of a source of several addresses is */
    struct source *source;      /* NULL: idle */
    uint32_t piece;
    uint8_t *bytes; /* [n_max] */
    size_t n, n_max;
    uint64_t begun_ns;
};

struct swarm {
    struct swarm_options options;
    char digest[2 * MODEL_DIGEST_BYTES + 1];
    struct source sources[SWARM_SOURCES_MAX + 1]; /* the hub is the last */
    size_t n_sources;
    CURLM *multi;
    struct tls *tls; /* NULL: in clear */
    struct transfer transfers[SWARM_TRANSFERS_MAX];
    struct transfer news; /* which pieces a source has */
    struct err why;       /* of the last failure of a source */
    uint64_t heard_ns;
    uint64_t peer_bytes, hub_bytes; /* that were right */
};

/* swarm_http.c.  Ask `source` for /model/DIGEST/WHAT, or a hub for the file; range "" for all of
 * it.  The answer goes to t->bytes, no more than n_max of them. */
enum status transfer_begin(struct transfer *t, struct source *source, const char *what,
                           const char *range, size_t n_max, struct err *err);

/* Put an ended or given up transfer aside. */
void transfer_end(struct transfer *t);
void transfer_release(struct transfer *t);

/* Wait at most `wait_ms` for something to happen. */
enum status swarm_turn(struct swarm *swarm, int wait_ms, struct err *err);

/* The next transfer that ended, NULL when there is none.
 * ret_words  lent: NULL for success, else why no answer came */
struct transfer *swarm_ended(struct swarm *swarm, long *ret_http_status, const char **ret_words);

/* A hub refuses: note why, and for how long it is left alone. */
void source_refused(struct transfer *t, long http_status);

/* swarm_news.c.  Ask the next source whose pieces are not known any more. */
enum status news_ask(struct swarm *swarm, struct err *err);
/* Of swarm->news.  True: the pieces of a source are other ones now. */
bool news_judge(struct swarm *swarm, const struct manifest *manifest, long http_status,
                const char *words);

/* swarm.c.  Note a failure of a source: it rests, or is given up. */
void source_failed(struct swarm *swarm, struct source *source, const char *words);
void source_lied(struct swarm *swarm, struct source *source, const char *words);
enum status swarm_check_stall(const struct swarm *swarm, struct err *err);
enum status swarm_nobody(const struct swarm *swarm, struct err *err);
bool swarm_has_source(const struct swarm *swarm);

#endif
