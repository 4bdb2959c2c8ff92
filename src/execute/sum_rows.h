/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sum_rows.h - rows that are summed, as contract/sum_format.h sends them.
 *
 * Numbers that are none stay so in f32 and f16; in q8 they become some finite number: an engine whose
 * rows hold one is wrong already.  Little-endian, as machines are that this runs on.
 *
 * Pure.
 */
#ifndef POMONA_EXECUTE_SUM_ROWS_H
#define POMONA_EXECUTE_SUM_ROWS_H

#include "contract/sum_format.h"

/* rows [n] -> ret_bytes [sum_format_bytes()]. */
void sum_rows_pack(enum sum_format format, const float *rows, size_t n, void *ret_bytes);

/* bytes [sum_format_bytes()] -> ret_rows [n]. */
void sum_rows_unpack(enum sum_format format, const void *bytes, size_t n, float *ret_rows);

/* ret_rows [n] += what bytes hold, as sum_rows_unpack() gives it. */
void sum_rows_add(enum sum_format format, const void *bytes, size_t n, float *ret_rows);

#endif
