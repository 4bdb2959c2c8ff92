/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/cpu.h - the engine that runs on every machine. */
#ifndef POMONA_ENGINE_CPU_CPU_H
#define POMONA_ENGINE_CPU_CPU_H

#include "engine/engine.h"

extern const struct engine_type cpu_engine;

#endif
