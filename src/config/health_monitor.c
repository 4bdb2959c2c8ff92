/* SPDX-License-Identifier: Apache-2.0 */
/* config/health_monitor.c - read health_monitor.yaml against a schema (config/yaml.h). */
#include "config/health_monitor.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "config/api_gateway_priv.h"
#include "config/yaml.h"

/* clang-format off */
static const cyaml_strval_t actions[] = {
    { "none", HEALTH_ACTION_NONE }, { "replace", HEALTH_ACTION_REPLACE }, { "drain", HEALTH_ACTION_DRAIN },
};

static const cyaml_strval_t kinds[] = {
    { "command", HEALTH_COMMAND }, { "webhook", HEALTH_WEBHOOK }, { "alertmanager", HEALTH_ALERTMANAGER },
};

static const cyaml_schema_value_t word = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, CONFIG_PATH_MAX - 1),
};

static const cyaml_schema_field_t check_fields[] = {
    CYAML_FIELD_STRING("name", CYAML_FLAG_DEFAULT, struct health_check, name, 1),
    CYAML_FIELD_FLOAT_PTR("warning", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct health_check, warning),
    CYAML_FIELD_FLOAT_PTR("critical", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct health_check, critical),
    CYAML_FIELD_FLOAT_PTR("for_s", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct health_check, for_s),
    CYAML_FIELD_FLOAT_PTR("clear_s", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct health_check, clear_s),
    CYAML_FIELD_ENUM("action", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct health_check, action, actions, CYAML_ARRAY_LEN(actions)),
    CYAML_FIELD_ENUM("off", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct health_check, is_off, api_truths, CYAML_ARRAY_LEN(api_truths)),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t check_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct health_check, check_fields),
};

static const cyaml_schema_field_t callback_fields[] = {
    CYAML_FIELD_ENUM("kind", CYAML_FLAG_STRICT, struct health_callback, kind, kinds, CYAML_ARRAY_LEN(kinds)),
    CYAML_FIELD_SEQUENCE("command", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct health_callback, command, &word, 1, HEALTH_LIST_MAX),
    CYAML_FIELD_STRING("url", CYAML_FLAG_OPTIONAL, struct health_callback, url, 1),
    CYAML_FIELD_STRING("secret_file", CYAML_FLAG_OPTIONAL, struct health_callback, secret_file, 1),
    CYAML_FIELD_STRING("secret_env", CYAML_FLAG_OPTIONAL, struct health_callback, secret_env, 1),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t callback_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct health_callback, callback_fields),
};

static const cyaml_schema_field_t listen_fields[] = {
    CYAML_FIELD_STRING("host", CYAML_FLAG_OPTIONAL, struct health_monitor, listen.host, 1),
    CYAML_FIELD_UINT("port", CYAML_FLAG_OPTIONAL, struct health_monitor, listen.port),
    CYAML_FIELD_END
};

