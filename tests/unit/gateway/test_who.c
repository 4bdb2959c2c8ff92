/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/gateway/test_who.c - by which names an API may be asked, and who yields to others. */
#include "support/check.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/size.h"
#include "gateway/guard/accounts.h"
#include "gateway/guard/hosts.h"
#include "gateway/guard/jwt_claims.h"

static void an_open_api_is_asked_by_its_own_names(void **state)
{
    char *names[] = { (char[]){ "LLM.example.org" } };
    const struct api_gateway none = { 0 }, one = { .hosts = names, .hosts_count = 1 };
    static const char *const fine[] = { "localhost",   "localhost:80", "LOCALHOST.:80",
                                        "x.localhost", "127.0.0.1",    "192.168.1.9:8",
                                        "[::1]:80",    "[fe80::1]" };
    static const char *const strange[] = { "evil.example",
                                           "evil.example:80",
                                           "localhost.evil.example",
                                           "xlocalhost",
                                           ".localhost.x",
                                           "",
                                           "[localhost]",
                                           "[::1",
                                           ":80",
                                           "127.0.0.1.x",
                                           "127.1",
                                           "llm.example.org.x",
                                           "local" };
    char own[512] = "";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(fine); i++)
        if (!host_may_be_asked(fine[i], &none))
            fail_msg("%s is refused", fine[i]);
    for (size_t i = 0; i < ARRAY_LEN(strange); i++)
        if (host_may_be_asked(strange[i], &one))
            fail_msg("%s is taken", strange[i]);
    assert_true(host_may_be_asked(NULL, &none));
    assert_false(host_may_be_asked("llm.example.org", &none));
    assert_true(host_may_be_asked("llm.example.org:443", &one));
    names[0] = (char[]){ "*" };
    assert_true(host_may_be_asked("evil.example", &one));
    assert_int_equal(gethostname(own, 200), 0);
    assert_true(host_may_be_asked(own, &none));
    own[strcspn(own, ".")] = '\0';
    (void)snprintf(own + strlen(own), 16, ".local:80");
    assert_true(host_may_be_asked(own, &none));
    memset(own, 'a', sizeof(own) - 1);
    assert_false(host_may_be_asked(own, &none));
}

static void loopback_is_known_by_its_address(void **state)
{
    (void)state;
    assert_true(host_is_loopback("127.0.0.1") && host_is_loopback("127.9.9.9"));
    assert_true(host_is_loopback("::1") && host_is_loopback("localhost"));
    assert_false(host_is_loopback("0.0.0.0") || host_is_loopback("::"));
    assert_false(host_is_loopback("10.0.0.1") || host_is_loopback("fe80::1"));
}

static bool yields(const char *claims_text, const struct api_issuer *issuer)
{
    json_t *claims = json_loads(claims_text, 0, NULL);
    struct principal who;

    assert_non_null(claims);
    assert_int_equal(jwt_claims_check(claims, issuer, 1000, &who), JWT_FINE);
    json_decref(claims);
    return account_is_batch(&(struct api_all_limits){ 0 }, &who, "m");
}

static void a_token_can_say_that_its_requests_yield(void **state)
{
    char *audiences[] = { (char[]){ "pomona" } };
    struct api_issuer issuer = { .audiences = audiences,
                                 .audiences_count = 1,
                                 .max_lifetime_s = 3600,
                                 .priority_claim = "urgency" };

    (void)state;
#define CLAIMS(more) "{\"aud\":\"pomona\",\"exp\":2000,\"iat\":1000" more "}"
    assert_true(yields(CLAIMS(",\"urgency\":\"batch\""), &issuer));
    assert_false(yields(CLAIMS(""), &issuer));
    assert_false(yields(CLAIMS(",\"urgency\":\"interactive\""), &issuer));
    assert_false(yields(CLAIMS(",\"urgency\":5"), &issuer));
    assert_false(yields(CLAIMS(",\"priority\":\"batch\""), &issuer));
#undef CLAIMS
}

static void tenants_and_models_of_the_settings_yield(void **state)
{
    struct api_named_limits night = { .name = "night", .priority = API_BATCH };
    struct api_named_limits big = { .name = "big", .priority = API_BATCH, .limits.concurrent = 3 };
    const struct api_all_limits all = { .tenants = &night,
                                        .tenants_count = 1,
                                        .models = &big,
                                        .models_count = 1,
                                        .model.concurrent = 9 };
    struct principal who = { .name = "key:a", .tenant = "night" };

    (void)state;
    assert_true(account_is_batch(&all, &who, "m"));
    assert_true(account_is_batch(&all, NULL, "big"));
    assert_false(account_is_batch(&all, NULL, "m"));
    assert_int_equal(account_of_model(&all, "big").limits.concurrent, 3);
    assert_int_equal(account_of_model(&all, "m").limits.concurrent, 9);
    who.tenant[0] = '\0';
    assert_false(account_is_batch(&all, &who, "m"));
    assert_string_equal(account_tenant(&who), "key:a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_api_is_asked_by_its_own_names),
        cmocka_unit_test(loopback_is_known_by_its_address),
        cmocka_unit_test(a_token_can_say_that_its_requests_yield),
        cmocka_unit_test(tenants_and_models_of_the_settings_yield),
    };
    return cmocka_run_group_tests_name("gateway/who", tests, NULL, NULL);
}
