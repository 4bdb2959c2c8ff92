/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/mutate.c - good inputs, changed: JSON at the level of its values, then bytes.
 *
 * What JSON's writer would not write (invalid UTF-8, lone surrogates, numbers without end, a key
 * twice) is put in as a marked string, and the marks are replaced in the text.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "drive.h"

enum { TEXT_MAX = 64 << 10, NODES_MAX = 512 };

size_t draw(struct draws *d, size_t n)
{
    d->state = d->state * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return n > 0 ? (size_t)((d->state >> 33) % n) : 0;
}

static const char *const odd_texts[] = {
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e999",
    "-1e999",
    "1e-400",
    "0.1e1",
    "-0",
    "-0.0",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551616",
    "123456789012345678901234567890123456789012345678901234567890",
    "0.00000000000000000000000000000000000001",
    "1.5",
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"a\\u0000b\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud83d\\ude00\"",
    "\"\xFF\xFE\"",
    "\"\xC0\x80\"",
    "\"\xED\xA0\x80\"",
    "\"\xF4\x90\x80\x80\"",
    "\"\xE2\x80\xAE\xEF\xBB\xBF\"",
    "\"<|im_start|>\"",
    "\"<tool_call>{\\\"name\\\":\\\"f\\\"}</tool_call>\"",
    "\"%s%n%999999d\"",
    "\"../../etc/passwd\"",
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    "[null]",
    "[\"\"]",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    "{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":1}}}}}}}}",
    "{\"a\":1,\"a\":2}",
    "{\"\":0}",
    "{\"$ref\":\"#\"}",
    "{\"type\":\"text\",\"text\":null}",
};

static const char MARK[] = "@odd:";

static json_t *odd_value(struct draws *d)
{
    return json_sprintf("%s%03zu", MARK, draw(d, ARRAY_LEN(odd_texts)));
}

/* A place in a tree where a value stands. */
struct place {
    json_t *parent;
    const char *key; /* of an object */
    size_t index;    /* of an array */
};

static size_t collect(json_t *value, struct place *ret, size_t n)
{
    const char *key;
    json_t *child;
    size_t i;

    json_object_foreach(value, key, child)
    {
        if (n < NODES_MAX)
            ret[n++] = (struct place){ value, key, 0 };
        n = collect(child, ret, n);
    }
    json_array_foreach(value, i, child)
    {
        if (n < NODES_MAX)
            ret[n++] = (struct place){ value, NULL, i };
        n = collect(child, ret, n);
    }
    return n;
}

static json_t *value_at(const struct place *p)
{
    return p->key ? json_object_get(p->parent, p->key) : json_array_get(p->parent, p->index);
}

static void put(const struct place *p, json_t *value)
{
    if (p->key)
        json_object_set_new(p->parent, p->key, value);
    else
        json_array_set_new(p->parent, p->index, value);
}

static json_t *load_seed(const struct fuzz_seeds *seeds, struct draws *d)
{
    return json_loads(seeds->texts[draw(d, seeds->n)], JSON_DECODE_ANY, NULL);
}

/* Some value of some seed. */
static json_t *part_of_a_seed(const struct fuzz_seeds *seeds, struct draws *d)
{
    static struct place places[NODES_MAX];
    json_t *tree = load_seed(seeds, d), *part;
    const size_t n = collect(tree, places, 0);

    if (n == 0)
        return tree;
    part = json_incref(value_at(&places[draw(d, n)]));
    json_decref(tree);
    return part;
}

static void repeat(const struct place *p, struct draws *d)
{
    static const size_t counts[] = { 2, 3, 17, 65, 257, 1025 };
    json_t *list = json_array(), *value = value_at(p);

    for (size_t i = counts[draw(d, ARRAY_LEN(counts))]; i > 0; i--)
        json_array_append_new(list, json_deep_copy(value));
    put(p, list);
}

static void nest(const struct place *p, struct draws *d)
{
    json_t *value = json_deep_copy(value_at(p));

    for (size_t i = 1 + draw(d, draw(d, 4) == 0 ? 80 : 3); i > 0; i--)
        value = draw(d, 2) ? json_pack("[o]", value) : json_pack("{s:o}", "a", value);
    put(p, value);
}

static void lengthen(const struct place *p, struct draws *d)
{
    static const size_t counts[] = { 1, 63, 64, 65, 127, 129, 255, 256, 1000, 5000 };
    const char *old = json_string_value(value_at(p));
    const size_t n = counts[draw(d, ARRAY_LEN(counts))];
    char *text = malloc(n + 1);

    if (!text)
        abort();
    for (size_t i = 0; i < n; i++)
        text[i] = old && old[0] ? old[i % strlen(old)] : 'x';
    text[n] = '\0';
    put(p, json_stringn_nocheck(text, n)); /* cut characters too */
    free(text);
}

