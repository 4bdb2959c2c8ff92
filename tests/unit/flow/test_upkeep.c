/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/flow/test_upkeep.c - what is to be done about what is placed and what shall be. */
#include "support/check.h"

#include <stdio.h>
#include <string.h>

#include "flow/upkeep.h"

static struct cluster_wanted wants(const char *model, size_t n_copies)
{
    struct cluster_wanted w = { .n_copies = n_copies };

    snprintf(w.model, sizeof(w.model), "%s", model);
    return w;
}

static struct cluster_instance is(const char *id, const char *model, enum instance_state state,
                                  uint32_t n_active)
{
    struct cluster_instance in = { .state = state };

    snprintf(in.view.id, sizeof(in.view.id), "%s", id);
    snprintf(in.view.model, sizeof(in.view.model), "%s", model);
    in.view.n_active = n_active;
    return in;
}

static void nothing_is_done_where_all_is_as_it_shall_be(void **state)
{
    const struct cluster_wanted wanted[] = { wants("m", 1), wants("n", 2), wants("gone", 0) };
    static struct cluster_instance all[3];

    (void)state;
    all[0] = is("1", "m", INSTANCE_PLACING, 0);
    all[1] = is("2", "n", INSTANCE_READY, 0);
    all[2] = is("3", "n", INSTANCE_PLACING, 0);
    assert_int_equal(upkeep_next(wanted, 3, all, 3, "", NULL, NULL).what, UPKEEP_NOTHING);
}

static void a_missing_copy_is_placed(void **state)
{
    const struct cluster_wanted wanted[] = { wants("m", 1), wants("n", 2) };
    static struct cluster_instance all[2];
    struct upkeep_step step;

    (void)state;
    all[0] = is("1", "m", INSTANCE_READY, 0);
    all[1] = is("2", "n", INSTANCE_READY, 0);
    step = upkeep_next(wanted, 2, all, 2, "", NULL, NULL);
    assert_int_equal(step.what, UPKEEP_PLACE);
    assert_string_equal(step.wanted->model, "n");
    assert_int_equal(step.copy, 1);
}

static void what_a_draining_node_moves_is_neither_missing_nor_too_many(void **state)
{
    const struct cluster_wanted wanted[] = { wants("m", 1) };
    static struct cluster_instance all[2];

    (void)state;
    all[0] = is("1", "m", INSTANCE_READY, 0);
    all[0].is_leaving = true;
    assert_int_equal(upkeep_next(wanted, 1, all, 1, "", NULL, NULL).what, UPKEEP_NOTHING);
    all[1] = is("2", "m", INSTANCE_READY, 0);
    assert_int_equal(upkeep_next(wanted, 1, all, 2, "", NULL, NULL).what, UPKEEP_NOTHING);
}

static bool not_m(void *arg, const char *model)
{
    (void)arg;
    return strcmp(model, "m") != 0;
}

static void a_model_that_waits_does_not_hold_up_others(void **state)
{
    const struct cluster_wanted wanted[] = { wants("m", 1), wants("n", 1) };
    const struct upkeep_step step = upkeep_next(wanted, 2, NULL, 0, "", not_m, NULL);

    (void)state;
    assert_int_equal(step.what, UPKEEP_PLACE);
    assert_string_equal(step.wanted->model, "n");
}

static void of_a_surplus_the_idlest_is_left_and_stays_chosen(void **state)
{
    const struct cluster_wanted wanted[] = { wants("m", 1) };
    static struct cluster_instance all[3];
    struct upkeep_step step;

    (void)state;
    all[0] = is("1", "m", INSTANCE_READY, 3);
    all[1] = is("2", "m", INSTANCE_READY, 1);
    all[2] = is("3", "m", INSTANCE_PLACING, 0);
    step = upkeep_next(wanted, 1, all, 3, "", NULL, NULL);
    assert_int_equal(step.what, UPKEEP_LEAVE);
    assert_string_equal(step.instance->view.id, "2");
    all[1].view.n_active = 9;
    assert_string_equal(upkeep_next(wanted, 1, all, 3, "2", NULL, NULL).instance->view.id, "2");
    assert_string_equal(upkeep_next(wanted, 1, all, 3, "", NULL, NULL).instance->view.id, "1");
    all[1].view.n_active = 3;
    assert_string_equal(upkeep_next(wanted, 1, all, 3, "", NULL, NULL).instance->view.id, "2");
}

static void what_was_unplaced_is_left(void **state)
{
    const struct cluster_wanted wanted[] = { wants("m", 0) };
    static struct cluster_instance all[1];
    struct upkeep_step step;

    (void)state;
    all[0] = is("1", "m", INSTANCE_READY, 3);
    step = upkeep_next(wanted, 1, all, 1, "", NULL, NULL);
    assert_int_equal(step.what, UPKEEP_LEAVE);
    assert_null(step.wanted);
}

static void what_nobody_decided_about_is_kept(void **state)
{
    static struct cluster_instance all[1];
    struct upkeep_step step;

    (void)state;
    all[0] = is("1", "m", INSTANCE_READY, 0);
    step = upkeep_next(NULL, 0, all, 1, "", NULL, NULL);
    assert_int_equal(step.what, UPKEEP_KEEP);
    assert_ptr_equal(step.instance, &all[0]);
}

static void only_an_instance_of_the_same_format_can_go_on(void **state)
{
    static struct cluster_instance all[2];

    (void)state;
    all[0] = is("1", "m", INSTANCE_READY, 1);
    all[1] = is("2", "m", INSTANCE_READY, 0);
    assert_true(upkeep_has_another(&all[0], all, 2));
    all[1].plan.kv_format = KV_Q8_0;
    assert_false(upkeep_has_another(&all[0], all, 2));
    all[1].plan.kv_format = all[0].plan.kv_format;
    all[1].state = INSTANCE_PLACING;
    assert_false(upkeep_has_another(&all[0], all, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_done_where_all_is_as_it_shall_be),
        cmocka_unit_test(a_missing_copy_is_placed),
        cmocka_unit_test(what_a_draining_node_moves_is_neither_missing_nor_too_many),
        cmocka_unit_test(a_model_that_waits_does_not_hold_up_others),
        cmocka_unit_test(of_a_surplus_the_idlest_is_left_and_stays_chosen),
        cmocka_unit_test(what_was_unplaced_is_left),
        cmocka_unit_test(what_nobody_decided_about_is_kept),
        cmocka_unit_test(only_an_instance_of_the_same_format_can_go_on),
    };

    return cmocka_run_group_tests_name("flow/upkeep", tests, NULL, NULL);
}
