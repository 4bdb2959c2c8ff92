/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/ref/ref.h - the parts of the reference table. */
#ifndef POMONA_ENGINE_CPU_REF_REF_H
#define POMONA_ENGINE_CPU_REF_REF_H

#include "engine/cpu/kernels.h"

void ref_fill_matrix(struct kernel_ops *ops);
void ref_fill_matrix8(struct product_ops *products);
void ref_fill_rows(struct kernel_ops *ops);
void ref_fill_attention(struct kernel_ops *ops);

#endif
