/* SPDX-License-Identifier: Apache-2.0 */
/* engine/mlx/module.cpp - the graph of engine/weights.h in MLX.
 *
 * A shard's weights become MLX arrays once.  A step builds the graph of each layer and hands it to
 * MLX at once (async_eval), so that building the next overlaps with computing, then waits
 * layer by layer, which is what the watch hears of.  Keys and values of a layer are two arrays
 * [n_pages][page_tokens][n_kv_head][head_dim]; a step puts its rows where the page tables say
 * (scatter, in place, for nothing else refers to the arrays) and gathers the pages of each
 * sequence for its attention.
 *
 * MLX reports by exceptions; none leaves this file.
 *
 * Source  the MLX documentation of mlx.core; rope: Su et al. 2021, arXiv:2104.09864
 */
#include "engine/mlx/module.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include <mlx/backend/metal/metal.h>
#include <mlx/version.h>

#include "engine/mlx/weights.hpp"

#if MLX_VERSION_NUMERIC < 32001
#error "MLX 0.32.1 or later is needed"
#endif

constexpr size_t CACHE_BYTES = size_t(256) << 20;

/* Why a sum over the team failed. */
struct lost_member {
    int code = 0;
    char words[ERR_WORDS_MAX] = "";
};

struct mlx_graph {
    model_shape shape;
    engine_options options;
    mlx_watch watch;
    mx::Dtype compute = mx::float32;
    std::string name;
    std::vector<layer> layers;
    std::vector<mx::array> keys, values; /* of each layer */
    std::optional<linear> embedding, output;
    std::optional<mx::array> output_norm, rope_wavelengths;
    std::optional<mx::distributed::Group> ring; /* of the team */

    mlx_graph(const shard_weights &w, const engine_options &o, const mlx_watch &listener);
    void step(const engine_batch &batch, float *hidden_out, float *logits_out);

  private:
    mx::array product(const mx::array &x, const linear &w) const;
    mx::array rows_of(const linear &w, const mx::array &ids) const;
    mx::array turn(const mx::array &x, const mx::array &positions) const;
    mx::array attend(size_t layer, const mx::array &q, const engine_batch &batch) const;
    mx::array summed(const mx::array &part);
    mx::array attention(size_t i, const mx::array &h, const struct places &at,
                        const engine_batch &batch);
    mx::array compute_layer(size_t i, const mx::array &h, const struct places &places,
                            const engine_batch &batch);
    void join(const engine_options &o, const portion &mine);
    void bound_memory(const shard_weights &w);
    uint64_t need_bytes(const shard_weights &w) const;
};

/* Where the rows of a batch go. */
struct places {
    mx::array positions, pages, offsets; /* [n_rows] */
};

static places places_of(const engine_batch &batch, uint32_t page_tokens)
{
    std::vector<int32_t> positions, pages, offsets;

    for (uint32_t i = 0; i < batch.n_spans; i++) {
        const engine_span &span = batch.spans[i];

        for (uint32_t at = span.start; at < span.start + span.n_rows; at++) {
            positions.push_back(int32_t(at));
            pages.push_back(int32_t(span.pages[at / page_tokens]));
            offsets.push_back(int32_t(at % page_tokens));
        }
    }
    const mx::Shape shape{ int(positions.size()) };

    return { mx::array(positions.begin(), shape, mx::int32),
             mx::array(pages.begin(), shape, mx::int32),
             mx::array(offsets.begin(), shape, mx::int32) };
}

/* Su et al. 2021, section 3.2.2, and the divisors that Llama 3.1 brought. */
static std::optional<mx::array> wavelengths_of(const model_shape &shape)
{
    std::vector<float> lengths;

    if (!shape.rope_factors)
        return std::nullopt;
    for (uint32_t i = 0; i < shape.n_rope / 2; i++)
        lengths.push_back(float(std::pow(double(shape.rope_base), 2.0 * i / shape.n_rope) *
                                double(shape.rope_factors[i])));
    return mx::array(lengths.begin(), mx::Shape{ int(lengths.size()) }, mx::float32);
}

/* Every row [n_heads][1][head_dim] at its own position. */
static mx::array heads_of(const mx::array &x, uint32_t n_heads, uint32_t dim)
{
    return mx::reshape(x, { x.shape(0), int(n_heads), 1, int(dim) });
}