static void rename_key(const struct fuzz_seeds *seeds, const struct place *p, struct draws *d)
{
    static struct place places[NODES_MAX];
    json_t *other = load_seed(seeds, d), *value = json_incref(value_at(p));
    const size_t n = collect(other, places, 0);
    const struct place *from = n > 0 ? &places[draw(d, n)] : NULL;

    if (p->key && from && from->key)
        json_object_set(p->parent, from->key, value);
    json_decref(value);
    json_decref(other);
}

static void drop(const struct place *p)
{
    if (p->key)
        json_object_del(p->parent, p->key);
    else
        json_array_remove(p->parent, p->index);
}

static void change(const struct fuzz_seeds *seeds, json_t *tree, struct draws *d)
{
    static struct place places[NODES_MAX];
    const size_t n = collect(tree, places, 0);
    const struct place *p = n > 0 ? &places[draw(d, n)] : NULL;
    const struct place *other = n > 0 ? &places[draw(d, n)] : NULL;

    if (!p)
        return;
    switch (draw(d, 10)) {
    case 0: drop(p); break;
    case 1: put(p, json_deep_copy(value_at(other))); break;
    case 2: put(p, part_of_a_seed(seeds, d)); break;
    case 3: nest(p, d); break;
    case 4: repeat(p, d); break;
    case 5: lengthen(p, d); break;
    case 6: rename_key(seeds, p, d); break;
    default: put(p, odd_value(d)); break;
    }
}

/* The text with its marks replaced; sometimes a key of it is said twice. */
static void write_marked(const char *text, struct draws *d, struct buf *ret)
{
    const char *at;

    while ((at = strstr(text, MARK)) != NULL) {
        const size_t i = (size_t)strtoul(at + strlen(MARK), NULL, 10);

        buf_append(ret, text, (size_t)(at - text) - 1); /* without the quote */
        buf_puts(ret, odd_texts[i % ARRAY_LEN(odd_texts)]);
        text = at + strlen(MARK) + 4;
    }
    buf_puts(ret, text);
    if (draw(d, 20) == 0 && ret->len > 2 && ret->data[0] == '{') {
        const size_t n = ret->len;

        if (buf_reserve(ret, n + 2) != ST_OK) /* what is appended lies in it */
            abort();
        buf_putc(ret, ',');
        buf_append(ret, ret->data + 1, draw(d, n - 1));
        buf_putc(ret, '}');
    }
}

static void mutate_json(const struct fuzz_seeds *seeds, struct draws *d, struct buf *ret)
{
    json_t *tree = load_seed(seeds, d);
    char *text;

    if (!tree)
        abort(); /* a seed has to be good */
    for (size_t k = draw(d, 5); k > 0; k--)
        change(seeds, tree, d);
    text = json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text)
        write_marked(text, d, ret);
    free(text);
    json_decref(tree);
}

static void splice(struct buf *b, size_t at, size_t n_out, const char *in, size_t n_in)
{
    struct buf out = { 0 };

    buf_append(&out, b->data, at);
    buf_append(&out, in, n_in);
    buf_append(&out, b->data + at + n_out, b->len - at - n_out);
    buf_release(b);
    *b = out;
}

static void mutate_bytes(const struct fuzz_seeds *seeds, struct draws *d, struct buf *b)
{
    static const char likely[] =
        "{}[]()\",:0919-+*?|.eE\\/utrfn<> \n\t\x00\x7F\x80\xC3\xE2\xF0\xFF";
    const size_t at = draw(d, b->len), span = draw(d, size_min(64, b->len - at));
    const char *other = seeds->texts[draw(d, seeds->n)];
    const size_t from = draw(d, strlen(other));
    char byte = likely[draw(d, sizeof(likely) - 1)];
    char part[64];

    if (b->len == 0)
        return;
    switch (draw(d, 6)) {
    case 0: b->data[at] = byte; break;
    case 1: b->data[at] = (char)draw(d, 256); break;
    case 2: splice(b, at, span, NULL, 0); break;
    case 3: splice(b, at, 0, &byte, 1); break;
    case 4:
        memcpy(part, b->data + at, span);
        splice(b, draw(d, b->len), 0, part, span);
        break;
    default: splice(b, at, span, other + from, draw(d, strlen(other) - from)); break;
    }
}

void mutate(const struct fuzz_seeds *seeds, struct draws *d, struct buf *ret)
{
    buf_clear(ret);
    if (seeds->is_json)
        mutate_json(seeds, d, ret);
    else
        buf_puts(ret, seeds->texts[draw(d, seeds->n)]);
    if (!seeds->is_json || draw(d, 4) == 0)
        for (size_t k = draw(d, 6); k > 0 && ret->len < TEXT_MAX; k--)
            mutate_bytes(seeds, d, ret);
    if (buf_status(ret) != ST_OK)
        abort();
}
