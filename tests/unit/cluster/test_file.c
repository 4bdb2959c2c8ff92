/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cluster/test_file.c - which content of a model is meant, and who gives it. */
#include "support/check.h"

#include <string.h>

#include "cluster/cluster_priv.h"

enum { N_NODES = 4, GOOD = 1, BAD = 2, UNKNOWN = 0 };

static const uint8_t digest[MODEL_DIGEST_BYTES] = { 9 };

struct fixture {
    struct cluster cluster;
    struct model_info files[N_NODES]; /* node i's */
    char shard_dir[16], path[16], *paths[1];
    struct cluster_file file;
    uint8_t root[MODEL_ROOT_BYTES];
    bool has_root;
    struct err err;
};

/* Node 0 is this one; it lacks the model, the others are alive and lack it too. */
static int set_up(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    f.cluster.n_members = N_NODES;
    f.cluster.self = &f.cluster.members[0];
    memcpy(f.shard_dir, "/shards", 8);
    memcpy(f.path, "/own.gguf", 10);
    f.paths[0] = f.path;
    f.cluster.shard_dir = f.shard_dir;
    f.cluster.paths = f.paths;
    for (size_t i = 0; i < N_NODES; i++) {
        struct cluster_member *info = &f.cluster.members[i].info;

        info->is_alive = true;
        info->share_port = (uint16_t)(100 + i);
        info->name[0] = (char)('a' + i);
        info->host[0] = (char)('0' + i);
        f.cluster.ring[i] = &f.cluster.members[i];
    }
    *state = &f;
    return 0;
}

static struct model_info *give(struct fixture *f, size_t node, uint8_t root)
{
    struct member *m = &f->cluster.members[node];
    struct model_info *file = &f->files[node];

    *file = (struct model_info){ .name = "m", .has_root = root != UNKNOWN, .root = { root } };
    memcpy(file->digest, digest, sizeof(digest));
    m->models = file;
    m->n_models = 1;
    return file;
}

static struct model_info *give_part(struct fixture *f, size_t node, uint8_t root)
{
    struct member *m = &f->cluster.members[node];

    m->parts = give(f, node, root);
    m->parts->is_part = true;
    m->n_parts = 1;
    m->models = NULL;
    m->n_models = 0;
    return m->parts;
}

static enum status root_of(struct fixture *f)
{
    f->has_root = false;
    return file_root(&f->cluster, "m", digest, &f->has_root, f->root, &f->err);
}

static enum status find(struct fixture *f)
{
    return file_find(&f->cluster, "m", digest, NULL, &f->file, &f->err);
}

static void what_most_nodes_have_is_meant(void **state)
{
    struct fixture *f = *state;

    assert_ok(root_of(f), f->err);
    assert_false(f->has_root);
    give(f, 1, UNKNOWN);
    assert_ok(root_of(f), f->err);
    assert_false(f->has_root);
    give(f, 1, BAD);
    give(f, 2, GOOD);
    give_part(f, 3, GOOD); /* it checked what it has against it */
    assert_ok(root_of(f), f->err);
    assert_true(f->has_root);
    assert_int_equal(f->root[0], GOOD);
}

static void two_that_differ_are_named_and_nothing_is_guessed(void **state)
{
    struct fixture *f = *state;

    give(f, 1, BAD);
    give(f, 2, GOOD);
    assert_int_equal(root_of(f), ST_FORMAT);
    assert_non_null(strstr(f->err.words, "nodes 'b' and 'c'"));
    assert_int_equal(find(f), ST_FORMAT);
    give_part(f, 0, GOOD); /* what this node has decides */
    assert_ok(root_of(f), f->err);
    assert_int_equal(f->root[0], GOOD);
    give(f, 3, BAD);
    assert_ok(root_of(f), f->err);
    f->cluster.members[2].info.is_alive = false;
    assert_ok(root_of(f), f->err);
    assert_int_equal(f->root[0], BAD);
}

static void each_node_begins_at_its_place_in_the_ring(void **state)
{
    struct fixture *f = *state;

    give(f, N_NODES - 1, GOOD);
    for (size_t i = 0; i + 1 < N_NODES; i++) {
        f->cluster.self = &f->cluster.members[i];
        assert_ok(find(f), f->err);
        assert_float_equal(f->file.begin, (float)i / N_NODES, 1e-6);
    }
}

