/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/access.c - may this request be answered?
 *
 * Who asks is told the same of a key that never was, one that was revoked and one that is out of date;
 * only a token of a known issuer, with a good signature, is told that it expired.
 */
#include "gateway/guard/access.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "base/address.h"
#include "base/clock.h"
#include "gateway/guard/accounts.h"
#include "gateway/guard/hosts.h"
#include "gateway/guard/issuers.h"
#include "gateway/guard/jwt.h"
#include "gateway/guard/limit_words.h"
#include "gateway/guard/policy.h"
#include "gateway/guard/reservation.h"

enum {
    DAY_S = 86400,
    PARKED_MAX = 1024,
    BYTES_PER_TOKEN = 4, /* of a prompt, before it is tokenised */
    ANSWER_TOKENS = 256, /* where the request does not bound its answer */
};

/* An exchange that waits for keys. */
struct parked {
    struct access *access;
    struct exchange *x;
    struct parked *next, **link;
};

struct access {
    struct access_files *files;
    struct issuers *issuers;
    struct limits *limits;
    struct parked *parked;
    size_t n_parked;
    access_resume_fn *resume;
    void *resume_arg;
    bool is_on_loopback;
};

/* Who asks, kept by the exchange. */
struct caller {
    struct principal who;
    struct limits_claim claim; /* its one request */
    bool has_claim;
};

static int64_t today(void)
{
    return clock_unix_s() / DAY_S;
}

static void unpark(struct parked *p)
{
    *p->link = p->next;
    if (p->next)
        p->next->link = p->link;
    p->access->n_parked--;
    free(p);
}

static void parked_gone(void *arg)
{
    unpark(arg);
}

static void resume_all(void *arg)
{
    struct access *a = arg;
    struct parked *all = a->parked;

    if (all)
        all->link = &all; /* who is parked again is not among these */
    a->parked = NULL;
    while (all) {
        struct exchange *x = all->x;

        exchange_on_close(x, NULL, NULL);
        unpark(all);
        a->resume(a->resume_arg, x);
    }
}

static bool park(struct access *a, struct exchange *x)
{
    struct parked *p = a->n_parked < PARKED_MAX ? calloc(1, sizeof(*p)) : NULL;

    if (!p)
        return false;
    *p = (struct parked){ a, x, a->parked, &a->parked };
    if (p->next)
        p->next->link = &p->next;
    a->parked = p;
    a->n_parked++;
    exchange_on_close(x, parked_gone, p);
    return true;
}

enum status access_new(struct loop *loop, const char *listen_host, access_resume_fn *resume,
                       void *arg, struct access **ret_access, struct err *err)
{
    struct access *a = calloc(1, sizeof(*a));
    enum status s;

    if (!a)
        return err_set(err, ST_NOMEM, "the guard of the API");
    a->resume = resume;
    a->resume_arg = arg;
    a->is_on_loopback = host_is_loopback(listen_host);
    s = issuers_new(loop, &a->issuers, err);
    if (s == ST_OK)
        s = limits_new(&a->limits, err);
    if (s != ST_OK) {
        access_free(a);
        return s;
    }
    issuers_on_fetched(a->issuers, resume_all, a);
    *ret_access = a;
    return ST_OK;
}

void access_free(struct access *a)
{
    if (!a)
        return;
    issuers_free(a->issuers);
    limits_free(a->limits);
    access_files_unref(a->files);
    free(a);
}

void access_set(struct access *a, struct access_files *files)
{
    access_files_unref(a->files);
    a->files = access_files_ref(files);
    issuers_set(a->issuers, files);
}

/* What the header says of who asks. */
struct credentials {
    const char *bearer, *key;
    size_t n_bearers, n_keys;
};

static struct credentials credentials_of(const struct exchange *x)
{
    return (struct credentials){ exchange_header(x, "Authorization"),
                                 exchange_header(x, "x-api-key"),
                                 exchange_count_headers(x, "Authorization"),
                                 exchange_count_headers(x, "x-api-key") };
}

static struct credentials credentials_of_head(const struct http_head *head)
{
    return (struct credentials){ http_head_find(head, "Authorization"),
                                 http_head_find(head, "x-api-key"),
                                 http_head_count(head, "Authorization"),
                                 http_head_count(head, "x-api-key") };
}

/* The one credential of the header: [*ret_n] lent.  NULL: none, or more than one. */
static const char *credential(const struct credentials *c, size_t *ret_n)
{
    static const char scheme[] = "Bearer ";
    const char *text = c->n_bearers ? c->bearer : c->key;

    if (c->n_bearers + c->n_keys != 1)
        return NULL;
    if (c->n_bearers) {
        if (strncasecmp(text, scheme, sizeof(scheme) - 1) != 0)
            return NULL;
        text += sizeof(scheme) - 1;
        text += strspn(text, " ");
    }
    *ret_n = strlen(text);
    return *ret_n > 0 ? text : NULL;
}

static enum status not_known(struct api_error *e)
{
    (void)api_error_set(e, API_KEY_INVALID, NULL,
                        "Incorrect API key or token provided. Send one as 'Authorization: Bearer "
                        "...' or 'x-api-key: ...'.");
    return ST_DENIED;
}

