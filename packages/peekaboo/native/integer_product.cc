#include "integer_product.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "parallel.h"

namespace peekaboo {
namespace {

// Steps of the sum for which all of a tile's x and g stay in the second-level cache.
constexpr int64_t kBlockSteps = 2048;
constexpr int64_t kTileNumbers = kTallTile * kTileVectors * kLanes;

int64_t ceilOf(int64_t value, int64_t unit) { return (value + unit - 1) / unit; }

// The rows of a tile for which the least is filled up with zeros; those of low tiles take a tenth longer. One of a
// single vector has time for more rows while it waits for its sums.
int64_t tileRowsFor(int64_t rows, bool hasPairs) {
  const auto filled = [&](int64_t tile) { return ceilOf(rows, tile) * tile; };
  if (!hasPairs && filled(kColumnTile) <= filled(kTallTile)) return kColumnTile;
  return 10 * filled(kTallTile) > 11 * filled(kLowTile) ? kLowTile : kTallTile;
}

int64_t aligned(int64_t bytes) { return ceilOf(bytes, kVectorBytes) * kVectorBytes; }

// Adds a tile of int32 to totals, the two planes put together. What is exact in doubles stays so.
PEEKABOO_MULTIVERSION void addTile(const int32_t* tile, int64_t rows, int64_t columns, int64_t planes, double* totals) {
  if (planes == 1) {
    for (int64_t i = 0; i < rows * columns; i++) totals[i] += tile[i];
    return;
  }
  for (int64_t r = 0; r < rows / 2; r++) {
    const int32_t *high = tile + 2 * r * columns, *low = high + columns;
    for (int64_t j = 0; j < columns; j++) totals[r * columns + j] += 256.0 * high[j] + low[j];
  }
}

}  // namespace

// A part of the sum: output pixels and groups of images.
struct IntegerProduct::Box {
  int64_t top, bottom, left, right, first, last;
  bool isEmpty() const { return top >= bottom || left >= right || first >= last; }
};

// A tile of the result: of one tap, some outputs and a pair of vectors of channels.
struct IntegerProduct::Task {
  int64_t tap, tile, pair, vectors;
};

struct IntegerProduct::Scratch {
  uint8_t* g;
  int32_t* gSums;
  double* parts;
};

// What the tiles' sums lack, since bytes are shifted: `perChannel` [taps][C] and `perOutput` [taps][O], none if empty.
// And the unit in which all is counted.
struct IntegerProduct::Corrections {
  std::vector<double> perChannel, perOutput;
  double unit;
};

IntegerProduct::IntegerProduct(const GradientShape& shape, const TileKernel& kernel, int64_t xBits, int64_t gBits)
    : shape_(shape), kernel_(kernel), planes_(kernel.bytes && gBits > 8 ? 2 : 1) {
  const int64_t rows = shape.outputs * planes_;
  tileRows_ = tileRowsFor(rows, shape.channels > kLanes);
  tiles_ = ceilOf(rows, tileRows_);
  vectors_ = ceilOf(shape.channels, kLanes);
  vectorPairs_ = ceilOf(vectors_, kTileVectors);
  groups_ = ceilOf(shape.images, kernel.imagesOfLane());
  // The largest sum of a lane in a step is imagesOfLane times 2^xBits (not reached) times 2^(bits of a plane of g, less
  // 1).
  limit_ = (int64_t{1} << 31) / kernel.imagesOfLane() >> (xBits + std::min<int64_t>(gBits, kernel.bytes ? 8 : 16) - 1);
  xPanelBytes_ = panelBytes(shape.input[0] * shape.input[1], groups_, kLanes);
  gPanelBytes_ = panelBytes(shape.output[0] * shape.output[1], groups_, tileRows_);
  xBytes_ = xPanelBytes_ * vectors_;
  gBytes_ = aligned(gPanelBytes_ * tiles_);
  xSumsBytes_ = aligned(shape.input[0] * shape.input[1] * shape.channels * sizeof(int32_t));
  gSumsBytes_ = aligned(shape.output[0] * shape.output[1] * shape.outputs * sizeof(int32_t));
  int64_t blocks = 0;
  forBoxes(whole(), kBlockSteps, [&](const Box&) { blocks++; });
  partsBytes_ = blocks > 1 ? tasks() * kTileNumbers / planes_ * static_cast<int64_t>(sizeof(double)) : 0;
}

bool IntegerProduct::isSupported(const GradientShape& shape) {
  // Sums of a pixel over the images are int32, those of the gradient doubles.
  return shape.images < (int64_t{1} << 15) && shape.images * shape.output[0] * shape.output[1] < (int64_t{1} << 28);
}

void IntegerProduct::packInput(const Rounded& x, uint8_t* packed) const {
  auto* const sums = reinterpret_cast<int32_t*>(packed + xBytes_);
  pack({x.values, shape_.images, shape_.channels, shape_.input[0], shape_.input[1], wanted(0), wanted(1)}, x.levels,
       inputPacking(x.zero), packed, planes_ == 2 ? sums : nullptr);
}

void IntegerProduct::unpackInput(const PackedLevels& x, float* values) const {
  unpack({nullptr, shape_.images, shape_.channels, shape_.input[0], shape_.input[1], wanted(0), wanted(1)}, x.levels,
         inputPacking(x.zero), x.bytes, values);
}

void IntegerProduct::compute(const PackedLevels& x, const Rounded& g, uint8_t* memory,
                             const GradientTarget& target) const {
  const Scratch scratch = scratchAt(memory);
  packGradient(g, x.zero, scratch);
  const Corrections corrections = correctionsOf(x, g, scratch);
  std::vector<Box> blocks;
  forBoxes(whole(), kBlockSteps, [&](const Box& box) { blocks.push_back(box); });
  const int64_t size = kTileNumbers / planes_;
  at::parallel_for(0, tasks(), 1, [&](int64_t begin, int64_t end) {
    double own[kTileNumbers];
    for (size_t block = 0; block < blocks.size(); block++) {
      for (int64_t index = begin; index < end; index++) {
        const Task task = taskAt(index);
        double* totals = blocks.size() == 1 ? own : scratch.parts + index * size;
        if (block == 0) std::fill(totals, totals + size, 0.0);
        sumTile(x.bytes, scratch.g, blocks[block], task, totals);
        if (block + 1 == blocks.size()) store(totals, task, corrections, target);
      }
    }
  });
}

IntegerProduct::Scratch IntegerProduct::scratchAt(uint8_t* memory) const {
  uint8_t* const sums = memory + gBytes_;
  return {memory, reinterpret_cast<int32_t*>(sums), reinterpret_cast<double*>(sums + gSumsBytes_)};
}

Packing IntegerProduct::inputPacking(int32_t zero) const {
  return {kernel_.imagesOfLane(), 1, kLanes, zero - unsignedZero(zero)};
}

void IntegerProduct::packGradient(const Rounded& g, int32_t inputZero, const Scratch& scratch) const {
  const auto all = [](int64_t count) { return std::vector<uint8_t>(count, 1); };
  const auto& out = shape_.output;
  pack({g.values, shape_.images, shape_.outputs, out[0], out[1], all(out[0]), all(out[1])}, g.levels,
       {kernel_.imagesOfLane(), planes_, tileRows_, g.zero}, scratch.g,
       unsignedZero(inputZero) ? scratch.gSums : nullptr);
}

IntegerProduct::Corrections IntegerProduct::correctionsOf(const PackedLevels& x, const Rounded& g,
                                                          const Scratch& scratch) const {
  const int32_t zero = unsignedZero(x.zero);
  Corrections corrections;
  corrections.unit = static_cast<double>(x.levels.step) * g.levels.step;
  const auto* const xSums = reinterpret_cast<const int32_t*>(x.bytes + xBytes_);
  if (planes_ == 2) corrections.perChannel = windowSums(xSums, true, 128);
  if (zero) corrections.perOutput = windowSums(scratch.gSums, false, -zero);
  return corrections;
}

// Adds a box of the sum to a tile's totals.
void IntegerProduct::sumTile(const uint8_t* xBytes, const uint8_t* gBytes, const Box& box, const Task& task,
                             double* totals) const {
  const int64_t gPixel = groups_ * tileRows_ * kLaneBytes, xPixel = groups_ * kVectorBytes;
  const uint8_t* g = gBytes + task.tile * gPanelBytes_;
  const uint8_t* x = xBytes + task.pair * kTileVectors * xPanelBytes_;
  forBoxes(clipped(box, task.tap), limit_, [&](const Box& part) {
    const uint8_t* own = g + (part.top * shape_.output[1] + part.left) * gPixel + part.first * (gPixel / groups_);
    const uint8_t* other = x + inputPixel(part.top, part.left, task.tap) * xPixel + part.first * kVectorBytes;
    const uint8_t* const others[] = {other, other + xPanelBytes_};
    const int64_t columns = part.right - part.left, groups = part.last - part.first;
    const bool oneRun = groups == groups_ && shape_.stride[1] == 1;  // the next pixel lies behind
    Steps steps;
    steps.rows = part.bottom - part.top;
    steps.runs = oneRun ? 1 : columns;
    steps.steps = oneRun ? columns * groups : groups;
    steps.gRow = shape_.output[1] * gPixel;
    steps.gRun = gPixel;
    steps.xRow = shape_.stride[0] * shape_.input[1] * xPixel;
    steps.xRun = shape_.stride[1] * xPixel;
    alignas(kVectorBytes) int32_t sums[kTileNumbers];
    kernel_.run(steps, tileRows_, task.vectors, own, others, sums);
    addTile(sums, tileRows_, task.vectors * kLanes, planes_, totals);
  });
}

void IntegerProduct::store(const double* totals, const Task& task, const Corrections& corrections,
                           const GradientTarget& target) const {
  const int64_t tileOutputs = tileRows_ / planes_, columns = task.vectors * kLanes;
  const int64_t firstOutput = task.tile * tileOutputs, firstChannel = task.pair * kTileVectors * kLanes;
  const int64_t outputs = std::min(tileOutputs, shape_.outputs - firstOutput);
  const int64_t channels = std::min(columns, shape_.channels - firstChannel);
  const auto lacking = [&](const std::vector<double>& all, int64_t index) { return all.empty() ? 0.0 : all[index]; };
  for (int64_t i = 0; i < outputs; i++) {
    const int64_t o = firstOutput + i;
    const double ofOutput = lacking(corrections.perOutput, task.tap * shape_.outputs + o);
    float* place = target.values + o * target.outputStride + task.tap * target.tapStride;
    for (int64_t j = 0; j < channels; j++) {
      const int64_t c = firstChannel + j;
      const double ofChannel = lacking(corrections.perChannel, task.tap * shape_.channels + c);
      const double sum = totals[i * columns + j] + ofOutput + ofChannel;
      place[c * target.channelStride] = static_cast<float>(sum * corrections.unit);
    }
  }
}

IntegerProduct::Task IntegerProduct::taskAt(int64_t index) const {
  const int64_t pair = index / taps() / tiles_;
  return {index % taps(), index / taps() % tiles_, pair, std::min(kTileVectors, vectors_ - pair * kTileVectors)};
}

IntegerProduct::Box IntegerProduct::whole() const { return {0, shape_.output[0], 0, shape_.output[1], 0, groups_}; }

// Cuts a box into boxes of at most `limit` steps.
template <typename Visit>
void IntegerProduct::forBoxes(const Box& whole, int64_t limit, const Visit& visit) const {
  if (whole.isEmpty()) return;
  const int64_t groups = std::min(whole.last - whole.first, limit);
  const int64_t columns = std::clamp<int64_t>(limit / groups, 1, whole.right - whole.left);
  const int64_t rows = std::clamp<int64_t>(limit / (groups * columns), 1, whole.bottom - whole.top);
  for (int64_t y = whole.top; y < whole.bottom; y += rows) {
    for (int64_t x = whole.left; x < whole.right; x += columns) {
      for (int64_t n = whole.first; n < whole.last; n += groups) {
        visit({y, std::min(y + rows, whole.bottom), x, std::min(x + columns, whole.right), n,
               std::min(n + groups, whole.last)});
      }
    }
  }
}

// The output pixels of a box for which a tap lies on the input.
IntegerProduct::Box IntegerProduct::clipped(const Box& box, int64_t tap) const {
  const int64_t place[] = {tap / shape_.kernel[1], tap % shape_.kernel[1]};
  int64_t begin[2], end[2];
  for (int axis = 0; axis < 2; axis++) {
    const int64_t stride = shape_.stride[axis];
    const int64_t offset =
        place[axis] * shape_.dilation[axis] - shape_.padding[axis];  // input = output * stride + offset
    begin[axis] = offset < 0 ? ceilOf(-offset, stride) : 0;
    end[axis] = offset < shape_.input[axis] ? (shape_.input[axis] - 1 - offset) / stride + 1 : 0;
  }
  return {std::max(box.top, begin[0]),
          std::min(box.bottom, end[0]),
          std::max(box.left, begin[1]),
          std::min(box.right, end[1]),
          box.first,
          box.last};
}

// Which rows or columns of the input a tap lies on.
std::vector<uint8_t> IntegerProduct::wanted(int axis) const {
  std::vector<uint8_t> result(shape_.input[axis]);
  for (int64_t place = 0; place < shape_.kernel[axis]; place++) {
    for (int64_t output = 0; output < shape_.output[axis]; output++) {
      const int64_t input = output * shape_.stride[axis] + place * shape_.dilation[axis] - shape_.padding[axis];
      if (input >= 0 && input < shape_.input[axis]) result[input] = 1;
    }
  }
  return result;
}

int64_t IntegerProduct::inputPixel(int64_t y, int64_t x, int64_t tap) const {
  const int64_t row = y * shape_.stride[0] + tap / shape_.kernel[1] * shape_.dilation[0] - shape_.padding[0];
  const int64_t column = x * shape_.stride[1] + tap % shape_.kernel[1] * shape_.dilation[1] - shape_.padding[1];
  return row * shape_.input[1] + column;
}

// For each tap, `factor` times the sum of the input (or output) pixels that it multiplies: [taps][channels].
std::vector<double> IntegerProduct::windowSums(const int32_t* sums, bool ofInput, double factor) const {
  const int64_t channels = ofInput ? shape_.channels : shape_.outputs;
  std::vector<double> result(taps() * channels);
  at::parallel_for(0, taps(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t tap = begin; tap < end; tap++) {
      const Box box = clipped(whole(), tap);
      for (int64_t y = box.top; y < box.bottom; y++) {
        for (int64_t x = box.left; x < box.right; x++) {
          const int64_t pixel = ofInput ? inputPixel(y, x, tap) : y * shape_.output[1] + x;
          for (int64_t c = 0; c < channels; c++) result[tap * channels + c] += factor * sums[pixel * channels + c];
        }
      }
    }
  });
  return result;
}

}  // namespace peekaboo
