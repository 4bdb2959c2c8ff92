/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/fuzz_datagram.c - any bytes as a sealed datagram, as a beacon whose seal held, and as a
 * TXT record of mDNS.
 *
 * The second is what a holder of the key could send.
 */
#include <stdlib.h>

#include "cluster/discovery/mdns_record.h"
#include "net/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const struct cluster_key key;
    static struct opener *opener;
    uint8_t payload[SEAL_PAYLOAD_MAX_BYTES], again[BEACON_BYTES];
    struct beacon_message message;
    struct opened opened;

    if (!opener && opener_new(&key, "fuzz", "fuzz", &opener, NULL) != ST_OK)
        abort();
    if (seal_open(opener, bytes, n, 0, payload, &opened, NULL) == ST_OK &&
        opened.n > sizeof(payload))
        abort();
    if (beacon_read(bytes, n, &message, NULL) == ST_OK &&
        beacon_write(&message, again, NULL) != ST_OK)
        abort(); /* what can be read can be written */
    if (mdns_record_read(key.bytes, "pomona-0000000000000000", bytes, n, &message, NULL) == ST_OK &&
        message.port == 0)
        abort();
    return 0;
}
