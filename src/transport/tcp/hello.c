/* SPDX-License-Identifier: Apache-2.0 */
/* transport/tcp/hello.c - the first bytes of a connection.
 *
 *   0  magic "PMNA", 4 version u32, 8 rank u32, 12 ranks u32, 16 key
 * Numbers are little-endian.
 */
#include <string.h>

#include "base/secret.h"
#include "transport/tcp/tcp_priv.h"

enum { TCP_VERSION = 1 };

static const uint8_t magic[4] = { 'P', 'M', 'N', 'A' };

static void put_u32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void hello_write(const struct tcp_join *join, uint8_t *ret_bytes)
{
    memcpy(ret_bytes, magic, sizeof(magic));
    put_u32(ret_bytes + 4, TCP_VERSION);
    put_u32(ret_bytes + 8, join->rank);
    put_u32(ret_bytes + 12, join->n_ranks);
    memcpy(ret_bytes + 16, join->key, TCP_KEY_BYTES);
}

enum status hello_read(const struct tcp_join *join, const uint8_t *bytes, uint32_t *ret_rank,
                       struct err *err)
{
    const uint32_t rank = get_u32(bytes + 8);

    if (memcmp(bytes, magic, sizeof(magic)) != 0 || get_u32(bytes + 4) != TCP_VERSION)
        return err_set(err, ST_DENIED, "a rank speaks another protocol version");
    if (!secret_equal(bytes + 16, join->key, TCP_KEY_BYTES))
        return err_set(err, ST_DENIED, "a rank does not know the key of the instance");
    if (rank >= join->n_ranks || rank == join->rank || get_u32(bytes + 12) != join->n_ranks)
        return err_set(err, ST_RANGE, "there is no rank %u to join", rank);
    *ret_rank = rank;
    return ST_OK;
}
