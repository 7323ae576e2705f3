// Small matrix products C (+)= A B of one thread, for matrices that stay in the cache.
//
// B and C have contiguous rows, whole registers wide; A has any strides, so that A or its
// transpose may be meant.  A micro-kernel keeps R x N registers of C while it runs over k.

#pragma once

#include "simd.h"

namespace gemm {

using simd::V;
using simd::WIDTH;

enum class Start { ZERO, ADD, LANE_BIAS, ROW_BIAS };

template <class F>
struct Operands {
  const F* a;
  ptrdiff_t a_row, a_column;
  const F* b;
  ptrdiff_t b_row;
  F* c;
  ptrdiff_t c_row;
  const F* bias;  // of lanes or of rows, as `Start` says
  bool relu;
};

template <class F, Start START, int R, int N>
VS_INLINE void kernel(const Operands<F>& o, int row, int lane, int k) {
  constexpr int W = WIDTH<F>;
  V<F> sum[R][N];
  const F* a = o.a + row * o.a_row;
  const F* b = o.b + lane;
  F* c = o.c + row * o.c_row + lane;
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      if (START == Start::ADD) sum[r][n] = *(const V<F>*)(c + r * o.c_row + n * W);
      if (START == Start::ZERO) sum[r][n] = V<F>{};
      if (START == Start::LANE_BIAS) sum[r][n] = *(const V<F>*)(o.bias + lane + n * W);
      if (START == Start::ROW_BIAS) sum[r][n] = V<F>{} + o.bias[row + r];
    }
  for (int j = 0; j < k; ++j) {
    V<F> right[N];
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) right[n] = *(const V<F>*)(b + j * o.b_row + n * W);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const F left = a[r * o.a_row + j * o.a_column];
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) sum[r][n] += left * right[n];
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      const V<F> value = sum[r][n];
      *(V<F>*)(c + r * o.c_row + n * W) =
          o.relu ? (value < F(0) ? V<F>{} : value) : value;  // NaN stays
    }
}

template <class F, Start START, int N>
void rows(const Operands<F>& o, int from, int to, int lane, int k) {
  int row = from;
  for (; row + simd::ROWS <= to; row += simd::ROWS) kernel<F, START, simd::ROWS, N>(o, row, lane, k);
  if (simd::ROWS > 4 && row + 4 <= to) {
    kernel<F, START, 4, N>(o, row, lane, k);
    row += 4;
  }
  if (row + 2 <= to) {
    kernel<F, START, 2, N>(o, row, lane, k);
    row += 2;
  }
  if (row < to) kernel<F, START, 1, N>(o, row, lane, k);
}

// Rows from <= row < to and lanes from_lane <= lane < to_lane of C; both lanes are whole registers.
template <class F, Start START>
void multiply(const Operands<F>& o, int from, int to, int from_lane, int to_lane, int k) {
  constexpr int W = WIDTH<F>;
  int lane = from_lane;
  for (; lane + 2 * W <= to_lane; lane += 2 * W) rows<F, START, 2>(o, from, to, lane, k);
  if (lane < to_lane) rows<F, START, 1>(o, from, to, lane, k);
}

}  // namespace gemm
