/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/anthropic_error.h - errors in the shape that Anthropic's clients read. */
#ifndef POMONA_GATEWAY_HTTP_ANTHROPIC_ERROR_H
#define POMONA_GATEWAY_HTTP_ANTHROPIC_ERROR_H

#include "gateway/http/api_error.h"

/* {"type":"error","error":{"type","message"},"request_id"}; a server that is full answers 529. */
extern const struct error_shape anthropic_errors;

#endif
