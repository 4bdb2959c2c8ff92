/* SPDX-License-Identifier: Apache-2.0 */
/* transport/mpi/load.c - dlopen(3) of the module that calls MPI. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/paths.h"
#include "transport/mpi/module.h"
#include "transport/mpi/mpi.h"

/* CMake names modules so on macOS, too. */
#define MODULE_FILE "libpomona_mpi.so"

enum status mpi_load(const struct mpi_module **ret_module, struct err *err)
{
    const struct mpi_module *(*module_of)(void);
    const char *named = getenv("POMONA_MPI");
    char path[PATH_MAX_BYTES];
    void *library, *symbol;

    if (!named || !*named) {
        const enum status s = path_beside_self(MODULE_FILE, path, err);

        if (s != ST_OK)
            return s;
        named = path;
    }
    /* Open MPI's own plugins look for the library's symbols among the global ones. */
    library = dlopen(named, RTLD_NOW | RTLD_GLOBAL);
    symbol = library ? dlsym(library, MPI_MODULE_SYMBOL) : NULL;
    if (!symbol)
        return err_set(err, ST_UNSUPPORTED,
                       "the transport 'mpi' is not in this build (%.256s); install Open MPI and "
                       "build again",
                       dlerror());
    memcpy(&module_of, &symbol, sizeof(symbol)); /* as POSIX dlsym() has it */
    *ret_module = module_of();
    if ((*ret_module)->version != MPI_MODULE_VERSION)
        return err_set(err, ST_UNSUPPORTED,
                       "'%.256s' is of another build of Pomona: build both again", named);
    return ST_OK;
}
