/* SPDX-License-Identifier: Apache-2.0 */
/* model/gguf/gguf_get.c - metadata by key, as the type the caller needs. */
#include "model/gguf/gguf_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *type_words(enum gguf_type type)
{
    switch (type) {
    case GGUF_UINT8:
    case GGUF_INT8:
    case GGUF_UINT16:
    case GGUF_INT16:
    case GGUF_UINT32:
    case GGUF_INT32:
    case GGUF_UINT64:
    case GGUF_INT64: return "an integer";
    case GGUF_FLOAT32:
    case GGUF_FLOAT64: return "a fraction";
    case GGUF_BOOL: return "a truth value";
    case GGUF_STRING: return "a string";
    case GGUF_ARRAY: return "an array";
    }
    return "of an unknown type";
}

static int by_key(const void *key, const void *pair)
{
    return gguf_text_compare(key, &((const struct gguf_pair *)pair)->key);
}

static const struct gguf_pair *find_pair(const struct gguf *g, const char *key)
{
    const struct gguf_text text = { key, strlen(key) };

    if (g->n_pairs == 0)
        return NULL;
    return bsearch(&text, g->pairs, g->n_pairs, sizeof(*g->pairs), by_key);
}

static enum status need_pair(const struct gguf *g, const char *key, const struct gguf_pair **ret,
                             struct err *err)
{
    const struct gguf_pair *pair = find_pair(g, key);

    if (!pair)
        return err_set(err, ST_NOTFOUND, "the file has no metadata key '%s'", key);
    *ret = pair;
    return ST_OK;
}

static enum status wrong_type(const struct gguf_pair *pair, const char *key, const char *needed,
                              struct err *err)
{
    return err_set(err, ST_FORMAT, "the metadata key '%s' is %s where %s is needed", key,
                   type_words(pair->type), needed);
}

/* The value of an integer of any width; false for other types and negative numbers. */
static bool unsigned_value(const struct gguf_pair *pair, uint64_t *ret)
{
    uint64_t value = 0;
    bool is_negative = false;

    switch (pair->type) {
    case GGUF_INT8:
    case GGUF_INT16:
    case GGUF_INT32:
    case GGUF_INT64: is_negative = (pair->bytes[pair->n_bytes - 1] & 0x80) != 0; break;
    case GGUF_UINT8:
    case GGUF_UINT16:
    case GGUF_UINT32:
    case GGUF_UINT64: break;
    case GGUF_FLOAT32:
    case GGUF_FLOAT64:
    case GGUF_BOOL:
    case GGUF_STRING:
    case GGUF_ARRAY: return false;
    }
    memcpy(&value, pair->bytes, pair->n_bytes);
    if (is_negative)
        return false;
    *ret = value;
    return true;
}

bool gguf_has(const struct gguf *gguf, const char *key)
{
    return find_pair(gguf, key) != NULL;
}

enum status gguf_get_u32(const struct gguf *gguf, const char *key, uint32_t *ret, struct err *err)
{
    const struct gguf_pair *pair = NULL;
    uint64_t value;
    enum status s = need_pair(gguf, key, &pair, err);

    if (s != ST_OK)
        return s;
    if (!unsigned_value(pair, &value))
        return wrong_type(pair, key, "a whole number of at least 0", err);
    if (value > UINT32_MAX)
        return err_set(err, ST_RANGE, "the metadata key '%s' is %llu, more than 32 bits hold", key,
                       (unsigned long long)value);
    *ret = (uint32_t)value;
    return ST_OK;
}

enum status gguf_get_f32(const struct gguf *gguf, const char *key, float *ret, struct err *err)
{
    const struct gguf_pair *pair = NULL;
    float single = NAN;
    double wide;
    enum status s = need_pair(gguf, key, &pair, err);

    if (s != ST_OK)
        return s;
    if (pair->type == GGUF_FLOAT32) {
        memcpy(&single, pair->bytes, sizeof(single));
    } else if (pair->type == GGUF_FLOAT64) {
        memcpy(&wide, pair->bytes, sizeof(wide));
        if (fabs(wide) <= 3.0e38)
            single = (float)wide;
    } else {
        return wrong_type(pair, key, "a fraction", err);
    }
    if (!isfinite(single))
        return err_set(err, ST_FORMAT, "the metadata key '%s' is not a finite number", key);
    *ret = single;
    return ST_OK;
}

enum status gguf_get_bool(const struct gguf *gguf, const char *key, bool *ret, struct err *err)
{
    const struct gguf_pair *pair = NULL;
    enum status s = need_pair(gguf, key, &pair, err);

    if (s != ST_OK)
        return s;
    if (pair->type != GGUF_BOOL)
        return wrong_type(pair, key, "a truth value", err);
    *ret = pair->bytes[0] != 0;
    return ST_OK;
}

enum status gguf_get_text(const struct gguf *gguf, const char *key, struct gguf_text *ret,
                          struct err *err)
{
    const struct gguf_pair *pair = NULL;
    enum status s = need_pair(gguf, key, &pair, err);

    if (s != ST_OK)
        return s;
    if (pair->type != GGUF_STRING)
        return wrong_type(pair, key, "a string", err);
    *ret = (struct gguf_text){ (const char *)pair->bytes, pair->n_bytes };
    return ST_OK;
}

enum status gguf_get_word(const struct gguf *gguf, const char *key, char *ret, size_t capacity,
                          struct err *err)
{
    struct gguf_text text;
    enum status s = gguf_get_text(gguf, key, &text, err);

    if (s != ST_OK)
        return s;
    if (text.n == 0 || text.n >= capacity || !gguf_text_is_printable(&text))
        return err_set(err, ST_FORMAT, "the metadata key '%s' is not 1 to %zu bytes of ASCII", key,
                       capacity - 1);
    memcpy(ret, text.bytes, text.n);
    ret[text.n] = '\0';
    return ST_OK;
}

enum status gguf_get_array(const struct gguf *gguf, const char *key, enum gguf_type type,
                           struct gguf_array *ret, struct err *err)
{
    const struct gguf_pair *pair = NULL;
    enum status s = need_pair(gguf, key, &pair, err);

    if (s != ST_OK)
        return s;
    if (pair->type != GGUF_ARRAY)
        return wrong_type(pair, key, "an array", err);
    if (pair->item_type != type)
        return err_set(err, ST_FORMAT, "in the array '%s' each item is %s where %s is needed", key,
                       type_words(pair->item_type), type_words(type));
    *ret = (struct gguf_array){ type, pair->n_items, pair->bytes, pair->n_bytes };
    return ST_OK;
}

bool gguf_array_next(struct gguf_array *array, struct gguf_text *ret)
{
    struct gguf_cursor c = { array->bytes, 0, array->n_bytes };

    if (array->n == 0 || !gguf_take_text(&c, ret))
        return false;
    array->n--;
    array->bytes += c.at;
    array->n_bytes -= c.at;
    return true;
}
