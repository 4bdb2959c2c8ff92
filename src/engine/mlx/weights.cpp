/* SPDX-License-Identifier: Apache-2.0 */
/* engine/mlx/weights.cpp - floats and quantised blocks become arrays; blocks become affine groups.
 *
 * Q4_0, Q4_1 and Q8_0 are affine groups of 32 (w = scale q + bias) without loss.  Where all blocks
 * side by side have one scale and one bias, as in a model that had groups of 64 or 128, they become
 * such groups again, which are less to read.
 *
 * Source  the MLX documentation, mlx.core.quantize
 */
#include "engine/mlx/weights.hpp"

#include <cstring>
#include <vector>

constexpr int BLOCK = 32;         /* elements of a quantised block of dtype.h */
constexpr int NIBBLES = 8;        /* 4-bit codes in a word */
constexpr int BYTES = 4;          /* 8-bit codes in a word */
constexpr int WIDEST_GROUP = 128; /* of MLX's affine groups */

mx::array vector_of(const float *data, uint32_t n)
{
    return mx::array(data, mx::Shape{ int(n) }, mx::float32);
}

mx::array loader::floats(const struct matrix &m)
{
    const mx::Shape shape{ int(m.n_rows), int(m.n_cols) };
    const size_t row_bytes = dtype_row_bytes(m.dtype, m.n_cols);
    std::vector<unsigned char> rows(m.n_rows * row_bytes); /* side by side */

    for (uint32_t i = 0; i < m.n_rows; i++)
        std::memcpy(&rows[i * row_bytes],
                    static_cast<const unsigned char *>(m.data) + i * matrix_stride(&m), row_bytes);
    if (m.dtype == DTYPE_F32)
        return mx::array(reinterpret_cast<const float *>(rows.data()), shape, mx::float32);
    return mx::astype(
        mx::array(reinterpret_cast<const mx::float16_t *>(rows.data()), shape, mx::float16),
        compute);
}

static float half_of(const unsigned char *p)
{
    mx::float16_t half;

    std::memcpy(&half, p, sizeof(half));
    return float(half);
}

/* One block as MLX has it: codes in words, filled from their lowest bits; w = scale q + bias. */
static void unpack(const struct matrix &m, const unsigned char *block, uint32_t *words,
                   float *scale, float *bias)
{
    const unsigned char *codes = block + (m.dtype == DTYPE_Q4_1 ? 4 : 2);

    *scale = half_of(block);
    if (m.dtype == DTYPE_Q8_0) { /* -128..127, stored from 0 */
        *bias = -128 * *scale;
        for (int i = 0; i < BLOCK; i++)
            words[i / BYTES] |= uint32_t(codes[i] ^ 0x80u) << (8 * (i % BYTES));
        return;
    }
    *bias = m.dtype == DTYPE_Q4_1 ? half_of(block + 2) : -8 * *scale;
    for (int i = 0; i < BLOCK; i++) {
        const uint32_t code = i < BLOCK / 2 ? codes[i] & 15u : codes[i - BLOCK / 2] >> 4;

        words[i / NIBBLES] |= code << (4 * (i % NIBBLES));
    }
}

/* Whether every `n` blocks side by side have one scale and one bias: then they are a group. */
static bool are_alike(const std::vector<float> &values, size_t of_row, size_t n)
{
    if (of_row % n != 0)
        return false;
    for (size_t i = 0; i < values.size(); i++)
        if (values[i] != values[i - i % n])
            return false;
    return true;
}

static std::vector<float> every(const std::vector<float> &values, size_t n)
{
    std::vector<float> some;

    for (size_t i = 0; i < values.size(); i += n)
        some.push_back(values[i]);
    return some;
}

linear loader::groups(const struct matrix &m)
{
    const size_t of_row = m.n_cols / BLOCK, n = of_row * m.n_rows;
    const size_t block_bytes = dtype_row_bytes(m.dtype, BLOCK);
    const int bits = m.dtype == DTYPE_Q8_0 ? 8 : 4;
    const size_t block_words = size_t(BLOCK * bits / 32);
    const unsigned char *rows = static_cast<const unsigned char *>(m.data);
    std::vector<uint32_t> words(n * block_words);
    std::vector<float> scales(n), biases(n);
    size_t joined = WIDEST_GROUP / BLOCK;

    for (size_t i = 0; i < n; i++)
        unpack(m, rows + i / of_row * matrix_stride(&m) + i % of_row * block_bytes,
               &words[i * block_words], &scales[i], &biases[i]);
    while (joined > 1 && !(are_alike(scales, of_row, joined) && are_alike(biases, of_row, joined)))
        joined /= 2;
    scales = every(scales, joined);
    biases = every(biases, joined);
    const mx::Shape shape{ int(m.n_rows), int(of_row / joined) };

    return { mx::array(words.begin(), mx::Shape{ int(m.n_rows), int(of_row * block_words) },
                       mx::uint32),
             mx::astype(mx::array(scales.begin(), shape, mx::float32), compute),
             mx::astype(mx::array(biases.begin(), shape, mx::float32), compute),
             BLOCK * int(joined), bits };
}

/* order  of the rows, NULL: as they are */
linear loader::matrix(const struct matrix &m, const std::optional<mx::array> &order)
{
    const std::tuple key{ m.data, m.n_rows, m.n_cols };
    const auto known = matrices.find(key);

    if (!m.data) /* of a portion without heads */
        return { mx::array(0.0f), {}, {} };
    if (known != matrices.end())
        return known->second;
    linear made =
        m.dtype == DTYPE_F32 || m.dtype == DTYPE_F16 ? linear{ floats(m), {}, {} } : groups(m);

    if (order)
        for (mx::array *part : { &made.weight, made.scales ? &*made.scales : nullptr,
                                 made.biases ? &*made.biases : nullptr })
            if (part)
                *part = mx::take(*part, *order, 0);
    mx::eval(made.weight);
    if (made.scales)
        mx::eval(*made.scales, *made.biases);
    matrices.insert({ key, made });
    done += uint64_t(m.n_rows) * dtype_row_bytes(m.dtype, m.n_cols);
    watch.on_loaded(watch.arg, done < total ? done : total, total);
    return made;
}

/* The rows of `n_heads` heads with the pairs that rope turns, (2i, 2i + 1) in GGUF, as halves
 * (i, i + n/2): as MLX's own models have them, so that their sums run in the same order. */
static std::optional<mx::array> halves_of(const model_shape &shape, uint32_t n_heads)
{
    std::vector<int32_t> order;

    if (shape.rope_style == ROPE_HALVES)
        return std::nullopt;
    for (uint32_t head = 0; head < n_heads; head++)
        for (uint32_t i = 0; i < shape.head_dim; i++)
            order.push_back(int32_t(head * shape.head_dim + mlx_paired(i, shape.n_rope)));
    return mx::array(order.begin(), mx::Shape{ int(order.size()) }, mx::int32);
}

layer layer_of(loader &load, const layer_weights &w, const model_shape &shape)
{
    return { vector_of(w.attn_norm, shape.n_hidden),
             vector_of(w.ffn_norm, shape.n_hidden),
             load.matrix(w.q, halves_of(shape, shape.n_head)),
             load.matrix(w.k, halves_of(shape, shape.n_kv_head)),
             load.matrix(w.v),
             load.matrix(w.o),
             load.matrix(w.gate),
             load.matrix(w.up),
             load.matrix(w.down) };
}