static void who_has_another_file_is_not_asked(void **state)
{
    struct fixture *f = *state;

    give(f, 1, BAD);
    give(f, 2, GOOD);
    give(f, 3, GOOD);
    assert_ok(find(f), f->err);
    assert_true(f->file.is_fetched && f->file.has_root);
    assert_int_equal(f->file.root[0], GOOD);
    assert_int_equal(f->file.n_sources, 2);
    assert_true(f->file.sources[0].port == 102 && f->file.sources[1].port == 103);
    assert_false(file_is_held(&f->cluster.members[1], digest, f->file.root));
    assert_true(file_is_held(&f->cluster.members[1], digest, NULL));
}

static void a_node_s_own_file_is_used_unless_it_is_another(void **state)
{
    struct fixture *f = *state;

    give(f, 0, UNKNOWN);
    give(f, 1, GOOD);
    assert_ok(find(f), f->err);
    assert_false(f->file.is_fetched);
    assert_string_equal(f->file.path, "/own.gguf");
    give(f, 0, BAD);
    give(f, 2, GOOD);
    assert_ok(find(f), f->err);
    assert_true(f->file.is_fetched);
    assert_non_null(strstr(f->file.path, "/shards/09"));
    assert_int_equal(f->file.n_sources, 3); /* d may have a part later */
}

static void who_has_all_is_asked_before_who_has_a_part(void **state)
{
    struct fixture *f = *state;

    give_part(f, 1, GOOD);
    give(f, 3, UNKNOWN);
    assert_ok(find(f), f->err);
    assert_int_equal(f->file.n_sources, 3);
    assert_true(f->file.sources[0].port == 103 && !f->file.sources[0].is_part);
    assert_true(f->file.sources[1].port == 101 && f->file.sources[1].is_part);
    assert_true(f->file.sources[2].port == 102 && f->file.sources[2].is_part);
}

static void a_hub_helps_who_has_hashes(void **state)
{
    struct fixture *f = *state;
    struct model_info *file = give(f, 1, GOOD);

    memcpy(file->origin, "hf:me/m/m.gguf@main", 20);
    memcpy(f->cluster.hub_token, "secret", 7);
    assert_ok(find(f), f->err);
    assert_string_equal(f->file.origin, "hf:me/m/m.gguf@main");
    assert_string_equal(f->file.hub_token, "secret");
    f->cluster.members[1].info.is_alive = false;
    assert_int_equal(find(f), ST_NOTFOUND);
    file = give_part(f, 0, GOOD);
    assert_int_equal(find(f), ST_NOTFOUND);
    memcpy(file->origin, "hf:me/m/m.gguf@main", 20);
    assert_ok(find(f), f->err);
    assert_true(file_may_fetch(&f->cluster, f->cluster.self, digest));
}

static void a_model_of_which_only_parts_are_left_is_known(void **state)
{
    struct fixture *f = *state;
    struct model_info known[4];

    give_part(f, 2, GOOD);
    assert_int_equal(cluster_models(&f->cluster, known, 4), 1);
    assert_string_equal(known[0].name, "m");
    give(f, 3, GOOD);
    assert_int_equal(cluster_models(&f->cluster, known, 4), 1);
    assert_false(known[0].is_part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_most_nodes_have_is_meant, set_up),
        cmocka_unit_test_setup(two_that_differ_are_named_and_nothing_is_guessed, set_up),
        cmocka_unit_test_setup(each_node_begins_at_its_place_in_the_ring, set_up),
        cmocka_unit_test_setup(who_has_another_file_is_not_asked, set_up),
        cmocka_unit_test_setup(a_node_s_own_file_is_used_unless_it_is_another, set_up),
        cmocka_unit_test_setup(who_has_all_is_asked_before_who_has_a_part, set_up),
        cmocka_unit_test_setup(a_hub_helps_who_has_hashes, set_up),
        cmocka_unit_test_setup(a_model_of_which_only_parts_are_left_is_known, set_up),
    };
    return cmocka_run_group_tests_name("cluster/file", tests, NULL, NULL);
}
