/* SPDX-License-Identifier: Apache-2.0 */
/* flow/placement.h - from a model to a plan: what requests and the admin API share. */
#ifndef POMONA_FLOW_PLACEMENT_H
#define POMONA_FLOW_PLACEMENT_H

#include "contract/node_set.h"
#include "contract/plan.h"
#include "flow/service_priv.h"
#include "gateway/admin/place_request.h"

/* Stage 3: the nodes that may hold `model`, those asked for where `request` is not NULL. */
enum status placement_nodes(struct service *service, const struct model_info *model,
                            const struct place_request *request, struct node_set *ret_nodes,
                            struct api_error *e);

/* The model that is asked to guess beside `model`, if one is. */
enum status placement_draft(struct service *service, const struct model_info *model,
                            const struct place_request *request, struct model_info *ret_draft,
                            bool *ret_has_draft, struct api_error *e);

/* The strategy that has to be asked for by name where a plan like this one is wanted; "": none. */
const char *placement_strategy(const struct plan *plan);
void placement_ask_for(const char *strategy, struct place_request *request);

/* Whether a split is meant as shares of a team: with strategy=tensor among the overrides. */
bool placement_asks_for_team(const struct place_request *request);

/* Stage 4: the layers of each; a split that is asked for, else what the planner predicts to be
 * fastest. */
enum status placement_plan(struct service *service, const struct model_info *model,
                           const struct node_set *nodes, const struct place_request *request,
                           struct plan *ret_plan, struct api_error *e);

/* The plan of an instance of `model` that is placing or ready: joining it
 * asks for nothing new.  Where `request` is not NULL: of its number format.
 * False: there is none. */
bool placement_join(struct service *service, const struct model_info *model,
                    const struct place_request *request, struct plan *ret_plan);

/* What a failed placing means to who asked for it. */
void placement_error(const struct err *failure, struct api_error *ret);

#endif
