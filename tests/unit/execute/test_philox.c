/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_philox.c - the generator gives the numbers its authors published.
 *
 * Source  Random123 distribution, tests/kat_vectors, philox4x32 10
 */
#include "support/check.h"

#include "execute/sample/philox.h"

static void known_answers_come_out(void **state)
{
    static const struct {
        uint32_t counter[4], key[2], words[4];
    } vectors[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
          { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
          { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        uint32_t words[4];

        philox4x32(vectors[i].counter, vectors[i].key, words);
        assert_memory_equal(words, vectors[i].words, sizeof(words));
    }
}

static void uniform_numbers_lie_in_range_and_depend_on_both_arguments(void **state)
{
    double sum = 0;

    (void)state;
    for (uint64_t i = 0; i < 10000; i++) {
        const double u = philox_uniform(42, i);

        assert_true(u >= 0 && u < 1);
        sum += u;
    }
    assert_true(sum > 4900 && sum < 5100); /* mean 5000, deviation 29 */
    assert_true(philox_uniform(1, 5) < philox_uniform(2, 5) ||
                philox_uniform(1, 5) > philox_uniform(2, 5));
    assert_true(philox_uniform(1ull << 40, 5) < philox_uniform(0, 5) ||
                philox_uniform(1ull << 40, 5) > philox_uniform(0, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_answers_come_out),
        cmocka_unit_test(uniform_numbers_lie_in_range_and_depend_on_both_arguments),
    };

    return cmocka_run_group_tests_name("execute/philox", tests, NULL, NULL);
}