#define SECONDS(section, field) CYAML_FIELD_FLOAT(#field "_s", CYAML_FLAG_OPTIONAL, struct health_monitor, section.field)
static const cyaml_schema_field_t every_fields[] = {
    SECONDS(every, poll), SECONDS(every, machine), SECONDS(every, canary), SECONDS(every, record),
    SECONDS(every, names), SECONDS(every, certificates), SECONDS(every, paths), SECONDS(every, units),
    SECONDS(every, speed),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t deadline_fields[] = {
    SECONDS(deadline, poll), SECONDS(deadline, canary), SECONDS(deadline, callback),
    CYAML_FIELD_END
};
#undef SECONDS

static const cyaml_schema_field_t canary_fields[] = {
    CYAML_FIELD_ENUM("off", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct health_monitor, canary.is_off, api_truths, CYAML_ARRAY_LEN(api_truths)),
    CYAML_FIELD_STRING("prompt", CYAML_FLAG_OPTIONAL, struct health_monitor, canary.prompt, 1),
    CYAML_FIELD_STRING("expect", CYAML_FLAG_OPTIONAL, struct health_monitor, canary.expect, 0),
    CYAML_FIELD_UINT("max_tokens", CYAML_FLAG_OPTIONAL, struct health_monitor, canary.max_tokens),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t history_fields[] = {
    CYAML_FIELD_UINT("raw_hours", CYAML_FLAG_OPTIONAL, struct health_monitor, history.raw_hours),
    CYAML_FIELD_UINT("minute_days", CYAML_FLAG_OPTIONAL, struct health_monitor, history.minute_days),
    CYAML_FIELD_UINT("hour_days", CYAML_FLAG_OPTIONAL, struct health_monitor, history.hour_days),
    CYAML_FIELD_UINT("event_days", CYAML_FLAG_OPTIONAL, struct health_monitor, history.event_days),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t log_fields[] = {
    CYAML_FIELD_STRING("level", CYAML_FLAG_OPTIONAL, struct health_monitor, log.level, 1),
    CYAML_FIELD_END
};

/* A section whose fields are named from the root: they lie at their own offsets. */
#define SECTION(name, table) { .key = name, .value = { .type = CYAML_MAPPING, .flags = CYAML_FLAG_OPTIONAL, \
    .data_size = sizeof(struct health_monitor), .mapping = { .fields = table } }, .data_offset = 0 }
#define LIST(key) CYAML_FIELD_SEQUENCE(#key, CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct health_monitor, key, &word, 0, HEALTH_LIST_MAX)
static const cyaml_schema_field_t root_fields[] = {
    SECTION("listen", listen_fields),
    SECTION("every", every_fields),
    SECTION("deadline", deadline_fields),
    SECTION("canary", canary_fields),
    SECTION("history", history_fields),
    SECTION("log", log_fields),
    CYAML_FIELD_STRING("api_scheme", CYAML_FLAG_OPTIONAL, struct health_monitor, api_scheme, 1),
    CYAML_FIELD_STRING("api_ca", CYAML_FLAG_OPTIONAL, struct health_monitor, api_ca, 1),
    CYAML_FIELD_FLOAT("target", CYAML_FLAG_OPTIONAL, struct health_monitor, target),
    CYAML_FIELD_STRING("pressure_file", CYAML_FLAG_OPTIONAL, struct health_monitor, pressure_file, 1),
    CYAML_FIELD_SEQUENCE("checks", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct health_monitor, checks, &check_value, 0, HEALTH_CHECKS_MAX),
    LIST(disks), LIST(names), LIST(certificates), LIST(units),
    CYAML_FIELD_SEQUENCE("callbacks", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct health_monitor, callbacks, &callback_value, 0, HEALTH_CALLBACKS_MAX),
    CYAML_FIELD_END
};
#undef LIST
#undef SECTION

static const cyaml_schema_value_t root_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct health_monitor, root_fields),
};

/* Every number: where it lies, what holds without it, and between what it has to be.  */
static const struct real {
    const char *place;
    size_t offset;
    double otherwise, min, max;
} reals[] = {
#define REAL(place, field) place, offsetof(struct health_monitor, field)
    { REAL("every.poll_s", every.poll),                 2,     0.05, 3600 },
    { REAL("every.machine_s", every.machine),           5,     0.05, 3600 },
    { REAL("every.canary_s", every.canary),             5,     0.1,  86400 },
    { REAL("every.record_s", every.record),             10,    1,    3600 }, /* a second has one sample */
    { REAL("every.names_s", every.names),               60,    0.1,  86400 },
    { REAL("every.certificates_s", every.certificates), 3600,  0.1,  86400 },
    { REAL("every.paths_s", every.paths),               60,    0.1,  86400 },
    { REAL("every.units_s", every.units),               5,     0.1,  3600 },
    { REAL("every.speed_s", every.speed),               600,   0.1,  86400 },
    { REAL("deadline.poll_s", deadline.poll),           2,     0.05, 60 },
    { REAL("deadline.canary_s", deadline.canary),       30,    0.1,  600 },
    { REAL("deadline.callback_s", deadline.callback),   10,    0.1,  300 },
    { REAL("target", target),                           0.999, 0.5,  0.9999999 },
#undef REAL
};

