/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_curl.c - calls by libcurl, on the loop.
 *
 * libcurl says which sockets it waits for and until when (CURLMOPT_SOCKETFUNCTION, _TIMERFUNCTION); libevent
 * waits, and tells.  A handle of libcurl is costly to make and to set up, and is kept for the next call: what is
 * the same for all calls is set once.
 *
 * Between two calls a connection that is kept is still waited for, since the next call comes soon and to say so
 * twice for each call would cost two system calls; libcurl tells when it closes a socket.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http_client_priv.h"

enum { BUFFER_BYTES = 8 << 10 }; /* of a call: tokens are small, and calls are many */

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void set_up_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static bool is_connected(const struct http_call *call)
{
    curl_off_t us = 0;

    (void)curl_easy_getinfo(call->curl, CURLINFO_PRETRANSFER_TIME_T, &us);
    return us > 0;
}

/* Before a byte of an answer nothing may have been done there; a broken connection that was kept
 * libcurl tries anew by itself. */
static enum http_end end_of(const struct http_call *call, CURLcode code)
{
    if (code == CURLE_OK)
        return HTTP_END_WHOLE;
    if (call->was_stopped)
        return HTTP_END_STOPPED;
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
        code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
        code == CURLE_SEND_ERROR)
        return HTTP_END_UNHEARD;
    if (code == CURLE_OPERATION_TIMEDOUT)
        return is_connected(call) ? HTTP_END_LATE : HTTP_END_UNHEARD;
    return HTTP_END_BROKEN;
}

static bool say_head(struct http_call *call)
{
    long status = 0;

    if (!call->has_head) {
        (void)curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
        call->head.status = (int)status;
    }
    return call_say_head(call);
}

/* libcurl closes its own with the handle. */
static void give_socket(struct http_call *call, CURLcode code)
{
    struct plain *plain = call->connects;
    const enum http_end end = end_of(call, code);
    curl_socket_t fd = CURL_SOCKET_BAD;
    int ours = -1;

    if (code == CURLE_OK && curl_easy_getinfo(call->curl, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK &&
        fd != CURL_SOCKET_BAD)
        ours = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    http_call_cancel(call);
    plain_connected(plain, ours, end == HTTP_END_WHOLE ? HTTP_END_UNHEARD : end,
                    curl_easy_strerror(code));
}

static void finish(struct http_call *call, CURLcode code)
{
    if (call->connects) {
        give_socket(call, code);
        return;
    }
    if (code == CURLE_OK && !say_head(call)) /* an answer without a body */
        code = CURLE_WRITE_ERROR;
    call_finish(call, end_of(call, code), curl_easy_strerror(code));
}

void curl_way_finish_late(struct http_call *call)
{
    finish(call, CURLE_OPERATION_TIMEDOUT);
}

static void reap(struct http_client *client)
{
    CURLMsg *message;
    int n_left;

    while ((message = curl_multi_info_read(client->multi, &n_left))) {
        struct http_call *call = NULL;
        const CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        finish(call, code);
    }
}

static void on_socket_event(evutil_socket_t fd, short what, void *arg)
{
    struct http_client *client = arg;
    struct waited *w = &client->waited[fd];
    const int action =
        ((what & EV_READ) ? CURL_CSELECT_IN : 0) | ((what & EV_WRITE) ? CURL_CSELECT_OUT : 0);
    int n_running;

    if (!w->is_wanted) { /* the other side ended: libcurl sees that when it wants the connection again */
        (void)event_del(w->event);
        w->events = 0;
        return;
    }
    (void)curl_multi_socket_action(client->multi, (curl_socket_t)fd, action, &n_running);
    reap(client);
}

static struct waited *waited_of(struct http_client *client, curl_socket_t fd)
{
    const size_t i = (size_t)fd;

    if (i >= client->n_waited) {
        const size_t n = i * 2 + 64;
        struct waited *more = realloc(client->waited, n * sizeof(*more));

        if (!more)
            return NULL;
        memset(more + client->n_waited, 0, (n - client->n_waited) * sizeof(*more));
        client->waited = more;
        client->n_waited = n;
    }
    return &client->waited[i];
}

static void wait_for(struct http_client *client, struct waited *w, curl_socket_t fd, short events)
{
    if (w->events == events)
        return;
    if (w->event)
        event_free(w->event);
    w->event = event_new(loop_base(client->loop), fd, (short)(events | EV_PERSIST), on_socket_event,
                         client);
    w->events = w->event && event_add(w->event, NULL) == 0 ? events : 0;
}

/* libcurl's callback: what to wait for at a socket from now on. */
static int on_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct http_client *client = arg;
    struct waited *w = waited_of(client, fd);

    (void)curl;
    (void)socket_arg;
    if (!w)
        return -1; /* no memory: the call fails */
    w->is_wanted = what != CURL_POLL_REMOVE;
    if (w->is_wanted)
        wait_for(client, w, fd,
                 (short)(((what & CURL_POLL_IN) ? EV_READ : 0) |
                         ((what & CURL_POLL_OUT) ? EV_WRITE : 0)));
    else if (w->events & EV_WRITE) /* an idle connection can be written to all the time */
        wait_for(client, w, fd, EV_READ);
    return 0;
}

