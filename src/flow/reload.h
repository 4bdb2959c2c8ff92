/* SPDX-License-Identifier: Apache-2.0 */
/* flow/reload.h - the gateway's settings and keys, read again when their files change.
 *
 *   reload_new()  the file is read; a mistake in it is an error
 *   every second, and at reload_now()  changed? read in a job; good: on_change(), bad: logged, once
 *
 * A file that is gone or has mistakes changes nothing.
 *
 * Threads  the loop's; files are read in a job
 */
#ifndef POMONA_FLOW_RELOAD_H
#define POMONA_FLOW_RELOAD_H

#include "gateway/guard/files.h"
#include "net/loop.h"

struct reload;

/* path       of the settings, copied; NULL or "": no file, the defaults hold for ever
 * keys_path  of the API keys, copied
 * Errors     as access_files_load() */
enum status reload_new(struct loop *loop, const char *path, const char *keys_path,
                       struct reload **ret_reload, struct err *err);

/* The settings in force, lent until the loop runs again: who keeps them takes a reference. */
struct api_gateway *reload_settings(const struct reload *reload);

/* The same with what was read beside them. */
struct access_files *reload_files(const struct reload *reload);

/* fn(arg) on the loop after other settings are in force. */
void reload_on_change(struct reload *reload, loop_fn *fn, void *arg);

/* Read the file, changed or not; for SIGHUP.  Then done(arg) on the loop, whether it was good or not;
 * NULL is allowed.  Of several askers at once the last is told. */
void reload_now(struct reload *reload, loop_fn *done, void *arg);

/* A job may be under way: it ends on its own.  NULL is allowed. */
void reload_free(struct reload *reload);

#endif
