/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/state/desired_wire.h - the records of placements in messages and in the file.
 *
 * The file is 8 bytes of magic, 8 bytes XXH64 of the rest (little endian), and
 * a CouncilFile: a torn or rotten one is noticed, and is no file.  It is the
 * same whether a quorum decides or the first node alive does, so a cluster may
 * change from one to the other and keeps its placements.
 *
 * Threads  any; the tables are the callers'
 */
#ifndef POMONA_CLUSTER_STATE_DESIRED_WIRE_H
#define POMONA_CLUSTER_STATE_DESIRED_WIRE_H

#include "cluster/council.pb-c.h"
#include "cluster/state/desired.h"
#include "contract/plan.h"

/* The records as protobuf-c wants them; points into the table. */
struct desired_packing {
    Wire__Desired wire;
    Wire__DesiredRecord records[DESIRED_MAX];
    Wire__DesiredRecord *list[DESIRED_MAX];
};

void desired_to_wire(const struct desired *desired, struct desired_packing *packing);

/* Merge all records of a message (NULL: none); *ret_changed is set if any was news.
 * Errors  ST_FORMAT; as desired_merge() */
enum status desired_from_wire(struct desired *desired, const Wire__Desired *wire, bool *ret_changed,
                              struct err *err);

/* What a file holds beside the records. */
struct desired_kept {
    uint64_t epoch;
    char voted_for[NODE_NAME_MAX]; /* in that epoch; "": nobody */
    bool is_born;
};

/* ret_bytes is given; free().  Errors  ST_NOMEM */
enum status desired_pack_file(const struct desired *desired, const struct desired_kept *kept,
                              uint8_t **ret_bytes, size_t *ret_n);
/* Errors  ST_FORMAT  it is damaged; `desired` may have some of its records */
enum status desired_unpack_file(const uint8_t *bytes, size_t n, struct desired *desired,
                                struct desired_kept *ret_kept, struct err *err);

#endif
