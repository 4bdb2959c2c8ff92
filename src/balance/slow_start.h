/* SPDX-License-Identifier: Apache-2.0 */
/* balance/slow_start.h - a server that comes back gets a tenth of its share, and all of it half a minute later.
 *
 * Its caches are cold, and who was away has the least to do, so all requests would go to it at once.
 */
#ifndef POMONA_BALANCE_SLOW_START_H
#define POMONA_BALANCE_SLOW_START_H

#include <stdint.h>

enum { SLOW_START_MS = 30000 };

/* since_ns  when it became healthy; 0: it always was
 * 0.1..1 */
double slow_start_warmth(uint64_t since_ns, uint64_t now_ns);

#endif
