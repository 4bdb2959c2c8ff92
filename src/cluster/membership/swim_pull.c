/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/swim_pull.c - the whole table from a peer, page by page.
 *
 * Gossip tells what changes; who comes anew, or back from the other side of a
 * cut network, asks one peer for everything.  One pull at a time.
 */
#include "cluster/membership/swim_priv.h"

static void send_next(struct swim *swim, uint64_t now_ns)
{
    swim->pull.retry_ns = now_ns + PULL_WITHIN_MS * NS_PER_MS;
    swim->pull.sequence = ++swim->sequence;
    send_pull(swim, swim->pull.sequence, now_ns);
}

void pull_start(struct swim *swim, const struct swim_address *peer, uint64_t now_ns)
{
    if (swim->pull.is_on)
        return;
    swim->pull = (struct pull){ .is_on = true, .peer = *peer };
    send_next(swim, now_ns);
}

/* swim->in is a page, its records learned already. */
void pull_page(struct swim *swim, uint64_t now_ns)
{
    const struct datagram *in = &swim->in;

    if (!swim->pull.is_on || in->sequence != swim->pull.sequence)
        return;
    if (in->is_last || in->n_records == 0) {
        swim->pull.is_on = false;
        return;
    }
    swim->pull.has_after = true;
    swim->pull.after = in->records[in->n_records - 1].member.id;
    swim->pull.n_tries = 0;
    send_next(swim, now_ns);
}

void pull_tick(struct swim *swim, uint64_t now_ns)
{
    if (!swim->pull.is_on || now_ns < swim->pull.retry_ns)
        return;
    if (++swim->pull.n_tries == PULL_TRIES)
        swim->pull.is_on = false;
    else
        send_next(swim, now_ns);
}
