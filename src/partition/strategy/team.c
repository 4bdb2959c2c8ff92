/* SPDX-License-Identifier: Apache-2.0 */
/* partition/strategy/team.c - nodes that split every layer, seen as one node.
 *
 * A member with u of U heads reads and computes u/U of each layer; the team
 * is done when the slowest is.  Then rows are summed over the team twice a
 * layer (after attention and after the inner network: Shoeybi et al. 2019,
 * arXiv:1909.08053, section 3).  One sum of B bytes over n members costs the
 * lesser of
 *
 *   ring    2 (n - 1) hops of B / n bytes   (Patarasuk and Yuan 2009, doi:10.1016/j.jpdc.2008.09.002)
 *   direct  one hop of (n - 1) B bytes, everybody to everybody
 *
 * over the worst link of the team; it is added to the time that each layer costs
 * whatever its size.
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
    const double bytes = cost_row_bytes(in->shape, rows);
    double ring = 0, direct = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t k = i + 1; k < n; k++) {
            const double part = cost_hop_s(in->cluster, members[i], members[k], bytes / (double)n);
            const double all =
                cost_hop_s(in->cluster, members[i], members[k], bytes * (double)(n - 1));

            ring = fmax(ring, part);
            direct = fmax(direct, all);
        }
    return fmin(ring * 2 * (double)(n - 1), direct);
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
    team->least_layers = 0;
    team->most_layers = UINT32_MAX;
    team->speed = (struct node_speed){ .memory_gbs = INFINITY,
                                       .compute_gops = INFINITY,
                                       .attend_gops = INFINITY,
                                       .disk_gbs = INFINITY };
    for (size_t i = 0; i < n_members; i++) {
        const struct cost_node *node = &in->cluster->nodes[members[i]];
        const double part = ret->units[i] / n_heads;

        team->speed.memory_gbs = fmin(team->speed.memory_gbs, node->speed.memory_gbs / part);
        team->speed.compute_gops = fmin(team->speed.compute_gops, node->speed.compute_gops / part);
        team->speed.attend_gops = fmin(team->speed.attend_gops, node->speed.attend_gops / part);
        team->speed.disk_gbs = fmin(team->speed.disk_gbs, node->speed.disk_gbs / part);
        team->speed.layer_us = fmax(team->speed.layer_us, node->speed.layer_us);
        team->speed.row_ns = fmax(team->speed.row_ns, node->speed.row_ns * part);
        team->speed.sample_ns = fmax(team->speed.sample_ns, node->speed.sample_ns);
        team->speed.step_us = fmax(team->speed.step_us, node->speed.step_us);
        team->speed.token_us = fmax(team->speed.token_us, node->speed.token_us);
        room = fmin(room, ((double)node->memory_bytes - (double)work) / part);
    }
    for (size_t i = 0; i < n_members; i++) /* all are busy as long as the slowest */
        team->speed.watts += in->cluster->nodes[members[i]].speed.watts;
    for (size_t i = 0; i < n_members; i++)
        if (!(in->cluster->nodes[members[i]].speed.watts > 0))
            team->speed.watts = 0;
    if (n_members > 1)
        team->speed.layer_us += 1e6 * SUMS_PER_LAYER * sum_s(in, members, n_members, rows);
    team->memory_bytes = room > 0 ? (uint64_t)room + work : 0;
    return true;
}
