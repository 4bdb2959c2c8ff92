/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/links.c - how fast two ranks of an instance reach one another, and add their rows.
 *
 * Both go through the same list of measurements, whose numbers of repetitions are fixed, so that
 * neither has to tell the other what comes next:
 *
 *   latency    half of the time that a byte goes there and back
 *   bandwidth  messages of a size one way, until the other says that it has all
 *   sums       what a team does twice a layer (execute/collective.h), in each format
 * Rank 1 measures, rank 0 answers.
 */
#include "cmd/bench/links.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "cmd/bench/stats.h"
#include "execute/collective.h"
#include "net/tls.h"
#include "transport/inproc/inproc.h"
#include "transport/tcp/tcp.h"

enum {
    N_PINGS = 200,
    LARGEST = 4 << 20,
    STEP_MS = 10000,    /* a measurement waits no longer for the other */
    JOIN_MS = 10000,    /* nor for it to be there */
    LISTEN_MS = 600000, /* who listens waits for people */
    HOST_TEXT_MAX = 64,
};

static const struct {
    size_t bytes;
    uint32_t n_reps;
} sizes[] = {
    { 4 << 10, 200 },  { 8 << 10, 200 },  { 16 << 10, 200 }, { 32 << 10, 200 },
    { 64 << 10, 100 }, { 256 << 10, 50 }, { 1 << 20, 20 },   { LARGEST, 10 },
};

enum { N_SIZES = sizeof(sizes) / sizeof(sizes[0]) };

struct links_figures {
    double latency_us;
    struct {
        double mb_per_s, sum_us[N_SUM_FORMATS];
    } of[N_SIZES];
};

struct side {
    struct transport *ring;
    unsigned char *bytes; /* [LARGEST] */
    struct samples us;    /* of one measurement */
    struct links_figures figures;
    enum status status;
    struct err err;
};

static double us_since(uint64_t begin_ns)
{
    return (double)(clock_ns() - begin_ns) / 1000;
}

static enum status put(struct side *s, size_t n, struct err *err)
{
    return transport_send(s->ring, 1 - s->ring->rank, s->bytes, n, deadline_after_ms(STEP_MS), err);
}

static enum status take(struct side *s, size_t n, struct err *err)
{
    return transport_recv(s->ring, 1 - s->ring->rank, s->bytes, n, deadline_after_ms(STEP_MS), err);
}

static enum status ping(struct side *s, struct err *err)
{
    enum status status = ST_OK;

    for (int i = 0; status == ST_OK && i < N_PINGS; i++) {
        const uint64_t begin_ns = clock_ns();

        status = s->ring->rank == 1 ? put(s, 1, err) : take(s, 1, err);
        if (status == ST_OK)
            status = s->ring->rank == 1 ? take(s, 1, err) : put(s, 1, err);
        samples_add(&s->us, us_since(begin_ns) / 2);
    }
    s->figures.latency_us = samples_median(&s->us);
    samples_clear(&s->us);
    return status;
}

static enum status stream(struct side *s, size_t size, struct err *err)
{
    const uint64_t begin_ns = clock_ns();
    enum status status = ST_OK;

    for (uint32_t i = 0; status == ST_OK && i < sizes[size].n_reps; i++)
        status =
            s->ring->rank == 1 ? put(s, sizes[size].bytes, err) : take(s, sizes[size].bytes, err);
    if (status == ST_OK)
        status = s->ring->rank == 1 ? take(s, 1, err) : put(s, 1, err);
    s->figures.of[size].mb_per_s =
        (double)sizes[size].bytes * sizes[size].n_reps / us_since(begin_ns);
    return status;
}

static enum status sum(struct side *s, size_t size, enum sum_format format, struct err *err)
{
    const struct collective_options options = {
        .ring = s->ring, .n_members = 2, .deadline_ms = STEP_MS, .format = format
    };
    struct collective *c = NULL;
    enum status status = collective_new(&options, &c, err);

    memset(s->bytes, 0, sizes[size].bytes);
    for (uint32_t i = 0; status == ST_OK && i < sizes[size].n_reps; i++) {
        const uint64_t begin_ns = clock_ns();

        status =
            collective_sum(c, (float *)(void *)s->bytes, sizes[size].bytes / sizeof(float), err);
        samples_add(&s->us, us_since(begin_ns));
    }
    collective_free(c);
    s->figures.of[size].sum_us[format] = samples_median(&s->us);
    samples_clear(&s->us);
    return status;
}

static enum status measure(struct side *s, struct err *err)
{
    enum status status = ST_NOMEM;