static int on_close_wanted(void *arg, curl_socket_t fd)
{
    struct http_client *client = arg;

    if ((size_t)fd < client->n_waited) {
        if (client->waited[fd].event)
            event_free(client->waited[fd].event);
        client->waited[fd] = (struct waited){ 0 };
    }
    return close(fd);
}

static void call_curl(struct http_client *client)
{
    int n_running;

    client->due_ns = 0;
    (void)curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
    reap(client);
}

/* A timer that is due too early is left: it comes back here, while libcurl moves its time with each call. */
static int on_timer_wanted(CURLM *multi, long ms, void *arg)
{
    struct http_client *client = arg;

    (void)multi;
    client->due_ns = ms < 0 ? 0 : deadline_after_ms((uint64_t)ms);
    if (ms == 0)
        event_active(client->soon, EV_TIMEOUT, 0); /* never from in here */
    if (ms <= 0 || (client->timer_ns && client->timer_ns <= client->due_ns))
        return 0;
    client->timer_ns = client->due_ns;
    loop_timer_once(client->timer, (uint64_t)ms);
    return 0;
}

static void on_soon(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    call_curl(arg);
}

static void on_timer(void *arg)
{
    struct http_client *client = arg;
    const uint64_t now_ns = clock_ns(), due_ns = client->due_ns;

    client->timer_ns = 0;
    if (due_ns == 0)
        return;
    if (now_ns >= due_ns) {
        call_curl(client);
        return;
    }
    client->timer_ns = due_ns;
    loop_timer_once(client->timer, (due_ns - now_ns) / NS_PER_MS + 1);
}

static size_t on_curl_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct http_call *call = arg;

    n *= size;
    call->heard_ns = clock_ns();
    return say_head(call) && call_say_bytes(call, bytes, n) ? n : 0;
}

/* The value of the header `name` in `line` [n], or NULL; *ret_n its length. */
static const char *header_value(const char *line, size_t n, const char *name, size_t *ret_n)
{
    const size_t n_name = strlen(name);
    size_t from = n_name + 1;

    if (n <= n_name || line[n_name] != ':' || !curl_strnequal(line, name, n_name))
        return NULL;
    while (from < n && (line[from] == ' ' || line[from] == '\t'))
        from++;
    while (n > from && (line[n - 1] == '\r' || line[n - 1] == '\n' || line[n - 1] == ' '))
        n--;
    *ret_n = n - from;
    return line + from;
}

static uint32_t small_number(const char *text, size_t n)
{
    uint32_t value = 0;

    for (size_t i = 0; i < n && text[i] >= '0' && text[i] <= '9' && value < 100000; i++)
        value = value * 10 + (uint32_t)(text[i] - '0');
    return value;
}

static size_t on_curl_header(char *line, size_t size, size_t n, void *arg)
{
    struct http_call *call = arg;
    const char *value;
    size_t n_value;

    n *= size;
    call->heard_ns = clock_ns();
    if (n > 5 && memcmp(line, "HTTP/", 5) == 0) /* after an interim answer, too */
        call->head = (struct http_answer_head){ 0 };
    value = header_value(line, n, "content-type", &n_value);
    if (value && n_value < sizeof(call->head.type)) {
        memcpy(call->head.type, value, n_value);
        call->head.type[n_value] = '\0';
    }
    value = header_value(line, n, "retry-after", &n_value);
    if (value)
        call->head.retry_after_s = small_number(value, n_value);
    return n;
}

