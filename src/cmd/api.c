/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/api.c - the client's end of a node's HTTP, on libcurl.
 *
 * A call is one transfer: set up, perform, judge.  Lines are handed out
 * while the transfer runs; a refusal (status 400 and above) is collected
 * whole instead, whichever way it was asked for.
 */
#include "cmd/api.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_MS = 3000,
    TOTAL_MS = 20000,
    PLACING_MS = 30 * 60 * 1000, /* a large model is read from a slow disk */
    REPLY_MAX_BYTES = 16 << 20,
    REFUSED = 400,
    URL_MAX_BYTES = 4096,
    API_KEY_HEADER_MAX = 9 << 10, /* a token has 8 KiB at most */
};

struct transfer {
    CURL *curl;
    struct buf reply; /* collected, or the line being collected */
    api_line_fn *fn;  /* NULL: the reply is one value */
    void *arg;
    enum status status; /* why we stopped the transfer */
    struct err *err;
};

static long http_status(struct transfer *t)
{
    long status = 0;

    (void)curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static enum status line_take(struct transfer *t, size_t n)
{
    json_error_t why;
    json_t *line = json_loadb(t->reply.data, n, 0, &why);
    enum status s;

    if (!line)
        return err_set(t->err, ST_FORMAT, "the node sent a line that is not JSON: %s", why.text);
    s = t->fn(t->arg, line, t->err);
    json_decref(line);
    return s;
}

static enum status lines_take(struct transfer *t)
{
    enum status s = ST_OK;
    char *end;

    while (s == ST_OK && t->reply.len > 0 && (end = memchr(t->reply.data, '\n', t->reply.len))) {
        const size_t n = (size_t)(end - t->reply.data);

        if (n > 0)
            s = line_take(t, n);
        buf_consume(&t->reply, n + 1);
    }
    return s;
}

/* libcurl's write callback: anything but n ends the transfer. */
static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;

    n *= size;
    buf_append(&t->reply, bytes, n);
    t->status = buf_status(&t->reply);
    if (t->status == ST_OK && t->reply.len > REPLY_MAX_BYTES)
        t->status = err_set(t->err, ST_RANGE, "the node's answer is longer than %d MiB",
                            REPLY_MAX_BYTES >> 20);
    if (t->status == ST_OK && t->fn && http_status(t) < REFUSED)
        t->status = lines_take(t);
    return t->status == ST_OK ? n : 0;
}

static enum status url_make(const struct app *app, const char *path, struct buf *ret_url,
                            struct err *err)
{
    const char *base = app_api_url(app);
    size_t n = strlen(base);

    if (strncmp(base, "http://", 7) != 0 && strncmp(base, "https://", 8) != 0)
        return err_set(err, ST_RANGE, "'%s' does not start with http:// or https://", base);
    while (n > 0 && base[n - 1] == '/')
        n--;
    if (n > URL_MAX_BYTES)
        return err_set(err, ST_RANGE, "the node's URL is longer than %d bytes", URL_MAX_BYTES);
    buf_append(ret_url, base, n);
    buf_puts(ret_url, path);
    return buf_status(ret_url);
}

/* The node's words for what it refused, as the status a command can act on. */
static enum status refused(struct transfer *t, long status)
{
    json_t *reply = json_loadb(buf_text(&t->reply), t->reply.len, 0, NULL);
    char otherwise[64];
    enum status s = status == 404                    ? ST_NOTFOUND
                    : status == 401 || status == 403 ? ST_DENIED
                    : status < 500                   ? ST_RANGE
                    : status == 503                  ? ST_FULL
                                                     : ST_IO;

    (void)snprintf(otherwise, sizeof(otherwise), "the node answered with HTTP status %ld", status);
    s = api_error(reply, s, otherwise, t->err);
    json_decref(reply);
    return s;
}

static enum status judge(struct transfer *t, const struct app *app, CURLcode code)
{
    const char *url = app_api_url(app);

    if (t->status != ST_OK)
        return t->status;
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST)
        return err_set(t->err, ST_PEER, "no node answers at %s: start one with '%s serve'", url,
                       app->program);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return err_set(t->err, ST_DEADLINE, "the node at %s did not answer in time", url);
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return err_set(
            t->err, ST_DENIED,
            "the certificate of the node at %s is not trusted here: %s; name the file of "
            "who signed it in POMONA_API_CA",
            url, curl_easy_strerror(code));
    if (code != CURLE_OK)
        return err_set(t->err, ST_PEER, "the node at %s broke off: %s", url,
                       curl_easy_strerror(code));
    if (http_status(t) >= REFUSED)
        return refused(t, http_status(t));
    return ST_OK;
}

