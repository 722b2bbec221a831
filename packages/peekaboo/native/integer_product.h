#pragma once

#include <array>
#include <cstdint>
#include <vector>

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

// What `IntegerProduct::packInput` has made of one.
struct PackedLevels {
  const uint8_t* bytes;
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

  // Bytes of x, packed: a quarter of its floats (without VNNI, a half) where images and channels fill the vectors.
  int64_t inputBytes() const { return xBytes_ + xSumsBytes_; }

  // Bytes of scratch memory: a half of g's (with 8 bits and VNNI, a quarter), and, where the sum has several blocks,
  // the gradient's in doubles.
  int64_t scratchBytes() const { return gBytes_ + gSumsBytes_ + partsBytes_; }

  void packInput(const Rounded& x, uint8_t* packed) const;

  // The numbers that x was rounded to, into a tensor in channels-last memory: 0 for pixels that no weight multiplies.
  void unpackInput(const PackedLevels& x, float* values) const;

  void compute(const PackedLevels& x, const Rounded& g, uint8_t* scratch, const GradientTarget& target) const;

 private:
  struct Box;
  struct Task;
  struct Scratch;
  struct Corrections;

  Scratch scratchAt(uint8_t* memory) const;
  Packing inputPacking(int32_t zero) const;
  void packGradient(const Rounded& g, int32_t inputZero, const Scratch& scratch) const;
  Corrections correctionsOf(const PackedLevels& x, const Rounded& g, const Scratch& scratch) const;
  void sumTile(const uint8_t* xBytes, const uint8_t* gBytes, const Box& box, const Task& task, double* totals) const;
  void store(const double* totals, const Task& task, const Corrections& corrections,
             const GradientTarget& target) const;

  Box whole() const;
  template <typename Visit>
  void forBoxes(const Box& whole, int64_t limit, const Visit& visit) const;
  Box clipped(const Box& box, int64_t tap) const;
  int64_t inputPixel(int64_t y, int64_t x, int64_t tap) const;
  std::vector<uint8_t> wanted(int axis) const;
  std::vector<double> windowSums(const int32_t* sums, bool ofInput, double factor) const;
  int64_t taps() const { return shape_.kernel[0] * shape_.kernel[1]; }
  int64_t tasks() const { return vectorPairs_ * tiles_ * taps(); }
  Task taskAt(int64_t index) const;
  // Bytes of x are unsigned: they hold its levels. All else is counted from the level of zero.
  int32_t unsignedZero(int32_t zero) const { return kernel_.bytes ? zero : 0; }

  const GradientShape shape_;
  const TileKernel& kernel_;
  int64_t planes_;                 // of g
  int64_t tileRows_, tiles_;       // of planes of outputs
  int64_t vectors_, vectorPairs_;  // of channels
  int64_t groups_;                 // of images
  int64_t limit_;                  // of steps, until an int32 might overflow
  int64_t xPanelBytes_, gPanelBytes_, xBytes_, gBytes_, xSumsBytes_, gSumsBytes_, partsBytes_;
};

}  // namespace peekaboo
