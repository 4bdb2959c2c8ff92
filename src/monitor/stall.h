/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/stall.h - which instance computes nothing though it is asked, and which answers are wrong.
 *
 * A node ends a runner that leaves its beats unanswered or whose step does not get on.  One that answers them
 * and computes nothing is seen from outside alone: a canary (a request of a few tokens) stays without an answer,
 * and the instance's count of tokens does not move meanwhile.  After 10 s it is ended by POST /cluster/replace: its
 * streams look for another as after any loss, and the leader places it anew.  Neither is enough by itself: a long
 * prompt makes no tokens for a while, and a queue makes a canary wait.
 *
 * Answers: with temperature 0 an instance gives the same one always, and so does another with the same
 * layers on the same nodes.
 *
 * Pure: the clock is an argument.
 */
#ifndef POMONA_MONITOR_STALL_H
#define POMONA_MONITOR_STALL_H

#include "monitor/remote.h"

enum { STALL_INSTANCES_MAX = 256, CANARY_ANSWERS_MAX = 8 };

struct stall {
    struct stall_instance {
        char id[64];
        uint64_t n_generated, moved_ns, seen_ns;
        bool is_busy;
        char model[REMOTE_NAME_MAX];
    } instances[STALL_INSTANCES_MAX]; /* [n] */
    size_t n;
};

/* What a node said of its instances; of several nodes the highest count stands.  Those that are not told of for
 * `forget_ns` are forgotten. */
void stall_learn(struct stall *stall, const struct remote_state *state, uint64_t forget_ns,
                 uint64_t now_ns);

/* The seconds for which instance `at` has stood still while a canary of its model, sent at `canary_ns` (0: none
 * is), was open.  Where a model has several instances, only those that have requests are meant, or the first if none has. */
double stall_seconds(const struct stall *stall, size_t at, uint64_t canary_ns, uint64_t now_ns);

/* Answers of one model's canary. */
struct canary_memory {
    uint64_t signature;                   /* of all its instances; others begin anew */
    uint64_t answers[CANARY_ANSWERS_MAX]; /* [n] hashes of those that are right */
    size_t n;
    unsigned n_wrong; /* in a row */
};

/* An answer came.
 * signature  of all instances of the model that are ready; n_kinds  how many different ones: so many answers are
 *            believed
 * Returns    wrong answers in a row, this one included; 0: it is right */
unsigned canary_judge(struct canary_memory *memory, uint64_t signature, size_t n_kinds,
                      uint64_t answer_hash, bool is_expected);

#endif
