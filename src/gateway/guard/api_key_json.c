/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/api_key_json.c - an API key as its file holds it. */
#include "gateway/guard/api_key_json.h"

#include <string.h>

#include "base/hex.h"

static bool text_of(const json_t *json, const char *name, char *ret, size_t capacity)
{
    const char *text = json_string_value(json_object_get(json, name));

    if (!text || strlen(text) >= capacity)
        return false;
    memcpy(ret, text, strlen(text) + 1);
    return true;
}

static int64_t number_of(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name)); /* 0 where it is missing */
}

static void limits_of(const json_t *json, struct principal *who)
{
    struct api_limits *l = &who->limits;

    who->has_limits = json_is_object(json);
    l->requests_per_minute = (uint32_t)number_of(json, "requests_per_minute");
    l->concurrent = (uint32_t)number_of(json, "concurrent");
    l->tokens_per_minute = (uint64_t)number_of(json, "tokens_per_minute");
    l->requests_per_day = (uint64_t)number_of(json, "requests_per_day");
    l->tokens_per_day = (uint64_t)number_of(json, "tokens_per_day");
}

bool api_key_from_json(const json_t *json, struct api_key *ret)
{
    const json_t *models = json_object_get(json, "models");
    char hash[2 * API_KEY_HASH_BYTES + 1], scopes[128], priority[16];
    struct principal *who = &ret->who;

    *ret = (struct api_key){ 0 };
    if (!text_of(json, "name", ret->name, sizeof(ret->name)) ||
        !text_of(json, "sha256", hash, sizeof(hash)) || strlen(hash) != sizeof(hash) - 1 ||
        !hex_read(hash, API_KEY_HASH_BYTES, ret->hash) ||
        !text_of(json, "scopes", scopes, sizeof(scopes)) ||
        scopes_parse(scopes, &who->scopes, NULL) != ST_OK ||
        !text_of(json, "tenant", who->tenant, sizeof(who->tenant)))
        return false;
    (void)snprintf(who->name, sizeof(who->name), "key:%s", ret->name);
    ret->created_s = number_of(json, "created");
    who->expires_s = number_of(json, "expires");
    who->is_restricted = json_is_array(models);
    for (size_t i = 0; i < json_array_size(models); i++) {
        const char *name = json_string_value(json_array_get(models, i));

        if (!name || strcmp(name, "*") == 0 || principal_add_model(who, name, NULL) != ST_OK)
            return false;
    }
    if (text_of(json, "priority", priority, sizeof(priority)))
        who->is_batch = strcmp(priority, "batch") == 0;
    limits_of(json_object_get(json, "limits"), who);
    return true;
}

static void scopes_write(uint32_t scopes, char *ret, size_t capacity)
{
    (void)snprintf(ret, capacity, "%s%s%s%s", scopes & SCOPE_CHAT ? "chat " : "",
                   scopes & SCOPE_EMBED ? "embed " : "", scopes & SCOPE_MODELS ? "models " : "",
                   scopes & SCOPE_ADMIN ? "admin " : "");
}

json_t *api_key_to_json(const struct api_key *key)
{
    const struct principal *who = &key->who;
    const struct api_limits *l = &who->limits;
    char hash[2 * API_KEY_HASH_BYTES + 1], scopes[64];
    json_t *json, *models;

    hex_write(key->hash, API_KEY_HASH_BYTES, hash);
    scopes_write(who->scopes, scopes, sizeof(scopes));
    json = json_pack("{s:s,s:s,s:s,s:s,s:I,s:I}", "name", key->name, "sha256", hash, "scopes",
                     scopes, "tenant", who->tenant, "created", (json_int_t)key->created_s,
                     "expires", (json_int_t)who->expires_s);
    if (json && who->is_batch)
        (void)json_object_set_new(json, "priority", json_string("batch"));
    if (json && who->is_restricted) {
        models = json_array();
        for (size_t i = 0; i < who->n_models; i++)
            (void)json_array_append_new(models, json_string(who->models[i]));
        (void)json_object_set_new(json, "models", models);
    }
    if (json && who->has_limits)
        (void)json_object_set_new(json, "limits",
                                  json_pack("{s:I,s:I,s:I,s:I,s:I}", "requests_per_minute",
                                            (json_int_t)l->requests_per_minute, "concurrent",
                                            (json_int_t)l->concurrent, "tokens_per_minute",
                                            (json_int_t)l->tokens_per_minute, "requests_per_day",
                                            (json_int_t)l->requests_per_day, "tokens_per_day",
                                            (json_int_t)l->tokens_per_day));
    return json;
}
