/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/test_damaged_messages.c - a node survives whatever comes over its control channel.
 *
 * A stranger on loopback plays node "a" to a real node "b": good messages of
 * every kind, each damaged in one of a few ways, before and after a good
 * Hello.  b answers the Beat at the end or closes the channel, and a good
 * Hello works afterwards.  Whoever lacks the cluster's key never gets this far.
 */
#include "support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/size.h"
#include "cluster/cluster.h"
#include "cluster/node.pb-c.h"
#include "net/channel.h"

enum {
    SESSIONS = 5000,
    SESSIONS_FULL = 100000,
    SEED = 20261125,
    MESSAGE_MAX = 4096,
    WITHIN_MS = 10000,
};

struct fixture {
    struct loop *loop;
    struct cluster *cluster;
    uint16_t port;
    uint64_t state; /* of the random numbers */
    struct samples *samples;
};

/* Knuth, MMIX: a 64-bit LCG; its high bits are the good ones. */
static uint64_t draw(struct fixture *f)
{
    f->state = f->state * 6364136223846793005ull + 1442695040888963407ull;
    return f->state >> 24;
}

/* One good message of each kind, and what they consist of. */
struct samples {
    uint8_t digest[MODEL_DIGEST_BYTES], key[16];
    Wire__Model model, *models[1];
    Wire__PlanShard shard, *shards[1];
    Wire__Plan plan;
    Wire__Endpoint end, *ends[1];
    Wire__InstanceState instance, *instances[1];
    Wire__InstanceLoad load, *loads[1];
    Wire__ShardLoad shard_load;
    Wire__ShardProgress step, *steps[1];

    Wire__Hello hello, hello_with_instance;
    Wire__Beat beat;
    Wire__BeatEcho echo;
    Wire__Models list;
    Wire__Drain drain;
    Wire__Place place;
    Wire__PlaceReply reply;
    Wire__AssignShard assign;
    Wire__ConnectShard connect;
    Wire__ShardReport report;
    Wire__InstanceProgress progress;
    Wire__InstanceGone gone;
    Wire__Refused refused;
};

/* protobuf-c's fields are not const */
static char model_name[] = "model", architecture[] = "llama", node_b[] = "b",
            loopback[] = "127.0.0.1", instance_id[] = "i1", node_a[] = "a", cluster_name[] = "home",
            id_a[] = "00000000000000000000000000000001", version[] = "0.1.0";

static void fill_parts(struct samples *s)
{
    *s = (struct samples){
        .model = WIRE__MODEL__INIT,
        .shard = WIRE__PLAN_SHARD__INIT,
        .plan = WIRE__PLAN__INIT,
        .end = WIRE__ENDPOINT__INIT,
        .instance = WIRE__INSTANCE_STATE__INIT,
        .load = WIRE__INSTANCE_LOAD__INIT,
        .shard_load = WIRE__SHARD_LOAD__INIT,
        .step = WIRE__SHARD_PROGRESS__INIT,
    };
    s->models[0] = &s->model;
    s->shards[0] = &s->shard;
    s->ends[0] = &s->end;
    s->instances[0] = &s->instance;
    s->loads[0] = &s->load;
    s->steps[0] = &s->step;
    s->model.name = s->plan.model = model_name;
    s->model.architecture = architecture;
    s->model.digest = (ProtobufCBinaryData){ sizeof(s->digest), s->digest };
    s->model.n_layer = s->shard.n_layers = 2;
    s->shard.node = node_b;
    s->plan.n_shards = 1;
    s->plan.shards = s->shards;
    s->end.host = loopback;
    s->end.port = 9;
    s->instance.instance_id = s->load.instance_id = instance_id;
    s->instance.key = (ProtobufCBinaryData){ sizeof(s->key), s->key };
    s->instance.coordinator = node_a;
    s->instance.plan = &s->plan;
    s->load.load = &s->shard_load;
}

