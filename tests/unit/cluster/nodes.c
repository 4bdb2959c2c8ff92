/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/nodes.c - several nodes of one cluster in one process, on one loop. */
#include "support/check.h"

#include "nodes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/size.h"

enum { PORTS_FROM = 20000, N_PORTS = 12000 };

static const char *const names[N_NODES] = { "a", "b", "c" };

static void on_instance_gone(void *arg, const char *instance_id, const struct err *why)
{
    struct node *node = arg;

    (void)instance_id;
    node->n_gone++;
    snprintf(node->gone_words, sizeof(node->gone_words), "%s", why->words);
}

static const struct cluster_events events = { .on_instance_gone = on_instance_gone };

/* Whether nothing listens on it, for TCP and UDP. */
static bool is_free(uint16_t port)
{
    static const int kinds[] = { SOCK_STREAM, SOCK_DGRAM };
    const struct sockaddr_in at = { .sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    bool is_free = true;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const int fd = socket(AF_INET, kinds[i], 0);

        assert_true(fd >= 0);
        is_free &= bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0;
        close(fd);
    }
    return is_free;
}

/* Below the ports that systems give to outgoing connections: one of these, or another test's, could
 * take it between its choice and its use. */
static uint16_t free_port(void)
{
    uint16_t port;

    do
        port = (uint16_t)(PORTS_FROM + random_u64() % N_PORTS);
    while (!is_free(port));
    return port;
}

void nodes_init(struct nodes *nodes)
{
    struct err err;

    memset(nodes, 0, sizeof(*nodes));
    (void)signal(SIGPIPE, SIG_IGN); /* as `pomona serve` does: channels break under messages */
    nodes->cluster_name = "test";
    nodes->assign_ms = 60000;
    assert_ok(loop_new(&nodes->loop, &err), err);
    for (size_t i = 0; i < N_NODES; i++) {
        nodes->node[i].nodes = nodes;
        snprintf(nodes->peers[i].name, NODE_NAME_MAX, "%s", names[i]);
        snprintf(nodes->peers[i].host, HOST_MAX, "127.0.0.1");
        nodes->peers[i].port = free_port();
        snprintf(nodes->dir[i], sizeof(nodes->dir[i]), "/tmp/pomona-nodes-XXXXXX");
        assert_non_null(mkdtemp(nodes->dir[i]));
    }
}

void nodes_release(struct nodes *nodes)
{
    char path[128];

    for (size_t i = 0; i < N_NODES; i++) {
        node_stop(nodes, i);
        for (unsigned rank = 0; rank < N_NODES; rank++) {
            snprintf(path, sizeof(path), "%s/pid-%u", nodes->dir[i], rank);
            (void)unlink(path);
        }
        (void)rmdir(nodes->dir[i]);
    }
    loop_free(nodes->loop);
}

static void give_model(struct nodes *nodes, size_t index, const char *how)
{
    struct cluster_model model = {
        .info = { .name = "m", .architecture = "llama", .n_layer = N_LAYERS, .context_tokens = 128 }
    };
    char path[128];
    struct err err;

    snprintf(path, sizeof(path), "%s/%s", nodes->dir[index], how);
    model.path = path;
    assert_ok(cluster_set_models(nodes->node[index].cluster, &model, 1, &err), err);
}

void node_start(struct nodes *nodes, size_t index, const char *how)
{
    char id[33], program[1024];
    const struct cluster_options options = {
        .cluster_name = nodes->cluster_name,
        .node_name = names[index],
        .node_id = id,
        .host = "127.0.0.1",
        .port = nodes->peers[index].port,
        .api_port = 1,
        .memory_bytes = 1000,
        .runner_program = program,
        .peers = nodes->peers,
        .n_peers = N_NODES,
        .step_version = nodes->step_version[index],
        .assign_ms = nodes->assign_ms,
        .load_ms = 60000,
    };
    struct err err;

    assert_non_null(getenv("POMONA_BUILD"));
    snprintf(program, sizeof(program), "%s/tests/support/fake_runner", getenv("POMONA_BUILD"));
    snprintf(id, sizeof(id), "%032zu", index + 1);
    assert_ok(cluster_new(nodes->loop, &options, &events, &nodes->node[index],
                          &nodes->node[index].cluster, &err),
              err);
    give_model(nodes, index, how);
}

void node_stop(struct nodes *nodes, size_t index)
{
    cluster_free(nodes->node[index].cluster);
    nodes->node[index].cluster = NULL;
}

void nodes_start(struct nodes *nodes)
{
    for (size_t i = 0; i < N_NODES; i++)
        node_start(nodes, i, "good");
    for (size_t i = 0; i < N_NODES; i++)
        nodes_until_alive(nodes, i, N_NODES);
}

void nodes_until(struct nodes *nodes, bool (*is_true)(void *arg), void *arg, const char *what)
{
    const uint64_t until = deadline_after_ms(30000);

    while (!is_true(arg)) {
        if (clock_ns() > until)
            fail_msg("after 30 s still not: %s", what);
        (void)event_base_loop(loop_base(nodes->loop), EVLOOP_ONCE);
    }
}

