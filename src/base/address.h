/* SPDX-License-Identifier: Apache-2.0 */
/* base/address.h - numeric addresses of stream sockets.
 *
 * Names are never looked up: a resolver may block for seconds, and nobody who
 * calls this may.  "localhost" alone is understood, as 127.0.0.1.
 *
 * Threads  any
 */
#ifndef POMONA_BASE_ADDRESS_H
#define POMONA_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/status.h"

enum {
    HOSTS_MAX = 8,
    HOST_NUMERIC_MAX = 64, /* an IPv6 address, %, an interface's name, NUL */
};

/* Numeric addresses of one machine, in the order to try them. */
struct hosts {
    char text[HOSTS_MAX][HOST_NUMERIC_MAX]; /* [n], each once */
    size_t n;
};

struct address {
    struct sockaddr_storage storage;
    socklen_t length;
};

/* Errors  ST_RANGE  not a numeric IPv4 or IPv6 address, named */
enum status address_parse(const char *host, uint16_t port, struct address *ret_address,
                          struct err *err);

/* Append an address that is not among them; one too many, or too long, is left out. */
void hosts_add(struct hosts *hosts, const char *text);

/* Is this numeric address, or "localhost", reached from this machine alone? */
bool host_is_loopback(const char *host);

/* What to bind to be reached at every address of this machine: "::", which hears IPv4 too, or
 * "0.0.0.0" where it has no IPv6. */
const char *address_any(void);

/* The port that socket `fd` is bound to; 0 where it is none. */
uint16_t address_port_of(int fd);

#endif
