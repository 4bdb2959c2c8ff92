/* SPDX-License-Identifier: Apache-2.0 */
/* base/hosts.c - the addresses of one machine, as text. */
#include "base/hosts.h"

#include <string.h>

void hosts_add(struct hosts *hosts, const char *text)
{
    for (size_t i = 0; i < hosts->n; i++)
        if (strcmp(hosts->text[i], text) == 0)
            return;
    if (hosts->n < HOSTS_MAX && strlen(text) < HOST_NUMERIC_MAX)
        memcpy(hosts->text[hosts->n++], text, strlen(text) + 1);
}
