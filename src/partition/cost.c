/* SPDX-License-Identifier: Apache-2.0 */
/* partition/cost.c - bytes and seconds of shards; the formulas are explained in cost.h. */
#include "partition/cost.h"

#include <math.h>

#include "partition/saturate.h"

/* A machine of which nothing is known: four cores and two channels of DDR4, at what
 * `pomona bench` measured for one core of such a machine (bench/RESULTS.md). */
static const struct node_speed unknown_speed = {
    .memory_gbs = 20, .compute_gops = 240, .layer_us = 20, .disk_gbs = 1
};

/* 1 Gbit/s through a switch, where no link is known. */
static const double unknown_latency_s = 200e-6, unknown_bytes_per_s = 118e6;

void cost_complete(struct node_speed *speed)
{
    if (!(speed->memory_gbs > 0))
        speed->memory_gbs = unknown_speed.memory_gbs;
    if (!(speed->compute_gops > 0))
        speed->compute_gops = unknown_speed.compute_gops;
    if (!(speed->attend_gops > 0))
        speed->attend_gops = speed->compute_gops;
    if (!(speed->layer_us > 0))
        speed->layer_us = unknown_speed.layer_us;
    if (!(speed->disk_gbs > 0))
        speed->disk_gbs = unknown_speed.disk_gbs;
}

static bool is_first(enum cost_role role)
{
    return role == COST_FIRST || role == COST_ONLY;
}

static bool is_last(enum cost_role role)
{
    return role == COST_LAST || role == COST_ONLY;
}

static uint64_t weight_bytes(const struct plan_shape *shape, const struct plan_workload *workload,
                             enum cost_role role, uint32_t n_layers)
{
    const struct model_info *m = &shape->info;
    uint64_t bytes = saturate_mul(n_layers, m->layer_bytes);

    if (is_first(role))
        bytes = saturate_add(bytes, m->embedding_bytes);
    if (is_last(role))
        bytes = saturate_add(bytes, m->output_bytes);
    if (m->file_bytes > 0 && bytes > m->file_bytes) /* a tied matrix counts once */
        bytes = m->file_bytes;
    return is_last(role) ? saturate_add(bytes, workload->draft_bytes) : bytes;
}

/* Of a token and a layer. */
static uint64_t kv_bytes(const struct plan_shape *shape, const struct plan_workload *workload)
{
    const uint64_t bytes = shape->info.kv_bytes_per_token;

    return workload->kv_format == KV_F16 ? bytes : kv_format_bytes(workload->kv_format, bytes / 2);
}

uint64_t cost_bytes(const struct plan_shape *shape, const struct plan_workload *workload,
                    enum cost_role role, uint32_t n_layers, uint64_t *ret_weights, uint64_t *ret_kv,
                    uint64_t *ret_work)
{
    const uint64_t tokens = saturate_mul(workload->streams, workload->context_tokens);
    const uint64_t weights = weight_bytes(shape, workload, role, n_layers);
    const uint64_t kv = saturate_mul(saturate_mul(n_layers, kv_bytes(shape, workload)), tokens);
    uint64_t work =
        sizeof(float) * COST_WORK_ROWS * COST_WORK_HIDDENS * (uint64_t)shape->info.n_hidden;

    if (is_last(role))
        work += sizeof(float) * (uint64_t)shape->info.n_vocab * workload->streams;
    if (ret_weights)
        *ret_weights = weights;
    if (ret_kv)
        *ret_kv = kv;
    if (ret_work)
        *ret_work = work;
    return saturate_add(saturate_add(weights, kv), work);
}

/* Bytes grow with the layers, so the most that fit is found by halving. */
uint32_t cost_capacity(const struct plan_shape *shape, const struct plan_workload *workload,
                       enum cost_role role, uint64_t memory_bytes)
{
    uint32_t fits = 0, fails = shape->info.n_layer + 1;

    while (fails - fits > 1) {
        const uint32_t middle = fits + (fails - fits) / 2;

        if (cost_bytes(shape, workload, role, middle, NULL, NULL, NULL) <= memory_bytes)
            fits = middle;
        else
            fails = middle;
    }
    return fits;
}

/* Reading and computing of the same matrices: cost.h. */
static double both(const struct node_speed *speed, double bytes, double operations)
{
    const double x = bytes / (speed->memory_gbs * 1e9);
    const double y = operations / (speed->compute_gops * 1e9);
    const double longer = fmax(x, y), shorter = fmin(x, y);

    if (!(speed->overlap >= 1) || !(longer > 0))
        return longer;
    return longer * pow(1 + pow(shorter / longer, speed->overlap), 1 / speed->overlap);
}

