/* SPDX-License-Identifier: Apache-2.0 */
/* balance/pace.c - how fast a server answers, learnt from its answers. */
#include "balance/pace.h"

static const double KEEP = 0.95; /* of what is known, at each answer: the last twenty count */

void pace_first(struct pace *p, uint64_t n_waiting_tokens, double seconds)
{
    const double speed = (double)n_waiting_tokens / (seconds > 1e-6 ? seconds : 1e-6);

    if (n_waiting_tokens == 0)
        return;
    if (p->prompt_tokens_per_s <= 0)
        p->prompt_tokens_per_s = speed;
    else
        p->prompt_tokens_per_s = KEEP * p->prompt_tokens_per_s + (1 - KEEP) * speed;
}

void pace_answer(struct pace *p, uint64_t n_tokens, double seconds, double n_running)
{
    double token_s;

    if (n_tokens < 2 || seconds < 0)
        return;
    token_s = seconds / (double)(n_tokens - 1);
    p->sum = KEEP * p->sum + 1;
    p->sum_n = KEEP * p->sum_n + n_running;
    p->sum_nn = KEEP * p->sum_nn + n_running * n_running;
    p->sum_s = KEEP * p->sum_s + token_s;
    p->sum_ns = KEEP * p->sum_ns + n_running * token_s;
}

double pace_token_s(const struct pace *p, double n_running)
{
    double spread, slope = 0, at_mean;

    if (p->sum <= 0)
        return 0;
    at_mean = p->sum_s / p->sum;
    spread = p->sum * p->sum_nn - p->sum_n * p->sum_n;
    if (spread > 0.01 * p->sum * p->sum) /* else all ran beside as many others */
        slope = (p->sum * p->sum_ns - p->sum_n * p->sum_s) / spread;
    if (slope < 0) /* more requests make nobody faster: it is noise */
        slope = 0;
    at_mean += slope * (n_running - p->sum_n / p->sum);
    return at_mean > 1e-6 ? at_mean : 1e-6;
}
