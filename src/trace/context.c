/* SPDX-License-Identifier: Apache-2.0 */
/* trace/context.c - the ids of a trace as HTTP headers carry them. */
#include "trace/context.h"

#include <stdint.h>
#include <string.h>

#include "base/hex.h"
#include "base/random.h"

enum {
    VERSION_AT = 0,
    TRACE_AT = 3,
    SPAN_AT = 36,
    FLAGS_AT = 53,
    PARENT_LENGTH = 55,
    FLAG_SAMPLED = 1,
    KEY_MAX = 256,
    TENANT_MAX = 241,
    SYSTEM_MAX = 14,
    VALUE_MAX = 256,
    RATIO_BITS = 56,
};

/* Section 3.2: HEXDIGLC, small letters alone. */
static bool read_hex(const char *text, size_t n, uint8_t *ret_bytes)
{
    for (size_t i = 0; i < 2 * n; i++) {
        if (text[i] >= 'A' && text[i] <= 'F')
            return false;
    }
    return hex_read(text, n, ret_bytes);
}

static bool is_zero(const uint8_t *bytes, size_t n)
{
    uint8_t all = 0;

    for (size_t i = 0; i < n; i++)
        all |= bytes[i];
    return all == 0;
}

bool trace_context_read(const char *value, struct trace_context *ret_context)
{
    const size_t n = value ? strnlen(value, PARENT_LENGTH + 1) : 0;
    struct trace_context c = { 0 };
    uint8_t version, flags;

    if (n < PARENT_LENGTH || value[TRACE_AT - 1] != '-' || value[SPAN_AT - 1] != '-' ||
        value[FLAGS_AT - 1] != '-')
        return false;
    if (!read_hex(value + VERSION_AT, 1, &version) ||
        !read_hex(value + TRACE_AT, TRACE_ID_BYTES, c.trace_id) ||
        !read_hex(value + SPAN_AT, TRACE_SPAN_BYTES, c.span_id) ||
        !read_hex(value + FLAGS_AT, 1, &flags))
        return false;
    /* Section 4.3: of versions to come what is known of this one is read; ff is none. */
    if (version == 0xff || (n > PARENT_LENGTH && (version == 0 || value[PARENT_LENGTH] != '-')))
        return false;
    if (is_zero(c.trace_id, TRACE_ID_BYTES) || is_zero(c.span_id, TRACE_SPAN_BYTES))
        return false;
    c.is_sampled = (flags & FLAG_SAMPLED) != 0;
    *ret_context = c;
    return true;
}

void trace_context_write(const struct trace_context *c, char *ret_text)
{
    memcpy(ret_text, "00-", 3);
    hex_write(c->trace_id, TRACE_ID_BYTES, ret_text + TRACE_AT);
    ret_text[SPAN_AT - 1] = '-';
    hex_write(c->span_id, TRACE_SPAN_BYTES, ret_text + SPAN_AT);
    memcpy(ret_text + FLAGS_AT - 1, c->is_sampled ? "-01" : "-00", 4);
}

static bool is_small(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_key_char(char c)
{
    return is_small(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '*' || c == '/';
}

static bool are_key_chars(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!is_key_char(text[i]))
            return false;
    }
    return n > 0;
}

/* Section 3.3.1.3.1: a key of one vendor, or "tenant@system". */
static bool is_key(const char *key, size_t n)
{
    const char *at = memchr(key, '@', n);
    const size_t n_tenant = at ? (size_t)(at - key) : 0;

    if (n == 0 || n > KEY_MAX)
        return false;
    if (!at)
        return is_small(key[0]) && are_key_chars(key, n);
    return n_tenant <= TENANT_MAX && n - n_tenant - 1 <= SYSTEM_MAX &&
           are_key_chars(key, n_tenant) && key[0] != '_' && key[0] != '-' && key[0] != '*' &&
           key[0] != '/' && are_key_chars(at + 1, n - n_tenant - 1) && is_small(at[1]);
}

/* Section 3.3.1.3.2: printable, neither "," nor "=", no space at the end. */
static bool is_value(const char *value, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (value[i] < ' ' || value[i] > '~' || value[i] == ',' || value[i] == '=')
            return false;
    }
    return n > 0 && n <= VALUE_MAX && value[n - 1] != ' ';
}

struct member {
    const char *key;
    size_t n_key;
};

static bool is_new(const struct member *members, size_t n, const char *key, size_t n_key)
{
    for (size_t i = 0; i < n; i++) {
        if (members[i].n_key == n_key && memcmp(members[i].key, key, n_key) == 0)
            return false;
    }
    return true;
}

static void trim(const char **text, size_t *n)
{
    while (*n > 0 && ((*text)[0] == ' ' || (*text)[0] == '\t')) {
        ++*text;
        --*n;
    }
    while (*n > 0 && ((*text)[*n - 1] == ' ' || (*text)[*n - 1] == '\t'))
        --*n;
}

/* Members may be empty, a key occurs once. */
bool trace_state_is_valid(const char *value)
{
    struct member members[TRACE_STATE_MEMBERS];
    size_t n_members = 0;

    if (!value || strnlen(value, TRACE_STATE_MAX) == TRACE_STATE_MAX)
        return false;
    for (const char *at = value; at;) {
        const char *comma = strchr(at, ','), *member = at, *equals;
        size_t n = comma ? (size_t)(comma - at) : strlen(at), n_key;

        at = comma ? comma + 1 : NULL;
        trim(&member, &n);
        if (n == 0)
            continue;
        equals = memchr(member, '=', n);
        n_key = equals ? (size_t)(equals - member) : 0;
        if (!equals || n_members == TRACE_STATE_MEMBERS || !is_key(member, n_key) ||
            !is_value(equals + 1, n - n_key - 1) || !is_new(members, n_members, member, n_key))
            return false;
        members[n_members++] = (struct member){ member, n_key };
    }
    return n_members > 0;
}

void trace_id_write(const struct trace_context *c, char *ret_text)
{
    ret_text[0] = '\0';
    if (trace_context_is_set(c))
        hex_write(c->trace_id, TRACE_ID_BYTES, ret_text);
}

/* Section 3.2.2.3 and 3.2.2.4: not all zero. */
static void draw(uint8_t *ret_bytes, size_t n)
{
    do
        random_bytes(ret_bytes, n);
    while (is_zero(ret_bytes, n));
}

struct trace_context trace_context_below(const struct trace_context *parent)
{
    struct trace_context c = *parent;

    if (!trace_context_is_set(parent)) {
        draw(c.trace_id, TRACE_ID_BYTES);
        c.is_sampled = false;
    }
    draw(c.span_id, TRACE_SPAN_BYTES);
    return c;
}

bool trace_id_is_within(const struct trace_context *c, double ratio)
{
    uint64_t random = 0;

    for (size_t i = TRACE_ID_BYTES - RATIO_BITS / 8; i < TRACE_ID_BYTES; i++)
        random = random << 8 | c->trace_id[i];
    return random < (uint64_t)(ratio * (double)(UINT64_C(1) << RATIO_BITS));
}
