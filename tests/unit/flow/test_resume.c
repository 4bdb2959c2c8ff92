/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/flow/test_resume.c - a request whose instance is lost is asked again for the rest.
 *
 * A node's whole service answers a real client.  Its runners are doubles that
 * compute nothing (support/fake_runner), and their driver is here: it makes tokens that depend on
 * their place alone, notes what it is asked, and its runner's process dies where a test says so:
 * when the client has what came before, or at once, and then the gateway may or may not have it.
 */
#include "support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contract/request.h"
#include "contract/runner.pb-c.h"
#include "flow/service.h"
#include "model/model.h"
#include "net/channel.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

enum { PATIENCE_MS = 20000, MAX_TOKENS = 20, ASKED_MAX = 8, MESSAGE_MAX = 1 << 20, NEVER = 1000 };

enum who_kills { DRIVER_KILLS, CLIENT_KILLS };

struct asked {
    size_t n_prompt, n_prior;
    uint32_t max_tokens, min_tokens;
    uint64_t seed;
    bool is_right; /* what is prior is what was made */
};

struct fixture {
    struct folder folder;
    char path[PATH_MAX_BYTES];
    struct model_info info;

    /* One run; the loop's thread until it is joined. */
    struct loop *loop;
    struct service *service;
    struct cluster *cluster;
    struct listener *listener;
    struct channel *channel; /* of the gateway */
    enum who_kills who_kills;
    uint32_t dies_at[ASKED_MAX]; /* the n-th time it is asked, after so many tokens of the answer */
    struct asked asked[ASKED_MAX];
    size_t n_asked;
    pthread_t thread;
    size_t n_deaths; /* the client's: by its will so far */
};

static struct fixture fixture;

static int make_folder(void **state)
{
    struct model *model = NULL;
    struct fixture *f = &fixture;
    struct err err = { 0 };

    folder_make(&f->folder);
    tiny_llama_write(&tiny_llama_default, folder_path(&f->folder, "good", f->path));
    assert_ok(model_open(f->path, &model, &err), err);
    f->info = *model_info(model);
    snprintf(f->info.name, sizeof(f->info.name), "m");
    model_free(model);
    *state = f;
    return 0;
}

static int remove_folder(void **state)
{
    folder_remove(&((struct fixture *)*state)->folder);
    return 0;
}

/* The token at place i of an answer. */
static int32_t token_at(size_t i)
{
    return (int32_t)(40 + i * 7 % 50);
}

static void send_token(struct fixture *f, uint64_t id, size_t i, uint32_t max_tokens)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__TokenBatch batch = WIRE__TOKEN_BATCH__INIT;
    Wire__Token token = WIRE__TOKEN__INIT, *list[] = { &token };

    token.id = id;
    token.token = token_at(i);
    token.finish = i + 1 == max_tokens ? FINISH_LENGTH : FINISH_NONE;
    batch.tokens = list;
    batch.n_tokens = 1;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_TOKENS;
    message.tokens = &batch;
    channel_send(f->channel, &message.base);
}

/* The runner's process dies, after what it sent last.  On the loop's thread nothing is asserted: a
 * failure there ends the program. */
static void die(void *arg)
{
    struct fixture *f = arg;
    char path[PATH_MAX_BYTES];
    FILE *file = fopen(folder_path(&f->folder, "pid-0", path), "r");
    char digits[16] = "";

    if (!file || !fgets(digits, sizeof(digits), file) ||
        kill((pid_t)strtol(digits, NULL, 10), SIGKILL) != 0)
        abort();
    fclose(file);
    channel_finish(f->channel);
}

static void note(struct fixture *f, const Wire__Generate *g)
{
    struct asked *a = &f->asked[f->n_asked++];

    *a = (struct asked){ g->n_prompt,   g->n_prior,        g->max_tokens,
                         g->min_tokens, g->sampling->seed, true };
    for (size_t i = 0; i < g->n_prior; i++)
        a->is_right = a->is_right && g->prompt[g->n_prompt - g->n_prior + i] == token_at(i);
}

static void on_message(void *arg, struct channel *channel, ProtobufCMessage *base)
{
    const Wire__RunnerMessage *m = (const Wire__RunnerMessage *)base;
    struct fixture *f = arg;
    uint32_t dies_at;

    (void)channel;
    if (m->body_case != WIRE__RUNNER_MESSAGE__BODY_GENERATE || f->n_asked == ASKED_MAX)
        return;
    dies_at = f->dies_at[f->n_asked];
    note(f, m->generate);
    for (size_t i = m->generate->n_prior; i < m->generate->max_tokens && i < dies_at; i++)
        send_token(f, m->generate->id, i, m->generate->max_tokens);
    if (dies_at < NEVER && f->who_kills == DRIVER_KILLS)
        die(f);
}