static const struct whole {
    const char *place;
    size_t offset;
    uint32_t otherwise, max;
} wholes[] = {
#define WHOLE(place, field) place, offsetof(struct health_monitor, field)
    { WHOLE("canary.max_tokens", canary.max_tokens),     4,   256 },
    { WHOLE("history.raw_hours", history.raw_hours),     12,  24 * 31 },
    { WHOLE("history.minute_days", history.minute_days), 7,   366 },
    { WHOLE("history.hour_days", history.hour_days),     400, 3660 },
    { WHOLE("history.event_days", history.event_days),   400, 3660 },
#undef WHOLE
};
/* clang-format on */

static void text_default(char *text, size_t capacity, const char *otherwise)
{
    if (!text[0])
        (void)snprintf(text, capacity, "%s", otherwise);
}

static void complete(struct health_monitor *c)
{
    text_default(c->listen.host, sizeof(c->listen.host), "127.0.0.1");
    text_default(c->log.level, sizeof(c->log.level), "info");
    text_default(c->api_scheme, sizeof(c->api_scheme), "http");
    text_default(c->canary.prompt, sizeof(c->canary.prompt), "One, two, three,");
    text_default(c->pressure_file, sizeof(c->pressure_file), "/proc/pressure/memory");
    if (c->listen.port == 0)
        c->listen.port = HEALTH_PORT;
    for (size_t i = 0; i < ARRAY_LEN(reals); i++) {
        double value;

        memcpy(&value, (char *)c + reals[i].offset, sizeof(value));
        if (value == 0)
            memcpy((char *)c + reals[i].offset, &reals[i].otherwise, sizeof(value));
    }
    for (size_t i = 0; i < ARRAY_LEN(wholes); i++) {
        uint32_t value;

        memcpy(&value, (char *)c + wholes[i].offset, sizeof(value));
        if (value == 0)
            memcpy((char *)c + wholes[i].offset, &wholes[i].otherwise, sizeof(value));
    }
}

static enum status check_numbers(const struct health_monitor *c, char *ret_place, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(reals); i++) {
        const struct real *r = &reals[i];
        double value;

        memcpy(&value, (const char *)c + r->offset, sizeof(value));
        (void)snprintf(ret_place, PLACE_MAX, "%s", r->place);
        if (!(value >= r->min && value <= r->max))
            return err_set(err, ST_RANGE, "%s: between %g and %g", r->place, r->min, r->max);
    }
    for (size_t i = 0; i < ARRAY_LEN(wholes); i++) {
        const struct whole *w = &wholes[i];
        uint32_t value;

        memcpy(&value, (const char *)c + w->offset, sizeof(value));
        (void)snprintf(ret_place, PLACE_MAX, "%s", w->place);
        if (value > w->max)
            return err_set(err, ST_RANGE, "%s: between 1 and %u", w->place, w->max);
    }
    return ST_OK;
}

static bool is_bad(const double *number, double min, double max)
{
    return number && !(*number >= min && *number <= max);
}

static const char *check_fault(const struct health_check *check)
{
    if (is_bad(check->for_s, 0, 86400) || is_bad(check->clear_s, 0, 86400))
        return "for_s and clear_s are between 0 and 86400";
    if (is_bad(check->warning, -1e18, 1e18) || is_bad(check->critical, -1e18, 1e18))
        return "warning and critical are numbers";
    return NULL;
}

