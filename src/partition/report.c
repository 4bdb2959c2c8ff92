/* SPDX-License-Identifier: Apache-2.0 */
/* partition/report.c - plans as JSON.
 *
 * Names of nodes and models have no characters that JSON escapes (contract/),
 * and reasons are written in this folder; text() blanks what would break it all the same.
 */
#include "partition/report.h"

#include <inttypes.h>

static void text(struct buf *out, const char *words)
{
    buf_putc(out, '"');
    for (; *words; words++)
        buf_putc(out,
                 *words == '"' || *words == '\\' || (unsigned char)*words < ' ' ? ' ' : *words);
    buf_putc(out, '"');
}

static void write_part(const struct planner_input *in, const struct plan_part *part,
                       struct buf *out)
{
    const struct cost_node *node = &in->cluster->nodes[part->node];

    buf_puts(out, "{\"node\":");
    text(out, node->name);
    buf_printf(
        out,
        ",\"group\":%u,\"first_layer\":%u,\"n_layers\":%u,\"share\":%.4f,\"weight_bytes\":%" PRIu64
        ",\"kv_bytes\":%" PRIu64 ",\"work_bytes\":%" PRIu64 ",\"memory_bytes\":%" PRIu64 "}",
        part->group, part->first_layer, part->n_layers, part->share, part->weight_bytes,
        part->kv_bytes, part->work_bytes, node->memory_bytes);
}

static void write_prediction(const struct plan_option *option, struct buf *out)
{
    const struct plan_prediction *p = &option->prediction;

    buf_printf(out,
               ",\"tokens_per_s\":%.4g,\"tokens_per_s_one\":%.4g,\"first_token_s\":%.4g"
               ",\"load_s\":%.4g",
               p->tokens_per_s, p->tokens_per_s_one, p->first_token_s, p->load_s);
    if (p->joules_per_token > 0)
        buf_printf(out, ",\"joules_per_token\":%.4g", p->joules_per_token);
    if (option->n_steps > 0)
        buf_printf(out, ",\"exact\":%s,\"steps\":%" PRIu64, option->is_exact ? "true" : "false",
                   option->n_steps);
}

static void write_option(const struct planner_input *in, const struct plan_option *option,
                         struct buf *out)
{
    buf_puts(out, "{\"name\":");
    text(out, option->strategy);
    buf_printf(out, ",\"possible\":%s,\"executable\":%s", option->is_possible ? "true" : "false",
               option->is_possible && !option->blocker ? "true" : "false");
    if (option->blocker) {
        buf_puts(out, ",\"blocker\":");
        text(out, option->blocker);
    }
    if (!option->is_possible) {
        buf_puts(out, ",\"reason\":");
        text(out, option->reason);
        buf_putc(out, '}');
        return;
    }
    write_prediction(option, out);
    buf_puts(out, ",\"parts\":[");
    for (size_t i = 0; i < option->n_parts; i++) {
        buf_puts(out, i > 0 ? "," : "");
        write_part(in, &option->parts[i], out);
    }
    buf_puts(out, "]}");
}

void report_write(const struct planner_input *input, const struct plan_report *report,
                  struct buf *out)
{
    const struct plan_workload *w = input->workload;
    const struct plan_option *chosen = planner_chosen(report);

    buf_printf(out,
               "\"workload\":{\"streams\":%u,\"context_tokens\":%u,\"prompt_tokens\":%u"
               ",\"kv_format\":\"%s\",\"wire\":\"%s\"},\"strategy\":",
               w->streams, w->context_tokens, w->prompt_tokens, kv_format_name(w->kv_format),
               sum_format_name(w->sums));
    if (chosen)
        text(out, chosen->strategy);
    else
        buf_puts(out, "null");
    buf_puts(out, ",\"strategies\":[");
    for (size_t i = 0; i < report->n_options; i++) {
        buf_puts(out, i > 0 ? "," : "");
        write_option(input, &report->options[i], out);
    }
    buf_putc(out, ']');
}

void report_write_shards(const struct planner_input *input, const struct plan_report *report,
                         struct buf *out)
{
    const struct plan_option *chosen = planner_chosen(report);
    size_t rank = 0;

    buf_puts(out, "\"shards\":[");
    for (size_t i = 0; chosen && i < chosen->n_parts; i++) {
        const struct plan_part *part = &chosen->parts[i];

        if (part->group != 0 && !chosen->has_teams) /* of another copy */
            continue;
        buf_puts(out, rank > 0 ? ",{\"node\":" : "{\"node\":");
        text(out, input->cluster->nodes[part->node].name);
        buf_printf(out,
                   ",\"rank\":%zu,\"first_layer\":%u,\"n_layers\":%u,\"weight_bytes\":%" PRIu64
                   ",\"kv_bytes\":%" PRIu64 "}",
                   rank++, part->first_layer, part->n_layers, part->weight_bytes, part->kv_bytes);
    }
    buf_putc(out, ']');
}
