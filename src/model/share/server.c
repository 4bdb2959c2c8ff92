/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/server.c - give peers the pieces of the models that this machine holds. */
#include "model/share/server.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/log.h"
#include "model/share/manifest.h"
#include "model/share/parts.h"
#include "model/share/served.h"
#include "model/share/share_tls.h"
#include "net/http_guard.h"
#include "net/loop.h"

enum { IDLE_S = 30, HEADERS_MAX = 4096, HEADER_LINES_MAX = 64 };

struct share {
    struct loop *loop;
    struct evhttp *http;
    struct guard *guard;
    struct served_list *served;
    struct parts *parts; /* NULL: none is given */
    atomic_ullong given_bytes;
    uint16_t port;
    bool has_thread;
    struct tls *tls; /* NULL: in clear */
    pthread_t thread;
};

/* ---- requests ---- */

static void refuse(struct evhttp_request *req, int http_status, const char *words)
{
    evbuffer_add_printf(evhttp_request_get_output_buffer(req), "%s\n", words);
    evhttp_send_reply(req, http_status, NULL, NULL);
}

static const char *header_of(struct evhttp_request *req, const char *name)
{
    return evhttp_find_header(evhttp_request_get_input_headers(req), name);
}

/* Send what is in `bytes`, or that there is no memory for it. */
static void give_buf(struct evhttp_request *req, const struct buf *bytes)
{
    if (buf_status(bytes) != ST_OK ||
        evbuffer_add(evhttp_request_get_output_buffer(req), bytes->data, bytes->len) != 0)
        refuse(req, HTTP_INTERNAL, "out of memory");
    else
        evhttp_send_reply(req, HTTP_OK, NULL, NULL);
}

static enum status find_part(struct share *share, const uint8_t *digest, const char **ret_path,
                             const struct piece_map **ret_pieces, struct err *err)
{
    if (!share->parts)
        return err_set(err, ST_NOTFOUND, "this node gives no such model");
    return parts_find(share->parts, digest, ret_path, ret_pieces, err);
}

/* As it was checked when it came; who gets it checks it again. */
static void give_manifest_of_part(struct share *share, struct evhttp_request *req,
                                  const uint8_t *digest)
{
    const struct piece_map *unused;
    char kept[PATH_MAX_BYTES];
    struct buf bytes = { 0 };
    const char *path;
    struct err err = { 0 };
    enum status s = find_part(share, digest, &path, &unused, &err);

    if (s == ST_OK)
        s = part_manifest_path(path, kept, &err);
    if (s == ST_OK)
        s = file_read(kept, MANIFEST_BYTES_MAX, &bytes, &err);
    if (s == ST_OK)
        give_buf(req, &bytes);
    else
        refuse(req, HTTP_NOTFOUND, err.words);
    buf_release(&bytes);
}

static void give_manifest(struct share *share, struct evhttp_request *req, const uint8_t *digest)
{
    struct evbuffer *out = evhttp_request_get_output_buffer(req);
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    const struct buf *manifest = NULL;
    uint64_t done, total;
    struct err err = { 0 };

    switch ((int)served_manifest(share->served, digest, &manifest, &done, &total, &err)) {
    case ST_OK: give_buf(req, manifest); return;
    case ST_FULL:
        (void)evhttp_add_header(headers, "Retry-After", "1");
        evbuffer_add_printf(out, "%" PRIu64 " %" PRIu64 "\n", done, total);
        evhttp_send_reply(req, HTTP_SERVUNAVAIL, NULL, NULL);
        return;
    case ST_NOTFOUND: give_manifest_of_part(share, req, digest); return;
    default: refuse(req, HTTP_INTERNAL, err.words);
    }
}

/* A file that is here as a whole has all pieces. */
static enum status whole_map(const char *path, struct piece_map *ret_map, struct err *err)
{
    struct stat st;
    enum status s;

    if (stat(path, &st) != 0)
        return err_errno(err, "look at '%s'", path);
    s = piece_map_init(ret_map, (uint64_t)st.st_size, piece_bytes_of((uint64_t)st.st_size), err);
    if (s == ST_OK) {
        piece_map_add(ret_map, 0, (uint64_t)st.st_size);
        ret_map->is_clean = true;
    }
    return s;
}

static void give_pieces(struct share *share, struct evhttp_request *req, const uint8_t *digest)
{
    const char *path = served_path(share->served, digest);
    const struct piece_map *pieces = NULL;
    struct piece_map whole = { 0 };
    struct buf bytes = { 0 };
    struct err err = { 0 };
    enum status s;

    if (path) {
        s = whole_map(path, &whole, &err);
        pieces = &whole;
    } else {
        s = find_part(share, digest, &path, &pieces, &err);
    }
    if (s == ST_OK) {
        piece_map_encode(pieces, &bytes);
        give_buf(req, &bytes);
    } else {
        refuse(req, HTTP_NOTFOUND, err.words);
    }
    buf_release(&bytes);
    piece_map_release(&whole);
}

