#pragma once

#include <array>
#include <cstdint>

namespace peekaboo {

// A float32 convolution y = x ∗ w + bias with a kernel of 3 × 3 and stride 1, of images that are stored channels last:
// x [images, height, width, channels], y [images, height + 2·padding[0] - 2, width + 2·padding[1] - 2, outputs].
struct Winograd {
  int64_t images, height, width, channels, outputs;
  std::array<int64_t, 2> padding;  // rows of zeros above and below, columns left and right: 0 to 2
  const float* x;
  const float* w;  // w(o, c, i, j) is w[o·strides[0] + c·strides[1] + i·strides[2] + j·strides[3]]
  std::array<int64_t, 4> strides;
  const float* bias;  // null where there is none
  float* y;

  int64_t outputHeight() const { return height + 2 * padding[0] - 2; }
  int64_t outputWidth() const { return width + 2 * padding[1] - 2; }
};

// Whether this is faster than the direct sums, from channels and outputs, and images of so many pixels in y. Few
// channels don't repay the tiles' transforms, nor few tiles the weights'.
bool paysOff(int64_t channels, int64_t outputs, int64_t images, int64_t height, int64_t width);

// Floats that the transformed weights take.
int64_t transformedSize(const Winograd& convolution);

// Computes and stores y by minimal filtering (Winograd 1980; Lavin and Gray, CVPR 2016, §4): F(4 × 4, 3 × 3), which
// multiplies a quarter as often, or F(2 × 2, 3 × 3) for images of two pixels. Multithreaded; how the work is cut
// changes no bit. `transformed` is memory for the weights, at a multiple of 64 bytes. What is not finite in x makes
// every tile of y that sees it not finite.
void convolve(const Winograd& convolution, float* transformed);

}  // namespace peekaboo