size_t n_alive(struct nodes *nodes, size_t index)
{
    struct cluster_member members[N_NODES];
    size_t n = 0;

    assert_int_equal(cluster_members(nodes->node[index].cluster, members, N_NODES), N_NODES);
    for (size_t i = 0; i < N_NODES; i++)
        n += members[i].is_alive;
    return n;
}

size_t n_instances(struct nodes *nodes, size_t index, enum instance_state state)
{
    static struct cluster_instance instances[8];
    const size_t n = cluster_instances(nodes->node[index].cluster, instances, 8);
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += instances[i].state == state;
    return found;
}

struct wanted {
    struct nodes *nodes;
    size_t index, n;
    enum instance_state state;
};

static bool is_alive(void *arg)
{
    const struct wanted *w = arg;

    return n_alive(w->nodes, w->index) == w->n;
}

void nodes_until_alive(struct nodes *nodes, size_t index, size_t n)
{
    struct wanted w = { .nodes = nodes, .index = index, .n = n };

    nodes_until(nodes, is_alive, &w, "as many nodes alive as wanted");
}

static bool has_instances(void *arg)
{
    const struct wanted *w = arg;

    return n_instances(w->nodes, w->index, w->state) == w->n;
}

void nodes_until_instances(struct nodes *nodes, size_t index, enum instance_state state, size_t n)
{
    struct wanted w = { nodes, index, n, state };

    nodes_until(nodes, has_instances, &w, "as many instances as wanted");
}

struct plan plan_over(const char *list)
{
    struct plan plan = { .model = "m", .context_tokens = 128, .kv_tokens = 128 };
    uint32_t next = 0;

    plan.n_shards = strlen(list);
    for (size_t i = 0; i < plan.n_shards; i++) {
        struct plan_shard *shard = &plan.shards[i];

        shard->node[0] = list[i];
        shard->first_layer = next;
        shard->n_layers = (uint32_t)(N_LAYERS / plan.n_shards);
        shard->weight_bytes = 100;
        shard->kv_bytes = 10;
        next += shard->n_layers;
    }
    return plan;
}

static void on_place(void *arg, bool done, const struct cluster_instance *instance,
                     const struct err *failure)
{
    struct placement *p = arg;

    if (!done) {
        p->n_progress++;
        return;
    }
    p->n_done++;
    p->is_ready = instance != NULL;
    if (instance)
        p->instance = *instance;
    else
        p->failure = *failure;
}

static void on_unplaced(void *arg, bool done, const struct cluster_instance *instance,
                        const struct err *failure)
{
    struct placement *p = arg;

    assert_true(done);
    assert_null(instance);
    p->n_done++;
    if (failure)
        p->failure = *failure;
}

enum status node_place(struct nodes *nodes, size_t index, const struct plan *plan,
                       struct placement *placement, struct err *err)
{
    const struct place_order order = { plan, PLACE_ASKED };

    memset(placement, 0, sizeof(*placement));
    return cluster_place(nodes->node[index].cluster, &order, on_place, placement,
                         &placement->ticket, err);
}

enum status node_unplace(struct nodes *nodes, size_t index, const char *model, struct err *err)
{
    struct placement p = { 0 };

    assert_ok(cluster_unplace(nodes->node[index].cluster, model, on_unplaced, &p, &p.ticket, err),
              *err);
    nodes_until_placed(nodes, &p);
    *err = p.failure;
    return p.failure.status;
}

static bool is_placed(void *arg)
{
    const struct placement *p = arg;

    return p->n_done > 0;
}

void nodes_until_placed(struct nodes *nodes, struct placement *placement)
{
    nodes_until(nodes, is_placed, placement, "the placing ended");
}

struct cluster_instance place_ready(struct nodes *nodes, size_t index, const char *list)
{
    const struct plan plan = plan_over(list);
    struct placement placement;
    struct err err;

    assert_ok(node_place(nodes, index, &plan, &placement, &err), err);
    nodes_until_placed(nodes, &placement);
    if (!placement.is_ready)
        fail_msg("not placed: %s", placement.failure.words);
    for (size_t i = 0; i < N_NODES; i++)
        if (nodes->node[i].cluster)
            nodes_until_instances(nodes, i, INSTANCE_READY, 1);
    return placement.instance;
}

pid_t runner_pid(struct nodes *nodes, size_t index, unsigned rank)
{
    char path[128];
    long pid = 0;
    FILE *f;

    snprintf(path, sizeof(path), "%s/pid-%u", nodes->dir[index], rank);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%ld", &pid), 1);
    fclose(f);
    return (pid_t)pid;
}

static bool has_no_child(void *arg)
{
    siginfo_t info;

    (void)arg;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

void assert_no_child(struct nodes *nodes)
{
    nodes_until(nodes, has_no_child, NULL, "no process left");
}

int nodes_set_up(void **state)
{
    static struct nodes nodes;

    nodes_init(&nodes);
    *state = &nodes;
    return 0;
}

int nodes_tear_down(void **state)
{
    nodes_release(*state);
    return 0;
}
