#include "winograd.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "winograd_kernels.h"

namespace peekaboo {
namespace winograd {
namespace {

// A block of tiles, transformed, takes at most this: then it stays in a cache while the weights pass by. More tiles
// than this gain nothing.
constexpr int64_t kBlockBytes = int64_t{1} << 22;
constexpr int64_t kBlockTiles = 48;
// Outputs whose products are computed before they are transformed back.
constexpr int64_t kBlockOutputs = 2 * kPanelOutputs;

constexpr int64_t kFewestChannels = kLane, kFewestTiles = 64;

constexpr int64_t kMostPositions = 36, kMostPixels = 16;

constexpr int64_t divideUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit; }
constexpr int64_t roundUp(int64_t value, int64_t unit) { return divideUp(value, unit) * unit; }

// Outputs along a side of a tile.
int64_t tileFor(int64_t height, int64_t width) { return std::max(height, width) > 2 ? 4 : 2; }

// How images are cut into tiles. Positions and panels lie an odd number of lanes apart, lest they all contend for the
// same lines of a cache.
struct Plan {
  explicit Plan(const Winograd& c)
      : c(c),
        kernels(kernelsFor(tileFor(c.outputHeight(), c.outputWidth()))),
        down(divideUp(c.outputHeight(), kernels.tile)),
        across(divideUp(c.outputWidth(), kernels.tile)),
        tiles(c.images * down * across),
        positions(kernels.side * kernels.side),
        channels(roundUp(c.channels, kLane)),
        outputs(roundUp(c.outputs, kLane)) {}

  // Transformed weights: panel after panel of outputs, in a panel position by position, there channel by channel.
  int64_t panelWidth(int64_t output) const { return std::min(kPanelOutputs, outputs - output); }
  int64_t panelStride(int64_t output) const { return c.channels * panelWidth(output) + kLane; }
  int64_t panelBegin(int64_t output) const {
    return output / kPanelOutputs * positions * (c.channels * kPanelOutputs + kLane);
  }

  const Winograd& c;
  const Kernels& kernels;
  const int64_t down, across, tiles, positions;
  const int64_t channels, outputs;  // filled up to whole lanes
};

// Transforms the weights of a lane of outputs for one input channel.
void transformFilters(const Plan& plan, int64_t output, int64_t channel, float* transformed) {
  const Winograd& c = plan.c;
  const int64_t count = std::min(kLane, c.outputs - output);
  float taps[9 * kLane] = {};
  for (int64_t tap = 0; tap < 9; tap++) {
    const float* w =
        c.w + output * c.strides[0] + channel * c.strides[1] + tap / 3 * c.strides[2] + tap % 3 * c.strides[3];
    for (int64_t o = 0; o < count; o++) taps[tap * kLane + o] = w[o * c.strides[0]];
  }
  const int64_t panel = output / kPanelOutputs * kPanelOutputs;
  float* target = transformed + plan.panelBegin(panel) + channel * plan.panelWidth(panel) + (output - panel);
  plan.kernels.transformWeights(taps, target, plan.panelStride(panel));
}

// A thread's memory, kept from one convolution to the next.
float* scratch(int64_t size) {
  struct alignas(64) Line {
    float values[16];
  };
  thread_local std::vector<Line> memory;
  const auto lines = static_cast<size_t>(divideUp(size, 16));
  if (memory.size() < lines) memory = std::vector<Line>(lines);
  return memory.data()->values;
}

// Where a tile's outputs begin.
struct Place {
  Place(const Plan& plan, int64_t tile)
      : image(tile / (plan.down * plan.across)),
        top(tile / plan.across % plan.down * plan.kernels.tile),
        left(tile % plan.across * plan.kernels.tile) {}
  int64_t image, top, left;
};

// A thread's work on tiles [first, last) at a time, `size` at most.
class Block {
 public:
  Block(const Plan& plan, const float* transformed, int64_t size)
      : plan_(plan),
        transformed_(transformed),
        inputStride_(size * plan.channels + kLane),
        outputs_(std::min(kBlockOutputs, plan.outputs)),
        outputStride_(size * outputs_ + kLane),
        input_(scratch(plan.positions * (inputStride_ + outputStride_) + plan.outputs + plan.channels)),
        output_(input_ + plan.positions * inputStride_),
        bias_(output_ + plan.positions * outputStride_),
        zeros_(bias_ + plan.outputs) {
    std::fill(bias_, zeros_ + plan.channels, 0.0f);
    if (plan.c.bias != nullptr) std::copy(plan.c.bias, plan.c.bias + plan.c.outputs, bias_);
  }

  void run(int64_t first, int64_t last) const {
    for (int64_t tile = first; tile < last; tile++) transformTile(tile, tile - first);
    for (int64_t begin = 0; begin < plan_.outputs; begin += kBlockOutputs) {
      const int64_t end = std::min(begin + kBlockOutputs, plan_.outputs);
      multiplyTiles(last - first, begin, end);
      for (int64_t tile = first; tile < last; tile++) storeTile(tile, tile - first, begin, end);
    }
  }

