/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/upstreams.c - the upstreams of a gateway's configuration become a node's settings. */
#include "cmd/upstreams.h"

#include <stdlib.h>
#include <string.h>

#include "config/upstreams.h"

_Static_assert((int)CONFIG_NAME_MAX == (int)UPSTREAM_NAME_MAX, "a name fits both");
_Static_assert((int)CONFIG_HOST_MAX == (int)UPSTREAM_URL_MAX, "an address fits both");
_Static_assert((int)CONFIG_KEY_MAX == (int)UPSTREAM_KEY_MAX, "a key fits both");
_Static_assert((int)CONFIG_MODEL_MAX == (int)MODEL_NAME_MAX, "a model's name fits both");
_Static_assert((int)CONFIG_UPSTREAM_MODELS_MAX == (int)UPSTREAM_MODELS_MAX, "models fit both");
_Static_assert((int)CONFIG_UPSTREAMS_MAX == (int)UPSTREAMS_MAX, "upstreams fit both");

static void take(const struct config_upstream *from, struct upstream_settings *to)
{
    memcpy(to->name, from->name, sizeof(to->name));
    memcpy(to->url, from->url, sizeof(to->url));
    memcpy(to->kind, from->kind, sizeof(to->kind));
    memcpy(to->key, from->key, sizeof(to->key));
    to->weight = from->weight;
    to->n_models = from->models_count;
    for (size_t i = 0; i < to->n_models; i++) {
        memcpy(to->models[i].name, from->models[i].name, sizeof(to->models[i].name));
        memcpy(to->models[i].there, from->models[i].there, sizeof(to->models[i].there));
    }
}

enum status upstreams_read(const char *path, struct node_settings *settings, struct err *err)
{
    struct config_upstreams *config;
    enum status s = config_upstreams_load(path, &config, err);

    if (s != ST_OK)
        return s;
    memcpy(settings->balancing, config->balancing, sizeof(settings->balancing));
    settings->upstreams = calloc(config->upstreams_count + 1, sizeof(*settings->upstreams));
    if (!settings->upstreams)
        s = err_set(err, ST_NOMEM, "the upstreams");
    for (unsigned i = 0; s == ST_OK && i < config->upstreams_count; i++)
        take(&config->upstreams[i], &settings->upstreams[settings->n_upstreams++]);
    config_upstreams_free(config);
    return s;
}
