/* SPDX-License-Identifier: Apache-2.0 */
/* engine/engine.h - what computes: the one interface schedulers and transports know.
 *
 * An engine opens a shard (some layers of a model) with a pool of KV pages,
 * and runs steps.  A step takes a ragged batch: rows of several sequences, at
 * any positions, each with its page table; it returns hidden rows for the
 * next shard, or logits where the shard is the last.
 *
 * Page ids are the caller's: the pool is [0, n_pages), the same on every rank
 * of a pipeline, and a page holds the keys and values of page_tokens
 * consecutive positions for all layers of this shard.  The engine never
 * allocates or frees a page.
 *
 * Shapes   hidden rows [n_rows][n_hidden] f32; logits [n_logit_rows][n_vocab] f32, of a
 *          portion [n_logit_rows][n_outputs]
 * Exactness  on one machine with one kernel table, the result of a row depends
 *          on its own sequence only, bit for bit: not on the other rows of the
 *          batch, on how a prompt was cut into steps, on the number of threads, or
 *          on where layers are split.  This is what makes placements and
 *          batches invisible in the output.  A team's results are such, too, and the
 *          same on all members, but for each cut into portions their own: f32 sums in another order.
 * Threads  one owner thread calls a shard; the engine has its own workers
 * Memory   nothing is allocated in engine_step() after the first step of the
 *          largest batch
 */
#ifndef POMONA_ENGINE_ENGINE_H
#define POMONA_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/activation_format.h"
#include "contract/kv_format.h"
#include "engine/weights.h"

struct engine_shard;

enum { ENGINE_KEEP_DIRS = 2, ENGINE_KEY_BYTES = 16 };

/* Where an engine may keep what it makes of the weights, so that the next open is fast.
 * Everything in these folders is the engine's: it may be deleted at any time and is made
 * again; an engine checks what it finds there. */
struct engine_keep {
    const char *dirs[ENGINE_KEEP_DIRS]; /* tried in order, made where missing; NULL: none */
    uint8_t key[ENGINE_KEY_BYTES];      /* another whenever the weights may be others */

    /* May be NULL.  Called at most once, on the calling thread, where nothing could be kept:
     * the engine goes on without. */
    void (*on_lost)(void *arg, const struct err *why);
    void *arg;
};

/* A step gets on. */
enum engine_pulse { PULSE_BEGIN, PULSE_ON, PULSE_END };

struct engine_options {
    uint32_t page_tokens;     /* power of two, 16..256 */
    uint32_t n_pages;         /* >= 1 */
    uint32_t max_rows;        /* rows of the largest batch */
    uint32_t max_logit_rows;  /* <= max_rows */
    enum kv_format kv_format; /* the same on every rank, as are */
    enum activation_format activations;
    unsigned n_threads;  /* 0: the fast cores that this process may use */
    const char *kernels; /* "ref", "avx2", ...; NULL or "": the best of this machine */

    bool is_profiled;        /* keep time of phases: engine_type.profile */
    struct engine_keep keep; /* borrowed during open */

    /* May be NULL.  Called while weights are brought into memory, on the
     * calling thread. */
    void (*on_progress)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
    void *progress_arg;

    /* Of a member of a team (weights.portion), else NULL: `rows` [n_floats] becomes the sum of all
     * members' rows, the same bits on each.  Called on the thread that steps, twice in a
     * layer, while the engine's other threads wait; an error ends the step with it, and the shard
     * can only be closed then. */
    enum status (*sum)(void *arg, float *rows, size_t n_floats, struct err *err);
    void *sum_arg;

    /* File of the team's addresses, as MLX's ring has it (MLX_HOSTFILE), one a member, borrowed during open: the
     * engine 'mlx' sums over that ring, and `sum` is not called.  NULL: none. */
    const char *ring_file;

    /* May be NULL.  Called on the thread that steps, as a step begins and ends, and many times
     * between, after less than a millisecond of work each: so that whoever watches can tell
     * a step that takes long from one that is stuck.  While a sum waits for other members the step
     * has ended for this.  Must be quick. */
    void (*on_pulse)(void *arg, enum engine_pulse what);
    void *pulse_arg;
};

/* Rows first_row..first_row+n_rows of the batch are positions
 * start..start+n_rows of one sequence. */