static void fill_hello(struct samples *s)
{
    s->hello = (Wire__Hello)WIRE__HELLO__INIT;
    s->hello.protocol = 3;
    s->hello.protocol_min = 1;
    s->hello.cluster = cluster_name;
    s->hello.node = node_a;
    s->hello.id = id_a;
    s->hello.version = version;
    s->hello.boot = 7;
    s->hello.models = s->models;
    s->hello.n_models = 1;
    s->hello_with_instance = s->hello;
    s->hello_with_instance.instances = s->instances;
    s->hello_with_instance.n_instances = 1;
}

static void fill_messages(struct samples *s)
{
    s->beat = (Wire__Beat)WIRE__BEAT__INIT;
    s->echo = (Wire__BeatEcho)WIRE__BEAT_ECHO__INIT;
    s->list = (Wire__Models)WIRE__MODELS__INIT;
    s->drain = (Wire__Drain)WIRE__DRAIN__INIT;
    s->place = (Wire__Place)WIRE__PLACE__INIT;
    s->reply = (Wire__PlaceReply)WIRE__PLACE_REPLY__INIT;
    s->assign = (Wire__AssignShard)WIRE__ASSIGN_SHARD__INIT;
    s->connect = (Wire__ConnectShard)WIRE__CONNECT_SHARD__INIT;
    s->report = (Wire__ShardReport)WIRE__SHARD_REPORT__INIT;
    s->progress = (Wire__InstanceProgress)WIRE__INSTANCE_PROGRESS__INIT;
    s->gone = (Wire__InstanceGone)WIRE__INSTANCE_GONE__INIT;
    s->refused = (Wire__Refused)WIRE__REFUSED__INIT;
    s->beat.loads = s->loads;
    s->beat.n_loads = s->list.n_models = s->connect.n_ranks = s->progress.n_shards = 1;
    s->list.models = s->models;
    s->place.plan = &s->plan;
    s->place.model_digest = s->assign.model_digest = s->model.digest;
    s->reply.words = s->reply.instance_id = instance_id;
    s->assign.instance_id = s->connect.instance_id = s->report.instance_id = instance_id;
    s->progress.instance_id = s->gone.instance_id = s->gone.words = s->refused.words = instance_id;
    s->connect.ranks = s->ends;
    s->report.what_case = WIRE__SHARD_REPORT__WHAT_PROGRESS;
    s->report.progress = &s->step;
    s->progress.shards = s->steps;
}

static const struct {
    Wire__NodeMessage__BodyCase body;
    size_t offset;
} kinds[] = {
    { WIRE__NODE_MESSAGE__BODY_HELLO, offsetof(struct samples, hello) },
    { WIRE__NODE_MESSAGE__BODY_HELLO, offsetof(struct samples, hello_with_instance) },
    { WIRE__NODE_MESSAGE__BODY_REFUSED, offsetof(struct samples, refused) },
    { WIRE__NODE_MESSAGE__BODY_BEAT, offsetof(struct samples, beat) },
    { WIRE__NODE_MESSAGE__BODY_ECHO, offsetof(struct samples, echo) },
    { WIRE__NODE_MESSAGE__BODY_MODELS, offsetof(struct samples, list) },
    { WIRE__NODE_MESSAGE__BODY_DRAIN, offsetof(struct samples, drain) },
    { WIRE__NODE_MESSAGE__BODY_PLACE, offsetof(struct samples, place) },
    { WIRE__NODE_MESSAGE__BODY_PLACE_REPLY, offsetof(struct samples, reply) },
    { WIRE__NODE_MESSAGE__BODY_ASSIGN, offsetof(struct samples, assign) },
    { WIRE__NODE_MESSAGE__BODY_CONNECT, offsetof(struct samples, connect) },
    { WIRE__NODE_MESSAGE__BODY_REPORT, offsetof(struct samples, report) },
    { WIRE__NODE_MESSAGE__BODY_INSTANCE, offsetof(struct samples, instance) },
    { WIRE__NODE_MESSAGE__BODY_PROGRESS, offsetof(struct samples, progress) },
    { WIRE__NODE_MESSAGE__BODY_GONE, offsetof(struct samples, gone) },
};
enum { KIND_HELLO = 0, KIND_BEAT = 3 };

