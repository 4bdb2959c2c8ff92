/* SPDX-License-Identifier: Apache-2.0 */
/* balance/policy.h - which of several servers of one model answers a request: the policies.
 *
 * A policy is pure: a snapshot of the candidates, the request and a random number in, an index out.
 * A candidate is an instance of this cluster or an upstream; a policy does not know which.
 *
 * To add one: a file beside predicted_work.c with a const struct balance_policy, named below, and
 * a row in policies[] (policy.c).
 */
#ifndef POMONA_BALANCE_POLICY_H
#define POMONA_BALANCE_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct balance_candidate {
    uint64_t key;               /* who it is: the same in every snapshot, on every gateway */
    double weight;              /* > 0; how much it shall get beside the others, 1 as a rule */
    double warmth;              /* 0..1: a share of its weight, while it starts (slow_start.h) */
    uint32_t n_outstanding;     /* requests it has */
    uint64_t n_waiting_tokens;  /* of prompts given to it and not answered yet */
    double prompt_tokens_per_s; /* as measured; 0: not yet, here and below */
    double token_s;             /* from one token of an answer to the next, with one request more */
};

struct balance_request {
    uint64_t n_prompt_tokens;
    uint64_t n_answer_tokens; /* expected */
    uint64_t session;         /* what the client says it goes on with; 0: nothing */
    uint64_t prefix;          /* of how the prompt begins; 0: not known */
    uint64_t random;
    uint64_t turn; /* counts requests of one model */
};

struct balance_policy {
    const char *name;
    /* n >= 1; the index of who answers. */
    size_t (*choose)(const struct balance_candidate *candidates, size_t n,
                     const struct balance_request *request);
};

extern const struct balance_policy balance_predicted_work; /* the default */
extern const struct balance_policy balance_least_outstanding;
extern const struct balance_policy balance_round_robin;
extern const struct balance_policy balance_prefix_affinity;
extern const struct balance_policy balance_session_affinity;

/* name  "" is the default
 * Errors  ST_NOTFOUND, with the names there are */
enum status balance_policy_find(const char *name, const struct balance_policy **ret_policy,
                                struct err *err);

/* What the policies share. */

/* The next of a sequence of random numbers. */
uint64_t balance_next_random(uint64_t random);

/* Seconds until the request would be answered by `c`, divided by its share. */
double balance_seconds(const struct balance_candidate *candidates, size_t n, size_t index,
                       const struct balance_request *request);

/* Whose turn a key is by rendezvous hashing (Thaler and Ravishankar 1998), among those that have
 * not more than `bound` times the mean of outstanding requests: as good as everything stays where
 * it was when candidates come and go, and what is too much for one goes to its second.
 * Source  consistent hashing with bounded loads, Mirrokni et al. 2016 */
size_t balance_owner(const struct balance_candidate *candidates, size_t n, uint64_t key,
                     double bound);

#endif
