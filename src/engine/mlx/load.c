/* SPDX-License-Identifier: Apache-2.0 */
/* engine/mlx/load.c - dlopen(3) of the module, after what MLX reads at its start is set. */
#include "engine/mlx/load.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/paths.h"

/* CMake names modules so on macOS, too. */
#define MODULE_FILE "libpomona_mlx.so"

enum status mlx_load(const struct mlx_module **ret_module, struct err *err)
{
    const struct mlx_module *(*module_of)(void);
    const char *named = getenv("POMONA_MLX");
    const struct mlx_module *module;
    char path[PATH_MAX_BYTES];
    enum status s = ST_OK;
    void *library, *symbol;

    if (!named || !*named)
        s = path_beside_self(MODULE_FILE, path, err);
    if (s != ST_OK)
        return s;
    /* With it a GPU was seen to stop until the machine started anew: mlx issues 3142 and 3830. */
    unsetenv("MLX_METAL_FAST_SYNCH");
    library = dlopen(named && *named ? named : path, RTLD_NOW | RTLD_LOCAL);
    symbol = library ? dlsym(library, MLX_MODULE_SYMBOL) : NULL;
    if (!symbol)
        return err_set(
            err, ST_UNSUPPORTED,
            "the engine 'mlx' is not in this build (%.256s); install MLX 0.32.1 or later "
            "and build again",
            dlerror());
    memcpy(&module_of, &symbol, sizeof(symbol)); /* as POSIX dlsym() has it */
    module = module_of();
    if (module->version != MLX_MODULE_VERSION)
        return err_set(err, ST_UNSUPPORTED,
                       "'%.256s' is of another build of Pomona: build both again",
                       named && *named ? named : path);
    *ret_module = module;
    return ST_OK;
}
