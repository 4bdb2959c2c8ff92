/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/panel_part.h - the matrices that share a file of panels, on their way into memory.
 *
 * A part is one layer, or the output matrix.  Its panels come from a file that fits
 * (panel_part_open), or are packed into a new one (panel_part_save), or into memory
 * (panel_part_pack); panel_part_warm() then has them where a step finds them.  Where
 * the matrices are pages of a file, they are let go as they are packed: at no time are
 * all weights in memory twice.
 *
 * Threads  a part is handled by one thread at a time, different parts by different threads
 */
#ifndef POMONA_ENGINE_CPU_PANEL_PART_H
#define POMONA_ENGINE_CPU_PANEL_PART_H

#include <stdatomic.h>

#include "engine/cpu/panel_file.h"
#include "engine/engine.h"

enum { PANEL_NAME_MAX = 48 };

struct panel_part {
    char name[PANEL_NAME_MAX]; /* of its file */
    uint32_t n;
    const struct matrix *matrices[PANEL_TENSORS_MAX];
    struct panels *panels[PANEL_TENSORS_MAX]; /* where to tell where the panels are */
    struct panel_plan plan;
    uint8_t key[PANEL_KEY_BYTES];
    struct panel_file file; /* where they come from a file */
    size_t memory_at;       /* in the set's memory, where they do not */
    bool is_packed;         /* by this process, now */
};

/* What the threads that load have in common. */
struct panel_load {
    const struct engine_options *options;
    bool is_file_mapped; /* shard_weights.is_file_mapped */
    uint64_t total_bytes;
    atomic_ullong done_bytes;
};

/* One of those threads.  The one that called the engine tells how far all have come. */
struct panel_hand {
    struct panel_load *load;
    bool is_caller;
};

/* Call options->on_progress. */
void panel_load_report(struct panel_load *load);

/* madvise() for the system pages of a matrix in a file's mapping, those it shares included: the
 * mapping is only read, so a neighbour who needs them gets them again. */
void panel_advise_matrix(const struct matrix *w, int advice);

/* Map the part's file of `dir`, once a slice of each tensor was compared with its sum.
 * Errors  as panel_file_open() */
enum status panel_part_open(struct panel_part *part, const char *dir, struct err *err);

/* Pack into a new file of `dir` and open it; where another process was faster, open its file.
 * Errors  as panel_writer_new(), panel_writer_put(), panel_writer_commit() */
enum status panel_part_save(const struct panel_hand *hand, struct panel_part *part, const char *dir,
                            struct err *err);

/* Pack into `memory` [plan.n_bytes], which is aligned to PANEL_ALIGN and stays. */
void panel_part_pack(const struct panel_hand *hand, struct panel_part *part, unsigned char *memory);

/* Have an open file in memory and in this process's page tables. */
void panel_part_warm(const struct panel_hand *hand, const struct panel_part *part);

#endif
