#pragma once

#include <array>
#include <cstdint>

#include "integer_pack.h"
#include "integer_tile.h"
#include "levels.h"

namespace peekaboo {

// A convolution without groups: pairs are by height and width.
struct GradientShape {
  int64_t images, channels, outputs;
  std::array<int64_t, 2> input, output, kernel, stride, padding, dilation;
};

// A tensor in channels-last memory, and the levels that it is rounded to; `zero` is the level of 0.
struct Rounded {
  const float* values;
  Levels levels;
  int32_t zero;
};

// Where the gradient of output o, channel c and tap t (t = row of the kernel * width + column) is to be written:
// values[o * outputStride + c * channelStride + t * tapStride].
struct GradientTarget {
  float* values;
  int64_t outputStride, channelStride, tapStride;
};

// The weight gradient Σ g̃·x̃ from integers, which is exact but for the last rounding to float: whatever the processor,
// the number of threads and the order of the sum.
class IntegerProduct {
 public:
  IntegerProduct(const GradientShape& shape, const TileKernel& kernel, int64_t xBits, int64_t gBits);

  // Whether no sum of up to 8 bits of x and 16 of g can overflow.
  static bool isSupported(const GradientShape& shape);

  // Bytes of scratch memory that `compute` needs: a quarter of x's and a half of g's (with 8 bits a quarter), and a
  // little.
  int64_t scratchBytes() const { return xBytes_ + gBytes_ + xSumsBytes_ + gSumsBytes_ + partsBytes_; }

  void compute(const Rounded& x, const Rounded& g, uint8_t* scratch, const GradientTarget& target) const;

 private:
  struct Box;
  struct Scratch;
  struct Corrections;

  template <typename Visit>
  void forBoxes(const Box& whole, int64_t limit, const Visit& visit) const;
  Box clipped(const Box& box, int64_t tap) const;
  std::vector<uint8_t> wanted(int axis) const;
  std::vector<double> windowSums(const int32_t* sums, bool ofInput) const;
  void sumTile(const Scratch& scratch, const Box& box, int64_t task, double* totals) const;
  void store(const double* totals, int64_t task, const Corrections& corrections, const GradientTarget& target) const;
  int64_t taps() const { return shape_.kernel[0] * shape_.kernel[1]; }
  int64_t tasks() const { return vectorPairs_ * tiles_ * taps(); }

  const GradientShape shape_;
  const TileKernel& kernel_;
  int64_t planes_, tileRows_, groups_, limit_;
  int64_t tiles_, vectors_, vectorPairs_;
  int64_t xPanelBytes_, gPanelBytes_, xBytes_, gBytes_, xSumsBytes_, gSumsBytes_, partsBytes_;
};

}  // namespace peekaboo
