/* SPDX-License-Identifier: Apache-2.0 */
/* flow/exo.h - answers to exo's tools, and what has to be kept for them.
 *
 *   place or create --asked--> placing --> placed under another id; known by the one that was asked for
 *   await           --polled, each tick--> ready, or timeout
 *
 * exo answers before it knows whether a model can be placed, and says no more; here a plan that cannot be is
 * refused at once, and the answer comes when one is under way.
 *
 * Threads  the loop's
 */
#ifndef POMONA_FLOW_EXO_H
#define POMONA_FLOW_EXO_H

#include "base/status.h"
#include "gateway/admin/exo_request.h"
#include "gateway/http/exchange.h"

struct exo;
struct service;

/* Errors  ST_NOMEM */
enum status exo_new(struct service *service, struct exo **ret_exo, struct err *err);
void exo_free(struct exo *exo); /* NULL is allowed; placings go on */
void exo_tick(struct exo *exo, uint64_t now_ns);

/* Handlers; arg: the service. */
void exo_show_node_id(void *arg, struct exchange *x);
void exo_show_state(void *arg, struct exchange *x, const char *path);
void exo_show_instance(void *arg, struct exchange *x, const char *id);
void exo_show_previews(void *arg, struct exchange *x, const struct exo_placement *asked);
void exo_show_placement(void *arg, struct exchange *x, const struct exo_placement *asked);
void exo_place(void *arg, struct exchange *x, const struct exo_placement *asked);
void exo_create(void *arg, struct exchange *x, const struct place_request *request, const char *id);
void exo_delete(void *arg, struct exchange *x, const char *id);
void exo_await(void *arg, struct exchange *x, const char *model, double timeout_s);

#endif
