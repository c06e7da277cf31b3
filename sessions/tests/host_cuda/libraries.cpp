// What candle calls of cuBLAS and cuRAND: matrix products, summed in the order of their terms in single precision (double
// for double), and generators that generate nothing.

#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <curand.h>

#include <cstdio>
#include <vector>

#include "execution.hpp"

namespace {

// A stack of matrices in columns.
struct Matrices {
    const void *numbers;
    cudaDataType type;
    int leading;
    long long stride;
};

template <class Sum> Sum at(const void *numbers, cudaDataType type, size_t index) {
    switch (type) {
    case CUDA_R_16F: return __half2float(static_cast<const __half *>(numbers)[index]);
    case CUDA_R_16BF: return __bfloat162float(static_cast<const __nv_bfloat16 *>(numbers)[index]);
    case CUDA_R_32F: return static_cast<const float *>(numbers)[index];
    default: return static_cast<const double *>(numbers)[index];
    }
}

template <class Sum> void put(void *numbers, cudaDataType type, size_t index, Sum value) {
    switch (type) {
    case CUDA_R_16F: static_cast<__half *>(numbers)[index] = __float2half(value); break;
    case CUDA_R_16BF: static_cast<__nv_bfloat16 *>(numbers)[index] = __float2bfloat16(value); break;
    case CUDA_R_32F: static_cast<float *>(numbers)[index] = value; break;
    default: static_cast<double *>(numbers)[index] = value;
    }
}

bool is_known(cudaDataType type) {
    return type == CUDA_R_16F || type == CUDA_R_16BF || type == CUDA_R_32F || type == CUDA_R_64F;
}

// Columns of the rows of op(A), or of the columns of op(B), one behind the other: `[count, inner]`.
template <class Sum>
std::vector<Sum> lines(const Matrices &from, int batch, int count, int inner, bool inner_is_first) {
    std::vector<Sum> all(size_t(count) * inner);
    const size_t start = size_t(batch) * from.stride;
    for (int line = 0; line < count; ++line) {
        for (int term = 0; term < inner; ++term) {
            const size_t row = inner_is_first ? term : line, column = inner_is_first ? line : term;
            all[size_t(line) * inner + term] = at<Sum>(from.numbers, from.type, start + column * from.leading + row);
        }
    }
    return all;
}

template <class Sum>
void products(bool transpose_a, bool transpose_b, int m, int n, int k, Sum alpha, Sum beta, const Matrices &a,
              const Matrices &b, void *c, cudaDataType c_type, int c_leading, long long c_stride, int batches) {
    constexpr int lanes = 16;
    for (int batch = 0; batch < batches; ++batch) {
        const auto rows = lines<Sum>(a, batch, m, k, transpose_a);
        const auto columns = lines<Sum>(b, batch, n, k, !transpose_b);
        for (int j = 0; j < n; ++j) {
            for (int i = 0; i < m; ++i) {
                const Sum *x = &rows[size_t(i) * k], *y = &columns[size_t(j) * k];
                Sum sums[lanes] = {};
                int term = 0;
                for (; term + lanes <= k; term += lanes) {
                    for (int lane = 0; lane < lanes; ++lane) {
                        sums[lane] += x[term + lane] * y[term + lane];
                    }
                }
                for (; term < k; ++term) {
                    sums[0] += x[term] * y[term];
                }
                Sum sum = 0;
                for (Sum part : sums) {
                    sum += part;
                }
                const size_t place = size_t(batch) * c_stride + size_t(j) * c_leading + i;
                // what is multiplied by 0 is not read
                const Sum before = beta == 0 ? 0 : beta * at<Sum>(c, c_type, place);
                put<Sum>(c, c_type, place, alpha * sum + before);
            }
        }
    }
}

} // namespace

extern "C" {

cublasStatus_t cublasCreate(cublasHandle_t *handle) {
    *handle = reinterpret_cast<cublasHandle_t>(1);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy(cublasHandle_t) { return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasSetStream(cublasHandle_t, cudaStream_t) { return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t, cublasOperation_t transpose_a, cublasOperation_t transpose_b,
                                          int m, int n, int k, const void *alpha, const void *a, cudaDataType a_type,
                                          int a_leading, long long a_stride, const void *b, cudaDataType b_type,
                                          int b_leading, long long b_stride, const void *beta, void *c,
                                          cudaDataType c_type, int c_leading, long long c_stride, int batches,
                                          cublasComputeType_t compute, cublasGemmAlgo_t) {
    const bool sums_single = compute == CUBLAS_COMPUTE_32F;
    if (!sums_single || !is_known(a_type) || !is_known(b_type) || !is_known(c_type)) {
        std::fprintf(stderr, "host CUDA: a matrix product of types %d, %d and %d by %d is not done\n", a_type, b_type,
                     c_type, compute);
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    // as cuBLAS refuses them
    if (a_leading < (transpose_a ? k : m) || b_leading < (transpose_b ? n : k) || c_leading < m) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    host_cuda::count_launch("matrix product");
    products<float>(transpose_a, transpose_b, m, n, k, *static_cast<const float *>(alpha),
                    *static_cast<const float *>(beta), {a, a_type, a_leading, a_stride},
                    {b, b_type, b_leading, b_stride}, c, c_type, c_leading, c_stride, batches);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDgemmStridedBatched(cublasHandle_t, cublasOperation_t transpose_a, cublasOperation_t transpose_b,
                                         int m, int n, int k, const double *alpha, const double *a, int a_leading,
                                         long long a_stride, const double *b, int b_leading, long long b_stride,
                                         const double *beta, double *c, int c_leading, long long c_stride,
                                         int batches) {
    host_cuda::count_launch("matrix product");
    products<double>(transpose_a, transpose_b, m, n, k, *alpha, *beta, {a, CUDA_R_64F, a_leading, a_stride},
                     {b, CUDA_R_64F, b_leading, b_stride}, c, CUDA_R_64F, c_leading, c_stride, batches);
    return CUBLAS_STATUS_SUCCESS;
}

curandStatus_t curandCreateGenerator(curandGenerator_t *generator, curandRngType_t) {
    *generator = reinterpret_cast<curandGenerator_t>(1);
    return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandDestroyGenerator(curandGenerator_t) { return CURAND_STATUS_SUCCESS; }
curandStatus_t curandSetStream(curandGenerator_t, cudaStream_t) { return CURAND_STATUS_SUCCESS; }
curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t, unsigned long long) { return CURAND_STATUS_SUCCESS; }

} // extern "C"
