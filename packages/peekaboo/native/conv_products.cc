#include "conv_products.h"

#include <ATen/ATen.h>
#include <c10/util/accumulate.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "gemm.h"

namespace peekaboo {
namespace {

// One image axis: position p of the product looks, for kernel tap t, at position (scale·p + offset + t·step) / divisor
// of the source, where that is an integer inside [0, extent); elsewhere it sees zero. A convolution has divisor 1, its
// input gradient has scale 1.
struct Axis {
  int64_t scale, offset, step, divisor, extent;

  // Source position of p, or -1.
  int64_t source(int64_t p, int64_t tap) const {
    const int64_t numerator = scale * p + offset + tap * step;
    const int64_t position = numerator / divisor;
    return numerator >= 0 && numerator % divisor == 0 && position < extent ? position : -1;
  }
};

// The images that patches are gathered from: planes [images, channels, height, width], seen by a kernel with `taps`
// from `rows` × `columns` positions.
struct Patches {
  const double* planes;
  int64_t images, channels;
  Axis vertical, horizontal;
  int64_t tapsDown, tapsAcross;
  int64_t rows, columns;

  int64_t taps() const { return tapsDown * tapsAcross; }
  int64_t pixels() const { return rows * columns; }
  const double* plane(int64_t image, int64_t channel) const {
    return planes + (image * channels + channel) * vertical.extent * horizontal.extent;
  }
};

// Consecutive positions in one row of one image, and where the first is written.
struct Run {
  int64_t image, row, column, length, target;
};

// The part of a run that sees the source for one tap: positions begin, begin + divisor, … (count of them) look at
// elements from, from + scale, … of a plane.
struct Visible {
  int64_t begin, count, from;
};

Visible visible(const Patches& patches, const Run& run, int64_t tap) {
  const Axis& axis = patches.horizontal;
  const int64_t across = tap % patches.tapsAcross;
  const int64_t y = patches.vertical.source(run.row, tap / patches.tapsAcross);
  int64_t begin = 0;
  while (begin < run.length && axis.source(run.column + begin, across) < 0) begin++;
  if (y < 0 || begin == run.length) {
    return {0, 0, 0};
  }
  const int64_t x = axis.source(run.column + begin, across);
  const int64_t inRun = (run.length - begin + axis.divisor - 1) / axis.divisor;
  const int64_t inSource = (axis.extent - x + axis.scale - 1) / axis.scale;
  return {begin, std::min(inRun, inSource), y * axis.extent + x};
}

// Cuts positions [first, first + count) of all images into runs, written `spacing` apart.
template <class Visit>
void eachRun(const Patches& patches, int64_t first, int64_t count, int64_t spacing, const Visit& visit) {
  const int64_t end = std::min(first + count, patches.images * patches.pixels());
  for (int64_t position = first; position < end;) {
    const int64_t row = position / patches.columns, column = position % patches.columns;
    const int64_t length = std::min(patches.columns - column, end - position);
    visit(Run{row / patches.rows, row % patches.rows, column, length, (position - first) * spacing});
    position += length;
  }
}

void copyVisible(const double* plane, const Visible& part, const Axis& axis, double* target, int64_t spacing) {
  const double* source = plane + part.from;
  double* first = target + part.begin * spacing;
  if (axis.scale == 1 && spacing * axis.divisor == 1) {
    for (int64_t i = 0; i < part.count; i++) first[i] = source[i];
    return;
  }
  for (int64_t i = 0; i < part.count; i++) first[i * spacing * axis.divisor] = source[i * axis.scale];
}

class ConvProduct : public Product {
 public:
  ConvProduct(int64_t rows, int64_t columns, int64_t depth, const RowFactor& factor, const Patches& patches,
              double* result, int64_t plane)
      : Product(rows, columns, depth, factor), patches_(patches), result_(result), plane_(plane) {}

