/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_beacon_message.c - a beacon is read as it was written, or not at all. */
#include "support/check.h"

#include <string.h>

#include "cluster/discovery/beacon_message.h"

static const struct beacon_message here = { BEACON_HERE, 52416,
                                            "0123456789abcdef0123456789abcdef" };

static void what_is_written_is_read(void **state)
{
    uint8_t bytes[BEACON_BYTES + 3] = { 0 };
    struct beacon_message m;
    struct err err;

    (void)state;
    assert_ok(beacon_write(&here, bytes, &err), err);
    assert_ok(beacon_read(bytes, sizeof(bytes), &m, &err), err); /* a later one, longer */
    assert_int_equal(m.what, BEACON_HERE);
    assert_int_equal(m.port, 52416);
    assert_string_equal(m.id, here.id);
}

static void what_is_short_or_senseless_is_refused(void **state)
{
    uint8_t bytes[BEACON_BYTES];
    struct beacon_message m = here;
    struct err err;

    (void)state;
    assert_ok(beacon_write(&here, bytes, &err), err);
    for (size_t n = 0; n < sizeof(bytes); n++)
        assert_int_equal(beacon_read(bytes, n, &m, NULL), ST_FORMAT);
    bytes[1] = 9;
    assert_int_equal(beacon_read(bytes, sizeof(bytes), &m, NULL), ST_FORMAT);
    m.port = 0;
    assert_ok(beacon_write(&m, bytes, &err), err);
    assert_int_equal(beacon_read(bytes, sizeof(bytes), &m, NULL), ST_FORMAT);
    m.id[31] = 'x';
    assert_int_equal(beacon_write(&m, bytes, NULL), ST_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_is_short_or_senseless_is_refused),
    };
    return cmocka_run_group_tests_name("cluster/beacon_message", tests, NULL, NULL);
}