static enum status by_key(const struct access *a, const char *text, size_t n, struct principal *ret,
                          struct api_error *e)
{
    const struct api_key *key = api_keys_find(a->files->keys, text, n);

    if (!key || (key->who.expires_s && key->who.expires_s <= clock_unix_s()))
        return not_known(e);
    *ret = key->who;
    return ST_OK;
}

/* ST_DEADLINE: a fetch of keys is under way that may help. */
static enum status by_verdict(struct access *a, enum jwt_fault fault, unsigned issuer,
                              struct api_error *e)
{
    if (fault == JWT_FINE)
        return ST_OK;
    if (fault == JWT_UNKNOWN_KEY && issuers_renew(a->issuers, issuer))
        return ST_DEADLINE;
    if (fault != JWT_EXPIRED)
        return not_known(e);
    (void)api_error_set(e, API_TOKEN_EXPIRED, NULL, "The token has expired.");
    return ST_DENIED;
}

static enum status by_token(struct access *a, const char *text, size_t n, struct principal *ret,
                            struct api_error *e)
{
    const struct api_auth *auth = &a->files->settings->auth;
    const struct jwks *keys;
    struct jwt jwt;
    enum jwt_fault fault = jwt_read(text, n, &jwt);
    int issuer;

    if (fault != JWT_FINE)
        return not_known(e);
    issuer = jwt_issuer(&jwt, auth->issuers, auth->issuers_count);
    if (issuer < 0) {
        jwt_release(&jwt);
        return not_known(e);
    }
    keys = issuers_keys(a->issuers, (unsigned)issuer);
    fault = keys ? jwt_verify(&jwt, &auth->issuers[issuer], keys, clock_unix_s(), ret)
                 : JWT_UNKNOWN_KEY;
    jwt_release(&jwt);
    if (!keys && !issuers_renew(a->issuers, (unsigned)issuer)) {
        (void)api_error_set(e, API_OVERLOADED, NULL, "The token's issuer does not answer.");
        return ST_PEER;
    }
    return by_verdict(a, fault, (unsigned)issuer, e);
}

static enum status identify(struct access *a, const struct credentials *given,
                            struct principal *ret, struct api_error *e)
{
    size_t n = 0;
    const char *text = credential(given, &n);

    if (!text)
        return not_known(e);
    return memchr(text, '.', n) ? by_token(a, text, n, ret, e) : by_key(a, text, n, ret, e);
}

static const struct api_all_limits *limits_now(const struct access *a)
{
    return &a->files->settings->limits;
}

static void show_limits(struct access *a, struct exchange *x, const struct principal *who)
{
    const struct limits_of of = account_of_key(limits_now(a), who);
    const struct limits_view view = limits_look(a->limits, &of, clock_ns());

    limit_headers(x, &view);
}

/* One request of the key and the tenant. */
static enum status count_request(struct access *a, struct caller *c, struct api_error *e)
{
    const struct limits_of of[] = { account_of_key(limits_now(a), &c->who),
                                    account_of_tenant(limits_now(a), &c->who) };
    const struct limits_cost one = { .requests = 1 };
    const struct limits_answer answer =
        limits_take(a->limits, of, 2, one, clock_ns(), today(), &c->claim);

    if (answer.verdict != LIMITS_GRANTED)
        return limit_error(&answer, "requests", of[answer.which].name, e);
    c->has_claim = true;
    return ST_OK;
}

static enum status check_scope(const struct principal *who, const struct policy *policy,
                               struct api_error *e)
{
    if (principal_may(who, policy->scopes))
        return ST_OK;
    (void)api_error_set(e, API_SCOPE, NULL, "This key may not use this address.");
    return ST_DENIED;
}

static enum status admit(struct access *a, struct exchange *x, const struct policy *policy,
                         struct api_error *e)
{
    const struct credentials given = credentials_of(x);
    struct caller *c = calloc(1, sizeof(*c));
    enum status s;

    if (!c) {
        (void)api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
        return ST_NOMEM;
    }
    s = identify(a, &given, &c->who, e);
    if (s != ST_OK) {
        free(c);
        return s;
    }
    exchange_set_caller(x, c);
    exchange_note_who(x, c->who.name);
    s = check_scope(&c->who, policy, e);
    if (s == ST_OK && policy->scopes != SCOPE_ADMIN)
        s = count_request(a, c, e);
    show_limits(a, x, &c->who);
    return s;
}

/* Who needs no key is known by nothing but that it asks on this machine, which a page can make a browser do. */
static bool is_strange_host(const struct access *a, const char *host, struct api_error *e)
{
    if (!a->is_on_loopback || host_may_be_asked(host, a->files->settings))
        return false;
    (void)api_error_set(e, API_HOST, NULL,
                        "Nobody may ask here for the host '%.100s'; 'hosts' of the gateway's "
                        "settings says by which names one may, beside localhost and addresses.",
                        host);
    return true;
}

