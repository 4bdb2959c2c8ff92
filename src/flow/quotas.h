/* SPDX-License-Identifier: Apache-2.0 */
/* flow/quotas.h - what was used of daily quotas, kept over a restart.
 *
 * Written when the node ends, and read when it starts: a node that is killed forgets what its day was.
 *
 * Threads  the loop's, before it runs and after
 */
#ifndef POMONA_FLOW_QUOTAS_H
#define POMONA_FLOW_QUOTAS_H

#include "gateway/guard/access.h"

/* A file that is missing or damaged says nothing; a damaged one is logged. */
void quotas_read(const char *path, struct access *access);
void quotas_write(const char *path, const struct access *access);

#endif
