/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/common.c - the parameters that chat and plain completions share.
 *
 * Unknown keys are ignored, as clients send hints of their own; a known key
 * that changes what the answer is must be obeyed or refused.
 */
#include "gateway/dialect/common.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/size.h"
#include "gateway/dialect/constraint.h"

enum {
    TOKENS_MAX = 1 << 30,
    TOKEN_ID_MAX = 1 << 30,
    BIAS_TEXT_BYTES_MAX = 4096, /* made tokens on the loop */
};

bool is_false_value(const json_t *value, const json_t *body)
{
    (void)body;
    return json_is_false(value);
}

bool is_empty_value(const json_t *value, const json_t *body)
{
    (void)body;
    if (json_is_string(value))
        return json_string_length(value) == 0;
    return (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

bool is_never_value(const json_t *value, const json_t *body)
{
    (void)value;
    (void)body;
    return false;
}

static bool is_true_value(const json_t *value, const json_t *body)
{
    (void)body;
    return json_is_true(value);
}

bool is_one_value(const json_t *value, const json_t *body)
{
    (void)body;
    return json_is_number(value) && json_number_value(value) == 1;
}

static bool is_zero_value(const json_t *value, const json_t *body)
{
    (void)body;
    return json_is_number(value) && json_number_value(value) == 0;
}

static bool is_not_positive(const json_t *value, const json_t *body)
{
    (void)body;
    return json_is_number(value) && json_number_value(value) <= 0;
}

enum status refuse_params(const json_t *body, const struct refused_param *params, size_t n_params,
                          struct api_error *e)
{
    for (size_t i = 0; i < n_params; i++) {
        const json_t *value = param_get(body, params[i].name);

        if (value && !params[i].is_harmless(value, body))
            return api_error_set(e, API_UNSUPPORTED, params[i].name,
                                 "'%s' is not supported with this value. %s", params[i].name,
                                 params[i].instead);
    }
    return ST_OK;
}

#define SAMPLERS "Tokens are drawn by temperature, top_p, top_k and min_p."

/* Not done by any dialect here; values that turn it off are as good as none. */
static const struct refused_param refused[] = {
    { "typical_p", is_one_value, SAMPLERS },
    { "tfs_z", is_one_value, SAMPLERS },
    { "mirostat", is_zero_value, SAMPLERS },
    { "dry_multiplier", is_zero_value, SAMPLERS },
    { "xtc_probability", is_zero_value, SAMPLERS },
    { "dynatemp_range", is_zero_value, SAMPLERS },
    { "top_n_sigma", is_not_positive, SAMPLERS },
    { "use_beam_search", is_false_value, "Ask for 'n' answers." },
    { "length_penalty", is_one_value, "Leave it out." },
    { "allowed_token_ids", is_empty_value, "Send 'grammar' or 'logit_bias'." },
    { "bad_words", is_empty_value, "Send 'logit_bias'." },
    { "logits_processors", is_empty_value, "Leave it out." },
    { "truncate_prompt_tokens", is_never_value, "Send a shorter prompt." },
    { "skip_special_tokens", is_true_value, "Special tokens are not shown." },
    { "return_token_ids", is_false_value, "POST /tokenize tells tokens." },
    { "post_sampling_probs", is_false_value, "Send 'logprobs'." },
    { "prompt_logprobs", is_never_value, "Leave it out." },
    { "chat_template", is_never_value, "The model's own template is used." },
};

static enum status parse_floats(const json_t *body, struct api_request *r, struct api_error *e)
{
    static const struct row {
        const char *name;
        double min, max;
        size_t offset; /* of a float in struct sampling */
    } rows[] = {
        { "temperature", 0, 2, offsetof(struct sampling, temperature) },
        { "top_p", 0, 1, offsetof(struct sampling, top_p) },
        { "min_p", 0, 1, offsetof(struct sampling, min_p) },
        { "frequency_penalty", -2, 2, offsetof(struct sampling, frequency_penalty) },
        { "presence_penalty", -2, 2, offsetof(struct sampling, presence_penalty) },
        { "repeat_penalty", 0.01, 100, offsetof(struct sampling, repetition_penalty) },
        { "repetition_penalty", 0.01, 100, offsetof(struct sampling, repetition_penalty) },
    };
    enum status s = ST_OK;

    for (size_t i = 0; i < ARRAY_LEN(rows) && s == ST_OK; i++)
        s = param_float(body, rows[i].name, rows[i].min, rows[i].max,
                        (float *)(void *)((char *)&r->sampling + rows[i].offset), e);
    return s;
}

/* top_k: -1 is how vLLM's clients, 0 how llama.cpp's write "off". */
static enum status parse_top_k(const json_t *body, struct api_request *r, struct api_error *e)
{
    int64_t top_k = 0;
    const enum status s = param_int(body, "top_k", -1, INT32_MAX, &top_k, e);

    if (s == ST_OK)
        r->sampling.top_k = top_k < 0 ? 0 : (uint32_t)top_k;
    return s;
}

static enum status parse_seed(const json_t *body, struct api_request *r, struct api_error *e)
{
    int64_t seed = 0;
    const enum status s = param_int(body, "seed", INT64_MIN, INT64_MAX, &seed, e);

    if (s != ST_OK)
        return s;
    r->has_seed = param_get(body, "seed") != NULL;
    r->sampling.seed = (uint64_t)seed;
    return ST_OK;
}

static enum status add_stop(const json_t *value, struct api_request *r, struct api_error *e)
{
    if (!json_is_string(value))
        return param_wrong_type("stop", "a string or an array of strings", value, e);
    if (json_string_length(value) == 0)
        return api_error_set(e, API_INVALID_VALUE, "stop", "A stop string must not be empty.");
    if (json_string_length(value) > REQUEST_STOP_BYTES_MAX)
        return api_error_set(e, API_INVALID_VALUE, "stop",
                             "A stop string must not be longer than %d bytes.",
                             REQUEST_STOP_BYTES_MAX);
    if (r->n_stops == REQUEST_STOPS_MAX)
        return api_error_set(e, API_INVALID_VALUE, "stop", "At most %d stop strings are allowed.",
                             REQUEST_STOPS_MAX);
    r->stops[r->n_stops] = strdup(json_string_value(value));
    if (!r->stops[r->n_stops])
        return param_no_memory(e);
    r->n_stops++;
    return ST_OK;
}

static enum status parse_stop(const json_t *body, struct api_request *r, struct api_error *e)
{
    const json_t *stop = param_get(body, "stop");
    enum status s = ST_OK;

    if (!stop)
        return ST_OK;
    if (!json_is_array(stop))
        return add_stop(stop, r, e);
    for (size_t i = 0; i < json_array_size(stop) && s == ST_OK; i++)
        s = add_stop(json_array_get(stop, i), r, e);
    return s;
}

static enum status parse_stop_tokens(const json_t *body, struct api_request *r, struct api_error *e)
{
    static const char name[] = "stop_token_ids";
    const json_t *ids = param_get(body, name);

    if (!ids)
        return ST_OK;
    if (!json_is_array(ids))
        return param_wrong_type(name, "an array of integers", ids, e);
    if (json_array_size(ids) > STOP_TOKENS_MAX)
        return api_error_set(e, API_INVALID_VALUE, name, "At most %d stop tokens are allowed.",
                             STOP_TOKENS_MAX);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);

        if (!json_is_integer(id))
            return param_wrong_type(name, "an array of integers", id, e);
        if (json_integer_value(id) < 0 || json_integer_value(id) > TOKEN_ID_MAX)
            return api_error_set(e, API_INVALID_VALUE, name, "A stop token is out of range.");
        r->stop_tokens[r->n_stop_tokens++] = (int32_t)json_integer_value(id);
    }
    return ST_OK;
}

