/* SPDX-License-Identifier: Apache-2.0 */
/* config/api_server.c - sections of api_gateway.yaml about the HTTP server: fields, defaults, bounds. */
#include "config/api_server.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/log_event.h"
#include "base/size.h"
#include "config/api_gateway_priv.h"

/* clang-format off */
static const cyaml_strval_t versions[] = { { "1.2", API_TLS_1_2 }, { "1.3", API_TLS_1_3 } };

static const cyaml_schema_value_t origin = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, API_URL_MAX - 1),
};

const struct cyaml_schema_field api_tls_fields[] = {
    CYAML_FIELD_STRING("certificate", CYAML_FLAG_OPTIONAL, struct api_tls, certificate, 1),
    CYAML_FIELD_STRING("private_key", CYAML_FLAG_OPTIONAL, struct api_tls, private_key, 1),
    CYAML_FIELD_ENUM("min_version", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct api_tls, min_version, versions, CYAML_ARRAY_LEN(versions)),
    CYAML_FIELD_END
};

const struct cyaml_schema_field api_cors_fields[] = {
    CYAML_FIELD_SEQUENCE("origins", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct api_cors, origins, &origin, 0, API_WORDS_MAX),
    CYAML_FIELD_END
};

const struct cyaml_schema_field api_sizes_fields[] = {
    CYAML_FIELD_UINT("header_bytes", CYAML_FLAG_OPTIONAL, struct api_sizes, header_bytes),
    CYAML_FIELD_UINT("header_lines", CYAML_FLAG_OPTIONAL, struct api_sizes, header_lines),
    CYAML_FIELD_UINT("url_bytes", CYAML_FLAG_OPTIONAL, struct api_sizes, url_bytes),
    CYAML_FIELD_UINT("body_bytes", CYAML_FLAG_OPTIONAL, struct api_sizes, body_bytes),
    CYAML_FIELD_END
};

const struct cyaml_schema_field api_timeouts_fields[] = {
    CYAML_FIELD_UINT("header_s", CYAML_FLAG_OPTIONAL, struct api_timeouts, header_s),
    CYAML_FIELD_UINT("body_s", CYAML_FLAG_OPTIONAL, struct api_timeouts, body_s),
    CYAML_FIELD_UINT("body_bytes_per_s", CYAML_FLAG_OPTIONAL, struct api_timeouts, body_bytes_per_s),
    CYAML_FIELD_UINT("idle_s", CYAML_FLAG_OPTIONAL, struct api_timeouts, idle_s),
    CYAML_FIELD_UINT("stall_s", CYAML_FLAG_OPTIONAL, struct api_timeouts, stall_s),
    CYAML_FIELD_END
};

const struct cyaml_schema_field api_connections_fields[] = {
    CYAML_FIELD_UINT("total", CYAML_FLAG_OPTIONAL, struct api_connections, total),
    CYAML_FIELD_UINT("per_address", CYAML_FLAG_OPTIONAL, struct api_connections, per_address),
    CYAML_FIELD_END
};

const struct cyaml_schema_field api_log_fields[] = {
    CYAML_FIELD_ENUM("access", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct api_log, access, api_truths, CYAML_ARRAY_LEN(api_truths)),
    CYAML_FIELD_STRING("level", CYAML_FLAG_OPTIONAL, struct api_log, level, 1),
    CYAML_FIELD_STRING("format", CYAML_FLAG_OPTIONAL, struct api_log, format, 1),
    CYAML_FIELD_END
};

/* Every number: where it lies, what holds without it, and between what it has to be.  */
static const struct number {
    const char *place;
    size_t offset;
    bool is_long;
    uint64_t otherwise, min, max;
} numbers[] = {
#define SHORT(section, field) #section "." #field, offsetof(struct api_gateway, section.field), false
#define LONG(section, field)  #section "." #field, offsetof(struct api_gateway, section.field), true
    { SHORT(sizes, header_bytes),        16 << 10,   1 << 10, 1 << 20 },
    { SHORT(sizes, header_lines),        100,        10,      10000 },
    { SHORT(sizes, url_bytes),           8 << 10,    256,     8 << 10 },
    { LONG(sizes, body_bytes),           32 << 20,   1 << 10, 1 << 30 },
    { SHORT(timeouts, header_s),         10,         1,       3600 },
    { SHORT(timeouts, body_s),           10,         1,       3600 },
    { SHORT(timeouts, body_bytes_per_s), 4 << 10,    1,       1 << 30 },
    { SHORT(timeouts, idle_s),           75,         1,       86400 },
    { SHORT(timeouts, stall_s),          60,         1,       3600 },
    { SHORT(connections, total),         4096,       1,       65536 },
#undef LONG
#undef SHORT
};
/* clang-format on */

