/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/model/test_fetch.c - a shard comes from peers, good, bad and gone, over loopback. */
#include "support/check.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hex.h"
#include "model/model.h"
#include "model/share/fetch.h"
#include "model/share/parts.h"
#include "model/share/server.h"
#include "net/cluster_key.h"
#include "support/folder.h"
#include "support/tiny_llama.h"

enum { PIECE = 4096, N_SERVERS = 3 };

struct fixture {
    struct folder folder;
    char path[PATH_MAX_BYTES]; /* of what is fetched */
    char files[N_SERVERS][PATH_MAX_BYTES];
    struct share *servers[N_SERVERS];
    struct swarm_source sources[N_SERVERS];
    struct fetch_options options;
    struct fetch_result result;
    struct buf file;
    const char *parts_dir; /* of servers; NULL: none */
    uint8_t root[PIECE_HASH_BYTES];
    char url[256];
    unsigned n_progress;
    uint64_t stop_at_bytes; /* of progress; then the servers go away */
    struct err err;
};

static int set_up(void **state)
{
    static struct fixture f;

    f = (struct fixture){ 0 };
    folder_make(&f.folder);
    tiny_llama_build(&tiny_llama_default, &f.file);
    folder_path(&f.folder, "shards/m.gguf", f.path);
    f.options.path = f.path;
    f.options.n_layers = 2;
    f.options.from.sources = f.sources;
    f.options.from.stall_ms = 3000;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < N_SERVERS; i++)
        share_free(f->servers[i]);
    buf_release(&f->file);
    folder_remove(&f->folder);
    return 0;
}

/* Write a model of these weights and serve it. */
static void serve(struct fixture *f, uint32_t seed, const uint8_t *key)
{
    const size_t i = f->options.from.n_sources++;
    const struct share_options options = {
        .host = "127.0.0.1", .key = key, .piece_bytes = PIECE, .parts_dir = f->parts_dir
    };
    struct tiny_llama spec = tiny_llama_default;
    struct share_model model = { .path = f->files[i] };
    struct model *open;
    char name[32];

    spec.seed = seed;
    snprintf(name, sizeof(name), "m%zu.gguf", i);
    tiny_llama_write(&spec, folder_path(&f->folder, name, f->files[i]));
    assert_ok(model_open(f->files[i], &open, &f->err), f->err);
    memcpy(model.digest, model_info(open)->digest, sizeof(model.digest));
    memcpy(f->options.from.digest, model.digest, sizeof(model.digest));
    model_free(open);
    assert_ok(share_new(&options, &f->servers[i], &f->err), f->err);
    assert_ok(share_set_models(f->servers[i], &model, 1, &f->err), f->err);
    f->sources[i] = (struct swarm_source){ .host = "127.0.0.1", .port = share_port(f->servers[i]) };
}

static void serve_good(struct fixture *f)
{
    serve(f, tiny_llama_default.seed, NULL);
}

/* Until the last server has made its manifest: who is asked before answers before, then. */
static void await_manifest(struct fixture *f)
{
    struct swarm_options options = f->options.from;
    struct swarm *swarm;
    struct manifest m;

    options.sources = &f->sources[f->options.from.n_sources - 1];
    options.n_sources = 1;
    assert_ok(swarm_new(&options, &swarm, &f->err), f->err);
    assert_ok(swarm_manifest(swarm, &m, &f->err), f->err);
    manifest_release(&m);
    swarm_free(swarm);
}

static enum status fetch(struct fixture *f)
{
    return shard_fetch(&f->options, &f->result, &f->err);
}

static void assert_word(const struct fixture *f, const char *word)
{
    if (!strstr(f->err.words, word))
        fail_msg("\"%s\" does not say \"%s\"", f->err.words, word);
}

/* What is fetched is the model's, and what is not is a hole of zeros. */
static void assert_good(const struct fixture *f)
{
    struct piece_map map;
    char bytes[PIECE];
    struct err err;
    const int fd = open(f->path, O_RDONLY);

    assert_true(fd >= 0);
    assert_ok(piece_map_read(f->path, &map, &err), err);
    assert_true(map.is_clean);
    for (uint32_t i = 0; i < map.n_pieces; i++) {
        const size_t n = piece_map_bytes(&map, i);

        assert_int_equal(pread(fd, bytes, n, (off_t)i * PIECE), n);
        if (piece_map_has(&map, i))
            assert_memory_equal(bytes, f->file.data + (size_t)i * PIECE, n);
        else
            for (size_t k = 0; k < n; k++)
                assert_int_equal(bytes[k], 0);
    }
    piece_map_release(&map);
    close(fd);
}

