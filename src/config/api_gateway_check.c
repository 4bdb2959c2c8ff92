/* SPDX-License-Identifier: Apache-2.0 */
/* config/api_gateway_check.c - defaults of api_gateway.yaml, and what its schema cannot say.
 *
 * Each check is one function and one row of checks[]; it names the place of what is wrong,
 * and yaml_point() finds its line.
 */
#include "config/api_gateway_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/size.h"

enum {
    DAY_S = 86400,
    LEEWAY_MAX_S = 300,
    REFRESH_MIN_S = 60,
};

static void fill(uint32_t *value, uint32_t otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

static void fill_text(char *value, const char *otherwise)
{
    if (value[0] == '\0')
        memcpy(value, otherwise, strlen(otherwise) + 1);
}

static void complete_issuer(struct api_issuer *issuer)
{
    if (issuer->algorithms == 0)
        issuer->algorithms = issuer->secret_file[0] ? API_HS256 : API_RS256 | API_ES256 | API_EDDSA;
    fill(&issuer->leeway_s, 30);
    fill(&issuer->max_lifetime_s, DAY_S);
    fill(&issuer->refresh_s, 300);
    fill(&issuer->stale_s, DAY_S);
    fill_text(issuer->scopes_claim, "scope");
    fill_text(issuer->models_claim, "models");
    fill_text(issuer->tenant_claim, "tenant");
    fill_text(issuer->priority_claim, "priority");
}

void api_gateway_complete(struct api_gateway *c)
{
    for (unsigned i = 0; i < c->auth.issuers_count; i++)
        complete_issuer(&c->auth.issuers[i]);
    for (unsigned i = 0; i < c->upstreams_count; i++)
        api_upstream_complete(&c->upstreams[i]);
    if (c->metrics.port == 0)
        c->metrics.port = API_METRICS_PORT;
    api_traces_complete(&c->traces);
    api_server_complete(c);
    fill(&c->queue.requests, 1024);
    fill(&c->queue.wait_s, 300);
}

static enum status wrong(char *ret_place, const char *place, struct err *err, const char *words)
{
    (void)snprintf(ret_place, PLACE_MAX, "%s", place);
    return err_set(err, ST_RANGE, "%s: %s", place, words);
}

static bool is_url(const char *url)
{
    /* RFC 8725, section 3.10 is about keys fetched from where somebody else may write: only a
     * neighbour on this machine is asked in clear. */
    return strncmp(url, "https://", 8) == 0 || strncmp(url, "http://127.0.0.1:", 17) == 0 ||
           strncmp(url, "http://localhost:", 17) == 0 || strncmp(url, "http://[::1]:", 13) == 0;
}

static const char *issuer_fault(const struct api_issuer *i, const char **ret_field)
{
    const int n_sources = (i->jwks_file[0] != 0) + (i->jwks_url[0] != 0) + (i->secret_file[0] != 0);

    *ret_field = "issuer";
    if (n_sources != 1)
        return "give one of jwks_file, jwks_url and secret_file";
    *ret_field = "algorithms";
    if (i->secret_file[0] && i->algorithms != API_HS256)
        return "a secret_file is for HS256 alone";
    if (!i->secret_file[0] && (i->algorithms & API_HS256))
        return "HS256 needs a secret_file: with public keys anybody could sign";
    *ret_field = "jwks_url";
    if (i->jwks_url[0] && !is_url(i->jwks_url))
        return "it begins with https://, or with http:// and an address of this machine";
    *ret_field = "leeway_s";
    if (i->leeway_s > LEEWAY_MAX_S)
        return "at most 300";
    *ret_field = "refresh_s";
    if (i->refresh_s < REFRESH_MIN_S || i->refresh_s > DAY_S)
        return "between 60 and 86400";
    return NULL;
}

static enum status check_auth(const struct api_gateway *c, char *ret_place, struct err *err)
{
    for (unsigned i = 0; i < c->auth.issuers_count; i++) {
        const char *field, *fault = issuer_fault(&c->auth.issuers[i], &field);
        char place[PLACE_MAX];

        (void)snprintf(place, sizeof(place), "auth.issuers[%u].%s", i, field);
        if (fault)
            return wrong(ret_place, place, err, fault);
        for (unsigned k = 0; k < i; k++)
            if (strcmp(c->auth.issuers[i].issuer, c->auth.issuers[k].issuer) == 0)
                return wrong(ret_place, place, err, "another has this name");
    }
    if (c->auth.issuers_count > 0 && !c->auth.required)
        return wrong(ret_place, "auth.required", err,
                     "there are issuers, so say 'required: true': tokens would not be looked at");
    return ST_OK;
}

static enum status check_names(const struct api_named_limits *rows, unsigned n, const char *what,
                               char *ret_place, struct err *err)
{
    for (unsigned i = 0; i < n; i++)
        for (unsigned k = 0; k < i; k++) {
            char place[PLACE_MAX];

            (void)snprintf(place, sizeof(place), "limits.%s[%u].name", what, i);
            if (strcmp(rows[i].name, rows[k].name) == 0)
                return wrong(ret_place, place, err, "another has this name");
        }
    return ST_OK;
}

static enum status check_limits(const struct api_gateway *c, char *ret_place, struct err *err)
{
    const enum status s =
        check_names(c->limits.tenants, c->limits.tenants_count, "tenants", ret_place, err);

    return s != ST_OK
               ? s
               : check_names(c->limits.models, c->limits.models_count, "models", ret_place, err);
}

static enum status check_metrics(const struct api_gateway *c, char *ret_place, struct err *err)
{
    struct address address;

    if (!c->metrics.host[0] ||
        address_parse(c->metrics.host, c->metrics.port, &address, NULL) == ST_OK)
        return ST_OK;
    return wrong(ret_place, "metrics.host", err, "it is a numeric address, as 127.0.0.1 or ::");
}

static enum status check_upstreams(const struct api_gateway *c, char *ret_place, struct err *err)
{
    for (unsigned i = 0; i < c->upstreams_count; i++) {
        const char *field, *fault = api_upstream_fault(&c->upstreams[i], &field);
        char place[PLACE_MAX];

        (void)snprintf(place, sizeof(place), "upstreams[%u].%s", i, field);
        if (fault)
            return wrong(ret_place, place, err, fault);
        (void)snprintf(place, sizeof(place), "upstreams[%u].name", i);
        for (unsigned k = 0; k < i; k++)
            if (strcmp(c->upstreams[i].name, c->upstreams[k].name) == 0)
                return wrong(ret_place, place, err, "another has this name");
    }
    return ST_OK;
}

static enum status (*const checks[])(const struct api_gateway *, char *, struct err *) = {
    check_auth, check_limits, check_metrics, check_upstreams, api_server_check, api_traces_check,
};

enum status api_gateway_check(const struct api_gateway *config, char *ret_place, struct err *err)
{
    enum status s = ST_OK;

    for (size_t i = 0; i < ARRAY_LEN(checks) && s == ST_OK; i++)
        s = checks[i](config, ret_place, err);
    return s;
}
