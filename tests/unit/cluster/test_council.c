/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_council.c - voters, one message at a time, and what they keep. */
#include "support/check.h"
#include "support/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/election/council.h"
#include "cluster/state/desired_file.h"

enum { VOTERS = 4, BOX_MAX = 64, MUTATIONS = 5000, SEED = 20261125 };

struct voter {
    struct council *council;
    struct buf kept;
    bool is_disk_full;
    uint64_t epoch;
    uint32_t leader;
    uint64_t decided;
    enum status decided_as;
    uint32_t cut; /* mask of voters that hear nothing of it, and it of them */
};

struct message {
    uint32_t from, to;
    size_t n;
    uint8_t *bytes;
};

struct fixture {
    struct voter voters[VOTERS];
    uint32_t n_voters;
    uint64_t now_ns;
    struct message box[BOX_MAX];
    size_t n_box;
};

static struct fixture f;
static uint32_t lcg = SEED;

static uint64_t draw(void *arg)
{
    (void)arg;
    lcg = lcg * 1664525u + 1013904223u; /* Numerical Recipes LCG */
    return lcg >> 8;
}

static void take_message(void *arg, uint32_t to, const uint8_t *bytes, size_t n)
{
    struct voter *v = arg;
    struct message *m;

    if (v->cut & 1u << to)
        return;
    assert_true(f.n_box < BOX_MAX);
    m = &f.box[f.n_box++];
    *m = (struct message){ .from = (uint32_t)(v - f.voters), .to = to, .n = n };
    m->bytes = malloc(n);
    assert_non_null(m->bytes);
    memcpy(m->bytes, bytes, n);
}

static enum status keep(void *arg, const uint8_t *bytes, size_t n, struct err *err)
{
    struct voter *v = arg;

    if (v->is_disk_full)
        return err_set(err, ST_IO, "the disk is full");
    buf_clear(&v->kept);
    buf_append(&v->kept, bytes, n);
    return ST_OK;
}

static void take_leader(void *arg, uint64_t epoch, uint32_t leader)
{
    struct voter *v = arg;

    v->epoch = epoch;
    v->leader = leader;
}

static void take_change(void *arg)
{
    (void)arg;
}

static void take_decided(void *arg, uint64_t ticket, enum status status)
{
    struct voter *v = arg;

    v->decided = ticket;
    v->decided_as = status;
}

static const struct council_effects effects = { take_message, keep,         take_leader,
                                                take_change,  take_decided, draw };

static void start(uint32_t i)
{
    static const char *const names[VOTERS] = { "a", "b", "c", "d" };
    const struct council_options options = { .voters = names,
                                             .n_voters = f.n_voters,
                                             .self = names[i],
                                             .params = election_params_default() };
    struct voter *v = &f.voters[i];
    struct err err;

    council_free(v->council);
    v->leader = NO_VOTER;
    assert_ok(council_new(&options, (const uint8_t *)v->kept.data, v->kept.len, &effects, v,
                          f.now_ns, &v->council, &err),
              err);
}

static void start_all(uint32_t n_voters)
{
    f.n_voters = n_voters;
    f.now_ns = NS_PER_S;
    for (uint32_t i = 0; i < n_voters; i++)
        start(i);
}

static void deliver(void)
{
    while (f.n_box > 0) {
        const struct message m = f.box[0];
        struct voter *to = &f.voters[m.to];
        struct err err;

        memmove(f.box, f.box + 1, --f.n_box * sizeof(f.box[0]));
        if (to->council && !(to->cut & 1u << m.from))
            assert_ok(council_receive(to->council, m.bytes, m.n, f.now_ns, &err), err);
        free(m.bytes);
    }
}

static void run_for(uint64_t ms)
{
    for (uint64_t i = 0; i < ms / 10; i++) {
        f.now_ns += 10 * NS_PER_MS;
        for (uint32_t k = 0; k < f.n_voters; k++)
            if (f.voters[k].council)
                (void)council_tick(f.voters[k].council, f.now_ns);
        deliver();
    }
}

static void stop(uint32_t i)
{
    council_free(f.voters[i].council);
    f.voters[i].council = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < VOTERS; i++) {
        stop(i);
        buf_release(&f.voters[i].kept);
    }
    memset(&f, 0, sizeof(f));
    return 0;
}