/* ret_bytes [MESSAGE_MAX] */
static size_t message_of(struct fixture *f, size_t kind, uint8_t *ret_bytes)
{
    Wire__NodeMessage m = WIRE__NODE_MESSAGE__INIT;

    m.body_case = kinds[kind].body;
    m.hello = (void *)((char *)f->samples + kinds[kind].offset); /* each body is a pointer */
    assert_in_range(wire__node_message__get_packed_size(&m), 1, MESSAGE_MAX / 2);
    return wire__node_message__pack(&m, ret_bytes);
}

static const struct cluster_events no_events;

static void no_connection(void *arg, int fd, const char *peer_host)
{
    (void)arg;
    (void)peer_host;
    close(fd);
}

static int set_up(void **state)
{
    static struct fixture f;
    static struct samples samples;
    struct cluster_peer peers[] = { { "a", "127.0.0.1", 1 }, { "b", "127.0.0.1", 0 } };
    struct listener *l = NULL;
    struct err err;

    f = (struct fixture){ .state = SEED, .samples = &samples };
    fill_parts(&samples);
    fill_hello(&samples);
    fill_messages(&samples);
    assert_ok(loop_new(&f.loop, &err), err);
    assert_ok(listener_new(f.loop, "127.0.0.1", 0, no_connection, NULL, &l, &err), err);
    f.port = peers[1].port = listener_port(l);
    listener_free(l);
    assert_ok(cluster_new(f.loop,
                          &(struct cluster_options){
                              .cluster_name = "home",
                              .node_name = "b",
                              .node_id = "0123456789abcdef0123456789abcdef",
                              .host = "127.0.0.1",
                              .port = f.port,
                              .runner_program = "/nonexistent",
                              .peers = peers,
                              .n_peers = 2,
                          },
                          &no_events, NULL, &f.cluster, &err),
              err);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    cluster_free(f->cluster);
    loop_free(f->loop);
    return 0;
}

/* ---- damage: each way takes [n] bytes of MESSAGE_MAX, n > 0, and returns how many there are ---- */

static size_t flip_a_bit(struct fixture *f, uint8_t *bytes, size_t n)
{
    bytes[draw(f) % n] ^= (uint8_t)(1u << draw(f) % 8);
    return n;
}

static size_t change_bytes(struct fixture *f, uint8_t *bytes, size_t n)
{
    for (size_t i = 1 + draw(f) % 8; i > 0; i--)
        bytes[draw(f) % n] = (uint8_t)draw(f);
    return n;
}

static size_t cut_the_end(struct fixture *f, uint8_t *bytes, size_t n)
{
    (void)bytes;
    return draw(f) % n;
}

static size_t leave_out(struct fixture *f, uint8_t *bytes, size_t n)
{
    const size_t at = draw(f) % n, gone = 1 + draw(f) % (n - at);

    memmove(bytes + at, bytes + at + gone, n - at - gone);
    return n - gone;
}

static size_t say_twice(struct fixture *f, uint8_t *bytes, size_t n)
{
    memcpy(bytes + n, bytes, n);
    (void)f;
    return 2 * n;
}

/* A varint of ten bytes: a length, number or tag far beyond all there is. */
static size_t say_huge(struct fixture *f, uint8_t *bytes, size_t n)
{
    const size_t at = draw(f) % n;

    memmove(bytes + at + 9, bytes + at, n - at);
    memset(bytes + at, 0xff, 9);
    bytes[at + 9] &= 0x7f;
    return n + 9;
}

static size_t make_up(struct fixture *f, uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)draw(f);
    return n;
}

static size_t (*const ways[])(struct fixture *f, uint8_t *bytes, size_t n) = {
    flip_a_bit, change_bytes, cut_the_end, leave_out, say_twice, say_huge, make_up,
};

/* ---- sessions ---- */

static void send_all(int fd, const void *bytes, size_t n)
{
    /* the node may have closed already */
    (void)send(fd, bytes, n, MSG_NOSIGNAL);
}

