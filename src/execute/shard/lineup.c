/* SPDX-License-Identifier: Apache-2.0 */
/* execute/shard/lineup.c - the ranks of an instance, team by team, and who sends steps to whom. */
#include "execute/shard/lineup.h"

enum status lineup_init(struct lineup *ret, const uint32_t *sizes, uint32_t n_teams,
                        struct err *err)
{
    struct lineup l = { .n_teams = n_teams };

    if (n_teams == 0 || n_teams > LINEUP_RANKS_MAX)
        return err_set(err, ST_RANGE, "an instance of %u teams", n_teams);
    for (uint32_t i = 0; i < n_teams; i++) {
        const uint32_t size = sizes ? sizes[i] : 1;

        if (size == 0 || size > LINEUP_RANKS_MAX - l.first[i])
            return err_set(err, ST_RANGE, "a team of %u members", size);
        l.first[i + 1] = l.first[i] + size;
    }
    *ret = l;
    return ST_OK;
}

uint32_t lineup_n_ranks(const struct lineup *l)
{
    return l->first[l->n_teams];
}

uint32_t lineup_team(const struct lineup *l, uint32_t rank)
{
    uint32_t team = 0;

    while (l->first[team + 1] <= rank)
        team++;
    return team;
}

uint32_t lineup_size(const struct lineup *l, uint32_t team)
{
    return l->first[team + 1] - l->first[team];
}

uint32_t lineup_source(const struct lineup *l, uint32_t rank)
{
    const uint32_t team = lineup_team(l, rank);

    if (team == 0)
        return lineup_n_ranks(l) - 1;
    return l->first[team - 1] + (rank - l->first[team]) % lineup_size(l, team - 1);
}
