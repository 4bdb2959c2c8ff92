/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/hub.c - which file on a hub a person means. */
#include "model/store/hub.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "model/store/http.h"

enum { LIST_BYTES_MAX = 8 << 20, REFUSED = 400, REPOSITORY_MAX = 200 };

static const char suffix[] = ".gguf";

static bool is_gguf(const char *file)
{
    const size_t n = strlen(file), n_suffix = strlen(suffix);

    return n > n_suffix && strcasecmp(file + n - n_suffix, suffix) == 0;
}

/* A path of a URL without anything that needs escaping, and no way up. */
static bool is_plain(const char *text)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";

    return text[0] && text[0] != '/' && !strstr(text, "..") &&
           strspn(text, allowed) == strlen(text);
}

static enum status take_name(const char *path, struct hub_file *file, struct err *err)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const size_t n = strcspn(name, "?#");

    if (n == 0 || n >= sizeof(file->file))
        return err_set(err, ST_RANGE, "'%.100s' ends in no name of a file", path);
    memcpy(file->file, name, n);
    file->file[n] = '\0';
    if (!is_gguf(file->file))
        return err_set(err, ST_UNSUPPORTED, "'%.100s' is no GGUF file", file->file);
    return ST_OK;
}

static bool is_below(const char *url, const char *endpoint)
{
    const size_t n = strlen(endpoint);

    return strncmp(url, endpoint, n) == 0 && url[n] == '/';
}

static enum status of_url(const char *url, const char *endpoint, struct hub_file *file,
                          struct err *err)
{
    if (strlen(url) >= sizeof(file->url))
        return err_set(err, ST_RANGE, "the address is longer than %d bytes", HUB_URL_MAX - 1);
    memcpy(file->url, url, strlen(url) + 1);
    file->is_of_endpoint = is_below(url, endpoint);
    return take_name(url, file, err);
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
    struct buf *b = arg;

    n *= size;
    if (b->len + n > LIST_BYTES_MAX)
        return 0;
    buf_append(b, bytes, n);
    return buf_status(b) == ST_OK ? n : 0;
}

static enum status get_list(const char *url, const char *token, json_t **ret_list, struct err *err)
{
    struct buf body = { 0 };
    long http_status = 0;
    CURLcode code;
    CURL *curl;
    enum status s = http_handle_new(url, token, &curl, err);

    if (s != ST_OK)
        return s;
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    code = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http_status);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK)
        s = err_set(err, ST_PEER, "ask '%.150s': %s", url, curl_easy_strerror(code));
    else if (http_status >= REFUSED)
        s = http_refusal(url, http_status, err);
    if (s == ST_OK) {
        *ret_list = json_loadb(buf_text(&body), body.len, 0, NULL);
        if (!*ret_list)
            s = err_set(err, ST_FORMAT, "'%.150s' answers with no JSON", url);
    }
    buf_release(&body);
    return s;
}

static bool has_letters(const char *text, const char *wanted)
{
    const size_t n = strlen(wanted);

    for (; strlen(text) >= n; text++)
        if (strncasecmp(text, wanted, n) == 0)
            return true;
    return false;
}

/* The only file of the list that fits. */
static enum status choose(const json_t *list, const char *repository, const char *wanted,
                          char *ret_file, struct err *err)
{
    const json_t *sibling;
    struct buf names = { 0 };
    size_t i, n = 0;

    json_array_foreach(json_object_get(list, "siblings"), i, sibling)
    {
        const char *file = json_string_value(json_object_get(sibling, "rfilename"));

        if (!file || !is_gguf(file) || !is_plain(file) || strlen(file) >= HUB_FILE_MAX)
            continue;
        buf_printf(&names, "%s%s", names.len ? ", " : "", file);
        if (!has_letters(file, wanted))
            continue;
        if (n++ == 0)
            memcpy(ret_file, file, strlen(file) + 1);
    }
    if (n == 1) {
        buf_release(&names);
        return ST_OK;
    }
    if (names.len == 0)
        (void)err_set(err, ST_NOTFOUND, "'%s' has no GGUF file", repository);
    else
        (void)err_set(err, ST_NOTFOUND, "%s file of '%s' fits '%s': say which, of %.300s",
                      n == 0 ? "no" : "more than one", repository, wanted, buf_text(&names));
    buf_release(&names);
    return ST_NOTFOUND;
}

static enum status look_up(const char *endpoint, const char *token, const char *repository,
                           const char *wanted, char *ret_file, struct err *err)
{
    char url[HUB_URL_MAX];
    json_t *list = NULL;
    enum status s;

    (void)snprintf(url, sizeof(url), "%s/api/models/%s", endpoint, repository);
    s = get_list(url, token, &list, err);
    if (s == ST_OK)
        s = choose(list, repository, wanted, ret_file, err);
    json_decref(list);
    return s;
}

static enum status of_repository(const char *what, const char *endpoint, const char *token,
                                 struct hub_file *file, struct err *err)
{
    char repository[REPOSITORY_MAX], path[HUB_FILE_MAX] = "";
    const char *colon = strchr(what, ':');
    const size_t n = colon ? (size_t)(colon - what) : strlen(what);
    const char *wanted = colon ? colon + 1 : "";
    const char *slash;
    enum status s = ST_OK;
    int length;

    if (n >= sizeof(repository) || strlen(wanted) >= sizeof(path))
        return err_set(err, ST_RANGE, "'%.100s...' is too long a name", what);
    memcpy(repository, what, n);
    repository[n] = '\0';
    slash = strchr(repository, '/');
    if (!is_plain(repository) || !slash || !slash[1] || strchr(slash + 1, '/') ||
        (colon && !is_plain(wanted)))
        return err_set(err, ST_RANGE,
                       "'%.100s' is neither a URL nor OWNER/NAME, OWNER/NAME:FILE.gguf", what);
    if (is_gguf(wanted))
        memcpy(path, wanted, strlen(wanted) + 1);
    else
        s = look_up(endpoint, token, repository, wanted, path, err);
    if (s != ST_OK)
        return s;
    length =
        snprintf(file->url, sizeof(file->url), "%s/%s/resolve/main/%s", endpoint, repository, path);
    if (length < 0 || (size_t)length >= sizeof(file->url))
        return err_set(err, ST_RANGE, "the address is longer than %d bytes", HUB_URL_MAX - 1);
    file->is_of_endpoint = true;
    return take_name(path, file, err);
}

enum status hub_find(const char *what, const char *endpoint, const char *token,
                     struct hub_file *ret_file, struct err *err)
{
    struct hub_file file = { 0 };
    enum status s;

    if (strncmp(what, "http://", 7) == 0 || strncmp(what, "https://", 8) == 0)
        s = of_url(what, endpoint, &file, err);
    else
        s = of_repository(what, endpoint, token, &file, err);
    if (s == ST_OK)
        *ret_file = file;
    return s;
}
