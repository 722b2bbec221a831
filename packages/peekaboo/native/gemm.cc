#include "gemm.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "processor.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

namespace peekaboo {
namespace {

// A packed block of columns (512 KB) fits the second-level cache of common processors. Fewer columns make a deeper
// block, so that long runs of A's rows are read at once.
constexpr int64_t kPacked = kBlockColumns * kBlockDepth;

// So many k before an element of A is needed it is asked for.
constexpr int64_t kAhead = 64;

// The rows of A that a tile needs, from one k on: element (i, k) is first[i * rowStride + offsets[k]]. There are kAhead
// more offsets than k.
struct TileFactor {
  const double* first;
  int64_t rowStride;
  const int64_t* offsets;
};

// tile[i * kTileColumns + j] = Σ_k rows(i, k) · columns[k * kTileColumns + j]
using Kernel = void (*)(int64_t depth, const TileFactor& rows, const double* columns, double* tile);

// Two doubles: the width that every 64-bit processor has.
using Pair = double __attribute__((vector_size(16)));

// A part of the tile at a time, small enough for 16 registers: 4 rows, 4 columns.
void multiplyTile(int64_t depth, const TileFactor& rows, const double* columns, double* tile) {
  for (int64_t top = 0; top < kTileRows; top += 4) {
    for (int64_t side = 0; side < kTileColumns; side += 4) {
      Pair sums[4][2] = {};
      for (int64_t k = 0; k < depth; k++) {
        Pair factors[2];
        std::memcpy(factors, columns + k * kTileColumns + side, sizeof factors);
        for (int64_t i = 0; i < 4; i++) {
          const double factor = rows.first[(top + i) * rows.rowStride + rows.offsets[k]];
          sums[i][0] += factor * factors[0];
          sums[i][1] += factor * factors[1];
        }
      }
      for (int64_t i = 0; i < 4; i++) std::memcpy(tile + (top + i) * kTileColumns + side, sums[i], sizeof sums[i]);
    }
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx512f"))) void multiplyTileAvx512(int64_t depth, const TileFactor& rows, const double* columns,
                                                           double* tile) {
  __m512d sums[kTileRows][2];
#pragma GCC unroll 8
  for (auto& row : sums) row[0] = row[1] = _mm512_setzero_pd();
  // What an address can be made of without a sum of its own.
  const int64_t one = rows.rowStride, two = 2 * one, three = 3 * one;
  for (int64_t k = 0; k < depth; k++) {
    const __m512d left = _mm512_loadu_pd(columns + k * kTileColumns);
    const __m512d right = _mm512_loadu_pd(columns + k * kTileColumns + 8);
    __builtin_prefetch(rows.first + rows.offsets[k + kAhead] + k % kTileRows * one);
    const double* half = rows.first + rows.offsets[k];
#pragma GCC unroll 8
    for (int64_t i = 0; i < kTileRows; i++) {
      if (i == kTileRows / 2) half += 2 * two;
      const int64_t quarter = i % 4;
      const __m512d factor = _mm512_set1_pd(half[quarter == 0 ? 0 : quarter == 1 ? one : quarter == 2 ? two : three]);
      sums[i][0] = _mm512_fmadd_pd(factor, left, sums[i][0]);
      sums[i][1] = _mm512_fmadd_pd(factor, right, sums[i][1]);
    }
  }
#pragma GCC unroll 8
  for (int64_t i = 0; i < kTileRows; i++) {
    _mm512_storeu_pd(tile + i * kTileColumns, sums[i][0]);
    _mm512_storeu_pd(tile + i * kTileColumns + 8, sums[i][1]);
  }
}

// Sixteen registers hold a quarter of the tile at a time: 4 rows, 8 columns.
__attribute__((target("avx2,fma"))) void multiplyTileAvx2(int64_t depth, const TileFactor& rows, const double* columns,
                                                          double* tile) {
  for (int64_t quarter = 0; quarter < 4; quarter++) {
    const int64_t top = quarter / 2 * 4, side = quarter % 2 * 8;
    __m256d sums[4][2];
#pragma GCC unroll 4
    for (auto& row : sums) row[0] = row[1] = _mm256_setzero_pd();
    for (int64_t k = 0; k < depth; k++) {
      const __m256d left = _mm256_loadu_pd(columns + k * kTileColumns + side);
      const __m256d right = _mm256_loadu_pd(columns + k * kTileColumns + side + 4);
      const double* own = rows.first + top * rows.rowStride + rows.offsets[k];
#pragma GCC unroll 4
      for (int64_t i = 0; i < 4; i++) {
        const __m256d factor = _mm256_broadcast_sd(own + i * rows.rowStride);
        sums[i][0] = _mm256_fmadd_pd(factor, left, sums[i][0]);
        sums[i][1] = _mm256_fmadd_pd(factor, right, sums[i][1]);
      }
    }
#pragma GCC unroll 4
    for (int64_t i = 0; i < 4; i++) {
      _mm256_storeu_pd(tile + (top + i) * kTileColumns + side, sums[i][0]);
      _mm256_storeu_pd(tile + (top + i) * kTileColumns + side + 4, sums[i][1]);
    }
  }
}
#endif

struct NamedKernel {
  const char* name;
  Kernel run;
};

const NamedKernel& bestKernel() {
  static const NamedKernel best = []() -> NamedKernel {
#if defined(__x86_64__) && defined(__GNUC__)
    if (processor().avx512) return {kAvx512Name, multiplyTileAvx512};
    if (processor().avx2) return {kAvx2Name, multiplyTileAvx2};
#endif
    return {kPortable, multiplyTile};
  }();
  return best;
}

// A thread's packed blocks, kept from one product to the next.
struct Packed {
  alignas(64) double columns[kPacked];
  // The rows of a tile that has fewer than kTileRows, zeros below them.
  alignas(64) double rows[kTileRows * kPacked / kTileColumns];
  int64_t offsets[kPacked / kTileColumns + kAhead];
};

struct Range {
  int64_t begin, end;
};

// The `count` columns of A from `first` on, as they are for the tile at `row`; `offsets` are theirs in whole tiles.
TileFactor tileFactor(const Product& product, int64_t row, int64_t first, int64_t count, Packed& packed) {
  const RowFactor& factor = product.factor;
  const int64_t present = std::min(kTileRows, product.rows - row);
  if (present == kTileRows) return {factor.at(row, 0), factor.rowStride, packed.offsets};
  const int64_t depth = kPacked / kTileColumns;
  for (int64_t i = 0; i < kTileRows; i++) {
    for (int64_t k = 0; k < count; k++) {
      packed.rows[i * depth + k] = i < present ? *factor.at(row + i, first + k) : 0.0;
    }
  }
  static const std::vector<int64_t> consecutive = [] {
    std::vector<int64_t> values(kPacked / kTileColumns + kAhead);
    std::iota(values.begin(), values.end(), 0);
    return values;
  }();
  return {packed.rows, depth, consecutive.data()};
}

// One thread's share of C: rows × columns, both starting at multiples of the tile's size.
void multiplyShare(const Product& product, Range rows, Range columns) {
  const Kernel kernel = bestKernel().run;
  thread_local const auto packed = std::make_unique<Packed>();
  double tile[kTileRows * kTileColumns];
  for (int64_t column = columns.begin; column < columns.end; column += kBlockColumns) {
    const int64_t lastColumn = std::min(column + kBlockColumns, columns.end);
    const int64_t width = (lastColumn - column + kTileColumns - 1) / kTileColumns * kTileColumns;
    const int64_t deep = kPacked / width / kBlockDepth * kBlockDepth;
    for (int64_t first = 0; first < product.depth; first += deep) {
      const int64_t last = std::min(first + deep, product.depth);
      for (int64_t k = first; k < last + kAhead; k++) {
        packed->offsets[k - first] = product.factor.at(0, std::min(k, product.depth - 1)) - product.factor.data;
      }
      for (int64_t k = first; k < last; k += kBlockDepth) {
        const int64_t depth = std::min(kBlockDepth, last - k);
        double* panel = packed->columns + (k - first) * width;
        for (int64_t j = column; j < lastColumn; j += kTileColumns) {
          product.packColumns(j, k, depth, panel + (j - column) * depth);
        }
      }
      for (int64_t i = rows.begin; i < rows.end; i += kTileRows) {
        TileFactor factor = tileFactor(product, i, first, last - first, *packed);
        for (int64_t k = first; k < last; k += kBlockDepth, factor.offsets += kBlockDepth) {
          const int64_t depth = std::min(kBlockDepth, last - k);
          const double* panel = packed->columns + (k - first) * width;
          for (int64_t j = column; j < lastColumn; j += kTileColumns) {
            kernel(depth, factor, panel + (j - column) * depth, tile);
            product.take(tile, i, j, {k == 0, k + depth == product.depth});
          }
        }
      }
    }
  }
}

}  // namespace

const char* multiplyName() { return bestKernel().name; }

void multiply(const Product& product) {
  const int64_t rowTiles = (product.rows + kTileRows - 1) / kTileRows;
  const int64_t columnTiles = (product.columns + kTileColumns - 1) / kTileColumns;
  int64_t rowShares = 1, columnShares = 1;
  while (rowShares * columnShares <
         at::get_num_threads()) {  // cut the longer side: it is cheaper to pack the other twice
    const bool byRows = product.rows / rowShares >= product.columns / columnShares;
    int64_t& shares = byRows ? rowShares : columnShares;
    if (shares >= (byRows ? rowTiles : columnTiles)) break;
    shares *= 2;
  }
  const auto share = [](int64_t part, int64_t parts, int64_t tiles, int64_t size, int64_t extent) {
    return Range{tiles * part / parts * size, std::min(tiles * (part + 1) / parts * size, extent)};
  };
  at::parallel_for(0, rowShares * columnShares, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; task++) {
      multiplyShare(product, share(task / columnShares, rowShares, rowTiles, kTileRows, product.rows),
                    share(task % columnShares, columnShares, columnTiles, kTileColumns, product.columns));
    }
  });
}

}  // namespace peekaboo
