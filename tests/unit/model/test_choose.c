/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_choose.c - which piece is asked of whom, and what it costs who holds all. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "model/share/choose.h"

enum { PIECE = PIECE_BYTES_MIN, N = 64 };

struct fixture {
    struct piece_map wanted, here, a, b;
    uint8_t n_asked[N], n_parts[N];
    struct choose choose;
    struct choose_source sources[4];
    size_t source;
    uint32_t piece;
    struct err err;
};

static void map_make(struct piece_map *map, uint32_t first, uint32_t n)
{
    assert_int_equal(piece_map_init(map, (uint64_t)N * PIECE, PIECE, NULL), ST_OK);
    for (uint32_t i = first; i < first + n; i++)
        piece_map_set(map, i, true);
}

static int set_up(void **state)
{
    static struct fixture f;

    f = (struct fixture){ 0 };
    map_make(&f.wanted, 0, N);
    map_make(&f.here, 0, 0);
    map_make(&f.a, 0, 8);
    map_make(&f.b, 4, 8);
    f.choose = (struct choose){
        .wanted = &f.wanted, .here = &f.here, .n_asked = f.n_asked, .n_parts = f.n_parts
    };
    f.sources[0] = (struct choose_source){ SOURCE_WHOLE, NULL, true, true, false, 0 };
    f.sources[1] = (struct choose_source){ SOURCE_PART, &f.a, true, true, false, 0 };
    f.sources[2] = (struct choose_source){ SOURCE_PART, &f.b, true, true, false, 0 };
    f.sources[3] = (struct choose_source){ SOURCE_HUB, NULL, true, true, false, 0 };
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    piece_map_release(&f->wanted);
    piece_map_release(&f->here);
    piece_map_release(&f->a);
    piece_map_release(&f->b);
    return 0;
}

static bool next(struct fixture *f, size_t n_sources)
{
    return choose_next(&f->choose, f->sources, n_sources, &f->source, &f->piece);
}

static void who_has_a_part_is_asked_before_who_has_all(void **state)
{
    struct fixture *f = *state;

    choose_count(&f->choose, f->sources, 3);
    assert_true(next(f, 3));
    assert_int_equal(f->source, 1);
    assert_int_equal(f->piece, 0); /* 4 to 7 are at both */
    f->sources[1].n_active = 1;
    assert_true(next(f, 3));
    assert_int_equal(f->source, 2); /* it has less to do */
    assert_int_equal(f->piece, 8);
}

static void who_has_all_is_asked_for_what_nobody_else_has(void **state)
{
    struct fixture *f = *state;

    choose_count(&f->choose, f->sources, 3);
    f->sources[1].is_open = f->sources[2].is_open = false; /* busy */
    assert_true(next(f, 3));
    assert_int_equal(f->source, 0);
    assert_int_equal(f->piece, 12);
    f->choose.start = 5;
    assert_true(next(f, 3));
    assert_int_equal(f->piece, 12);
    f->choose.start = 40;
    assert_true(next(f, 3));
    assert_int_equal(f->piece, 40);
}

static void of_what_everybody_has_who_has_all_gives_too(void **state)
{
    struct fixture *f = *state;

    for (uint32_t i = 12; i < N; i++)
        piece_map_set(&f->here, i, true);
    choose_count(&f->choose, f->sources, 3);
    f->sources[1].is_open = f->sources[2].is_open = false;
    assert_true(next(f, 3));
    assert_int_equal(f->source, 0);
    assert_int_equal(f->piece, 0); /* at one part, 4 to 7 are at two */
    f->sources[0].n_active = 1;
    assert_false(next(f, 3)); /* it has enough to do */
    assert_false(f->sources[0].is_dry);
}

static void a_hub_gives_only_what_no_node_has(void **state)
{
    struct fixture *f = *state;

    f->sources[0].is_open = false; /* busy, but there */
    f->sources[1].is_open = f->sources[2].is_open = false;
    choose_count(&f->choose, f->sources, 4);
    assert_false(next(f, 4));
    f->sources[0].is_usable = false;
    assert_true(next(f, 4));
    assert_int_equal(f->source, 3);
    assert_int_equal(f->piece, 12);
    for (uint32_t i = 12; i < N; i++)
        piece_map_set(&f->here, i, true);
    assert_false(next(f, 4)); /* the rest comes from the parts */
    assert_false(f->sources[3].is_open || f->sources[3].is_dry);
    f->sources[3].is_open = true;
    f->sources[1].is_usable = f->sources[2].is_usable = false;
    choose_count(&f->choose, f->sources, 4);
    assert_true(next(f, 4));
    assert_int_equal(f->source, 3);
}

static void what_is_under_way_is_asked_once_and_again_if_it_failed(void **state)
{
    struct fixture *f = *state;
    bool seen[N] = { false };

    f->choose.start = 10;
    for (uint32_t i = 0; i < N; i++) {
        assert_true(next(f, 1));
        assert_int_equal(f->piece, (10 + i) % N);
        assert_false(seen[f->piece]);
        seen[f->piece] = true;
        f->n_asked[f->piece]++;
    }
    assert_false(next(f, 1));
    f->sources[0].is_dry = false;
    f->n_asked[3]--;
    choose_again(&f->choose, 3);
    assert_true(next(f, 1));
    assert_int_equal(f->piece, 3);
}