static void a_shard_and_nothing_more_is_fetched(void **state)
{
    struct fixture *f = *state;
    struct shard_weights w;
    struct model *model;
    struct stat st;

    serve_good(f);
    assert_ok(fetch(f), f->err);
    assert_good(f);
    assert_int_equal(f->result.fetched_bytes, f->result.shard_bytes);
    assert_true(f->result.shard_bytes < f->file.len * 4 / 5);
    assert_int_equal(stat(f->path, &st), 0);
    assert_true((uint64_t)st.st_blocks * 512 <= f->result.shard_bytes + 64 * 1024);
    assert_ok(model_open(f->path, &model, &f->err), f->err);
    assert_ok(model_shard(model, 0, 2, &w, &f->err), f->err);
    shard_weights_release(&w);
    assert_int_equal(model_shard(model, 2, 2, &w, &f->err), ST_NOTFOUND);
    model_free(model);
}

/* At the first two nobody listens. */
static void check_several_addresses(struct fixture *f, const uint8_t *key)
{
    static const struct hosts hosts = { { "127.0.0.2", "::1", "127.0.0.1" }, 3 };

    serve(f, tiny_llama_default.seed, key);
    f->options.from.key = key;
    f->sources[0].host = "127.0.0.2";
    f->sources[0].hosts = &hosts;
    assert_ok(fetch(f), f->err);
    assert_good(f);
}

static void of_several_addresses_the_one_that_answers_is_taken(void **state)
{
    check_several_addresses(*state, NULL);
}

static void with_a_key_too(void **state)
{
    static const uint8_t key[CLUSTER_KEY_BYTES] = { 1, 2, 3 };

    check_several_addresses(*state, key);
}

static void other_layers_are_added_and_none_is_fetched_twice(void **state)
{
    struct fixture *f = *state;

    serve_good(f);
    assert_ok(fetch(f), f->err);
    f->options.first_layer = 2;
    assert_ok(fetch(f), f->err);
    assert_true(f->result.fetched_bytes > 0 && f->result.fetched_bytes < f->result.shard_bytes);
    assert_good(f);

    f->options.from.n_sources = 0; /* what is here needs nobody */
    f->options.first_layer = 1;
    assert_ok(fetch(f), f->err);
    assert_int_equal(f->result.fetched_bytes, 0);
    assert_true(f->result.shard_bytes > 0);
}

static void a_source_that_lies_is_not_believed(void **state)
{
    struct fixture *f = *state;

    serve_good(f);
    await_manifest(f);
    serve(f, tiny_llama_default.seed + 1, NULL); /* the same head, other weights */
    serve_good(f);
    f->options.n_layers = 4;
    assert_ok(fetch(f), f->err);
    assert_good(f);
    assert_int_equal(f->result.fetched_bytes, f->file.len);
}

static void a_model_that_is_gone_from_its_sources_is_told(void **state)
{
    struct fixture *f = *state;

    serve_good(f);
    f->options.from.digest[0] ^= 1;
    assert_int_equal(fetch(f), ST_PEER);
    assert_word(f, "HTTP status 404");
    share_free(f->servers[0]);
    f->servers[0] = NULL;
    assert_int_equal(fetch(f), ST_PEER);
    assert_word(f, "127.0.0.1");
    f->options.from.n_sources = 0;
    assert_int_equal(fetch(f), ST_PEER);
}

static void a_dead_source_is_done_without(void **state)
{
    struct fixture *f = *state;

    serve_good(f);
    serve_good(f);
    share_free(f->servers[0]);
    f->servers[0] = NULL;
    assert_ok(fetch(f), f->err);
    assert_good(f);
}

static void a_source_that_was_cut_short_is_told(void **state)
{
    struct fixture *f = *state;

    serve_good(f);
    assert_ok(fetch(f), f->err); /* so that the manifest is made */
    f->options.first_layer = 2;
    assert_int_equal(truncate(f->files[0], (off_t)f->file.len / 2), 0);
    assert_int_equal(fetch(f), ST_PEER);
    assert_true(f->err.words[0] != '\0');
}

