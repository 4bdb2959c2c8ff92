/* SPDX-License-Identifier: Apache-2.0 */
/* text/speech_format.h - how a family of models writes thoughts and calls of functions.
 *
 * A model says everything in one text; marks in it tell thoughts, calls and
 * words for the reader apart.  Which marks a model was taught is seen in its
 * chat template, which writes the same ones for earlier turns.  To add a
 * family: a row of a table in speech_format.c.
 */
#ifndef POMONA_TEXT_SPEECH_FORMAT_H
#define POMONA_TEXT_SPEECH_FORMAT_H

#include <stdbool.h>
#include <stddef.h>

struct thought_format {
    const char *open, *close;
};

enum tool_body {
    TOOL_BODY_JSON,  /* {"name":...,"arguments":{...}}, or an array of such */
    TOOL_BODY_NAMED, /* the same, or the name, a mark, and the arguments */
    TOOL_BODY_XML,   /* <function=NAME> <parameter=KEY> VALUE </parameter> </function> */
};

struct tool_format {
    const char *name;
    const char *sign;  /* where a template has this, its model calls so */
    const char *open;  /* before a call; "": an answer that is an object is a call */
    const char *close; /* after it; NULL: none */
    enum tool_body body;
    const char *arguments_key;
    const char *arguments_mark; /* TOOL_BODY_NAMED: between name and arguments */
};

struct speech_format {
    const struct thought_format *thoughts; /* NULL: the model has none that are marked */
    const struct tool_format *tools;       /* never NULL */
    bool has_tools;                        /* the template tells the model of functions */
    bool has_short_ids;                    /* it wants ids of calls as in tool_ids.h */
};

/* What a template's source says about its model. */
struct speech_format speech_format_of(const char *template_source, size_t n);

/* Is this token, special to the tokenizer, a mark of the format, to be read as text? */
bool speech_format_is_mark(const struct speech_format *format, const char *bytes, size_t n);

#endif
