/* SPDX-License-Identifier: Apache-2.0 */
/* transport/mpi/mpi.c - streams of bytes over MPI's messages.
 *
 *   slot of a receive: under way --test--> filled --all is taken--> under way
 *   slot of a send:    free --filled, sent--> under way --test--> free
 *
 * Slots of a pair are used in turn, and MPI keeps the order of messages between two ranks (MPI
 * 3.1, section 3.5), so bytes come out as they went in.
 */
#include "transport/mpi/mpi.h"

#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/size.h"
#include "transport/mpi/module.h"

/* Members of a team wait for less than it takes to sleep; an idle instance for hours. */
static const struct {
    uint64_t until_ns;
    long nap_ns; /* 0: others of this machine first */
} naps[] = {
    { 300000, 0 },
    { 20000000, 50000 },
    { 1000000000, 500000 },
    { UINT64_MAX, 2000000 },
};

struct slot {
    unsigned char *bytes; /* [MPI_MESSAGE_BYTES] */
    struct mpi_request request;
    bool is_under_way;
    size_t n, taken; /* of a receive that is filled */
};

struct pair {
    struct slot in[MPI_MESSAGES_IN], out[MPI_MESSAGES_OUT];
    size_t next_in, next_out;
};

struct mpi {
    struct transport base;
    const struct mpi_module *module;
    unsigned char *memory;
    struct pair *pairs; /* [n_ranks]; the own one is not used */
};

static struct mpi *mpi_of(struct transport *t)
{
    return (struct mpi *)t;
}

static enum status answer(int code, const char *words, uint32_t rank, struct err *err)
{
    return code == 0 ? ST_OK : err_set(err, ST_PEER, "rank %u: %.300s", rank, words);
}

static enum status receive(struct mpi *t, uint32_t from, struct slot *slot, struct err *err)
{
    char words[ERR_WORDS_MAX] = "";
    const int code = t->module->recv(from, slot->bytes, MPI_MESSAGE_BYTES, &slot->request, words);

    slot->is_under_way = code == 0;
    slot->n = slot->taken = 0;
    return answer(code, words, from, err);
}

/* *slot is not under way any more where MPI says that it is done. */
static enum status look(struct mpi *t, uint32_t rank, struct slot *slot, struct err *err)
{
    char words[ERR_WORDS_MAX] = "";
    bool is_done = true;
    int code;

    if (!slot->is_under_way)
        return ST_OK;
    code = t->module->test(&slot->request, &is_done, &slot->n, words);
    slot->is_under_way = code == 0 && !is_done;
    return answer(code, words, rank, err);
}

/* What is there of [n] bytes. */
static enum status take(struct mpi *t, uint32_t from, unsigned char *bytes, size_t n, size_t *ret_n,
                        struct err *err)
{
    struct pair *pair = &t->pairs[from];
    enum status s = ST_OK;

    *ret_n = 0;
    while (s == ST_OK && *ret_n < n) {
        struct slot *slot = &pair->in[pair->next_in];
        size_t some;

        s = look(t, from, slot, err);
        if (s != ST_OK || slot->is_under_way)
            return s;
        some = size_min(slot->n - slot->taken, n - *ret_n);
        memcpy(bytes + *ret_n, slot->bytes + slot->taken, some);
        *ret_n += some;
        slot->taken += some;
        if (slot->taken < slot->n)
            return ST_OK;
        s = receive(t, from, slot, err);
        pair->next_in = (pair->next_in + 1) % MPI_MESSAGES_IN;
    }
    return s;
}