/* "bytes=FIRST-LAST", both given: RFC 9110, section 14.1.2. */
static bool parse_range(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
    static const char unit[] = "bytes=";
    const char *at;
    char *end;

    if (!text || strncmp(text, unit, strlen(unit)) != 0)
        return false;
    at = text + strlen(unit);
    if (*at < '0' || *at > '9')
        return false;
    errno = 0;
    *ret_first = strtoull(at, &end, 10);
    if (*end != '-' || end[1] < '0' || end[1] > '9')
        return false;
    *ret_last = strtoull(end + 1, &end, 10);
    return errno == 0 && *end == '\0' && *ret_first <= *ret_last &&
           *ret_last - *ret_first < SHARE_RANGE_MAX;
}

/* To be sealed, bytes are read: a file that shrinks meanwhile is an error then, which it would
 * not be of memory that maps it. */
static bool add_read(struct evbuffer *out, int fd, uint64_t first, uint64_t n)
{
    struct evbuffer_file_segment *segment =
        evbuffer_file_segment_new(fd, (ev_off_t)first, (ev_off_t)n,
                                  EVBUF_FS_DISABLE_MMAP | EVBUF_FS_DISABLE_SENDFILE |
                                      EVBUF_FS_DISABLE_LOCKING | EVBUF_FS_CLOSE_ON_FREE);
    bool is_added;

    if (!segment)
        return false;
    is_added = evbuffer_add_file_segment(out, segment, 0, (ev_off_t)n) == 0;
    evbuffer_file_segment_free(segment); /* the buffer keeps it */
    return is_added;
}

/* The buffer takes `fd`, where it succeeds. */
static bool add_file(const struct share *share, struct evhttp_request *req, int fd, uint64_t first,
                     uint64_t n)
{
    struct evbuffer *out = evhttp_request_get_output_buffer(req);

    if (share->tls)
        return add_read(out, fd, first, n);
    /* What is in it goes to a socket unread, so it may hold a part of a file for sendfile(2). */
    (void)evbuffer_set_flags(out, EVBUFFER_FLAG_DRAINS_TO_FD);
    return evbuffer_add_file(out, fd, (ev_off_t)first, (ev_off_t)n) == 0;
}

static void give_bytes(struct share *share, struct evhttp_request *req, const uint8_t *digest)
{
    const char *path = served_path(share->served, digest);
    const struct piece_map *pieces = NULL; /* NULL: all of them */
    struct err err = { 0 };
    uint64_t first, last;
    char range[96];
    struct stat st;
    int fd;

    if (!path && find_part(share, digest, &path, &pieces, &err) != ST_OK) {
        refuse(req, HTTP_NOTFOUND, err.words);
        return;
    }
    if (!parse_range(header_of(req, "Range"), &first, &last)) {
        refuse(req, HTTP_BADREQUEST, "ask for one range, no longer than 16 MiB");
        return;
    }
    if (pieces && !piece_map_covers(pieces, first, last - first + 1)) {
        refuse(req, HTTP_NOTFOUND, "these bytes are not here");
        return;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        refuse(req, HTTP_INTERNAL, "the file cannot be read");
        goto out;
    }
    if (last >= (uint64_t)st.st_size) {
        refuse(req, 416, "the range is beyond the end of the file");
        goto out;
    }
    (void)snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%lld", first, last,
                   (long long)st.st_size);
    if (!add_file(share, req, fd, first, last - first + 1)) {
        refuse(req, HTTP_INTERNAL, "the file cannot be read");
        goto out;
    }
    (void)evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Range", range);
    atomic_fetch_add(&share->given_bytes, last - first + 1);
    evhttp_send_reply(req, 206, "Partial Content", NULL);
    return;

out:
    if (fd >= 0)
        close(fd);
}

static void on_request(struct evhttp_request *req, void *arg)
{
    static const char root[] = "/model/";
    const size_t n_root = strlen(root), n_digest = 2 * (size_t)MODEL_DIGEST_BYTES;
    struct share *share = arg;
    const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
    struct bufferevent *connection =
        evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
    uint8_t digest[MODEL_DIGEST_BYTES];
    const char *what = "";

    if (!path || (share->tls && !guard_is_secured(connection))) {
        refuse(req, 403, "the connection lacks a proof of the cluster's key");
        return;
    }
    if (strncmp(path, root, n_root) == 0 && strlen(path) > n_root + n_digest &&
        hex_read(path + n_root, MODEL_DIGEST_BYTES, digest))
        what = path + n_root + n_digest;
    if (strcmp(what, "/manifest") == 0)
        give_manifest(share, req, digest);
    else if (strcmp(what, "/pieces") == 0)
        give_pieces(share, req, digest);
    else if (strcmp(what, "/bytes") == 0)
        give_bytes(share, req, digest);
    else
        refuse(req, HTTP_NOTFOUND, "there is nothing at this address");
}

/* ---- start and end ---- */

static void *thread_main(void *arg)
{
    struct share *share = arg;

    (void)loop_run(share->loop, NULL);
    return NULL;
}

static enum status start_thread(struct share *share, struct err *err)
{
    sigset_t all, before;
    int failed;