static void of_an_unknown_part_nothing_is_asked(void **state)
{
    struct fixture *f = *state;

    f->sources[0].is_usable = f->sources[0].is_open = false;
    f->sources[1].has = f->sources[2].has = NULL;
    choose_count(&f->choose, f->sources, 3);
    assert_false(next(f, 3));
    assert_true(f->sources[1].is_dry && !f->sources[0].is_dry);
}

/* ---- several nodes at once ---- */

enum {
    NODES = 3,
    PIECES = 2000,
    PER_TURN = 6,   /* pieces that a node can send in a turn, to all together */
    NEWS_TURNS = 20 /* after so many a node hears what the others have */
};

struct node {
    struct piece_map wanted, here, told; /* told: of what the others know */
    uint8_t n_asked[PIECES], n_parts[PIECES];
    struct choose choose;
    struct choose_source sources[NODES]; /* the holder, then the others in order */
};

static struct node nodes[NODES];

static size_t other(size_t node, size_t source)
{
    return source - 1 < node ? source - 1 : source;
}

static void node_make(struct node *node, size_t self)
{
    struct piece_map *maps[] = { &node->wanted, &node->here, &node->told };

    memset(node, 0, sizeof(*node));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(piece_map_init(maps[i], (uint64_t)PIECES * PIECE, PIECE, NULL), ST_OK);
    piece_map_add(&node->wanted, 0, (uint64_t)PIECES * PIECE);
    node->choose = (struct choose){ .wanted = &node->wanted,
                                    .here = &node->here,
                                    .n_asked = node->n_asked,
                                    .n_parts = node->n_parts,
                                    .start = (uint32_t)(self * 977 % PIECES) };
    node->sources[0] = (struct choose_source){ .kind = SOURCE_WHOLE, .is_usable = true };
    for (size_t i = 1; i < NODES; i++)
        node->sources[i] = (struct choose_source){ .kind = SOURCE_PART,
                                                   .has = &nodes[other(self, i)].told,
                                                   .is_usable = true };
}

static void hear_news(void)
{
    for (size_t i = 0; i < NODES; i++)
        memcpy(nodes[i].told.bits, nodes[i].here.bits, PIECES / 8 + 1);
    for (size_t i = 0; i < NODES; i++) {
        for (size_t k = 0; k < NODES; k++)
            nodes[i].sources[k].is_dry = false;
        choose_count(&nodes[i].choose, nodes[i].sources, NODES);
    }
}

/* A turn: each node gets one piece after another while whom it asks can send more.
 * Returns what the holder sent. */
static unsigned take_turn(bool *ret_is_over)
{
    unsigned left[NODES + 1], sent = 0;
    bool goes_on = true;

    for (size_t i = 0; i <= NODES; i++)
        left[i] = PER_TURN; /* of the nodes, then of the holder */
    *ret_is_over = true;
    while (goes_on) {
        goes_on = false;
        for (size_t i = 0; i < NODES; i++) {
            size_t source;
            uint32_t piece;

            for (size_t k = 0; k < NODES; k++)
                nodes[i].sources[k].is_open = left[k == 0 ? NODES : other(i, k)] > 0;
            if (!choose_next(&nodes[i].choose, nodes[i].sources, NODES, &source, &piece))
                continue;
            left[source == 0 ? NODES : other(i, source)]--;
            sent += source == 0;
            piece_map_set(&nodes[i].here, piece, true);
            goes_on = true;
            *ret_is_over = false;
        }
    }
    return sent;
}

static void three_that_fetch_at_once_cost_the_holder_little_more_than_one(void **state)
{
    unsigned sent = 0, turns = 0;
    bool is_over = false;

    (void)state;
    for (size_t i = 0; i < NODES; i++)
        node_make(&nodes[i], i);
    while (!is_over || turns % NEWS_TURNS != 1) {
        assert_true(turns < 10 * PIECES);
        if (turns++ % NEWS_TURNS == 0)
            hear_news();
        sent += take_turn(&is_over);
    }
    for (size_t i = 0; i < NODES; i++) {
        assert_int_equal(piece_map_count(&nodes[i].here, NULL), (uint64_t)PIECES * PIECE);
        piece_map_release(&nodes[i].wanted);
        piece_map_release(&nodes[i].here);
        piece_map_release(&nodes[i].told);
    }
    assert_true(sent >= PIECES);
    assert_true(sent < PIECES * 3 / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_has_a_part_is_asked_before_who_has_all, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_has_all_is_asked_for_what_nobody_else_has, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(of_what_everybody_has_who_has_all_gives_too, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_hub_gives_only_what_no_node_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_under_way_is_asked_once_and_again_if_it_failed,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_an_unknown_part_nothing_is_asked, set_up, tear_down),
        cmocka_unit_test(three_that_fetch_at_once_cost_the_holder_little_more_than_one),
    };
    return cmocka_run_group_tests_name("model/choose", tests, NULL, NULL);
}
