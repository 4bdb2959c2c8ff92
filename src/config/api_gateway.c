/* SPDX-License-Identifier: Apache-2.0 */
/* config/api_gateway.c - read api_gateway.yaml against a schema (config/yaml.h).
 *
 * To add a section: a member of struct api_gateway, its fields in a table here, a row of
 * root_fields[], defaults in api_gateway_check.c, and its lines in config/api_gateway.yaml.
 */
#include "config/api_gateway.h"

#include <stdlib.h>

#include "base/file.h"
#include "config/api_gateway_priv.h"
#include "config/yaml.h"

/* clang-format off */
static const cyaml_schema_value_t word = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, API_URL_MAX - 1),
};

static const cyaml_strval_t algorithms[] = {
    { "HS256", API_HS256 }, { "RS256", API_RS256 }, { "PS256", API_PS256 },
    { "ES256", API_ES256 }, { "EdDSA", API_EDDSA },
};

static const cyaml_schema_field_t issuer_fields[] = {
    CYAML_FIELD_STRING("issuer", CYAML_FLAG_DEFAULT, struct api_issuer, issuer, 1),
    CYAML_FIELD_SEQUENCE("audiences", CYAML_FLAG_POINTER, struct api_issuer, audiences, &word, 1, API_WORDS_MAX),
    CYAML_FIELD_FLAGS("algorithms", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct api_issuer, algorithms, algorithms, CYAML_ARRAY_LEN(algorithms)),
    CYAML_FIELD_STRING("jwks_file", CYAML_FLAG_OPTIONAL, struct api_issuer, jwks_file, 1),
    CYAML_FIELD_STRING("jwks_url", CYAML_FLAG_OPTIONAL, struct api_issuer, jwks_url, 1),
    CYAML_FIELD_STRING("secret_file", CYAML_FLAG_OPTIONAL, struct api_issuer, secret_file, 1),
    CYAML_FIELD_UINT("leeway_s", CYAML_FLAG_OPTIONAL, struct api_issuer, leeway_s),
    CYAML_FIELD_UINT("max_lifetime_s", CYAML_FLAG_OPTIONAL, struct api_issuer, max_lifetime_s),
    CYAML_FIELD_UINT("refresh_s", CYAML_FLAG_OPTIONAL, struct api_issuer, refresh_s),
    CYAML_FIELD_UINT("stale_s", CYAML_FLAG_OPTIONAL, struct api_issuer, stale_s),
    CYAML_FIELD_STRING("scopes_claim", CYAML_FLAG_OPTIONAL, struct api_issuer, scopes_claim, 1),
    CYAML_FIELD_STRING("models_claim", CYAML_FLAG_OPTIONAL, struct api_issuer, models_claim, 1),
    CYAML_FIELD_STRING("tenant_claim", CYAML_FLAG_OPTIONAL, struct api_issuer, tenant_claim, 1),
    CYAML_FIELD_STRING("priority_claim", CYAML_FLAG_OPTIONAL, struct api_issuer, priority_claim, 1),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t issuer_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct api_issuer, issuer_fields),
};

/* libcyaml takes any other word for true. */
const struct cyaml_strval api_truths[2] = { { "false", 0 }, { "true", 1 } };

static const cyaml_schema_field_t auth_fields[] = {
    CYAML_FIELD_ENUM("required", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct api_auth, required, api_truths, CYAML_ARRAY_LEN(api_truths)),
    CYAML_FIELD_SEQUENCE("issuers", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct api_auth, issuers, &issuer_value, 0, API_ISSUERS_MAX),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t limit_fields[] = {
    CYAML_FIELD_UINT("requests_per_minute", CYAML_FLAG_OPTIONAL, struct api_limits, requests_per_minute),
    CYAML_FIELD_UINT("tokens_per_minute", CYAML_FLAG_OPTIONAL, struct api_limits, tokens_per_minute),
    CYAML_FIELD_UINT("concurrent", CYAML_FLAG_OPTIONAL, struct api_limits, concurrent),
    CYAML_FIELD_UINT("requests_per_day", CYAML_FLAG_OPTIONAL, struct api_limits, requests_per_day),
    CYAML_FIELD_UINT("tokens_per_day", CYAML_FLAG_OPTIONAL, struct api_limits, tokens_per_day),
    CYAML_FIELD_END
};

static const cyaml_strval_t priorities[] = { { "interactive", API_INTERACTIVE }, { "batch", API_BATCH } };

static const cyaml_schema_field_t named_fields[] = {
    CYAML_FIELD_STRING("name", CYAML_FLAG_DEFAULT, struct api_named_limits, name, 1),
    CYAML_FIELD_ENUM("priority", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct api_named_limits, priority, priorities, CYAML_ARRAY_LEN(priorities)),
    CYAML_FIELD_MAPPING("limits", CYAML_FLAG_OPTIONAL, struct api_named_limits, limits, limit_fields),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t named_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct api_named_limits, named_fields),
};

