/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_hello.c - who may speak on the control channel, and who is turned away. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "cluster/node.pb-c.h"
#include "net/channel.h"
#include "nodes.h"

/* A stranger with a channel of its own to node b. */
struct stranger {
    struct channel *channel;
    bool is_open, is_closed;
    char refused[256];
    bool got_hello;
    unsigned n_denied; /* instances that end because who commands does not lead */
};

struct fixture {
    struct nodes nodes;
    struct stranger stranger;
    uint64_t epoch; /* in which it commands */
};

static void on_message(void *arg, struct channel *channel, ProtobufCMessage *base)
{
    const Wire__NodeMessage *m = (const Wire__NodeMessage *)base;
    struct stranger *s = arg;

    (void)channel;
    if (m->body_case == WIRE__NODE_MESSAGE__BODY_REFUSED)
        snprintf(s->refused, sizeof(s->refused), "%s", m->refused->words);
    if (m->body_case == WIRE__NODE_MESSAGE__BODY_HELLO)
        s->got_hello = true;
    if (m->body_case == WIRE__NODE_MESSAGE__BODY_GONE)
        s->n_denied += m->gone->status == ST_DENIED;
}

static void on_close(void *arg, struct channel *channel, const struct err *reason)
{
    struct stranger *s = arg;

    (void)channel;
    (void)reason;
    s->is_closed = true;
}

static void on_open(void *arg, struct channel *channel)
{
    struct stranger *s = arg;

    (void)channel;
    s->is_open = true;
}

static const struct channel_events events = {
    .type = &wire__node_message__descriptor,
    .max_bytes = 1 << 20,
    .on_message = on_message,
    .on_close = on_close,
    .on_open = on_open,
};

static bool is_open(void *arg)
{
    return ((struct stranger *)arg)->is_open;
}

static bool is_closed(void *arg)
{
    return ((struct stranger *)arg)->is_closed;
}

static bool got_hello(void *arg)
{
    return ((struct stranger *)arg)->got_hello;
}

static int set_up(void **state)
{
    static struct fixture f;
    struct channel_target target = { .host = "127.0.0.1", .timeout_ms = 5000 };
    struct err err;

    memset(&f, 0, sizeof(f));
    nodes_init(&f.nodes);
    node_start(&f.nodes, 1, "good");
    target.port = f.nodes.peers[1].port;
    assert_ok(channel_dial(f.nodes.loop, &target, &events, &f.stranger, &f.stranger.channel, &err),
              err);
    nodes_until(&f.nodes, is_open, &f.stranger, "connected");
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    channel_free(f->stranger.channel);
    nodes_release(&f->nodes);
    return 0;
}

/* What node a would say. */
static Wire__Hello good_hello(void)
{
    static char cluster[] = "test", node[] = "a", id[] = "1", version[] = "9.9";
    Wire__Hello hello = WIRE__HELLO__INIT;

    hello.protocol = 1;
    hello.cluster = cluster;
    hello.node = node;
    hello.id = id;
    hello.version = version;
    return hello;
}

static void say(struct fixture *f, Wire__Hello *hello)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;

    message.body_case = WIRE__NODE_MESSAGE__BODY_HELLO;
    message.hello = hello;
    channel_send(f->stranger.channel, &message.base);
}

static void assert_refused(struct fixture *f, const char *says)
{
    nodes_until(&f->nodes, is_closed, &f->stranger, "turned away");
    if (!strstr(f->stranger.refused, says))
        fail_msg("'%s' does not say '%s'", f->stranger.refused, says);
    assert_int_equal(n_alive(&f->nodes, 1), 1);
}

static void a_good_hello_is_answered_and_silence_afterwards_is_death(void **state)
{
    struct fixture *f = *state;
    Wire__Hello hello = good_hello();

    say(f, &hello);
    nodes_until(&f->nodes, got_hello, &f->stranger, "Hello back");
    assert_int_equal(n_alive(&f->nodes, 1), 2);
    nodes_until(&f->nodes, is_closed, &f->stranger, "dead of silence");
    assert_int_equal(n_alive(&f->nodes, 1), 1);
}

static void another_protocol_is_refused(void **state)
{
    Wire__Hello hello = good_hello();

    hello.protocol = 7;
    hello.protocol_min = 6;
    say(*state, &hello);
    assert_refused(*state, "protocol 6 to 7");
}

