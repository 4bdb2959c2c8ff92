/* SPDX-License-Identifier: Apache-2.0 */
/* config/api_upstreams.c - the upstreams of api_gateway.yaml: their schema, their defaults, their keys. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "config/api_gateway_priv.h"

static const double WEIGHT_MAX = 1000;

static const cyaml_strval_t kinds[] = {
    { "openai", API_UPSTREAM_OPENAI },
    { "pomona", API_UPSTREAM_POMONA },
    { "exo", API_UPSTREAM_EXO },
    { "mlx", API_UPSTREAM_MLX },
    { "llama-server", API_UPSTREAM_LLAMA_SERVER },
    { "vllm", API_UPSTREAM_VLLM },
};

static const cyaml_schema_field_t model_fields[] = {
    CYAML_FIELD_STRING("name", CYAML_FLAG_DEFAULT, struct api_upstream_model, name, 1),
    CYAML_FIELD_STRING("there", CYAML_FLAG_OPTIONAL, struct api_upstream_model, there, 1),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t model_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct api_upstream_model, model_fields),
};

static const cyaml_schema_field_t upstream_fields[] = {
    CYAML_FIELD_STRING("name", CYAML_FLAG_DEFAULT, struct api_upstream, name, 1),
    CYAML_FIELD_STRING("url", CYAML_FLAG_DEFAULT, struct api_upstream, url, 1),
    CYAML_FIELD_ENUM("kind", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct api_upstream, kind,
                     kinds, CYAML_ARRAY_LEN(kinds)),
    CYAML_FIELD_FLOAT("weight", CYAML_FLAG_OPTIONAL, struct api_upstream, weight),
    CYAML_FIELD_STRING("key_env", CYAML_FLAG_OPTIONAL, struct api_upstream, key_env, 1),
    CYAML_FIELD_STRING("key_file", CYAML_FLAG_OPTIONAL, struct api_upstream, key_file, 1),
    CYAML_FIELD_SEQUENCE("models", CYAML_FLAG_POINTER, struct api_upstream, models, &model_value, 1,
                         API_UPSTREAM_MODELS_MAX),
    CYAML_FIELD_END
};

const cyaml_schema_value_t api_upstream_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct api_upstream, upstream_fields),
};

void api_upstream_complete(struct api_upstream *u)
{
    if (u->weight == 0)
        u->weight = 1;
    for (unsigned i = 0; i < u->models_count; i++) {
        if (!u->models[i].there[0])
            memcpy(u->models[i].there, u->models[i].name, sizeof(u->models[i].there));
    }
}

/* NULL: it is fine. */
static const char *take_key(struct api_upstream *u, const char *key, size_t n)
{
    while (n > 0 && (key[n - 1] == '\n' || key[n - 1] == '\r' || key[n - 1] == ' '))
        n--;
    if (n == 0 || n >= sizeof(u->key))
        return "the key there is empty, or longer than 511 bytes";
    for (size_t i = 0; i < n; i++) {
        if (key[i] <= ' ' || key[i] == 0x7F)
            return "the key there holds what no header may";
    }
    memcpy(u->key, key, n);
    u->key[n] = '\0';
    return NULL;
}

static const char *read_key(struct api_upstream *u)
{
    struct buf content = { 0 };
    const char *fault;

    if (u->key_env[0]) {
        const char *value = getenv(u->key_env);

        return value ? take_key(u, value, strlen(value)) : "it is not in the environment";
    }
    if (!u->key_file[0])
        return NULL;
    if (file_read(u->key_file, API_KEY_MAX, &content, NULL) != ST_OK)
        return "the file cannot be read";
    fault = take_key(u, buf_text(&content), content.len);
    buf_release(&content);
    return fault;
}

const char *api_upstream_fault(struct api_upstream *u, const char **ret_field)
{
    *ret_field = "url";
    if (strncmp(u->url, "http://", 7) != 0 && strncmp(u->url, "https://", 8) != 0)
        return "it begins with http:// or https://";
    *ret_field = "weight";
    if (!isfinite(u->weight) || u->weight < 0.001 || u->weight > WEIGHT_MAX)
        return "from 0.001 to 1000";
    *ret_field = "models";
    for (unsigned i = 0; i < u->models_count; i++) {
        if (!u->models[i].name[0])
            return "a model has no name";
    }
    *ret_field = u->key_env[0] ? "key_env" : "key_file";
    if (u->key_env[0] && u->key_file[0])
        return "give key_env or key_file, not both";
    return read_key(u);
}

static bool is_same_model(const struct api_upstream_model *a, const struct api_upstream_model *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->there, b->there) == 0;
}

bool api_upstream_is_same(const struct api_upstream *a, const struct api_upstream *b)
{
    bool is_same = strcmp(a->name, b->name) == 0 && strcmp(a->url, b->url) == 0 &&
                   strcmp(a->key, b->key) == 0 && a->kind == b->kind &&
                   memcmp(&a->weight, &b->weight, sizeof(a->weight)) == 0 &&
                   a->models_count == b->models_count;

    for (unsigned i = 0; is_same && i < a->models_count; i++)
        is_same = is_same_model(&a->models[i], &b->models[i]);
    return is_same;
}
