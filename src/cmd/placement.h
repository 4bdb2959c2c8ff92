/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/placement.h - what `place` and `plan` share: where a model should run, as asked and as shown. */
#ifndef POMONA_CMD_PLACEMENT_H
#define POMONA_CMD_PLACEMENT_H

#include <jansson.h>
#include <stdint.h>

#include "base/buf.h"
#include "cmd/options.h"

struct placement {
    const char *nodes; /* "a,b"; NULL: the cluster chooses */
    const char
        *split; /* "18,12", layers of each node, or shares with a team; NULL: the cluster chooses */
    uint32_t context_tokens; /* 0: the model's */
    const char *kv;          /* "q8_0"; NULL: as the node is told */
    uint32_t activations;    /* bits; 0: the same */
    const char *transport;   /* "mpi"; NULL: tcp */
    const char *wire;        /* of a team's sums; NULL: f32 */
    const char *draft;       /* a model's name; NULL: none guesses */
    uint32_t streams;        /* to plan for; 0: one */
    uint32_t prompt_tokens;  /* 0: the planner's default */
    const char *strategy;    /* its name; NULL: the one predicted best */
    const char *overrides;   /* pins, or a file of them; NULL: none */
};

enum { PLACEMENT_CONTEXT_MAX = 1 << 20, PLACEMENT_STREAMS_MAX = 4096, PLACEMENT_PINS_MAX = 2047 };

/* clang-format off */
#define PLACEMENT_ROWS(p)                                                                           \
    { "nodes", 0, "A,B", "nodes to use, in the order of their layers (default: chosen)",            \
      OPTION_TEXT, &(p)->nodes, 0, 0 },                                                             \
    { "split", 0, "N,N", "layers of each node; with --strategy tensor its shares (default: chosen)",\
      OPTION_TEXT,                                                                                  \
      &(p)->split, 0, 0 },                                                                          \
    { "context", 'c', "N", "longest sequence, in tokens (default: the model's)", OPTION_U32,        \
      &(p)->context_tokens, 16, PLACEMENT_CONTEXT_MAX },                                            \
    { "kv", 0, "FORMAT", "how keys and values are kept: f16, q8_0 (default: the node's)",           \
      OPTION_TEXT, &(p)->kv, 0, 0 },                                                                \
    { "activations", 0, "BITS", "of numbers that meet quantised weights: 16, 8 (default: the node's)",\
      OPTION_U32, &(p)->activations, 1, 32 },                                                       \
    { "transport", 0, "NAME", "between nodes: tcp, mpi over SSH, ring of MLX for teams (default tcp)",\
      OPTION_TEXT, &(p)->transport, 0, 0 },                                                         \
    { "wire", 0, "FORMAT", "how members of a team send sums: f32, f16, q8 (default f32)",           \
      OPTION_TEXT, &(p)->wire, 0, 0 },                                                              \
    { "draft", 0, "MODEL", "a small model of the same vocabulary that guesses tokens ahead",        \
      OPTION_TEXT, &(p)->draft, 0, 0 },                                                             \
    { "streams", 's', "N", "answers at the same time to plan for (default 1)", OPTION_U32,          \
      &(p)->streams, 1, PLACEMENT_STREAMS_MAX },                                                    \
    { "prompt", 'p', "N", "tokens of a prompt to plan for (default 512)", OPTION_U32,               \
      &(p)->prompt_tokens, 1, PLACEMENT_CONTEXT_MAX },                                              \
    { "strategy", 0, "NAME", "single, pipeline, tensor, hybrid:2, ... (default: the best; see `plan`)",\
      OPTION_TEXT, &(p)->strategy, 0, 0 },                                                          \
    { "overrides", 0, "PINS", "'a=40,b=10-20,c,!d,strategy=NAME', or a file of that",               \
      OPTION_TEXT, &(p)->overrides, 0, 0 }
/* clang-format on */

/* What can be wrong before a node is asked.
 * Errors  ST_RANGE  the lists are not lists, or not equally long */
enum status placement_check(const struct placement *p, struct err *err);

/* The JSON body of POST /cluster/place; given: json_decref().
 * Errors  ST_RANGE  the lists are not lists, or not equally long; ST_NOMEM */
enum status placement_body(const struct placement *p, const char *model, json_t **ret_body,
                           struct err *err);

/* Append the query of GET /cluster/plan, with its question mark.  Errors: as placement_body() */
enum status placement_query(const struct placement *p, const char *model, struct buf *ret_query,
                            struct err *err);

/* The pins of --overrides: what was given, or what is in the file of that name; and --strategy.
 * Appended.
 * Errors  ST_RANGE  too long; as file_read() */
enum status placement_pins(const struct placement *p, struct buf *ret_pins, struct err *err);

/* Print the shards of a plan or an instance as a table. */
void placement_print_shards(const json_t *shards);

#endif
