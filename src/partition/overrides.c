/* SPDX-License-Identifier: Apache-2.0 */
/* partition/overrides.c - read pins, and put them on nodes. */
#include "partition/overrides.h"

#include <stdbool.h>
#include <string.h>

enum { LAYERS_MAX = 100000 };

/* Decimal digits at *text, moved behind them. */
static bool read_number(const char **text, const char *end, uint32_t *ret)
{
    const char *begin = *text;
    uint32_t value = 0;

    for (; *text < end && **text >= '0' && **text <= '9'; (*text)++) {
        value = value * 10 + (uint32_t)(**text - '0');
        if (value > LAYERS_MAX)
            return false;
    }
    *ret = value;
    return *text > begin;
}

/* "40" or "10-30". */
static bool read_layers(const char *text, const char *end, struct plan_pin *pin)
{
    if (!read_number(&text, end, &pin->least))
        return false;
    pin->most = pin->least;
    if (text < end && *text == '-') {
        text++;
        if (!read_number(&text, end, &pin->most))
            return false;
    }
    return text == end && pin->least <= pin->most;
}

static enum status wrong(const char *word, size_t n, struct err *err)
{
    return err_set(err, ST_RANGE,
                   "'%.*s' pins nothing: write NODE=LAYERS, NODE=FEWEST-MOST, NODE, !NODE, "
                   "strategy=NAME or strategy=hybrid:NODES",
                   n > 80 ? 80 : (int)n, word);
}

/* "pipeline", or "hybrid:2". */
static enum status read_strategy(const char *name, const char *end, struct plan_overrides *o)
{
    static const char hybrid[] = "hybrid:";
    const size_t n_hybrid = strlen(hybrid), n = (size_t)(end - name);
    size_t n_name = n;

    o->team_size = 0;
    if (n >= n_hybrid && strncmp(name, hybrid, n_hybrid) == 0) {
        const char *number = name + n_hybrid;

        if (!read_number(&number, end, &o->team_size) || number != end || o->team_size < 2)
            return ST_RANGE;
        n_name = n_hybrid - 1;
    }
    if (n_name >= sizeof(o->strategy))
        return ST_RANGE;
    memcpy(o->strategy, name, n_name);
    o->strategy[n_name] = '\0';
    return ST_OK;
}

static enum status read_word(const char *word, size_t n, struct plan_overrides *o, struct err *err)
{
    static const char strategy[] = "strategy=";
    struct plan_pin pin = { .least = 1, .most = UINT32_MAX };
    const char *equals = memchr(word, '=', n), *end = word + n;
    const bool is_out = *word == '!';
    const char *name = word + is_out;
    const size_t n_name = (size_t)((equals ? equals : end) - name);

    if (n > strlen(strategy) && strncmp(word, strategy, strlen(strategy)) == 0 &&
        (equals[1] < '0' || equals[1] > '9'))
        return read_strategy(equals + 1, end, o) == ST_OK ? ST_OK : wrong(word, n, err);
    if (n_name == 0 || n_name >= sizeof(pin.node) || (is_out && equals) ||
        (equals && !read_layers(equals + 1, end, &pin)))
        return wrong(word, n, err);
    if (is_out)
        pin.least = pin.most = 0;
    memcpy(pin.node, name, n_name);
    for (size_t i = 0; i < o->n_pins; i++)
        if (strcmp(o->pins[i].node, pin.node) == 0)
            return err_set(err, ST_RANGE, "'%s' is pinned twice", pin.node);
    if (o->n_pins == OVERRIDES_PINS_MAX)
        return err_set(err, ST_RANGE, "more than %d nodes are pinned", OVERRIDES_PINS_MAX);
    o->pins[o->n_pins++] = pin;
    return ST_OK;
}

enum status overrides_parse(const char *text, struct plan_overrides *ret, struct err *err)
{
    struct plan_overrides overrides = { 0 };

    while (*text) {
        const size_t n_blank = strspn(text, ", \t\r\n");
        const size_t n_word = strcspn(text + n_blank, ", \t\r\n#");
        enum status s;

        text += n_blank;
        if (*text == '#') {
            text += strcspn(text, "\n");
            continue;
        }
        if (n_word == 0)
            continue;
        s = read_word(text, n_word, &overrides, err);
        if (s != ST_OK)
            return s;
        text += n_word;
    }
    *ret = overrides;
    return ST_OK;
}

enum status overrides_apply(const struct plan_overrides *overrides, struct cost_node *nodes,
                            size_t n_nodes, struct err *err)
{
    for (size_t i = 0; i < overrides->n_pins; i++) {
        const struct plan_pin *pin = &overrides->pins[i];
        size_t k = 0;

        while (k < n_nodes && strcmp(nodes[k].name, pin->node) != 0)
            k++;
        if (k == n_nodes)
            return err_set(err, ST_NOTFOUND, "there is no node '%s' to pin", pin->node);
        nodes[k].least_layers = pin->least;
        nodes[k].most_layers = pin->most;
    }
    return ST_OK;
}