/* good_hello() is of a node one version behind; this one is ahead. */
static void a_newer_protocol_that_knows_this_one_is_welcome(void **state)
{
    struct fixture *f = *state;
    Wire__Hello hello = good_hello();

    hello.protocol = 6;
    hello.protocol_min = 5;
    say(f, &hello);
    nodes_until(&f->nodes, got_hello, &f->stranger, "Hello back");
    assert_int_equal(n_alive(&f->nodes, 1), 2);
}

static void another_cluster_is_refused(void **state)
{
    Wire__Hello hello = good_hello();
    char name[] = "other";

    hello.cluster = name;
    say(*state, &hello);
    assert_refused(*state, "another cluster");
}

static void an_unknown_node_is_refused(void **state)
{
    Wire__Hello hello = good_hello();
    char name[] = "z";

    hello.node = name;
    say(*state, &hello);
    assert_refused(*state, "not a node of this cluster");
}

static void this_nodes_own_name_is_refused(void **state)
{
    Wire__Hello hello = good_hello();
    char name[] = "b";

    hello.node = name;
    say(*state, &hello);
    assert_refused(*state, "its own name");
}

static void a_message_before_hello_is_refused(void **state)
{
    struct fixture *f = *state;
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Beat beat = WIRE__BEAT__INIT;

    message.body_case = WIRE__NODE_MESSAGE__BODY_BEAT;
    message.beat = &beat;
    channel_send(f->stranger.channel, &message.base);
    assert_refused(f, "before Hello");
}

static void an_instance_that_cannot_be_is_refused(void **state)
{
    struct fixture *f = *state;
    Wire__InstanceState instance = WIRE__INSTANCE_STATE__INIT, *list[] = { &instance };
    Wire__Hello hello = good_hello();
    char id[] = "../../etc";

    instance.instance_id = id;
    hello.instances = list;
    hello.n_instances = 1;
    say(f, &hello);
    nodes_until(&f->nodes, is_closed, &f->stranger, "turned away");
    assert_non_null(strstr(f->stranger.refused, "cannot be"));
    assert_int_equal(n_instances(&f->nodes, 1, INSTANCE_PLACING), 0);
}

/* Node a says that it places `m` on `node` alone. */
static void announce(struct fixture *f, char *node)
{
    static char id[] = "0123456789abcdef0123456789abcdef", coordinator[] = "a", model[] = "m";
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__InstanceState instance = WIRE__INSTANCE_STATE__INIT;
    Wire__PlanShard shard = WIRE__PLAN_SHARD__INIT, *shards[] = { &shard };
    Wire__Plan plan = WIRE__PLAN__INIT;
    uint8_t key[INSTANCE_KEY_BYTES] = { 0 };

    shard.node = node;
    shard.n_layers = N_LAYERS;
    plan.model = model;
    plan.context_tokens = 64;
    plan.kv_tokens = 64;
    plan.shards = shards;
    plan.n_shards = 1;
    instance.instance_id = id;
    instance.coordinator = coordinator;
    instance.key = (ProtobufCBinaryData){ sizeof(key), key };
    instance.plan = &plan;
    instance.epoch = f->epoch;
    message.body_case = WIRE__NODE_MESSAGE__BODY_INSTANCE;
    message.instance = &instance;
    channel_send(f->stranger.channel, &message.base);
}

static void assign(struct fixture *f, uint32_t rank)
{
    static char id[] = "0123456789abcdef0123456789abcdef";
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__AssignShard body = WIRE__ASSIGN_SHARD__INIT;
    uint8_t digest[MODEL_DIGEST_BYTES] = { 0 };

    body.instance_id = id;
    body.rank = rank;
    body.epoch = f->epoch;
    body.model_digest = (ProtobufCBinaryData){ sizeof(digest), digest };
    message.body_case = WIRE__NODE_MESSAGE__BODY_ASSIGN;
    message.assign = &body;
    channel_send(f->stranger.channel, &message.base);
}

/* The rank that a search for this node's would give when it finds none. */
static void a_shard_of_an_instance_without_this_node_is_refused(void **state)
{
    struct fixture *f = *state;
    Wire__Hello hello = good_hello();
    char node[] = "c";

    say(f, &hello);
    announce(f, node);
    assign(f, UINT32_MAX);
    nodes_until(&f->nodes, is_closed, &f->stranger, "turned away");
    assert_non_null(strstr(f->stranger.refused, "not this node's"));
    assert_no_child(&f->nodes);
}