/* All that run agree on it. */
static uint32_t leader(void)
{
    uint32_t found = NO_VOTER;

    for (uint32_t i = 0; i < f.n_voters; i++) {
        if (!f.voters[i].council)
            continue;
        if (found == NO_VOTER)
            found = f.voters[i].leader;
        assert_int_equal(f.voters[i].leader, found);
    }
    return found;
}

static enum status propose(uint32_t voter, const char *model, const char *value)
{
    uint64_t ticket;

    return council_propose(f.voters[voter].council, model, (const uint8_t *)value,
                           value ? strlen(value) : 0, &ticket, NULL);
}

static void assert_placed(uint32_t voter, const char *model, const char *value)
{
    const struct desired_record *r = desired_find(council_desired(f.voters[voter].council), model);

    assert_non_null(r);
    assert_int_equal(r->is_placed, value != NULL);
    if (value)
        assert_memory_equal(r->value, value, strlen(value));
}

static void any_two_quorums_share_a_voter(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 8; n++)
        for (uint64_t a = 0; a < 1u << n; a++) {
            for (uint64_t b = 0; b < 1u << n && election_is_quorum(a, n); b++)
                assert_true(!election_is_quorum(b, n) || (a & b) != 0);
            assert_true(election_is_quorum(a, n) || election_is_quorum((1u << n) - 1 - a, n));
        }
}

static void one_voter_leads_alone_and_decides(void **state)
{
    (void)state;
    start_all(1);
    run_for(100);
    assert_int_equal(leader(), 0);
    assert_int_equal(propose(0, "m", "here"), ST_OK);
    assert_int_equal(f.voters[0].decided, 0);
    run_for(10);
    assert_int_equal(f.voters[0].decided, 1);
    assert_int_equal(f.voters[0].decided_as, ST_OK);
}

static void three_voters_have_a_leader_and_want_the_same(void **state)
{
    uint32_t first;

    (void)state;
    start_all(3);
    run_for(8000);
    first = leader();
    assert_int_not_equal(first, NO_VOTER);
    assert_int_equal(propose(first, "m", "there"), ST_OK);
    assert_int_equal(propose((first + 1) % 3, "m", "elsewhere"), ST_PEER);
    run_for(1000);
    assert_int_equal(f.voters[first].decided_as, ST_OK);
    for (uint32_t i = 0; i < 3; i++)
        assert_placed(i, "m", "there");
    stop(first);
    run_for(6000);
    assert_int_not_equal(leader(), NO_VOTER);
    assert_true(f.voters[leader()].epoch > 1);
    assert_placed(leader(), "m", "there");
}

/* All are there and none has a past: nobody waits for votes that cannot have been given. */
static void a_first_start_needs_no_quarantine(void **state)
{
    const uint64_t quarantine_ms = election_params_default().quarantine_ms;

    (void)state;
    start_all(3);
    for (uint64_t ms = 0; ms < quarantine_ms / 4; ms += 50) {
        for (uint32_t i = 0; i < 3; i++)
            council_all_up(f.voters[i].council, f.now_ns);
        run_for(50);
    }
    assert_int_not_equal(leader(), NO_VOTER);
}

static void a_leader_that_is_known_to_be_lost_is_replaced_at_once(void **state)
{
    uint32_t first;

    (void)state;
    start_all(3);
    run_for(8000);
    first = leader();
    stop(first);
    for (uint32_t i = 0; i < 3; i++)
        if (i != first)
            council_peer_lost(f.voters[i].council, first, f.now_ns);
    run_for(election_params_default().election_ms / 2);
    assert_int_not_equal(leader(), NO_VOTER);
    assert_int_not_equal(leader(), first);
}

/* Two voters meet after the others elected a leader, which is then lost at once: they must not wait
 * for it to come back and tell them that they never voted. */
static void a_leader_that_dies_young_is_replaced(void **state)
{
    uint32_t first;

    (void)state;
    start_all(4);
    f.voters[2].cut = 1u << 3;
    f.voters[3].cut = 1u << 2;
    for (int i = 0; i < 8; i++) {
        council_all_up(f.voters[0].council, f.now_ns);
        council_all_up(f.voters[1].council, f.now_ns);
        run_for(50);
    }
    first = f.voters[0].leader;
    assert_true(first < 2);
    f.voters[2].cut = f.voters[3].cut = 0;
    council_peer_up(f.voters[2].council, 3);
    council_peer_up(f.voters[3].council, 2);
    run_for(50);
    stop(first);
    for (uint32_t i = 0; i < 4; i++)
        if (i != first)
            council_peer_lost(f.voters[i].council, first, f.now_ns);
    run_for(election_params_default().election_ms);
    assert_int_not_equal(leader(), NO_VOTER);
    assert_int_not_equal(leader(), first);
}

