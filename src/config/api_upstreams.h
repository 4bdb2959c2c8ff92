/* SPDX-License-Identifier: Apache-2.0 */
/* config/api_upstreams.h - servers outside the cluster that answer requests, too: a section of api_gateway.yaml.
 *
 * A key comes from the environment or a file, never from this one, which people show one another.
 */
#ifndef POMONA_CONFIG_API_UPSTREAMS_H
#define POMONA_CONFIG_API_UPSTREAMS_H

#include <stdbool.h>

#include "base/status.h"
#include "config/config.h"

enum {
    API_UPSTREAMS_MAX = 64,
    API_UPSTREAM_MODELS_MAX = 64,
    API_UPSTREAM_URL_MAX = 256,
    API_MODEL_MAX = 128, /* bytes, NUL included */
    API_KEY_MAX = 512,
};

struct api_upstream_model {
    char name[API_MODEL_MAX];  /* that clients ask for */
    char there[API_MODEL_MAX]; /* what the upstream calls it */
};

enum api_upstream_kind {
    API_UPSTREAM_OPENAI = 0, /* whatever speaks OpenAI's API */
    API_UPSTREAM_POMONA,
    API_UPSTREAM_EXO,
    API_UPSTREAM_MLX,
    API_UPSTREAM_LLAMA_SERVER,
    API_UPSTREAM_VLLM,
};

struct api_upstream {
    char name[CONFIG_NAME_MAX];
    char url[API_UPSTREAM_URL_MAX]; /* "http://host:port", with "/v1" or without */
    int kind;                       /* API_UPSTREAM_* */
    double weight;                  /* > 0 */
    char key_env[CONFIG_NAME_MAX];
    char key_file[CONFIG_PATH_MAX];
    char key[API_KEY_MAX];             /* what is there; "": none */
    struct api_upstream_model *models; /* [models_count] */
    unsigned models_count;
};

/* Does b say the same as a? Keys are compared as they were read. */
bool api_upstream_is_same(const struct api_upstream *a, const struct api_upstream *b);

struct api_balancing {
    char policy[CONFIG_NAME_MAX]; /* "": the default; which there are, balance/policy.h knows */
};

#endif
