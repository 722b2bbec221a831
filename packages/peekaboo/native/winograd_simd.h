// What winograd_kernels.cc compiles once for each set of instructions, so without `#pragma once`. It finds there
// PEEKABOO_TARGET, the attribute of each function; kName, kWidth, kRows and Vec; and load, store, broadcast and
// multiplyAdd.

#include <cstdint>  // is there already: inside a namespace it must not add anything

// One-dimensional transforms of F(m, 3): y = Aᵀ((G g) ⊙ (Bᵀ d)), made of polynomials that are interpolated at m + 1
// points and at infinity. A row of G is (1, p, p²) / N(p), N the product of p's distances from the other points.
template <int tile>
struct Transforms;

// Points 0, ±1.
template <>
struct Transforms<2> {
  PEEKABOO_TARGET static inline void input(const Vec* d, Vec* v) {
    v[0] = d[2] - d[0];
    v[1] = d[2] + d[1];
    v[2] = d[2] - d[1];
    v[3] = d[3] - d[1];
  }

  PEEKABOO_TARGET static inline void weights(const Vec* g, Vec* u) {
    const Vec even = broadcast(0.5f) * (g[0] + g[2]), odd = broadcast(0.5f) * g[1];
    u[0] = broadcast(-1.0f) * g[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = g[2];
  }

  PEEKABOO_TARGET static inline void output(const Vec* m, Vec* y) {
    y[0] = m[0] + (m[1] + m[2]);
    y[1] = m[3] + (m[1] - m[2]);
  }
};

// Points 0, ±a, ±b. With ±3/4 and ±3/2 errors are a third of those with the customary ±1 and ±2, about as large as a
// direct sum's (the idea of Barabasz et al., ACM TOMS 2020); all products of a and b are exact.
template <>
struct Transforms<4> {
  static constexpr double a = 0.75, b = 1.5;

  PEEKABOO_TARGET static inline void input(const Vec* d, Vec* v) {
    const Vec evenA = multiplyAdd(broadcast(-b * b), d[2], d[4]);
    const Vec oddA = multiplyAdd(broadcast(-b * b), d[1], d[3]) * broadcast(a);
    const Vec evenB = multiplyAdd(broadcast(-a * a), d[2], d[4]);
    const Vec oddB = multiplyAdd(broadcast(-a * a), d[1], d[3]) * broadcast(b);
    v[0] = multiplyAdd(broadcast(a * a * b * b), d[0], multiplyAdd(broadcast(-a * a - b * b), d[2], d[4]));
    v[1] = evenA + oddA;
    v[2] = evenA - oddA;
    v[3] = evenB + oddB;
    v[4] = evenB - oddB;
    v[5] = multiplyAdd(broadcast(a * a * b * b), d[1], multiplyAdd(broadcast(-a * a - b * b), d[3], d[5]));
  }

  PEEKABOO_TARGET static inline void weights(const Vec* g, Vec* u) {
    constexpr double nA = 2 * a * a * (a * a - b * b), nB = 2 * b * b * (b * b - a * a);
    const Vec evenA = multiplyAdd(broadcast(a * a / nA), g[2], broadcast(1 / nA) * g[0]);
    const Vec evenB = multiplyAdd(broadcast(b * b / nB), g[2], broadcast(1 / nB) * g[0]);
    const Vec oddA = broadcast(a / nA) * g[1], oddB = broadcast(b / nB) * g[1];
    u[0] = broadcast(1 / (a * a * b * b)) * g[0];
    u[1] = evenA + oddA;
    u[2] = evenA - oddA;
    u[3] = evenB + oddB;
    u[4] = evenB - oddB;
    u[5] = g[2];
  }