static void copy_out(const mx::array &x, float *out)
{
    mx::array flat = mx::contiguous(mx::astype(x, mx::float32));

    mx::eval(flat);
    std::memcpy(out, flat.data<float>(), flat.nbytes());
}

/* What the GPU can keep resident is a bound: beyond it macOS would swap, or stop the machine. */
void mlx_graph::bound_memory(const shard_weights &w)
{
    const size_t need = size_t(need_bytes(w));

    mx::set_cache_limit(CACHE_BYTES);
    if (!mx::metal::is_available()) {
        mx::set_memory_limit(mx::get_active_memory() + need);
        return;
    }
    const auto &about = mx::metal::device_info();
    const auto most = about.find("max_recommended_working_set_size");
    const size_t bound = most == about.end() ? SIZE_MAX : std::get<size_t>(most->second),
                 used = mx::get_active_memory();

    if (need > bound || used > bound - need)
        throw std::bad_alloc();
    mx::set_memory_limit(used + need);
    mx::set_wired_limit(used + need);
}

/* Weights (scales of blocks grow from f16 to what products take), pages, rows between layers. */
uint64_t mlx_graph::need_bytes(const shard_weights &w) const
{
    const uint64_t pages = 2ull * options.n_pages * options.page_tokens * shape.n_kv_head *
                           shape.head_dim * w.n_layers * mx::size_of(compute);
    const uint64_t row = uint64_t(shape.n_hidden) * 8 + uint64_t(shape.n_ff) * 4;
    const uint64_t widened = compute == mx::float32 ? 2 * w.total_bytes : w.total_bytes;

    return widened + pages +
           (row * options.max_rows + uint64_t(shape.n_vocab) * options.max_logit_rows) *
               sizeof(float) +
           CACHE_BYTES;
}

/* MLX's ring waits for its first member without end, and for others half a minute: whoever
 * supervises this process ends it. */
void mlx_graph::join(const engine_options &o, const portion &mine)
{
    options.ring_file = nullptr; /* was borrowed */
    if (!o.ring_file)
        return;
    setenv("MLX_HOSTFILE", o.ring_file, 1);
    setenv("MLX_RANK", std::to_string(mine.member).c_str(), 1);
    ring = mx::distributed::init(true, "ring");
    if (ring->size() != int(mine.n_members))
        throw std::runtime_error("the ring has another size than the team");
}

mlx_graph::mlx_graph(const shard_weights &w, const engine_options &o, const mlx_watch &listener)
    : shape(w.shape), options(o), watch(listener)
{
    const bool has_gpu = mx::metal::is_available();
    const mx::Shape pool{ int(o.n_pages), int(o.page_tokens), int(w.shape.n_kv_head),
                          int(w.shape.head_dim) };

    join(o, w.portion);
    compute = has_gpu ? mx::float16 : mx::float32;
    mx::set_default_device(has_gpu ? mx::Device::gpu : mx::Device::cpu);
    name = std::string("MLX ") + mx::version() + (has_gpu ? ", gpu" : ", cpu");
    layers.reserve(w.n_layers);
    bound_memory(w);
    loader load{ compute, watch, 0, w.total_bytes, {} };

    for (uint32_t i = 0; i < w.n_layers; i++) {
        layers.push_back(layer_of(load, w.layers[i], shape));
        keys.push_back(mx::zeros(pool, compute));
        values.push_back(mx::zeros(pool, compute));
        mx::eval(keys.back(), values.back());
    }
    if (w.embedding.data)
        embedding = load.matrix(w.embedding);
    if (w.output.data) {
        output = load.matrix(w.output);
        output_norm = vector_of(w.output_norm, shape.n_hidden);
    }
    rope_wavelengths = wavelengths_of(shape);
    shape.rope_factors = nullptr; /* copied */
    watch.on_loaded(watch.arg, w.total_bytes, w.total_bytes);
}

mx::array mlx_graph::product(const mx::array &x, const linear &w) const
{
    const mx::array in =
        mx::astype(x, w.scales || w.weight.dtype() == mx::float16 ? compute : mx::float32);
    const mx::array out =
        w.scales ? mx::quantized_matmul(in, w.weight, *w.scales, w.biases, true, w.group, w.bits)
                 : mx::matmul(in, mx::transpose(w.weight));

    return mx::astype(out, mx::float32);
}

