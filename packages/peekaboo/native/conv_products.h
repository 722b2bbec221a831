#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/ArrayRef.h>

#include <array>
#include <cstdint>

namespace peekaboo {

// Stride, padding and dilation of a two-dimensional convolution, vertical first.
struct ConvGeometry {
  std::array<int64_t, 2> stride;
  std::array<int64_t, 2> padding;
  std::array<int64_t, 2> dilation;
};

// The three products of an ungrouped convolution y = x ∗ w in float64 on the CPU, x [N, C, H, W], w [O, C, K, K],
// y [N, O, H', W']: each a blocked matrix product whose patches are gathered while packing, never stored as a matrix.
// ATen computes float64 convolutions through the BLAS, which may be the slow reference one.

// y from x and w.
at::Tensor convOutput(const at::Tensor& x, const at::Tensor& w, const ConvGeometry& geometry);

// ∂/∂x of <y, g>, of shape `xSizes`, from g (as y) and w.
at::Tensor convInputGradient(const at::Tensor& g, const at::Tensor& w, at::IntArrayRef xSizes,
                             const ConvGeometry& geometry);

// ∂/∂w of <y, g>, of shape `wSizes`, from g (as y) and x.
at::Tensor convWeightGradient(const at::Tensor& g, const at::Tensor& x, at::IntArrayRef wSizes,
                              const ConvGeometry& geometry);

// Where a tile of a weight gradient, seen as a matrix [O, C·K·K], lies.
struct TilePlace {
  int64_t row, column, rows, columns;
};

// Sees each tile once, from several threads: value (i, j) is tile[i * kTileColumns + j].
class TileVisitor {
 public:
  virtual ~TileVisitor() = default;
  virtual void visit(const double* tile, const TilePlace& place) = 0;
};

// What convWeightGradient writes, shown to a visitor and written nowhere; of the outputs only each `every`-th, their
// rows numbered on.
void visitWeightGradient(const at::Tensor& g, const at::Tensor& x, at::IntArrayRef wSizes, const ConvGeometry& geometry,
                         int64_t every, TileVisitor& visitor);

}  // namespace peekaboo
