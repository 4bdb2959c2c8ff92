/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/fake_runner.c - a runner that computes nothing, for tests of supervision.
 *
 * Speaks the control messages of contract/runner.proto.  The model's path is
 * DIR/HOW: the process writes its number to DIR/pid-RANK, and HOW is one of
 *   good      listens, loads in two steps, is ready, stays
 *   refuses   answers ShardFailed at once
 *   crashes   exits when told to connect
 *   mute      never answers
 *   silent    as good, but answers no beat
 *   jams      as good, and answers beats, but its step does not get on
 *   stuck     as good, but does not end when its socket closes
 *   leaves    as good, then exits and leaves its socket open in a child that answers nothing
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "contract/runner.pb-c.h"

enum { CONTROL_FD = 3, HEADER_BYTES = 4, MESSAGE_MAX = 1 << 16 };

static bool read_all(uint8_t *bytes, size_t n)
{
    for (size_t got = 0; got < n;) {
        const ssize_t r = read(CONTROL_FD, bytes + got, n - got);

        if (r <= 0)
            return false;
        got += (size_t)r;
    }
    return true;
}

static Wire__RunnerMessage *receive(void)
{
    static uint8_t bytes[MESSAGE_MAX];
    uint32_t n;

    if (!read_all(bytes, HEADER_BYTES))
        return NULL;
    n = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
    if (n > sizeof(bytes) || !read_all(bytes, n))
        return NULL;
    return wire__runner_message__unpack(NULL, n, bytes);
}

static void send_message(const Wire__RunnerMessage *message)
{
    static uint8_t bytes[MESSAGE_MAX];
    const size_t n = wire__runner_message__pack(message, bytes + HEADER_BYTES);

    for (size_t i = 0; i < HEADER_BYTES; i++)
        bytes[i] = (uint8_t)(n >> 8 * i);
    if (write(CONTROL_FD, bytes, HEADER_BYTES + n) < 0)
        exit(4);
}

static void write_pid(const char *dir, uint32_t rank)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof(path), "%s/pid-%u", dir, rank);
    f = fopen(path, "w");
    if (!f || fprintf(f, "%ld\n", (long)getpid()) < 0 || fclose(f) != 0)
        exit(5);
}

static void send_failed(void)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardFailed failed = WIRE__SHARD_FAILED__INIT;
    char words[] = "it does not want to";

    failed.status = -3;
    failed.words = words;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_SHARD_FAILED;
    message.shard_failed = &failed;
    send_message(&message);
}

/* Where $FAKE_DRIVER_PORT says that a test listens, else nowhere. */
static uint32_t driver_port(uint32_t rank)
{
    const char *port = getenv("FAKE_DRIVER_PORT");

    return port ? (uint32_t)strtoul(port, NULL, 10) : 2000 + rank;
}

static void send_listening(uint32_t rank, bool is_driver)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardListening listening = WIRE__SHARD_LISTENING__INIT;

    listening.transport_port = 1000 + rank;
    listening.client_port = is_driver ? driver_port(rank) : 0;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_LISTENING;
    message.listening = &listening;
    send_message(&message);
}

static void send_progress(uint64_t done)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardProgress progress = WIRE__SHARD_PROGRESS__INIT;

    progress.done_bytes = done;
    progress.total_bytes = 100;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_PROGRESS;
    message.progress = &progress;
    send_message(&message);
}

static void send_ready(void)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardReady ready = WIRE__SHARD_READY__INIT;

    ready.load_seconds = 0.5;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_READY;
    message.ready = &ready;
    send_message(&message);
}

static void send_load(void)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardLoad load = WIRE__SHARD_LOAD__INIT;

    load.n_active = 3;
    load.n_waiting = 1;
    load.kv_tokens_used = 77;
    load.n_generated_tokens = 1234;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_LOAD;
    message.load = &load;
    send_message(&message);
}

static bool is(const char *how, const char *word)
{
    return strcmp(how, word) == 0;
}

static void on_assign(const char *how, const Wire__ShardAssign *assign)
{
    if (is(how, "refuses"))
        send_failed();
    else if (!is(how, "mute"))
        send_listening(assign->rank, assign->rank + 1 == assign->n_ranks);
}

/* The child ends with the socket's other end. */
static void leave_socket_open(void)
{
    uint8_t byte;

    if (fork() != 0)
        _exit(0);
    while (read_all(&byte, 1))
        ;
}

static void on_connect(const char *how, bool is_driver)
{
    if (is(how, "crashes"))
        exit(3);
    send_progress(50);
    send_progress(100);
    send_ready();
    if (is_driver)
        send_load();
    if (is(how, "leaves"))
        leave_socket_open();
}

int main(void)
{
    char how[256] = "", *slash;
    Wire__RunnerMessage *message;
    bool is_driver = false;
    uint64_t n_beats = 0;

    while ((message = receive()) != NULL) {
        if (message->body_case == WIRE__RUNNER_MESSAGE__BODY_ASSIGN) {
            const Wire__ShardAssign *assign = message->assign;

            snprintf(how, sizeof(how), "%s", assign->model_path);
            slash = strrchr(how, '/');
            if (!slash)
                return 6;
            *slash = '\0';
            write_pid(how, assign->rank);
            memmove(how, slash + 1, strlen(slash + 1) + 1);
            is_driver = assign->rank + 1 == assign->n_ranks;
            on_assign(how, assign);
        } else if (message->body_case == WIRE__RUNNER_MESSAGE__BODY_CONNECT) {
            on_connect(how, is_driver);
        } else if (message->body_case == WIRE__RUNNER_MESSAGE__BODY_BEAT && !is(how, "silent")) {
            message->beat->is_in_step = is(how, "jams") || is(how, "good");
            message->beat->n_felt = is(how, "jams") ? 7 : ++n_beats;
            send_message(message);
        }
        wire__runner_message__free_unpacked(message, NULL);
    }
    while (is(how, "stuck"))
        pause();
    return 0;
}
