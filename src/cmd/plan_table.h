/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/plan_table.h - the strategies of a plan, as a table for people. */
#ifndef POMONA_CMD_PLAN_TABLE_H
#define POMONA_CMD_PLAN_TABLE_H

#include <jansson.h>

/* Print "strategies" of a plan (partition/report.h), the chosen one marked;
 * nothing where the plan has none. */
void plan_table_print(const json_t *plan);

#endif
