/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/state/desired.h - which models shall be placed, and how: what outlives every process.
 *
 * One record for each model: a version (epoch of the leader that decided, index
 * of its decisions), whether it is placed, and the placement as bytes that are
 * checked by who reads them.  The higher version stays, so tables can be merged
 * in any order, any number of times, and end equal: after a partition heals
 * there is one placement of each model.
 *
 *   nothing --place--> placed <--place, unplace--> unplaced --among the oldest--> nothing
 *
 * A record that says "unplaced" must outlive older ones that say "placed"; the
 * DESIRED_UNPLACED_MAX newest are kept.
 *
 * Pure: no files, no clock.  Threads: the owner's.
 */
#ifndef POMONA_CLUSTER_STATE_DESIRED_H
#define POMONA_CLUSTER_STATE_DESIRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/model_info.h"

enum {
    DESIRED_PLACED_MAX = 64, /* that a leader decides; twice as many where tables are merged */
    DESIRED_UNPLACED_MAX = 128,
    DESIRED_MAX = 2 * DESIRED_PLACED_MAX + DESIRED_UNPLACED_MAX,
    DESIRED_VALUE_MAX = 8192, /* bytes */
};

struct desired_version {
    uint64_t epoch, index;
};

struct desired_record {
    char model[MODEL_NAME_MAX];
    struct desired_version version;
    bool is_placed;
    size_t n_value;
    uint8_t *value; /* [n_value]; of a table: owned by it */
};

struct desired {                    /* zero-initialised: empty and ready */
    struct desired_record *records; /* [n], by name */
    size_t n, capacity;
    uint64_t digest; /* equal where the records are equal; 0 where there are none */
};

void desired_release(struct desired *desired);

/* < 0, 0, > 0 as a is older than, equal to, newer than b. */
int desired_version_compare(const struct desired_version *a, const struct desired_version *b);

/* Take `record` if it is newer than what is known of its model.  Of two contents with one version
 * the same one stays everywhere.
 * record       borrowed, copied
 * ret_changed  set to true if it was; never to false
 * Errors       ST_RANGE  a bound is broken; ST_FULL  more are placed than merging can bring; ST_NOMEM */
enum status desired_merge(struct desired *desired, const struct desired_record *record,
                          bool *ret_changed, struct err *err);

/* Lent until the next merge; NULL: nothing is known of it. */
const struct desired_record *desired_find(const struct desired *desired, const char *model);

size_t desired_n_placed(const struct desired *desired);

#endif