struct engine_span {
    uint32_t first_row, n_rows; /* n_rows >= 1; spans cover the rows in order, without gaps */
    uint32_t start;             /* position of the first row; positions 0..start are in the pages */
    const uint32_t *pages;      /* [n_pages]: page of positions i*page_tokens..; distinct sequences
                                  * may share pages they do not write */
    uint32_t n_pages;           /* covers start + n_rows positions */
};

struct engine_batch {
    uint32_t n_rows;       /* 1..max_rows */
    const int32_t *tokens; /* [n_rows]; set exactly where the shard holds the embedding */
    const float *hidden;   /* [n_rows][n_hidden]; otherwise */
    const struct engine_span *spans;
    uint32_t n_spans;
    const uint32_t *logit_rows; /* [n_logit_rows], ascending row numbers; last shard only */
    uint32_t n_logit_rows;
    const uint32_t *asks; /* [n_logit_rows]: what of each is wanted by who gathers a team's
                           * (execute/sample/best.h); NULL: all.  Engines compute all */
};

/* Where the time of steps goes. */
enum engine_phase {
    PHASE_EMBEDDING, /* rows of the embedding, angles of positions */
    PHASE_NORM,      /* norms, and activations made ready for matrices */
    PHASE_QKV,       /* with turning by position and storing keys and values */
    PHASE_ATTENTION,
    PHASE_O,
    PHASE_GATE_UP, /* with the activation function */
    PHASE_DOWN,
    PHASE_OUTPUT,
    PHASE_WAIT, /* for other workers, and for sums over a team */
    N_ENGINE_PHASES,
};

/* Sums over all steps since the shard was opened.  Phases are those of the owner's thread alone: it
 * works as the others do, and what it does not work it waits, so they add up to total_ns but
 * for what a step needs to begin and end. */
struct engine_profile {
    uint64_t n_steps, total_ns;
    uint64_t phase_ns[N_ENGINE_PHASES];
};

/* "attention"; never NULL. */
const char *engine_phase_name(enum engine_phase phase);

/* An implementation.  To add one: a folder under engine/ with a const struct
 * engine_type, and one row of engines[] in engine.c. */
struct engine_type {
    const char *name; /* "cpu" */

    /* weights  borrowed during the call; what it points to stays until close()
     * Errors   ST_UNSUPPORTED  a format or shape the engine cannot do, named; ST_NOMEM; ST_RANGE */
    enum status (*open)(const struct shard_weights *weights, const struct engine_options *options,
                        struct engine_shard **ret_shard, struct err *err);
    void (*close)(struct engine_shard *shard);

    /* hidden_out  [n_rows][n_hidden], caller's.  On the last shard the rows after the output norm,
     *             or NULL where nobody wants them
     * logits_out  [n_logit_rows][n_vocab], of a portion [n_outputs]; caller's; NULL elsewhere
     * Errors      ST_RANGE  a bound of the batch is broken; nothing was written to pages.  Of
     *             options.sum, any */
    enum status (*step)(struct engine_shard *shard, const struct engine_batch *batch,
                        float *hidden_out, float *logits_out, struct err *err);

    /* May be NULL: this engine keeps no time.  All 0 unless options.is_profiled was set. */
    void (*profile)(const struct engine_shard *shard, struct engine_profile *ret_profile);

    size_t (*page_bytes)(const struct engine_shard *shard);
    void (*page_copy)(struct engine_shard *shard, uint32_t to, uint32_t from);
    void (*page_export)(const struct engine_shard *shard, uint32_t page, void *ret_bytes);
    void (*page_import)(struct engine_shard *shard, uint32_t page, const void *bytes);

    /* Name of the kernels in use: "avx2".  Lent until close. */
    const char *(*kernels)(const struct engine_shard *shard);
};

/* Every engine object starts with its type. */
struct engine_shard {
    const struct engine_type *type;
};

/* The engine of that name, NULL where this build has none; "" or NULL: the default. */
const struct engine_type *engine_find(const char *name);

/* Bytes of one page of a shard with these weights, for planning. */
uint64_t engine_page_bytes(const struct shard_weights *weights, uint32_t page_tokens,
                           enum kv_format format);

#endif
