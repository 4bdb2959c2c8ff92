/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/net/test_cluster_key.c - keys survive text and files, and are for their owner alone. */
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/cluster_key.h"
#include "net/data_key.h"

static const char text_of_counting[] =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

struct fixture {
    char dir[64], path[128];
};

static int set_up(void **state)
{
    static struct fixture f;

    snprintf(f.dir, sizeof(f.dir), "/tmp/pomona-key-XXXXXX");
    assert_non_null(mkdtemp(f.dir));
    snprintf(f.path, sizeof(f.path), "%s/below/cluster.key", f.dir);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    (void)unlink(f->path);
    *strrchr(f->path, '/') = '\0';
    (void)rmdir(f->path);
    return rmdir(f->dir);
}

static void text_is_read_and_written(void **state)
{
    char text[CLUSTER_KEY_TEXT_MAX], spaced[100];
    struct cluster_key key;
    struct err err;

    (void)state;
    snprintf(spaced, sizeof(spaced), " %s \r\n", text_of_counting);
    assert_ok(cluster_key_parse(spaced, &key, &err), err);
    for (size_t i = 0; i < CLUSTER_KEY_BYTES; i++)
        assert_int_equal(key.bytes[i], i);
    cluster_key_print(&key, text);
    assert_string_equal(text, text_of_counting);
}

static void other_text_is_refused_without_being_repeated(void **state)
{
    static const char *const wrong[] = { "", "abc", "0g", "0001 02" };
    struct cluster_key key;
    char longer[80];
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(cluster_key_parse(wrong[i], &key, NULL), ST_FORMAT);
    snprintf(longer, sizeof(longer), "%s7", text_of_counting);
    assert_int_equal(cluster_key_parse(longer, &key, &err), ST_FORMAT);
    assert_null(strstr(err.words, "0001"));
    longer[63] = '\0';
    assert_int_equal(cluster_key_parse(longer, &key, NULL), ST_FORMAT);
}

static void a_file_is_its_owners_alone(void **state)
{
    struct fixture *f = *state;
    struct cluster_key key, again;
    struct stat st;
    struct err err;

    cluster_key_make(&key);
    assert_ok(cluster_key_save(f->path, &key, &err), err);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_ok(cluster_key_load(f->path, &again, &err), err);
    assert_memory_equal(&again, &key, sizeof(key));

    assert_int_equal(chmod(f->path, 0640), 0);
    assert_int_equal(cluster_key_load(f->path, &again, &err), ST_DENIED);
    assert_non_null(strstr(err.words, "chmod 600"));
}

static void a_missing_file_says_how_to_make_one(void **state)
{
    struct fixture *f = *state;
    struct cluster_key key = { { 0 } };
    struct err err;

    assert_int_equal(cluster_key_load(f->path, &key, &err), ST_NOTFOUND);
    assert_non_null(strstr(err.words, "pomona keys cluster"));
    assert_ok(cluster_key_save(f->path, &key, &err), err); /* tear_down() removes it */
}

/* Computed with Python: hmac and hashlib, by the two steps of RFC 5869. */
static void derivation_is_hkdf(void **state)
{
    static const uint8_t wanted[16] = { 0xce, 0x1f, 0x32, 0xca, 0x61, 0x64, 0xa3, 0xfb,
                                        0x4e, 0xba, 0x1f, 0xdc, 0x51, 0x91, 0xac, 0x3a };
    uint8_t got[16], other[16];
    struct cluster_key key;
    struct err err;

    (void)state;
    assert_ok(cluster_key_parse(text_of_counting, &key, &err), err);
    assert_ok(cluster_key_derive(&key, "use", "home", got, sizeof(got), &err), err);
    assert_memory_equal(got, wanted, sizeof(got));
    assert_ok(cluster_key_derive(&key, "useh", "ome", other, sizeof(other), &err), err);
    assert_memory_not_equal(got, other, sizeof(got));
}

static void each_instance_has_a_data_key_of_its_own(void **state)
{
    static const uint8_t one[INSTANCE_KEY_BYTES] = { 1 }, other[INSTANCE_KEY_BYTES] = { 1, 1 };
    const struct cluster_key key = { { 5 } };
    struct cluster_key home, office, a, b, again;
    struct err err;

    (void)state;
    assert_ok(data_key_of_cluster(&key, "home", &home, &err), err);
    assert_ok(data_key_of_cluster(&key, "office", &office, &err), err);
    assert_memory_not_equal(&home, &office, sizeof(home));
    assert_memory_not_equal(&home, &key, sizeof(home));
    assert_ok(data_key_of_instance(&home, one, &a, &err), err);
    assert_ok(data_key_of_instance(&home, one, &again, &err), err);
    assert_ok(data_key_of_instance(&home, other, &b, &err), err);
    assert_memory_equal(&a, &again, sizeof(a));
    assert_memory_not_equal(&a, &b, sizeof(a));
    assert_memory_not_equal(&a, &home, sizeof(a));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_read_and_written),
        cmocka_unit_test(other_text_is_refused_without_being_repeated),
        TEST(a_file_is_its_owners_alone),
        TEST(a_missing_file_says_how_to_make_one),
        cmocka_unit_test(derivation_is_hkdf),
        cmocka_unit_test(each_instance_has_a_data_key_of_its_own),
    };
    return cmocka_run_group_tests_name("net/cluster_key", tests, NULL, NULL);
}