/* Votes again only after the time in which an old vote may count, as one that it may have voted for is
 * not heard. */
static void a_lost_disk_waits_where_one_is_not_heard(void **state)
{
    uint32_t who, unheard;

    (void)state;
    start_all(4);
    run_for(8000);
    who = leader() == 1 ? 2 : 1; /* with the first, which is heard, half are a quorum */
    unheard = leader() == 3 ? 2 : 3;
    assert_int_not_equal(who, unheard);
    stop(who);
    buf_clear(&f.voters[who].kept);
    start(who);
    f.voters[who].cut = 1u << unheard;
    f.voters[unheard].cut = 1u << who;
    for (uint64_t ms = 0; ms < election_params_default().quarantine_ms - 100; ms += 50) {
        run_for(50);
        assert_int_equal(council_election(f.voters[who].council)->role, ELECTION_NEWBORN);
    }
    run_for(1500);
    assert_int_equal(council_election(f.voters[who].council)->role, ELECTION_FOLLOWER);
}

/* Who heard all the others votes at once, but in no epoch that any of them knows. */
static void a_lost_disk_votes_again_where_all_are_heard(void **state)
{
    const struct election *election;
    uint32_t who;
    uint64_t epoch;

    (void)state;
    start_all(3);
    run_for(8000);
    who = (leader() + 1) % 3;
    epoch = council_election(f.voters[leader()].council)->epoch;
    stop(who);
    buf_clear(&f.voters[who].kept);
    start(who);
    run_for(election_params_default().round_ms);
    election = council_election(f.voters[who].council);
    assert_int_equal(election->role, ELECTION_FOLLOWER);
    assert_int_equal(election->epoch, epoch);
    assert_int_equal(election->vote, NO_VOTER);
}

static void a_leader_cut_off_decides_nothing_and_follows_when_it_is_back(void **state)
{
    uint32_t old, new;

    (void)state;
    start_all(3);
    run_for(8000);
    old = leader();
    f.voters[old].cut = 7;
    assert_int_equal(propose(old, "m", "lost"), ST_OK);
    run_for(6000);
    assert_int_equal(f.voters[old].decided_as, ST_PEER);
    assert_int_equal(f.voters[old].leader, NO_VOTER);
    assert_int_equal(propose(old, "n", "x"), ST_PEER);
    new = f.voters[(old + 1) % 3].leader;
    assert_int_not_equal(new, NO_VOTER);
    assert_int_equal(propose(new, "m", "won"), ST_OK);
    run_for(1000);
    assert_int_equal(f.voters[new].decided_as, ST_OK);
    f.voters[old].cut = 0;
    run_for(3000);
    assert_int_equal(leader(), new);
    for (uint32_t i = 0; i < 3; i++)
        assert_placed(i, "m", "won");
}

static void of_two_voters_the_first_goes_on_alone(void **state)
{
    (void)state;
    start_all(2);
    run_for(8000);
    assert_int_not_equal(leader(), NO_VOTER);
    stop(1);
    run_for(6000);
    assert_int_equal(leader(), 0);
    assert_int_equal(propose(0, "m", "x"), ST_OK);
    run_for(100);
    assert_int_equal(f.voters[0].decided_as, ST_OK);
    assert_int_equal(f.voters[0].decided, 1);
}

static void of_two_voters_the_second_waits(void **state)
{
    (void)state;
    start_all(2);
    run_for(8000);
    stop(0);
    run_for(10000);
    assert_int_equal(leader(), NO_VOTER);
    assert_int_equal(propose(1, "m", "x"), ST_PEER);
}

static void older_epochs_command_nothing(void **state)
{
    const struct election *e;
    uint32_t who;

    (void)state;
    start_all(3);
    run_for(8000);
    who = leader();
    e = council_election(f.voters[(who + 1) % 3].council);
    assert_int_equal(e->leader, who);
    assert_int_equal(election_check(e->epoch, e->epoch, true), COMMAND_OBEYED);
    assert_int_equal(election_check(e->epoch, e->epoch - 1, true), COMMAND_OVER);
    assert_int_equal(election_check(e->epoch, e->epoch - 1, false), COMMAND_OVER);
    assert_int_equal(election_check(e->epoch, e->epoch, false), COMMAND_OF_STRANGER);
    assert_int_equal(election_check(e->epoch, e->epoch + 1, false), COMMAND_OF_STRANGER);
}