static enum status bias_of(const json_t *value, double *ret, struct api_error *e)
{
    const double bias = json_is_false(value) ? -100 : json_number_value(value); /* false: never */

    if (!json_is_number(value) && !json_is_false(value))
        return param_wrong_type("logit_bias", "numbers as its values", value, e);
    if (!(bias >= -100 && bias <= 100))
        return api_error_set(e, API_INVALID_VALUE, "logit_bias",
                             "The values of 'logit_bias' must be between -100 and 100.");
    *ret = bias;
    return ST_OK;
}

static enum status add_bias(json_int_t id, const json_t *value, struct api_request *r,
                            struct api_error *e)
{
    double bias = 0;
    enum status s = bias_of(value, &bias, e);

    if (s != ST_OK)
        return s;
    if (id < 0 || id > TOKEN_ID_MAX)
        return api_error_set(e, API_INVALID_VALUE, "logit_bias",
                             "The keys of 'logit_bias' must be token ids.");
    r->logit_bias[r->sampling.n_logit_bias++] = (struct logit_bias){ (int32_t)id, (float)bias };
    return ST_OK;
}

/* Which tokens that is the model says. */
static enum status add_bias_text(const json_t *text, const json_t *value, size_t *n_bytes,
                                 struct api_request *r, struct api_error *e)
{
    double bias = 0;
    enum status s = bias_of(value, &bias, e);