static bool is_http(const char *url)
{
    return strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

/* The secret of a callback: at most one line, of a file or the environment. */
static const char *read_secret(struct health_callback *c)
{
    const char *text = c->secret_env[0] ? getenv(c->secret_env) : NULL;
    struct buf content = { 0 };
    const char *fault = NULL;

    if (c->secret_env[0] && !text)
        return "the environment has no such variable";
    if (!text && !c->secret_file[0])
        return NULL;
    if (!text && file_read(c->secret_file, HEALTH_SECRET_MAX, &content, NULL) != ST_OK)
        fault = "secret_file cannot be read, or is longer than 256 bytes";
    if (!text)
        text = buf_text(&content);
    if (!fault && (strcspn(text, "\r\n") < 16 || strcspn(text, "\r\n") >= sizeof(c->secret)))
        fault = "a secret has 16 to 255 bytes";
    if (!fault)
        (void)snprintf(c->secret, sizeof(c->secret), "%.*s", (int)strcspn(text, "\r\n"), text);
    buf_release(&content);
    return fault;
}

static const char *callback_fault(struct health_callback *c)
{
    if (c->kind == HEALTH_COMMAND)
        return c->command_count == 0       ? "name the command: [/path/of/program, its, arguments]"
               : c->command[0][0] != '/'   ? "a command begins with the whole path of a program"
               : c->url[0] || c->secret[0] ? "a command has no url"
                                           : NULL;
    if (c->command_count > 0)
        return "only the kind command has a command";
    if (!is_http(c->url))
        return "url begins with http:// or https://";
    return read_secret(c);
}

static enum status check(struct health_monitor *c, char *ret_place, struct err *err)
{
    enum status s = check_numbers(c, ret_place, err);
    struct log_levels levels;

    if (s != ST_OK)
        return s;
    (void)snprintf(ret_place, PLACE_MAX, "log.level");
    if (log_levels_parse(c->log.level, &levels, err) != ST_OK) {
        err_wrap(err, "log.level");
        return ST_RANGE;
    }
    (void)snprintf(ret_place, PLACE_MAX, "api_scheme");
    if (strcmp(c->api_scheme, "http") != 0 && strcmp(c->api_scheme, "https") != 0)
        return err_set(err, ST_RANGE, "api_scheme: http or https");
    for (unsigned i = 0; i < c->checks_count; i++) {
        const char *fault = check_fault(&c->checks[i]);

        (void)snprintf(ret_place, PLACE_MAX, "checks[%u].name", i);
        if (fault)
            return err_set(err, ST_RANGE, "check '%s': %s", c->checks[i].name, fault);
    }
    for (unsigned i = 0; i < c->callbacks_count; i++) {
        const char *fault = callback_fault(&c->callbacks[i]);

        (void)snprintf(ret_place, PLACE_MAX, "callbacks[%u]", i);
        if (fault)
            return err_set(err, ST_RANGE, "%s: %s", ret_place, fault);
    }
    return ST_OK;
}

static enum status parse(const struct buf *content, const char *path,
                         struct health_monitor **ret_config, struct err *err)
{
    char place[PLACE_MAX] = "";
    struct health_monitor *config;
    void *data = NULL;
    enum status s = yaml_read(content, path, &root_value, &data, err);

    if (s != ST_OK)
        return s;
    if (!data) /* only comments */
        return health_monitor_default(ret_config, err);
    config = data;
    complete(config);
    s = check(config, place, err);
    if (s != ST_OK) {
        yaml_point(content, path, place, err);
        health_monitor_free(config);
        return s;
    }
    *ret_config = config;
    return ST_OK;
}

enum status health_monitor_load(const char *path, struct health_monitor **ret_config,
                                struct err *err)
{
    struct buf content = { 0 };
    enum status s = file_read(path, YAML_FILE_MAX_BYTES, &content, err);

    if (s == ST_OK && content.len == 0)
        s = err_set(err, ST_FORMAT, "%s:1:1: the file is empty", path);
    if (s == ST_OK)
        s = parse(&content, path, ret_config, err);
    buf_release(&content);
    return s;
}

/* From libcyaml's allocator, as the others: one release for both. */
enum status health_monitor_default(struct health_monitor **ret_config, struct err *err)
{
    struct health_monitor *config = cyaml_mem(NULL, NULL, sizeof(*config));

    if (!config)
        return err_set(err, ST_NOMEM, "the monitor's settings");
    *config = (struct health_monitor){ 0 };
    complete(config);
    *ret_config = config;
    return ST_OK;
}

void health_monitor_free(struct health_monitor *config)
{
    yaml_release(&root_value, config);
}