static void on_close(void *arg, struct channel *channel, const struct err *reason)
{
    struct fixture *f = arg;

    (void)reason;
    channel_free(channel);
    if (f->channel == channel)
        f->channel = NULL;
}

static const struct channel_events driver_events = {
    .type = &wire__runner_message__descriptor,
    .max_bytes = MESSAGE_MAX,
    .on_message = on_message,
    .on_close = on_close,
};

static void on_accept(void *arg, int fd, const char *peer_host)
{
    struct fixture *f = arg;

    (void)peer_host;
    channel_free(f->channel);
    f->channel = NULL;
    if (channel_new(f->loop, fd, &driver_events, f, &f->channel, NULL) != ST_OK)
        abort();
}

static void *serve(void *arg)
{
    (void)loop_run(((struct fixture *)arg)->loop, NULL);
    return NULL;
}

static void open_node(struct fixture *f)
{
    const struct service_options service = {
        .listen_host = "127.0.0.1", .cluster_name = "test", .node_name = "a", .version = "0"
    };
    struct cluster_options cluster = { .cluster_name = "test",
                                       .node_name = "a",
                                       .node_id = "00000000000000000000000000000001",
                                       .host = "127.0.0.1",
                                       .memory_bytes = 1ull << 30 };
    const struct cluster_model model = { f->info, f->path };
    char program[PATH_MAX_BYTES], port[8];
    struct err err = { 0 };

    assert_non_null(getenv("POMONA_BUILD"));
    snprintf(program, sizeof(program), "%s/tests/support/fake_runner", getenv("POMONA_BUILD"));
    cluster.runner_program = program;
    f->channel = NULL;
    f->n_asked = 0;
    assert_ok(loop_new(&f->loop, &err), err);
    assert_ok(listener_new(f->loop, "127.0.0.1", 0, on_accept, f, &f->listener, &err), err);
    snprintf(port, sizeof(port), "%u", listener_port(f->listener));
    assert_int_equal(setenv("FAKE_DRIVER_PORT", port, 1), 0);
    assert_ok(service_new(f->loop, &service, &f->service, &err), err);
    assert_ok(
        cluster_new(f->loop, &cluster, &service_cluster_events, f->service, &f->cluster, &err),
        err);
    assert_ok(cluster_set_models(f->cluster, &model, 1, &err), err);
    assert_ok(service_start(f->service, f->cluster, &err), err);
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

static void close_node(struct fixture *f)
{
    loop_stop(f->loop);
    assert_int_equal(pthread_join(f->thread, NULL), 0);
    service_free(f->service);
    cluster_free(f->cluster);
    channel_free(f->channel);
    listener_free(f->listener);
    loop_free(f->loop);
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    const int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

/* The client has all that comes before the next death: now. */
static void kill_in_time(struct fixture *f, const struct buf *text)
{
    const uint32_t dies_at = f->dies_at[f->n_deaths];

    if (f->who_kills != CLIENT_KILLS || count(buf_text(text), "data: {") < dies_at)
        return;
    f->n_deaths++;
    assert_int_equal(loop_post(f->loop, die, f), ST_OK);
}

static void hear_all(struct fixture *f, int fd, struct buf *ret_text)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char bytes[4096];
    ssize_t n;

    do {
        int n_ready = poll(&p, 1, PATIENCE_MS);

        while (n_ready < 0 && errno == EINTR) /* a runner ended: the node's signal */
            n_ready = poll(&p, 1, PATIENCE_MS);
        if (n_ready != 1)
            fail_msg("nothing came after: %s", buf_text(ret_text));
        n = recv(fd, bytes, sizeof(bytes), 0);
        if (n > 0)
            buf_append(ret_text, bytes, (size_t)n);
        kill_in_time(f, ret_text);
    } while (n > 0);
}

/* Ask a node of its own, whose instances die as said; the whole HTTP answer. */
static struct buf ask(struct fixture *f, const char *streams, const char *headers, uint32_t dies_1,
                      uint32_t dies_2, enum who_kills who_kills)
{
    struct buf body = { 0 }, request = { 0 }, reply = { 0 };
    int fd;

    for (size_t i = 0; i < ASKED_MAX; i++)
        f->dies_at[i] = i == 0 ? dies_1 : i == 1 ? dies_2 : dies_2 == 0 ? 0 : NEVER;
    f->who_kills = who_kills;
    f->n_deaths = 0;
    open_node(f);
    buf_printf(&body,
               "{\"model\":\"m\",\"prompt\":[5,6,7],\"max_tokens\":%d,\"min_tokens\":4,\"seed\":9,"
               "\"stream\":%s}",
               MAX_TOKENS, streams);
    buf_printf(&request,
               "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s"
               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
               headers, body.len, buf_text(&body));
    fd = dial(service_port(f->service));
    assert_int_equal(send(fd, request.data, request.len, MSG_NOSIGNAL), request.len);
    hear_all(f, fd, &reply);
    close(fd);
    close_node(f);
    buf_release(&body);
    buf_release(&request);
    return reply;
}

/* What is between the quotes after each "text":, one after the other. */
static struct buf texts_of(const struct buf *reply)
{
    static const char key[] = "\"text\":\"";
    struct buf texts = { 0 };

    for (const char *at = strstr(buf_text(reply), key); at; at = strstr(at, key)) {
        for (at += sizeof(key) - 1; *at && *at != '"'; at++) {
            if (*at == '\\')
                buf_putc(&texts, *at++);
            buf_putc(&texts, *at);
        }
    }
    return texts;
}

static void assert_same_texts(struct buf *a, struct buf *b)
{
    struct buf a_texts = texts_of(a), b_texts = texts_of(b);

    assert_true(a_texts.len >= MAX_TOKENS);
    assert_string_equal(buf_text(&a_texts), buf_text(&b_texts));
    buf_release(&a_texts);
    buf_release(&b_texts);
}

static void assert_asked(const struct asked *a, size_t n_prior)
{
    assert_int_equal(a->n_prior, n_prior);
    assert_int_equal(a->n_prompt, 3 + n_prior);
    assert_int_equal(a->max_tokens, MAX_TOKENS);
    assert_int_equal(a->min_tokens, 4);
    assert_int_equal(a->seed, 9);
    assert_true(a->is_right);
}

static void a_stream_goes_on_with_the_next_token(void **state)
{
    struct fixture *f = *state;
    struct buf whole = ask(f, "true", "", NEVER, NEVER, DRIVER_KILLS), got;

    assert_int_equal(f->n_asked, 1);
    got = ask(f, "true", "", 7, 12, CLIENT_KILLS);
    assert_int_equal(f->n_asked, 3);
    assert_asked(&f->asked[0], 0);
    assert_asked(&f->asked[1], 7);
    assert_asked(&f->asked[2], 12);
    assert_same_texts(&got, &whole);
    assert_null(strstr(buf_text(&got), "error"));
    assert_non_null(strstr(buf_text(&got), "data: [DONE]"));
    buf_release(&whole);
    buf_release(&got);
}

static void an_answer_in_one_piece_is_complete(void **state)
{
    struct fixture *f = *state;
    struct buf whole = ask(f, "false", "", NEVER, NEVER, DRIVER_KILLS),
               got = ask(f, "false", "", 0, 19, DRIVER_KILLS);

    assert_int_equal(f->n_asked, 3);
    assert_true(f->asked[1].is_right && f->asked[2].is_right && f->asked[2].n_prior <= 19);
    assert_same_texts(&got, &whole);
    assert_non_null(strstr(buf_text(&got), "HTTP/1.1 200"));
    assert_non_null(strstr(buf_text(&got), "\"prompt_tokens\":3,\"completion_tokens\":20,"));
    buf_release(&whole);
    buf_release(&got);
}

static void what_ends_every_instance_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct buf got = ask(f, "true", "", 0, 0, DRIVER_KILLS);

    assert_int_equal(f->n_asked, 4);
    assert_non_null(strstr(buf_text(&got), "HTTP/1.1 503"));
    assert_non_null(strstr(buf_text(&got), "retry-after: "));
    assert_non_null(strstr(buf_text(&got), "upstream_error"));
    buf_release(&got);
}