  void take(const double* tile, int64_t row, int64_t column, Part part) const override {
    const int64_t count = std::min(kTileRows, rows - row);
    const int64_t last = std::min(column + kTileColumns, columns);
    for (int64_t j = column; j < last;) {
      // Columns [image, pixel] of the result lie in planes [image, row, pixel].
      const int64_t image = j / plane_, pixel = j % plane_;
      const int64_t length = std::min(plane_ - pixel, last - j);
      for (int64_t i = 0; i < count; i++) {
        double* target = result_ + (image * rows + row + i) * plane_ + pixel;
        const double* source = tile + i * kTileColumns + (j - column);
        for (int64_t offset = 0; offset < length; offset++) {
          target[offset] = part.first ? source[offset] : target[offset] + source[offset];
        }
      }
      j += length;
    }
  }

 protected:
  const Patches patches_;

 private:
  double* const result_;
  const int64_t plane_;
};

// B has a row for each (channel, tap) and a column for each (image, pixel).
class PatchColumns : public ConvProduct {
 public:
  using ConvProduct::ConvProduct;

  void packColumns(int64_t column, int64_t first, int64_t count, double* target) const override {
    std::fill(target, target + count * kTileColumns, 0.0);
    const int64_t taps = patches_.taps();
    eachRun(patches_, column, kTileColumns, 1, [&](const Run& run) {
      for (int64_t tap = 0; tap < taps; tap++) {
        const Visible part = visible(patches_, run, tap);
        if (part.count == 0) continue;
        const int64_t channel = std::max<int64_t>(0, first - tap + taps - 1) / taps;
        for (int64_t c = channel, k = c * taps + tap - first; k < count; c++, k += taps) {
          copyVisible(patches_.plane(run.image, c), part, patches_.horizontal, target + k * kTileColumns + run.target,
                      1);
        }
      }
    });
  }
};

// B has a row for each (image, pixel) and a column for each (channel, tap).
class PatchRows : public ConvProduct {
 public:
  using ConvProduct::ConvProduct;

  void packColumns(int64_t column, int64_t first, int64_t count, double* target) const override {
    std::fill(target, target + count * kTileColumns, 0.0);
    const int64_t taps = patches_.taps();
    const int64_t last = std::min(column + kTileColumns, columns);
    eachRun(patches_, first, count, kTileColumns, [&](const Run& run) {
      for (int64_t j = column; j < last; j++) {
        copyVisible(patches_.plane(run.image, j / taps), visible(patches_, run, j % taps), patches_.horizontal,
                    target + run.target + (j - column), kTileColumns);
      }
    });
  }
};

// A weight gradient whose tiles go to a visitor; sums in parts are made in memory of the thread's.
class VisitedRows : public PatchRows {
 public:
  VisitedRows(int64_t rows, int64_t columns, int64_t depth, const RowFactor& factor, const Patches& patches,
              TileVisitor& visitor)
      : PatchRows(rows, columns, depth, factor, patches, nullptr, columns), visitor_(visitor) {}

  void take(const double* tile, int64_t row, int64_t column, Part part) const override {
    const TilePlace place{row, column, std::min(kTileRows, rows - row), std::min(kTileColumns, columns - column)};
    if (part.first && part.last) return visitor_.visit(tile, place);
    // Tiles of as many columns are in the making at once as a block has at most.
    thread_local std::vector<double> sums;
    constexpr int64_t kSize = kTileRows * kTileColumns, kInRow = kBlockColumns / kTileColumns;
    sums.resize(std::max(sums.size(), static_cast<size_t>((rows + kTileRows - 1) / kTileRows * kInRow * kSize)));
    double* sum = sums.data() + (row / kTileRows * kInRow + column / kTileColumns % kInRow) * kSize;
    for (int64_t i = 0; i < kSize; i++) sum[i] = part.first ? tile[i] : sum[i] + tile[i];
    if (part.last) visitor_.visit(sum, place);
  }

