/* SPDX-License-Identifier: Apache-2.0 */
/* base/socket.h - a connection that notices when its link is cut. */
#ifndef POMONA_BASE_SOCKET_H
#define POMONA_BASE_SOCKET_H

#include <stdint.h>

/* Where one packet in ten is lost, each way, this is six tries to send one and as many probes: it
 * goes wrong once in twenty thousand times.  Members notice a dead machine far sooner; this is
 * for a link that carries no beats. */
enum { LINK_DEAD_S = 7 };

/* Let the system end the TCP connection `fd` where the other machine acknowledges nothing for
 * LINK_DEAD_S, neither what is sent to it nor, where nothing is, the system's own probes: the
 * cable is cut, or the machine is off.  A process that is stopped is not noticed
 * so: its system answers for it.  Does nothing to what is no TCP socket.
 * Source  RFC 9293, section 3.8.4 (keep-alives); RFC 5482 (user timeout) */
void socket_watch_link(int fd);

/* How long the other machine has given no sign though bytes that were sent to it wait for one.
 * Any acknowledgment is a sign: its system gives it, also for a process that computes, is
 * stopped, or reads nothing.  To be asked every few hundred milliseconds of a connection that
 * socket_watch_link() prepared.  Always 0 where the system does not say (other than Linux): LINK_DEAD_S holds
 * there.
 * watch  of this connection, zero at first */
struct link_watch {
    uint64_t waiting_since_ns; /* 0: nothing waited when last asked */
};
uint64_t link_silent_ms(struct link_watch *watch, int fd, uint64_t now_ns);

#endif
