// What nvcc knows by itself and a host's compiler does not, so that candle's kernels compile for the host. Half-precision
// types come from the toolkit's headers, which compute on the host in single precision and round, as a card does.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "execution.hpp"
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

// kernels run one block at a time, so what a block shares may lie where statics lie
#undef __shared__
#define __shared__ static

#define __CUDACC_VER_MAJOR__ 13
#define __CUDACC_VER_MINOR__ 0

inline void __syncthreads() { host_cuda::wait_for_block(); }

template <class T> T __shfl_xor_sync(unsigned, T value, int lanes, int = 32) {
    static_assert(sizeof(T) <= host_cuda::handed_bytes);
    const unsigned own = host_cuda::place();
    std::memcpy(host_cuda::handed[own], &value, sizeof(T));
    host_cuda::wait_for_warp();
    std::memcpy(&value, host_cuda::handed[own ^ unsigned(lanes)], sizeof(T));
    // nobody writes anew before all have read
    host_cuda::wait_for_warp();
    return value;
}

template <class A, class B, class = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>>>
auto max(A a, B b) { return std::max<std::common_type_t<A, B>>(a, b); }
template <class A, class B, class = std::enable_if_t<std::is_arithmetic_v<A> && std::is_arithmetic_v<B>>>
auto min(A a, B b) { return std::min<std::common_type_t<A, B>>(a, b); }

template <class To, class From> To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof(To));
    return to;
}
inline int __float_as_int(float x) { return same_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return same_bits<unsigned>(x); }
inline float __int_as_float(int x) { return same_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return same_bits<float>(x); }
inline long long __double_as_longlong(double x) { return same_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return same_bits<double>(x); }

// one thread runs at a time
template <class T, class U> T atomicAdd(T *at, U value) { T old = *at; *at = old + T(value); return old; }
template <class T, class U> T atomicMax(T *at, U value) { T old = *at; *at = std::max<T>(old, value); return old; }
template <class T, class U> T atomicMin(T *at, U value) { T old = *at; *at = std::min<T>(old, value); return old; }
template <class T, class U, class V> T atomicCAS(T *at, U expected, V value) {
    T old = *at;
    if (old == T(expected)) *at = value;
    return old;
}

// four signed bytes at once
inline int __dp4a(int a, int b, int sum) {
    for (int shift = 0; shift < 32; shift += 8) sum += int8_t(a >> shift) * int8_t(b >> shift);
    return sum;
}
inline int __vsubss4(int a, int b) {
    unsigned all = 0;
    for (int shift = 0; shift < 32; shift += 8) {
        const int difference = std::clamp(int8_t(a >> shift) - int8_t(b >> shift), -128, 127);
        all |= unsigned(uint8_t(difference)) << shift;
    }
    return int(all);
}

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float normcdff(float x) { return 0.5f * std::erfc(-x * 0.70710678118654752f); }
inline double normcdf(double x) { return 0.5 * std::erfc(-x * 0.70710678118654752); }

using std::isnan;
using std::signbit;

// functions of half-precision numbers that the headers have for cards alone
#define HOST_CUDA_BY_FLOAT(NAME, OF)                                                                                   \
    inline __half NAME(__half a) { return __float2half(OF(__half2float(a))); }                                         \
    inline __nv_bfloat16 NAME(__nv_bfloat16 a) { return __float2bfloat16(OF(__bfloat162float(a))); }
HOST_CUDA_BY_FLOAT(hexp, std::exp)
HOST_CUDA_BY_FLOAT(hlog, std::log)
HOST_CUDA_BY_FLOAT(hsin, std::sin)
HOST_CUDA_BY_FLOAT(hcos, std::cos)
HOST_CUDA_BY_FLOAT(hsqrt, std::sqrt)
