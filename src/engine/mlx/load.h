/* SPDX-License-Identifier: Apache-2.0 */
/* engine/mlx/load.h - find and load the module that has the C++ of this engine. */
#ifndef POMONA_ENGINE_MLX_LOAD_H
#define POMONA_ENGINE_MLX_LOAD_H

#include "base/status.h"
#include "engine/mlx/module.h"

/* Once loaded it stays: MLX keeps threads and its own exit handlers.
 * Errors  ST_UNSUPPORTED  there is none, or one of another build; the words say what to do
 * Threads any, one at a time */
enum status mlx_load(const struct mlx_module **ret_module, struct err *err);

#endif