mx::array mlx_graph::rows_of(const linear &w, const mx::array &ids) const
{
    const mx::array rows = mx::take(w.weight, ids, 0);

    if (!w.scales)
        return mx::astype(rows, mx::float32);
    return mx::astype(mx::dequantize(rows, mx::take(*w.scales, ids, 0), mx::take(*w.biases, ids, 0),
                                     w.group, w.bits),
                      mx::float32);
}

mx::array mlx_graph::turn(const mx::array &x, const mx::array &positions) const
{
    if (rope_wavelengths)
        return mx::fast::rope(x, int(shape.n_rope), false, std::nullopt, shape.rope_scale,
                              positions, rope_wavelengths);
    return mx::fast::rope(x, int(shape.n_rope), false, shape.rope_base, shape.rope_scale,
                          positions);
}

/* Rows of [n_heads * head_dim], sequence by sequence: each sees its own pages. */
mx::array mlx_graph::attend(size_t layer, const mx::array &q, const engine_batch &batch) const
{
    const int n_kv = int(shape.n_kv_head), dim = int(shape.head_dim);
    const float scale = 1 / std::sqrt(float(dim));
    std::vector<mx::array> mixed;

    for (uint32_t i = 0; i < batch.n_spans; i++) {
        const engine_span &span = batch.spans[i];
        const int n = int(span.n_rows), end = int(span.start + span.n_rows);
        const int n_pages = (end + int(options.page_tokens) - 1) / int(options.page_tokens);
        const mx::array pages(reinterpret_cast<const int32_t *>(span.pages), mx::Shape{ n_pages },
                              mx::int32);
        const auto gathered = [&](const mx::array &pool) {
            const mx::array rows = mx::reshape(mx::take(pool, pages, 0), { -1, n_kv, dim });
            const mx::array seen = mx::slice(rows, { 0, 0, 0 }, { end, n_kv, dim });

            return mx::expand_dims(mx::transpose(seen, { 1, 0, 2 }), 0);
        };
        const mx::array mine = mx::slice(q, { int(span.first_row), 0, 0, 0 },
                                         { int(span.first_row) + n, q.shape(1), 1, dim });
        const mx::array queries = mx::astype(mx::transpose(mine, { 2, 1, 0, 3 }), compute);
        const mx::array out = mx::fast::scaled_dot_product_attention(
            queries, gathered(keys[layer]), gathered(values[layer]), scale, n > 1 ? "causal" : "");

        mixed.push_back(mx::reshape(mx::transpose(out, { 0, 2, 1, 3 }), { n, -1 }));
    }
    return mixed.size() == 1 ? mixed[0] : mx::concatenate(mixed, 0);
}

/* Of a member's part of the rows: all members' sum.  What is to be summed is computed before, and the sum
 * before anything that needs it: a GPU that waits for a peer is stopped by its watchdog, and a wait
 * is not this member's to be judged by. */
mx::array mlx_graph::summed(const mx::array &part)
{
    if (!watch.sum)
        return part;
    mx::array rows = mx::contiguous(part);

    mx::eval(rows);
    if (ring) {
        watch.on_wait(watch.arg, true);
        rows = mx::distributed::all_sum(rows, *ring);
        rows.eval();
        watch.on_wait(watch.arg, false);
        return rows;
    }
    std::vector<float> sums(rows.data<float>(), rows.data<float>() + rows.size());
    lost_member lost;

    lost.code = watch.sum(watch.arg, sums.data(), sums.size(), lost.words);
    if (lost.code != 0)
        throw lost;
    return mx::array(sums.begin(), rows.shape(), mx::float32);
}

/* What the heads of this shard add to the rows. */
mx::array mlx_graph::attention(size_t i, const mx::array &h, const places &at,
                               const engine_batch &batch)
{
    const layer &l = layers[i];
    const int n_rows = h.shape(0);
    const mx::Shape row{ n_rows, 1, 1, int(shape.n_kv_head), int(shape.head_dim) };
    const mx::array normed = mx::fast::rms_norm(h, l.attn_norm, shape.norm_eps);
    const mx::array q =
        turn(heads_of(product(normed, l.q), shape.n_head, shape.head_dim), at.positions);
    const mx::array k =
        turn(heads_of(product(normed, l.k), shape.n_kv_head, shape.head_dim), at.positions);

    keys[i] = mx::scatter(keys[i], { at.pages, at.offsets },
                          mx::reshape(mx::astype(k, compute), row), { 0, 1 });
    values[i] = mx::scatter(values[i], { at.pages, at.offsets },
                            mx::reshape(mx::astype(product(normed, l.v), compute), row), { 0, 1 });
    return product(attend(i, q, batch), l.o);
}