 private:
  TileVisitor& visitor_;
};

// Patches of x [N, C, H, W] as a convolution with `kernel` = [K, K] sees them from y's `pixels` = [H', W'].
Patches forwardPatches(const at::Tensor& x, at::IntArrayRef kernel, at::IntArrayRef pixels,
                       const ConvGeometry& geometry) {
  const auto axis = [&](int64_t i) {
    return Axis{geometry.stride[i], -geometry.padding[i], geometry.dilation[i], 1, x.size(2 + i)};
  };
  return {x.data_ptr<double>(), x.size(0), x.size(1), axis(0), axis(1), kernel[0], kernel[1], pixels[0], pixels[1]};
}

// Patches of g [N, O, H', W'] as x's `pixels` = [H, W] see them.
Patches backwardPatches(const at::Tensor& g, at::IntArrayRef kernel, at::IntArrayRef pixels,
                        const ConvGeometry& geometry) {
  const auto axis = [&](int64_t i) {
    return Axis{1, geometry.padding[i], -geometry.dilation[i], geometry.stride[i], g.size(2 + i)};
  };
  return {g.data_ptr<double>(), g.size(0), g.size(1), axis(0), axis(1), kernel[0], kernel[1], pixels[0], pixels[1]};
}

int64_t outputExtent(int64_t extent, int64_t kernel, const ConvGeometry& geometry, int64_t axis) {
  return (extent + 2 * geometry.padding[axis] - geometry.dilation[axis] * (kernel - 1) - 1) / geometry.stride[axis] + 1;
}

}  // namespace

at::Tensor convOutput(const at::Tensor& xGiven, const at::Tensor& wGiven, const ConvGeometry& geometry) {
  const at::Tensor x = xGiven.contiguous(), w = wGiven.contiguous();
  const std::array<int64_t, 2> pixels{outputExtent(x.size(2), w.size(2), geometry, 0),
                                      outputExtent(x.size(3), w.size(3), geometry, 1)};
  const int64_t plane = pixels[0] * pixels[1], outputs = w.size(0), depth = w.numel() / outputs;
  at::Tensor y = at::empty({x.size(0), outputs, pixels[0], pixels[1]}, x.options());
  multiply(PatchColumns(outputs, x.size(0) * plane, depth, {w.data_ptr<double>(), depth, depth, 0},
                        forwardPatches(x, w.sizes().slice(2), pixels, geometry), y.data_ptr<double>(), plane));
  return y;
}

at::Tensor convInputGradient(const at::Tensor& gGiven, const at::Tensor& wGiven, at::IntArrayRef xSizes,
                             const ConvGeometry& geometry) {
  const at::Tensor g = gGiven.contiguous(), w = wGiven.contiguous();
  const int64_t plane = xSizes[2] * xSizes[3], channels = xSizes[1], taps = w.size(2) * w.size(3);
  at::Tensor x = at::empty(xSizes, g.options());
  multiply(
      PatchColumns(channels, xSizes[0] * plane, w.size(0) * taps, {w.data_ptr<double>(), taps, taps, channels * taps},
                   backwardPatches(g, w.sizes().slice(2), xSizes.slice(2), geometry), x.data_ptr<double>(), plane));
  return x;
}

at::Tensor convWeightGradient(const at::Tensor& gGiven, const at::Tensor& xGiven, at::IntArrayRef wSizes,
                              const ConvGeometry& geometry) {
  const at::Tensor g = gGiven.contiguous(), x = xGiven.contiguous();
  const int64_t plane = g.size(2) * g.size(3), outputs = wSizes[0];
  at::Tensor w = at::empty(wSizes, g.options());
  const int64_t columns = w.numel() / outputs;
  multiply(PatchRows(outputs, columns, g.size(0) * plane, {g.data_ptr<double>(), plane, plane, outputs * plane},
                     forwardPatches(x, wSizes.slice(2), g.sizes().slice(2), geometry), w.data_ptr<double>(), columns));
  return w;
}

void visitWeightGradient(const at::Tensor& gGiven, const at::Tensor& xGiven, at::IntArrayRef wSizes,
                         const ConvGeometry& geometry, int64_t every, TileVisitor& visitor) {
  const at::Tensor g = gGiven.contiguous(), x = xGiven.contiguous();
  const int64_t plane = g.size(2) * g.size(3), outputs = wSizes[0];
  const int64_t columns = c10::multiply_integers(wSizes) / outputs;
  multiply(VisitedRows((outputs + every - 1) / every, columns, g.size(0) * plane,
                       {g.data_ptr<double>(), every * plane, plane, outputs * plane},
                       forwardPatches(x, wSizes.slice(2), g.sizes().slice(2), geometry), visitor));
}

}  // namespace peekaboo
