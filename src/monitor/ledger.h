/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/ledger.h - every finding: what is observed goes in, changes come out.
 *
 * Who observes says subject, check and value; a subject that was never named before is new.  One of which nothing
 * is heard is unknown after a while, and forgotten after a longer one: instances come and go.
 *
 * Pure: the clock is an argument.
 *
 * Threads  the owner's
 */
#ifndef POMONA_MONITOR_LEDGER_H
#define POMONA_MONITOR_LEDGER_H

#include "base/buf.h"
#include "monitor/finding.h"

enum {
    SUBJECT_MAX = 160,  /* "node/studio-1", NUL included */
    LEDGER_MAX = 16384, /* findings; more are left out, and counted */
    CHANGE_WORDS_MAX = 200,
};

/* A subject's kind and name(s), as "link/a/b": ret_subject [SUBJECT_MAX], cut where it is too long.
 * second  NULL: there is none */
void subject_name(char *ret_subject, const char *kind, const char *name, const char *second);

struct ledger_entry {
    char subject[SUBJECT_MAX];
    enum check_id check;
    struct finding finding;
    char words[CHANGE_WORDS_MAX]; /* of who observed it last; may be "" */
};

struct ledger_change {
    const struct ledger_entry *entry; /* lent during the call; its finding has the new state */
    const struct check *check;
    enum finding_state from;
};

struct ledger;

typedef void ledger_change_fn(void *arg, const struct ledger_change *change);

/* on_change is called from inside ledger_observe() and ledger_tick(), and may not call them. */
enum status ledger_new(ledger_change_fn *on_change, void *arg, struct ledger **ret_ledger,
                       struct err *err);
void ledger_free(struct ledger *ledger); /* NULL is allowed */

/* checks  [N_CHECKS], copied */
void ledger_use(struct ledger *ledger, const struct check *checks);
const struct check *ledger_check(const struct ledger *ledger, enum check_id check);

/* words  why, for people; NULL: nothing to add */
void ledger_observe(struct ledger *ledger, const char *subject, enum check_id check, double value,
                    const char *words, uint64_t now_ns);

/* Age what was not observed; what is unknown for forget_s is no finding any more. */
void ledger_tick(struct ledger *ledger, double forget_s, uint64_t now_ns);

/* The findings in no order; lent until the next call. */
const struct ledger_entry *ledger_entries(const struct ledger *ledger, size_t *ret_n);
const struct ledger_entry *ledger_find(const struct ledger *ledger, const char *subject,
                                       enum check_id check); /* NULL: none */

/* The worst state there is. */
enum finding_state ledger_worst(const struct ledger *ledger);

#endif
