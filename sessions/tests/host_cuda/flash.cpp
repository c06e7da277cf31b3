// What candle's flash attention calls: softmax(scale * Q K^T) V in f16 or bf16, row by row, summed in single precision.
// Its kernels reach a card past the driver's functions and are not run here; this is what they are to give, so that the
// program's way to them is seen to hand over the right rows: strides, grouped heads, a last row that sees the last key.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "execution.hpp"

namespace {

// Rows of a tensor by batch, token and head, in elements.
struct Strides {
    uint32_t batch, token, head;
    size_t at(uint32_t in_batch, uint32_t token_index, uint32_t head_index) const {
        return size_t(in_batch) * batch + size_t(token_index) * token + size_t(head_index) * head;
    }
};

struct Attention {
    const void *queries, *keys, *values;
    void *contexts;
    float *log_sum_exps;
    Strides of_queries, of_keys, of_values, of_contexts;
    uint32_t batches, heads, kv_heads, head_dim, rows, columns;
    float scale;
    // keys that a row sees before and behind its own; negative for all
    int seen_before, seen_behind;
};

float number(__half x) { return __half2float(x); }
float number(__nv_bfloat16 x) { return __bfloat162float(x); }
void put(__half &to, float x) { to = __float2half(x); }
void put(__nv_bfloat16 &to, float x) { to = __float2bfloat16(x); }

template <class T> void attend(const Attention &a, uint32_t batch, uint32_t head, uint32_t row) {
    const uint32_t kv_head = head / (a.heads / a.kv_heads);
    // the last row stands at the last key, however many rows there are
    const int64_t own = int64_t(row) + a.columns - a.rows;
    const int64_t first = a.seen_before < 0 ? 0 : std::max<int64_t>(0, own - a.seen_before);
    const int64_t last = a.seen_behind < 0 ? a.columns - 1 : std::min<int64_t>(a.columns - 1, own + a.seen_behind);
    const T *query = static_cast<const T *>(a.queries) + a.of_queries.at(batch, row, head);
    std::vector<float> logits, context(a.head_dim, 0.0f);
    float largest = -INFINITY, sum = 0.0f;
    for (int64_t column = first; column <= last; ++column) {
        const T *key = static_cast<const T *>(a.keys) + a.of_keys.at(batch, uint32_t(column), kv_head);
        float product = 0.0f;
        for (uint32_t d = 0; d < a.head_dim; ++d) product += number(query[d]) * number(key[d]);
        logits.push_back(product * a.scale);
        largest = std::max(largest, logits.back());
    }
    for (int64_t column = first; column <= last; ++column) {
        const T *value = static_cast<const T *>(a.values) + a.of_values.at(batch, uint32_t(column), kv_head);
        const float weight = std::exp(logits[column - first] - largest);
        sum += weight;
        for (uint32_t d = 0; d < a.head_dim; ++d) context[d] += weight * number(value[d]);
    }
    T *to = static_cast<T *>(a.contexts) + a.of_contexts.at(batch, row, head);
    for (uint32_t d = 0; d < a.head_dim; ++d) put(to[d], sum > 0.0f ? context[d] / sum : 0.0f);
    a.log_sum_exps[(size_t(batch) * a.heads + head) * a.rows + row] = largest + std::log(sum);
}

template <class T> void attend(const Attention &a) {
    for (uint32_t batch = 0; batch < a.batches; ++batch) {
        for (uint32_t head = 0; head < a.heads; ++head) {
            for (uint32_t row = 0; row < a.rows; ++row) attend<T>(a, batch, head, row);
        }
    }
}

} // namespace

// Arguments as candle-flash-attn declares them; those without a name here are of what this program does not ask for.
extern "C" void run_mha(const void *q, const void *k, const void *v, void *o, void *lse, const void *alibi_slopes,
                        const int32_t *q_starts, const int32_t *k_starts, uint32_t q_batch, uint32_t k_batch,
                        uint32_t v_batch, uint32_t o_batch, uint32_t, uint32_t q_token, uint32_t k_token,
                        uint32_t v_token, uint32_t o_token, uint32_t q_head, uint32_t k_head, uint32_t v_head,
                        uint32_t o_head, uint32_t batches, uint32_t heads, uint32_t kv_heads, uint32_t head_dim,
                        uint32_t, float scale, uint32_t rows, uint32_t columns, uint32_t, uint32_t, uint32_t,
                        int is_bf16, int is_causal, int, int seen_before, int seen_behind, float softcap,
                        const int32_t *block_table, uint32_t, int, const int32_t *prefix_ranges, uint32_t, int, void *) {
    if (alibi_slopes || q_starts || k_starts || block_table || prefix_ranges || softcap != 0.0f || columns < rows) {
        host_cuda::fail("flash attention of a kind that is not done on the host");
    }
    host_cuda::count_launch("flash attention");
    const Attention asked{q, k, v, o, static_cast<float *>(lse), {q_batch, q_token, q_head}, {k_batch, k_token, k_head},
                          {v_batch, v_token, v_head}, {o_batch, o_token, o_head}, batches, heads, kv_heads, head_dim,
                          rows, columns, scale, is_causal ? -1 : seen_before, is_causal ? 0 : seen_behind};
    is_bf16 ? attend<__nv_bfloat16>(asked) : attend<__half>(asked);
}
