/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/damage.c - the table of ways to damage a file.
 *
 * To add a way: a function that fills patches, and one row of ways[].
 */
#include "fuzz/damage.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

struct work {
    const struct good_file *file;
    struct damage *damage;
    uint64_t state;
};

/* Knuth, MMIX: a 64-bit LCG; its high bits are the good ones. */
static uint64_t draw(struct work *w)
{
    w->state = w->state * 6364136223846793005ull + 1442695040888963407ull;
    return w->state >> 24;
}

static const struct gguf_mark *pick(struct work *w, enum gguf_part part)
{
    return gguf_map_pick(&w->file->map, part, (size_t)draw(w));
}

static void patch(struct work *w, size_t at, const void *bytes, size_t n)
{
    struct patch *p = &w->damage->patches[w->damage->n_patches++];

    p->at = at;
    p->n = size_min(n, PATCH_BYTES_MAX);
    memcpy(p->bytes, bytes, p->n);
}

static void patch_number(struct work *w, const struct gguf_mark *m, uint64_t value)
{
    patch(w, m->at, &value, m->n);
}

static uint64_t read_number(const struct work *w, const struct gguf_mark *m)
{
    uint64_t value = 0;

    memcpy(&value, w->file->bytes + m->at, m->n);
    return value;
}

/* A count no file has room for. */
static uint64_t huge(struct work *w)
{
    const uint64_t choices[] = { UINT64_MAX, 1ull << 63,    1ull << 40,
                                 1ull << 32, w->file->size, UINT64_MAX - draw(w) % 64 };

    return choices[draw(w) % ARRAY_LEN(choices)];
}

static void cut_in_head(struct work *w)
{
    w->damage->size = draw(w) % w->file->map.head_bytes;
}

static void cut_in_weights(struct work *w)
{
    /* 32: what the end may be padded with */
    const size_t n = w->file->size - 32 - w->file->data_at;

    w->damage->size = w->file->data_at + draw(w) % n;
}

static void magic_or_version(struct work *w)
{
    const uint64_t version = draw(w) % 2 ? 4 + draw(w) % 1000 : draw(w) % 2;

    if (draw(w) % 2)
        patch_number(w, pick(w, PART_VERSION), version);
    else
        patch_number(w, pick(w, PART_MAGIC), draw(w));
}

static void huge_count(struct work *w)
{
    patch_number(w, pick(w, PART_COUNT), huge(w));
}

static void wrong_count(struct work *w)
{
    const struct gguf_mark *m = pick(w, PART_COUNT);
    const uint64_t by = 1 + draw(w) % 4;

    patch_number(w, m, draw(w) % 2 ? read_number(w, m) + by : read_number(w, m) - by);
}

static void huge_array(struct work *w)
{
    patch_number(w, pick(w, PART_ITEMS), huge(w));
}

static void huge_text(struct work *w)
{
    patch_number(w, pick(w, PART_LENGTH), huge(w));
}

static void shifted_text(struct work *w)
{
    const struct gguf_mark *m = pick(w, PART_LENGTH);

    patch_number(w, m, read_number(w, m) + 1 + draw(w) % 7);
}

static void bad_type(struct work *w)
{
    patch_number(w, pick(w, PART_TYPE), 13 + draw(w) % (draw(w) % 2 ? 20 : UINT32_MAX - 13));
}

static void bad_tensor_type(struct work *w)
{
    static const uint64_t types[] = { 4,  5,  6,  7,  10, 12,  14,        20,
                                      24, 28, 30, 39, 41, 255, UINT32_MAX };

    patch_number(w, pick(w, PART_TENSOR_TYPE), types[draw(w) % ARRAY_LEN(types)]);
}

static void shared_bytes(struct work *w)
{
    const struct gguf_mark *to = pick(w, PART_OFFSET), *from = to;

    while (from == to)
        from = pick(w, PART_OFFSET);
    patch_number(w, to, read_number(w, from));
}

static void bad_offset(struct work *w)
{
    const struct gguf_mark *m = pick(w, PART_OFFSET);

    if (draw(w) % 2)
        patch_number(w, m, read_number(w, m) + 1 + draw(w) % 31); /* not aligned */
    else
        patch_number(w, m, huge(w) / 32 * 32); /* aligned, and outside */
}

static void bad_dimension(struct work *w)
{
    const struct gguf_mark *m = pick(w, PART_DIM);
    const uint64_t old = read_number(w, m);
    const uint64_t choices[] = { 0, huge(w), old ^ 1ull << draw(w) % 64, old + 32, old * 2 };

    patch_number(w, m, choices[draw(w) % ARRAY_LEN(choices)]);
}

static void bad_n_dims(struct work *w)
{
    patch_number(w, pick(w, PART_N_DIMS), draw(w) % 2 ? 0 : 5 + draw(w) % (UINT32_MAX - 5));
}

static void other_tensor_name(struct work *w)
{
    const struct gguf_mark *m = pick(w, PART_NAME);
    const size_t at = m->at + draw(w) % m->n;
    const unsigned char byte = (unsigned char)(w->file->bytes[at] ^ (1 + draw(w) % 255));

    patch(w, at, &byte, 1);
}

