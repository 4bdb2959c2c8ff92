/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/admin/state.c - the cluster as JSON. */
#include "gateway/admin/state.h"

#include <inttypes.h>
#include <stdbool.h>

#include "base/hex.h"
#include "gateway/http/json_out.h"

static void key_text(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, "\"%s\":", key);
    json_out_text(out, value);
}

static const char *bool_word(bool value)
{
    return value ? "true" : "false";
}

void admin_render_health(const struct admin_state *state, const char *status, struct buf *out)
{
    size_t n_alive = 0, n_ready = 0;

    for (size_t i = 0; i < state->n_members; i++)
        n_alive += state->members[i].is_alive;
    for (size_t i = 0; i < state->n_instances; i++)
        n_ready += state->instances[i].state == INSTANCE_READY;
    buf_putc(out, '{');
    key_text(out, "status", status);
    buf_putc(out, ',');
    key_text(out, "node", state->node_name);
    buf_putc(out, ',');
    key_text(out, "version", state->version);
    buf_printf(
        out,
        ",\"uptime_s\":%" PRIu64
        ",\"nodes_alive\":%zu,\"nodes_total\":%zu,\"instances_ready\":%zu,\"unix_ms\":%" PRIu64 "}",
        state->uptime_s, n_alive, state->n_members, n_ready, state->unix_ms);
}

static void write_speed(const struct node_speed *from, struct buf *out)
{
    struct node_speed speed = *from;

    buf_puts(out, ",\"speed\":{");
    for (size_t i = 0; i < NODE_SPEED_FIELDS; i++)
        buf_printf(out, "%s\"%s\":%.4g", i ? "," : "", node_speed_fields[i].name,
                   *node_speed_at(&speed, i));
    buf_putc(out, '}');
}

static void write_member(const struct cluster_member *m, struct buf *out)
{
    buf_putc(out, '{');
    key_text(out, "name", m->name);
    buf_putc(out, ',');
    key_text(out, "id", m->id);
    buf_putc(out, ',');
    key_text(out, "version", m->version);
    buf_putc(out, ',');
    key_text(out, "host", m->host);
    buf_printf(out,
               ",\"port\":%u,\"api_port\":%u,\"alive\":%s,\"connected\":%s,\"datagrams\":%s,"
               "\"local\":%s,\"draining\":%s,"
               "\"memory_bytes\":%" PRIu64 ",\"memory_used_bytes\":%" PRIu64 ",\"rtt_ms\":%.3f"
               ",\"pings\":%" PRIu64 ",\"pongs\":%" PRIu64 ",",
               m->port, m->api_port, bool_word(m->is_alive), bool_word(m->is_connected),
               bool_word(m->has_datagrams), bool_word(m->is_local), bool_word(m->is_draining),
               m->memory_bytes, m->memory_used_bytes, m->rtt_ms, m->n_pings, m->n_pongs);
    key_text(out, "drained_by", m->drained_by);
    if (m->speed.memory_gbs > 0)
        write_speed(&m->speed, out);
    buf_putc(out, '}');
}

static void write_link(const struct cluster_link *link, struct buf *out)
{
    buf_putc(out, '{');
    key_text(out, "from", link->from);
    buf_putc(out, ',');
    key_text(out, "to", link->to);
    buf_putc(out, ',');
    key_text(out, "host", link->host);
    if (link->bytes_per_s > 0)
        buf_printf(out, ",\"latency_us\":%.1f,\"bytes_per_s\":%.0f", link->latency_s * 1e6,
                   link->bytes_per_s);
    buf_printf(out, ",\"answers\":%s,\"best\":%s}", bool_word(link->bytes_per_s > 0),
               bool_word(link->is_best));
}

static void write_progress(const struct shard_progress *p, struct buf *out)
{
    const double seconds = shard_progress_seconds_left(p);

    buf_printf(out, ",\"stage\":\"%s\",\"peer_bytes\":%" PRIu64 ",\"hub_bytes\":%" PRIu64,
               shard_stage_word(p->stage), p->peer_bytes, p->hub_bytes);
    if (p->stage == STAGE_READY)
        return;
    buf_printf(out, ",\"done_bytes\":%" PRIu64 ",\"total_bytes\":%" PRIu64, p->done_bytes,
               p->total_bytes);
    if (p->stage == STAGE_FETCHING)
        buf_printf(out, ",\"bytes_per_s\":%.0f", p->bytes_per_s);
    if (seconds >= 0)
        buf_printf(out, ",\"seconds_left\":%.1f", seconds);
}

/* "shards":[...], of the plan; how far each is, where `progress` is not NULL: [n_shards] */
static void write_shards(const struct plan *plan, const struct shard_progress *progress,
                         struct buf *out)
{
    uint32_t rank = 0;

