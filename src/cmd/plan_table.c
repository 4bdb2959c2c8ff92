/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/plan_table.c - the strategies of a plan, as a table for people. */
#include "cmd/plan_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cmd/units.h"

enum { PARTS_SHOWN = 8, INDENT = 6 };

static const char *words(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "?";
}

static uint64_t bytes(const json_t *object, const char *key)
{
    const json_int_t n = json_integer_value(json_object_get(object, key));

    return n > 0 ? (uint64_t)n : 0;
}

static const char *rate(const json_t *option, const char *key, char *ret_text)
{
    const double value = json_number_value(json_object_get(option, key));

    (void)snprintf(ret_text, UNITS_MAX, value < 100 ? "%.2f" : "%.0f", value);
    return ret_text;
}

static const char *seconds(const json_t *option, const char *key, char *ret_text)
{
    return units_seconds(json_number_value(json_object_get(option, key)), ret_text);
}

static void print_part(const json_t *part)
{
    const json_int_t first = json_integer_value(json_object_get(part, "first_layer"));
    const json_int_t n = json_integer_value(json_object_get(part, "n_layers"));
    const double share = json_number_value(json_object_get(part, "share"));
    const uint64_t used =
        bytes(part, "weight_bytes") + bytes(part, "kv_bytes") + bytes(part, "work_bytes");
    char layers[UNITS_MAX * 2], whole[UNITS_MAX], room[UNITS_MAX], weights[UNITS_MAX],
        kv[UNITS_MAX];
    int k;

    k = snprintf(layers, sizeof(layers), "layers %lld-%lld", (long long)first,
                 (long long)(first + n - 1));
    if (share < 1 && k > 0)
        (void)snprintf(layers + k, sizeof(layers) - (size_t)k, ", %.0f %% of each", share * 100);
    printf("%*s%-16s %-24s %9s of %9s: weights %s, KV %s\n", INDENT, "", words(part, "node"),
           layers, units_bytes(used, whole), units_bytes(bytes(part, "memory_bytes"), room),
           units_bytes(bytes(part, "weight_bytes"), weights),
           units_bytes(bytes(part, "kv_bytes"), kv));
}

static void print_possible(const json_t *option, const char *mark)
{
    const json_t *parts = json_object_get(option, "parts"), *part;
    char all[UNITS_MAX], one[UNITS_MAX], first[UNITS_MAX], load[UNITS_MAX], energy[UNITS_MAX];
    size_t i;

    printf("%-3s %-22s %10s %11s %12s %10s %9s\n", mark, words(option, "name"),
           rate(option, "tokens_per_s", all), rate(option, "tokens_per_s_one", one),
           seconds(option, "first_token_s", first), seconds(option, "load_s", load),
           json_object_get(option, "joules_per_token") ? rate(option, "joules_per_token", energy)
                                                       : "-");
    json_array_foreach(parts, i, part)
    {
        if (i == PARTS_SHOWN)
            break;
        print_part(part);
    }
    if (json_array_size(parts) > PARTS_SHOWN)
        printf("%*sand %zu more nodes\n", INDENT, "", json_array_size(parts) - PARTS_SHOWN);
    if (json_is_false(json_object_get(option, "exact")))
        printf("%*sthe search was cut short: there may be a better one\n", INDENT, "");
    if (json_object_get(option, "blocker"))
        printf("%*snot chosen: %s\n", INDENT, "", words(option, "blocker"));
}

void plan_table_print(const json_t *plan)
{
    const json_t *options = json_object_get(plan, "strategies"), *option;
    const char *chosen = words(plan, "strategy");
    size_t i;

    if (!json_is_array(options))
        return;
    printf("\n%-3s %-22s %10s %11s %12s %10s %9s\n", "", "STRATEGY", "TOKENS/S", "ONE STREAM",
           "FIRST TOKEN", "LOAD", "J/TOKEN");
    json_array_foreach(options, i, option)
    {
        const char *mark = strcmp(words(option, "name"), chosen) == 0 ? "-->" : "";

        if (json_is_true(json_object_get(option, "possible")))
            print_possible(option, mark);
        else
            printf("%-3s %-22s %10s\n%*s%s\n", "", words(option, "name"), "-", INDENT, "",
                   words(option, "reason"));
    }
}