static void unprintable_key(struct work *w)
{
    const struct gguf_mark *m = pick(w, PART_KEY);
    const unsigned char byte =
        (unsigned char)(draw(w) % 2 ? draw(w) % 0x20 : 0x80 + draw(w) % 0x80);

    patch(w, m->at + draw(w) % m->n, &byte, 1);
}

static void same_twice(struct work *w, enum gguf_part part)
{
    const struct gguf_mark *to, *from;

    do {
        to = pick(w, part);
        from = pick(w, part);
    } while (to == from || to->n != from->n || to->n > PATCH_BYTES_MAX);
    patch(w, to->at, w->file->bytes + from->at, from->n);
}

static void tensor_twice(struct work *w)
{
    same_twice(w, PART_NAME);
}

static void key_twice(struct work *w)
{
    same_twice(w, PART_KEY);
}

static void impossible_number(struct work *w)
{
    static const struct {
        const char *key;
        uint32_t bits;
    } numbers[] = {
        { "llama.block_count", 0 },
        { "llama.block_count", UINT32_MAX },
        { "llama.block_count", 3 },
        { "llama.block_count", 1024 },
        { "llama.embedding_length", 0 },
        { "llama.embedding_length", 1u << 16 },
        { "llama.embedding_length", 96 },
        { "llama.feed_forward_length", 0 },
        { "llama.feed_forward_length", UINT32_MAX },
        { "llama.feed_forward_length", 1537 },
        { "llama.attention.head_count", 0 },
        { "llama.attention.head_count", 7 },
        { "llama.attention.head_count_kv", 0 },
        { "llama.attention.head_count_kv", 5 },
        { "llama.context_length", 0 },
        { "llama.context_length", UINT32_MAX },
        { "llama.vocab_size", 0 },
        { "llama.vocab_size", 1000 },
        { "llama.rope.dimension_count", 0 },
        { "llama.rope.dimension_count", 15 },
        { "llama.rope.dimension_count", 4096 },
        { "llama.rope.freq_base", 0x7fc00000 },                   /* not a number */
        { "llama.rope.freq_base", 0xc61c4000 },                   /* -10000 */
        { "llama.attention.layer_norm_rms_epsilon", 0x7f800000 }, /* infinity */
        { "llama.attention.layer_norm_rms_epsilon", 0xb727c5ac }, /* -0.00001 */
        { "llama.attention.layer_norm_rms_epsilon", 0x41200000 }, /* 10 */
    };
    const size_t i = draw(w) % ARRAY_LEN(numbers);

    patch(w, gguf_map_value(&w->file->map, w->file->bytes, numbers[i].key)->at, &numbers[i].bits,
          sizeof(numbers[i].bits));
}

static void other_architecture(struct work *w)
{
    const struct gguf_mark *m =
        gguf_map_value(&w->file->map, w->file->bytes, "general.architecture");
    const size_t at = m->at + draw(w) % m->n;
    const unsigned char byte = (unsigned char)(w->file->bytes[at] ^ (1 + draw(w) % 255));

    patch(w, at, &byte, 1);
}

static void weights(struct work *w)
{
    uint64_t bytes[2];

    bytes[0] = draw(w);
    bytes[1] = draw(w);
    patch(w, w->file->data_at + draw(w) % (w->file->size - w->file->data_at - sizeof(bytes)), bytes,
          1 + draw(w) % sizeof(bytes));
    w->damage->is_in_weights = true;
}

static const struct {
    const char *name;
    void (*apply)(struct work *w);
} ways[] = {
    { "cut in the head", cut_in_head },
    { "cut in the weights", cut_in_weights },
    { "another magic or version", magic_or_version },
    { "a huge count", huge_count },
    { "a count that is off by a few", wrong_count },
    { "a huge array", huge_array },
    { "a huge string", huge_text },
    { "a string that is longer by a few", shifted_text },
    { "a type that is none", bad_type },
    { "a block type not computed here", bad_tensor_type },
    { "tensors that share bytes", shared_bytes },
    { "an offset outside or not aligned", bad_offset },
    { "another dimension", bad_dimension },
    { "a number of dimensions that is none", bad_n_dims },
    { "another tensor name", other_tensor_name },
    { "a key with a byte that is no character", unprintable_key },
    { "a tensor name twice", tensor_twice },
    { "a key twice", key_twice },
    { "an impossible number", impossible_number },
    { "another architecture", other_architecture },
    { "other weights", weights },
};

size_t damage_n_ways(void)
{
    return ARRAY_LEN(ways);
}

void damage_draw(const struct good_file *file, size_t way, uint64_t seed, struct damage *ret_damage)
{
    struct work w = { file, ret_damage, seed };

    *ret_damage = (struct damage){ .way = ways[way].name, .size = file->size };
    for (int i = 0; i < 4; i++) /* spread a small seed over the state */
        (void)draw(&w);
    ways[way].apply(&w);
}
