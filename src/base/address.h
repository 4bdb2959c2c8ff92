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

#include "base/hosts.h"
#include "base/status.h"

struct address {
    struct sockaddr_storage storage;
    socklen_t length;
};

/* Errors  ST_RANGE  not a numeric IPv4 or IPv6 address, named */
enum status address_parse(const char *host, uint16_t port, struct address *ret_address,
                          struct err *err);

/* Is this numeric address, or "localhost", reached from this machine alone? */
bool host_is_loopback(const char *host);

/* What to bind to be reached at every address of this machine: "::", which hears IPv4 too, or
 * "0.0.0.0" where it has no IPv6. */
const char *address_any(void);

/* A numeric address without its port; an IPv4 one that came to a socket that hears both as the
 * IPv4 address it is.  False, and "", where it is of another family. */
bool address_text(const struct sockaddr *address, socklen_t length, char *ret_host,
                  size_t capacity);
bool address_peer(int fd, char *ret_host, size_t capacity); /* of the other end of socket `fd` */

/* The port that socket `fd` is bound to; 0 where it is none. */
uint16_t address_port_of(int fd);

#endif
