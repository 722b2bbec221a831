#pragma once

#include <cstdint>

namespace peekaboo {
namespace winograd {

constexpr int64_t kLane = 16;                 // channels, or outputs, that are transformed at once
constexpr int64_t kPanelTiles = 8;            // rows of a product's left panel
constexpr int64_t kPanelOutputs = 2 * kLane;  // columns of its right one, where as many are left

// What depends on the processor's vectors, for tiles of `tile` × `tile` outputs: they are seen by `side` = tile + 2
// pixels, and transformed to side² positions, which lie `stride` floats apart.
struct Kernels {
  const char* name;  // of the instructions
  int64_t tile, side;

  // Transforms kLane channels of a tile, from pixels[i·side + j] + offset on.
  void (*transformInput)(const float* const* pixels, int64_t offset, float* target, int64_t stride);

  // Transforms kLane filters: their tap (i, j) is taps[(3i + j)·kLane…].
  void (*transformWeights)(const float* taps, float* target, int64_t stride);

  // target(i, j) = Σ_k left(i, k) · right(k, j) for kPanelTiles i and `width` (kLane or kPanelOutputs) j, where
  // left(i, k) is left[(k / kLane · kPanelTiles + i)·kLane + k mod kLane], right(k, j) is right[k·width + j] and
  // target(i, j) is target[i·stride + j].
  void (*multiply)(int64_t depth, const float* left, const float* right, int64_t width, float* target, int64_t stride);

  // Transforms kLane outputs of a tile back, adds the bias, and stores the pixels (i, j) with i < rows and j < columns
  // at target[i·rowStride + j·columnStride…].
  void (*transformOutput)(const float* source, int64_t stride, const float* bias, float* target, int64_t rowStride,
                          int64_t columnStride, int64_t rows, int64_t columns);
};

// The fastest for this processor; tile is 2 or 4.
const Kernels& kernelsFor(int64_t tile);

}  // namespace winograd
}  // namespace peekaboo
