/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/pull.c - get a model from a hub over HTTP, and add it to the store.
 *
 * One answer may be several: redirects come first.  The hub's own answer names the hash and the
 * size (X-Linked-*), the last one sends the bytes and has the tag that resuming needs.
 */
#include "model/store/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hex.h"
#include "model/store/http.h"
#include "model/store/hub.h"
#include "model/store/pull_note.h"
#include "model/store/store_priv.h"

enum {
    STATUS_OK = 200,
    STATUS_PARTIAL = 206,
    STATUS_REFUSED = 400,
    STATUS_BEYOND = 416, /* the range begins at or after the end: all is here, or it shrank */
    STATUS_FAILED = 500,
    HASH_BYTES = 32,
    COMMIT_DIGITS = 40,
    CHUNK_BYTES = 1 << 20,
};

struct pull {
    const struct pull_options *options;
    const struct store *store;
    struct hub_file file;
    char path[PATH_MAX_BYTES];
    struct pull_note note;
    CURL *curl;
    EVP_MD_CTX *hash; /* of the bytes so far */
    int fd;
    uint64_t at;                   /* bytes here */
    uint64_t total;                /* 0: not known */
    uint64_t content_at;           /* where the bytes of this answer begin; of a 206 */
    bool has_begun;                /* the answer's first byte was judged */
    char commit[HUB_REVISION_MAX]; /* of the repository, as the hub said; "": it did not */
    unsigned wait_s;               /* that the server asked for; 0: it did not */
    enum status failed;            /* inside a callback of libcurl */
    struct err *err;
};

/* ---- the file ---- */

static enum status write_failed(const struct pull *p)
{
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
        return err_set(p->err, ST_FULL, "the disk of '%s' is full; pull again to go on", p->path);
    return err_errno(p->err, "write '%s'", p->path);
}

static bool restart_hash(struct pull *p)
{
    return EVP_DigestInit_ex(p->hash, EVP_sha256(), NULL) == 1;
}

static enum status start_over(struct pull *p)
{
    p->at = 0;
    if (!restart_hash(p))
        return err_set(p->err, ST_NOMEM, "hash '%s'", p->path);
    return ftruncate(p->fd, 0) == 0 && lseek(p->fd, 0, SEEK_SET) == 0 ? ST_OK : write_failed(p);
}

/* Hash what an earlier pull left, and stand at its end. */
static enum status take_rest(struct pull *p)
{
    char *chunk = malloc(CHUNK_BYTES);
    enum status s = chunk ? ST_OK : err_set(p->err, ST_NOMEM, "read '%s'", p->path);
    ssize_t n = 0;

    while (s == ST_OK && (n = read(p->fd, chunk, CHUNK_BYTES)) > 0) {
        p->at += (uint64_t)n;
        if (EVP_DigestUpdate(p->hash, chunk, (size_t)n) != 1)
            s = err_set(p->err, ST_NOMEM, "hash '%s'", p->path);
    }
    if (s == ST_OK && n < 0)
        s = err_errno(p->err, "read '%s'", p->path);
    free(chunk);
    return s;
}