mx::array mlx_graph::compute_layer(size_t i, const mx::array &h, const places &at,
                                   const engine_batch &batch)
{
    const layer &l = layers[i];
    const mx::array mid =
        mx::add(h, summed(shape.n_head > 0 ? attention(i, h, at, batch) : mx::zeros_like(h)));
    const mx::array m = mx::fast::rms_norm(mid, l.ffn_norm, shape.norm_eps);
    const mx::array gate = product(m, l.gate);

    return mx::add(
        mid, summed(product(mx::multiply(mx::multiply(gate, mx::sigmoid(gate)), product(m, l.up)),
                            l.down)));
}

void mlx_graph::step(const engine_batch &batch, float *hidden_out, float *logits_out)
{
    const int n_rows = int(batch.n_rows), n_hidden = int(shape.n_hidden);
    const places at = places_of(batch, options.page_tokens);
    mx::array h = embedding ? rows_of(*embedding, mx::array(batch.tokens, { n_rows }, mx::int32))
                            : mx::array(batch.hidden, { n_rows, n_hidden }, mx::float32);
    std::vector<mx::array> between;

    for (size_t i = 0; i < layers.size(); i++) {
        h = compute_layer(i, h, at, batch);
        mx::async_eval(h, keys[i], values[i]);
        between.push_back(h);
    }
    for (mx::array &x : between) {
        x.eval();
        watch.on_layer(watch.arg);
    }
    mx::eval(keys);
    mx::eval(values);
    if (hidden_out)
        copy_out(output ? mx::fast::rms_norm(h, output_norm, shape.norm_eps) : h, hidden_out);
    if (batch.n_logit_rows == 0)
        return;
    const mx::array rows(reinterpret_cast<const int32_t *>(batch.logit_rows),
                         mx::Shape{ int(batch.n_logit_rows) }, mx::int32);

    copy_out(
        product(mx::fast::rms_norm(mx::take(h, rows, 0), output_norm, shape.norm_eps), *output),
        logits_out);
}

/* Runs `work`; an exception becomes a status and words. */
template <typename Work> static int guarded(char *words, Work work)
{
    enum status s = ST_OK;
    const char *what = "";

    try {
        work();
        return ST_OK;
    } catch (const lost_member &lost) {
        std::snprintf(words, ERR_WORDS_MAX, "%s", lost.words);
        return lost.code;
    } catch (const std::bad_alloc &) {
        s = ST_NOMEM;
        what = "there is not the memory for weights, pages and the largest batch";
        std::snprintf(words, ERR_WORDS_MAX, "%s", what);
    } catch (const std::exception &e) {
        s = ST_IO;
        std::snprintf(words, ERR_WORDS_MAX, "%.400s", e.what());
    }
    for (char *c = words; *c; c++) /* one sentence on one line */
        if (*c == '\n')
            *c = ' ';
    return s;
}

static int graph_open(const shard_weights *weights, const engine_options *options,
                      const mlx_watch *watch, mlx_graph **ret_graph, char *words)
{
    return guarded(words, [&] { *ret_graph = new mlx_graph(*weights, *options, *watch); });
}

static void graph_close(mlx_graph *graph)
{
    const bool has_ring = graph && graph->ring;

    delete graph;
    if (has_ring)
        mx::distributed::clear_backends();
    mx::clear_cache();
}

static int graph_step(mlx_graph *graph, const engine_batch *batch, float *hidden_out,
                      float *logits_out, char *words)
{
    return guarded(words, [&] { graph->step(*batch, hidden_out, logits_out); });
}

static void *graph_rows(mlx_graph *graph, uint32_t layer, enum mlx_kv part, uint32_t page)
{
    mx::array &pool = part == MLX_KEY ? graph->keys[layer] : graph->values[layer];
    const size_t page_bytes = pool.nbytes() / size_t(pool.shape(0));

    return pool.data<char>() + page * page_bytes;
}

static bool graph_is_half(const mlx_graph *graph)
{
    return graph->compute == mx::float16;
}

static const char *graph_name(const mlx_graph *graph)
{
    return graph->name.c_str();
}

static const mlx_module module = {
    MLX_MODULE_VERSION, mx::version, graph_open,    graph_close,
    graph_step,         graph_rows,  graph_is_half, graph_name,
};

extern "C" const mlx_module *pomona_mlx_module(void)
{
    return &module;
}
