/* SPDX-License-Identifier: Apache-2.0 */
/* partition/report.h - plans as JSON: the same words from a node and from `pomona plan`.
 *
 *   "workload": {"streams","context_tokens","prompt_tokens","kv_format","wire"},
 *   "strategy": NAME or null,
 *   "strategies": [ {"name","possible","executable","blocker","reason","exact","steps",
 *                    "tokens_per_s","tokens_per_s_one","first_token_s","load_s","joules_per_token",
 *                    "parts": [ {"node","group","first_layer","n_layers","share",
 *                                "weight_bytes","kv_bytes","work_bytes","memory_bytes"} ] } ]
 *
 * Fields that do not apply are left out.
 */
#ifndef POMONA_PARTITION_REPORT_H
#define POMONA_PARTITION_REPORT_H

#include "base/buf.h"
#include "partition/planner.h"

/* Append the members above, without braces around them. */
void report_write(const struct planner_input *input, const struct plan_report *report,
                  struct buf *out);

/* The chosen plan's shards, as "shards": [ {"node","rank","first_layer","n_layers",
 * "weight_bytes","kv_bytes"} ]; empty where nothing is chosen. */
void report_write_shards(const struct planner_input *input, const struct plan_report *report,
                         struct buf *out);

#endif
