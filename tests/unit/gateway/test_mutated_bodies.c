/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/gateway/test_mutated_bodies.c - 20,000 damaged bodies, none of which may do harm.
 *
 * Bytes of good bodies are changed, cut and doubled.  A body is taken or
 * refused with a message; the sanitizers watch the rest.
 */
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "gateway/admin/exo_request.h"
#include "gateway/admin/place_request.h"
#include "gateway/dialect/dialect.h"
#include "gateway/http/json_in.h"

enum { N_BODIES = 20000, BODY_MAX = 1024, SEED = 20240117 };

static const char *const seeds[] = {
    ("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":"
     "\"hi \\u00e9\"}]},{\"role\":\"assistant\",\"content\":null}],\"temperature\":0.5,\"n\":2,"
     "\"stop\":[\"a\",\"b\"],\"logit_bias\":{\"5\":1.5},\"logprobs\":true,\"top_logprobs\":3,"
     "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"seed\":-7,\"max_tokens\":9}"),
    ("{\"model\":\"m\",\"prompt\":[[1,2,3],[4]],\"logprobs\":2,\"echo\":false,\"best_of\":1,"
     "\"stop_token_ids\":[1,2],\"top_k\":-1,\"min_tokens\":0,\"suffix\":\"\"}"),
    "{\"model\":\"m\",\"nodes\":[\"a\",\"b\"],\"split\":[18,12],\"context\":4096}",
    "{\"model_id\":\"m\",\"sharding\":\"Pipeline\",\"instance_meta\":\"MlxRing\",\"min_nodes\":2}",
    ("{\"instance\":{\"MlxRingInstance\":{\"instanceId\":\"i\",\"shardAssignments\":{\"modelId\":\"m\","
     "\"nodeToRunner\":{\"a\":\"r\",\"b\":\"s\"},\"runnerToShard\":{\"r\":{\"P\":{\"deviceRank\":1,"
     "\"startLayer\":0,\"endLayer\":9}},\"s\":{\"P\":{\"startLayer\":9,\"endLayer\":18}}}}}}}"),
};

static uint32_t next(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u; /* Numerical Recipes LCG */
    return *x >> 8;
}

/* One to four changes of `body`, whose length is *n. */
static void mutate(char *body, size_t *n, uint32_t *x)
{
    static const char bytes[] = "{}[]\",:0919-.eE\\utrfn \x00\x80\xC3\xFF";

    for (uint32_t k = next(x) % 4 + 1; k > 0 && *n > 1; k--) {
        const size_t at = next(x) % *n;
        const size_t span = size_min(next(x) % 16 + 1, *n - at);

        switch (next(x) % 4) {
        case 0: body[at] = bytes[next(x) % (sizeof(bytes) - 1)]; break;
        case 1: body[at] = (char)next(x); break;
        case 2: /* cut out */
            memmove(body + at, body + at + span, *n - at - span);
            *n -= span;
            break;
        default: /* double */
            if (*n + span > BODY_MAX)
                break;
            memmove(body + at + span, body + at, *n - at);
            *n += span;
            break;
        }
    }
}

static size_t parse_all(const char *text, size_t n)
{
    static const struct dialect *const all[] = { &openai_chat, &openai_completions };
    struct place_request place;
    struct exo_placement asked;
    char id[EXO_ID_MAX];
    struct api_error e = { 0 };
    json_t *body;
    size_t n_taken = 0;

    if (json_in_object(text, n, &body, &e) != ST_OK) {
        assert_true(e.message[0] != '\0');
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct api_request r;
        enum status s;

        api_request_init(&r);
        s = all[i]->parse(body, &r, &e);
        n_taken += s == ST_OK;
        assert_true(s == ST_OK || e.message[0] != '\0');
        assert_true(r.n <= REQUEST_CHOICES_MAX && r.n_prompts <= REQUEST_PROMPTS_MAX);
        assert_true(r.sampling.n_top_logprobs <= REQUEST_TOP_LOGPROBS_MAX);
        api_request_release(&r);
    }
    n_taken += place_request_from_json(body, &place, &e) == ST_OK;
    n_taken += exo_placement_from_json(body, &asked, &e) == ST_OK;
    n_taken += exo_instance_from_json(body, &place, id, &e) == ST_OK;
    assert_true(place.n_nodes <= NODES_MAX && place.n_split <= NODES_MAX);
    json_decref(body);
    return n_taken;
}

static void damaged_bodies_do_no_harm(void **state)
{
    uint32_t x = SEED;
    size_t n_taken = 0;

    (void)state;
    for (int i = 0; i < N_BODIES; i++) {
        const char *seed = seeds[next(&x) % ARRAY_LEN(seeds)];
        size_t n = strlen(seed);
        char body[BODY_MAX];
        char *exact;

        memcpy(body, seed, n);
        mutate(body, &n, &x);
        exact = malloc(n); /* so that one byte too far is seen */
        assert_non_null(exact);
        memcpy(exact, body, n);
        n_taken += parse_all(exact, n);
        free(exact);
    }
    assert_in_range(n_taken, N_BODIES / 20, N_BODIES); /* the changes are not all fatal */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_bodies_do_no_harm),
    };
    return cmocka_run_group_tests_name("gateway/mutated_bodies", tests, NULL, NULL);
}
