/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/issuers.c - the keys of all issuers, fetched, renewed, and kept while they do. */
#include "gateway/guard/issuers.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gateway/guard/jwks_fetch.h"
#include "net/job.h"

enum {
    LOOK_EVERY_MS = 1000,
    RENEW_EVERY_S = 30,
    RETRY_S = 10,
    AGE_MIN_S = 60,
    AGE_MAX_S = 86400,
};

struct fetch;

struct source {
    char url[API_URL_MAX]; /* "": of a file */
    uint32_t refresh_s, stale_s;
    struct jwks *set;
    uint64_t fetched_ns, tried_ns, forced_ns; /* 0: never */
    uint32_t age_s;                           /* after which it is fetched again */
    struct fetch *fetch;                      /* under way */
};

/* A job's own. */
struct fetch {
    struct issuers *owner; /* NULL: gone */
    char url[API_URL_MAX];
    struct jwks *set;
    uint32_t max_age_s;
    struct err failure;
};

struct issuers {
    struct loop *loop;
    struct loop_timer *timer;
    struct source sources[API_ISSUERS_MAX];
    unsigned n;
    loop_fn *on_fetched;
    void *on_fetched_arg;
};

static void fetch_run(void *arg)
{
    struct fetch *f = arg;

    (void)jwks_fetch(f->url, &f->set, &f->max_age_s, &f->failure);
}

static uint32_t clamp(uint32_t value, uint32_t least, uint32_t most)
{
    return value < least ? least : value > most ? most : value;
}

static void take(struct source *s, struct fetch *f)
{
    s->fetch = NULL;
    if (!f->set)
        return;
    jwks_unref(s->set);
    s->set = jwks_ref(f->set);
    s->fetched_ns = clock_ns();
    s->age_s = clamp(f->max_age_s ? f->max_age_s : s->refresh_s, AGE_MIN_S, AGE_MAX_S);
}

static void fetch_free(void *arg)
{
    struct fetch *f = arg;

    jwks_unref(f->set);
    free(f);
}

static void fetch_done(void *arg)
{
    struct fetch *f = arg;
    struct issuers *all = f->owner;

    for (unsigned i = 0; all && i < all->n; i++)
        if (all->sources[i].fetch == f)
            take(&all->sources[i], f);
    fetch_free(f);
    if (all && all->on_fetched)
        all->on_fetched(all->on_fetched_arg);
}

static bool fetch(struct issuers *all, struct source *s)
{
    struct fetch *f = calloc(1, sizeof(*f));

    if (!f)
        return false;
    f->owner = all;
    memcpy(f->url, s->url, sizeof(f->url));
    s->tried_ns = clock_ns();
    if (job_start(all->loop, fetch_run, fetch_done, fetch_free, f, &f->failure) != ST_OK) {
        free(f);
        return false;
    }
    s->fetch = f;
    return true;
}

static bool is_past(uint64_t since_ns, uint32_t s)
{
    return since_ns == 0 || clock_ns() - since_ns > s * NS_PER_S;
}

static void look(void *arg)
{
    struct issuers *all = arg;

    for (unsigned i = 0; i < all->n; i++) {
        struct source *s = &all->sources[i];

        if (!s->url[0] || s->fetch)
            continue;
        if (s->set && is_past(s->fetched_ns, s->stale_s)) {
            jwks_unref(s->set);
            s->set = NULL;
        }
        if (is_past(s->fetched_ns, s->age_s) && is_past(s->tried_ns, RETRY_S))
            (void)fetch(all, s);
    }
}

enum status issuers_new(struct loop *loop, struct issuers **ret_issuers, struct err *err)
{
    struct issuers *all = calloc(1, sizeof(*all));

    if (!all || loop_timer_new(loop, look, all, &all->timer) != ST_OK) {
        free(all);
        return err_set(err, ST_NOMEM, "the keys of issuers");
    }
    all->loop = loop;
    loop_timer_every(all->timer, LOOK_EVERY_MS);
    *ret_issuers = all;
    return ST_OK;
}

static void source_release(struct source *s)
{
    if (s->fetch)
        s->fetch->owner = NULL;
    jwks_unref(s->set);
    *s = (struct source){ 0 };
}

void issuers_free(struct issuers *all)
{
    if (!all)
        return;
    for (unsigned i = 0; i < all->n; i++)
        source_release(&all->sources[i]);
    loop_timer_free(all->timer);
    free(all);
}

/* What was fetched from this URL goes on. */
static void carry_over(struct source *old, unsigned n, struct source *s)
{
    for (unsigned i = 0; i < n; i++) {
        if (!s->url[0] || strcmp(old[i].url, s->url) != 0)
            continue;
        s->set = old[i].set;
        s->fetch = old[i].fetch;
        s->fetched_ns = old[i].fetched_ns;
        s->tried_ns = old[i].tried_ns;
        s->forced_ns = old[i].forced_ns;
        s->age_s = old[i].age_s;
        old[i] = (struct source){ 0 };
        return;
    }
}

void issuers_set(struct issuers *all, const struct access_files *files)
{
    struct source now[API_ISSUERS_MAX] = { 0 };
    const unsigned n = files->settings->auth.issuers_count;

    for (unsigned i = 0; i < n; i++) {
        const struct api_issuer *issuer = &files->settings->auth.issuers[i];

        memcpy(now[i].url, issuer->jwks_url, sizeof(now[i].url));
        now[i].refresh_s = issuer->refresh_s;
        now[i].stale_s = issuer->stale_s;
        now[i].set = files->sets[i] ? jwks_ref(files->sets[i]) : NULL;
        carry_over(all->sources, all->n, &now[i]);
    }
    for (unsigned i = 0; i < all->n; i++)
        source_release(&all->sources[i]);
    memcpy(all->sources, now, sizeof(now));
    all->n = n;
    look(all);
}

const struct jwks *issuers_keys(const struct issuers *all, unsigned i)
{
    return i < all->n ? all->sources[i].set : NULL;
}

bool issuers_renew(struct issuers *all, unsigned i)
{
    struct source *s = i < all->n ? &all->sources[i] : NULL;

    if (!s || !s->url[0])
        return false;
    if (s->fetch)
        return true;
    if (!is_past(s->forced_ns, RENEW_EVERY_S))
        return false;
    s->forced_ns = clock_ns();
    return fetch(all, s);
}

void issuers_on_fetched(struct issuers *all, loop_fn *fn, void *arg)
{
    all->on_fetched = fn;
    all->on_fetched_arg = arg;
}
