/* SPDX-License-Identifier: Apache-2.0 */
/* engine/engine.c - the table of engines, the default one first. */
#include "engine/engine.h"

#include <string.h>

#include "base/size.h"
#include "engine/cpu/cpu.h"
#include "engine/mlx/mlx.h"

static const struct engine_type *const engines[] = {
    &cpu_engine,
    &mlx_engine,
};

const struct engine_type *engine_find(const char *name)
{
    if (!name || !*name)
        return engines[0];
    for (size_t i = 0; i < ARRAY_LEN(engines); i++)
        if (strcmp(engines[i]->name, name) == 0)
            return engines[i];
    return NULL;
}

const char *engine_phase_name(enum engine_phase phase)
{
    static const char *const names[N_ENGINE_PHASES] = {
        [PHASE_EMBEDDING] = "embedding", [PHASE_NORM] = "norm",     [PHASE_QKV] = "qkv",
        [PHASE_ATTENTION] = "attention", [PHASE_O] = "o",           [PHASE_GATE_UP] = "gate/up",
        [PHASE_DOWN] = "down",           [PHASE_OUTPUT] = "output", [PHASE_WAIT] = "wait",
    };

    return names[phase];
}

/* Keys and values lie in pages the same way in every engine, which is what lets pages
 * travel between machines. */
uint64_t engine_page_bytes(const struct shard_weights *weights, uint32_t page_tokens,
                           enum kv_format format)
{
    const struct model_shape *shape = &weights->shape;

    return 2 * kv_format_bytes(format, shape->head_dim) * shape->n_kv_head * weights->n_layers *
           page_tokens;
}
