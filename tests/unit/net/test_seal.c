/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/test_seal.c - a datagram is opened once, by who holds the key, and by nobody else. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "net/seal.h"

enum { NOW_MS = 1700000000, N_DAMAGES = 20000, SEED = 20240117 };

static const char purpose[] = "test", name_space[] = "home";
static const uint8_t words[] = "10.0.0.1 port 52416, node studio-1";

struct fixture {
    struct cluster_key key;
    struct sealer *sealer;
    struct opener *opener;
    uint8_t sealed[SEAL_MAX_BYTES];
    uint8_t payload[SEAL_PAYLOAD_MAX_BYTES];
    struct opened opened;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct err err;

    assert_non_null(f);
    cluster_key_make(&f->key);
    assert_ok(sealer_new(&f->key, purpose, name_space, &f->sealer, &err), err);
    assert_ok(opener_new(&f->key, purpose, name_space, &f->opener, &err), err);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    sealer_free(f->sealer);
    opener_free(f->opener);
    free(f);
    return 0;
}

static size_t seal_words(struct fixture *f)
{
    struct err err;

    assert_ok(seal(f->sealer, words, sizeof(words), NOW_MS, f->sealed, &err), err);
    return sizeof(words) + SEAL_OVERHEAD_BYTES;
}

static enum status open_at(struct fixture *f, size_t n, uint64_t now_ms)
{
    return seal_open(f->opener, f->sealed, n, now_ms, f->payload, &f->opened, NULL);
}

static void what_was_sealed_is_opened(void **state)
{
    struct fixture *f = *state;
    const size_t n = seal_words(f);

    assert_int_equal(open_at(f, n, NOW_MS), ST_OK);
    assert_int_equal(f->opened.n, sizeof(words));
    assert_memory_equal(f->payload, words, sizeof(words));
}

static void the_smallest_and_the_largest_payload_fit(void **state)
{
    struct fixture *f = *state;
    static uint8_t most[SEAL_PAYLOAD_MAX_BYTES + 1];
    struct err err;

    assert_ok(seal(f->sealer, most, 0, NOW_MS, f->sealed, &err), err);
    assert_int_equal(open_at(f, SEAL_OVERHEAD_BYTES, NOW_MS), ST_OK);
    assert_int_equal(f->opened.n, 0);
    assert_ok(seal(f->sealer, most, SEAL_PAYLOAD_MAX_BYTES, NOW_MS, f->sealed, &err), err);
    assert_int_equal(open_at(f, SEAL_MAX_BYTES, NOW_MS), ST_OK);
    assert_int_equal(f->opened.n, SEAL_PAYLOAD_MAX_BYTES);
    assert_int_equal(seal(f->sealer, most, sizeof(most), NOW_MS, f->sealed, NULL), ST_RANGE);
}

static void nothing_of_the_payload_can_be_read(void **state)
{
    struct fixture *f = *state;
    const size_t n = seal_words(f);

    for (size_t i = 0; i + 4 <= n; i++)
        for (size_t k = 0; k + 4 <= sizeof(words) - 1; k++)
            assert_memory_not_equal(f->sealed + i, words + k, 4);
}

static void one_payload_twice_looks_different(void **state)
{
    struct fixture *f = *state;
    const size_t n = seal_words(f);
    uint8_t first[SEAL_MAX_BYTES];

    memcpy(first, f->sealed, n);
    (void)seal_words(f);
    assert_memory_not_equal(first + SEAL_OVERHEAD_BYTES - 16, f->sealed + SEAL_OVERHEAD_BYTES - 16,
                            sizeof(words));
}

static void any_changed_bit_is_denied(void **state)
{
    struct fixture *f = *state;
    const size_t n = seal_words(f);

    for (size_t bit = 0; bit < 8 * n; bit++) {
        f->sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(open_at(f, n, NOW_MS), ST_DENIED);
        f->sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(open_at(f, n, NOW_MS), ST_OK); /* and none of them was remembered */
}

static void any_shortened_or_lengthened_one_is_denied(void **state)
{
    struct fixture *f = *state;
    const size_t n = seal_words(f);

    for (size_t i = 0; i < n; i++)
        assert_int_equal(open_at(f, i, NOW_MS), ST_DENIED);
    for (size_t i = n + 1; i <= SEAL_MAX_BYTES; i++)
        assert_int_equal(open_at(f, i, NOW_MS), ST_DENIED);
}

static void garbage_is_denied(void **state)
{
    struct fixture *f = *state;
    uint32_t x = SEED;

    for (size_t round = 0; round < N_DAMAGES; round++) {
        const size_t n = x % (SEAL_MAX_BYTES + 1);

        for (size_t i = round % 2 ? 4 : 0; i < 64 && i < n; i++) {
            x = x * 1664525u + 1013904223u; /* Numerical Recipes */
            f->sealed[i] = (uint8_t)(x >> 24);
        }
        if (round % 2)
            memcpy(f->sealed, "PMN1", 4);
        x = x * 1664525u + 1013904223u;
        assert_int_equal(open_at(f, n, NOW_MS), ST_DENIED);
    }
}

static void another_key_namespace_or_purpose_is_denied(void **state)
{
    struct fixture *f = *state;
    const size_t n = seal_words(f);
    struct cluster_key other = f->key;
    struct opener *openers[3];
    struct err err;

    other.bytes[31] ^= 1;
    assert_ok(opener_new(&other, purpose, name_space, &openers[0], &err), err);
    assert_ok(opener_new(&f->key, purpose, "hom", &openers[1], &err), err);
    assert_ok(opener_new(&f->key, "tes", name_space, &openers[2], &err), err);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(seal_open(openers[i], f->sealed, n, NOW_MS, f->payload, &f->opened, NULL),
                         ST_DENIED);
        opener_free(openers[i]);
    }
}

