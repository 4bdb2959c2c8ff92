/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/parse.h - the text of a grammar becomes a graph with a piece for each rule. */
#ifndef POMONA_TEXT_GRAMMAR_PARSE_H
#define POMONA_TEXT_GRAMMAR_PARSE_H

#include "text/grammar/graph.h"

struct rule {
    const char *name; /* [n_name], in the text */
    size_t n_name;
    struct graph_piece piece;
    bool is_defined;
    bool has_loop; /* some part of it may repeat without end */
};

struct rules {
    struct graph graph;
    struct rule *rules; /* [n] */
    uint32_t n, capacity;
    uint32_t *slots; /* [n_slots]: a hash table of rule numbers + 1 */
    uint32_t n_slots;
};

/* Every rule that is named is defined, `root` among them.
 * text     borrowed, and by ret_rules until rules_release()
 * Errors   as grammar_compile() */
enum status rules_parse(const char *text, size_t n, struct rules *ret_rules, uint32_t *ret_root,
                        struct err *err);
void rules_release(struct rules *rules);

/* The rule of a name [n], made where it is new; the name is borrowed as the text is.
 * Errors  ST_RANGE GRAMMAR_RULES_MAX; ST_NOMEM */
enum status rules_find(struct rules *rules, const char *name, size_t n, uint32_t *ret,
                       struct err *err);

#endif
