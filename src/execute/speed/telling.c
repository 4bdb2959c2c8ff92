/* SPDX-License-Identifier: Apache-2.0 */
/* execute/speed/telling.c - what it costs to tell the tokens of a step, measured by telling some. */
#include "execute/speed/telling.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/random.h"
#include "base/size.h"
#include "execute/client.h"
#include "execute/runner/gateways.h"

_Static_assert((int)CLUSTER_KEY_BYTES == (int)DATA_KEY_BYTES, "a data key is a key");

enum {
    N_STREAMS = 8,
    N_STEPS = 10,
    N_ROUNDS = 5,
    LINE_BYTES = 64,
    SWEEP_BYTES = 32 << 20, /* beyond what is near a core; more takes longer than it tells */
    WITHIN_MS = 5000,       /* each step, and the connection */
    EVENT_BYTES = 240,      /* of one token, as a stream of OpenAI's API has them */
};

struct side {
    struct loop *loop;
    pthread_t thread;
    bool runs;
};

struct teller {
    struct side driver, gateway;
    struct orders *orders;
    struct tls *tls;
    struct gateways *gateways;
    struct client *client;
    int reader[2]; /* who asked: the gateway writes to the first */
    uint64_t gateway_id, ids[N_STREAMS];
    unsigned char *sweep; /* [SWEEP_BYTES] */
    struct batch *batch;  /* on its way to the driver's loop; NULL once sent */
    pthread_mutex_t lock;
    pthread_cond_t is_told;
    size_t n_told;     /* under the lock */
    struct err failed; /* under the lock */
};

static void *run(void *arg)
{
    struct side *side = arg;

    (void)loop_run(side->loop, NULL);
    return NULL;
}

static enum status start(struct side *side, struct err *err)
{
    if (pthread_create(&side->thread, NULL, run, side) != 0)
        return err_set(err, ST_FULL, "start a thread to measure telling with");
    side->runs = true;
    return ST_OK;
}

static void end_loop(void *arg)
{
    loop_stop(arg);
}

/* Posted, as a loop that was started just now may not run yet. */
static void stop(struct side *side)
{
    if (!side->runs)
        return;
    if (loop_post(side->loop, end_loop, side->loop) != ST_OK)
        loop_stop(side->loop); /* without memory; it surely runs by then */
    pthread_join(side->thread, NULL);
    side->runs = false;
}

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    static const char bytes[EVENT_BYTES] = "data: {";
    struct teller *t = arg;

    (void)event;
    if (!failure && send(t->reader[0], bytes, sizeof(bytes), MSG_DONTWAIT) < 0)
        return; /* the reader is behind: the step is late, and says so */
    pthread_mutex_lock(&t->lock);
    if (failure)
        t->failed = *failure;
    t->n_told++;
    pthread_cond_signal(&t->is_told);
    pthread_mutex_unlock(&t->lock);
}

static enum status connect_both(struct teller *t, struct err *err)
{
    struct driver_address address = { .host = "127.0.0.1", .is_secured = true };
    struct gateways_options options = { .host = address.host, .key = address.key };
    struct cluster_key key;
    enum status s;

    cluster_key_make(&key);
    memcpy(address.data_key, key.bytes, sizeof(address.data_key));
    random_bytes(address.key, sizeof(address.key));
    s = tls_new(&key, TLS_TOKENS, &t->tls, err);
    options.tls = t->tls;
    options.orders = t->orders;
    if (s == ST_OK)
        s = gateways_new(t->driver.loop, &options, &t->gateways, err);
    if (s != ST_OK)
        return s;
    gateways_open(t->gateways);
    address.port = gateways_port(t->gateways);
    return client_new(t->gateway.loop, &address, &t->client, err);
}

static enum status ask(struct teller *t, struct err *err)
{
    const int32_t prompt = 1;
    struct generation generation = { .prompt = &prompt, .n_prompt = 1, .max_tokens = UINT32_MAX };
    enum status s = ST_OK;

    sampling_init(&generation.sampling);
    for (uint32_t i = 0; i < N_STREAMS && s == ST_OK; i++)
        s = client_generate(t->client, &generation, i, on_token, t, &t->ids[i], err);
    return s;
}

/* The driver's side knows of all streams. */
static enum status await_asked(struct teller *t, struct err *err)
{
    const uint64_t deadline_ns = deadline_after_ms(WITHIN_MS);

    for (size_t i = 0; i < N_STREAMS; i++) {
        struct order *order = orders_take_one(t->orders, deadline_ns);

        if (!order)
            return err_set(err, ST_DEADLINE, "nothing came over loopback; this machine is busy");
        t->gateway_id = order->gateway;
        order_free(order);
    }
    return ST_OK;
}

static void send_batch(void *arg)
{
    struct teller *t = arg;

    gateways_send(t->gateways, t->batch);
    batch_free(t->batch);
    t->batch = NULL;
}

static enum status post(struct teller *t, size_t n_tokens, struct err *err)
{
    enum status s = ST_OK;