static void leave(void *arg, const struct fetch_progress *progress)
{
    struct fixture *f = arg;

    f->n_progress++;
    assert_true(progress->done_bytes <= progress->total_bytes);
    if (progress->done_bytes < f->stop_at_bytes || !f->servers[0])
        return;
    share_free(f->servers[0]);
    f->servers[0] = NULL;
}

static void what_came_before_the_last_source_died_is_kept(void **state)
{
    struct fixture *f = *state;
    uint64_t kept;
    struct piece_map map;

    serve_good(f);
    f->options.from.on_progress = leave;
    f->options.from.arg = f;
    f->stop_at_bytes = 1;
    assert_int_equal(fetch(f), ST_PEER);
    assert_true(f->n_progress > 0);
    assert_ok(piece_map_read(f->path, &map, &f->err), f->err);
    kept = piece_map_count(&map, NULL);
    piece_map_release(&map);
    assert_true(kept > 0);

    f->options.from.on_progress = NULL;
    f->options.from.n_sources = 0;
    serve_good(f);
    assert_ok(fetch(f), f->err);
    assert_good(f);
    assert_int_equal(f->result.fetched_bytes + kept, f->result.shard_bytes);
}

static void the_key_opens_and_another_does_not(void **state)
{
    const uint8_t key[CLUSTER_KEY_BYTES] = { 1, 2, 3 }, other[CLUSTER_KEY_BYTES] = { 1, 2, 4 };
    struct fixture *f = *state;

    serve(f, tiny_llama_default.seed, key);
    assert_int_equal(fetch(f), ST_PEER); /* in clear */
    f->options.from.key = other;
    assert_int_equal(fetch(f), ST_PEER);
    f->options.from.key = key;
    assert_ok(fetch(f), f->err);
    assert_good(f);
}

static void who_has_a_key_takes_nothing_in_clear(void **state)
{
    const uint8_t key[CLUSTER_KEY_BYTES] = { 1, 2, 3 };
    struct fixture *f = *state;

    serve_good(f);
    f->options.from.key = key;
    assert_int_equal(fetch(f), ST_PEER);
    assert_int_equal(access(f->path, F_OK), -1);
}

static void layers_that_are_not_there_are_refused(void **state)
{
    struct fixture *f = *state;

    serve_good(f);
    f->options.first_layer = 3;
    assert_int_equal(fetch(f), ST_RANGE);
}

/* ---- the content that is meant ---- */

/* Of the file of server i. */
static void take_root(struct fixture *f, size_t i)
{
    struct manifest m;

    assert_ok(manifest_make(f->files[i], PIECE, NULL, NULL, &m, &f->err), f->err);
    memcpy(f->root, m.root, sizeof(f->root));
    manifest_release(&m);
    f->options.from.root = f->root;
}

static void a_poisoned_source_that_is_asked_first_is_found_out(void **state)
{
    struct fixture *f = *state;

    serve(f, tiny_llama_default.seed + 1, NULL); /* the same head, other weights */
    await_manifest(f);
    serve_good(f);
    take_root(f, 1);
    f->options.n_layers = 4;
    assert_ok(fetch(f), f->err);
    assert_good(f);
    assert_int_equal(share_given_bytes(f->servers[0]), 0);
    assert_int_equal(share_given_bytes(f->servers[1]), f->file.len);
}

static void with_none_but_poisoned_sources_nothing_is_fetched(void **state)
{
    struct fixture *f = *state;

    serve_good(f);
    take_root(f, 0);
    f->options.from.n_sources = 0;
    share_free(f->servers[0]);
    serve(f, tiny_llama_default.seed + 1, NULL);
    assert_int_equal(fetch(f), ST_PEER);
    assert_word(f, "another than the cluster's model");
}

static void what_was_fetched_of_another_content_is_dropped(void **state)
{
    struct fixture *f = *state;

    serve(f, tiny_llama_default.seed + 1, NULL);
    assert_ok(fetch(f), f->err); /* no root was known yet */
    serve_good(f);
    take_root(f, 1);
    assert_ok(fetch(f), f->err);
    assert_good(f);
    assert_int_equal(f->result.fetched_bytes, f->result.shard_bytes);
}

/* ---- parts ---- */

