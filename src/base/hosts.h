/* SPDX-License-Identifier: Apache-2.0 */
/* base/hosts.h - the addresses of one machine, as text. */
#ifndef POMONA_BASE_HOSTS_H
#define POMONA_BASE_HOSTS_H

#include <stddef.h>

enum {
    HOSTS_MAX = 8,
    HOST_NUMERIC_MAX = 64, /* an IPv6 address, %, an interface's name, NUL */
};

/* Numeric addresses of one machine, in the order to try them. */
struct hosts {
    char text[HOSTS_MAX][HOST_NUMERIC_MAX]; /* [n], each once */
    size_t n;
};

/* Append an address that is not among them; one too many, or too long, is left out. */
void hosts_add(struct hosts *hosts, const char *text);

#endif
