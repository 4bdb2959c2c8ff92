/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_wire.c - plans and models survive the wire; what cannot be is refused. */
#include "support/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cluster/cluster_priv.h"
#include "contract/portion.h"

static const struct plan two_shards = {
    .model = "m:8b",
    .draft = "m:1b",
    .context_tokens = 4096,
    .kv_format = KV_Q8_0,
    .activations = ACTIVATIONS_8,
    .transport = TRANSPORT_MPI,
    .kv_tokens = 1ull << 40,
    .n_shards = 2,
    .shards = { { "a", 0, 3, 0, 10, 20 }, { "b", 3, 5, 0, UINT64_MAX, 40 } },
};

static void a_plan_comes_back_as_it_was_sent(void **state)
{
    Wire__PlanShard shards[PLAN_SHARDS_MAX], *list[PLAN_SHARDS_MAX];
    struct plan back = { 0 };
    Wire__Plan wire, *unpacked;
    uint8_t bytes[512];
    struct err err;
    size_t n;

    (void)state;
    wire_of_plan(&two_shards, &wire, shards, list);
    n = wire__plan__pack(&wire, bytes);
    unpacked = wire__plan__unpack(NULL, n, bytes);
    assert_non_null(unpacked);
    assert_ok(wire_to_plan(unpacked, &back, &err), err);
    wire__plan__free_unpacked(unpacked, NULL);
    assert_memory_equal(&back, &two_shards, sizeof(back));
}

static void a_plan_of_teams_comes_back_and_a_broken_team_is_refused(void **state)
{
    static const struct plan teams = {
        .model = "m:8b",
        .context_tokens = 4096,
        .kv_tokens = 8192,
        .n_shards = 4,
        .shards = { { "a", 0, 3, 5, 10, 20 },
                    { "b", 0, 3, 3, 10, 20 },
                    { "c", 3, 5, 1, 10, 20 },
                    { "d", 3, 5, 1, 10, 20 } },
    };
    Wire__PlanShard shards[PLAN_SHARDS_MAX], *list[PLAN_SHARDS_MAX];
    struct plan back = { 0 };
    Wire__Plan wire;
    struct err err;

    (void)state;
    wire_of_plan(&teams, &wire, shards, list);
    assert_ok(wire_to_plan(&wire, &back, &err), err);
    assert_memory_equal(&back, &teams, sizeof(back));
    assert_true(plan_has_teams(&back) && plan_is_same_team(&back, 1) &&
                !plan_is_same_team(&back, 2));
    assert_float_equal(plan_fraction(&back, 0), 0.625, 1e-9);
    shards[1].share = 0; /* two that have the same layers alone */
    assert_int_equal(wire_to_plan(&wire, &back, &err), ST_FORMAT);
    shards[1].share = PORTION_SHARE_MAX + 1;
    assert_int_equal(wire_to_plan(&wire, &back, &err), ST_FORMAT);
    shards[1].share = 3;
    shards[1].n_layers = 2; /* of a team with other layers */
    assert_int_equal(wire_to_plan(&wire, &back, &err), ST_FORMAT);
}

static void a_plan_with_a_gap_or_without_shards_is_refused(void **state)
{
    Wire__PlanShard shards[PLAN_SHARDS_MAX], *list[PLAN_SHARDS_MAX];
    struct plan back = { .n_shards = 7 };
    char slashes[] = "../b", empty[] = "";
    Wire__Plan wire;
    struct err err;

    (void)state;
    assert_int_equal(wire_to_plan(NULL, &back, &err), ST_FORMAT);
    wire_of_plan(&two_shards, &wire, shards, list);
    shards[1].first_layer = 4;
    assert_int_equal(wire_to_plan(&wire, &back, &err), ST_FORMAT);
    wire_of_plan(&two_shards, &wire, shards, list);
    shards[1].n_layers = 0;
    assert_int_equal(wire_to_plan(&wire, &back, &err), ST_FORMAT);
    wire_of_plan(&two_shards, &wire, shards, list);
    wire.kv_format = N_KV_FORMATS;
    assert_int_equal(wire_to_plan(&wire, &back, &err), ST_FORMAT);
    wire_of_plan(&two_shards, &wire, shards, list);
    wire.transport = N_TRANSPORT_KINDS;
    assert_int_equal(wire_to_plan(&wire, &back, &err), ST_FORMAT);
    wire_of_plan(&two_shards, &wire, shards, list);
    wire.n_shards = 0;
    assert_int_equal(wire_to_plan(&wire, &back, &err), ST_FORMAT);
    wire.n_shards = PLAN_SHARDS_MAX + 1;
    assert_int_equal(wire_to_plan(&wire, &back, &err), ST_FORMAT);
    wire_of_plan(&two_shards, &wire, shards, list);
    shards[0].node = empty;
    assert_int_equal(wire_to_plan(&wire, &back, &err), ST_FORMAT);
    assert_false(text_is_name(slashes, NODE_NAME_MAX));
    assert_int_equal(back.n_shards, 7);
}

