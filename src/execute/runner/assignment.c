/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/assignment.c - what the node told this runner to be, checked. */
#include "execute/runner/assignment.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A copy that ends in NUL; false where `text` does not fit. */
static bool copy_text(char *to, size_t capacity, const char *text)
{
    const size_t n = strlen(text);

    if (n >= capacity)
        return false;
    memcpy(to, text, n + 1);
    return true;
}

static enum status check_numbers(const Wire__ShardAssign *m, struct err *err)
{
    if (m->n_ranks == 0 || m->n_ranks > TCP_RANKS_MAX || m->rank >= m->n_ranks)
        return err_set(err, ST_RANGE, "rank %u of %u", m->rank, m->n_ranks);
    if (m->n_layers == 0)
        return err_set(err, ST_RANGE, "a shard without layers");
    if (m->context_tokens < 2 || m->context_tokens > 1u << 24)
        return err_set(err, ST_RANGE, "a context of %u tokens", m->context_tokens);
    if (m->kv_tokens == 0 || m->kv_tokens / RUNNER_PAGE_TOKENS >= UINT32_MAX / 2)
        return err_set(err, ST_RANGE, "room for %llu tokens", (unsigned long long)m->kv_tokens);
    if (m->kv_format >= N_KV_FORMATS)
        return err_set(err, ST_RANGE, "keys and values in format %u", m->kv_format);
    if (m->activations >= N_ACTIVATION_FORMATS)
        return err_set(err, ST_RANGE, "activations in format %u", m->activations);
    if (m->transport >= N_TRANSPORT_KINDS)
        return err_set(err, ST_RANGE, "transport %u", m->transport);
    if (m->sums >= N_SUM_FORMATS)
        return err_set(err, ST_RANGE, "sums in format %u", m->sums);
    if (m->key.len != INSTANCE_KEY_BYTES || m->model_digest.len != MODEL_DIGEST_BYTES)
        return err_set(err, ST_RANGE, "a key or digest of the wrong length");
    return ST_OK;
}

static void take_hosts(const Wire__Endpoint *from, struct hosts *ret_hosts)
{
    ret_hosts->n = 0;
    for (size_t i = 0; i < from->n_hosts; i++)
        hosts_add(ret_hosts, from->hosts[i]);
}

static enum status take_endpoints(struct assignment *a, Wire__Endpoint *const *endpoints, size_t n,
                                  bool is_part, struct err *err)
{
    if (n > SWARM_SOURCES_MAX - a->n_sources)
        return err_set(err, ST_RANGE, "%zu more sources of a model", n);
    for (size_t i = 0; i < n; i++) {
        if (!copy_text(a->sources[a->n_sources].host, HOST_MAX, endpoints[i]->host) ||
            endpoints[i]->port == 0 || endpoints[i]->port > UINT16_MAX)
            return err_set(err, ST_RANGE, "the address of source %zu cannot be one", i);
        take_hosts(endpoints[i], &a->sources[a->n_sources].hosts);
        a->sources[a->n_sources].is_part = is_part;
        a->sources[a->n_sources++].port = (uint16_t)endpoints[i]->port;
    }
    return ST_OK;
}

/* Where the file comes from. */
static enum status take_sources(struct assignment *a, const Wire__ShardAssign *m, struct err *err)
{
    enum status s = take_endpoints(a, m->sources, m->n_sources, false, err);

    if (s == ST_OK)
        s = take_endpoints(a, m->part_sources, m->n_part_sources, true, err);
    if (s != ST_OK)
        return s;
    if (m->model_root.len != 0 && m->model_root.len != MODEL_ROOT_BYTES)
        return err_set(err, ST_RANGE, "a root of %zu bytes", m->model_root.len);
    if (!(m->fetch_begin >= 0 && m->fetch_begin < 1))
        return err_set(err, ST_RANGE, "a fetch that begins outside the file");
    a->is_fetched = m->is_fetched;
    a->fetch_begin = m->fetch_begin;
    a->has_root = m->model_root.len > 0;
    if (a->has_root)
        memcpy(a->model_root, m->model_root.data, sizeof(a->model_root));
    if (!copy_text(a->model_name, sizeof(a->model_name), m->model_name) ||
        !copy_text(a->origin, sizeof(a->origin), m->origin) ||
        !copy_text(a->hub_endpoint, sizeof(a->hub_endpoint), m->hub_endpoint) ||
        !copy_text(a->hub_token, sizeof(a->hub_token), m->hub_token))
        return err_set(err, ST_RANGE, "a name, an address or a token is too long");
    return ST_OK;
}

/* ret_has  false: the message has none */
static enum status take_key(const ProtobufCBinaryData *from, bool *ret_has,
                            uint8_t ret_key[DATA_KEY_BYTES], struct err *err)
{
    if (from->len != 0 && from->len != DATA_KEY_BYTES)
        return err_set(err, ST_RANGE, "a key of %zu bytes", from->len);
    *ret_has = from->len > 0;
    if (*ret_has)
        memcpy(ret_key, from->data, DATA_KEY_BYTES);
    return ST_OK;
}

/* Which ranks are a team, and what of each layer is this one's. */
static enum status take_teams(struct assignment *a, const Wire__ShardAssign *m, struct err *err)
{
    const bool has_sizes = m->n_team_sizes > 0;
    const size_t n_teams = has_sizes ? m->n_team_sizes : m->n_ranks;
    uint32_t size;
    enum status s;

