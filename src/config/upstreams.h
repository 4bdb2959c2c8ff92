/* SPDX-License-Identifier: Apache-2.0 */
/* config/upstreams.h - servers outside the cluster that answer requests, too: of config/api_gateway.yaml.
 *
 *   balancing: predicted-work
 *   upstreams:
 *     - name: studio
 *       url: http://10.0.0.9:8080
 *       kind: mlx
 *       weight: 1.0
 *       key_env: STUDIO_KEY
 *       models:
 *         - name: qwen3-8b
 *           there: mlx-community/Qwen3-8B-4bit
 *
 * `name`, `url` and `models` are required. A key comes from the environment or a file, never from this
 * file, which people show one another.
 */
#ifndef POMONA_CONFIG_UPSTREAMS_H
#define POMONA_CONFIG_UPSTREAMS_H

#include "base/status.h"
#include "config/config.h"

enum {
    CONFIG_UPSTREAMS_MAX = 64,
    CONFIG_UPSTREAM_MODELS_MAX = 64,
    CONFIG_MODEL_MAX = 128, /* bytes, NUL included */
    CONFIG_KEY_MAX = 512,
};

struct config_upstream_model {
    char name[CONFIG_MODEL_MAX];
    char there[CONFIG_MODEL_MAX]; /* the same where the file does not say */
};

struct config_upstream {
    char name[CONFIG_NAME_MAX];
    char url[CONFIG_HOST_MAX];
    char kind[CONFIG_NAME_MAX]; /* "": not given */
    double weight;              /* 1 where the file does not say */
    char key_env[CONFIG_NAME_MAX];
    char key_file[CONFIG_PATH_MAX];
    char key[CONFIG_KEY_MAX];             /* read from there; "": none */
    struct config_upstream_model *models; /* [models_count] */
    unsigned models_count;
};

struct config_upstreams {
    char balancing[CONFIG_NAME_MAX];   /* "": not given */
    struct config_upstream *upstreams; /* [upstreams_count] */
    unsigned upstreams_count;
};

/* Read and check the whole file, and the keys it names.
 * ret     given: config_upstreams_free()
 * Errors  ST_NOTFOUND, ST_IO; ST_FORMAT and ST_RANGE with the file, and the line where known */
enum status config_upstreams_load(const char *path, struct config_upstreams **ret, struct err *err);
void config_upstreams_free(struct config_upstreams *u); /* NULL is allowed */

#endif
