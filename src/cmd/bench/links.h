/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/links.h - how fast two ranks of an instance reach one another, and add their rows. */
#ifndef POMONA_CMD_BENCH_LINKS_H
#define POMONA_CMD_BENCH_LINKS_H

#include <stdbool.h>

#include "base/status.h"

struct links_options {
    const char *listen;   /* an address of this machine: wait there for the other; NULL: do not */
    const char *peer;     /* HOST:PORT where the other listens; NULL: none */
    const char *key_path; /* of the cluster's key, for TLS with the other; NULL: in clear */
    bool is_json;
};

/* Without listen and peer: two threads of this process, over each transport there is.  Who listens
 * prints where, and nothing else. */
enum status bench_links(const struct links_options *options, struct err *err);

#endif
