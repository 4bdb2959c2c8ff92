/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sim/test_lan.c - what is promised of a small cluster on a LAN, at many phases. */
#include "support/check.h"

#include "base/log.h"
#include "sim/sim.h"

enum { SEEDS_EACH = 12, FORM_MS = 4000, KNOWN_WITHIN_MS = 2000, PAUSE_MS = 1500 };

static void start(struct sim *sim, uint64_t seed, uint32_t n_nodes)
{
    sim_open(sim, seed, n_nodes);
    sim->is_gentle = true;
    sim->calm_ns = UINT64_MAX;
    for (uint32_t i = 0; i < n_nodes; i++) {
        sim->nodes[i].offset_ns = (uint64_t)sim_below(sim, 1000000) * NS_PER_S;
        sim->nodes[i].rate = 1;
        sim_at(sim, sim->now_ns + sim_below(sim, 500) * NS_PER_MS, EV_RESTART, i);
    }
}

static void run_for(struct sim *sim, uint64_t ms)
{
    const uint64_t end_ns = sim->now_ns + ms * NS_PER_MS;

    while (sim_step(sim, end_ns))
        ;
    if (sim->has_failed)
        fail_msg("seed %llu, %u nodes: %s", (unsigned long long)sim->seed, sim->n_nodes,
                 sim->words);
}

/* Each node sees all the others rightly. */
static void assert_agreed(struct sim *sim)
{
    sim->is_over = true;
    check_members(sim);
    if (sim->has_failed)
        fail_msg("seed %llu, %u nodes: %s", (unsigned long long)sim->seed, sim->n_nodes,
                 sim->words);
}

static void a_death_is_known_everywhere_within_two_seconds(void **state)
{
    struct sim sim;

    (void)state;
    for (uint32_t n = 2; n <= 16; n++)
        for (uint64_t seed = 1; seed <= SEEDS_EACH; seed++) {
            start(&sim, seed, n);
            run_for(&sim, FORM_MS + seed * 17);
            node_stop(&sim, (uint32_t)seed % n);
            run_for(&sim, KNOWN_WITHIN_MS);
            assert_agreed(&sim);
            sim_close(&sim);
        }
}

static void who_stands_still_for_a_second_and_a_half_stays_a_member(void **state)
{
    struct sim sim;

    (void)state;
    for (uint32_t n = 2; n <= 32; n += n < 8 ? 1 : 8)
        for (uint64_t seed = 1; seed <= SEEDS_EACH; seed++) {
            start(&sim, seed, n);
            run_for(&sim, FORM_MS);
            for (uint32_t i = 0; i < 4; i++) {
                run_for(&sim, 2500 + seed * 13);
                node_pause(&sim, (uint32_t)(seed + i) % n, PAUSE_MS * NS_PER_MS);
            }
            run_for(&sim, 8000);
            assert_agreed(&sim);
            sim_close(&sim);
        }
}

static void a_tenth_of_all_datagrams_may_be_lost(void **state)
{
    static const uint32_t sizes[] = { 2, 3, 5, 16 };
    struct sim sim;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        start(&sim, 1, sizes[i]);
        sim.weather.loss = 0.1;
        run_for(&sim, 1000 * 1000 / sizes[i]);
        assert_agreed(&sim);
        sim_close(&sim);
    }
}

static void a_seed_runs_the_same_way_again(void **state)
{
    struct chaos_sums first = { 0 }, again = { 0 };
    char words[512];

    (void)state;
    assert_true(chaos_run(1234567, 5000, false, &first, words, sizeof(words)));
    assert_true(chaos_run(1234567, 5000, false, &again, words, sizeof(words)));
    assert_memory_equal(&first, &again, sizeof(first));
    assert_true(first.n_deaths > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_death_is_known_everywhere_within_two_seconds),
        cmocka_unit_test(who_stands_still_for_a_second_and_a_half_stays_a_member),
        cmocka_unit_test(a_tenth_of_all_datagrams_may_be_lost),
        cmocka_unit_test(a_seed_runs_the_same_way_again),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests_name("sim/lan", tests, NULL, NULL);
}