static enum status make_headers(struct http_call *call, struct err *err)
{
    /* "Expect:" keeps libcurl from asking before it sends a long body, which costs a round trip */
    static const char *const none[] = { "Expect:" };

    for (size_t i = 0; i < call->options.n_headers + 1; i++) {
        const char *line = i < call->options.n_headers ? call->options.headers[i] : none[0];
        struct curl_slist *longer = curl_slist_append(call->headers, line);

        if (!longer)
            return err_set(err, ST_NOMEM, "the headers of a request");
        call->headers = longer;
    }
    return ST_OK;
}

/* What is the same for all calls. */
static void set_up_handle(struct http_client *client, CURL *curl)
{
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    (void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    (void)curl_easy_setopt(curl, CURLOPT_TCP_NODELAY, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_MAXAGE_CONN, (long)IDLE_S);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "pomona/" POMONA_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_CLOSESOCKETFUNCTION, on_close_wanted);
    (void)curl_easy_setopt(curl, CURLOPT_CLOSESOCKETDATA, client);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_curl_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_curl_header);
}

/* Everything else: a handle comes as the call before left it. */
static enum status set_call(struct http_call *call, struct err *err)
{
    const struct http_call_options *o = &call->options;
    CURL *curl = call->curl;

    (void)curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, call->connects ? 1L : 0L);
    (void)curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, call->connects ? 1L : 0L);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)o->total_ms);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, call->headers);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, call);
    (void)curl_easy_setopt(curl, CURLOPT_PRIVATE, call);
    if (o->ca_file)
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, o->ca_file);
    if (o->body) {
        (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->n_body);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, o->body);
    } else {
        (void)curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    }
    if (curl_easy_setopt(curl, CURLOPT_URL, o->url) != CURLE_OK)
        return err_set(err, ST_FORMAT, "the address '%s' is no URL", o->url);
    return ST_OK;
}

static CURL *take_handle(struct http_client *client)
{
    CURL *curl;

    if (client->n_spare > 0)
        return client->spare[--client->n_spare];
    curl = curl_easy_init();
    if (curl)
        set_up_handle(client, curl);
    return curl;
}

enum status curl_way_start(struct http_call *call, struct err *err)
{
    enum status s;

    call->curl = take_handle(call->client);
    if (!call->curl)
        return err_set(err, ST_NOMEM, "a request to another server");
    s = make_headers(call, err);
    if (s == ST_OK)
        s = set_call(call, err);
    if (s == ST_OK && curl_multi_add_handle(call->client->multi, call->curl) != CURLM_OK)
        s = err_set(err, ST_NOMEM, "a request to another server");
    return s;
}

void curl_way_leave(struct http_call *call)
{
    struct http_client *client = call->client;

    (void)curl_multi_remove_handle(client->multi, call->curl);
    /* libcurl has no way back to the system's authorities. */
    if (client->n_spare < HANDLES_KEPT && !client->is_ending && !call->options.ca_file)
        client->spare[client->n_spare++] = call->curl;
    else
        curl_easy_cleanup(call->curl);
    curl_slist_free_all(call->headers);
    if (call->connects)
        plain_is_not_connecting(call->connects);
}

enum status curl_way_new(struct http_client *client, struct err *err)
{
    pthread_once(&curl_once, set_up_curl);
    client->multi = curl_multi_init();
    client->soon = event_new(loop_base(client->loop), -1, 0, on_soon, client);
    if (!client->multi || !client->soon ||
        loop_timer_new(client->loop, on_timer, client, &client->timer) != ST_OK)

        return err_set(err, ST_NOMEM, "a client for other HTTP servers");
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    (void)curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    (void)curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    (void)curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
    return ST_OK;
}

void curl_way_free(struct http_client *client)
{
    for (size_t i = 0; i < client->n_spare; i++)
        curl_easy_cleanup(client->spare[i]);
    if (client->multi)
        (void)curl_multi_cleanup(client->multi);
    for (size_t i = 0; i < client->n_waited; i++) /* of connections that libcurl closed itself */
        if (client->waited[i].event)
            event_free(client->waited[i].event);
    if (client->soon)
        event_free(client->soon);
    loop_timer_free(client->timer);
    free(client->waited);
}