static const cyaml_schema_field_t all_limit_fields[] = {
    CYAML_FIELD_MAPPING("key", CYAML_FLAG_OPTIONAL, struct api_all_limits, key, limit_fields),
    CYAML_FIELD_MAPPING("tenant", CYAML_FLAG_OPTIONAL, struct api_all_limits, tenant, limit_fields),
    CYAML_FIELD_MAPPING("model", CYAML_FLAG_OPTIONAL, struct api_all_limits, model, limit_fields),
    CYAML_FIELD_SEQUENCE("tenants", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct api_all_limits, tenants, &named_value, 0, API_NAMED_MAX),
    CYAML_FIELD_SEQUENCE("models", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct api_all_limits, models, &named_value, 0, API_NAMED_MAX),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t queue_fields[] = {
    CYAML_FIELD_UINT("requests", CYAML_FLAG_OPTIONAL, struct api_queue, requests),
    CYAML_FIELD_UINT("prompt_tokens", CYAML_FLAG_OPTIONAL, struct api_queue, prompt_tokens),
    CYAML_FIELD_UINT("wait_s", CYAML_FLAG_OPTIONAL, struct api_queue, wait_s),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t metrics_fields[] = {
    CYAML_FIELD_ENUM("off", CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT, struct api_metrics, off, api_truths, CYAML_ARRAY_LEN(api_truths)),
    CYAML_FIELD_STRING("host", CYAML_FLAG_OPTIONAL, struct api_metrics, host, 1),
    CYAML_FIELD_UINT("port", CYAML_FLAG_OPTIONAL, struct api_metrics, port),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t balancing_fields[] = {
    CYAML_FIELD_STRING("policy", CYAML_FLAG_OPTIONAL, struct api_balancing, policy, 1),
    CYAML_FIELD_END
};

static const cyaml_schema_field_t root_fields[] = {
    CYAML_FIELD_MAPPING("auth", CYAML_FLAG_OPTIONAL, struct api_gateway, auth, auth_fields),
    CYAML_FIELD_MAPPING("limits", CYAML_FLAG_OPTIONAL, struct api_gateway, limits, all_limit_fields),
    CYAML_FIELD_MAPPING("tls", CYAML_FLAG_OPTIONAL, struct api_gateway, tls, api_tls_fields),
    CYAML_FIELD_SEQUENCE("hosts", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct api_gateway, hosts, &word, 0, API_WORDS_MAX),
    CYAML_FIELD_MAPPING("cors", CYAML_FLAG_OPTIONAL, struct api_gateway, cors, api_cors_fields),
    CYAML_FIELD_MAPPING("sizes", CYAML_FLAG_OPTIONAL, struct api_gateway, sizes, api_sizes_fields),
    CYAML_FIELD_MAPPING("timeouts", CYAML_FLAG_OPTIONAL, struct api_gateway, timeouts, api_timeouts_fields),
    CYAML_FIELD_MAPPING("connections", CYAML_FLAG_OPTIONAL, struct api_gateway, connections, api_connections_fields),
    CYAML_FIELD_MAPPING("log", CYAML_FLAG_OPTIONAL, struct api_gateway, log, api_log_fields),
    CYAML_FIELD_MAPPING("queue", CYAML_FLAG_OPTIONAL, struct api_gateway, queue, queue_fields),
    CYAML_FIELD_MAPPING("metrics", CYAML_FLAG_OPTIONAL, struct api_gateway, metrics, metrics_fields),
    CYAML_FIELD_MAPPING("traces", CYAML_FLAG_OPTIONAL, struct api_gateway, traces, api_traces_fields),
    CYAML_FIELD_MAPPING("balancing", CYAML_FLAG_OPTIONAL, struct api_gateway, balancing, balancing_fields),
    CYAML_FIELD_SEQUENCE("upstreams", CYAML_FLAG_OPTIONAL | CYAML_FLAG_POINTER, struct api_gateway, upstreams, &api_upstream_value, 0, API_UPSTREAMS_MAX),
    CYAML_FIELD_END
};

static const cyaml_schema_value_t root_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct api_gateway, root_fields),
};
/* clang-format on */

static enum status finish(struct api_gateway *config, char *ret_place, struct err *err)
{
    config->n_refs = 1;
    api_gateway_complete(config);
    return api_gateway_check(config, ret_place, err);
}

static enum status parse(const struct buf *content, const char *path,
                         struct api_gateway **ret_config, struct err *err)
{
    char place[PLACE_MAX] = "";
    void *data = NULL;
    struct api_gateway *config;
    enum status s = yaml_read(content, path, &root_value, &data, err);

    if (s != ST_OK)
        return s;
    if (!data) /* only comments: all is as without a file */
        return api_gateway_default(ret_config, err);
    config = data;
    s = finish(config, place, err);
    if (s != ST_OK) {
        yaml_point(content, path, place, err);
        api_gateway_unref(config);
        return s;
    }
    *ret_config = config;
    return ST_OK;
}

enum status api_gateway_load(const char *path, struct api_gateway **ret_config, struct err *err)
{
    struct buf content = { 0 };
    enum status s = file_read(path, YAML_FILE_MAX_BYTES, &content, err);

    if (s == ST_OK && content.len == 0) /* somebody is writing it: that must not open the door */
        s = err_set(err, ST_FORMAT, "%s:1:1: the file is empty", path);
    if (s == ST_OK)
        s = parse(&content, path, ret_config, err);
    buf_release(&content);
    return s;
}

/* From libcyaml's allocator, as the others: one release for both. */
enum status api_gateway_default(struct api_gateway **ret_config, struct err *err)
{
    struct api_gateway *config = cyaml_mem(NULL, NULL, sizeof(*config));
    char place[PLACE_MAX];

    if (!config)
        return err_set(err, ST_NOMEM, "the gateway's settings");
    *config = (struct api_gateway){ 0 };
    (void)finish(config, place, NULL);
    *ret_config = config;
    return ST_OK;
}

struct api_gateway *api_gateway_ref(struct api_gateway *config)
{
    (void)__atomic_add_fetch(&config->n_refs, 1, __ATOMIC_RELAXED);
    return config;
}

void api_gateway_unref(struct api_gateway *config)
{
    if (config && __atomic_sub_fetch(&config->n_refs, 1, __ATOMIC_ACQ_REL) == 0)
        yaml_release(&root_value, config);
}
