/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/warm.h - bring a shard's mapped weights into memory. */
#ifndef POMONA_ENGINE_CPU_WARM_H
#define POMONA_ENGINE_CPU_WARM_H

#include "engine/engine.h"

/* Reads every page of this shard's weights once, and no other, so that the
 * first step does not wait for a disk.  Reports to options->on_progress. */
void warm_weights(const struct shard_weights *weights, const struct engine_options *options);

#endif