static void send_frame(int fd, const uint8_t *bytes, size_t n, uint32_t said)
{
    const uint8_t head[] = { (uint8_t)said, (uint8_t)(said >> 8), (uint8_t)(said >> 16),
                             (uint8_t)(said >> 24) };

    send_all(fd, head, sizeof(head));
    send_all(fd, bytes, n);
}

static void send_good(struct fixture *f, int fd, size_t kind)
{
    uint8_t bytes[MESSAGE_MAX];
    const size_t n = message_of(f, kind, bytes);

    send_frame(fd, bytes, n, (uint32_t)n);
}

static bool is_message(const uint8_t *bytes, size_t n)
{
    Wire__NodeMessage *m = wire__node_message__unpack(NULL, n, bytes);
    const bool is_one = m != NULL;

    wire__node_message__free_unpacked(m, NULL);
    return is_one;
}

/* Most that is damaged is no message any more; of those that are one more is to be found. */
static void send_damaged(struct fixture *f, int fd)
{
    const size_t kind = draw(f) % ARRAY_LEN(kinds);
    const bool wants_message = draw(f) % 8 != 0;
    uint8_t bytes[MESSAGE_MAX];
    size_t n = 0;

    for (unsigned tries = 0; tries < 32; tries++) {
        n = message_of(f, kind, bytes);
        n = ways[draw(f) % ARRAY_LEN(ways)](f, bytes, n);
        if (!wants_message || is_message(bytes, n))
            break;
    }
    send_frame(fd, bytes, n, draw(f) % 16 ? (uint32_t)n : (uint32_t)draw(f));
}

static int begin(const struct fixture *f)
{
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_port = htons(f->port),
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* Nothing more comes: the node has to close too.  Returns the bytes that it said. */
static size_t finish(struct fixture *f, int fd)
{
    const uint64_t until_ns = deadline_after_ms(WITHIN_MS);
    uint8_t answer[4096];
    size_t total = 0;
    ssize_t n = -1;

    (void)shutdown(fd, SHUT_WR);
    while (n != 0 && clock_ns() < until_ns) {
        n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
        if (n > 0)
            total += (size_t)n;
        else if (n < 0 && errno != EAGAIN)
            break; /* reset: closed too */
        (void)event_base_loop(loop_base(f->loop), EVLOOP_NONBLOCK);
    }
    assert_true(clock_ns() < until_ns);
    close(fd);
    return total;
}

static void assert_well(struct fixture *f)
{
    const int fd = begin(f);

    send_good(f, fd, KIND_HELLO);
    send_good(f, fd, KIND_BEAT);
    assert_true(finish(f, fd) > 0);
    assert_int_equal(cluster_members(f->cluster, NULL, 0), 2);
}

static void no_message_breaks_a_node(void **state)
{
    const unsigned n_sessions = getenv("POMONA_TEST_FULL") ? SESSIONS_FULL : SESSIONS;
    struct fixture *f = *state;

    for (unsigned i = 0; i < n_sessions; i++) {
        const int fd = begin(f);

        if (i % 4 != 0) /* the others damage their first message */
            send_good(f, fd, KIND_HELLO);
        for (uint64_t k = 1 + draw(f) % 4; k > 0; k--)
            send_damaged(f, fd);
        (void)finish(f, fd);
        if (i % 50 == 0)
            assert_well(f);
    }
    assert_well(f);
}

static void every_good_message_is_taken(void **state)
{
    struct fixture *f = *state;

    for (size_t kind = 0; kind < ARRAY_LEN(kinds); kind++) {
        const int fd = begin(f);

        if (kinds[kind].body != WIRE__NODE_MESSAGE__BODY_HELLO)
            send_good(f, fd, KIND_HELLO);
        send_good(f, fd, kind);
        assert_true(finish(f, fd) > 0);
    }
    assert_well(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_good_message_is_taken),
        TEST(no_message_breaks_a_node),
    };
    (void)signal(SIGPIPE, SIG_IGN); /* as a node does */
    log_set_level(LOG_ERROR);       /* that peers come, break rules and go is what is wanted */
    return cmocka_run_group_tests_name("fuzz/damaged_messages", tests, NULL, NULL);
}
