/* SPDX-License-Identifier: Apache-2.0 */
/* partition/strategy/team.c - nodes that split every layer, seen as one node.
 *
 * A member with u of U heads reads and computes u/U of each layer; the team
 * is done when the slowest is.  Then rows are summed over the team twice a
 * layer (after attention and after the inner network: Shoeybi et al. 2019,
 * arXiv:1909.08053, section 3).  One sum of B bytes, in the format that they are sent in, over n
 * members costs the lesser of what execute/collective.h has
 *
 *   one round    a hop of (n - 1) B bytes
 *   two rounds   two hops of (n - 1) / n B bytes
 *
 * over the worst link of the team; it is added to the time that each layer costs
 * whatever its size.  The driver sends each step to all, which is a hop of next to nothing.
 * Members on one machine take turns at its cores, and are together as fast as that is.
 */
#include <math.h>
#include <stdio.h>

#include "partition/strategy.h"

enum { SUMS_PER_LAYER = 2 };

/* Whole heads to the member done first, while its memory lasts. */
static bool deal_heads(const struct planner_input *in, const uint32_t *members, size_t n_members,
                       uint64_t bytes, uint64_t work, uint32_t *ret_units)
{
    const uint32_t n_heads = in->shape->n_kv_heads;

    for (size_t i = 0; i < n_members; i++)
        ret_units[i] = 0;
    for (uint32_t head = 0; head < n_heads; head++) {
        size_t best = n_members;
        double best_s = INFINITY;

        for (size_t i = 0; i < n_members; i++) {
            const struct cost_node *node = &in->cluster->nodes[members[i]];
            const double units = ret_units[i] + 1;
            /* a member without any must get one: it is a member */
            const double s = ret_units[i] == 0 ? 0 : units / node->speed.memory_gbs;

            if ((double)bytes * units / n_heads + (double)work <= (double)node->memory_bytes &&
                s < best_s) {
                best = i;
                best_s = s;
            }
        }
        if (best == n_members)
            return false;
        ret_units[best]++;
    }
    for (size_t i = 0; i < n_members; i++)
        if (ret_units[i] == 0)
            return false;
    return true;
}

static double sum_s(const struct planner_input *in, const uint32_t *members, size_t n, double rows)
{
    const double bytes =
        (double)sum_format_bytes(in->workload->sums, (size_t)(rows * in->shape->info.n_hidden));
    double one = 0, two = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            const double sent = bytes * (double)(n - 1);

            one = fmax(one, cost_hop_s(in->cluster, members[i], members[k], sent));
            two = fmax(two, 2 * cost_hop_s(in->cluster, members[i], members[k], sent / (double)n));
        }
    return n > 2 ? fmin(one, two) : one;
}

/* Until the last member has a step. */
static double step_s(const struct planner_input *in, const uint32_t *members, size_t n)
{
    double longest = 0;

    for (size_t i = 0; i + 1 < n; i++)
        longest = fmax(longest, cost_hop_s(in->cluster, members[n - 1], members[i], 0));
    return longest;
}

/* A member is done when all of its machine are, as they take turns. */
static struct node_speed speed_of(const struct planner_input *in, const uint32_t *members, size_t n,
                                  const uint32_t *units, size_t i)
{
    const struct cost_node *node = &in->cluster->nodes[members[i]];
    struct node_speed speed = node->speed;
    double all = 0;
    size_t n_there = 0;

    for (size_t k = 0; k < n; k++)
        if (node->machine.id != 0 &&
            in->cluster->nodes[members[k]].machine.id == node->machine.id) {
            all += units[k];
            n_there++;
        }
    if (n_there > 1) {
        const double part = units[i] / all;
        const struct node_speed *machine = &node->machine.speed;

        speed.memory_gbs = fmin(speed.memory_gbs, machine->memory_gbs * part);
        speed.compute_gops = fmin(speed.compute_gops, machine->compute_gops * part);
        speed.attend_gops = fmin(speed.attend_gops, machine->attend_gops * part);
    }
    return speed;
}

bool team_make(const struct planner_input *in, const uint32_t *members, size_t n_members,
               uint32_t n_layers, double rows, struct team *ret)
{
    const double n_heads = in->shape->n_kv_heads;
    struct cost_node *team = &ret->node;
    uint64_t weights, kv, work;
    double room = INFINITY;

    (void)cost_bytes(in->shape, in->workload, COST_ONLY, n_layers, &weights, &kv, &work);
    if (!deal_heads(in, members, n_members, weights + kv, work, ret->units))
        return false;
    *team = in->cluster->nodes[members[0]];
    team->most_layers = UINT32_MAX;
    team->speed = (struct node_speed){ .memory_gbs = INFINITY,
                                       .compute_gops = INFINITY,
                                       .attend_gops = INFINITY,
                                       .disk_gbs = INFINITY };
    for (size_t i = 0; i < n_members; i++) {
        const struct cost_node *node = &in->cluster->nodes[members[i]];
        const struct node_speed speed = speed_of(in, members, n_members, ret->units, i);
        const double part = ret->units[i] / n_heads;

        team->least_layers = node->least_layers > 0 ? 1 : team->least_layers;
        team->speed.memory_gbs = fmin(team->speed.memory_gbs, speed.memory_gbs / part);
        team->speed.compute_gops = fmin(team->speed.compute_gops, speed.compute_gops / part);
        team->speed.attend_gops = fmin(team->speed.attend_gops, speed.attend_gops / part);
        team->speed.disk_gbs = fmin(team->speed.disk_gbs, speed.disk_gbs / part);
        team->speed.layer_us = fmax(team->speed.layer_us, speed.layer_us);
        team->speed.row_ns = fmax(team->speed.row_ns, speed.row_ns * part);
        team->speed.sample_ns = fmax(team->speed.sample_ns, speed.sample_ns * part);
        team->speed.overlap = i == 0 ? speed.overlap : fmin(team->speed.overlap, speed.overlap);
        team->speed.step_us = fmax(team->speed.step_us, speed.step_us);
        team->speed.token_us = fmax(team->speed.token_us, speed.token_us);
        room = fmin(room, ((double)node->memory_bytes - (double)work) / part);
    }
    for (size_t i = 0; i < n_members; i++) /* all are busy as long as the slowest */
        team->speed.watts += in->cluster->nodes[members[i]].speed.watts;
    for (size_t i = 0; i < n_members; i++)
        if (!(in->cluster->nodes[members[i]].speed.watts > 0))
            team->speed.watts = 0;
    if (n_members > 1) {
        team->speed.layer_us += 1e6 * SUMS_PER_LAYER * sum_s(in, members, n_members, rows);
        team->speed.step_us += 1e6 * step_s(in, members, n_members);
    }
    team->memory_bytes = room > 0 ? (uint64_t)room + work : 0;
    return true;
}
