/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/hub.c - which file on a hub a person means. */
#include "model/store/hub.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "model/store/http.h"

enum { LIST_BYTES_MAX = 8 << 20, REFUSED = 400 };

static const char suffix[] = ".gguf", usual_revision[] = "main";

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

/* "...-00001-of-00003.gguf": llama.cpp's names of a model in several files. */
static bool is_split(const char *file)
{
    static const char form[] = "-00000-of-00000";
    const size_t n_form = strlen(form), n = strlen(file) - strlen(suffix);

    if (n < n_form)
        return false;
    for (size_t i = 0; i < n_form; i++) {
        const char c = file[n - n_form + i];

        if (form[i] == '0' ? c < '0' || c > '9' : c != form[i])
            return false;
    }
    return true;
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
    if (is_split(file->file))
        return err_set(err, ST_UNSUPPORTED,
                       "'%.100s' is one of several files of a model, which this build does not "
                       "read: name a whole one, or join them first (llama-gguf-split --merge)",
                       file->file);
    return ST_OK;
}

/* "text" is copied without what follows its first n bytes. */
static bool copy(char *to, size_t capacity, const char *text, size_t n)
{
    if (n == 0 || n >= capacity)
        return false;
    memcpy(to, text, n);
    to[n] = '\0';
    return true;
}

/* Repository, path and revision are there: the rest of `file`. */
static enum status of_parts(const char *endpoint, struct hub_file *file, struct err *err)
{
    const char *slash = strchr(file->repository, '/');
    int n;

    if (!is_plain(file->repository) || !slash || !slash[1] || strchr(slash + 1, '/') ||
        !is_plain(file->path) || !is_plain(file->revision) || strchr(file->revision, '/'))
        return err_set(err, ST_RANGE, "'%.60s', '%.60s', '%.60s' name no file of a repository",
                       file->repository, file->path, file->revision);
    n = snprintf(file->url, sizeof(file->url), "%s/%s/resolve/%s/%s", endpoint, file->repository,
                 file->revision, file->path);
    if (n < 0 || (size_t)n >= sizeof(file->url))
        return err_set(err, ST_RANGE, "the address is longer than %d bytes", HUB_URL_MAX - 1);
    file->is_of_endpoint = true;
    return take_name(file->path, file, err);
}

/* ---- URLs ---- */

static bool is_below(const char *url, const char *endpoint)
{
    const size_t n = strlen(endpoint);

    return strncmp(url, endpoint, n) == 0 && url[n] == '/';
}

/* "owner/name/resolve/REVISION/path", also of a page: "blob" for "resolve". */
static bool take_url_parts(const char *at, struct hub_file *file)
{
    static const char *const words[] = { "/resolve/", "/blob/" };

    for (size_t i = 0; i < 2; i++) {
        const char *word = strstr(at, words[i]);
        const char *revision = word ? word + strlen(words[i]) : NULL;
        const char *slash = revision ? strchr(revision, '/') : NULL;

        if (slash && copy(file->repository, sizeof(file->repository), at, (size_t)(word - at)) &&
            copy(file->revision, sizeof(file->revision), revision, (size_t)(slash - revision)) &&
            copy(file->path, sizeof(file->path), slash + 1, strcspn(slash + 1, "?#")))
            return true;
    }
    return false;
}

static enum status of_url(const char *url, const char *endpoint, struct hub_file *file,
                          struct err *err)
{
    struct hub_file of_hub = { 0 };

    if (is_below(url, endpoint) && take_url_parts(url + strlen(endpoint) + 1, &of_hub) &&
        of_parts(endpoint, &of_hub, NULL) == ST_OK) {
        *file = of_hub;
        return ST_OK;
    }
    if (strlen(url) >= sizeof(file->url))
        return err_set(err, ST_RANGE, "the address is longer than %d bytes", HUB_URL_MAX - 1);
    memcpy(file->url, url, strlen(url) + 1);
    file->is_of_endpoint = is_below(url, endpoint);
    return take_name(url, file, err);
}

/* ---- repositories ---- */

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

struct fitting {
    struct buf names; /* of all whole files there are */
    const char *file; /* the first that fits */
    size_t n, n_split;
};

static void find_fitting(const json_t *list, const char *wanted, struct fitting *found)
{
    const json_t *sibling;
    size_t i;

    json_array_foreach(json_object_get(list, "siblings"), i, sibling)
    {
        const char *file = json_string_value(json_object_get(sibling, "rfilename"));

        if (!file || !is_gguf(file) || !is_plain(file) || strlen(file) >= HUB_FILE_MAX)
            continue;
        if (is_split(file)) {
            found->n_split += has_letters(file, wanted);
            continue;
        }
        buf_printf(&found->names, "%s%s", found->names.len ? ", " : "", file);
        if (has_letters(file, wanted) && found->n++ == 0)
            found->file = file;
    }
}

/* The only file of the list that fits. */
static enum status choose(const json_t *list, const char *repository, const char *wanted,
                          char *ret_file, struct err *err)
{
    struct fitting found = { 0 };
    enum status s = ST_OK;

    find_fitting(list, wanted, &found);
    if (found.n == 1)
        memcpy(ret_file, found.file, strlen(found.file) + 1);
    else if (found.n == 0 && found.n_split > 0)
        s = err_set(err, ST_UNSUPPORTED,
                    "'%s' has '%s' only split over %zu files, which this build does not read: join "
                    "them first (llama-gguf-split --merge)",
                    repository, wanted, found.n_split);
    else if (found.names.len == 0)
        s = err_set(err, ST_NOTFOUND, "'%s' has no GGUF file", repository);
    else
        s = err_set(err, ST_NOTFOUND, "%s file of '%s' fits '%s': say which, of %.300s",
                    found.n == 0 ? "no" : "more than one", repository, wanted,
                    buf_text(&found.names));
    buf_release(&found.names);
    return s;
}

