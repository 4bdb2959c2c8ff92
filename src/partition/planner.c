/* SPDX-License-Identifier: Apache-2.0 */
/* partition/planner.c - the table of strategies, and the choice among them. */
#include "partition/planner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/size.h"
#include "partition/strategy.h"

static const char asks_for_it[] = "it is taken only where its strategy is asked for by name";

/* From the simplest to run to the least; ties go to the earlier. */
static const struct strategy {
    const char *name;
    strategy_fn *plan;
    bool has_teams;
} strategies[] = {
    { "single", strategy_single, false },     { "ring-memory-weighted", strategy_ring, false },
    { "pipeline", strategy_pipeline, false }, { "tensor", strategy_tensor, true },
    { "hybrid", strategy_hybrid, true },      { "replicate", strategy_replicate, false },
};

_Static_assert(ARRAY_LEN(strategies) <= PLANNER_STRATEGIES_MAX, "a report holds every strategy");

enum status planner_workload(const struct plan_shape *shape, struct plan_workload *workload,
                             struct err *err)
{
    const struct model_info *m = &shape->info;
    const uint32_t trained = m->context_tokens;

    if (m->n_layer == 0 || m->layer_bytes == 0 || trained == 0)
        return err_set(err, ST_RANGE, "'%s' says nothing of its layers or context", m->name);
    if (workload->context_tokens > trained)
        return err_set(err, ST_RANGE, "'%s' was trained for %u tokens of context, %u are asked",
                       m->name, trained, workload->context_tokens);
    if (workload->context_tokens == 0)
        workload->context_tokens =
            trained < COST_CONTEXT_DEFAULT ? trained : (uint32_t)COST_CONTEXT_DEFAULT;
    if (workload->prompt_tokens > workload->context_tokens)
        return err_set(err, ST_RANGE, "a prompt of %u tokens is longer than the context of %u",
                       workload->prompt_tokens, workload->context_tokens);
    if (workload->prompt_tokens == 0)
        workload->prompt_tokens = workload->context_tokens < COST_PROMPT_DEFAULT
                                      ? workload->context_tokens
                                      : (uint32_t)COST_PROMPT_DEFAULT;
    if (workload->streams == 0)
        workload->streams = 1;
    if (workload->streams > COST_STREAMS_MAX)
        return err_set(err, ST_RANGE, "%u streams are asked, at most %d can be planned",
                       workload->streams, COST_STREAMS_MAX);
    return ST_OK;
}

static enum status check_forced(const char *name, struct err *err)
{
    struct buf names = { 0 };
    enum status s;

    if (!name || !*name)
        return ST_OK;
    for (size_t i = 0; i < ARRAY_LEN(strategies); i++)
        if (strcmp(strategies[i].name, name) == 0)
            return ST_OK;
    for (size_t i = 0; i < ARRAY_LEN(strategies); i++)
        buf_printf(&names, "%s%s", i > 0 ? ", " : "", strategies[i].name);
    s = err_set(err, ST_RANGE, "there is no strategy '%.32s'; there are %s", name,
                buf_text(&names));
    buf_release(&names);
    return s;
}

/* Beyond this many ranks a plan is not one that can be sent. */
static void check_size(struct plan_option *option)
{
    size_t n = 0;

    for (size_t i = 0; i < option->n_parts; i++)
        n += option->has_teams || option->parts[i].group == 0;
    if (option->is_possible && !option->blocker && n > PLAN_SHARDS_MAX)
        option->blocker = "an instance of more than 64 nodes is not executed by this build";
}

static bool is_asked_for(const struct planner_input *in, const char *strategy)
{
    return in->strategy && strcmp(in->strategy, strategy) == 0;
}

static size_t choose(const struct planner_input *in, const struct plan_report *report)
{
    size_t best = report->n_options;

    for (size_t i = 0; i < report->n_options; i++) {
        const struct plan_option *o = &report->options[i];

        if (!o->is_possible || o->blocker ||
            (in->strategy && *in->strategy && !is_asked_for(in, o->strategy)))
            continue;
        if (best == report->n_options ||
            o->prediction.tokens_per_s >
                report->options[best].prediction.tokens_per_s * (1 + PLANNER_TIE))
            best = i;
    }
    return best;
}

enum status planner_run(const struct planner_input *input, struct plan_report *ret, struct err *err)
{
    struct plan_report report = { 0 };
    enum status s;

    if (input->cluster->n_nodes == 0)
        return err_set(err, ST_RANGE, "there is no node to plan '%s' for", input->shape->info.name);
    s = check_forced(input->strategy, err);
    if (s != ST_OK)
        return s;
    for (size_t i = 0; i < ARRAY_LEN(strategies); i++) {
        struct plan_option *option = &report.options[report.n_options++];
        struct err why = { 0 };

        option->strategy = strategies[i].name;
        option->has_teams = strategies[i].has_teams;
        if (option->has_teams && !is_asked_for(input, strategies[i].name))
            option->blocker = asks_for_it;
        s = strategies[i].plan(input, option, &why);
        if (s == ST_NOMEM) {
            planner_release(&report);
            return err_set(err, s, "%s", why.words);
        }
        option->is_possible = s == ST_OK;
        if (s != ST_OK && !option->reason[0])
            (void)snprintf(option->reason, sizeof(option->reason), "%.255s", why.words);
        check_size(option);
    }
    report.chosen = choose(input, &report);
    *ret = report;
    return ST_OK;
}

void planner_release(struct plan_report *report)
{
    for (size_t i = 0; i < report->n_options; i++)
        free(report->options[i].parts);
    *report = (struct plan_report){ 0 };
}

const struct plan_option *planner_chosen(const struct plan_report *report)
{
    return report->chosen < report->n_options ? &report->options[report->chosen] : NULL;
}