 private:
  void transformTile(int64_t tile, int64_t index) const {
    const Winograd& c = plan_.c;
    const float* pixels[kMostPositions];
    findPixels(Place(plan_, tile), pixels);
    float* target = input_ + index / kPanelTiles * kPanelTiles * plan_.channels + index % kPanelTiles * kLane;
    const int64_t whole = c.channels / kLane * kLane;
    for (int64_t channel = 0; channel < whole; channel += kLane) {
      plan_.kernels.transformInput(pixels, channel, target + channel * kPanelTiles, inputStride_);
    }
    if (whole == c.channels) return;
    float filled[kMostPositions * kLane] = {};
    for (int64_t p = 0; p < plan_.positions; p++) {
      std::copy(pixels[p] + whole, pixels[p] + c.channels, filled + p * kLane);
      pixels[p] = filled + p * kLane;
    }
    plan_.kernels.transformInput(pixels, 0, target + whole * kPanelTiles, inputStride_);
  }

  // The pixels that a tile sees, zeros beyond the image's edges; and asks for those that the next tile will see.
  void findPixels(const Place& place, const float** pixels) const {
    const Winograd& c = plan_.c;
    const int64_t side = plan_.kernels.side, tile = plan_.kernels.tile;
    const int64_t top = place.top - c.padding[0], left = place.left - c.padding[1];
    for (int64_t i = 0; i < side; i++) {
      if (top + i < 0 || top + i >= c.height) {
        std::fill(pixels + i * side, pixels + (i + 1) * side, zeros_);
        continue;
      }
      const float* row = c.x + (place.image * c.height + top + i) * c.width * c.channels;
      for (int64_t j = 0; j < side; j++) {
        pixels[i * side + j] = left + j >= 0 && left + j < c.width ? row + (left + j) * c.channels : zeros_;
      }
      const int64_t ahead = std::min(left + side + tile, c.width) * c.channels;
      for (int64_t k = (left + side) * c.channels; k < ahead; k += 16) __builtin_prefetch(row + k);
    }
  }

  void multiplyTiles(int64_t tiles, int64_t begin, int64_t end) const {
    for (int64_t position = 0; position < plan_.positions; position++) {
      for (int64_t panel = begin; panel < end; panel += kPanelOutputs) {
        const float* right = transformed_ + plan_.panelBegin(panel) + position * plan_.panelStride(panel);
        for (int64_t i = 0; i < tiles; i += kPanelTiles) {
          plan_.kernels.multiply(plan_.c.channels, input_ + position * inputStride_ + i * plan_.channels, right,
                                 plan_.panelWidth(panel),
                                 output_ + position * outputStride_ + i * outputs_ + (panel - begin), outputs_);
        }
      }
    }
  }

  void storeTile(int64_t tile, int64_t index, int64_t begin, int64_t end) const {
    const Winograd& c = plan_.c;
    const Place place(plan_, tile);
    const int64_t height = c.outputHeight(), width = c.outputWidth(), side = plan_.kernels.tile;
    const int64_t rows = std::min(side, height - place.top), columns = std::min(side, width - place.left);
    float* target = c.y + ((place.image * height + place.top) * width + place.left) * c.outputs;
    for (int64_t o = begin; o < end; o += kLane) {
      const float* source = output_ + index * outputs_ + (o - begin);
      if (o + kLane <= c.outputs) {
        plan_.kernels.transformOutput(source, outputStride_, bias_ + o, target + o, width * c.outputs, c.outputs, rows,
                                      columns);
        continue;
      }
      float whole[kMostPixels * kLane];
      plan_.kernels.transformOutput(source, outputStride_, bias_ + o, whole, side * kLane, kLane, rows, columns);
      for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
          std::copy_n(whole + (i * side + j) * kLane, c.outputs - o, target + (i * width + j) * c.outputs + o);
        }
      }
    }
  }

  const Plan& plan_;
  const float* const transformed_;
  // Transformed tiles as `multiply` reads them, position by position, panel by panel; products: position, tile, output.
  const int64_t inputStride_, outputs_, outputStride_;
  float *const input_, *const output_, *const bias_, *const zeros_;
};

// Tiles of a block: as many for each thread, and as many in each of a thread's.
int64_t blockSize(const Plan& plan) {
  const int64_t tileBytes = plan.positions * plan.channels * static_cast<int64_t>(sizeof(float));
  const int64_t most = std::clamp(kBlockBytes / tileBytes / kPanelTiles * kPanelTiles, kPanelTiles, kBlockTiles);
  const int64_t share = divideUp(plan.tiles, at::get_num_threads());
  return roundUp(divideUp(share, divideUp(share, most)), kPanelTiles);
}

}  // namespace
}  // namespace winograd

bool paysOff(int64_t channels, int64_t outputs, int64_t images, int64_t height, int64_t width) {
  using namespace winograd;
  if (std::min(channels, outputs) < kFewestChannels || std::min(height, width) < 2) return false;
  const int64_t tile = tileFor(height, width);
  return images * divideUp(height, tile) * divideUp(width, tile) >= kFewestTiles;
}

int64_t transformedSize(const Winograd& convolution) {
  const winograd::Plan plan(convolution);
  return plan.panelBegin(winograd::roundUp(plan.outputs, winograd::kPanelOutputs));
}

void convolve(const Winograd& convolution, float* transformed) {
  using namespace winograd;
  const Plan plan(convolution);
  const int64_t channels = convolution.channels;
  at::parallel_for(0, plan.outputs / kLane * channels, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) transformFilters(plan, i / channels * kLane, i % channels, transformed);
  });
  const int64_t size = blockSize(plan);
  at::parallel_for(0, divideUp(plan.tiles, size), 1, [&](int64_t begin, int64_t end) {
    const Block block(plan, transformed, size);
    for (int64_t i = begin; i < end; i++) block.run(i * size, std::min((i + 1) * size, plan.tiles));
  });
}

}  // namespace peekaboo