/* Fetch these layers to where the next servers give parts from, then fetch to elsewhere again. */
static void fetch_part(struct fixture *f, const char *folder, uint32_t first, uint32_t n)
{
    static char parts[PATH_MAX_BYTES], path[PATH_MAX_BYTES];
    char digest[2 * MODEL_DIGEST_BYTES + 1];

    hex_write(f->options.from.digest, MODEL_DIGEST_BYTES, digest);
    folder_path(&f->folder, folder, parts);
    assert_true(snprintf(path, sizeof(path), "%s/%s/model.gguf", parts, digest) <
                (int)sizeof(path));
    f->options.path = path;
    f->options.name = "m";
    f->options.origin = "hf:me/m/m.gguf@main";
    f->options.first_layer = first;
    f->options.n_layers = n;
    assert_ok(fetch(f), f->err);
    f->options.path = f->path;
    f->parts_dir = parts;
}

/* A server that gives what lies in parts_dir, and no whole model. */
static void serve_part(struct fixture *f)
{
    const size_t i = f->options.from.n_sources++;
    const struct share_options options = { .host = "127.0.0.1",
                                           .piece_bytes = PIECE,
                                           .parts_dir = f->parts_dir };

    assert_ok(share_new(&options, &f->servers[i], &f->err), f->err);
    f->sources[i] = (struct swarm_source){ .host = "127.0.0.1",
                                           .port = share_port(f->servers[i]),
                                           .is_part = true };
}

static void two_parts_make_a_whole_when_its_holder_is_gone(void **state)
{
    struct fixture *f = *state;

    serve_good(f);
    fetch_part(f, "b", 0, 2);
    serve_part(f);
    fetch_part(f, "c", 2, 2);
    serve_part(f);
    share_free(f->servers[0]);
    f->servers[0] = NULL;
    f->options.first_layer = 0;
    f->options.n_layers = 4;
    assert_ok(fetch(f), f->err); /* the manifest, too, is of a part */
    assert_good(f);
    assert_int_equal(f->result.fetched_bytes, f->file.len);
    assert_true(share_given_bytes(f->servers[1]) > 0 && share_given_bytes(f->servers[2]) > 0);
}

static void a_part_is_asked_before_the_whole(void **state)
{
    struct fixture *f = *state;
    uint64_t before;

    serve_good(f);
    fetch_part(f, "b", 0, 2);
    serve_part(f);
    before = share_given_bytes(f->servers[0]);
    f->options.first_layer = 0;
    f->options.n_layers = 4;
    f->options.from.stall_ms = 0;
    assert_ok(fetch(f), f->err);
    assert_good(f);
    assert_int_equal(share_given_bytes(f->servers[0]) - before + share_given_bytes(f->servers[1]),
                     f->file.len);
}

static void pieces_that_are_nowhere_are_told_soon(void **state)
{
    struct fixture *f = *state;

    serve_good(f);
    fetch_part(f, "b", 0, 2);
    serve_part(f);
    share_free(f->servers[0]);
    f->servers[0] = NULL;
    f->options.from.stall_ms = 1500;
    f->options.first_layer = 2;
    assert_int_equal(fetch(f), ST_PEER);
    assert_word(f, "at none that has a part");
}

static void what_a_crash_left_is_not_given(void **state)
{
    char digest[2 * MODEL_DIGEST_BYTES + 1], path[PATH_MAX_BYTES];
    struct fixture *f = *state;
    const struct piece_map *pieces;
    struct parts *parts = NULL;
    const char *found;
    struct piece_map map;
    int fd;

    serve_good(f);
    fetch_part(f, "b", 0, 2);
    assert_ok(parts_new(f->parts_dir, &parts, &f->err), f->err);
    assert_ok(parts_find(parts, f->options.from.digest, &found, &pieces, &f->err), f->err);
    assert_true(piece_map_has(pieces, 0));

    hex_write(f->options.from.digest, MODEL_DIGEST_BYTES, digest);
    (void)snprintf(path, sizeof(path), "%s/%s/model.gguf", f->parts_dir, digest);
    assert_ok(piece_map_read(path, &map, &f->err), f->err);
    map.is_clean = false;
    assert_ok(piece_map_write(path, &map, &f->err), f->err);
    assert_int_equal(parts_find(parts, f->options.from.digest, &found, &pieces, &f->err),
                     ST_NOTFOUND);
    fd = open(path, O_RDONLY); /* its writer goes on, and checked it */
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_ok(parts_find(parts, f->options.from.digest, &found, &pieces, &f->err), f->err);
    map.is_doubtful = true; /* its writer is checking it */
    assert_ok(piece_map_write(path, &map, &f->err), f->err);
    assert_int_equal(parts_find(parts, f->options.from.digest, &found, &pieces, &f->err),
                     ST_NOTFOUND);
    close(fd);
    piece_map_release(&map);
    parts_free(parts);
}

