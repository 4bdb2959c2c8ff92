/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/check.h - cmocka with the headers it wants first. */
#ifndef POMONA_TESTS_SUPPORT_CHECK_H
#define POMONA_TESTS_SUPPORT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* after the above, as its manual asks */

/* ST_OK, or print the words that came instead. */
#define assert_ok(status, err)                                                                     \
    do {                                                                                           \
        if ((status) != ST_OK)                                                                     \
            fail_msg("%s: %s", status_words(status), (err).words);                                 \
    } while (0)

#endif
