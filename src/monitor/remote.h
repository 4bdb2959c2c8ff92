/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/remote.h - what a node says of itself and its cluster, read from its API.
 *
 * GET /readyz, /cluster/state and /metrics.  A node may be of another version, or no node at all: what is missing
 * is left out, what has the wrong type is malformed, counts are bounded, and control characters in names
 * become "?".
 *
 * Threads  any
 */
#ifndef POMONA_MONITOR_REMOTE_H
#define POMONA_MONITOR_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    REMOTE_NAME_MAX = 128, /* bytes, NUL included; longer ones are cut */
    REMOTE_LIST_MAX = 4096,
    REMOTE_BODY_MAX_BYTES = 8 << 20,
};

struct remote_ready {
    char status[32], node[REMOTE_NAME_MAX], version[64];
    uint64_t unix_ms; /* its clock; 0: not told */
};

/* Errors  ST_FORMAT */
enum status remote_ready_read(const char *bytes, size_t n, struct remote_ready *ret,
                              struct err *err);

struct remote_member {
    char name[REMOTE_NAME_MAX], version[64];
    bool is_alive, is_connected, has_datagrams, is_local, is_draining;
    bool tells_by;                    /* an older one does not say who drained it */
    char drained_by[REMOTE_NAME_MAX]; /* "": a person */
    double rtt_ms;                    /* 0: not known */
    uint64_t n_pings, n_pongs;        /* since whoever tells of it began */
};

struct remote_instance {
    char id[64], model[REMOTE_NAME_MAX];
    bool is_ready;
    uint64_t n_active, n_waiting, n_generated;
    uint64_t signature; /* of which layers are on which node: the same gives the same answers */
};

struct remote_link {
    char from[REMOTE_NAME_MAX], to[REMOTE_NAME_MAX], host[64];
    bool answers;
    double bytes_per_s; /* 0: not known */
};

struct remote_wanted {
    char model[REMOTE_NAME_MAX];
    uint64_t n_copies;
};

struct remote_state {
    char cluster[REMOTE_NAME_MAX], node[REMOTE_NAME_MAX], version[64];
    struct remote_member *members; /* [n_members], and so on */
    struct remote_instance *instances;
    struct remote_link *links;
    struct remote_wanted *wanted;
    size_t n_members, n_instances, n_links, n_wanted;
};

/* ret_state  given: remote_state_release(); untouched on error
 * Errors     ST_FORMAT, ST_NOMEM */
enum status remote_state_read(const char *bytes, size_t n, struct remote_state *ret_state,
                              struct err *err);
void remote_state_release(struct remote_state *state); /* all zeros: nothing is to be done */

/* One line of an exposition. */
struct remote_sample {
    char name[REMOTE_NAME_MAX];
    char label[64], label_value[REMOTE_NAME_MAX]; /* of the first label; "": there is none */
    double value;
};

/* The next sample at *at, which goes on; comments and lines that are none are passed over.
 * Returns  false: there is none
 * Source   Prometheus text exposition format 0.0.4 */
bool remote_sample_next(const char **at, struct remote_sample *ret);

#endif