static void a_restart_of_all_brings_the_placements_back(void **state)
{
    uint64_t epoch;
    uint32_t who;

    (void)state;
    start_all(3);
    run_for(8000);
    who = leader();
    epoch = f.voters[who].epoch;
    assert_int_equal(propose(who, "m", "x"), ST_OK);
    assert_int_equal(propose(who, "n", "y"), ST_OK);
    assert_int_equal(propose(who, "m", NULL), ST_OK);
    run_for(1000);
    for (uint32_t i = 0; i < 3; i++)
        start(i);
    run_for(4000);
    assert_true(f.voters[leader()].epoch > epoch);
    for (uint32_t i = 0; i < 3; i++) {
        assert_placed(i, "m", NULL);
        assert_placed(i, "n", "y");
    }
}

static void who_cannot_keep_its_vote_does_not_vote(void **state)
{
    (void)state;
    start_all(3);
    run_for(8000);
    for (uint32_t i = 0; i < 3; i++)
        f.voters[i].is_disk_full = true;
    stop(leader());
    run_for(6000);
    assert_int_equal(leader(), NO_VOTER);
    for (uint32_t i = 0; i < 3; i++)
        f.voters[i].is_disk_full = false;
    run_for(6000);
    assert_int_not_equal(leader(), NO_VOTER);
}

static void who_lost_its_disk_waits_for_the_others(void **state)
{
    uint32_t who;

    (void)state;
    start_all(3);
    run_for(8000);
    who = leader();
    assert_int_equal(propose(who, "m", "x"), ST_OK);
    run_for(1000);
    stop(who);
    stop((who + 1) % 3);
    buf_clear(&f.voters[(who + 1) % 3].kept);
    start((who + 1) % 3);
    run_for(8000);
    assert_int_equal(leader(), NO_VOTER); /* it may have voted; the one that knows is down */
    start(who);
    run_for(8000);
    assert_int_not_equal(leader(), NO_VOTER);
    assert_placed((who + 1) % 3, "m", "x");
}

static void a_damaged_file_is_no_file(void **state)
{
    static const char *const names[] = { "a" };
    const struct council_options options = {
        .voters = names, .n_voters = 1, .self = "a", .params = election_params_default()
    };
    struct council *council = NULL;
    struct buf *kept;

    (void)state;
    start_all(1);
    run_for(100);
    kept = &f.voters[0].kept;
    for (size_t i = 0; i < kept->len; i++) {
        kept->data[i] ^= 1;
        assert_int_equal(council_new(&options, (const uint8_t *)kept->data, kept->len, &effects,
                                     NULL, f.now_ns, &council, NULL),
                         ST_FORMAT);
        kept->data[i] ^= 1;
        if (i > 0)
            assert_int_equal(council_new(&options, (const uint8_t *)kept->data, i, &effects, NULL,
                                         f.now_ns, &council, NULL),
                             ST_FORMAT);
    }
    assert_null(council);
}

static void damaged_messages_are_refused_or_harmless(void **state)
{
    struct message good;
    size_t n_refused = 0;
    uint32_t who;

    (void)state;
    start_all(3);
    run_for(8000);
    who = leader();
    assert_int_equal(propose(who, "m", "x"), ST_OK);
    (void)council_tick(f.voters[who].council, f.now_ns);
    good = f.box[0];
    for (int i = 0; i < MUTATIONS; i++) {
        uint8_t bad[512];
        size_t n = good.n;

        assert_true(n <= sizeof(bad));
        memcpy(bad, good.bytes, n);
        for (uint64_t k = draw(NULL) % 4 + 1; k > 0; k--)
            bad[draw(NULL) % n] = (uint8_t)draw(NULL);
        n = i % 3 == 0 ? draw(NULL) % n : n;
        n_refused += council_receive(f.voters[good.to].council, bad, n, f.now_ns, NULL) != ST_OK;
        while (f.n_box > 2)
            free(f.box[--f.n_box].bytes);
    }
    assert_true(n_refused > MUTATIONS / 4);
    deliver();
}

