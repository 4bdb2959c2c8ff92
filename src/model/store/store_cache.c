/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/store_cache.c - a model's description beside its file, as JSON.
 *
 * The cache saves opening every model at every start.  It is believed only
 * when size, time and inode of the model's file are the ones it was made from,
 * by this version of Pomona, and every value in it is in its bounds; otherwise
 * it is made again.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "model/store/store_priv.h"

enum { CACHE_BYTES_MAX = 64 << 10 };

struct number {
    const char *key;
    void *into;
    size_t bytes; /* 4 or 8, unsigned */
};

enum { N_NUMBERS = 11 };

static void list_numbers(struct model_info *info, struct number *ret)
{
    const struct number numbers[N_NUMBERS] = {
        { "n_layer", &info->n_layer, 4 },
        { "n_vocab", &info->n_vocab, 4 },
        { "n_hidden", &info->n_hidden, 4 },
        { "context_tokens", &info->context_tokens, 4 },
        { "file_bytes", &info->file_bytes, 8 },
        { "layer_bytes", &info->layer_bytes, 8 },
        { "embedding_bytes", &info->embedding_bytes, 8 },
        { "output_bytes", &info->output_bytes, 8 },
        { "kv_bytes_per_token", &info->kv_bytes_per_token, 8 },
        { "n_parameters", &info->n_parameters, 8 },
        { "created_unix_s", &info->created_unix_s, 8 },
    };

    memcpy(ret, numbers, sizeof(numbers));
}

static bool take_number(const json_t *object, const struct number *number)
{
    const json_t *value = json_object_get(object, number->key);
    const json_int_t x = json_integer_value(value);
    uint32_t narrow;
    uint64_t wide;

    if (!json_is_integer(value) || x < 0 || (number->bytes == 4 && x > UINT32_MAX))
        return false;
    narrow = (uint32_t)x;
    wide = (uint64_t)x;
    memcpy(number->into, number->bytes == 4 ? (void *)&narrow : (void *)&wide, number->bytes);
    return true;
}

static json_int_t give_number(const struct number *number)
{
    uint32_t narrow;
    uint64_t wide;

    if (number->bytes == 4) {
        memcpy(&narrow, number->into, sizeof(narrow));
        return narrow;
    }
    memcpy(&wide, number->into, sizeof(wide));
    return (json_int_t)wide;
}

static bool take_text(const json_t *object, const char *key, char *ret, size_t capacity)
{
    const char *text = json_string_value(json_object_get(object, key));

    if (!text || !text[0] || strlen(text) >= capacity)
        return false;
    memcpy(ret, text, strlen(text) + 1);
    return true;
}

static bool take_digest(const json_t *object, uint8_t *ret_digest)
{
    const char *text = json_string_value(json_object_get(object, "digest"));

    if (!text || strlen(text) != 2 * MODEL_DIGEST_BYTES ||
        strspn(text, "0123456789abcdef") != 2 * MODEL_DIGEST_BYTES)
        return false;
    for (size_t i = 0; i < MODEL_DIGEST_BYTES; i++) {
        const char digits[] = { text[2 * i], text[2 * i + 1], '\0' };

        ret_digest[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return true;
}

static bool is_made_from(const json_t *cache, const struct stat *st)
{
    const json_t *source = json_object_get(cache, "source");
    const char *version = json_string_value(json_object_get(cache, "version"));

    return version && strcmp(version, POMONA_VERSION) == 0 &&
           json_integer_value(json_object_get(source, "bytes")) == (json_int_t)st->st_size &&
           json_integer_value(json_object_get(source, "modified_s")) == (json_int_t)st->st_mtime &&
           json_integer_value(json_object_get(source, "inode")) == (json_int_t)st->st_ino;
}

bool store_cache_read(const char *path, const struct stat *st, struct model_info *ret_info)
{
    struct buf text = { 0 };
    struct number numbers[N_NUMBERS];
    struct model_info info = { 0 };
    json_t *cache = NULL;
    const json_t *model;
    bool is_good;

    if (file_read(path, CACHE_BYTES_MAX, &text, NULL) == ST_OK)
        cache = json_loadb(buf_text(&text), text.len, JSON_REJECT_DUPLICATES, NULL);
    buf_release(&text);
    model = json_object_get(cache, "model");
    is_good = model && is_made_from(cache, st) &&
              take_text(model, "architecture", info.architecture, sizeof(info.architecture)) &&
              take_digest(model, info.digest);
    list_numbers(&info, numbers);
    for (size_t i = 0; i < N_NUMBERS && is_good; i++)
        is_good = take_number(model, &numbers[i]);
    json_decref(cache);
    /* The size it was made from is the one in the description, or somebody edited it. */
    if (!is_good || info.file_bytes != (uint64_t)st->st_size || info.n_layer == 0)
        return false;
    *ret_info = info;
    return true;
}

void store_cache_write(const char *path, const struct stat *st, const struct model_info *info)
{
    struct model_info copy = *info;
    struct number numbers[N_NUMBERS];
    char digest[2 * MODEL_DIGEST_BYTES + 1];
    json_t *model = json_object();
    json_t *cache = NULL;
    char *text = NULL;

    for (size_t i = 0; i < MODEL_DIGEST_BYTES; i++)
        snprintf(digest + 2 * i, 3, "%02x", info->digest[i]);
    json_object_set_new(model, "architecture", json_string(info->architecture));
    json_object_set_new(model, "digest", json_string(digest));
    list_numbers(&copy, numbers);
    for (size_t i = 0; i < N_NUMBERS; i++)
        json_object_set_new(model, numbers[i].key, json_integer(give_number(&numbers[i])));
    cache = json_pack("{s:s, s:{s:I, s:I, s:I}, s:o}", "version", POMONA_VERSION, "source", "bytes",
                      (json_int_t)st->st_size, "modified_s", (json_int_t)st->st_mtime, "inode",
                      (json_int_t)st->st_ino, "model", model);
    if (cache)
        text = json_dumps(cache, JSON_INDENT(2));
    if (text)
        (void)file_replace(path, text, strlen(text), NULL);
    free(text);
    json_decref(cache);
}
