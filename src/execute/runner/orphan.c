/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/orphan.c - ending with the parent process: Linux has a call for it. */
#include "execute/runner/orphan.h"

#if defined(__linux__)

#include <signal.h>
#include <sys/prctl.h>

void orphan_dies(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

#else

void orphan_dies(void)
{
}

#endif