  PEEKABOO_TARGET static inline void output(const Vec* m, Vec* y) {
    const Vec evenA = m[1] + m[2], oddA = m[1] - m[2], evenB = m[3] + m[4], oddB = m[3] - m[4];
    y[0] = m[0] + (evenA + evenB);
    y[1] = multiplyAdd(broadcast(b), oddB, broadcast(a) * oddA);
    y[2] = multiplyAdd(broadcast(b * b), evenB, broadcast(a * a) * evenA);
    y[3] = multiplyAdd(broadcast(b * b * b), oddB, multiplyAdd(broadcast(a * a * a), oddA, m[5]));
  }
};

template <int tile>
PEEKABOO_TARGET void transformInput(const float* const* pixels, int64_t offset, float* target, int64_t stride) {
  constexpr int side = tile + 2;
  for (int64_t lane = 0; lane < kLane; lane += kWidth) {
    Vec half[side][side];
#pragma GCC unroll 6
    for (int j = 0; j < side; j++) {
      Vec d[side], v[side];
#pragma GCC unroll 6
      for (int i = 0; i < side; i++) d[i] = load(pixels[i * side + j] + offset + lane);
      Transforms<tile>::input(d, v);
#pragma GCC unroll 6
      for (int i = 0; i < side; i++) half[i][j] = v[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < side; i++) {
      Vec v[side];
      Transforms<tile>::input(half[i], v);
#pragma GCC unroll 6
      for (int j = 0; j < side; j++) store(target + (i * side + j) * stride + lane, v[j]);
    }
  }
}

template <int tile>
PEEKABOO_TARGET void transformWeights(const float* taps, float* target, int64_t stride) {
  constexpr int side = tile + 2;
  for (int64_t lane = 0; lane < kLane; lane += kWidth) {
    Vec half[side][3];
#pragma GCC unroll 3
    for (int j = 0; j < 3; j++) {
      Vec g[3], u[side];
#pragma GCC unroll 3
      for (int i = 0; i < 3; i++) g[i] = load(taps + (3 * i + j) * kLane + lane);
      Transforms<tile>::weights(g, u);
#pragma GCC unroll 6
      for (int i = 0; i < side; i++) half[i][j] = u[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < side; i++) {
      Vec u[side];
      Transforms<tile>::weights(half[i], u);
#pragma GCC unroll 6
      for (int j = 0; j < side; j++) store(target + (i * side + j) * stride + lane, u[j]);
    }
  }
}

template <int tile>
PEEKABOO_TARGET void transformOutput(const float* source, int64_t stride, const float* bias, float* target,
                                     int64_t rowStride, int64_t columnStride, int64_t rows, int64_t columns) {
  constexpr int side = tile + 2;
  for (int64_t lane = 0; lane < kLane; lane += kWidth) {
    Vec half[tile][side];
#pragma GCC unroll 6
    for (int j = 0; j < side; j++) {
      Vec m[side], y[tile];
#pragma GCC unroll 6
      for (int i = 0; i < side; i++) m[i] = load(source + (i * side + j) * stride + lane);
      Transforms<tile>::output(m, y);
#pragma GCC unroll 4
      for (int i = 0; i < tile; i++) half[i][j] = y[i];
    }
    const Vec shift = load(bias + lane);
#pragma GCC unroll 4
    for (int i = 0; i < tile; i++) {
      if (i >= rows) break;
      Vec y[tile];
      Transforms<tile>::output(half[i], y);
#pragma GCC unroll 4
      for (int j = 0; j < tile; j++) {
        if (j < columns) store(target + i * rowStride + j * columnStride + lane, y[j] + shift);
      }
    }
  }
}

// The part of a product that registers hold: kRows rows, `vectors` vectors of columns.
template <int vectors>
PEEKABOO_TARGET void multiplyPart(int64_t depth, const float* left, const float* right, int64_t width, float* target,
                                  int64_t stride) {
  Vec sums[kRows][vectors];
#pragma GCC unroll 8
  for (auto& row : sums) {
#pragma GCC unroll 2
    for (auto& sum : row) sum = broadcast(0.0f);
  }
  for (int64_t first = 0; first < depth; first += kLane) {
    const int64_t count = depth - first < kLane ? depth - first : kLane;
    for (int64_t k = 0; k < count; k++) {
      Vec factors[vectors];
#pragma GCC unroll 2
      for (int j = 0; j < vectors; j++) factors[j] = load(right + k * width + j * kWidth);
#pragma GCC unroll 8
      for (int i = 0; i < kRows; i++) {
        const Vec factor = broadcast(left[i * kLane + k]);
#pragma GCC unroll 2
        for (int j = 0; j < vectors; j++) sums[i][j] = multiplyAdd(factor, factors[j], sums[i][j]);
      }
    }
    left += kPanelTiles * kLane;
    right += kLane * width;
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; i++) {
#pragma GCC unroll 2
    for (int j = 0; j < vectors; j++) store(target + i * stride + j * kWidth, sums[i][j]);
  }
}

PEEKABOO_TARGET void multiply(int64_t depth, const float* left, const float* right, int64_t width, float* target,
                              int64_t stride) {
  for (int64_t j = 0; j < width; j += 2 * kWidth) {
    const auto part = width - j < 2 * kWidth ? multiplyPart<1> : multiplyPart<2>;
    for (int64_t i = 0; i < kPanelTiles; i += kRows) {
      part(depth, left + i * kLane, right + j, width, target + i * stride + j, stride);
    }
  }
}

constexpr Kernels kKernels[] = {
    {kName, 2, 4, transformInput<2>, transformWeights<2>, multiply, transformOutput<2>},
    {kName, 4, 6, transformInput<4>, transformWeights<4>, multiply, transformOutput<4>},
};