    s->bytes = calloc(1, LARGEST);
    if (s->bytes)
        status = ping(s, err);
    else
        (void)err_set(err, ST_NOMEM, "messages to measure with");
    for (size_t i = 0; status == ST_OK && i < N_SIZES; i++) {
        status = stream(s, i, err);
        for (int f = 0; status == ST_OK && f < N_SUM_FORMATS; f++)
            status = sum(s, i, (enum sum_format)f, err);
    }
    free(s->bytes);
    s->bytes = NULL;
    samples_release(&s->us);
    return status;
}

/* ---- words ---- */

static void print_table(const char *transport, const struct links_figures *f)
{
    printf("%s: %.1f us one way\n%10s %10s %12s %12s %12s\n", transport, f->latency_us, "BYTES",
           "MB/S", "SUM F32, us", "F16, us", "Q8, us");
    for (size_t i = 0; i < N_SIZES; i++)
        printf("%10zu %10.0f %12.1f %12.1f %12.1f\n", sizes[i].bytes, f->of[i].mb_per_s,
               f->of[i].sum_us[SUM_F32], f->of[i].sum_us[SUM_F16], f->of[i].sum_us[SUM_Q8]);
    printf("\n");
}

static void print_json(const char *transport, const struct links_figures *f)
{
    printf("{\"transport\":\"%s\",\"latency_us\":%.2f,\"sizes\":[", transport, f->latency_us);
    for (size_t i = 0; i < N_SIZES; i++)
        printf("%s{\"bytes\":%zu,\"mb_per_s\":%.1f,\"sum_us\":{\"f32\":%.2f,\"f16\":%.2f,"
               "\"q8\":%.2f}}",
               i > 0 ? "," : "", sizes[i].bytes, f->of[i].mb_per_s, f->of[i].sum_us[SUM_F32],
               f->of[i].sum_us[SUM_F16], f->of[i].sum_us[SUM_Q8]);
    printf("]}\n");
}

static void print_figures(const struct links_options *o, const char *transport,
                          const struct links_figures *figures)
{
    (o->is_json ? print_json : print_table)(transport, figures);
    (void)fflush(stdout);
}

/* ---- two ranks of this process ---- */

static void *answer(void *arg)
{
    struct side *s = arg;

    s->status = measure(s, &s->err);
    transport_close(s->ring);
    return NULL;
}

/* Both ends are taken. */
static enum status measure_here(const struct links_options *o, const char *transport,
                                struct transport *const ends[2], struct err *err)
{
    struct side *sides = calloc(2, sizeof(*sides));
    pthread_t thread;
    enum status s;

    if (sides) {
        sides[0].ring = ends[0];
        sides[1].ring = ends[1];
    }
    if (!sides || pthread_create(&thread, NULL, answer, &sides[0]) != 0) {
        transport_close(ends[0]);
        transport_close(ends[1]);
        free(sides);
        return err_set(err, ST_NOMEM, "a second rank");
    }
    s = measure(&sides[1], err);
    transport_close(ends[1]);
    pthread_join(thread, NULL);
    if (s == ST_OK)
        print_figures(o, transport, &sides[1].figures);
    free(sides);
    return s;
}

struct joiner {
    struct tcp_listener *listener;
    struct tcp_join join;
    struct transport *end;
    enum status status;
    struct err err;
};

static void *join(void *arg)
{
    struct joiner *j = arg;

    j->status = tcp_join(j->listener, &j->join, deadline_after_ms(JOIN_MS), &j->end, &j->err);
    return NULL;
}

static enum status join_both(struct joiner *j, struct err *err)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, join, &j[0]) != 0)
        return err_set(err, ST_NOMEM, "a second rank");
    (void)join(&j[1]);
    pthread_join(thread, NULL);
    for (int i = 0; i < 2; i++)
        if (j[i].status != ST_OK)
            return err_set(err, j[i].status, "%s", j[i].err.words);
    return ST_OK;
}

/* tls  NULL: in clear */
static enum status tcp_pair(struct tls *tls, struct transport *ret_ends[2], struct err *err)
{
    struct joiner j[2] = { { .status = ST_OK }, { .status = ST_OK } };
    struct tcp_endpoint ranks[2];
    enum status s = ST_OK;

