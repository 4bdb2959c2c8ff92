/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/peer.c - command lines of the peers, and the JSON lines they print. */
#include "cmd/bench/peer.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "cmd/bench/child.h"

enum { ARGS_MAX = 32, NUMBER_MAX = 16, N_NUMBERS = 4 };

struct command {
    const char *args[ARGS_MAX];
    char numbers[N_NUMBERS][NUMBER_MAX]; /* what args point to */
};

struct peer_type {
    const char *name;
    bool (*knows)(const struct measure_test *test);
    void (*command)(const struct peer *peer, const struct peer_run *run,
                    const struct measure_test *test, struct command *ret_command);
    const char *rate; /* of the JSON object it prints: tokens per second */
};

static const char *number(struct command *command, size_t i, uint32_t value)
{
    (void)snprintf(command->numbers[i], NUMBER_MAX, "%u", value);
    return command->numbers[i];
}

/* ---- llama-bench ---- */

static bool is_one_sequence(const struct measure_test *test)
{
    return test->n_sequences == 1;
}

static void llama_bench(const struct peer *peer, const struct peer_run *run,
                        const struct measure_test *test, struct command *c)
{
    const bool is_prompt = test->kind == MEASURE_PROMPT;
    const char *const args[] = { peer->path,
                                 "-m",
                                 run->model_path,
                                 "-t",
                                 number(c, 0, run->n_threads),
                                 "-p",
                                 number(c, 1, is_prompt ? test->n_tokens : 0),
                                 "-n",
                                 number(c, 2, is_prompt ? 0 : test->n_tokens),
                                 "-r",
                                 "1",
                                 "-o",
                                 "jsonl" };

    memcpy(c->args, args, sizeof(args));
}

/* ---- llama-batched-bench ---- */

static bool is_decode(const struct measure_test *test)
{
    return test->kind == MEASURE_DECODE;
}

/* A prompt of one token each, as ours start with an empty context. */
static void llama_batched_bench(const struct peer *peer, const struct peer_run *run,
                                const struct measure_test *test, struct command *c)
{
    const char *const args[] = { peer->path,
                                 "-m",
                                 run->model_path,
                                 "-t",
                                 number(c, 0, run->n_threads),
                                 "-c",
                                 number(c, 1, (test->n_tokens + 1) * test->n_sequences),
                                 "-npp",
                                 "1",
                                 "-ntg",
                                 number(c, 2, test->n_tokens),
                                 "-npl",
                                 number(c, 3, test->n_sequences),
                                 "--output-format",
                                 "jsonl" };

    memcpy(c->args, args, sizeof(args));
}

static const struct peer_type types[] = {
    { "llama-bench", is_one_sequence, llama_bench, "avg_ts" },
    { "llama-batched-bench", is_decode, llama_batched_bench, "speed_tg" },
};

/* ---- */

static const struct peer_type *type_of(const char *name, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strlen(types[i].name) == n && strncmp(types[i].name, name, n) == 0)
            return &types[i];
    return NULL;
}

static enum status parse_one(const char *text, size_t n, struct peer *ret_peer, struct err *err)
{
    const char *equals = memchr(text, '=', n);
    size_t n_name, n_path;

    if (!equals)
        return err_set(err, ST_RANGE, "'%.*s' is not NAME=PATH", (int)n, text);
    n_name = (size_t)(equals - text);
    n_path = n - n_name - 1;
    ret_peer->type = type_of(text, n_name);
    if (!ret_peer->type)
        return err_set(err, ST_RANGE,
                       "'%.*s' is not known; llama-bench and llama-batched-bench are", (int)n_name,
                       text);
    if (n_path == 0 || n_path >= PEER_PATH_MAX)
        return err_set(err, ST_RANGE, "the path of %s is missing or too long",
                       ret_peer->type->name);
    (void)snprintf(ret_peer->path, PEER_PATH_MAX, "%.*s", (int)n_path, equals + 1);
    return ST_OK;
}

enum status peers_parse(const char *text, struct peers *ret_peers, struct err *err)
{
    struct peers peers = { 0 };

    for (;;) {
        const size_t n = strcspn(text, ",");
        enum status s;

        if (peers.n == PEERS_MAX)
            return err_set(err, ST_RANGE, "there are more than %d peers", PEERS_MAX);
        s = parse_one(text, n, &peers.peers[peers.n++], err);
        if (s != ST_OK)
            return s;
        if (text[n] == '\0')
            break;
        text += n + 1;
    }
    *ret_peers = peers;
    return ST_OK;
}

const struct peer *peers_for(const struct peers *peers, const struct measure_test *test)
{
    for (size_t i = 0; i < peers->n; i++)
        if (peers->peers[i].type->knows(test))
            return &peers->peers[i];
    return NULL;
}

const char *peer_name(const struct peer *peer)
{
    return peer->type->name;
}

/* The first line of `output` that is a JSON object with the rate. */
static bool rate_find(const struct peer_type *type, const char *output, double *ret_rate)
{
    while (*output) {
        const size_t n = strcspn(output, "\n");
        json_t *line = json_loadb(output, n, 0, NULL);
        const json_t *rate = json_object_get(line, type->rate);
        const bool is_found = json_is_number(rate) && json_number_value(rate) > 0;

        if (is_found)
            *ret_rate = json_number_value(rate);
        json_decref(line);
        if (is_found)
            return true;
        output += n + (output[n] == '\n');
    }
    return false;
}

enum status peer_measure(const struct peer *peer, const struct peer_run *run,
                         const struct measure_test *test, double *ret_rate, struct err *err)
{
    struct command command = { 0 };
    struct buf output = { 0 };
    enum status s;

    peer->type->command(peer, run, test, &command);
    s = child_output(command.args, run->timeout_s, &output, err);
    if (s == ST_OK && !rate_find(peer->type, buf_text(&output), ret_rate))
        s = err_set(err, ST_FORMAT, "%s printed no line of JSON with '%s'", peer->path,
                    peer->type->rate);
    buf_release(&output);
    return s;
}
