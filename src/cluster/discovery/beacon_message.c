/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/beacon_message.c - what a beacon says, inside its seal. */
#include "cluster/discovery/beacon_message.h"

#include <string.h>

enum { VERSION = 1, ID_AT = 4, ID_BYTES = 16 };

static const char digits[] = "0123456789abcdef";

enum status beacon_write(const struct beacon_message *message, uint8_t *ret_bytes, struct err *err)
{
    if (strlen(message->id) != BEACON_ID_DIGITS || strspn(message->id, digits) != BEACON_ID_DIGITS)
        return err_set(err, ST_RANGE, "a node's id is %d hexadecimal digits", BEACON_ID_DIGITS);
    ret_bytes[0] = VERSION;
    ret_bytes[1] = (uint8_t)message->what;
    ret_bytes[2] = (uint8_t)(message->port >> 8);
    ret_bytes[3] = (uint8_t)message->port;
    for (size_t i = 0; i < ID_BYTES; i++) {
        const size_t high = (size_t)(strchr(digits, message->id[2 * i]) - digits);
        const size_t low = (size_t)(strchr(digits, message->id[2 * i + 1]) - digits);

        ret_bytes[ID_AT + i] = (uint8_t)(high << 4 | low);
    }
    return ST_OK;
}

enum status beacon_read(const uint8_t *bytes, size_t n, struct beacon_message *ret_message,
                        struct err *err)
{
    struct beacon_message m = { 0 };

    if (n < BEACON_BYTES || bytes[0] == 0)
        return err_set(err, ST_FORMAT, "a beacon of %zu bytes", n);
    if (bytes[1] != BEACON_HERE && bytes[1] != BEACON_WHO)
        return err_set(err, ST_FORMAT, "a beacon that says %u", bytes[1]);
    m.what = (enum beacon_what)bytes[1];
    m.port = (uint16_t)(bytes[2] << 8 | bytes[3]);
    if (m.port == 0)
        return err_set(err, ST_FORMAT, "a beacon without a port");
    for (size_t i = 0; i < ID_BYTES; i++) {
        m.id[2 * i] = digits[bytes[ID_AT + i] >> 4];
        m.id[2 * i + 1] = digits[bytes[ID_AT + i] & 15];
    }
    *ret_message = m;
    return ST_OK;
}
