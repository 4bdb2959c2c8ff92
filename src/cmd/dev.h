/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/dev.h - `pomona serve --dev`: what a node watches so that a developer need not restart it.
 *
 *   watching --a file changed, and has rested--> is it usable? --yes--> on_change(), once
 *       ^-------------------------- no, which is said ------------'
 *
 * Files are looked at twice a second, which works on every system and where a linker or an editor
 * replaces them.  A file that changed is taken when it was the same at two looks, so that one half
 * written is not.  A configuration has to be without mistakes, a program one that can be run.
 *
 * Threads  the loop's; files are looked at in a job
 */
#ifndef POMONA_CMD_DEV_H
#define POMONA_CMD_DEV_H

#include "base/status.h"
#include "net/loop.h"

struct dev;

/* config, program  paths, copied; config may be NULL
 * on_change        told the path that changed, lent for the call
 * Errors           ST_NOMEM */
typedef void dev_fn(void *arg, const char *path);
enum status dev_new(struct loop *loop, const char *config, const char *program, dev_fn *on_change,
                    void *arg, struct dev **ret_dev, struct err *err);

/* A look may be under way: it ends on its own.  NULL is allowed. */
void dev_free(struct dev *dev);

#endif