static void what_the_client_has_is_not_sent_again(void **state)
{
    struct fixture *f = *state;
    struct buf whole = ask(f, "true", "Idempotency-Key: k\r\n", NEVER, NEVER, DRIVER_KILLS), got,
               all, rest;

    got = ask(f, "true", "Idempotency-Key: k\r\nPomona-Resume-Tokens: 9\r\n", 5, 14, DRIVER_KILLS);
    assert_asked(&f->asked[0], 0); /* computed all the same */
    all = texts_of(&whole);
    rest = texts_of(&got);
    assert_true(rest.len > 0 && rest.len < all.len);
    assert_string_equal(buf_text(&all) + all.len - rest.len, buf_text(&rest));
    assert_null(strstr(buf_text(&got), "\"resume_tokens\":9"));
    assert_non_null(strstr(buf_text(&got), "\"resume_tokens\":10"));
    assert_non_null(strstr(buf_text(&got), "\"resume_tokens\":20"));
    buf_release(&whole);
    buf_release(&got);
    buf_release(&all);
    buf_release(&rest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_goes_on_with_the_next_token),
        cmocka_unit_test(an_answer_in_one_piece_is_complete),
        cmocka_unit_test(what_ends_every_instance_is_given_up),
        cmocka_unit_test(what_the_client_has_is_not_sent_again),
    };

    return cmocka_run_group_tests_name("flow/resume", tests, make_folder, remove_folder);
}
