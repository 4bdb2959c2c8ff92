/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/api_keys.h - `pomona keys create`, `list` and `revoke`: the API keys of a data folder. */
#ifndef POMONA_CMD_API_KEYS_H
#define POMONA_CMD_API_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/cmd.h"

struct api_key_options {
    const char *tenant, *scopes, *models, *priority; /* NULL: not given */
    uint32_t days;                                   /* until it expires; 0: never */
    uint32_t requests_per_minute, concurrent;
    uint64_t tokens_per_minute, requests_per_day, tokens_per_day;
};

/* Each returns the exit status of the command. */
int api_keys_make(const struct app *app, const char *name, const struct api_key_options *options);
int api_keys_list(const struct app *app);
int api_keys_end(const struct app *app, const char *name);

#endif
