/* SPDX-License-Identifier: Apache-2.0 */
/* execute/shard/lineup.h - the ranks of an instance, team by team, and who sends steps to whom.
 *
 * Teams are consecutive ranks, and follow one another as their layers do; in a pipeline each
 * has one member.  Members of a team have the same hidden rows, so each member of the next team
 * gets them from one of these: the k-th from the k-th, and round again where there are more.
 *
 * Pure.
 */
#ifndef POMONA_EXECUTE_SHARD_LINEUP_H
#define POMONA_EXECUTE_SHARD_LINEUP_H

#include <stdint.h>

#include "base/status.h"

enum { LINEUP_RANKS_MAX = 64 };

struct lineup {
    uint32_t n_teams;
    uint32_t first[LINEUP_RANKS_MAX + 1]; /* [n_teams + 1]: first rank of each, then all ranks */
};

/* sizes  [n_teams] members of each; NULL: one each
 * Errors  ST_RANGE  a size is 0, or there are no ranks or too many */
enum status lineup_init(struct lineup *ret, const uint32_t *sizes, uint32_t n_teams,
                        struct err *err);

uint32_t lineup_n_ranks(const struct lineup *lineup);
uint32_t lineup_team(const struct lineup *lineup, uint32_t rank);
uint32_t lineup_size(const struct lineup *lineup, uint32_t team);

/* Whom a rank gets its steps from: the driver, which is the last rank, where it is of the
 * first team. */
uint32_t lineup_source(const struct lineup *lineup, uint32_t rank);

#endif