    if (s != ST_OK)
        return s;
    *n_bytes += json_string_length(text);
    if (*n_bytes > BIAS_TEXT_BYTES_MAX)
        return api_error_set(e, API_INVALID_VALUE, "logit_bias",
                             "The texts of 'logit_bias' are more than %d bytes together.",
                             BIAS_TEXT_BYTES_MAX);
    if (!r->bias_texts)
        r->bias_texts = json_array();
    return json_array_append_new(r->bias_texts, json_pack("[Of]", text, bias)) == 0
               ? ST_OK
               : param_no_memory(e);
}

/* -1: it is no number. */
static json_int_t token_id(const char *key)
{
    char *end;
    long id;

    errno = 0;
    id = strtol(key, &end, 10);
    return errno || end == key || *end ? -1 : id;
}

/* [[id or text, bias]...], as llama.cpp has it. */
static enum status parse_bias_pairs(const json_t *pairs, struct api_request *r, struct api_error *e)
{
    enum status s = ST_OK;
    size_t n_bytes = 0;

    for (size_t i = 0; i < json_array_size(pairs) && s == ST_OK; i++) {
        const json_t *pair = json_array_get(pairs, i);
        const json_t *which = json_array_get(pair, 0), *value = json_array_get(pair, 1);

        if (json_array_size(pair) != 2 || (!json_is_integer(which) && !json_is_string(which)))
            return param_wrong_type("logit_bias", "pairs of a token id or a text, and a number",
                                    pair, e);
        s = json_is_string(which) ? add_bias_text(which, value, &n_bytes, r, e)
                                  : add_bias(json_integer_value(which), value, r, e);
    }
    return s;
}

static enum status parse_bias_object(json_t *bias, struct api_request *r, struct api_error *e)
{
    const char *key;
    json_t *value;

