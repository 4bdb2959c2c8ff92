/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/pull.h - get a model from a hub over HTTP, and add it to the store.
 *
 *   asked --which file--> fetching --all bytes, its hash--> checked as a model --> in the store
 *                          |    ^
 *                          v    | broken off: again from where it was, PULL_ATTEMPTS times
 *                        waiting/ without a new byte
 *
 * Bytes go to DATA/models/.NAME.part; what is known of them, the address, the server's tag
 * and hash, to .NAME.part.json.  A later pull of the same name and address goes on there, if
 * the server's file still has that tag.  Where the hub names a SHA-256 (huggingface.co does:
 * X-Linked-ETag), the file is held against it; a size is checked always.  Where the file came
 * from is remembered beside it (store.h), with the commit that the hub names (X-Repo-Commit).
 *
 * A server that is asked too often, or is busy, is asked again when it says (Retry-After), if
 * that is soon.
 *
 * Threads  waits for the network and the disk
 */
#ifndef POMONA_MODEL_STORE_PULL_H
#define POMONA_MODEL_STORE_PULL_H

#include <stdbool.h>

#include "model/store/store.h"

enum { PULL_ATTEMPTS = 6, PULL_WAIT_MS = 500 };

struct pull_options {
    const char *what;     /* as hub_find() reads it */
    const char *name;     /* in the store; NULL: the file's */
    const char *endpoint; /* NULL: HUB_ENDPOINT */
    const char *token;    /* NULL: none; shown to the endpoint alone */
    uint64_t wait_ms; /* before the second attempt, then twice as long each time; 0: PULL_WAIT_MS */
    void (*on_progress)(void *arg, uint64_t done, uint64_t total); /* may be NULL */
    void *arg;
};

struct pull_result {
    struct store_entry entry;
    uint64_t resumed_bytes; /* that were here before */
    bool is_hashed;         /* the server named a hash, and it is this one */
};

/* Errors  as hub_find(); ST_DENIED  the name is taken; ST_FULL  no room on the disk; ST_FORMAT  it
 *         is not what the hub says, or no model; ST_PEER  the server was lost, or has another file */
enum status store_pull(const struct store *store, const struct pull_options *options,
                       struct pull_result *ret_result, struct err *err);

#endif