static uint64_t number_of(const struct api_gateway *c, const struct number *n)
{
    const char *at = (const char *)c + n->offset;
    uint64_t value = 0;
    uint32_t word = 0;

    if (n->is_long)
        memcpy(&value, at, sizeof(value));
    else
        memcpy(&word, at, sizeof(word));
    return n->is_long ? value : word;
}

static void number_set(struct api_gateway *c, const struct number *n, uint64_t value)
{
    const uint32_t word = (uint32_t)value;

    if (n->is_long)
        memcpy((char *)c + n->offset, &value, sizeof(value));
    else
        memcpy((char *)c + n->offset, &word, sizeof(word));
}

void api_server_complete(struct api_gateway *c)
{
    if (c->tls.min_version == 0)
        c->tls.min_version = API_TLS_1_2;
    if (!c->log.level[0])
        (void)snprintf(c->log.level, sizeof(c->log.level), "info");
    if (!c->log.format[0])
        (void)snprintf(c->log.format, sizeof(c->log.format), "auto");
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (number_of(c, &numbers[i]) == 0)
            number_set(c, &numbers[i], numbers[i].otherwise);
    if (c->connections.per_address == 0) /* so that one alone does not take all there are */
        c->connections.per_address = c->connections.total - c->connections.total / 4;
}

/* scheme "://" host [":" port], as browsers write it (RFC 6454, section 6.2); or "null". */
static bool is_origin(const char *text)
{
    const char *host = strstr(text, "://");

    if (strcmp(text, "null") == 0)
        return true;
    if (!host || host == text || host[3] == '\0')
        return false;
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c >= 0x7f || (*c >= 'A' && *c <= 'Z') || *c == '*')
            return false;
    return strpbrk(host + 3, "/?#") == NULL;
}

/* A name as in a URL; no port, for that says nothing of who is meant. */
static bool is_host(const char *text)
{
    return strcmp(text, "*") == 0 ||
           (text[0] && !text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789-._")]);
}

static const char *tls_fault(const struct api_tls *tls, const char **ret_place)
{
    *ret_place = tls->certificate[0] ? "tls.certificate" : "tls.private_key";
    if (!tls->certificate[0] != !tls->private_key[0])
        return "certificate and private_key go together";
    return NULL;
}

static enum status check_log(const struct api_log *log, char *ret_place, struct err *err)
{
    struct log_levels levels;
    enum log_format format;

    (void)snprintf(ret_place, PLACE_MAX, "log.level");
    if (log_levels_parse(log->level, &levels, err) != ST_OK) {
        err_wrap(err, "log.level");
        return ST_RANGE;
    }
    (void)snprintf(ret_place, PLACE_MAX, "log.format");
    if (log_format_parse(log->format, &format) != ST_OK)
        return err_set(err, ST_RANGE, "log.format: auto, logfmt, json, pretty or journal");
    return ST_OK;
}

enum status api_server_check(const struct api_gateway *c, char *ret_place, struct err *err)
{
    const char *place, *fault = tls_fault(&c->tls, &place);

    if (fault) {
        (void)snprintf(ret_place, PLACE_MAX, "%s", place);
        return err_set(err, ST_RANGE, "%s: %s", place, fault);
    }
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        const struct number *n = &numbers[i];

        if (number_of(c, n) >= n->min && number_of(c, n) <= n->max)
            continue;
        (void)snprintf(ret_place, PLACE_MAX, "%s", n->place);
        return err_set(err, ST_RANGE, "%s: between %llu and %llu", n->place,
                       (unsigned long long)n->min, (unsigned long long)n->max);
    }
    for (unsigned i = 0; i < c->hosts_count; i++) {
        (void)snprintf(ret_place, PLACE_MAX, "hosts[%u]", i);
        if (!is_host(c->hosts[i]))
            return err_set(err, ST_RANGE,
                           "%s: a name without a port, \"llm.example.org\"; or \"*\"", ret_place);
    }
    for (unsigned i = 0; i < c->cors.origins_count; i++) {
        const char *o = c->cors.origins[i];

        (void)snprintf(ret_place, PLACE_MAX, "cors.origins[%u]", i);
        if (strcmp(o, "*") == 0 ? c->cors.origins_count > 1 : !is_origin(o))
            return err_set(err, ST_RANGE,
                           "%s: as browsers send it, \"https://chat.example.org\", in small "
                           "letters and without a path; or \"*\" alone",
                           ret_place);
    }
    return check_log(&c->log, ret_place, err);
}
