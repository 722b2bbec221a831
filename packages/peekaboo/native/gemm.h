#pragma once

#include <cstdint>

namespace peekaboo {

// Tile of the result that stays in registers.
constexpr int64_t kTileRows = 8;
constexpr int64_t kTileColumns = 16;

// So many columns of C are in the making at once.
constexpr int64_t kBlockColumns = 512;

// The longest sum that is made in registers; longer ones are made of such, added in order.
constexpr int64_t kBlockDepth = 128;

// Factor A of a product: element (row, k) is data[row·rowStride + k / inner·outerStride + k % inner].
struct RowFactor {
  const double* data;
  int64_t rowStride, inner, outerStride;

  const double* at(int64_t row, int64_t k) const {
    return data + row * rowStride + k / inner * outerStride + k % inner;
  }
};

// A float64 matrix product C = A·B, A of rows × depth, read where it lies, and B of depth × columns, which is never
// stored as a matrix: it is written block by block in the order in which the kernel reads it. Zeros fill up a tile.
class Product {
 public:
  Product(int64_t rows, int64_t columns, int64_t depth, const RowFactor& factor)
      : rows(rows), columns(columns), depth(depth), factor(factor) {}
  virtual ~Product() = default;

  // target[k * kTileColumns + j] = B(first + k, column + j) for `count` k and the tile's columns.
  virtual void packColumns(int64_t column, int64_t first, int64_t count, double* target) const = 0;

  // Takes a tile of C from (row, column) on, tile[i * kTileColumns + j], or a part of its sum: that over a block of the
  // depth, from the first to the last in order. What lies beyond C's edges counts for nothing.
  struct Part {
    bool first, last;
  };
  virtual void take(const double* tile, int64_t row, int64_t column, Part part) const = 0;

  const int64_t rows, columns, depth;
  const RowFactor factor;
};

// Computes C, multithreaded.
void multiply(const Product& product);

// The instructions that it uses.
const char* multiplyName();

}  // namespace peekaboo