static enum status look_up(const char *endpoint, const char *token, const char *wanted,
                           struct hub_file *file, struct err *err)
{
    const bool is_usual = strcmp(file->revision, usual_revision) == 0;
    char url[HUB_URL_MAX];
    json_t *list = NULL;
    enum status s;

    (void)snprintf(url, sizeof(url), is_usual ? "%s/api/models/%s" : "%s/api/models/%s/revision/%s",
                   endpoint, file->repository, file->revision);
    s = get_list(url, token, &list, err);
    if (s == ST_OK)
        s = choose(list, file->repository, wanted, file->path, err);
    json_decref(list);
    return s;
}

static const char *without_prefix(const char *what)
{
    static const char *const prefixes[] = { "hf:", "hf.co/", "huggingface.co/" };

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(what, prefixes[i], strlen(prefixes[i])) == 0)
            return what + strlen(prefixes[i]);
    return what;
}

/* Split OWNER/NAME:WANTED@REVISION or OWNER/NAME/FILE@REVISION; ret_wanted [HUB_FILE_MAX]. */
static bool take_words(const char *what, struct hub_file *file, char *ret_wanted)
{
    const size_t n_all = strcspn(what, "@"), n_repository = strcspn(what, ":@");
    const char *revision = what[n_all] ? what + n_all + 1 : usual_revision;
    const char *wanted = what + n_repository + (what[n_repository] == ':');
    const char *slash = memchr(what, '/', n_repository);
    const char *second = slash ? strchr(slash + 1, '/') : NULL;
    const bool has_path = second && second < what + n_repository;
    size_t n = n_repository;

    if (has_path) {
        n = (size_t)(second - what);
        wanted = second + 1;
    }
    if ((size_t)(what + n_all - wanted) >= HUB_FILE_MAX ||
        !copy(file->repository, sizeof(file->repository), what, n) ||
        !copy(file->revision, sizeof(file->revision), revision, strlen(revision)))
        return false;
    memcpy(ret_wanted, wanted, (size_t)(what + n_all - wanted));
    ret_wanted[what + n_all - wanted] = '\0';
    return is_plain(file->repository) && strchr(file->repository, '/') &&
           is_plain(file->revision) && (!ret_wanted[0] || is_plain(ret_wanted)) &&
           (!has_path || is_gguf(ret_wanted)); /* a colon in it is not plain */
}

static enum status of_repository(const char *what, const char *endpoint, const char *token,
                                 struct hub_file *file, struct err *err)
{
    char wanted[HUB_FILE_MAX];
    enum status s = ST_OK;

    if (!take_words(without_prefix(what), file, wanted))
        return err_set(err, ST_RANGE,
                       "'%.100s' is neither a URL nor OWNER/NAME, OWNER/NAME:FILE.gguf", what);
    if (is_gguf(wanted))
        memcpy(file->path, wanted, strlen(wanted) + 1);
    else
        s = look_up(endpoint, token, wanted, file, err);
    return s == ST_OK ? of_parts(endpoint, file, err) : s;
}

static bool is_url(const char *what)
{
    return strncmp(what, "http://", 7) == 0 || strncmp(what, "https://", 8) == 0;
}

/* Without slashes at its end: ret_endpoint [HUB_URL_MAX]. */
static enum status take_endpoint(const char *endpoint, char *ret_endpoint, struct err *err)
{
    const char *given = endpoint ? endpoint : HUB_ENDPOINT;
    size_t n = strlen(given);

    while (n > 0 && given[n - 1] == '/')
        n--;
    if (!copy(ret_endpoint, HUB_URL_MAX, given, n) || !is_url(given))
        return err_set(err, ST_RANGE, "'%.100s' is no address of a hub", given);
    return ST_OK;
}

enum status hub_find(const char *what, const char *endpoint, const char *token,
                     struct hub_file *ret_file, struct err *err)
{
    struct hub_file file = { 0 };
    char hub[HUB_URL_MAX];
    enum status s = take_endpoint(endpoint, hub, err);

    if (s != ST_OK)
        return s;
    if (is_url(what))
        s = of_url(what, hub, &file, err);
    else
        s = of_repository(what, hub, token, &file, err);
    if (s == ST_OK)
        *ret_file = file;
    return s;
}

/* ---- origins ---- */

void hub_origin(const struct hub_file *file, const char *commit, char *ret_origin)
{
    int n;

    if (file->repository[0])
        n = snprintf(ret_origin, MODEL_ORIGIN_MAX, "hf:%s/%s@%s", file->repository, file->path,
                     commit[0] ? commit : file->revision);
    else /* what follows a question mark may be a key */
        n = snprintf(ret_origin, MODEL_ORIGIN_MAX, "%s", strchr(file->url, '?') ? "" : file->url);
    if (n < 0 || n >= MODEL_ORIGIN_MAX)
        ret_origin[0] = '\0';
}

enum status hub_find_origin(const char *origin, const char *endpoint, struct hub_file *ret_file,
                            struct err *err)
{
    char wanted[HUB_FILE_MAX], hub[HUB_URL_MAX];
    struct hub_file file = { 0 };
    enum status s = take_endpoint(endpoint, hub, err);

    if (s != ST_OK)
        return s;
    if (is_url(origin))
        s = of_url(origin, hub, &file, err);
    else if (take_words(without_prefix(origin), &file, wanted) && is_gguf(wanted)) {
        memcpy(file.path, wanted, strlen(wanted) + 1);
        s = of_parts(hub, &file, err);
    } else
        s = err_set(err, ST_RANGE, "'%.100s' is no origin of a model", origin);
    if (s == ST_OK)
        *ret_file = file;
    return s;
}