static void a_replay_is_denied(void **state)
{
    struct fixture *f = *state;
    const size_t n = seal_words(f);

    assert_int_equal(open_at(f, n, NOW_MS), ST_OK);
    assert_int_equal(open_at(f, n, NOW_MS), ST_DENIED);
    assert_int_equal(open_at(f, n, NOW_MS + 1000), ST_DENIED);
}

static void reordered_datagrams_are_taken_once_each(void **state)
{
    enum { N = SEAL_WINDOW + 1 };
    static uint8_t sealed[N][sizeof(words) + SEAL_OVERHEAD_BYTES];
    struct fixture *f = *state;

    for (size_t i = 0; i < N; i++) {
        const size_t n = seal_words(f);

        memcpy(sealed[i], f->sealed, n);
    }
    for (unsigned turn = 0; turn < 2; turn++) {
        for (size_t i = N; i-- > 0;) {
            const enum status s = seal_open(f->opener, sealed[i], sizeof(sealed[i]), NOW_MS,
                                            f->payload, &f->opened, NULL);

            /* the last, then those before it; the first lies before the window */
            assert_int_equal(s, turn == 0 && i > 0 ? ST_OK : ST_DENIED);
        }
    }
}

static void a_recording_is_refused_by_one_who_was_not_there(void **state)
{
    struct fixture *f = *state;
    const size_t n = seal_words(f);

    assert_int_equal(open_at(f, n, NOW_MS + SEAL_CLOCK_SKEW_MS + 1), ST_RANGE);
    assert_int_equal(open_at(f, n, NOW_MS - SEAL_CLOCK_SKEW_MS - 1), ST_RANGE);
    assert_int_equal(open_at(f, n, NOW_MS + SEAL_CLOCK_SKEW_MS), ST_OK);
}

static void senders_are_told_apart_and_bounded(void **state)
{
    struct fixture *f = *state;
    uint64_t last = 0;
    struct err err;

    for (size_t i = 0; i <= SEAL_BOOTS_MAX; i++) {
        struct sealer *sealer;

        assert_ok(sealer_new(&f->key, purpose, name_space, &sealer, &err), err);
        assert_ok(seal(sealer, words, sizeof(words), NOW_MS, f->sealed, &err), err);
        sealer_free(sealer);
        assert_int_equal(open_at(f, sizeof(words) + SEAL_OVERHEAD_BYTES, NOW_MS),
                         i < SEAL_BOOTS_MAX ? ST_OK : ST_FULL);
        if (i < SEAL_BOOTS_MAX) {
            assert_int_not_equal(f->opened.boot, last);
            last = f->opened.boot;
        }
    }
    /* what is too old to be replayed makes room */
    assert_ok(
        seal(f->sealer, words, sizeof(words), NOW_MS + SEAL_CLOCK_SKEW_MS + 1, f->sealed, &err),
        err);
    assert_int_equal(
        open_at(f, sizeof(words) + SEAL_OVERHEAD_BYTES, NOW_MS + SEAL_CLOCK_SKEW_MS + 1), ST_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_sealed_is_opened),
        TEST(the_smallest_and_the_largest_payload_fit),
        TEST(nothing_of_the_payload_can_be_read),
        TEST(one_payload_twice_looks_different),
        TEST(any_changed_bit_is_denied),
        TEST(any_shortened_or_lengthened_one_is_denied),
        TEST(garbage_is_denied),
        TEST(another_key_namespace_or_purpose_is_denied),
        TEST(a_replay_is_denied),
        TEST(reordered_datagrams_are_taken_once_each),
        TEST(a_recording_is_refused_by_one_who_was_not_there),
        TEST(senders_are_told_apart_and_bounded),
    };
    return cmocka_run_group_tests_name("net/seal", tests, NULL, NULL);
}
