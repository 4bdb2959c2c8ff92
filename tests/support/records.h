/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/records.h - length-prefixed records on stdin and stdout.
 *
 * A record is a 32-bit length of this machine's byte order and that many
 * bytes.  What is wrong with the input ends the program with status 1: the
 * test that feeds it is at fault.
 */
#ifndef POMONA_TESTS_SUPPORT_RECORDS_H
#define POMONA_TESTS_SUPPORT_RECORDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

enum { RECORD_BYTES_MAX = 64 << 20 };

/* Replace `record` by the next one; false at the end of the input. */
static inline bool record_read(struct buf *record)
{
    uint32_t n;

    buf_clear(record);
    if (fread(&n, sizeof(n), 1, stdin) != 1)
        return false;
    if (n > RECORD_BYTES_MAX || buf_reserve(record, n) != ST_OK ||
        fread(record->data, 1, n, stdin) != n) {
        fprintf(stderr, "a record of %u bytes is too long or cut short\n", n);
        exit(EXIT_FAILURE);
    }
    record->len = n;
    record->data[n] = '\0';
    return true;
}

static inline void record_write(const void *bytes, size_t n_bytes)
{
    const uint32_t n = (uint32_t)n_bytes;

    if (fwrite(&n, sizeof(n), 1, stdout) != 1 || fwrite(bytes, 1, n, stdout) != n) {
        perror("write a record");
        exit(EXIT_FAILURE);
    }
}

#endif
