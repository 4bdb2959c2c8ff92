/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/manager.h - what the service manager is told of a process that has a loop.
 *
 *   starting --manager_ready()--> ready --manager_reloading()--> reloading --manager_ready()--> ready
 *                                   \------------------- manager_stopping() --------------------/
 *
 * Where the manager watches the process it gets a sign from the loop three times in the time that it
 * allows: a loop that stands still is a process to be replaced.
 *
 * Threads  the loop's
 */
#ifndef POMONA_CMD_MANAGER_H
#define POMONA_CMD_MANAGER_H

#include <stdint.h>

#include "base/status.h"
#include "net/loop.h"

struct manager;

/* Errors  ST_NOMEM */
enum status manager_new(struct loop *loop, struct manager **ret_manager, struct err *err);
void manager_free(struct manager *manager); /* NULL is allowed */

/* It does its work, as `words` say. */
void manager_ready(struct manager *manager, const char *words);

/* It reads its settings again; manager_ready() follows, however that ends. */
void manager_reloading(struct manager *manager);

/* It is going to end, within `ms`: the manager gives it that time and some seconds more. */
void manager_stopping(struct manager *manager, uint64_t ms);

#endif