static void tables_merge_to_the_same_in_any_order(void **state)
{
    enum { RECORDS = 24, ORDERS = 50 };
    struct desired_record records[RECORDS];
    uint8_t values[RECORDS];
    uint64_t digest = 0;
    struct err err;

    (void)state;
    for (uint32_t i = 0; i < RECORDS; i++) {
        values[i] = (uint8_t)i;
        records[i] = (struct desired_record){ .version = { 1 + i % 5, 1 + i },
                                              .is_placed = i % 3 > 0,
                                              .n_value = 1,
                                              .value = &values[i] };
        snprintf(records[i].model, sizeof(records[i].model), "m%u", i % 4);
    }
    for (int order = 0; order < ORDERS; order++) {
        struct desired table = { 0 };
        bool is_changed = false;

        for (uint32_t i = RECORDS; i > 0; i--) {
            const uint32_t k = (uint32_t)(draw(NULL) % i);
            const struct desired_record r = records[k];

            records[k] = records[i - 1];
            records[i - 1] = r;
            assert_ok(desired_merge(&table, &r, &is_changed, &err), err);
            assert_ok(desired_merge(&table, &records[RECORDS - 1], &is_changed, &err), err);
        }
        digest = order == 0 ? table.digest : digest;
        assert_true(table.digest == digest);
        assert_int_equal(table.n, 4);
        desired_release(&table);
        assert_true(table.digest == 0);
    }
}

static void the_newest_of_the_unplaced_are_remembered(void **state)
{
    struct desired table = { 0 };
    bool is_changed = false;
    struct err err;

    (void)state;
    for (uint32_t i = 1; i <= DESIRED_UNPLACED_MAX + 10; i++) {
        struct desired_record r = { .version = { 1, i } };

        snprintf(r.model, sizeof(r.model), "m%u", i);
        assert_ok(desired_merge(&table, &r, &is_changed, &err), err);
    }
    assert_int_equal(table.n, DESIRED_UNPLACED_MAX);
    assert_null(desired_find(&table, "m10"));
    assert_non_null(desired_find(&table, "m11"));
    desired_release(&table);
}

static void the_file_is_replaced_whole_and_put_aside(void **state)
{
    char path[PATH_MAX_BYTES];
    struct folder folder;
    struct buf kept = { 0 };
    struct err err;

    (void)state;
    folder_make(&folder);
    (void)folder_path(&folder, "deep/er", path);
    assert_ok(desired_file_read(path, &kept, &err), err);
    assert_int_equal(kept.len, 0);
    assert_ok(desired_file_write(path, "one", 3, &err), err);
    assert_ok(desired_file_write(path, "other", 5, &err), err);
    assert_ok(desired_file_read(path, &kept, &err), err);
    assert_string_equal(buf_text(&kept), "other");
    assert_ok(desired_file_set_aside(path, &err), err);
    buf_clear(&kept);
    assert_ok(desired_file_read(path, &kept, &err), err);
    assert_int_equal(kept.len, 0);
    buf_release(&kept);
    folder_remove(&folder);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_teardown(test, tear_down)
    const struct CMUnitTest tests[] = {
        EACH(any_two_quorums_share_a_voter),
        EACH(one_voter_leads_alone_and_decides),
        EACH(three_voters_have_a_leader_and_want_the_same),
        EACH(a_first_start_needs_no_quarantine),
        EACH(a_leader_that_dies_young_is_replaced),
        EACH(a_leader_that_is_known_to_be_lost_is_replaced_at_once),
        EACH(a_lost_disk_waits_where_one_is_not_heard),
        EACH(a_lost_disk_votes_again_where_all_are_heard),
        EACH(a_leader_cut_off_decides_nothing_and_follows_when_it_is_back),
        EACH(of_two_voters_the_first_goes_on_alone),
        EACH(of_two_voters_the_second_waits),
        EACH(older_epochs_command_nothing),
        EACH(a_restart_of_all_brings_the_placements_back),
        EACH(who_cannot_keep_its_vote_does_not_vote),
        EACH(who_lost_its_disk_waits_for_the_others),
        EACH(a_damaged_file_is_no_file),
        EACH(damaged_messages_are_refused_or_harmless),
        EACH(tables_merge_to_the_same_in_any_order),
        EACH(the_newest_of_the_unplaced_are_remembered),
        EACH(the_file_is_replaced_whole_and_put_aside),
    };
    log_set_level(LOG_ERROR); /* that there is no quorum is what some of them are about */
    return cmocka_run_group_tests_name("cluster/council", tests, NULL, NULL);
}
