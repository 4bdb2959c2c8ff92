/* SPDX-License-Identifier: Apache-2.0 */
/* net/channel.h - protobuf messages over a stream socket, on an event loop.
 *
 * Frame: length of the message (u32, little endian), then the message.  A
 * frame longer than `max_bytes` closes the channel: a length from outside
 * never sizes an allocation unchecked.  Messages queued for a peer that does
 * not read are bounded too.
 *
 *   connecting --> shaking hands (TLS only) --> open --EOF, error, overlong frame--> closed
 *        \-- deadline --/-- wrong key, no TLS ---------------------------------------^
 *
 * With TLS (net/tls.h) no message is taken, and none leaves, before both sides
 * have proved the key; connecting and shaking hands share one deadline,
 * however slowly bytes trickle in.
 *
 * Threads  the loop's
 */
#ifndef POMONA_NET_CHANNEL_H
#define POMONA_NET_CHANNEL_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/status.h"
#include "net/loop.h"
#include "net/tls.h"

struct channel;

struct channel_events {
    const ProtobufCMessageDescriptor *type; /* of every message on this channel */
    size_t max_bytes;                       /* longest frame accepted */
    size_t max_queued_bytes; /* unsent bytes at which the channel closes; 0: no bound */

    /* `message` is lent during the call; cast it to the type's struct. */
    void (*on_message)(void *arg, struct channel *channel, ProtobufCMessage *message);

    /* Once, when the channel ended for any reason but channel_free().  The
     * owner calls channel_free(), now or later. */
    void (*on_close)(void *arg, struct channel *channel, const struct err *reason);

    /* May be NULL.  Outgoing channels, and accepted ones with TLS. */
    void (*on_open)(void *arg, struct channel *channel);
};

/* Take over a connected stream socket; `fd` is taken, also on error.
 * events  borrowed, must outlive the channel */
enum status channel_new(struct loop *loop, int fd, const struct channel_events *events, void *arg,
                        struct channel **ret_channel, struct err *err);

/* The same as the server of a TLS handshake; on_open or on_close follows, at
 * the latest after `timeout_ms`.
 * tls  borrowed, must outlive the channel */
enum status channel_accept(struct loop *loop, int fd, struct tls *tls, uint64_t timeout_ms,
                           const struct channel_events *events, void *arg,
                           struct channel **ret_channel, struct err *err);

/* The same as the client of the handshake. */
enum status channel_over(struct loop *loop, int fd, struct tls *tls, uint64_t timeout_ms,
                         const struct channel_events *events, void *arg,
                         struct channel **ret_channel, struct err *err);

/* Where to connect to. */
struct channel_target {
    const char *host; /* numeric */
    uint16_t port;
    uint64_t timeout_ms;
    struct tls *tls;           /* borrowed, must outlive the channel; NULL: without TLS */
    const struct hosts *hosts; /* in the order to try them, as net/race.h does; NULL: `host` */
};

/* Connect; on_open or on_close follows, at the latest after `timeout_ms`. */
enum status channel_dial(struct loop *loop, const struct channel_target *target,
                         const struct channel_events *events, void *arg,
                         struct channel **ret_channel, struct err *err);

/* Closes at once, without on_close; unsent messages are dropped.  NULL is
 * allowed.  Allowed inside a callback of the same channel. */
void channel_free(struct channel *channel);

/* That the other machine answered that nobody listens there: known in on_close. */
bool channel_was_refused(const struct channel *channel);

/* The other end's numeric address, "" where it is none: ret_host [capacity]. */
void channel_peer_host(const struct channel *channel, char *ret_host, size_t capacity);

/* How long the other machine has given no sign, though bytes wait for one: link_silent_ms(). */
uint64_t channel_silent_ms(struct channel *channel);

/* Queue one message.  A failure shows as on_close, so senders need no check. */
void channel_send(struct channel *channel, const ProtobufCMessage *message);

/* Close with on_close (NULL reason words: "closed here") after what is queued was sent. */
void channel_finish(struct channel *channel);

/* Listen on a numeric address; `port` 0 picks one.  on_accept gets a
 * connected, non-blocking socket that it owns. */
struct listener;
typedef void listener_fn(void *arg, int fd, const char *peer_host);
enum status listener_new(struct loop *loop, const char *host, uint16_t port, listener_fn *on_accept,
                         void *arg, struct listener **ret_listener, struct err *err);
uint16_t listener_port(const struct listener *listener);
void listener_free(struct listener *listener); /* NULL is allowed */

#endif
