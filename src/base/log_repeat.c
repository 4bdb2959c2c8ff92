/* SPDX-License-Identifier: Apache-2.0 */
/* base/log_repeat.c - a line that comes again and again is told now and then. */
#include "base/log_repeat.h"

#include <string.h>

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint64_t mix(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < n; i++)
        hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t log_repeat_hash(const struct log_event *event)
{
    const unsigned char of[] = { (unsigned char)event->level, (unsigned char)event->component };
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), of, sizeof(of));

    hash = mix(hash, event->message, strlen(event->message) + 1);
    for (size_t i = 0; i < event->n_fields; i++) {
        const struct log_field *f = &event->fields[i];

        hash = mix(hash, f->key, strlen(f->key) + 1);
        if (f->kind != LOG_KIND_TEXT)
            hash = mix(hash, &f->value, sizeof(f->value));
        else if (f->value.text)
            hash = mix(hash, f->value.text, strlen(f->value.text) + 1);
    }
    return hash;
}

/* Its slot, else the one that was used longest ago. */
static struct log_repeat_slot *slot_of(struct log_repeat *repeat, uint64_t hash)
{
    struct log_repeat_slot *oldest = &repeat->slots[0];

    for (size_t i = 0; i < LOG_REPEAT_SLOTS; i++) {
        struct log_repeat_slot *slot = &repeat->slots[i];

        if (slot->used_ns > 0 && slot->hash == hash)
            return slot;
        if (slot->used_ns < oldest->used_ns)
            oldest = slot;
    }
    *oldest = (struct log_repeat_slot){ .hash = hash };
    return oldest;
}

bool log_repeat_allows(struct log_repeat *repeat, uint64_t hash, uint64_t now_ns,
                       uint32_t *ret_n_left_out)
{
    struct log_repeat_slot *slot = slot_of(repeat, hash);
    const bool is_new = slot->used_ns == 0 || now_ns - slot->begun_ns >= LOG_REPEAT_WINDOW_NS;

    *ret_n_left_out = 0;
    slot->used_ns = now_ns;
    if (is_new) {
        *ret_n_left_out = slot->n_left_out;
        slot->begun_ns = now_ns;
        slot->n_told = 0;
        slot->n_left_out = 0;
    }
    if (slot->n_told < LOG_REPEAT_MOST) {
        slot->n_told++;
        return true;
    }
    slot->n_left_out += slot->n_left_out < UINT32_MAX;
    return false;
}