    (void)sigfillset(&all); /* signals are the main loop's business */
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    failed = pthread_create(&share->thread, NULL, thread_main, share);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed)
        return err_set(err, ST_FULL, "start the thread that gives models: %s", strerror(failed));
    share->has_thread = true;
    return ST_OK;
}

static enum status listen_on(struct share *share, const struct share_options *o, struct err *err)
{
    const struct guard_bounds bounds = {
        .request = { .header_bytes = HEADERS_MAX,
                     .header_lines = HEADER_LINES_MAX,
                     .url_bytes = HEADERS_MAX },
        .n_connections = SHARE_CONNECTIONS_MAX,
        .n_per_address = SHARE_CONNECTIONS_MAX,
        .header_s = GUARD_HEADER_S,
        .body_s = GUARD_BODY_S,
        .body_bytes_per_s = GUARD_BYTES_PER_S,
    };
    struct evhttp_bound_socket *socket;
    enum status s;

    share->http = evhttp_new(loop_base(share->loop));
    if (!share->http)
        return err_set(err, ST_NOMEM, "a server for models");
    evhttp_set_gencb(share->http, on_request, share);
    evhttp_set_max_headers_size(share->http, HEADERS_MAX);
    evhttp_set_max_body_size(share->http, 0);
    evhttp_set_timeout(share->http, IDLE_S);
    evhttp_set_allowed_methods(share->http, EVHTTP_REQ_GET);
    (void)signal(SIGPIPE, SIG_IGN); /* a peer that closed is an error of the write */
    socket = evhttp_bind_socket_with_handle(share->http, o->host, o->port);
    if (!socket)
        return err_errno(err, "listen for peers that fetch models on %s port %u", o->host, o->port);
    share->port = address_port_of(evhttp_bound_socket_get_fd(socket));
    s = guard_new(share->loop, share->http, socket, &bounds, &share->guard, err);
    if (s == ST_OK)
        guard_secure(share->guard, share->tls);
    return s;
}

enum status share_new(const struct share_options *options, struct share **ret_share,
                      struct err *err)
{
    struct share *share = calloc(1, sizeof(*share));
    enum status s;

    if (!share)
        return err_set(err, ST_NOMEM, "a server for models");
    atomic_init(&share->given_bytes, 0);
    s = loop_new(&share->loop, err);
    if (s == ST_OK && options->key)
        s = share_tls_new(options->key, &share->tls, err);
    if (s == ST_OK && options->parts_dir)
        s = parts_new(options->parts_dir, &share->parts, err);
    if (s == ST_OK)
        s = served_new(share->loop, options->keep_dir, options->piece_bytes, &share->served, err);
    if (s == ST_OK)
        s = listen_on(share, options, err);
    if (s == ST_OK)
        s = start_thread(share, err);
    if (s != ST_OK) {
        share_free(share);
        return s;
    }
    *ret_share = share;
    return ST_OK;
}

uint16_t share_port(const struct share *share)
{
    return share->port;
}

uint64_t share_given_bytes(const struct share *share)
{
    return atomic_load(&share->given_bytes);
}

static void stop_loop(void *arg)
{
    struct share *share = arg;

    loop_stop(share->loop);
}

static void stop(void *arg)
{
    struct share *share = arg;

    served_stop(share->served, stop_loop, share);
}

void share_free(struct share *share)
{
    if (!share)
        return;
    if (share->has_thread) {
        if (loop_post(share->loop, stop, share) != ST_OK)
            return; /* out of memory for 16 bytes: the thread keeps what it uses */
        (void)pthread_join(share->thread, NULL);
    }
    if (share->http)
        evhttp_free(share->http);
    guard_free(share->guard);
    served_free(share->served);
    parts_free(share->parts);
    loop_free(share->loop);
    tls_free(share->tls);
    free(share);
}

/* A list on its way to the loop's thread. */
struct posted_models {
    struct share *share;
    struct share_model *models; /* [n], each path owned */
    size_t n;
};

static void posted_free(struct posted_models *p)
{
    for (size_t i = 0; p->models && i < p->n; i++)
        free((void *)(uintptr_t)p->models[i].path);
    free(p->models);
    free(p);
}

static void take_models(void *arg)
{
    struct posted_models *p = arg;
    struct err err;

    if (served_set(p->share->served, p->models, p->n, &err) != ST_OK)
        log_warn("peers cannot fetch the newest models: %s", err.words);
    posted_free(p);
}

enum status share_set_models(struct share *share, const struct share_model *models, size_t n,
                             struct err *err)
{
    struct posted_models *p = calloc(1, sizeof(*p));
    bool is_whole = p && (p->models = calloc(n + 1, sizeof(*p->models)));

    if (p)
        p->share = share;
    for (size_t i = 0; is_whole && i < n; i++) {
        p->models[i] = models[i];
        p->models[i].path = strdup(models[i].path);
        p->n++;
        is_whole = p->models[i].path != NULL;
    }
    if (is_whole && loop_post(share->loop, take_models, p) == ST_OK)
        return ST_OK;
    if (p)
        posted_free(p);
    return err_set(err, ST_NOMEM, "a list of %zu models to give", n);
}
