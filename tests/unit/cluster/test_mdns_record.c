/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_mdns_record.c - what is advertised opens for its own cluster alone. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "cluster/discovery/mdns_record.h"

static const struct beacon_message here = { BEACON_HERE, 52416,
                                            "0123456789abcdef0123456789abcdef" };
static const uint8_t key[MDNS_KEY_BYTES] = "the key of the tests, 32 bytes.";

static struct mdns_record write_record(const struct beacon_message *message)
{
    struct mdns_record r;
    struct err err;

    assert_ok(mdns_record_write(key, message, &r, &err), err);
    return r;
}

static void what_is_written_is_read(void **state)
{
    const struct mdns_record r = write_record(&here);
    struct beacon_message m;
    struct err err;

    (void)state;
    assert_ok(mdns_record_read(key, r.name, r.text, r.n_text, &m, &err), err);
    assert_int_equal(m.port, here.port);
    assert_string_equal(m.id, here.id);
}

/* RFC 6763, section 6.4: items of later versions, in any order, and nameless ones. */
static void unknown_items_are_passed_over(void **state)
{
    static const uint8_t before[] = "\x00\x01=\x05later";
    const struct mdns_record r = write_record(&here);
    uint8_t text[MDNS_TEXT_MAX + sizeof(before)];
    struct beacon_message m;
    struct err err;

    (void)state;
    memcpy(text, before, sizeof(before) - 1);
    memcpy(text + sizeof(before) - 1, r.text, r.n_text);
    assert_ok(mdns_record_read(key, r.name, text, sizeof(before) - 1 + r.n_text, &m, &err), err);
    assert_string_equal(m.id, here.id);
}

static void one_node_always_says_the_same_and_two_differ(void **state)
{
    struct beacon_message other = here;
    const struct mdns_record a = write_record(&here), again = write_record(&here);
    struct mdns_record b;

    (void)state;
    other.id[31] = '0';
    b = write_record(&other);
    assert_string_equal(a.name, again.name);
    assert_memory_equal(a.text, again.text, a.n_text);
    assert_string_not_equal(a.name, b.name);
}

static void another_key_does_not_open_it(void **state)
{
    const struct mdns_record r = write_record(&here);
    uint8_t other[MDNS_KEY_BYTES];
    struct beacon_message m;

    (void)state;
    for (size_t i = 0; i < sizeof(other); i++) {
        memcpy(other, key, sizeof(other));
        other[i] ^= 1;
        assert_int_equal(mdns_record_read(other, r.name, r.text, r.n_text, &m, NULL), ST_DENIED);
    }
}

static void no_changed_bit_and_no_cut_is_taken(void **state)
{
    const struct mdns_record r = write_record(&here);
    /* the value's digits alone: changed case is the same digit, changed items are others */
    const size_t value_at = r.n_text - 72;
    struct beacon_message m;

    (void)state;
    for (size_t n = 0; n < r.n_text; n++)
        assert_int_equal(mdns_record_read(key, r.name, r.text, n, &m, NULL), ST_FORMAT);
    for (size_t at = value_at; at < r.n_text; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            struct mdns_record changed = r;

            changed.text[at] ^= (uint8_t)(1u << bit);
            if ((changed.text[at] | 0x20) != (r.text[at] | 0x20))
                assert_int_not_equal(
                    mdns_record_read(key, changed.name, changed.text, changed.n_text, &m, NULL),
                    ST_OK);
        }
}

static void a_copy_under_another_name_is_not_taken(void **state)
{
    struct mdns_record r = write_record(&here);
    char renamed[MDNS_NAME_MAX + 8];
    struct beacon_message m;
    struct err err;

    (void)state;
    snprintf(renamed, sizeof(renamed), "%s #2", r.name); /* as a daemon does after a conflict */
    assert_ok(mdns_record_read(key, renamed, r.text, r.n_text, &m, &err), err);
    r.name[MDNS_NAME_MAX - 2] ^= 1;
    assert_int_equal(mdns_record_read(key, r.name, r.text, r.n_text, &m, NULL), ST_DENIED);
    assert_int_equal(mdns_record_read(key, "", r.text, r.n_text, &m, NULL), ST_DENIED);
}

static void an_id_that_is_none_is_not_written(void **state)
{
    struct beacon_message m = here;
    struct mdns_record r;

    (void)state;
    m.id[0] = 'x';
    assert_int_equal(mdns_record_write(key, &m, &r, NULL), ST_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(unknown_items_are_passed_over),
        cmocka_unit_test(one_node_always_says_the_same_and_two_differ),
        cmocka_unit_test(another_key_does_not_open_it),
        cmocka_unit_test(no_changed_bit_and_no_cut_is_taken),
        cmocka_unit_test(a_copy_under_another_name_is_not_taken),
        cmocka_unit_test(an_id_that_is_none_is_not_written),
    };
    return cmocka_run_group_tests_name("cluster/mdns_record", tests, NULL, NULL);
}