double cost_layer_s(const struct plan_shape *shape, const struct plan_workload *workload,
                    const struct node_speed *speed, double rows, double attended)
{
    const double hidden = shape->info.n_hidden, looks = rows * attended;
    double read = (double)(shape->info.layer_bytes - shape->expert_bytes);

    if (shape->n_experts > 0)
        read += (double)shape->expert_bytes *
                (1 - pow(1 - (double)shape->n_chosen / shape->n_experts, rows));
    return both(speed, read, 2 * rows * shape->layer_params) +
           fmax(looks * (double)kv_bytes(shape, workload) / (speed->memory_gbs * 1e9),
                4 * looks * hidden / (speed->attend_gops * 1e9)) +
           speed->layer_us * 1e-6 + rows * hidden * speed->row_ns * 1e-9;
}

double cost_output_s(const struct plan_shape *shape, const struct node_speed *speed, double rows)
{
    return both(speed, (double)shape->info.output_bytes, 2 * rows * shape->output_params) +
           (speed->layer_us + speed->step_us) * 1e-6 +
           rows * (shape->info.n_vocab * speed->sample_ns * 1e-9 + speed->token_us * 1e-6);
}

static const struct cost_pair *pair_find(const struct cost_cluster *cluster, size_t a, size_t b)
{
    size_t low = 0, high = cluster->n_pairs;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct cost_pair *p = &cluster->pairs[middle];

        if (p->a == a && p->b == b)
            return p;
        if (p->a < a || (p->a == a && p->b < b))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static double link_s(double latency_s, double bytes_per_s, double bytes)
{
    if (!(latency_s > 0))
        latency_s = unknown_latency_s;
    if (!(bytes_per_s > 0))
        bytes_per_s = unknown_bytes_per_s;
    return latency_s + bytes / bytes_per_s;
}

double cost_hop_s(const struct cost_cluster *cluster, size_t a, size_t b, double bytes)
{
    const struct cost_node *from = &cluster->nodes[a], *to = &cluster->nodes[b];
    const struct cost_pair *pair = a < b ? pair_find(cluster, a, b) : pair_find(cluster, b, a);
    double best = INFINITY;

    if (a == b)
        return 0;
    if (pair)
        return link_s(pair->latency_s, pair->bytes_per_s, bytes);
    for (size_t i = 0; i < from->n_ports; i++)
        for (size_t k = 0; k < to->n_ports; k++) {
            const struct cost_port *p = &from->ports[i], *q = &to->ports[k];

            if (p->network == q->network)
                best = fmin(best, link_s(fmax(p->latency_s, q->latency_s),
                                         fmin(p->bytes_per_s, q->bytes_per_s), bytes));
        }
    return isfinite(best) ? best : link_s(0, 0, bytes);
}

double cost_row_bytes(const struct plan_shape *shape, double rows)
{
    return sizeof(float) * rows * shape->info.n_hidden;
}

double cost_flights(const struct plan_workload *workload, size_t n_stages)
{
    return n_stages < workload->streams ? (double)n_stages : workload->streams;
}

enum cost_output { WITH_OUTPUT, WITHOUT_OUTPUT };

/* What one flight of `rows` rows makes a stage compute, at a given speed. */
static double stage_s(const struct plan_shape *shape, const struct plan_workload *workload,
                      const struct cost_stage *stage, const struct node_speed *speed, double rows,
                      enum cost_output output, double attended)
{
    double s = stage->n_layers * cost_layer_s(shape, workload, speed, rows, attended);

    if (output == WITH_OUTPUT)
        s += cost_output_s(shape, speed, rows);
    return s;
}

static double flight_s(const struct cost_cluster *cluster, const struct plan_shape *shape,
                       const struct plan_workload *workload, const struct cost_stage *stages,
                       size_t n_stages, double rows, enum cost_output output, double attended,
                       double *ret_slowest, double *ret_joules)
{
    double total = 0, slowest = 0, joules = 0;
    bool knows_watts = true;

    for (size_t i = 0; i < n_stages; i++) {
        const struct node_speed *speed = &cluster->nodes[stages[i].node].speed;
        const double stage = stage_s(shape, workload, &stages[i], speed, rows,
                                     i + 1 == n_stages ? output : WITHOUT_OUTPUT, attended);

        if (i + 1 < n_stages)
            total += cost_hop_s(cluster, stages[i].node, stages[i + 1].node,
                                cost_row_bytes(shape, rows));
        total += stage;
        slowest = fmax(slowest, stage);
        joules += stage * speed->watts;
        knows_watts &= speed->watts > 0;
    }
    if (ret_slowest)
        *ret_slowest = slowest;
    if (ret_joules)
        *ret_joules = knows_watts ? joules : 0;
    return total + cost_hop_s(cluster, stages[n_stages - 1].node, stages[0].node, 0);
}

double cost_flight_s(const struct cost_cluster *cluster, const struct plan_shape *shape,
                     const struct plan_workload *workload, const struct cost_stage *stages,
                     size_t n_stages, double rows, double *ret_slowest, double *ret_joules)
{
    return flight_s(cluster, shape, workload, stages, n_stages, rows, WITH_OUTPUT,
                    workload->prompt_tokens, ret_slowest, ret_joules);
}

/* Of the machine that has the most to do for one flight; 0 where none is shared. */
static double busiest_machine_s(const struct cost_cluster *cluster, const struct plan_shape *shape,
                                const struct plan_workload *workload,
                                const struct cost_stage *stages, size_t n_stages, double rows)
{
    double busiest = 0;

    for (size_t i = 0; i < n_stages; i++) {
        const uint64_t id = cluster->nodes[stages[i].node].machine.id;
        double sum = 0;
        size_t n = 0;

        for (size_t k = 0; k < n_stages && id != 0; k++) {
            const struct node_machine *machine = &cluster->nodes[stages[k].node].machine;

            if (machine->id != id)
                continue;
            sum +=
                stage_s(shape, workload, &stages[k], &machine->speed, rows,
                        k + 1 == n_stages ? WITH_OUTPUT : WITHOUT_OUTPUT, workload->prompt_tokens);
            n++;
        }
        if (n > 1)
            busiest = fmax(busiest, sum);
    }
    return busiest;
}

double cost_cycle_s(const struct cost_cluster *cluster, const struct plan_shape *shape,
                    const struct plan_workload *workload, const struct cost_stage *stages,
                    size_t n_stages)
{
    const double flights = cost_flights(workload, n_stages), rows = workload->streams / flights;
    double slowest;
    const double one =
        cost_flight_s(cluster, shape, workload, stages, n_stages, rows, &slowest, NULL);
    const double busiest = busiest_machine_s(cluster, shape, workload, stages, n_stages, rows);

    return fmax(one, flights * fmax(slowest, busiest));
}

static double load_s(const struct cost_cluster *cluster, const struct plan_shape *shape,
                     const struct plan_workload *workload, const struct cost_stage *stages,
                     size_t n_stages)
{
    double longest = 0;

    for (size_t i = 0; i < n_stages; i++) {
        const enum cost_role role = n_stages == 1       ? COST_ONLY
                                    : i == 0            ? COST_FIRST
                                    : i + 1 == n_stages ? COST_LAST
                                                        : COST_MIDDLE;
        uint64_t weights;

        (void)cost_bytes(shape, workload, role, stages[i].n_layers, &weights, NULL, NULL);
        longest =
            fmax(longest, (double)weights / (cluster->nodes[stages[i].node].speed.disk_gbs * 1e9));
    }
    return longest;
}

void cost_predict(const struct cost_cluster *cluster, const struct plan_shape *shape,
                  const struct plan_workload *workload, const struct cost_stage *stages,
                  size_t n_stages, struct plan_prediction *ret)
{
    const double flights = cost_flights(workload, n_stages), rows = workload->streams / flights;
    const double n_chunks = ceil(workload->prompt_tokens / (double)COST_CHUNK_ROWS);
    double joules;

    ret->tokens_per_s =
        workload->streams / cost_cycle_s(cluster, shape, workload, stages, n_stages);
    ret->tokens_per_s_one =
        1 / cost_flight_s(cluster, shape, workload, stages, n_stages, 1, NULL, NULL);
    ret->first_token_s = cost_output_s(shape, &cluster->nodes[stages[n_stages - 1].node].speed, 1) +
                         n_chunks * flight_s(cluster, shape, workload, stages, n_stages,
                                             workload->prompt_tokens / n_chunks, WITHOUT_OUTPUT,
                                             workload->prompt_tokens / 2.0, NULL, NULL);
    ret->load_s = load_s(cluster, shape, workload, stages, n_stages);
    (void)cost_flight_s(cluster, shape, workload, stages, n_stages, rows, NULL, &joules);
    ret->joules_per_token = joules / rows;
}