    for (uint32_t i = 0; s == ST_OK && i < 2; i++) {
        s = tcp_listen("127.0.0.1", &j[i].listener, err);
        if (s == ST_OK)
            ranks[i] = (struct tcp_endpoint){ "127.0.0.1", tcp_listener_port(j[i].listener), NULL };
        j[i].join = (struct tcp_join){ .rank = i, .n_ranks = 2, .ranks = ranks, .tls = tls };
    }
    if (s == ST_OK)
        s = join_both(j, err);
    for (int i = 0; i < 2; i++) {
        tcp_listener_close(j[i].listener);
        if (s != ST_OK)
            transport_close(j[i].end);
        else
            ret_ends[i] = j[i].end;
    }
    return s;
}

static enum status all_here(const struct links_options *o, struct err *err)
{
    struct transport *ends[2];
    struct cluster_key key;
    struct tls *tls = NULL;
    enum status s = inproc_new(2, ends, err);

    if (s == ST_OK)
        s = measure_here(o, "inproc", ends, err);
    if (s == ST_OK)
        s = tcp_pair(NULL, ends, err);
    if (s == ST_OK)
        s = measure_here(o, "tcp", ends, err);
    cluster_key_make(&key);
    if (s == ST_OK)
        s = tls_new(&key, TLS_ROWS, &tls, err);
    if (s == ST_OK)
        s = tcp_pair(tls, ends, err);
    if (s == ST_OK)
        s = measure_here(o, "tls", ends, err);
    tls_free(tls);
    return s;
}

/* ---- with another machine ---- */

/* "HOST:PORT", the host of IPv6 in brackets or not. */
static enum status parse_peer(const char *text, char *ret_host, uint16_t *ret_port, struct err *err)
{
    const char *colon = strrchr(text, ':');
    const size_t n = colon ? (size_t)(colon - text) : 0;
    const bool has_brackets = n > 2 && text[0] == '[' && text[n - 1] == ']';
    char *end = NULL;
    unsigned long port;

    if (n == 0 || n >= HOST_TEXT_MAX)
        return err_set(err, ST_RANGE, "'%s' is not HOST:PORT", text);
    port = strtoul(colon + 1, &end, 10);
    if (*end || end == colon + 1 || port == 0 || port > UINT16_MAX)
        return err_set(err, ST_RANGE, "'%s' is not HOST:PORT", text);
    (void)snprintf(ret_host, HOST_TEXT_MAX, "%.*s", (int)(n - 2 * has_brackets),
                   text + has_brackets);
    *ret_port = (uint16_t)port;
    return ST_OK;
}

static enum status load_tls(const char *path, struct tls **ret_tls, struct err *err)
{
    struct cluster_key key;
    enum status s;

    if (!path)
        return ST_OK;
    s = cluster_key_load(path, &key, err);
    if (s == ST_OK)
        s = tls_new(&key, TLS_ROWS, ret_tls, err);
    cluster_key_wipe(&key, sizeof(key));
    return s;
}

static enum status join_other(const struct links_options *o, struct tls *tls,
                              struct transport **ret_ring, struct err *err)
{
    struct tcp_endpoint ranks[2] = { { .host = NULL } };
    struct tcp_join how = { .rank = o->peer ? 1 : 0, .n_ranks = 2, .ranks = ranks, .tls = tls };
    struct tcp_listener *listener = NULL;
    char host[HOST_TEXT_MAX];
    enum status s = tcp_listen(o->listen ? o->listen : address_any(), &listener, err);

    if (s == ST_OK && o->peer) {
        s = parse_peer(o->peer, host, &ranks[0].port, err);
        ranks[0].host = host;
    } else if (s == ST_OK) {
        printf("listening; on the other machine: pomona bench --links --peer %s:%u%s\n", o->listen,
               tcp_listener_port(listener), o->key_path ? " --cluster-key FILE" : "");
        (void)fflush(stdout);
    }
    if (s == ST_OK)
        s = tcp_join(listener, &how, deadline_after_ms(o->peer ? JOIN_MS : LISTEN_MS), ret_ring,
                     err);
    tcp_listener_close(listener);
    return s;
}

static enum status with_other(const struct links_options *o, struct err *err)
{
    struct side *side = calloc(1, sizeof(*side));
    struct tls *tls = NULL;
    enum status s =
        side ? load_tls(o->key_path, &tls, err) : err_set(err, ST_NOMEM, "what is measured");

    if (s == ST_OK)
        s = join_other(o, tls, &side->ring, err);
    if (s == ST_OK)
        s = measure(side, err);
    if (s == ST_OK && o->peer)
        print_figures(o, tls ? "tls" : "tcp", &side->figures);
    if (side)
        transport_close(side->ring);
    tls_free(tls);
    free(side);
    return s;
}

enum status bench_links(const struct links_options *o, struct err *err)
{
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of a write */
    return o->listen || o->peer ? with_other(o, err) : all_here(o, err);
}
