/* SPDX-License-Identifier: Apache-2.0 */
/* flow/exo_priv.h - what the files that answer exo's tools share. */
#ifndef POMONA_FLOW_EXO_PRIV_H
#define POMONA_FLOW_EXO_PRIV_H

#include "flow/exo.h"
#include "flow/service_priv.h"
#include "gateway/admin/exo.h"

enum { EXO_NAMES_MAX = 64, EXO_WAITERS_MAX = 256 };

/* An instance's id as it was asked for, and as it is: the last EXO_NAMES_MAX. */
struct exo_name {
    char asked[EXO_ID_MAX];
    char is[INSTANCE_ID_MAX];
};

/* A placing that was asked for; nobody waits for it. */
struct exo_placing {
    struct exo *exo;
    uint64_t ticket;
    char id[EXO_ID_MAX];
    struct exo_placing **link, *next;
};

struct exo_waiter;

struct exo {
    struct service *service;
    struct exo_name names[EXO_NAMES_MAX];
    size_t n_names; /* so far; the oldest make room */
    struct exo_placing *placings;
    struct exo_waiter *waiters;
    size_t n_waiters;
};

/* arg: struct exo; as exo_name_fn */
const char *exo_name_of(void *arg, const char *instance_id);

/* Answer with a tree, which is taken; NULL: no memory. */
void exo_reply(struct exchange *x, json_t *tree);

/* exo_await.c */
void exo_free_waiters(struct exo *exo);

#endif
