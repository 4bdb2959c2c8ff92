/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/gateway/test_admin.c - placing is asked for in two ways, the cluster shown in one. */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/admin/place_request.h"
#include "gateway/admin/state.h"
#include "gateway/dialect/models.h"

static void a_body_and_a_query_ask_the_same(void **state)
{
    struct place_request a, b;
    struct api_error e;
    json_t *body = json_loads(
        "{\"model\":\"org/m\",\"nodes\":[\"a\",\"b\"],\"split\":[18,12],"
        "\"context\":4096,\"kv\":\"q8_0\",\"activations\":8,\"transport\":\"mpi\",\"wire\":\"q8\","
        "\"draft\":\"s\",\"streams\":16,"
        "\"prompt\":512,\"overrides\":\"a=18,b\"}",
        0, NULL);

    (void)state;
    assert_int_equal(place_request_from_json(body, &a, &e), ST_OK);
    assert_int_equal(
        place_request_from_query(
            "model=org%2Fm&nodes=a,b&split=18,12&context=4096&kv=q8_0&activations=8&transport=mpi"
            "&wire=q8&draft=s&streams=16&prompt=512&overrides=a%3D18,b",
            &b, &e),
        ST_OK);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(a.split[1], 12);
    assert_string_equal(a.draft, "s");
    assert_string_equal(a.overrides, "a=18,b");
    assert_int_equal(a.streams, 16);
    assert_true(a.has_kv_format && a.kv_format == KV_Q8_0);
    assert_true(a.has_activations && a.activations == ACTIVATIONS_8);
    assert_int_equal(a.transport, TRANSPORT_MPI);
    assert_int_equal(a.sums, SUM_Q8);
    assert_string_equal(a.nodes[1], "b");
    json_decref(body);
}

static void wrong_placings_are_named(void **state)
{
    static const char *const rows[][2] = {
        { "", "model" },
        { "model=m&split=1,x", "split" },
        { "model=m&split=0", "split" },
        { "model=m&nodes=a,,b", "nodes" },
        { "model=m&nodes=a,b&split=1", "split" },
        { "model=m&context=-1", "context" },
        { "model=m&kv=q9", "kv" },
        { "model=m&activations=12", "activations" },
        { "model=m&transport=smoke", "transport" },
        { "model=m&streams=0", "streams" },
        { "model=m&prompt=x", "prompt" },
    };
    struct place_request r;
    struct api_error e;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(place_request_from_query(rows[i][0], &r, &e), ST_FORMAT);
        assert_string_equal(e.param, rows[i][1]);
    }
    assert_int_equal(place_request_from_query(NULL, &r, &e), ST_FORMAT);
}

static void the_state_is_json_with_every_part(void **state)
{
    static struct cluster_instance instance = {
        .view = { .id = "ab", .model = "m", .n_active = 2 },
        .state = INSTANCE_READY,
        .plan = { .context_tokens = 100,
                  .kv_tokens = 1600,
                  .n_shards = 1,
                  .shards = { { .node = "n1", .n_layers = 30 } } },
    };
    const struct cluster_member member = { .name = "n1", .is_alive = true, .is_local = true };
    const struct model_info model = { .name = "m", .architecture = "llama", .n_layer = 30 };
    const struct admin_state s = {
        .cluster_name = "c",
        .node_name = "n1",
        .version = "1",
        .members = &member,
        .n_members = 1,
        .instances = &instance,
        .n_instances = 1,
        .models = &model,
        .n_models = 1,
    };
    struct buf out = { 0 };
    json_t *got, *shown;

    (void)state;
    admin_render_state(&s, &out);
    got = json_loads(buf_text(&out), 0, NULL);
    assert_non_null(got);
    shown = json_array_get(json_object_get(got, "instances"), 0);
    assert_string_equal(json_string_value(json_object_get(shown, "state")), "ready");
    assert_int_equal(json_integer_value(json_object_get(shown, "active")), 2);
    assert_int_equal(json_array_size(json_object_get(shown, "shards")), 1);
    assert_int_equal(json_array_size(json_object_get(got, "nodes")), 1);
    assert_int_equal(json_array_size(json_object_get(got, "models")), 1);
    json_decref(got);
    buf_clear(&out);
    admin_render_health(&s, "ok", &out);
    assert_string_equal(buf_text(&out),
                        "{\"status\":\"ok\",\"node\":\"n1\",\"version\":\"1\",\"uptime_s\":0,"
                        "\"nodes_alive\":1,\"nodes_total\":1,\"instances_ready\":1,\"unix_ms\":0}");
    buf_release(&out);
}

static void models_are_found_by_what_people_type(void **state)
{
    const struct model_info all[] = { { .name = "Abc" }, { .name = "abc.Q4" } };

    (void)state;
    assert_ptr_equal(models_find(all, 2, "Abc"), &all[0]);
    assert_ptr_equal(models_find(all, 2, "ABC"), &all[0]);
    assert_ptr_equal(models_find(all, 2, "ABC.q4.gguf"), &all[1]);
    assert_null(models_find(all, 2, "ab"));
    assert_null(models_find(all, 2, ""));
    assert_ptr_equal(models_find(all, 1, ""), &all[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_and_a_query_ask_the_same),
        cmocka_unit_test(wrong_placings_are_named),
        cmocka_unit_test(the_state_is_json_with_every_part),
        cmocka_unit_test(models_are_found_by_what_people_type),
    };
    return cmocka_run_group_tests_name("gateway/admin", tests, NULL, NULL);
}