/* The settings that every transfer has. */
static void set_up(struct transfer *t, const char *url, const char *ca, const char *body,
                   struct curl_slist *headers, long total_ms)
{
    (void)curl_easy_setopt(t->curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(t->curl, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(t->curl, CURLOPT_TIMEOUT_MS, total_ms);
    (void)curl_easy_setopt(t->curl, CURLOPT_USERAGENT, "pomona/" POMONA_VERSION);
    (void)curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
    (void)curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, headers);
    if (ca)
        (void)curl_easy_setopt(t->curl, CURLOPT_CAINFO, ca);
    if (!body)
        return;
    (void)curl_easy_setopt(t->curl, CURLOPT_POSTFIELDS, body);
}

/* NULL: no memory. */
static struct curl_slist *headers_make(const struct app *app)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct curl_slist *more;
    char key[API_KEY_HEADER_MAX];

    if (!headers || !app->api_key)
        return headers;
    (void)snprintf(key, sizeof(key), "Authorization: Bearer %s", app->api_key);
    more = curl_slist_append(headers, key);
    if (!more)
        curl_slist_free_all(headers);
    return more;
}

/* body  NULL: GET.  The reply stays in `t`. */
static enum status perform(const struct app *app, struct transfer *t, const char *path,
                           const json_t *body, long total_ms)
{
    struct curl_slist *headers = NULL;
    struct buf url = { 0 };
    char *text = NULL;
    enum status s;

    s = url_make(app, path, &url, t->err);
    if (s != ST_OK)
        goto out;
    s = ST_NOMEM;
    t->curl = curl_easy_init();
    headers = headers_make(app);
    text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (!t->curl || !headers || (body && !text)) {
        (void)err_set(t->err, s, "no memory to ask the node");
        goto out;
    }
    set_up(t, buf_text(&url), app->api_ca, text, headers, total_ms);
    s = judge(t, app, curl_easy_perform(t->curl));

out:
    curl_easy_cleanup(t->curl);
    t->curl = NULL;
    curl_slist_free_all(headers);
    free(text);
    buf_release(&url);
    return s;
}

static enum status one_value(const struct app *app, const char *path, const json_t *body,
                             json_t **ret_reply, struct err *err)
{
    struct transfer t = { .err = err };
    json_error_t why;
    json_t *reply;
    enum status s;

    s = perform(app, &t, path, body, TOTAL_MS);
    if (s == ST_OK) {
        reply = json_loadb(buf_text(&t.reply), t.reply.len, 0, &why);
        if (reply)
            *ret_reply = reply;
        else
            s = err_set(err, ST_FORMAT, "what answers at %s is not a node: its answer is not JSON",
                        app_api_url(app));
    }
    buf_release(&t.reply);
    return s;
}

enum status api_get(const struct app *app, const char *path, json_t **ret_reply, struct err *err)
{
    return one_value(app, path, NULL, ret_reply, err);
}

enum status api_post(const struct app *app, const char *path, const json_t *body,
                     json_t **ret_reply, struct err *err)
{
    return one_value(app, path, body, ret_reply, err);
}

enum status api_post_lines(const struct app *app, const char *path, const json_t *body,
                           api_line_fn *fn, void *arg, struct err *err)
{
    struct transfer t = { .fn = fn, .arg = arg, .err = err };
    enum status s;

    s = perform(app, &t, path, body, PLACING_MS);
    if (s == ST_OK && t.reply.len > 0)
        s = line_take(&t, t.reply.len); /* a last line without its end */
    buf_release(&t.reply);
    return s;
}

enum status api_error(const json_t *reply, enum status s, const char *otherwise, struct err *err)
{
    const char *words =
        json_string_value(json_object_get(json_object_get(reply, "error"), "message"));

    return err_set(err, s, "%s", words && *words ? words : otherwise);
}

void api_escape(struct buf *query, const char *text)
{
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";

    for (; *text; text++)
        if (strchr(unreserved, *text))
            buf_putc(query, *text);
        else
            buf_printf(query, "%%%02X", (unsigned)(unsigned char)*text);
}
