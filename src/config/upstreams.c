/* SPDX-License-Identifier: Apache-2.0 */
/* config/upstreams.c - servers outside the cluster that answer requests, too: of config/api_gateway.yaml. */
#include "config/upstreams.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "config/schema.h"

enum { FILE_MAX_BYTES = 1 << 20 };

static const double WEIGHT_MAX = 1000;

static const cyaml_schema_field_t model_fields[] = {
    CYAML_FIELD_STRING("name", CYAML_FLAG_DEFAULT, struct config_upstream_model, name, 1),
    CYAML_FIELD_STRING("there", CYAML_FLAG_OPTIONAL, struct config_upstream_model, there, 1),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t model_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_upstream_model, model_fields),
};

static const cyaml_schema_field_t upstream_fields[] = {
    CYAML_FIELD_STRING("name", CYAML_FLAG_DEFAULT, struct config_upstream, name, 1),
    CYAML_FIELD_STRING("url", CYAML_FLAG_DEFAULT, struct config_upstream, url, 1),
    CYAML_FIELD_STRING("kind", CYAML_FLAG_OPTIONAL, struct config_upstream, kind, 1),
    CYAML_FIELD_FLOAT("weight", CYAML_FLAG_OPTIONAL, struct config_upstream, weight),
    CYAML_FIELD_STRING("key_env", CYAML_FLAG_OPTIONAL, struct config_upstream, key_env, 1),
    CYAML_FIELD_STRING("key_file", CYAML_FLAG_OPTIONAL, struct config_upstream, key_file, 1),
    CYAML_FIELD_SEQUENCE("models", CYAML_FLAG_POINTER, struct config_upstream, models, &model_value,
                         1, CONFIG_UPSTREAM_MODELS_MAX),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t upstream_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_upstream, upstream_fields),
};

static const cyaml_schema_field_t root_fields[] = {
    CYAML_FIELD_STRING("balancing", CYAML_FLAG_OPTIONAL, struct config_upstreams, balancing, 1),
    CYAML_FIELD_SEQUENCE("upstreams", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER,
                         struct config_upstreams, upstreams, &upstream_value, 0,
                         CONFIG_UPSTREAMS_MAX),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t root_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_upstreams, root_fields),
};

static enum status complete_models(struct config_upstream *u, struct err *err)
{
    for (unsigned i = 0; i < u->models_count; i++) {
        if (!u->models[i].name[0])
            return err_set(err, ST_RANGE, "upstream '%s': a model has no name", u->name);
        if (!u->models[i].there[0])
            memcpy(u->models[i].there, u->models[i].name, sizeof(u->models[i].there));
    }
    return ST_OK;
}

static enum status check_upstream(struct config_upstream *u, struct err *err)
{
    if (u->weight == 0)
        u->weight = 1;
    if (strncmp(u->url, "http://", 7) != 0 && strncmp(u->url, "https://", 8) != 0)
        return err_set(err, ST_RANGE,
                       "upstream '%s': the url '%s' begins with neither http:// "
                       "nor https://",
                       u->name, u->url);
    if (!isfinite(u->weight) || u->weight < 0 || u->weight > WEIGHT_MAX)
        return err_set(err, ST_RANGE, "upstream '%s': weight is from 0.001 to %.0f", u->name,
                       WEIGHT_MAX);
    if (u->key_env[0] && u->key_file[0])
        return err_set(err, ST_RANGE, "upstream '%s': give key_env or key_file, not both", u->name);
    return complete_models(u, err);
}

static enum status take_key(struct config_upstream *u, const char *key, size_t n, struct err *err)
{
    while (n > 0 && (key[n - 1] == '\n' || key[n - 1] == '\r' || key[n - 1] == ' '))
        n--;
    if (n == 0 || n >= sizeof(u->key))
        return err_set(err, ST_RANGE, "upstream '%s': its key is empty, or longer than %zu bytes",
                       u->name, sizeof(u->key) - 1);
    for (size_t i = 0; i < n; i++) {
        if (key[i] <= ' ' || key[i] == 0x7F)
            return err_set(err, ST_RANGE, "upstream '%s': its key holds what no header may",
                           u->name);
    }
    memcpy(u->key, key, n);
    u->key[n] = '\0';
    return ST_OK;
}

static enum status read_key(struct config_upstream *u, struct err *err)
{
    struct buf content = { 0 };
    const char *value;
    enum status s;

    if (u->key_env[0]) {
        value = getenv(u->key_env);
        if (!value)
            return err_set(err, ST_NOTFOUND, "upstream '%s': %s is not in the environment", u->name,
                           u->key_env);
        return take_key(u, value, strlen(value), err);
    }
    if (!u->key_file[0])
        return ST_OK;
    s = file_read(u->key_file, CONFIG_KEY_MAX, &content, err);
    if (s == ST_OK)
        s = take_key(u, buf_text(&content), content.len, err);
    buf_release(&content);
    return s;
}

static enum status check_all(struct config_upstreams *u, struct err *err)
{
    enum status s = ST_OK;

    for (unsigned i = 0; i < u->upstreams_count && s == ST_OK; i++) {
        for (unsigned k = 0; k < i; k++) {
            if (strcmp(u->upstreams[k].name, u->upstreams[i].name) == 0)
                return err_set(err, ST_RANGE, "two upstreams are called '%s'",
                               u->upstreams[i].name);
        }
        s = check_upstream(&u->upstreams[i], err);
        if (s == ST_OK)
            s = read_key(&u->upstreams[i], err);
    }
    return s;
}

enum status config_upstreams_load(const char *path, struct config_upstreams **ret, struct err *err)
{
    struct config_upstreams *u = NULL;
    struct buf content = { 0 };
    enum status s;

    s = file_read(path, FILE_MAX_BYTES, &content, err);
    if (s == ST_OK)
        s = schema_parse(&content, path, &root_value, "'upstreams'", (void **)&u, err);
    if (s != ST_OK)
        goto out;
    s = check_all(u, err);
    if (s != ST_OK) {
        err_wrap(err, "%s", path);
        goto out;
    }
    *ret = u;
    u = NULL;

out:
    buf_release(&content);
    config_upstreams_free(u);
    return s;
}

void config_upstreams_free(struct config_upstreams *u)
{
    schema_free(&root_value, u);
}
