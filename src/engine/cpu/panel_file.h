/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/panel_file.h - panels of a few matrices as one file, and the checks before its use.
 *
 * Repacking a model takes seconds, mapping what was repacked takes none.  A file holds
 * the matrices of one layer, or the output matrix:
 *
 *     head      magic, PANEL_LAYOUT, key, sizes, checksum
 *     table     number format, rows, columns, place of each tensor
 *     sums      XXH3 of every slice
 *     panels    each tensor from a multiple of PANEL_FILE_ALIGN
 *
 * Head and table follow from the matrices alone (struct panel_plan), so they are not
 * parsed: they are made again and compared.  Nothing in a file can lead a reader astray.
 * All ISAs read one layout, so files have no ISA.
 *
 * Checked at open    size and owner of the file; head, table and sums, by their checksum; the
 *                    key, which changes with the model's file and with samples of its matrices
 * Checked at load    one slice of each tensor, the last: a lost write shows at the end
 * Not checked        the other slices, unless somebody asks: panel_file_check_slice()
 *
 * Files are written beside their final name and renamed, never changed.  A file that is
 * shortened while it is mapped ends this process with SIGBUS, as a model's file does.
 *
 * Numbers are as the machine has them: little endian.
 * Threads  a file is immutable once open
 */
#ifndef POMONA_ENGINE_CPU_PANEL_FILE_H
#define POMONA_ENGINE_CPU_PANEL_FILE_H

#include <stdbool.h>

#include "base/status.h"
#include "engine/cpu/panel.h"

enum {
    PANEL_FILE_ALIGN = 4096,        /* so that advice about memory can be given for each tensor */
    PANEL_TENSORS_MAX = 8,          /* of one file */
    PANEL_SLICE_BYTES = 512 * 1024, /* fits beside its source in a core's own cache */
    PANEL_KEY_BYTES = 16,
};

struct panel_tensor {
    enum dtype dtype;
    uint32_t n_rows, n_cols;
    size_t panel_bytes;
    uint64_t at;           /* of its panels, from the beginning of the file */
    uint32_t slice_panels; /* of every slice but the last */
    uint32_t first_slice, n_slices;
};

/* Where everything lies in a file for given matrices. */
struct panel_plan {
    uint32_t n_tensors, n_slices;
    struct panel_tensor tensors[PANEL_TENSORS_MAX];
    uint64_t n_bytes; /* of the file */
};

/* What is packed, written and checked at a time: some panels of one tensor. */
struct panel_slice {
    uint32_t tensor, first_panel, n_panels;
    uint64_t at; /* as panel_tensor.at */
    size_t n_bytes;
};

/* n <= PANEL_TENSORS_MAX matrices whose formats and columns panel_bytes() knows. */
void panel_plan_init(struct panel_plan *plan, const struct matrix *const *matrices, uint32_t n);

/* Of all panels of one tensor. */
uint64_t panel_tensor_bytes(const struct panel_tensor *tensor);

struct panel_slice panel_plan_slice(const struct panel_plan *plan, uint32_t slice);

/* Of the largest slice. */
size_t panel_plan_slice_bytes(const struct panel_plan *plan);

/* What panels of these matrices are known by.
 * model  [PANEL_KEY_BYTES], engine_options.keep.key
 * role   which matrices of the model: a layer's number, or another that no layer has; and
 *        which portion of them
 * Reads a few kilobytes of each matrix. */
void panel_key(const uint8_t *model, uint64_t role, const struct matrix *const *matrices,
               uint32_t n, uint8_t *ret_key);

struct panel_file {
    const unsigned char *base; /* the mapping; NULL: not open */
    size_t n_bytes;
};

/* Map the file at `path` if it is exactly what `plan` and `key` [PANEL_KEY_BYTES] demand.
 * Errors  ST_NOTFOUND  no such file; ST_FORMAT  it does not fit, with why; ST_IO, ST_NOMEM */
enum status panel_file_open(const char *path, const struct panel_plan *plan, const uint8_t *key,
                            struct panel_file *ret_file, struct err *err);
void panel_file_close(struct panel_file *file); /* one that is not open is allowed */

/* Read a slice and compare it with its sum. */
bool panel_file_check_slice(const struct panel_file *file, const struct panel_plan *plan,
                            uint32_t slice);

/* For those who write: head, table and room for the sums, [panel_head_bytes()] in all. */
size_t panel_head_bytes(const struct panel_plan *plan);
uint64_t panel_slice_sum(const void *bytes, size_t n);

/* sums  [n_slices], borrowed */
void panel_head_write(const struct panel_plan *plan, const uint8_t *key, const uint64_t *sums,
                      unsigned char *ret_head);

#endif
