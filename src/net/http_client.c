/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_client.c - requests to other HTTP servers, many at once, on the loop: what is the same for both ways.
 *
 *   http_plain.c  what goes in clear, as a gateway's requests to the servers behind it do, is sent and read by
 *                 ourselves: a call of libcurl's costs more than all else that a gateway does with a request
 *   http_curl.c   TLS, and calls that have to be over in a given time; it also makes the connections of the other
 */
#include "net/http_client_priv.h"

#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"

enum { SWEEP_MS = 1000 }; /* how exactly silence is told */

static void call_free(struct http_call *call)
{
    if (call->curl)
        curl_way_leave(call);
    else
        plain_way_leave(call);
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    free(call);
}

void call_finish(struct http_call *call, enum http_end end, const char *why)
{
    const struct http_call_options options = call->options;

    call_free(call);
    options.on_end(options.arg, end, why);
}

bool call_say_head(struct http_call *call)
{
    if (call->has_head)
        return true;
    call->has_head = true;
    call->was_stopped = !call->options.on_head(call->options.arg, &call->head);
    return !call->was_stopped;
}

bool call_say_bytes(struct http_call *call, const char *bytes, size_t n)
{
    call->was_stopped = n > 0 && !call->options.on_bytes(call->options.arg, bytes, n);
    return !call->was_stopped;
}

/* One at a time, as on_end may end others. */
static bool end_a_silent_one(struct http_client *client, uint64_t now_ns)
{
    for (struct http_call *call = client->calls; call; call = call->next) {
        const uint64_t allowed_ns = call->options.silence_ms * NS_PER_MS;

        if (allowed_ns == 0 || now_ns - call->heard_ns <= allowed_ns)
            continue;
        if (call->curl)
            curl_way_finish_late(call);
        else
            call_finish(call, HTTP_END_LATE, "it was silent for too long");
        return true;
    }
    return false;
}

static void on_sweep(void *arg)
{
    struct http_client *client = arg;
    const uint64_t now_ns = clock_ns();

    while (end_a_silent_one(client, now_ns))
        ;
    plain_way_sweep(client, now_ns);
}

static void link_call(struct http_client *client, struct http_call *call)
{
    call->link = &client->calls;
    call->next = client->calls;
    if (call->next)
        call->next->link = &call->next;
    client->calls = call;
}

enum status call_start(struct http_client *client, const struct http_call_options *options,
                       struct plain *connects, struct http_call **ret_call, struct err *err)
{
    struct http_call *call = malloc(sizeof(*call));
    enum status s;

    if (!call)
        return err_set(err, ST_NOMEM, "a request to another server");
    *call = (struct http_call){
        .client = client,
        .options = *options,
        .heard_ns = clock_ns(),
        .connects = connects,
    };
    link_call(client, call);
    s = !connects && plain_way_takes(options) ? plain_way_start(call, err)
                                              : curl_way_start(call, err);
    if (s != ST_OK) {
        call_free(call);
        return s;
    }
    *ret_call = call;
    return ST_OK;
}

enum status http_call_start(struct http_client *client, const struct http_call_options *options,
                            struct http_call **ret_call, struct err *err)
{
    return call_start(client, options, NULL, ret_call, err);
}

void http_call_cancel(struct http_call *call)
{
    if (call)
        call_free(call);
}

enum status http_client_new(struct loop *loop, struct http_client **ret_client, struct err *err)
{
    struct http_client *client = calloc(1, sizeof(*client));
    enum status s;

    if (!client)
        return err_set(err, ST_NOMEM, "a client for other HTTP servers");
    (void)signal(SIGPIPE, SIG_IGN); /* a server that closed is an error of write(2), not our end */
    client->loop = loop;
    s = curl_way_new(client, err);
    if (s == ST_OK && loop_timer_new(loop, on_sweep, client, &client->sweep) != ST_OK)
        s = err_set(err, ST_NOMEM, "a client for other HTTP servers");
    if (s != ST_OK) {
        http_client_free(client);
        return s;
    }
    loop_timer_every(client->sweep, SWEEP_MS);
    *ret_client = client;
    return ST_OK;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    client->is_ending = true;
    while (client->calls)
        call_free(client->calls);
    plain_way_free(client);
    curl_way_free(client);
    loop_timer_free(client->sweep);
    free(client);
}