    json_object_foreach(bias, key, value)
    {
        const enum status s = add_bias(token_id(key), value, r, e);

        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static enum status parse_logit_bias(const json_t *body, struct api_request *r, struct api_error *e)
{
    json_t *bias = param_get(body, "logit_bias");
    const size_t n = json_is_array(bias) ? json_array_size(bias) : json_object_size(bias);

    if (!bias)
        return ST_OK;
    if (!json_is_object(bias) && !json_is_array(bias))
        return param_wrong_type("logit_bias", "an object of token ids and numbers", bias, e);
    if (n > REQUEST_LOGIT_BIAS_MAX)
        return api_error_set(e, API_INVALID_VALUE, "logit_bias",
                             "'logit_bias' has more than %d entries.", REQUEST_LOGIT_BIAS_MAX);
    if (n == 0)
        return ST_OK;
    r->logit_bias = calloc(n, sizeof(*r->logit_bias));
    if (!r->logit_bias)
        return param_no_memory(e);
    r->sampling.logit_bias = r->logit_bias;
    return json_is_array(bias) ? parse_bias_pairs(bias, r, e) : parse_bias_object(bias, r, e);
}

/* Newer names win: max_completion_tokens over max_tokens over llama.cpp's n_predict. */
static enum status parse_lengths(const json_t *body, struct api_request *r, struct api_error *e)
{
    int64_t n_predict = -1;
    enum status s = param_int(body, "n_predict", -2, TOKENS_MAX, &n_predict, e);

    if (s == ST_OK && n_predict > 0)
        r->max_tokens = (uint32_t)n_predict;
    if (s == ST_OK)
        s = param_u32(body, "max_tokens", 1, TOKENS_MAX, &r->max_tokens, e);
    if (s == ST_OK)
        s = param_u32(body, "max_completion_tokens", 1, TOKENS_MAX, &r->max_tokens, e);
    if (s == ST_OK)
        s = param_u32(body, "min_tokens", 0, TOKENS_MAX, &r->min_tokens, e);
    if (s == ST_OK && r->max_tokens && r->min_tokens > r->max_tokens)
        return api_error_set(e, API_INVALID_VALUE, "min_tokens",
                             "'min_tokens' must not be more than the most tokens allowed.");
    return s;
}

static enum status parse_stream(const json_t *body, struct api_request *r, struct api_error *e)
{
    const json_t *options = param_get(body, "stream_options");
    enum status s = param_bool(body, "stream", &r->streams, e);

    if (s == ST_OK)
        s = param_bool(body, "return_progress", &r->tells_progress, e); /* llama.cpp's */
    if (s != ST_OK || !options)
        return s;
    if (!json_is_object(options))
        return param_wrong_type("stream_options", "an object", options, e);
    return param_bool(options, "include_usage", &r->includes_usage, e);
}

/* Requests of one end user are one tenant; the newer name wins. */
static enum status parse_tenant(const json_t *body, struct api_request *r, struct api_error *e)
{
    static const char *const names[] = { "user", "safety_identifier" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const json_t *name = param_get(body, names[i]);

        if (!name)
            continue;
        if (!json_is_string(name))
            return param_wrong_type(names[i], "a string", name, e);
        r->tenant = XXH3_64bits(json_string_value(name), json_string_length(name));
    }
    return ST_OK;
}

/* Requests of one key begin alike, so where the first was answered its prompt is in the cache. */
static enum status parse_session(const json_t *body, struct api_request *r, struct api_error *e)
{
    static const char name[] = "prompt_cache_key";
    const json_t *key = param_get(body, name);

    if (!key)
        return ST_OK;
    if (!json_is_string(key))
        return param_wrong_type(name, "a string", key, e);
    r->session = XXH3_64bits(json_string_value(key), json_string_length(key));
    return ST_OK;
}

/* vLLM's: what is cached is found by requests of the same salt alone, and of the same tenant anyhow. */
static enum status parse_cache_salt(const json_t *body, struct api_request *r, struct api_error *e)
{
    static const char name[] = "cache_salt";
    const json_t *salt = param_get(body, name);

    if (!salt)
        return ST_OK;
    if (!json_is_string(salt))
        return param_wrong_type(name, "a string", salt, e);
    r->cache_salt = XXH3_64bits(json_string_value(salt), json_string_length(salt));
    return ST_OK;
}

/* "flex" asks for less and waits longer; the other tiers are one here. */
static enum status parse_service_tier(const json_t *body, struct api_request *r,
                                      struct api_error *e)
{
    static const struct {
        const char *name;
        enum priority priority;
    } tiers[] = {
        { "auto", PRIORITY_INTERACTIVE },     { "default", PRIORITY_INTERACTIVE },
        { "priority", PRIORITY_INTERACTIVE }, { "scale", PRIORITY_INTERACTIVE },
        { "flex", PRIORITY_BATCH },
    };
    const json_t *tier = param_get(body, "service_tier");

    if (!tier)
        return ST_OK;
    if (!json_is_string(tier))
        return param_wrong_type("service_tier", "a string", tier, e);
    for (size_t i = 0; i < ARRAY_LEN(tiers); i++) {
        if (strcmp(json_string_value(tier), tiers[i].name) != 0)
            continue;
        r->priority = tiers[i].priority;
        return ST_OK;
    }
    return api_error_set(e, API_INVALID_VALUE, "service_tier",
                         "'service_tier' must be 'auto', 'default', 'flex', 'scale' or "
                         "'priority'.");
}

/* vLLM's: the lower, the sooner; to be served before others is not for a request to say. */
static enum status parse_priority(const json_t *body, struct api_request *r, struct api_error *e)
{
    int64_t priority = 0;
    const enum status s = param_int(body, "priority", INT32_MIN, INT32_MAX, &priority, e);

    if (s == ST_OK && priority > 0)
        r->priority = PRIORITY_BATCH;
    return s;
}

enum status common_parse(const json_t *body, struct api_request *r, struct api_error *e)
{
    static enum status (*const parts[])(const json_t *, struct api_request *,
                                        struct api_error *) = {
        parse_floats,       parse_top_k,    parse_seed,       parse_stop,   parse_stop_tokens,
        parse_logit_bias,   parse_lengths,  parse_stream,     parse_tenant, parse_session,
        parse_service_tier, parse_priority, parse_cache_salt,
    };
    enum status s = param_text(body, "model", r->model, sizeof(r->model), e);

    if (s == ST_OK && !param_get(body, "model"))
        return api_error_set(e, API_MISSING, "model", "You must provide a model parameter.");
    if (s == ST_OK)
        s = refuse_params(body, refused, ARRAY_LEN(refused), e);
    for (size_t i = 0; i < ARRAY_LEN(parts) && s == ST_OK; i++)
        s = parts[i](body, r, e);
    if (s == ST_OK)
        s = param_u32(body, "n", 1, REQUEST_CHOICES_MAX, &r->n, e);
    if (s == ST_OK)
        s = param_bool(body, "ignore_eos", &r->ignores_eos, e);
    if (s == ST_OK)
        s = param_bool(body, "include_stop_str_in_output", &r->includes_stop, e);
    if (s == ST_OK)
        s = constraint_parse(body, r, e);
    return s;
}