bool access_admit(struct access *a, struct exchange *x, const char *route_path)
{
    const struct policy *policy = policy_find(route_path);
    struct api_error e;
    enum status s;

    exchange_shape_errors(x, policy->errors);
    if (!a->files)
        return true;
    if (!a->files->settings->auth.required) {
        if (!is_strange_host(a, exchange_header(x, "Host"), &e))
            return true;
        exchange_fail(x, &e);
        return false;
    }
    if (policy->is_public)
        return true;
    s = admit(a, x, policy, &e);
    if (s == ST_OK)
        return true;
    if (s == ST_DEADLINE) {
        if (park(a, x))
            return false;
        (void)api_error_set(&e, API_OVERLOADED, NULL, "Too many tokens wait for their keys.");
    }
    exchange_fail(x, &e);
    return false;
}

bool access_refuses(struct access *a, const struct http_head *head, const char *route_path,
                    struct api_error *e, const struct error_shape **ret_errors)
{
    const struct policy *policy = policy_find(route_path);
    const struct credentials given = credentials_of_head(head);
    struct principal who;
    enum status s;

    *ret_errors = policy->errors;
    if (!a->files)
        return false;
    if (!a->files->settings->auth.required)
        return is_strange_host(a, http_head_find(head, "Host"), e);
    if (policy->is_public)
        return false;
    s = identify(a, &given, &who, e);
    if (s == ST_OK)
        s = check_scope(&who, policy, e);
    return s != ST_OK && s != ST_DEADLINE;
}

/* At most: what is in the body, and the answers it asks for. */
static uint64_t estimate(const struct exchange *x, const struct api_request *r)
{
    const uint64_t n_answers = (uint64_t)r->n * (r->n_prompts ? r->n_prompts : 1);
    size_t n;

    (void)exchange_body(x, &n);
    return n / BYTES_PER_TOKEN + 1 + n_answers * (r->max_tokens ? r->max_tokens : ANSWER_TOKENS);
}

/* Tokens and a running request of key and tenant, then of the model. */
static enum status reserve(struct access *a, const struct caller *c, const char *model,
                           uint64_t n_tokens, struct reservation *reservation, struct api_error *e)
{
    const struct limits_of of_model = account_of_model(limits_now(a), model);
    struct limits_cost cost = { .running = 1, .tokens = n_tokens };
    struct limits_answer answer;

    if (c) {
        const struct limits_of of[] = { account_of_key(limits_now(a), &c->who),
                                        account_of_tenant(limits_now(a), &c->who) };

        answer = limits_take(a->limits, of, 2, cost, clock_ns(), today(),
                             &reservation->claims[reservation->n_claims]);
        if (answer.verdict != LIMITS_GRANTED)
            return limit_error(&answer, model, of[answer.which].name, e);
        reservation->n_claims++;
    }
    cost.requests = 1;
    answer = limits_take(a->limits, &of_model, 1, cost, clock_ns(), today(),
                         &reservation->claims[reservation->n_claims]);
    if (answer.verdict != LIMITS_GRANTED)
        return limit_error(&answer, model, "all", e);
    reservation->n_claims++;
    return ST_OK;
}

static enum status check_model(const struct caller *c, const char *model, struct api_error *e)
{
    if (!c || principal_may_use(&c->who, model))
        return ST_OK;
    (void)api_error_set(e, API_MODEL_DENIED, "model", "This key may not use the model '%.128s'.",
                        model);
    return ST_DENIED;
}

uint64_t access_tenant(const struct exchange *x)
{
    const struct caller *c = exchange_caller(x);
    const char *tenant;

    if (!c)
        return 0;
    tenant = account_tenant(&c->who);
    return XXH3_64bits(tenant, strlen(tenant));
}

bool access_may_end(const struct exchange *x, uint64_t owner)
{
    const struct caller *c = exchange_caller(x);

    return !c || (c->who.scopes & SCOPE_ADMIN) || access_tenant(x) == owner;
}

enum status access_grant(struct access *a, struct exchange *x, struct api_request *r,
                         struct api_error *e)
{
    struct caller *c = exchange_caller(x);
    struct reservation *reservation;
    enum status s = check_model(c, r->model, e);

    if (s != ST_OK || !a->files)
        return s;
    /* nobody is served sooner than the settings allow, whatever the request says of itself */
    if (account_is_batch(limits_now(a), c ? &c->who : NULL, r->model))
        r->priority = PRIORITY_BATCH;
    reservation = calloc(1, sizeof(*reservation));
    if (!reservation) {
        (void)api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
        return ST_NOMEM;
    }
    reservation->limits = a->limits;
    s = reserve(a, c, r->model, estimate(x, r), reservation, e);
    if (c && c->has_claim && s == ST_OK) {
        reservation->claims[reservation->n_claims++] = c->claim;
        c->has_claim = false;
    }
    if (s == ST_OK)
        r->reservation = reservation;
    else
        reservation_end(reservation, 0, false);
    if (c) {
        r->tenant = access_tenant(x);
        show_limits(a, x, &c->who);
    }
    return s;
}

json_t *access_save(const struct access *a)
{
    return limits_save(a->limits, today());
}

void access_restore(struct access *a, const json_t *saved)
{
    limits_restore(a->limits, saved, today());
}
