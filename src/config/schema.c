/* SPDX-License-Identifier: Apache-2.0 */
/* config/schema.c - read a file of settings against a schema.
 *
 * libcyaml does the reading: every field has a type and a bound, a key that is not in the schema is
 * an error, and so are aliases, which could make a small file a large one. Its complaint and the line it belongs
 * to arrive through its log; complaint_note() makes one sentence of them.
 */
#include "config/schema.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What libcyaml says of a file it does not accept. */
struct complaint {
    char words[256];
    unsigned line; /* 0: not known */
};

/* The first line logged is what is wrong, the second says "Backtrace:", the
 * others where: innermost first. */
static void complaint_note(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));

static void complaint_note(cyaml_log_t level, void *ctx, const char *fmt, va_list args)
{
    struct complaint *c = ctx;
    char text[sizeof(c->words)];
    const char *words = text, *line;

    if (level < CYAML_LOG_ERROR)
        return;
    (void)vsnprintf(text, sizeof(text), fmt, args);
    line = strstr(text, "(line: ");
    if (c->words[0] != '\0') {
        if (line && c->line == 0)
            c->line = (unsigned)strtoul(line + strlen("(line: "), NULL, 10);
        return;
    }
    if (strncmp(words, "Load: ", 6) == 0)
        words += 6;
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

enum status schema_parse(const struct buf *content, const char *path,
                         const struct cyaml_schema_value *schema, const char *needs,
                         void **ret_data, struct err *err)
{
    struct complaint complaint = { 0 };
    const cyaml_config_t how = reader(&complaint);
    cyaml_data_t *data = NULL;
    const cyaml_err_t failed = cyaml_load_data((const uint8_t *)buf_text(content), content->len,
                                               &how, schema, &data, NULL);

    if (failed == CYAML_ERR_OOM)
        return err_set(err, ST_NOMEM, "%s: out of memory", path);
    if (failed == CYAML_OK && !data)
        return err_set(err, ST_FORMAT, "%s: the file is empty; it needs %s", path, needs);
    if (failed == CYAML_OK) {
        *ret_data = data;
        return ST_OK;
    }
    if (complaint.words[0] == '\0')
        (void)snprintf(complaint.words, sizeof(complaint.words), "%s", cyaml_strerror(failed));
    if (complaint.line > 0)
        return err_set(err, ST_FORMAT, "%s:%u: %s", path, complaint.line, complaint.words);
    return err_set(err, ST_FORMAT, "%s: %s", path, complaint.words);
}

void schema_free(const struct cyaml_schema_value *schema, void *data)
{
    struct complaint ignored = { 0 };
    const cyaml_config_t how = reader(&ignored);

    if (data)
        (void)cyaml_free(&how, schema, data, 0);
}
