/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/monitor/test_ledger.c - findings are found, told of and forgotten; settings change checks. */
#include "support/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "monitor/ledger.h"

static const uint64_t T0 = 1000 * NS_PER_S;

struct heard {
    unsigned n;
    enum finding_state from, to;
    char subject[SUBJECT_MAX], words[CHANGE_WORDS_MAX];
};

static void on_change(void *arg, const struct ledger_change *change)
{
    struct heard *h = arg;

    h->n++;
    h->from = change->from;
    h->to = change->entry->finding.state;
    snprintf(h->subject, sizeof(h->subject), "%s", change->entry->subject);
    snprintf(h->words, sizeof(h->words), "%s", change->entry->words);
}

static struct ledger *ledger_of(struct heard *h)
{
    struct ledger *l = NULL;
    struct err err;

    assert_ok(ledger_new(on_change, h, &l, &err), err);
    return l;
}

static void changes_come_with_subject_and_words(void **state)
{
    struct heard h = { 0 };
    struct ledger *l = ledger_of(&h);

    (void)state;
    ledger_observe(l, "node/a", CHECK_NODE_UP, 1, NULL, T0);
    assert_int_equal(h.n, 1);
    assert_int_equal(h.to, FINDING_OK);
    for (uint64_t i = 1; i <= 5; i++)
        ledger_observe(l, "node/a", CHECK_NODE_UP, 0, "connection refused", T0 + i * NS_PER_S);
    assert_int_equal(h.n, 2);
    assert_int_equal(h.to, FINDING_CRITICAL);
    assert_string_equal(h.subject, "node/a");
    assert_string_equal(h.words, "connection refused");
    assert_int_equal(ledger_worst(l), FINDING_CRITICAL);
    ledger_free(l);
}

static void what_is_silent_is_unknown_then_forgotten(void **state)
{
    struct heard h = { 0 };
    struct ledger *l = ledger_of(&h);
    size_t n;

    (void)state;
    for (int i = 0; i < 500; i++) {
        char subject[SUBJECT_MAX], name[16];

        snprintf(name, sizeof(name), "%d", i);
        subject_name(subject, "instance", name, NULL);
        ledger_observe(l, subject, CHECK_INSTANCE_STALLED, 0, NULL,
                       T0 + (i % 2 ? 0 : 100 * NS_PER_S));
    }
    ledger_tick(l, 60, T0 + 101 * NS_PER_S);
    assert_int_equal(h.n, 750); /* each came, every other one went */
    (void)ledger_entries(l, &n);
    assert_int_equal(n, 250);
    assert_non_null(ledger_find(l, "instance/0", CHECK_INSTANCE_STALLED));
    assert_non_null(ledger_find(l, "instance/498", CHECK_INSTANCE_STALLED));
    assert_null(ledger_find(l, "instance/1", CHECK_INSTANCE_STALLED));
    ledger_free(l);
}

static void more_findings_than_there_is_room_for_are_left_out(void **state)
{
    struct heard h = { 0 };
    struct ledger *l = ledger_of(&h);
    size_t n;

    (void)state;
    for (int i = 0; i < LEDGER_MAX + 10; i++) {
        char subject[SUBJECT_MAX];

        snprintf(subject, sizeof(subject), "node/%d", i);
        ledger_observe(l, subject, CHECK_NODE_UP, 1, NULL, T0);
    }
    (void)ledger_entries(l, &n);
    assert_int_equal(n, LEDGER_MAX);
    ledger_free(l);
}

static void a_check_that_is_off_finds_nothing(void **state)
{
    struct heard h = { 0 };
    struct ledger *l = ledger_of(&h);
    struct check checks[N_CHECKS];

    (void)state;
    checks_default(checks);
    checks[CHECK_CPU_BUSY].is_off = 1;
    ledger_use(l, checks);
    ledger_observe(l, "node/a", CHECK_CPU_BUSY, 1, NULL, T0);
    assert_int_equal(h.n, 0);
    ledger_free(l);
}

static void settings_change_a_check_and_nothing_else(void **state)
{
    double critical = 0.01, for_s = 3;
    struct health_check row = {
        .name = "disk.free", .critical = &critical, .for_s = &for_s, .action = HEALTH_ACTION_DRAIN
    };
    struct health_monitor config = {
        .checks = &row, .checks_count = 1, .every.poll = 2, .deadline.poll = 2
    };
    struct check checks[N_CHECKS], before[N_CHECKS];
    struct err err;

    (void)state;
    checks_default(before);
    assert_ok(checks_configure(checks, &config, &err), err);
    assert_true(checks[CHECK_DISK_FREE].critical == 0.01);
    assert_true(checks[CHECK_DISK_FREE].warning == before[CHECK_DISK_FREE].warning);
    assert_true(checks[CHECK_DISK_FREE].for_s == 3);
    assert_int_equal(checks[CHECK_DISK_FREE].action, HEALTH_ACTION_DRAIN);
    assert_true(checks[CHECK_NODE_UP].for_s == before[CHECK_NODE_UP].for_s);
    critical = 0.5; /* before the warning */
    assert_int_equal(checks_configure(checks, &config, &err), ST_RANGE);
    snprintf(row.name, sizeof(row.name), "disk.fre");
    assert_int_equal(checks_configure(checks, &config, &err), ST_RANGE);
    assert_non_null(strstr(err.words, "disk.fre"));
}

static void thresholds_are_in_order_and_can_be_left(void **state)
{
    struct check checks[N_CHECKS];

    (void)state;
    checks_default(checks);
    for (size_t i = 0; i < N_CHECKS; i++) {
        const struct check *c = &checks[i];
        struct finding f = { .state = FINDING_CRITICAL, .next = FINDING_CRITICAL };
        enum finding_state from;
        /* shares are 1 at most; what is counted in days, bytes or megabytes is good where it is many */
        const double best = c->sense == BAD_ABOVE ? 0 : fmax(1, 2 * c->warning);

        assert_true(c->sense == BAD_ABOVE ? c->critical >= c->warning : c->critical <= c->warning);
        for (uint64_t t = 0; t < 2; t++)
            (void)finding_observe(&f, c, best, T0 + t * 86400 * NS_PER_S, &from);
        assert_int_equal(f.state, FINDING_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_come_with_subject_and_words),
        cmocka_unit_test(what_is_silent_is_unknown_then_forgotten),
        cmocka_unit_test(more_findings_than_there_is_room_for_are_left_out),
        cmocka_unit_test(a_check_that_is_off_finds_nothing),
        cmocka_unit_test(settings_change_a_check_and_nothing_else),
        cmocka_unit_test(thresholds_are_in_order_and_can_be_left),
    };
    return cmocka_run_group_tests_name("monitor/ledger", tests, NULL, NULL);
}
