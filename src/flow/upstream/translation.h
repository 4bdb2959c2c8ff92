/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/translation.h - a request of another dialect that an upstream answers as a chat.
 *
 *   what the dialect parsed --chat_request.h--> the upstream --chat_events.h--> deltas --answer.h--> the dialect's words
 *
 * What the client is sent is written by its dialect, as for an instance of this cluster.  A client that wants no stream
 * is answered when the last event came; until then nothing went out, and the whole may begin anew elsewhere.
 *
 * Threads  the loop's
 */
#ifndef POMONA_FLOW_UPSTREAM_TRANSLATION_H
#define POMONA_FLOW_UPSTREAM_TRANSLATION_H

#include "gateway/dialect/api_request.h"
#include "gateway/http/exchange.h"

struct translation;

/* x        borrowed until translation_free(), or until the answer ended it
 * request  taken, copied; on error it stays the caller's
 * Errors   ST_NOMEM */
enum status translation_new(struct exchange *x, struct api_request *request,
                            struct translation **ret_translation, struct err *err);
void translation_free(struct translation *t); /* NULL is allowed */

/* What was reserved for it: given, reservation_end(). */
struct reservation *translation_take_reservation(struct translation *t);

const struct api_request *translation_request(const struct translation *t);

/* Whole events of the upstream [n]; what they bring goes to the client, if it wants a stream.
 * Errors  as chat_events_feed(); ST_NOMEM */
enum status translation_feed(struct translation *t, const char *bytes, size_t n, struct err *err);
enum status translation_whole(struct translation *t, const char *body, size_t n, struct err *err);

/* The stream's headers and its first events, unless they went out: for clients that want one. */
void translation_start(struct translation *t);
void translation_keep_alive(struct translation *t);

/* Forget what came: it begins anew, and nothing went out yet.  Errors  ST_NOMEM */
enum status translation_again(struct translation *t, struct err *err);

/* The rest of the answer; the exchange is over. */
void translation_finish(struct translation *t);

/* The exchange is over, as an HTTP status or as the dialect's event. */
void translation_fail(struct translation *t, const struct api_error *e);

const char *translation_id(const struct translation *t);    /* of its answer; "": it has none */
bool translation_has_begun(const struct translation *t);    /* headers went out */
uint64_t translation_n_tokens(const struct translation *t); /* of prompt and answer; 0: not known */

#endif
