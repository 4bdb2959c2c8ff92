/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/bounds.h - what a template and a render may cost at most. */
#ifndef POMONA_TEXT_TEMPLATE_BOUNDS_H
#define POMONA_TEXT_TEMPLATE_BOUNDS_H

enum {
    TMPL_SOURCE_MAX = 256 * 1024,
    TMPL_NESTING_MAX = 64,
    TMPL_STEPS_MAX = 1000000,
    TMPL_OUTPUT_MAX = 16 * 1024 * 1024,
    TMPL_ARENA_MAX = 64 * 1024 * 1024,
    TMPL_DEPTH_MAX = 400,    /* of the evaluator's recursion: it bounds the C stack */
    TMPL_RANGE_MAX = 100000, /* the sandbox of Jinja has the same */
};

#endif
