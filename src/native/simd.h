// Vectors of the processor's registers, and the few functions of them that splines need.
//
// GCC's vector extensions, which Clang has too: the same source for every width of register.
// exp, log and log1p are polynomials of their own: sums have one order, results do not depend on
// a library, and no flag that gives up NaN or infinity is needed.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace simd {

#if defined(__AVX512F__)
constexpr int BYTES = 64;
constexpr int ROWS = 8;  // of a micro-kernel: ROWS x 2 accumulators stay in registers
#elif defined(__AVX__)
constexpr int BYTES = 32;
constexpr int ROWS = 4;
#else
constexpr int BYTES = 16;
constexpr int ROWS = 4;
#endif

template <class F>
struct Of;

template <>
struct Of<float> {
  // Aligned as its elements: arrays come from elsewhere, and unaligned loads cost nothing.
  typedef float V __attribute__((vector_size(BYTES), aligned(4), may_alias));
  typedef int32_t I __attribute__((vector_size(BYTES), aligned(4), may_alias));
  using Int = int32_t;
  static constexpr int MANTISSA = 23, BIAS = 127;
  static constexpr float MAGIC = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded
  static constexpr float LN2_HIGH = 0.693359375f, LN2_LOW = -2.12194440e-4f;
  static constexpr float LOWEST = -87.0f, HIGHEST = 88.0f;
  static constexpr int EXP_TERMS = 7, LOG_TERMS = 5, LOG1P_TERMS = 8;
};

template <>
struct Of<double> {
  typedef double V __attribute__((vector_size(BYTES), aligned(8), may_alias));
  typedef int64_t I __attribute__((vector_size(BYTES), aligned(8), may_alias));
  using Int = int64_t;
  static constexpr int MANTISSA = 52, BIAS = 1023;
  static constexpr double MAGIC = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr double LN2_HIGH = 6.93145751953125e-1, LN2_LOW = 1.42860682030941723212e-6;
  static constexpr double LOWEST = -708.0, HIGHEST = 709.0;
  static constexpr int EXP_TERMS = 13, LOG_TERMS = 11, LOG1P_TERMS = 17;
};

template <class F>
using V = typename Of<F>::V;
template <class F>
using I = typename Of<F>::I;
template <class F>
constexpr int WIDTH = BYTES / int(sizeof(F));

#define VS_INLINE inline __attribute__((always_inline))

template <class F>
VS_INLINE V<F> all(F value) {
  return V<F>{} + value;
}

// Of the two, `b` where one is NaN: a value that must stay NaN comes second.
template <class F>
VS_INLINE V<F> larger(V<F> a, V<F> b) {
  return a > b ? a : b;
}

template <class F>
VS_INLINE V<F> smaller(V<F> a, V<F> b) {
  return a < b ? a : b;
}

template <class F>
constexpr F inverse_factorial(int k) {
  double product = 1;
  for (int j = 2; j <= k; ++j) product *= j;
  return F(1 / product);
}

// exp(x) = 2^n exp(r), |r| <= ln(2) / 2, by its Taylor series; x is held to where it is normal.
template <class F>
VS_INLINE V<F> exp(V<F> x) {
  using C = Of<F>;
  x = smaller<F>(all<F>(C::HIGHEST), larger<F>(all<F>(C::LOWEST), x));
  const V<F> shifted = x * F(1.44269504088896340736) + C::MAGIC;
  const V<F> n = shifted - C::MAGIC;
  const V<F> r = (x - n * C::LN2_HIGH) - n * C::LN2_LOW;
  V<F> sum = all<F>(inverse_factorial<F>(C::EXP_TERMS));
#pragma GCC unroll 16
  for (int k = C::EXP_TERMS - 1; k >= 0; --k) sum = sum * r + inverse_factorial<F>(k);
  return (V<F>)((I<F>)sum + ((I<F>)shifted << C::MANTISSA));
}

// 2 atanh(z) = 2 (z + z^3 / 3 + z^5 / 5 + ...)
template <class F, int TERMS>
VS_INLINE V<F> twice_atanh(V<F> z) {
  const V<F> square = z * z;
  V<F> sum = all<F>(F(1) / F(2 * TERMS + 1));
#pragma GCC unroll 20
  for (int k = TERMS - 1; k >= 0; --k) sum = sum * square + F(1) / F(2 * k + 1);
  return F(2) * z * sum;
}

// log of a positive normal number: exponent, and the mantissa in [sqrt(1/2), sqrt(2)).
template <class F>
VS_INLINE V<F> log(V<F> x) {
  using C = Of<F>;
  constexpr typename C::Int ONE = typename C::Int(C::BIAS) << C::MANTISSA;
  const I<F> bits = (I<F>)x;
  V<F> m = (V<F>)((bits & ((typename C::Int(1) << C::MANTISSA) - 1)) | ONE);
  I<F> exponent = (bits >> C::MANTISSA) - C::BIAS;
  const I<F> upper = m > F(1.41421356237309504880);
  m = upper ? m * F(0.5) : m;
  exponent -= upper;  // a true comparison is -1
  // An integer below 2^(MANTISSA - 2) as a number, without a conversion that AVX2 lacks.
  V<F> magic = all<F>(C::MAGIC);
  const V<F> e = (V<F>)((I<F>)magic + exponent) - C::MAGIC;
  const V<F> series = twice_atanh<F, C::LOG_TERMS>((m - F(1)) / (m + F(1)));
  return e * C::LN2_HIGH + (e * C::LN2_LOW + series);
}

// log(1 + e) for 0 <= e <= 1, right in relative terms also for small e.
template <class F>
VS_INLINE V<F> log1p(V<F> e) {
  return twice_atanh<F, Of<F>::LOG1P_TERMS>(e / (e + F(2)));
}

template <class F>
VS_INLINE V<F> magnitude(V<F> x) {
  return x < F(0) ? -x : x;
}

template <class F>
VS_INLINE V<F> softplus(V<F> x) {
  return larger<F>(V<F>{}, x) + log1p<F>(exp<F>(-magnitude<F>(x)));
}

// d softplus / dx
template <class F>
VS_INLINE V<F> sigmoid(V<F> x) {
  const V<F> e = exp<F>(-magnitude<F>(x));
  return (x < F(0) ? e : all<F>(F(1))) / (F(1) + e);
}

template <class F>
VS_INLINE F total(V<F> x) {
  F sum = 0;
  for (int lane = 0; lane < WIDTH<F>; ++lane) sum += x[lane];
  return sum;
}

}  // namespace simd
