/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/plan_offline.h - plan for a cluster that is described in a file, without a node. */
#ifndef POMONA_CMD_PLAN_OFFLINE_H
#define POMONA_CMD_PLAN_OFFLINE_H

#include <jansson.h>

#include "base/status.h"
#include "cmd/cmd.h"
#include "cmd/placement.h"

/* The answer that a node would give to GET /cluster/plan, with "planned_ms" and, where nodes are
 * costed as GPUs, "assumes".
 * model      a name of partition/shape.h, else of this machine's store, else a path
 * ret_reply  given: json_decref()
 * Errors     as config_load(), store_find(), overrides_parse(), planner_run() */
enum status plan_offline(const struct app *app, const char *cluster, const char *model,
                         const struct placement *placement, json_t **ret_reply, struct err *err);

#endif
