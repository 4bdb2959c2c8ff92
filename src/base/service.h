/* SPDX-License-Identifier: Apache-2.0 */
/* base/service.h - what the system's manager of services says of one: systemd's, or launchd's.
 *
 * Source  systemctl(1), "show"; launchctl(1), "print"
 */
#ifndef POMONA_BASE_SERVICE_H
#define POMONA_BASE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

enum { SERVICE_WORDS_MAX = 128 };

struct service_state {
    bool is_known;  /* there is such a service */
    bool is_active; /* it runs, or is being told anew what to do */
    char words[SERVICE_WORDS_MAX];
};

/* name  as systemd calls it, "x.service"; launchd's has the same without its end
 * Blocks for timeout_ms at most.
 * Errors  ST_PEER  no manager answers; ST_DEADLINE; ST_NOMEM, ST_IO */
enum status service_state(const char *name, uint32_t timeout_ms, struct service_state *ret,
                          struct err *err);

/* How what they print is understood. */
void service_parse_systemctl(const char *text, struct service_state *ret);
void service_parse_launchctl(const char *text, struct service_state *ret);

#endif
