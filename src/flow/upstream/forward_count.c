/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/forward_count.c - what a forwarded answer came to is counted, as one from here is.
 *
 * Tokens are those the upstream tells.  Where a stream tells none, the answer's are its events, about, and the
 * prompt's what was reserved for it.  Of an answer in one piece nobody here knows when its first token was there.
 */
#include "base/clock.h"
#include "flow/count.h"
#include "flow/upstream/forward_priv.h"
#include "metrics/metrics.h"

enum { OK = 200, CLIENT_ERROR = 400 };

static double seconds(uint64_t from_ns, uint64_t to_ns)
{
    return (double)(to_ns - from_ns) / (double)NS_PER_S;
}

/* A Pomona says how many tokens it is at; of others each event is about one. */
static uint64_t new_tokens(const struct forward *f, const struct events_seen *seen)
{
    if (seen->resume_tokens > 0)
        return seen->resume_tokens - f->seen.resume_tokens;
    return f->at->kind->can_resume && f->may_resume ? 0 : seen->n_events - f->seen.n_events;
}

void forward_count_events(struct forward *f, const struct events_seen *seen, const char *bytes,
                          size_t n)
{
    uint64_t n_new = new_tokens(f, seen);
    double each;

    tally_look(&f->tally, bytes, n);
    if (n_new == 0)
        return;
    if (f->token_ns == 0) {
        metric_observe(METRIC_FIRST_TOKEN, seconds(f->begun_ns, f->last_ns));
        f->token_ns = f->last_ns;
        n_new--;
    }
    if (n_new == 0 || !f->may_resume) /* of several choices the last token may be another's */
        return;
    each = seconds(f->token_ns, f->last_ns) / (double)n_new;
    for (uint64_t i = 0; i < n_new && i < n;
         i++) /* no event is shorter than a byte, whatever it says */
        metric_observe(METRIC_NEXT_TOKEN, each);
    f->token_ns = f->last_ns;
}

static void count_finishes(const struct tally *t)
{
    const struct {
        uint32_t n;
        enum finish_reason finish;
    } rows[] = { { t->n_stopped, FINISH_STOP },
                 { t->n_too_long, FINISH_LENGTH },
                 { t->n_called, FINISH_TOOL_CALLS },
                 { t->n_other, FINISH_CANCELED } };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (uint32_t k = 0; k < rows[i].n && k < REQUEST_CHOICES_MAX; k++)
            flow_count_finish(rows[i].finish);
}

static struct reply_usage usage_of(const struct forward *f)
{
    struct reply_usage usage = f->tally.usage;

    if (!f->tally.has_usage && f->seen.n_events > 0) {
        usage.prompt_tokens = f->wanted.n_prompt_tokens;
        usage.completion_tokens = f->seen.resume_tokens ? f->seen.resume_tokens : f->seen.n_events;
    }
    return usage;
}

void forward_count_end(struct forward *f)
{
    struct reply_usage usage;

    if (f->head.status >= CLIENT_ERROR)
        flow_count_failure(f->head.status);
    else if (f->seen.has_error)
        flow_count_failure(api_error_http(API_UPSTREAM));
    if (f->head.status != OK || f->seen.has_error)
        return;
    if (!forward_is_stream(f))
        tally_look(&f->tally, buf_text(&f->held), f->held.len);
    usage = usage_of(f);
    count_finishes(&f->tally);
    flow_count_end(&usage, f->begun_ns);
    exchange_note_tokens(f->x, usage.prompt_tokens, usage.completion_tokens);
}
