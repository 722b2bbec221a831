#include "gemm.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "processor.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#endif

namespace peekaboo {
namespace {

// Block sizes: a packed block of rows (64 KB) and one of columns (512 KB) fit the second-level cache of common
// processors.
constexpr int64_t kBlockDepth = 128;
constexpr int64_t kBlockRows = 64;
constexpr int64_t kBlockColumns = 512;

// tile[i * kTileColumns + j] = Σ_k rows[k * kTileRows + i] · columns[k * kTileColumns + j]
using Kernel = void (*)(int64_t depth, const double* rows, const double* columns, double* tile);

// Two doubles: the width that every 64-bit processor has.
using Pair = double __attribute__((vector_size(16)));

// A part of the tile at a time, small enough for 16 registers: 4 rows, 4 columns.
void multiplyTile(int64_t depth, const double* rows, const double* columns, double* tile) {
  for (int64_t top = 0; top < kTileRows; top += 4) {
    for (int64_t side = 0; side < kTileColumns; side += 4) {
      Pair sums[4][2] = {};
      for (int64_t k = 0; k < depth; k++) {
        Pair factors[2];
        std::memcpy(factors, columns + k * kTileColumns + side, sizeof factors);
        for (int64_t i = 0; i < 4; i++) {
          const double factor = rows[k * kTileRows + top + i];
          sums[i][0] += factor * factors[0];
          sums[i][1] += factor * factors[1];
        }
      }
      for (int64_t i = 0; i < 4; i++) std::memcpy(tile + (top + i) * kTileColumns + side, sums[i], sizeof sums[i]);
    }
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx512f"))) void multiplyTileAvx512(int64_t depth, const double* rows, const double* columns,
                                                           double* tile) {
  __m512d sums[kTileRows][2];
#pragma GCC unroll 8
  for (auto& row : sums) row[0] = row[1] = _mm512_setzero_pd();
  for (int64_t k = 0; k < depth; k++) {
    const __m512d left = _mm512_loadu_pd(columns + k * kTileColumns);
    const __m512d right = _mm512_loadu_pd(columns + k * kTileColumns + 8);
#pragma GCC unroll 8
    for (int64_t i = 0; i < kTileRows; i++) {
      const __m512d factor = _mm512_set1_pd(rows[k * kTileRows + i]);
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
__attribute__((target("avx2,fma"))) void multiplyTileAvx2(int64_t depth, const double* rows, const double* columns,
                                                          double* tile) {
  for (int64_t quarter = 0; quarter < 4; quarter++) {
    const int64_t top = quarter / 2 * 4, side = quarter % 2 * 8;
    __m256d sums[4][2];
#pragma GCC unroll 4
    for (auto& row : sums) row[0] = row[1] = _mm256_setzero_pd();
    for (int64_t k = 0; k < depth; k++) {
      const __m256d left = _mm256_loadu_pd(columns + k * kTileColumns + side);
      const __m256d right = _mm256_loadu_pd(columns + k * kTileColumns + side + 4);
#pragma GCC unroll 4
      for (int64_t i = 0; i < 4; i++) {
        const __m256d factor = _mm256_broadcast_sd(rows + k * kTileRows + top + i);
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

// Adds a tile to C (or stores it), leaving out what lies beyond C's edges.
void storeTile(const Product& product, const double* tile, int64_t row, int64_t column, bool add) {
  const int64_t count = std::min(kTileRows, product.rows - row);
  const int64_t last = std::min(column + kTileColumns, product.columns);
  for (int64_t j = column; j < last;) {
    const Product::Target place = product.target(j);
    const int64_t length = std::min(place.length, last - j);
    for (int64_t i = 0; i < count; i++) {
      double* target = place.first + (row + i) * place.rowStride;
      const double* source = tile + i * kTileColumns + (j - column);
      for (int64_t offset = 0; offset < length; offset++) {
        target[offset] = add ? target[offset] + source[offset] : source[offset];
      }
    }
    j += length;
  }
}

// A thread's packed blocks, kept from one product to the next.
struct Packed {
  alignas(64) double rows[kBlockRows * kBlockDepth];
  alignas(64) double columns[kBlockColumns * kBlockDepth];
};

struct Range {
  int64_t begin, end;
};

// One thread's share of C: rows × columns, both starting at multiples of the tile's size.
void multiplyShare(const Product& product, Range rows, Range columns) {
  const Kernel kernel = bestKernel().run;
  thread_local const auto packed = std::make_unique<Packed>();
  double *rowPanels = packed->rows, *columnPanels = packed->columns;
  double tile[kTileRows * kTileColumns];
  for (int64_t column = columns.begin; column < columns.end; column += kBlockColumns) {
    const int64_t lastColumn = std::min(column + kBlockColumns, columns.end);
    for (int64_t first = 0; first < product.depth; first += kBlockDepth) {
      const int64_t depth = std::min(kBlockDepth, product.depth - first);
      for (int64_t j = column; j < lastColumn; j += kTileColumns) {
        product.packColumns(j, first, depth, columnPanels + (j - column) * depth);
      }
      for (int64_t row = rows.begin; row < rows.end; row += kBlockRows) {
        const int64_t lastRow = std::min(row + kBlockRows, rows.end);
        for (int64_t i = row; i < lastRow; i += kTileRows) {
          product.packRows(i, first, depth, rowPanels + (i - row) * depth);
        }
        for (int64_t j = column; j < lastColumn; j += kTileColumns) {
          for (int64_t i = row; i < lastRow; i += kTileRows) {
            kernel(depth, rowPanels + (i - row) * depth, columnPanels + (j - column) * depth, tile);
            storeTile(product, tile, i, j, first > 0);
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
