/* SPDX-License-Identifier: Apache-2.0 */
/* select/select.h - stage 3: which nodes may hold a model.
 *
 * Filters take nodes out, scores order who is taken first when not all are
 * needed; both are tables in select.c.  All that pass are of one version, as far as ranks of an instance have
 * to understand one another (step_version).  Pure.
 */
#ifndef POMONA_SELECT_SELECT_H
#define POMONA_SELECT_SELECT_H

#include <stddef.h>

#include "base/status.h"
#include "contract/model_info.h"
#include "contract/node_set.h"

struct select_options {
    const char *const *nodes; /* [n_nodes]: exactly these, in this order; NULL: any */
    size_t n_nodes;
};

/* The nodes that pass, in ring order (or the order asked).
 * Errors  ST_NOTFOUND  a node asked for is unknown, dead, or neither holds the model nor can fetch
 *                      it, named;
 *                      or no node passes, with the reason each was left out
 *         ST_UNSUPPORTED  nodes asked for do not understand one another, two of them named */
enum status select_nodes(const struct model_info *model, const struct node_set *all,
                         const struct select_options *options, struct node_set *ret_nodes,
                         struct err *err);

#endif