static void parts_are_listed_as_the_cluster_calls_them(void **state)
{
    struct fixture *f = *state;
    struct part *parts = NULL;
    size_t n = 0;

    serve_good(f);
    take_root(f, 0);
    fetch_part(f, "b", 1, 1);
    assert_ok(parts_list(f->parts_dir, &parts, &n, &f->err), f->err);
    assert_int_equal(n, 1);
    assert_string_equal(parts[0].info.name, "m");
    assert_string_equal(parts[0].info.origin, "hf:me/m/m.gguf@main");
    assert_true(parts[0].info.is_part && parts[0].info.has_root);
    assert_memory_equal(parts[0].info.root, f->root, sizeof(f->root));
    assert_memory_equal(parts[0].info.digest, f->options.from.digest, MODEL_DIGEST_BYTES);
    free(parts);
    assert_ok(parts_list("/nowhere", &parts, &n, &f->err), f->err);
    assert_int_equal(n, 0);
    free(parts);
}

/* ---- a hub: any server of ranges is one ---- */

static void name_hub(struct fixture *f, size_t server)
{
    char digest[2 * MODEL_DIGEST_BYTES + 1];

    hex_write(f->options.from.digest, MODEL_DIGEST_BYTES, digest);
    (void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/model/%s/bytes?/m.gguf",
                   share_port(f->servers[server]), digest);
    f->options.origin = f->url;
}

static void a_hub_gives_what_no_node_has(void **state)
{
    struct fixture *f = *state;

    serve_good(f);
    fetch_part(f, "b", 0, 2);
    serve_part(f);
    name_hub(f, 0);
    f->sources[0] = f->sources[1];
    f->options.from.n_sources = 1;
    f->options.first_layer = 0;
    f->options.n_layers = 4;
    assert_ok(fetch(f), f->err);
    assert_good(f);
    assert_int_equal(f->result.fetched_bytes, f->file.len);
    assert_int_equal(f->result.hub_bytes + share_given_bytes(f->servers[1]), f->file.len);
    assert_true(f->result.hub_bytes > 0); /* what both have comes from who is quicker */
}

static void a_hub_alone_will_do_for_who_has_the_hashes(void **state)
{
    struct fixture *f = *state;

    serve_good(f);
    f->options.n_layers = 0;
    assert_ok(fetch(f), f->err); /* the head, and with it the manifest */
    name_hub(f, 0);
    f->options.from.n_sources = 0;
    f->options.n_layers = 4;
    assert_ok(fetch(f), f->err);
    assert_good(f);
    assert_int_equal(f->result.hub_bytes, f->result.fetched_bytes);
}

static void a_hub_with_another_file_is_not_believed(void **state)
{
    struct fixture *f = *state;

    serve_good(f);
    f->options.n_layers = 0;
    assert_ok(fetch(f), f->err);
    serve(f, tiny_llama_default.seed + 1, NULL);
    name_hub(f, 1);
    f->options.from.n_sources = 0;
    f->options.n_layers = 4;
    assert_int_equal(fetch(f), ST_PEER);
    assert_word(f, "bytes that are not the model's");
    assert_null(strstr(f->err.words, "/model/")); /* of an address the host is enough */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_shard_and_nothing_more_is_fetched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_several_addresses_the_one_that_answers_is_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(with_a_key_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_layers_are_added_and_none_is_fetched_twice, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_source_that_lies_is_not_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_model_that_is_gone_from_its_sources_is_told, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_dead_source_is_done_without, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_source_that_was_cut_short_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_came_before_the_last_source_died_is_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_key_opens_and_another_does_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_has_a_key_takes_nothing_in_clear, set_up, tear_down),
        cmocka_unit_test_setup_teardown(layers_that_are_not_there_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_poisoned_source_that_is_asked_first_is_found_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(with_none_but_poisoned_sources_nothing_is_fetched, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_was_fetched_of_another_content_is_dropped, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(two_parts_make_a_whole_when_its_holder_is_gone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_part_is_asked_before_the_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pieces_that_are_nowhere_are_told_soon, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_crash_left_is_not_given, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_are_listed_as_the_cluster_calls_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_hub_gives_what_no_node_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_hub_alone_will_do_for_who_has_the_hashes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_hub_with_another_file_is_not_believed, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("model/fetch", tests, NULL, NULL);
}
