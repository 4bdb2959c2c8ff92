/* SPDX-License-Identifier: Apache-2.0 */
/* config/config_priv.h - between the reader and the checks of a configuration. */
#ifndef POMONA_CONFIG_CONFIG_PRIV_H
#define POMONA_CONFIG_CONFIG_PRIV_H

#include "config/config.h"

/* Fill in what the file left out. */
void config_complete(struct config *config);

/* Errors  ST_RANGE  a value no cluster can work with; the words name the node and the field */
enum status config_check(const struct config *config, struct err *err);

#endif