    buf_puts(out, "\"shards\":[");
    for (size_t i = 0; i < plan->n_shards; i++, rank++) {
        const struct plan_shard *s = &plan->shards[i];

        buf_puts(out, i ? ",{" : "{");
        key_text(out, "node", s->node);
        buf_printf(out,
                   ",\"rank\":%u,\"first_layer\":%u,\"n_layers\":%u,\"weight_bytes\":%" PRIu64
                   ",\"kv_bytes\":%" PRIu64,
                   rank, s->first_layer, s->n_layers, s->weight_bytes, s->kv_bytes);
        if (s->share > 0)
            buf_printf(out, ",\"share\":%.4f", plan_fraction(plan, i));
        if (progress)
            write_progress(&progress[i], out);
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

void admin_render_instance(const struct cluster_instance *i, struct buf *out)
{
    buf_putc(out, '{');
    key_text(out, "id", i->view.id);
    buf_putc(out, ',');
    key_text(out, "model", i->view.model);
    buf_printf(out,
               ",\"state\":\"%s\",\"progress\":%.3f,\"load_seconds\":%.3f,\"context_tokens\":%u"
               ",\"active\":%u,\"waiting\":%u,\"kv_tokens\":%" PRIu64 ",\"kv_tokens_used\":%" PRIu64
               ",\"kv_tokens_cached\":%" PRIu64 ",\"generated_tokens\":%" PRIu64
               ",\"transport\":\"%s\",\"step_seconds\":%.3f,\"wait_seconds\":%.3f,",
               i->state == INSTANCE_READY ? "ready" : "placing", i->progress, i->load_seconds,
               i->plan.context_tokens, i->view.n_active, i->view.n_waiting, i->plan.kv_tokens,
               i->kv_tokens_used, i->kv_tokens_cached, i->n_generated_tokens,
               transport_kind_name(i->plan.transport), i->step_seconds, i->wait_seconds);
    write_shards(&i->plan, i->shards, out);
    buf_putc(out, '}');
}

void admin_render_progress(const struct cluster_instance *i, struct buf *out)
{
    buf_printf(out, "{\"progress\":%.3f,\"shards\":[", i->progress);
    for (size_t k = 0; k < i->plan.n_shards; k++) {
        buf_puts(out, k ? ",{" : "{");
        key_text(out, "node", i->plan.shards[k].node);
        write_progress(&i->shards[k], out);
        buf_putc(out, '}');
    }
    buf_puts(out, "]}");
}

static void write_model(const struct model_info *m, struct buf *out)
{
    char root[2 * MODEL_ROOT_BYTES + 1];

    buf_putc(out, '{');
    key_text(out, "name", m->name);
    buf_putc(out, ',');
    key_text(out, "architecture", m->architecture);
    buf_printf(out,
               ",\"n_layer\":%u,\"parameters\":%" PRIu64 ",\"file_bytes\":%" PRIu64
               ",\"context_tokens\":%u,\"is_part\":%s,",
               m->n_layer, m->n_parameters, m->file_bytes, m->context_tokens,
               bool_word(m->is_part));
    key_text(out, "origin", m->origin);
    hex_write(m->root, sizeof(m->root), root);
    if (m->has_root)
        buf_printf(out, ",\"root\":\"%s\"}", root);
    else
        buf_puts(out, ",\"root\":null}");
}

static void write_leadership(const struct cluster_leadership *l, struct buf *out)
{
    static const char *const words[] = {
        [LEADER_NONE] = "none", [LEADER_ELECTED] = "elected", [LEADER_CARETAKER] = "caretaker"
    };

    buf_puts(out, "\"leader\":");
    if (l->kind == LEADER_NONE)
        buf_puts(out, "null");
    else
        json_out_text(out, l->leader);
    buf_printf(out, ",\"leadership\":\"%s\",\"epoch\":%" PRIu64 ",\"voters\":%zu", words[l->kind],
               l->epoch, l->n_voters);
}

static void write_wanted(const struct admin_wanted *w, struct buf *out)
{
    buf_putc(out, '{');
    key_text(out, "model", w->model);
    buf_printf(out, ",\"copies\":%zu", w->n_copies);
    if (w->trouble[0]) {
        buf_putc(out, ',');
        key_text(out, "trouble", w->trouble);
    }
    buf_putc(out, '}');
}

void admin_render_state(const struct admin_state *state, struct buf *out)
{
    buf_putc(out, '{');
    key_text(out, "cluster", state->cluster_name);
    buf_putc(out, ',');
    key_text(out, "node", state->node_name);
    buf_putc(out, ',');
    key_text(out, "version", state->version);
    buf_putc(out, ',');
    write_leadership(&state->leadership, out);
    buf_puts(out, ",\"nodes\":[");
    for (size_t i = 0; i < state->n_members; i++) {
        buf_puts(out, i ? "," : "");
        write_member(&state->members[i], out);
    }
    buf_puts(out, "],\"instances\":[");
    for (size_t i = 0; i < state->n_instances; i++) {
        buf_puts(out, i ? "," : "");
        admin_render_instance(&state->instances[i], out);
    }
    buf_puts(out, "],\"wanted\":[");
    for (size_t i = 0; i < state->n_wanted; i++) {
        buf_puts(out, i ? "," : "");
        write_wanted(&state->wanted[i], out);
    }
    buf_puts(out, "],\"links\":[");
    for (size_t i = 0; i < state->n_links; i++) {
        buf_puts(out, i ? "," : "");
        write_link(&state->links[i], out);
    }
    buf_puts(out, "],\"models\":[");
    for (size_t i = 0; i < state->n_models; i++) {
        buf_puts(out, i ? "," : "");
        write_model(&state->models[i], out);
    }
    buf_puts(out, "]}");
}

void admin_render_plan(const struct plan *plan, const char *members, struct buf *out)
{
    buf_putc(out, '{');
    key_text(out, "model", plan->model);
    if (plan->draft[0]) {
        buf_putc(out, ',');
        key_text(out, "draft", plan->draft);
    }
    buf_printf(out,
               ",\"context_tokens\":%u,\"kv_tokens\":%" PRIu64 ",\"kv_format\":\"%s\","
               "\"activations\":%u,\"transport\":\"%s\",\"wire\":\"%s\",",
               plan->context_tokens, plan->kv_tokens, kv_format_name(plan->kv_format),
               activation_format_bits(plan->activations), transport_kind_name(plan->transport),
               sum_format_name(plan->sums));
    write_shards(plan, NULL, out);
    if (members)
        buf_printf(out, ",%s", members);
    buf_putc(out, '}');
}
