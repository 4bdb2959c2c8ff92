/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/scribe.h - grammars compile beside the driver, so that its sequences do not stand still.
 *
 * One thread, in order of asking, begun with the first grammar.  A grammar takes some tens of milliseconds at
 * most (text/grammar/grammar.h).
 *
 * Threads  one owner thread
 */
#ifndef POMONA_EXECUTE_RUNNER_SCRIBE_H
#define POMONA_EXECUTE_RUNNER_SCRIBE_H

#include "execute/runner/orders.h"
#include "text/grammar/vocab.h"

struct scribe;

/* vocab, orders  borrowed until scribe_free().  Errors: ST_NOMEM */
enum status scribe_new(const struct grammar_vocab *vocab, struct orders *orders,
                       struct scribe **ret_scribe, struct err *err);
void scribe_free(struct scribe *scribe); /* waits for the grammar under way; NULL is allowed */

/* Compile: an ORDER_COMPILED with this text comes, its run or why there is none.
 * Errors  ST_NOMEM, ST_FULL (no thread to be had); then none comes */
enum status scribe_ask(struct scribe *scribe, const char *grammar, struct err *err);

#endif
