/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/mlx/judge.h - can an MLX job run on these hosts, as they say of themselves?
 *
 * Pure: no host is asked here. */
#ifndef POMONA_CMD_MLX_JUDGE_H
#define POMONA_CMD_MLX_JUDGE_H

#include "cmd/mlx/facts.h"

/* What a host answered. */
struct mlx_answer {
    bool is_there;
    struct mlx_facts facts;  /* where it is */
    char why[ERR_WORDS_MAX]; /* it is not */
};

/* Fill the devices of every pair from the cables that hosts see, for JACCL.
 * answers  [hosts->n], all there
 * Errors   ST_NOTFOUND  two hosts are not cabled to one another; ST_RANGE  more than a mesh has */
enum status mlx_find_devices(struct mlx_hosts *hosts, const struct mlx_answer *answers,
                             struct err *err);

/* Append what is wrong, each an array's string in `problems`, a sentence with what to do.
 * answers  [hosts->n]; NULL: only the file itself is judged */
void mlx_judge(const struct mlx_hosts *hosts, const struct mlx_answer *answers, json_t *problems);

#endif
