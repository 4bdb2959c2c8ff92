/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/api_keys.c - the API keys of a data folder. */
#include "gateway/guard/api_keys.h"

#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/paths.h"
#include "base/random.h"
#include "base/secret.h"
#include "gateway/guard/api_key_json.h"

enum { FILE_MAX_BYTES = 128 << 20, KEY_RANDOM_BYTES = 32 };

static const char prefix[] = "sk-pomona-";

struct api_keys {
    size_t n;
    struct api_key *keys; /* [n], by hash */
};

static int by_hash(const void *a, const void *b)
{
    return memcmp(((const struct api_key *)a)->hash, ((const struct api_key *)b)->hash,
                  API_KEY_HASH_BYTES);
}

static enum status take_keys(const json_t *root, const char *path, struct api_keys *keys,
                             struct err *err)
{
    const json_t *list = json_object_get(root, "keys");
    const size_t n = json_array_size(list);

    if (!json_is_array(list) || n > API_KEYS_MAX)
        return err_set(err, ST_FORMAT, "%s: it has no list 'keys'", path);
    keys->keys = calloc(n + 1, sizeof(*keys->keys));
    if (!keys->keys)
        return err_set(err, ST_NOMEM, "%s: %zu keys", path, n);
    for (; keys->n < n; keys->n++)
        if (!api_key_from_json(json_array_get(list, keys->n), &keys->keys[keys->n]))
            return err_set(err, ST_FORMAT, "%s: key %zu is damaged", path, keys->n);
    qsort(keys->keys, n, sizeof(*keys->keys), by_hash);
    return ST_OK;
}

enum status api_keys_load(const char *path, struct api_keys **ret_keys, struct err *err)
{
    struct api_keys *keys = calloc(1, sizeof(*keys));
    struct buf content = { 0 };
    json_t *root = NULL;
    enum status s;

    if (!keys)
        return err_set(err, ST_NOMEM, "the API keys");
    if (access(path, F_OK) != 0) {
        *ret_keys = keys;
        return ST_OK;
    }
    s = file_read(path, FILE_MAX_BYTES, &content, err);
    if (s == ST_OK) {
        root = json_loadb(buf_text(&content), content.len, JSON_REJECT_DUPLICATES, NULL);
        s = take_keys(root, path, keys, err);
    }
    if (s == ST_OK) {
        *ret_keys = keys;
        keys = NULL;
    }
    json_decref(root);
    buf_release(&content);
    api_keys_free(keys);
    return s;
}

void api_keys_free(struct api_keys *keys)
{
    if (!keys)
        return;
    free(keys->keys);
    free(keys);
}

size_t api_keys_count(const struct api_keys *keys)
{
    return keys->n;
}

const struct api_key *api_keys_at(const struct api_keys *keys, size_t i)
{
    return &keys->keys[i];
}

const struct api_key *api_keys_find(const struct api_keys *keys, const char *text, size_t n)
{
    struct api_key wanted;
    const struct api_key *found;

    SHA256((const unsigned char *)text, n, wanted.hash);
    found = keys->n ? bsearch(&wanted, keys->keys, keys->n, sizeof(wanted), by_hash) : NULL;
    return found && secret_equal(found->hash, wanted.hash, sizeof(wanted.hash)) ? found : NULL;
}

static enum status save(const char *path, const struct api_keys *keys, struct err *err)
{
    json_t *list = json_array(), *root = json_pack("{s:i,s:o}", "version", 1, "keys", list);
    char *text = NULL;
    enum status s = ST_OK;

    for (size_t i = 0; i < keys->n && root; i++)
        if (json_array_append_new(list, api_key_to_json(&keys->keys[i])) != 0)
            s = ST_NOMEM;
    if (root && s == ST_OK)
        text = json_dumps(root, JSON_INDENT(1));
    s = text ? file_replace(path, text, strlen(text), err) : err_set(err, ST_NOMEM, "the API keys");
    free(text);
    json_decref(root);
    return s;
}

/* Two `pomona keys` at once must not lose what the other did.  The lock is a file of its own, as
 * the other is replaced. */
static enum status lock(const char *path, int *ret_fd, struct err *err)
{
    char name[PATH_MAX_BYTES + 8];
    int fd;

    (void)snprintf(name, sizeof(name), "%s.lock", path);
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        if (fd >= 0)
            close(fd);
        return err_errno(err, "lock '%s'", name);
    }
    *ret_fd = fd;
    return ST_OK;
}

static struct api_key *find_name(const struct api_keys *keys, const char *name)
{
    for (size_t i = 0; i < keys->n; i++)
        if (strcmp(keys->keys[i].name, name) == 0)
            return &keys->keys[i];
    return NULL;
}

static bool is_name(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@-";

    return name[0] && strlen(name) < API_KEY_NAME_MAX && name[strspn(name, allowed)] == '\0';
}

static void make_text(char *ret_text)
{
    memcpy(ret_text, prefix, sizeof(prefix));
    random_hex(ret_text + sizeof(prefix) - 1, KEY_RANDOM_BYTES);
}

static enum status append(struct api_keys *keys, const struct api_key *key, const char *text,
                          struct err *err)
{
    struct api_key *more;

    if (find_name(keys, key->name))
        return err_set(err, ST_RANGE, "there is a key '%s' already; revoke it, or choose a name",
                       key->name);
    if (keys->n == API_KEYS_MAX)
        return err_set(err, ST_FULL, "there are %d keys, more do not fit", API_KEYS_MAX);
    more = realloc(keys->keys, (keys->n + 1) * sizeof(*more));
    if (!more)
        return err_set(err, ST_NOMEM, "the API keys");
    keys->keys = more;
    more[keys->n] = *key;
    more[keys->n].created_s = clock_unix_s();
    SHA256((const unsigned char *)text, strlen(text), more[keys->n].hash);
    keys->n++;
    return ST_OK;
}

enum status api_keys_create(const char *path, const struct api_key *key, char *ret_text,
                            struct err *err)
{
    struct api_keys *keys = NULL;
    char text[API_KEY_TEXT_MAX];
    enum status s;
    int fd = -1;

    if (!is_name(key->name))
        return err_set(err, ST_RANGE, "key name '%.70s': use letters, digits, '.', '_', '@', '-'",
                       key->name);
    make_text(text);
    s = lock(path, &fd, err);
    if (s == ST_OK)
        s = api_keys_load(path, &keys, err);
    if (s == ST_OK)
        s = append(keys, key, text, err);
    if (s == ST_OK)
        s = save(path, keys, err);
    if (s == ST_OK)
        memcpy(ret_text, text, sizeof(text));
    OPENSSL_cleanse(text, sizeof(text));
    api_keys_free(keys);
    if (fd >= 0)
        close(fd);
    return s;
}

enum status api_keys_revoke(const char *path, const char *name, struct err *err)
{
    struct api_keys *keys = NULL;
    struct api_key *key;
    enum status s;
    int fd = -1;

    s = lock(path, &fd, err);
    if (s == ST_OK)
        s = api_keys_load(path, &keys, err);
    if (s == ST_OK) {
        key = find_name(keys, name);
        if (key) {
            *key = keys->keys[--keys->n];
            s = save(path, keys, err);
        } else {
            s = err_set(err, ST_NOTFOUND, "there is no key '%.70s'; 'keys list' says which are",
                        name);
        }
    }
    api_keys_free(keys);
    if (fd >= 0)
        close(fd);
    return s;
}
