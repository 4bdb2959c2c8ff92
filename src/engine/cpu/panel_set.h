/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/panel_set.h - all matrices of a shard as panels.
 *
 * Panels are taken from the files that options->keep names, where they fit; what is
 * missing is packed and kept there for the next time.  Where nothing can be kept, the
 * panels of this process are in memory only.
 *
 * A portion has files of its own beside those of the whole, called by its member: another cut
 * writes over them, so there are never more of them than members.
 *
 * The embedding is not among them: single rows of it are read, from where it lies.
 *
 * Threads  init by the owner of the crew, whose workers pack
 */
#ifndef POMONA_ENGINE_CPU_PANEL_SET_H
#define POMONA_ENGINE_CPU_PANEL_SET_H

#include "engine/cpu/crew.h"
#include "engine/cpu/panel.h"
#include "engine/engine.h"

struct layer_panels {
    struct panels q, k, v, o, gate, up, down;
};

struct panel_part;

struct panel_set {
    struct layer_panels *layers; /* [n_layers] */
    struct panels output;        /* data is NULL where the shard has none */
    struct panel_part *parts;    /* [n_parts]: the files all of them point into */
    uint32_t n_parts;
    unsigned char *memory; /* or this; NULL where files hold everything */
    size_t n_memory_bytes;
};

/* Have the matrices of `weights`, which is borrowed, as panels; reports to
 * options->on_progress, and to options->keep.on_lost where files could not be had.
 * ret_set  release with panel_set_release()
 * Errors   ST_NOMEM */
enum status panel_set_init(struct panel_set *ret_set, const struct shard_weights *weights,
                           const struct engine_options *options, struct crew *crew,
                           struct err *err);
void panel_set_release(struct panel_set *set); /* one of zeros is allowed */

#endif