static void a_model_comes_back_and_its_digest_has_one_length(void **state)
{
    const struct model_info info = { .name = "m",
                                     .architecture = "llama",
                                     .digest = { 1, 2, 3 },
                                     .n_layer = 30,
                                     .file_bytes = 1ull << 42,
                                     .created_unix_s = -1,
                                     .has_root = true,
                                     .root = { 7, 8 },
                                     .origin = "hf:me/m-GGUF/m.gguf@main" };
    struct model_info back = { 0 };
    Wire__Model wire;
    struct err err;

    (void)state;
    wire_of_model(&info, &wire);
    assert_ok(wire_to_model(&wire, &back, &err), err);
    assert_memory_equal(&back, &info, sizeof(back));
    wire.root.len--; /* no root, and no place to fetch from: not a reason to refuse a model */
    wire.origin = (char *)"https://h/m.gguf?key=1";
    assert_ok(wire_to_model(&wire, &back, &err), err);
    assert_true(!back.has_root && back.origin[0] == '\0');
    wire.digest.len--;
    assert_int_equal(wire_to_model(&wire, &back, &err), ST_FORMAT);
}

static void progress_comes_back_and_nonsense_changes_nothing(void **state)
{
    const struct shard_progress fetching = { STAGE_FETCHING, true, 30, 100, 7, 20, 5 };
    struct shard_progress back = { 0 };
    Wire__ShardProgress wire;

    (void)state;
    wire_of_progress(&fetching, &wire);
    wire_to_progress(&wire, &back);
    assert_int_equal(back.stage, STAGE_FETCHING);
    assert_true(back.has_fetched && back.done_bytes == 30 && back.total_bytes == 100);
    assert_true(back.peer_bytes == 20 && back.hub_bytes == 5);
    assert_float_equal(shard_progress_seconds_left(&back), 10, 1e-9);
    wire.done_bytes = 99;
    wire.stage = N_SHARD_STAGES;
    wire_to_progress(&wire, &back);
    wire.stage = STAGE_LOADING;
    wire.bytes_per_s = NAN;
    wire_to_progress(&wire, &back);
    wire.bytes_per_s = -1;
    wire_to_progress(&wire, &back);
    assert_true(back.stage == STAGE_FETCHING && back.done_bytes == 30);
}

static void progress_never_goes_back_from_stage_to_stage(void **state)
{
    static const struct shard_progress way[] = {
        { .stage = STAGE_STARTING },
        { .stage = STAGE_FETCHING, .has_fetched = true },
        { STAGE_FETCHING, true, 50, 100, 1, 0, 0 },
        { STAGE_FETCHING, true, 100, 100, 1, 0, 0 },
        { STAGE_LOADING, true, 0, 10, 0, 0, 0 },
        { STAGE_LOADING, true, 10, 10, 0, 0, 0 },
        { .stage = STAGE_READY },
    };
    const struct shard_progress more_than_all = { STAGE_LOADING, false, 11, 10, 0, 0, 0 };
    double last = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
        const double part = shard_progress_part(&way[i]);

        assert_true(part >= last && part <= 1);
        last = part;
    }
    assert_float_equal(last, 1, 0);
    assert_float_equal(shard_progress_part(&more_than_all), 0, 0);
    assert_true(shard_progress_seconds_left(&way[0]) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_comes_back_as_it_was_sent),
        cmocka_unit_test(a_plan_of_teams_comes_back_and_a_broken_team_is_refused),
        cmocka_unit_test(a_plan_with_a_gap_or_without_shards_is_refused),
        cmocka_unit_test(a_model_comes_back_and_its_digest_has_one_length),
        cmocka_unit_test(progress_comes_back_and_nonsense_changes_nothing),
        cmocka_unit_test(progress_never_goes_back_from_stage_to_stage),
    };
    return cmocka_run_group_tests_name("cluster/wire", tests, NULL, NULL);
}
