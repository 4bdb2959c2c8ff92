/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/canary.c - ask each model something small, from end to end, and judge the answer.
 *
 * The answer is compared by its hash and not kept.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"
#include "monitor/monitor_priv.h"

struct canary *canary_of(struct monitor *m, const char *model)
{
    struct canary *c;

    for (size_t i = 0; i < m->n_canaries; i++)
        if (strcmp(m->canaries[i].model, model) == 0)
            return &m->canaries[i];
    if (!model[0] || m->n_canaries == MODELS_WATCHED_MAX)
        return NULL;
    c = &m->canaries[m->n_canaries++];
    *c = (struct canary){ .monitor = m };
    (void)snprintf(c->model, sizeof(c->model), "%s", model);
    subject_name(c->subject, "model", model, NULL);
    return c;
}

uint64_t canary_open_ns(const struct monitor *m, const char *model)
{
    for (size_t i = 0; i < m->n_canaries; i++)
        if (strcmp(m->canaries[i].model, model) == 0)
            return m->canaries[i].open_ns;
    return 0;
}

static void judge(struct canary *c, const char *text, uint64_t now_ns)
{
    const char *expect = c->monitor->settings->canary.expect;
    const bool is_expected = !expect[0] || strstr(text, expect) != NULL;
    const unsigned n_wrong = canary_judge(&c->memory, c->signature, c->n_kinds,
                                          XXH3_64bits(text, strlen(text)), is_expected);

    ledger_observe(c->monitor->ledger, c->subject, CHECK_CANARY_WRONG, n_wrong,
                   n_wrong == 0  ? NULL
                   : is_expected ? "the answer is another than before"
                                 : "the answer is not the expected one",
                   now_ns);
}

/* {"choices":[{"text":"..."}]} */
static void take_answer(struct canary *c, const struct fetch_answer *answer)
{
    json_t *root = json_loadb(answer->bytes, answer->n, 0, NULL);
    const json_t *choice = json_array_get(json_object_get(root, "choices"), 0);
    const char *text = json_string_value(json_object_get(choice, "text"));

    if (text)
        judge(c, text, answer->ended_ns);
    json_decref(root);
}

static void on_answer(void *arg, const struct fetch_answer *answer)
{
    struct canary *c = arg;
    struct ledger *ledger = c->monitor->ledger;
    const bool is_refused = answer->status >= 400 && answer->status < 500 && answer->status != 429;

    c->open_ns = 0;
    if (is_refused) { /* a key is missing, or it makes vectors and no texts: nothing is wrong with it */
        c->is_senseless = answer->status != 401 && answer->status != 403 && answer->status != 404;
        return;
    }
    ledger_observe(ledger, c->subject, CHECK_CANARY_OK, answer->status == 200,
                   answer->status == 0 ? answer->why : NULL, answer->ended_ns);
    if (answer->status != 200)
        return;
    ledger_observe(ledger, c->subject, CHECK_CANARY_SECONDS,
                   (double)(answer->ended_ns - answer->begun_ns) / (double)NS_PER_S, NULL,
                   answer->ended_ns);
    take_answer(c, answer);
}

static void send_one(struct canary *c, uint64_t now_ns)
{
    const struct health_monitor *settings = c->monitor->settings;
    const struct target *someone = poll_someone(c->monitor);
    json_t *body =
        json_pack("{s:s, s:s, s:i, s:i, s:i}", "model", c->model, "prompt", settings->canary.prompt,
                  "max_tokens", (int)settings->canary.max_tokens, "temperature", 0, "seed", 1);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    if (someone && text &&
        monitor_ask(c->monitor, someone, "/v1/completions", text, settings->deadline.canary,
                    on_answer, c) == ST_OK)
        c->open_ns = now_ns;
    free(text);
    json_decref(body);
}

void canary_tick(struct monitor *m, uint64_t now_ns)
{
    for (size_t i = 0; i < m->n_canaries && !m->settings->canary.is_off; i++) {
        struct canary *c = &m->canaries[i];

        if (c->open_ns != 0 || c->is_senseless || !c->is_there || now_ns < c->next_ns)
            continue;
        c->next_ns = now_ns + (uint64_t)(m->settings->every.canary * (double)NS_PER_S);
        send_one(c, now_ns);
    }
}