    t->batch = batch_new(t->gateway_id);
    if (!t->batch)
        return err_set(err, ST_NOMEM, "tokens to measure telling with");
    for (size_t i = 0; i < n_tokens && s == ST_OK; i++)
        s = batch_add(t->batch, t->ids[i], &(struct token_event){ .token = (int32_t)i });
    if (s == ST_OK)
        s = loop_post(t->driver.loop, send_batch, t);
    return s == ST_OK ? s : err_set(err, s, "tokens to measure telling with");
}

static enum status tell_one_step(struct teller *t, size_t n_tokens, struct err *err)
{
    const uint64_t until_ns = deadline_after_ms(WITHIN_MS);
    char bytes[N_STREAMS * EVENT_BYTES];
    enum status s = post(t, n_tokens, err);
    bool is_in_time = true;

    if (s != ST_OK)
        return s;
    pthread_mutex_lock(&t->lock);
    while (t->n_told < n_tokens && t->failed.status == ST_OK && is_in_time)
        is_in_time = cond_wait_until(&t->is_told, &t->lock, until_ns);
    t->n_told = 0;
    if (t->failed.status != ST_OK)
        s = err_set(err, t->failed.status, "%s", t->failed.words);
    else if (!is_in_time)
        s = err_set(err, ST_DEADLINE, "tokens were not told in time; this machine is busy");
    pthread_mutex_unlock(&t->lock);
    (void)!recv(t->reader[1], bytes, sizeof(bytes), MSG_DONTWAIT);
    return s;
}

static double processor_s(void)
{
    struct timespec t = { 0 };

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* there is such a clock */
    return (double)t.tv_sec + (double)t.tv_nsec / (double)NS_PER_S;
}

/* A step's weights leave nothing else in the caches. */
static void sweep(const struct teller *t)
{
    for (size_t i = 0; i < SWEEP_BYTES; i += LINE_BYTES)
        t->sweep[i]++;
}

static enum status time_steps(struct teller *t, size_t n_tokens, double *ret_s, struct err *err)
{
    enum status s = ST_OK;
    double sum_s = 0;

    for (size_t i = 0; i < N_STEPS && s == ST_OK; i++) {
        double before_s;

        sweep(t);
        before_s = processor_s();
        s = tell_one_step(t, n_tokens, err);
        sum_s += processor_s() - before_s;
    }
    *ret_s = sum_s / N_STEPS;
    return s;
}

static enum status set_up(struct teller *t, struct err *err)
{
    enum status s;

    t->sweep = calloc(1, SWEEP_BYTES);
    if (!t->sweep)
        return err_set(err, ST_NOMEM, "what fills the caches");
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, t->reader) != 0)
        return err_errno(err, "make a pair of sockets");
    s = loop_new(&t->driver.loop, err);
    if (s == ST_OK)
        s = loop_new(&t->gateway.loop, err);
    if (s == ST_OK)
        s = orders_new(&t->orders, err);
    if (s == ST_OK)
        s = connect_both(t, err);
    if (s == ST_OK)
        s = ask(t, err);
    if (s == ST_OK)
        s = start(&t->driver, err);
    if (s == ST_OK)
        s = start(&t->gateway, err);
    return s == ST_OK ? await_asked(t, err) : s;
}

static void tear_down(struct teller *t)
{
    stop(&t->driver);
    stop(&t->gateway);
    client_free(t->client);
    gateways_free(t->gateways);
    tls_free(t->tls);
    loop_free(t->gateway.loop);
    loop_free(t->driver.loop);
    batch_free(t->batch);
    free(t->sweep);
    orders_free(t->orders);
    for (size_t i = 0; i < ARRAY_LEN(t->reader); i++)
        if (t->reader[i] >= 0)
            close(t->reader[i]);
    pthread_cond_destroy(&t->is_told);
    pthread_mutex_destroy(&t->lock);
}

enum status telling_time(double *ret_step_s, double *ret_token_s, struct err *err)
{
    struct teller t = { .reader = { -1, -1 } };
    double one = 0, many = 0, this_one, these_many;
    enum status s;

    if (pthread_mutex_init(&t.lock, NULL) != 0)
        return err_set(err, ST_NOMEM, "a lock");
    if (!cond_init(&t.is_told)) {
        pthread_mutex_destroy(&t.lock);
        return err_set(err, ST_NOMEM, "a condition");
    }
    s = set_up(&t, err);
    if (s == ST_OK) /* threads, pages and caches come into being */
        s = time_steps(&t, N_STREAMS, &these_many, err);
    for (size_t i = 0; i < N_ROUNDS && s == ST_OK; i++) {
        s = time_steps(&t, 1, &this_one, err);
        if (s == ST_OK)
            s = time_steps(&t, N_STREAMS, &these_many, err);
        one = i == 0 || this_one < one ? this_one : one;
        many = i == 0 || these_many < many ? these_many : many;
    }
    tear_down(&t);
    if (s != ST_OK)
        return s;
    *ret_token_s = many > one ? (many - one) / (N_STREAMS - 1) : 0;
    *ret_step_s = one - *ret_token_s;
    return ST_OK;
}
