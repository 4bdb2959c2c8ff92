/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/test_channel.c - messages arrive whole and in order; whatever is wrong closes. */
#include "support/check.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contract/runner.pb-c.h"
#include "net/channel.h"

enum { MAX_BYTES = 4096, N_MESSAGES = 500 };

struct side {
    struct fixture *fixture;
    struct channel *channel;
    uint64_t n_received, n_wrong;
    bool is_closed, is_open, frees_in_callback;
    enum status reason;
};

struct fixture {
    struct loop *loop;
    struct side a, b;
    struct listener *listener;
    int raw; /* the far end, when the test speaks raw bytes */
    uint64_t n_wanted;
};

static void on_message(void *arg, struct channel *channel, ProtobufCMessage *message)
{
    struct side *s = arg;
    const Wire__RunnerMessage *m = (const Wire__RunnerMessage *)message;

    s->n_wrong +=
        m->body_case != WIRE__RUNNER_MESSAGE__BODY_CANCEL || m->cancel->id != s->n_received;
    s->n_received++;
    if (s->frees_in_callback) {
        channel_free(channel);
        s->channel = NULL;
        loop_stop(s->fixture->loop);
    } else if (s->n_received == s->fixture->n_wanted)
        loop_stop(s->fixture->loop);
}

static void on_close(void *arg, struct channel *channel, const struct err *reason)
{
    struct side *s = arg;

    (void)channel;
    s->is_closed = true;
    s->reason = reason->status;
    loop_stop(s->fixture->loop);
}

static void on_open(void *arg, struct channel *channel)
{
    struct side *s = arg;

    (void)channel;
    s->is_open = true;
}

static const struct channel_events events = {
    .type = &wire__runner_message__descriptor,
    .max_bytes = MAX_BYTES,
    .max_queued_bytes = 1 << 20,
    .on_message = on_message,
    .on_close = on_close,
    .on_open = on_open,
};

static void give_up(void *arg)
{
    loop_stop(arg);
}

/* Run until a callback stops the loop; five seconds at most, then the test's
 * own assertions fail. */
static void run(struct fixture *f)
{
    struct loop_timer *limit;
    struct err err;

    assert_int_equal(loop_timer_new(f->loop, give_up, f->loop, &limit), ST_OK);
    loop_timer_once(limit, 5000);
    assert_ok(loop_run(f->loop, &err), err);
    loop_timer_free(limit);
}

static void send_cancel(struct channel *channel, uint64_t id)
{
    Wire__Cancel cancel = WIRE__CANCEL__INIT;
    Wire__RunnerMessage m = WIRE__RUNNER_MESSAGE__INIT;

    cancel.id = id;
    m.body_case = WIRE__RUNNER_MESSAGE__BODY_CANCEL;
    m.cancel = &cancel;
    channel_send(channel, &m.base);
}

static int set_up(void **state)
{
    static struct fixture f;
    struct err err;

    f = (struct fixture){ .raw = -1 };
    f.a.fixture = f.b.fixture = &f;
    *state = &f;
    return loop_new(&f.loop, &err) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    channel_free(f->a.channel);
    channel_free(f->b.channel);
    listener_free(f->listener);
    if (f->raw >= 0)
        close(f->raw);
    loop_free(f->loop);
    return 0;
}

static void join(struct fixture *f)
{
    struct err err;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_ok(channel_new(f->loop, fds[0], &events, &f->a, &f->a.channel, &err), err);
    assert_ok(channel_new(f->loop, fds[1], &events, &f->b, &f->b.channel, &err), err);
}

static void join_raw(struct fixture *f)
{
    struct err err;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_ok(channel_new(f->loop, fds[0], &events, &f->a, &f->a.channel, &err), err);
    f->raw = fds[1];
}

static void messages_arrive_in_order(void **state)
{
    struct fixture *f = *state;

    join(f);
    f->n_wanted = N_MESSAGES;
    for (uint64_t i = 0; i < N_MESSAGES; i++)
        send_cancel(f->a.channel, i);
    run(f);
    assert_int_equal(f->b.n_received, N_MESSAGES);
    assert_int_equal(f->b.n_wrong, 0);
}

static void finishing_sends_what_is_queued_first(void **state)
{
    struct fixture *f = *state;

    join(f);
    for (uint64_t i = 0; i < N_MESSAGES; i++)
        send_cancel(f->a.channel, i);
    channel_finish(f->a.channel);
    run(f);
    assert_true(f->a.is_closed);
    assert_int_equal(f->a.reason, ST_OK);
    channel_free(f->a.channel);
    f->a.channel = NULL;
    run(f);
    assert_true(f->b.is_closed);
    assert_int_equal(f->b.reason, ST_PEER);
    assert_int_equal(f->b.n_received, N_MESSAGES);
}

static void send_one_and_finish(evutil_socket_t fd, short what, void *arg)
{
    struct fixture *f = arg;

    (void)fd;
    (void)what;
    send_cancel(f->a.channel, 1);
    channel_finish(f->a.channel);
}