    if (n_teams > TCP_RANKS_MAX)
        return err_set(err, ST_RANGE, "an instance of %zu teams", n_teams);
    s = lineup_init(&a->lineup, has_sizes ? m->team_sizes : NULL, (uint32_t)n_teams, err);
    if (s != ST_OK)
        return s;
    if (lineup_n_ranks(&a->lineup) != m->n_ranks)
        return err_set(err, ST_RANGE, "teams of %u members for %u ranks",
                       lineup_n_ranks(&a->lineup), m->n_ranks);
    size = lineup_size(&a->lineup, lineup_team(&a->lineup, m->rank));
    if (m->n_shares > PORTION_MEMBERS_MAX || (m->n_shares != size && (m->n_shares > 0 || size > 1)))
        return err_set(err, ST_RANGE, "%zu shares for a team of %u", m->n_shares, size);
    if (size > 1) {
        memcpy(a->shares, m->shares, m->n_shares * sizeof(*a->shares));
        a->n_shares = size;
    }
    return ST_OK;
}

enum status assignment_read(const Wire__ShardAssign *m, struct assignment **ret_assignment,
                            struct err *err)
{
    struct assignment *a;
    enum status s;

    s = check_numbers(m, err);
    if (s != ST_OK)
        return s;
    a = calloc(1, sizeof(*a));
    if (!a)
        return err_set(err, ST_NOMEM, "an assignment");
    if (!copy_text(a->instance_id, sizeof(a->instance_id), m->instance_id) ||
        !copy_text(a->model_path, sizeof(a->model_path), m->model_path) ||
        !copy_text(a->draft_path, sizeof(a->draft_path), m->draft_path) ||
        !copy_text(a->listen_host, sizeof(a->listen_host), m->listen_host) ||
        !copy_text(a->engine, sizeof(a->engine), m->engine) ||
        !copy_text(a->kernels, sizeof(a->kernels), m->kernels)) {
        free(a);
        return err_set(err, ST_RANGE, "a name in the assignment is too long");
    }
    s = take_sources(a, m, err);
    if (s == ST_OK)
        s = take_key(&m->fetch_key, &a->has_fetch_key, a->fetch_key, err);
    if (s == ST_OK)
        s = take_key(&m->data_key, &a->has_data_key, a->data_key.bytes, err);
    if (s == ST_OK)
        s = take_teams(a, m, err);
    if (s != ST_OK) {
        assignment_free(a);
        return s;
    }
    memcpy(a->key, m->key.data, sizeof(a->key));
    memcpy(a->model_digest, m->model_digest.data, sizeof(a->model_digest));
    a->rank = m->rank;
    a->n_ranks = m->n_ranks;
    a->first_layer = m->first_layer;
    a->n_layers = m->n_layers;
    a->context_tokens = m->context_tokens;
    a->n_pages = (uint32_t)((m->kv_tokens + RUNNER_PAGE_TOKENS - 1) / RUNNER_PAGE_TOKENS);
    a->kv_format = (enum kv_format)m->kv_format;
    a->activations = (enum activation_format)m->activations;
    a->sums = (enum sum_format)m->sums;
    a->n_threads = m->n_threads;
    a->transport = (enum transport_kind)m->transport;
    *ret_assignment = a;
    return ST_OK;
}

void assignment_free(struct assignment *a)
{
    if (!a)
        return;
    tcp_listener_close(a->listener);
    cluster_key_wipe(a, sizeof(*a));
    free(a);
}

struct step_limits assignment_limits(const struct assignment *a, uint32_t n_vocab,
                                     uint32_t n_hidden)
{
    return (struct step_limits){
        .max_rows = RUNNER_MAX_ROWS,
        .max_spans = RUNNER_MAX_SEQUENCES,
        .context_tokens = a->context_tokens,
        .page_tokens = RUNNER_PAGE_TOKENS,
        .n_pages = a->n_pages,
        .n_vocab = n_vocab,
        .n_hidden = n_hidden,
        .max_logit_rows = lineup_size(&a->lineup, a->lineup.n_teams - 1) > 1
                              ? RUNNER_MAX_SEQUENCES + RUNNER_MAX_GUESSES
                              : 0,
    };
}

enum status endpoints_read(const Wire__ShardConnect *m, struct endpoints **ret_endpoints,
                           struct err *err)
{
    struct endpoints *e;

    if (m->n_ranks == 0 || m->n_ranks > TCP_RANKS_MAX)
        return err_set(err, ST_RANGE, "%zu ranks to connect to", m->n_ranks);
    e = calloc(1, sizeof(*e));
    if (!e)
        return err_set(err, ST_NOMEM, "endpoints");
    e->n = (uint32_t)m->n_ranks;
    for (uint32_t i = 0; i < e->n; i++) {
        if (!copy_text(e->host[i], HOST_MAX, m->ranks[i]->host) || m->ranks[i]->port > UINT16_MAX) {
            free(e);
            return err_set(err, ST_RANGE, "the address of rank %u cannot be one", i);
        }
        take_hosts(m->ranks[i], &e->hosts[i]);
        e->ranks[i] =
            (struct tcp_endpoint){ e->host[i], (uint16_t)m->ranks[i]->port, &e->hosts[i] };
    }
    *ret_endpoints = e;
    return ST_OK;
}
