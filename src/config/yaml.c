/* SPDX-License-Identifier: Apache-2.0 */
/* config/yaml.c - read YAML against a schema, and say where it is wrong.
 *
 * libcyaml's complaint and the place it belongs to arrive through its log;
 * complaint_note() makes one sentence of them.  What a schema cannot express is found
 * once the file is read; its place is looked up by the field's name in
 * libyaml's tree of the same bytes.
 */
#include "config/yaml.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* What libcyaml says of a file it does not accept. */
struct complaint {
    char words[256];
    unsigned line, column; /* 0: not known */
};

static void place_note(struct complaint *c, const char *text)
{
    const char *line = strstr(text, "(line: ");
    const char *column = line ? strstr(line, "column: ") : NULL;

    if (!line || c->line != 0)
        return;
    c->line = (unsigned)strtoul(line + strlen("(line: "), NULL, 10);
    if (column)
        c->column = (unsigned)strtoul(column + strlen("column: "), NULL, 10);
}

/* The first line logged is what is wrong, the second says "Backtrace:", the
 * others where: innermost first. */
static void complaint_note(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

static void complaint_note(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
    struct complaint *c = ctx;
    char text[sizeof(c->words)];
    const char *words = text;

    if (level < CYAML_LOG_ERROR)
        return;
    (void)vsnprintf(text, sizeof(text), fmt, args);
    if (c->words[0] != '\0' || strstr(text, "(line: ")) {
        place_note(c, text);
        return;
    }
    if (strncmp(words, "Load: ", 6) == 0)
        words += 6;
    if (strncmp(words, "Backtrace:", 10) == 0) /* there was no first line: the status has words */
        return;
    (void)snprintf(c->words, sizeof(c->words), "%s", words);
    for (char *p = c->words; *p; p++)
        if (iscntrl((unsigned char)*p))
            *p = ' ';
    for (size_t n = strlen(c->words); n > 0 && c->words[n - 1] == ' '; n--)
        c->words[n - 1] = '\0';
}

static cyaml_config_t reader(struct complaint *complaint)
{
    return (cyaml_config_t){
        .log_fn = complaint_note,
        .log_ctx = complaint,
        .log_level = CYAML_LOG_ERROR,
        .mem_fn = cyaml_mem,
        .flags = CYAML_CFG_NO_ALIAS,
    };
}

/* libcyaml does not say where a file is no YAML at all; its parser does. */
static void syntax_note(struct complaint *c, const struct buf *content)
{
    yaml_parser_t parser;
    yaml_document_t document;

    if (c->line != 0 || !yaml_parser_initialize(&parser))
        return;
    yaml_parser_set_input_string(&parser, (const unsigned char *)buf_text(content), content->len);
    if (yaml_parser_load(&parser, &document)) {
        yaml_document_delete(&document);
    } else if (parser.problem) {
        c->line = (unsigned)parser.problem_mark.line + 1;
        c->column = (unsigned)parser.problem_mark.column + 1;
        (void)snprintf(c->words, sizeof(c->words), "%s", parser.problem);
    }
    yaml_parser_delete(&parser);
}

enum status yaml_read(const struct buf *content, const char *path,
                      const cyaml_schema_value_t *schema, void **ret_data, struct err *err)
{
    struct complaint c = { 0 };
    const cyaml_config_t how = reader(&c);
    cyaml_data_t *data = NULL;
    const cyaml_err_t failed = cyaml_load_data((const uint8_t *)buf_text(content), content->len,
                                               &how, schema, &data, NULL);

    if (failed == CYAML_ERR_OOM)
        return err_set(err, ST_NOMEM, "%s: out of memory", path);
    if (failed == CYAML_OK) {
        *ret_data = data;
        return ST_OK;
    }
    if (c.words[0] == '\0')
        (void)snprintf(c.words, sizeof(c.words), "%s", cyaml_strerror(failed));
    syntax_note(&c, content);
    if (c.line > 0)
        return err_set(err, ST_FORMAT, "%s:%u:%u: %s", path, c.line, c.column, c.words);
    return err_set(err, ST_FORMAT, "%s: %s", path, c.words);
}

void yaml_release(const cyaml_schema_value_t *schema, void *data)
{
    struct complaint ignored = { 0 };
    const cyaml_config_t how = reader(&ignored);

    if (data)
        (void)cyaml_free(&how, schema, data, 0);
}

static yaml_node_t *child_named(yaml_document_t *document, const yaml_node_t *map, const char *name,
                                size_t n, const yaml_node_t **ret_key)
{
    for (const yaml_node_pair_t *p = map->data.mapping.pairs.start;
         map->type == YAML_MAPPING_NODE && p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(document, p->key);

        if (!key || key->type != YAML_SCALAR_NODE || key->data.scalar.length != n ||
            memcmp(key->data.scalar.value, name, n) != 0)
            continue;
        *ret_key = key;
        return yaml_document_get_node(document, p->value);
    }
    return NULL;
}

static yaml_node_t *child_numbered(yaml_document_t *document, const yaml_node_t *list, size_t i)
{
    const yaml_node_item_t *at = list->data.sequence.items.start;

    if (list->type != YAML_SEQUENCE_NODE || i >= (size_t)(list->data.sequence.items.top - at))
        return NULL;
    return yaml_document_get_node(document, at[i]);
}

/* Go down as far as `place` leads. */
static yaml_mark_t find(yaml_document_t *document, const char *place)
{
    const yaml_node_t *node = yaml_document_get_root_node(document);
    yaml_mark_t mark = { 0 };

    if (node)
        mark = node->start_mark;
    while (node && *place) {
        const yaml_node_t *at = NULL;

        if (*place == '[') {
            char *end;

            node = child_numbered(document, node, strtoul(place + 1, &end, 10));
            place = *end == ']' ? end + 1 : end;
            at = node;
        } else {
            const size_t n = strcspn(place, ".[");

            node = child_named(document, node, place, n, &at);
            place += n;
        }
        if (at)
            mark = at->start_mark;
        place += *place == '.';
    }
    return mark;
}

void yaml_point(const struct buf *content, const char *path, const char *place, struct err *err)
{
    yaml_parser_t parser;
    yaml_document_t document;
    yaml_mark_t mark = { 0 };

    if (!yaml_parser_initialize(&parser))
        return;
    yaml_parser_set_input_string(&parser, (const unsigned char *)buf_text(content), content->len);
    if (yaml_parser_load(&parser, &document)) {
        mark = find(&document, place);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    err_wrap(err, "%s:%zu:%zu", path, mark.line + 1, mark.column + 1);
}
