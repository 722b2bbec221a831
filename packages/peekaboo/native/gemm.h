#pragma once

#include <cstdint>

namespace peekaboo {

// Tile of the result that stays in registers.
constexpr int64_t kTileRows = 8;
constexpr int64_t kTileColumns = 16;

// A float64 matrix product C = A·B, A of rows × depth and B of depth × columns, whose factors are never stored as
// matrices: they are written block by block in the order in which the kernel reads them. Zeros fill up a tile.
class Product {
 public:
  Product(int64_t rows, int64_t columns, int64_t depth) : rows(rows), columns(columns), depth(depth) {}
  virtual ~Product() = default;

  // target[k * kTileRows + i] = A(row + i, first + k) for `count` k and the tile's rows.
  virtual void packRows(int64_t row, int64_t first, int64_t count, double* target) const = 0;

  // target[k * kTileColumns + j] = B(first + k, column + j) for `count` k and the tile's columns.
  virtual void packColumns(int64_t column, int64_t first, int64_t count, double* target) const = 0;

  // Where columns of C from `column` on are stored: C(i, column + j) is first[i * rowStride + j] for j < length.
  struct Target {
    double* first;
    int64_t rowStride, length;
  };
  virtual Target target(int64_t column) const = 0;

  const int64_t rows, columns, depth;
};

// Computes and stores C, multithreaded.
void multiply(const Product& product);

// The instructions that it uses.
const char* multiplyName();

}  // namespace peekaboo