static void a_shard_assigned_twice_is_refused(void **state)
{
    struct fixture *f = *state;
    Wire__Hello hello = good_hello();
    char node[] = "b";

    say(f, &hello);
    announce(f, node);
    assign(f, 0);
    assign(f, 0);
    nodes_until(&f->nodes, is_closed, &f->stranger, "turned away");
    assert_non_null(strstr(f->stranger.refused, "second time"));
    assert_no_child(&f->nodes);
}

static void only_who_places_an_instance_connects_its_ranks(void **state)
{
    struct fixture *f = *state;
    struct cluster_instance placed = place_ready(&f->nodes, 1, "b"); /* b places it itself */
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__ConnectShard connect = WIRE__CONNECT_SHARD__INIT;
    Wire__Endpoint rank = WIRE__ENDPOINT__INIT, *ranks[] = { &rank };
    Wire__Hello hello = good_hello();

    say(f, &hello);
    connect.instance_id = placed.view.id;
    connect.ranks = ranks;
    connect.n_ranks = 1;
    message.body_case = WIRE__NODE_MESSAGE__BODY_CONNECT;
    message.connect = &connect;
    channel_send(f->stranger.channel, &message.base);
    nodes_until(&f->nodes, is_closed, &f->stranger, "turned away");
    assert_non_null(strstr(f->stranger.refused, "not the sender's to place"));
    assert_int_equal(n_instances(&f->nodes, 1, INSTANCE_READY), 1);
}

static bool is_led(void *arg)
{
    const struct fixture *f = arg;
    struct cluster_leadership l;

    cluster_leadership(f->nodes.node[1].cluster, &l);
    return l.kind == LEADER_ELECTED;
}

static bool is_denied(void *arg)
{
    return ((struct stranger *)arg)->n_denied > 0;
}

static void order_end(struct fixture *f, char *instance_id)
{
    static char words[] = "it shall end";
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__InstanceGone gone = WIRE__INSTANCE_GONE__INIT;

    gone.instance_id = instance_id;
    gone.status = ST_CANCELED;
    gone.words = words;
    gone.epoch = f->epoch;
    message.body_case = WIRE__NODE_MESSAGE__BODY_GONE;
    message.gone = &gone;
    channel_send(f->stranger.channel, &message.base);
}

/* Nodes b and c elect one of them; a, the stranger, commands in `epoch` of theirs, less `behind`. */
static void command_and_be_denied(struct fixture *f, uint64_t behind)
{
    struct cluster_instance placed;
    struct cluster_leadership l;
    Wire__Hello hello = good_hello();
    char node[] = "b";

    node_start(&f->nodes, 2, "good");
    nodes_until(&f->nodes, is_led, f, "b or c leads");
    placed = place_ready(&f->nodes, 1, "b");
    cluster_leadership(f->nodes.node[1].cluster, &l);
    f->epoch = l.epoch - behind;
    hello.protocol = 3;
    hello.protocol_min = 3;
    say(f, &hello);
    if (f->epoch > 0) /* without an epoch it would be told, not ordered */
        order_end(f, placed.view.id);
    announce(f, node);
    assign(f, 0);
    nodes_until(&f->nodes, is_denied, &f->stranger, "the command is refused");
    nodes_until_instances(&f->nodes, 1, INSTANCE_PLACING, 0);
    assert_int_equal(n_instances(&f->nodes, 1, INSTANCE_READY), 1);
    assert_int_equal(f->nodes.node[1].n_gone, behind > 0 ? 0 : 1);
    assert_false(f->stranger.is_closed);
}

static void a_leader_of_an_epoch_that_is_over_is_not_obeyed(void **state)
{
    command_and_be_denied(*state, 1);
}

static void who_does_not_lead_the_epoch_is_not_obeyed(void **state)
{
    command_and_be_denied(*state, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_good_hello_is_answered_and_silence_afterwards_is_death),
        TEST(another_protocol_is_refused),
        TEST(a_newer_protocol_that_knows_this_one_is_welcome),
        TEST(another_cluster_is_refused),
        TEST(an_unknown_node_is_refused),
        TEST(this_nodes_own_name_is_refused),
        TEST(a_message_before_hello_is_refused),
        TEST(an_instance_that_cannot_be_is_refused),
        TEST(a_shard_of_an_instance_without_this_node_is_refused),
        TEST(a_shard_assigned_twice_is_refused),
        TEST(only_who_places_an_instance_connects_its_ranks),
        TEST(a_leader_of_an_epoch_that_is_over_is_not_obeyed),
        TEST(who_does_not_lead_the_epoch_is_not_obeyed),
    };
#undef TEST
    return cmocka_run_group_tests_name("cluster/hello", tests, NULL, NULL);
}
