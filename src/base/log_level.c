/* SPDX-License-Identifier: Apache-2.0 */
/* base/log_level.c - which lines are told. */
#include "base/log_level.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

static const char *const component_names[] = {
#define COMPONENT_NAME(name, text) [LOG_IN_##name] = (text),
    LOG_COMPONENT_MAP(COMPONENT_NAME)
#undef COMPONENT_NAME
};

/* Each less than it is called, so that what was never set is LOG_INFO. */
static _Atomic int8_t common_shift;
static _Atomic int8_t shifts[N_LOG_COMPONENTS];

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

const char *log_component_name(enum log_component component)
{
    return component_names[component];
}

/* ret [n]: where `word`, of `length` bytes, is in `names`; false: nowhere. */
static bool find(const char *const *names, size_t n, const char *word, size_t length, size_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], word, length) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static enum status unknown_level(const char *word, size_t n, struct err *err)
{
    return err_set(err, ST_RANGE,
                   "there is no log level '%.*s': it is debug, info, warn or error, and may be "
                   "followed by ,COMPONENT=LEVEL",
                   (int)size_min(n, 32), word);
}

static enum status unknown_component(const char *word, size_t n, struct err *err)
{
    char names[LOG_LEVELS_TEXT_MAX] = "";

    for (size_t i = 0; i < ARRAY_LEN(component_names); i++)
        (void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
                       i > 0 ? ", " : "", component_names[i]);
    return err_set(err, ST_RANGE, "nothing called '%.*s' logs: there are %s", (int)size_min(n, 32),
                   word, names);
}

/* "cluster=debug" */
static enum status take_component(const char *word, size_t n, size_t n_name,
                                  struct log_levels *levels, struct err *err)
{
    const char *name = word + n_name + 1;
    const size_t n_level = n - n_name - 1;
    size_t component, level;

    if (!find(component_names, ARRAY_LEN(component_names), word, n_name, &component))
        return unknown_component(word, n_name, err);
    if (!find(level_names, ARRAY_LEN(level_names), name, n_level, &level))
        return unknown_level(name, n_level, err);
    levels->of[component] = (enum log_level)level;
    return ST_OK;
}

static enum status take_common(const char *word, size_t n, struct log_levels *levels,
                               struct err *err)
{
    size_t level;

    if (!find(level_names, ARRAY_LEN(level_names), word, n, &level))
        return unknown_level(word, n, err);
    levels->common = (enum log_level)level;
    for (size_t i = 0; i < N_LOG_COMPONENTS; i++)
        levels->of[i] = levels->common;
    return ST_OK;
}

enum status log_levels_parse(const char *text, struct log_levels *ret_levels, struct err *err)
{
    struct log_levels levels;
    enum status s = take_common(text, strcspn(text, ","), &levels, err);

    text += strcspn(text, ",");
    while (s == ST_OK && *text == ',') {
        const size_t n = strcspn(++text, ","), n_name = strcspn(text, ",=");

        s = text[n_name] == '=' ? take_component(text, n, n_name, &levels, err)
                                : unknown_component(text, n, err);
        text += n;
    }
    if (s == ST_OK)
        *ret_levels = levels;
    return s;
}

void log_levels_text(const struct log_levels *levels, char *ret)
{
    int n = snprintf(ret, LOG_LEVELS_TEXT_MAX, "%s", level_names[levels->common]);

    for (size_t i = 0; i < N_LOG_COMPONENTS; i++)
        if (levels->of[i] != levels->common)
            n += snprintf(ret + n, LOG_LEVELS_TEXT_MAX - (size_t)n, ",%s=%s", component_names[i],
                          level_names[levels->of[i]]);
}

void log_levels_use(const struct log_levels *levels)
{
    atomic_store(&common_shift, (int8_t)(levels->common - LOG_INFO));
    for (size_t i = 0; i < N_LOG_COMPONENTS; i++)
        atomic_store(&shifts[i], (int8_t)(levels->of[i] - LOG_INFO));
}

void log_levels_now(struct log_levels *ret_levels)
{
    ret_levels->common = (enum log_level)(atomic_load(&common_shift) + LOG_INFO);
    for (size_t i = 0; i < N_LOG_COMPONENTS; i++)
        ret_levels->of[i] = (enum log_level)(atomic_load(&shifts[i]) + LOG_INFO);
}

void log_levels_choose(const char *given, const char *of_file)
{
    const char *text = given && given[0] ? given : of_file && of_file[0] ? of_file : "info";
    struct log_levels levels;

    if (log_levels_parse(text, &levels, NULL) == ST_OK)
        log_levels_use(&levels);
}

void log_set_level(enum log_level level)
{
    struct log_levels levels = { .common = level };

    for (size_t i = 0; i < N_LOG_COMPONENTS; i++)
        levels.of[i] = level;
    log_levels_use(&levels);
}

bool log_is_on(enum log_level level, enum log_component component)
{
    return (int)level - LOG_INFO >= atomic_load_explicit(&shifts[component], memory_order_relaxed);
}