/* Send what there is room for of [n] bytes. */
static enum status put(struct mpi *t, uint32_t to, const unsigned char *bytes, size_t n,
                       size_t *ret_n, struct err *err)
{
    struct pair *pair = &t->pairs[to];
    char words[ERR_WORDS_MAX] = "";
    enum status s = ST_OK;

    *ret_n = 0;
    while (s == ST_OK && *ret_n < n) {
        struct slot *slot = &pair->out[pair->next_out];
        const size_t some = size_min(MPI_MESSAGE_BYTES, n - *ret_n);
        int code;

        s = look(t, to, slot, err);
        if (s != ST_OK || slot->is_under_way)
            return s;
        memcpy(slot->bytes, bytes + *ret_n, some);
        code = t->module->send(to, slot->bytes, some, &slot->request, words);
        slot->is_under_way = code == 0;
        s = answer(code, words, to, err);
        *ret_n += some;
        pair->next_out = (pair->next_out + 1) % MPI_MESSAGES_OUT;
    }
    return s;
}

/* Before MPI is asked again. */
static enum status nap(uint64_t since_ns, uint64_t deadline_ns, uint32_t rank, struct err *err)
{
    const uint64_t now_ns = clock_ns();
    struct timespec some = { 0 };
    size_t i = 0;

    if (now_ns >= deadline_ns)
        return err_set(err, ST_DEADLINE, "rank %u did not answer in time", rank);
    while (naps[i].until_ns < now_ns - since_ns)
        i++;
    some.tv_nsec = naps[i].nap_ns;
    if (some.tv_nsec == 0)
        (void)sched_yield();
    else
        (void)nanosleep(&some, NULL);
    return ST_OK;
}

static enum status check_rank(const struct mpi *t, uint32_t rank, struct err *err)
{
    if (rank >= t->base.n_ranks || rank == t->base.rank)
        return err_set(err, ST_RANGE, "there is no rank %u", rank);
    return ST_OK;
}

/* All of them, or the deadline; what waited is begun anew whenever something moved. */
static enum status mpi_exchange(struct transport *base, struct transport_swap *all, size_t n,
                                uint64_t deadline_ns, struct err *err)
{
    struct mpi *t = mpi_of(base);
    uint64_t since_ns = clock_ns();
    enum status s = ST_OK;

    for (size_t i = 0; s == ST_OK && i < n; i++)
        s = check_rank(t, all[i].with, err);
    while (s == ST_OK) {
        uint32_t awaited = 0;
        bool is_done = true, has_moved = false;

        for (size_t i = 0; s == ST_OK && i < n; i++) {
            struct transport_swap *x = &all[i];
            size_t n_put = 0, n_taken = 0;

            if (x->n_out > 0)
                s = put(t, x->with, x->out, x->n_out, &n_put, err);
            if (s == ST_OK && x->n_in > 0)
                s = take(t, x->with, x->in, x->n_in, &n_taken, err);
            if (n_put > 0)
                x->out += n_put;
            x->n_out -= n_put;
            if (n_taken > 0)
                x->in += n_taken;
            x->n_in -= n_taken;
            has_moved |= n_put + n_taken > 0;
            if (x->n_out + x->n_in == 0)
                continue;
            is_done = false;
            awaited = x->with;
        }
        if (s != ST_OK || is_done)
            return s;
        if (has_moved)
            since_ns = clock_ns();
        s = nap(since_ns, deadline_ns, awaited, err);
    }
    return s;
}

static enum status mpi_send(struct transport *base, uint32_t to, const void *bytes, size_t n,
                            uint64_t deadline_ns, struct err *err)
{
    struct transport_swap one = { .with = to, .out = bytes, .n_out = n };

    return mpi_exchange(base, &one, 1, deadline_ns, err);
}

static enum status mpi_recv(struct transport *base, uint32_t from, void *ret_bytes, size_t n,
                            uint64_t deadline_ns, struct err *err)
{
    struct transport_swap one = { .with = from, .in = ret_bytes, .n_in = n };

    return mpi_exchange(base, &one, 1, deadline_ns, err);
}

/* MPI gets on with what is under way whenever it is asked for anything. */
static enum status mpi_check(struct transport *base, struct err *err)
{
    struct mpi *t = mpi_of(base);
    enum status s = ST_OK;

    for (uint32_t i = 0; s == ST_OK && i < t->base.n_ranks; i++)
        if (i != t->base.rank)
            s = look(t, i, &t->pairs[i].in[t->pairs[i].next_in], err);
    return s;
}

