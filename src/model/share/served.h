/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/served.h - the models that a share server gives, and their manifests.
 *
 *   no manifest --given, asked for--> read where it is kept, else making --job--> there
 *                                                     \--failure, told once--> no manifest
 *
 * Manifests are made as soon as models are given, one at a time: who fetches should wait for
 * the network and not for hashes.  It costs one reading of each model, once.
 *
 * Threads  the loop's
 */
#ifndef POMONA_MODEL_SHARE_SERVED_H
#define POMONA_MODEL_SHARE_SERVED_H

#include "base/buf.h"
#include "model/share/piece_map.h"
#include "model/share/server.h"
#include "net/loop.h"

struct served_list;

/* keep_dir  copied; may be NULL */
enum status served_new(struct loop *loop, const char *keep_dir, uint32_t piece_bytes,
                       struct served_list **ret_list, struct err *err);

/* Calls `fn` on the loop, at once or later, when no job is left: then served_free(). */
void served_stop(struct served_list *list, loop_fn *fn, void *arg);
void served_free(struct served_list *list); /* NULL is allowed */

/* Replace the models; manifests of those that stay are kept.  models: copied */
enum status served_set(struct served_list *list, const struct share_model *models, size_t n,
                       struct err *err);

/* The file of a model.  Lent until served_set().  NULL: it is not given. */
const char *served_path(const struct served_list *list, const uint8_t digest[MODEL_DIGEST_BYTES]);

/* The encoded manifest, where it is there and of the file as it is now.
 * ret_manifest  lent until the next call of the loop
 * Errors  ST_NOTFOUND  no such model; ST_FULL  it is being made, see ret_done and ret_total;
 *         otherwise why it could not be made */
enum status served_manifest(struct served_list *list, const uint8_t digest[MODEL_DIGEST_BYTES],
                            const struct buf **ret_manifest, uint64_t *ret_done,
                            uint64_t *ret_total, struct err *err);

/* The root of a model's manifest, if it is kept and of the file as it is now.
 * Threads  any */
bool served_root(const char *keep_dir, const uint8_t digest[MODEL_DIGEST_BYTES],
                 const char *model_path, uint8_t ret_root[PIECE_HASH_BYTES]);

#endif