static enum status open_part(struct pull *p)
{
    p->fd = open(p->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (p->fd < 0)
        return err_errno(p->err, "create '%s'", p->path);
    if (flock(p->fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(p->err, ST_FULL, "another process is pulling into '%s'", p->path);
    if (!restart_hash(p))
        return err_set(p->err, ST_NOMEM, "hash '%s'", p->path);
    if (pull_note_read(p->path, &p->note) && strcmp(p->note.url, p->file.url) == 0 &&
        (p->note.tag[0] || p->note.sha256[0]))
        return take_rest(p);
    p->note = (struct pull_note){ 0 };
    memcpy(p->note.url, p->file.url, sizeof(p->note.url));
    return start_over(p);
}

static enum status check_room(const struct pull *p)
{
    struct statvfs disk;
    uint64_t room;

    if (p->total <= p->at || fstatvfs(p->fd, &disk) != 0)
        return ST_OK; /* writing will tell */
    room = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (room >= p->total - p->at)
        return ST_OK;
    return err_set(p->err, ST_FULL,
                   "the model needs %" PRIu64 " MiB more and the disk of '%s' has %" PRIu64
                   " MiB left",
                   ((p->total - p->at) >> 20) + 1, p->store->dir, room >> 20);
}

/* ---- the answer ---- */

/* The value of header `name` in a line, without quotes and blanks; false: another header. */
static bool take_header(const char *line, size_t n, const char *name, char *ret, size_t capacity)
{
    const size_t n_name = strlen(name);
    const char *at = line + n_name + 1, *end = line + n;

    if (n <= n_name + 1 || strncasecmp(line, name, n_name) != 0 || line[n_name] != ':')
        return false;
    while (at < end && (*at == ' ' || *at == '"'))
        at++;
    while (end > at && strchr("\r\n \"", end[-1]))
        end--;
    if ((size_t)(end - at) >= capacity)
        return false;
    memcpy(ret, at, (size_t)(end - at));
    ret[end - at] = '\0';
    return true;
}

static bool is_hash(const char *text)
{
    uint8_t bytes[HASH_BYTES];

    return strlen(text) == 2 * (size_t)HASH_BYTES && hex_read(text, HASH_BYTES, bytes);
}

static bool is_commit(const char *text)
{
    return strlen(text) == COMMIT_DIGITS && strspn(text, "0123456789abcdef") == COMMIT_DIGITS;
}

/* libcurl's header callback, for each line of each answer. */
static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
    struct pull *p = arg;
    char value[PULL_TAG_MAX];

    n *= size;
    if (n > 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        p->note.next_tag[0] = '\0';
        p->content_at = 0;
    } else if (take_header(line, n, "ETag", value, sizeof(value))) {
        /* A weak tag (W/) promises no equal bytes: RFC 9110, section 8.8.1. */
        if (strncmp(value, "W/", 2) != 0)
            memcpy(p->note.next_tag, value, sizeof(value));
    } else if (take_header(line, n, "X-Linked-ETag", value, sizeof(value)) && is_hash(value)) {
        memcpy(p->note.next_sha256, value, sizeof(p->note.next_sha256));
    } else if (take_header(line, n, "X-Repo-Commit", value, sizeof(value)) && is_commit(value)) {
        memcpy(p->commit, value, strlen(value) + 1);
    } else if (take_header(line, n, "X-Linked-Size", value, sizeof(value))) {
        p->note.next_bytes = strtoull(value, NULL, 10);
    } else if (take_header(line, n, "Content-Range", value, sizeof(value)) &&
               sscanf(value, "bytes %20" SCNu64, &p->content_at) != 1) {
        p->content_at = UINT64_MAX; /* no place the bytes could go to */
    }
    return n;
}

static long status_of(const struct pull *p)
{
    long status = 0;

    (void)curl_easy_getinfo(p->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* The first byte of an answer: may it be added to what is here? */
static enum status judge_answer(struct pull *p)
{
    const bool continues = status_of(p) == STATUS_PARTIAL;
    curl_off_t length = -1;
    enum status s = ST_OK;

    if (continues && p->content_at != p->at)
        return err_set(p->err, ST_FORMAT, "the server sends another part than the one asked for");
    if (!continues && p->at > 0)
        s = start_over(p);
    (void)curl_easy_getinfo(p->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    p->total = length >= 0 ? p->at + (uint64_t)length : p->note.next_bytes;
    if (s == ST_OK)
        s = check_room(p);
    if (s == ST_OK) {
        pull_note_renew(&p->note, p->total);
        s = pull_note_write(p->path, &p->note, p->err);
    }
    return s;
}

static enum status take_bytes(struct pull *p, const char *bytes, size_t n)
{
    enum status s = ST_OK;

    if (!p->has_begun)
        s = judge_answer(p);
    p->has_begun = true;
    if (s != ST_OK)
        return s;
    if (file_write_all(p->fd, bytes, n) != ST_OK)
        return write_failed(p);
    if (EVP_DigestUpdate(p->hash, bytes, n) != 1)
        return err_set(p->err, ST_NOMEM, "hash '%s'", p->path);
    p->at += n;
    if (p->options->on_progress)
        p->options->on_progress(p->options->arg, p->at, p->total);
    return ST_OK;
}

/* libcurl's write callback: anything but n ends the transfer. */
static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct pull *p = arg;

    n *= size;
    if (status_of(p) >= STATUS_REFUSED)
        return n;
    p->failed = take_bytes(p, bytes, n);
    return p->failed == ST_OK ? n : 0;
}

/* ---- attempts ---- */

enum outcome { PULLED, TRY_AGAIN, HOPELESS };

static enum outcome judge(struct pull *p, CURLcode code)
{
    const long status = status_of(p);

    if (p->failed != ST_OK)
        return HOPELESS;
    if (code != CURLE_OK) {
        p->failed = err_set(p->err, ST_PEER, "'%.*s': %s", (int)strcspn(p->file.url, "?"),
                            p->file.url, curl_easy_strerror(code));
        return code == CURLE_TOO_MANY_REDIRECTS || code == CURLE_UNSUPPORTED_PROTOCOL ||
                       code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_URL_MALFORMAT
                   ? HOPELESS
                   : TRY_AGAIN;
    }
    if (status == STATUS_BEYOND && p->at > 0 && p->at == p->note.n_bytes)
        return PULLED;
    if (status == STATUS_BEYOND && p->at > 0) {
        p->failed = start_over(p);
        if (p->failed != ST_OK)
            return HOPELESS;
        p->failed = err_set(p->err, ST_PEER, "the server's file is shorter than what is here");
        return TRY_AGAIN;
    }
    if (status >= STATUS_REFUSED) {
        p->failed = http_refusal(p->file.url, status, p->err);
        p->wait_s = http_retry_after_s(p->curl, status);
        return status >= STATUS_FAILED || p->wait_s > 0 ? TRY_AGAIN : HOPELESS;
    }
    return PULLED;
}

static enum outcome attempt(struct pull *p)
{
    const char *tag = p->note.tag;
    struct curl_slist *headers = NULL;
    char line[PULL_TAG_MAX + 32];
    CURLcode code;

    p->failed = ST_OK;
    p->wait_s = 0;
    p->has_begun = false;
    if (p->at > 0) {
        (void)snprintf(line, sizeof(line), "Range: bytes=%" PRIu64 "-", p->at);
        headers = curl_slist_append(headers, line);
    }
    if (p->at > 0 && tag[0]) { /* of another file the server sends all: RFC 9110, section 13.1.5 */
        (void)snprintf(line, sizeof(line), "If-Range: \"%s\"", tag);
        headers = curl_slist_append(headers, line);
    }
    (void)curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(p->curl, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(p->curl, CURLOPT_HEADERDATA, p);
    (void)curl_easy_setopt(p->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(p->curl, CURLOPT_WRITEDATA, p);
    code = curl_easy_perform(p->curl);
    (void)curl_easy_setopt(p->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return judge(p, code);
}

static void wait_ms(uint64_t ms)
{
    const struct timespec wait = { (time_t)(ms / 1000), (long)(ms % 1000 * NS_PER_MS) };

    (void)nanosleep(&wait, NULL);
}

static enum status fetch(struct pull *p)
{
    const uint64_t first_ms = p->options->wait_ms ? p->options->wait_ms : PULL_WAIT_MS;
    uint64_t ms = first_ms, reached = p->at;
    unsigned n_failed = 0;

    for (;;) {
        const enum outcome outcome = attempt(p);

        if (outcome == PULLED)
            return ST_OK;
        if (p->at > reached) {
            n_failed = 0;
            ms = first_ms;
        }
        reached = p->at;
        if (outcome == HOPELESS || ++n_failed >= PULL_ATTEMPTS)
            return p->failed;
        if (p->wait_s > 0) {
            wait_ms(1000ull * p->wait_s);
            continue;
        }
        wait_ms(ms);
        ms *= 2;
    }
}

/* ---- the end ---- */

static void forget_part(const struct pull *p)
{
    (void)unlink(p->path);
    pull_note_remove(p->path);
}

static enum status check_hash(struct pull *p, bool *ret_is_hashed)
{
    char text[2 * HASH_BYTES + 1];
    uint8_t found[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (p->note.n_bytes != 0 && p->at != p->note.n_bytes) {
        forget_part(p);
        return err_set(p->err, ST_FORMAT,
                       "%" PRIu64 " bytes came and the hub says it has %" PRIu64 "; pull it again",
                       p->at, p->note.n_bytes);
    }
    *ret_is_hashed = p->note.sha256[0] != '\0';
    if (!*ret_is_hashed)
        return ST_OK;
    if (EVP_DigestFinal_ex(p->hash, found, &n) != 1 || n != HASH_BYTES)
        return err_set(p->err, ST_NOMEM, "hash '%s'", p->path);
    hex_write(found, HASH_BYTES, text);
    if (strcasecmp(text, p->note.sha256) == 0)
        return ST_OK;
    forget_part(p);
    return err_set(p->err, ST_FORMAT,
                   "what came is not the hub's file: its SHA-256 is %.12s..., the hub says "
                   "%.12s...; pull it again",
                   text, p->note.sha256);
}

static enum status run(struct pull *p, struct pull_result *result)
{
    const char *wanted = p->options->name ? p->options->name : p->file.file;
    const char *token = p->file.is_of_endpoint ? p->options->token : NULL;
    char name[MODEL_NAME_MAX], part[MODEL_NAME_MAX + 8];
    enum status s = store_new_name(p->store, wanted, name, p->err);

    if (s != ST_OK)
        return s;
    (void)snprintf(part, sizeof(part), ".%s.part", name);
    s = path_join(p->store->dir, part, p->path, p->err);
    if (s == ST_OK)
        s = open_part(p);
    if (s == ST_OK)
        s = http_handle_new(p->file.url, token, &p->curl, p->err);
    if (s != ST_OK)
        return s;
    result->resumed_bytes = p->at;
    s = fetch(p);
    if (s == ST_OK)
        s = check_hash(p, &result->is_hashed);
    if (s == ST_OK && fsync(p->fd) != 0)
        s = write_failed(p);
    if (s != ST_OK)
        return s;
    s = store_adopt(p->store, p->path, name, &result->entry, p->err);
    if (s == ST_OK) {
        hub_origin(&p->file, p->commit, result->entry.info.origin);
        store_origin_write(p->store, &result->entry.info);
    }
    if (s == ST_OK || s == ST_FORMAT || s == ST_UNSUPPORTED)
        forget_part(p);
    return s;
}

enum status store_pull(const struct store *store, const struct pull_options *options,
                       struct pull_result *ret_result, struct err *err)
{
    struct pull p = { .options = options, .store = store, .fd = -1, .err = err };
    struct pull_result result = { 0 };
    enum status s;

    p.hash = EVP_MD_CTX_new();
    s = p.hash ? hub_find(options->what, options->endpoint, options->token, &p.file, err)
               : err_set(err, ST_NOMEM, "pull '%.100s'", options->what);
    if (s == ST_OK)
        s = run(&p, &result);
    if (p.fd >= 0)
        close(p.fd);
    curl_easy_cleanup(p.curl);
    EVP_MD_CTX_free(p.hash);
    if (s == ST_OK)
        *ret_result = result;
    return s;
}