static void mpi_close(struct transport *base)
{
    struct mpi *t = mpi_of(base);
    bool is_sending = false;

    for (uint32_t i = 0; t->pairs && i < t->base.n_ranks; i++) {
        for (size_t k = 0; k < MPI_MESSAGES_IN; k++)
            if (t->pairs[i].in[k].is_under_way)
                t->module->cancel(&t->pairs[i].in[k].request);
        for (size_t k = 0; k < MPI_MESSAGES_OUT; k++) {
            (void)look(t, i, &t->pairs[i].out[k], NULL);
            is_sending |= t->pairs[i].out[k].is_under_way;
        }
    }
    if (!is_sending) /* else MPI reads it still, until this process ends */
        free(t->memory);
    free(t->pairs);
    free(t);
}

static const struct transport_type mpi_type = {
    .name = "mpi",
    .send = mpi_send,
    .recv = mpi_recv,
    .exchange = mpi_exchange,
    .check = mpi_check,
    .close = mpi_close,
};

static enum status pair_open(struct mpi *t, uint32_t rank, unsigned char **memory, struct err *err)
{
    struct pair *pair = &t->pairs[rank];
    enum status s = ST_OK;

    for (size_t i = 0; i < MPI_MESSAGES_OUT; i++, *memory += MPI_MESSAGE_BYTES)
        pair->out[i].bytes = *memory;
    for (size_t i = 0; s == ST_OK && i < MPI_MESSAGES_IN; i++, *memory += MPI_MESSAGE_BYTES) {
        pair->in[i].bytes = *memory;
        s = receive(t, rank, &pair->in[i], err);
    }
    return s;
}

static enum status check_job(const struct mpi_module *module, const struct mpi_join *join,
                             struct err *err)
{
    char words[ERR_WORDS_MAX] = "";
    uint32_t rank = 0, n_ranks = 0;
    enum status s;

    if (join->n_ranks < 2 || join->n_ranks > MPI_RANKS_MAX || join->rank >= join->n_ranks)
        return err_set(err, ST_RANGE, "rank %u of %u over MPI", join->rank, join->n_ranks);
    s = answer(module->init(&rank, &n_ranks, words), words, join->rank, err);
    if (s == ST_OK && (rank != join->rank || n_ranks != join->n_ranks))
        s = err_set(err, ST_RANGE, "mpirun made this rank %u of %u, the plan rank %u of %u", rank,
                    n_ranks, join->rank, join->n_ranks);
    return s;
}

enum status mpi_join_by(const struct mpi_module *module, const struct mpi_join *join,
                        struct transport **ret_transport, struct err *err)
{
    enum status s = check_job(module, join, err);
    unsigned char *memory;
    struct mpi *t;

    if (s != ST_OK)
        return s;
    t = calloc(1, sizeof(*t));
    if (!t)
        return err_set(err, ST_NOMEM, "a transport of %u ranks", join->n_ranks);
    t->base = (struct transport){ .type = &mpi_type, .rank = join->rank, .n_ranks = join->n_ranks };
    t->module = module;
    t->pairs = calloc(join->n_ranks, sizeof(*t->pairs));
    t->memory = memory = calloc((size_t)(join->n_ranks - 1) * (MPI_MESSAGES_IN + MPI_MESSAGES_OUT),
                                MPI_MESSAGE_BYTES);
    if (!t->pairs || !t->memory)
        s = err_set(err, ST_NOMEM, "messages between %u ranks", join->n_ranks);
    for (uint32_t i = 0; s == ST_OK && i < join->n_ranks; i++)
        if (i != join->rank)
            s = pair_open(t, i, &memory, err);
    if (s != ST_OK) {
        mpi_close(&t->base);
        return s;
    }
    *ret_transport = &t->base;
    return ST_OK;
}

enum status mpi_join(const struct mpi_join *join, struct transport **ret_transport, struct err *err)
{
    const struct mpi_module *module;
    const enum status s = mpi_load(&module, err);

    return s == ST_OK ? mpi_join_by(module, join, ret_transport, err) : s;
}