/* The loop has written the first message, and not yet told the channel so. */
static void finishing_does_not_take_an_earlier_message_for_the_last(void **state)
{
    struct fixture *f = *state;
    struct event *after_write;
    int fds[2];

    join(f);
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "", 1), 1);
    after_write = event_new(loop_base(f->loop), fds[0], EV_READ, send_one_and_finish, f);
    assert_non_null(after_write);
    send_cancel(f->a.channel, 0);
    event_add(after_write, NULL);
    run(f);
    assert_true(f->a.is_closed);
    channel_free(f->a.channel);
    f->a.channel = NULL;
    run(f);
    assert_true(f->b.is_closed);
    assert_int_equal(f->b.n_received, 2);
    event_free(after_write);
    close(fds[0]);
    close(fds[1]);
}

static void a_channel_may_be_freed_by_its_own_callback(void **state)
{
    struct fixture *f = *state;

    join(f);
    f->b.frees_in_callback = true;
    send_cancel(f->a.channel, 0);
    send_cancel(f->a.channel, 1);
    run(f);
    assert_int_equal(f->b.n_received, 1);
}

static void assert_raw_bytes_close(struct fixture *f, const void *bytes, size_t n)
{
    join_raw(f);
    assert_int_equal(write(f->raw, bytes, n), n);
    run(f);
    assert_true(f->a.is_closed);
    assert_int_equal(f->a.reason, ST_FORMAT);
    assert_int_equal(f->a.n_received, 0);
}

static void an_overlong_frame_closes(void **state)
{
    assert_raw_bytes_close(*state, "\xff\xff\xff\x7f", 4);
}

static void bytes_that_are_no_message_close(void **state)
{
    assert_raw_bytes_close(*state, "\x03\x00\x00\x00\xff\xff\xff", 7);
}

static void half_a_frame_waits(void **state)
{
    struct fixture *f = *state;
    struct loop_timer *soon;
    struct err err;

    join_raw(f);
    assert_int_equal(write(f->raw, "\x08\x00\x00\x00\x0a", 5), 5);
    assert_int_equal(loop_timer_new(f->loop, give_up, f->loop, &soon), ST_OK);
    loop_timer_once(soon, 20);
    assert_ok(loop_run(f->loop, &err), err);
    loop_timer_free(soon);
    assert_false(f->a.is_closed);
    assert_int_equal(f->a.n_received, 0);
}

static void a_peer_that_never_reads_is_dropped(void **state)
{
    struct fixture *f = *state;

    join_raw(f);
    for (uint64_t i = 0; i < 1000000 && !f->a.is_closed; i++)
        send_cancel(f->a.channel, i);
    run(f);
    assert_true(f->a.is_closed);
    assert_int_equal(f->a.reason, ST_FULL);
}

static void keep_accepted(void *arg, int fd, const char *peer_host)
{
    struct fixture *f = arg;
    struct err err;

    assert_string_equal(peer_host, "127.0.0.1");
    assert_ok(channel_new(f->loop, fd, &events, &f->b, &f->b.channel, &err), err);
}

static void connecting_to_a_listener_opens_both_ends(void **state)
{
    struct fixture *f = *state;
    struct err err;

    assert_ok(listener_new(f->loop, "127.0.0.1", 0, keep_accepted, f, &f->listener, &err), err);
    assert_ok(channel_connect(f->loop, "localhost", listener_port(f->listener), 1000, &events,
                              &f->a, &f->a.channel, &err),
              err);
    f->n_wanted = 1;
    send_cancel(f->a.channel, 0); /* queued until the connection stands */
    run(f);
    assert_true(f->a.is_open);
    assert_int_equal(f->b.n_received, 1);
}

static void connecting_to_nobody_closes(void **state)
{
    struct fixture *f = *state;
    struct err err;
    uint16_t port;

    assert_ok(listener_new(f->loop, "127.0.0.1", 0, keep_accepted, f, &f->listener, &err), err);
    port = listener_port(f->listener);
    listener_free(f->listener);
    f->listener = NULL;
    assert_ok(
        channel_connect(f->loop, "127.0.0.1", port, 1000, &events, &f->a, &f->a.channel, &err),
        err);
    run(f);
    assert_true(f->a.is_closed);
    assert_int_equal(f->a.reason, ST_PEER);
    assert_false(f->a.is_open);
}

static void names_are_not_resolved_on_the_loop(void **state)
{
    struct fixture *f = *state;
    struct err err;

    assert_int_equal(
        channel_connect(f->loop, "example.org", 80, 1000, &events, &f->a, &f->a.channel, &err),
        ST_RANGE);
    assert_non_null(strstr(err.words, "example.org"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(messages_arrive_in_order),
        TEST(finishing_sends_what_is_queued_first),
        TEST(finishing_does_not_take_an_earlier_message_for_the_last),
        TEST(a_channel_may_be_freed_by_its_own_callback),
        TEST(an_overlong_frame_closes),
        TEST(bytes_that_are_no_message_close),
        TEST(half_a_frame_waits),
        TEST(a_peer_that_never_reads_is_dropped),
        TEST(connecting_to_a_listener_opens_both_ends),
        TEST(connecting_to_nobody_closes),
        TEST(names_are_not_resolved_on_the_loop),
    };
    return cmocka_run_group_tests_name("net/channel", tests, NULL, NULL);
}
