#include "batch_norm_passes.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "parallel.h"

namespace peekaboo {
namespace {

// As many pixels side by side as make a loop over channels long enough to be worth its start.
constexpr int64_t kLoopWidth = 128;
constexpr int64_t kBlock = 32768;
constexpr int64_t kBitsOfWord = 32;

// Pixels as rows of several each, and those in blocks.
struct Blocks {
  explicit Blocks(PixelRows pixels)
      : side(std::max<int64_t>(1, kLoopWidth / pixels.channels)),
        width(side * pixels.channels),
        size(pixels.rows * pixels.channels),
        words((width + kBitsOfWord - 1) / kBitsOfWord),
        length(std::max<int64_t>(1, kBlock / width) * width),
        count((size + length - 1) / length) {}

  // Calls body(begin, end) for the floats of each block; `backwards` begins with those that a pass before read last.
  template <typename Body>
  void forEach(bool backwards, const Body& body) const {
    at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const int64_t block = backwards ? end - 1 - (i - begin) : i;
        body(block, block * length, std::min(size, (block + 1) * length));
      }
    });
  }

  // A channel's number for each of the floats of a row.
  std::vector<float> spread(const std::vector<float>& values) const {
    std::vector<float> result;
    result.reserve(width);
    for (int64_t i = 0; i < side; i++) result.insert(result.end(), values.begin(), values.end());
    return result;
  }

  // Where a row's bits begin, of those of all; null if there are none.
  template <typename Word>
  Word* wordsAt(Word* all, int64_t begin) const {
    return all == nullptr ? nullptr : all + begin / width * words;
  }

  int64_t side;
  int64_t width;
  int64_t size;
  int64_t words;
  int64_t length;
  int64_t count;
};

// Sums of each block, in lanes as wide as a row, and what they come to.
template <typename Body>
ChannelSums sumBlocks(PixelRows pixels, const Blocks& blocks, const Body& body) {
  const int64_t channels = pixels.channels;
  std::vector<double> partial(2 * channels * blocks.count);
  blocks.forEach(false, [&](int64_t block, int64_t begin, int64_t end) {
    std::vector<double> lanes(2 * blocks.width);
    body(begin, end, lanes.data(), lanes.data() + blocks.width);
    double* sums = partial.data() + 2 * channels * block;
    for (int64_t i = 0; i < blocks.side; i++) {
      for (int64_t c = 0; c < channels; c++) {
        sums[c] += lanes[i * channels + c];
        sums[channels + c] += lanes[blocks.width + i * channels + c];
      }
    }
  });
  ChannelSums result{std::vector<double>(channels), std::vector<double>(channels)};
  for (int64_t block = 0; block < blocks.count; block++) {
    const double* sums = partial.data() + 2 * channels * block;
    for (int64_t c = 0; c < channels; c++) {
      result.first[c] += sums[c];
      result.second[c] += sums[channels + c];
    }
  }
  return result;
}

struct Terms {
  double first;
  double second;
};

// Adds to the lanes what `at` gives for each place, row by row: several at once would leave fewer sums to load and
// store, but processors don't see four places ahead that move on together, and wait for memory.
template <typename At>
[[gnu::always_inline]] inline void addUp(int64_t count, int64_t width, double* __restrict first,
                                         double* __restrict second, const At& at) {
  for (int64_t start = 0; start < count; start += width) {
    const int64_t length = std::min(width, count - start);
#pragma GCC ivdep
    for (int64_t i = 0; i < length; i++) {
      const Terms terms = at(start + i, i);
      first[i] += terms.first;
      second[i] += terms.second;
    }
  }
}

PEEKABOO_MULTIVERSION void sumsRun(const float* __restrict input, int64_t count, int64_t width,
                                   double* __restrict first, double* __restrict second) {
  addUp(count, width, first, second, [input](int64_t at, int64_t) {
    const double value = input[at];
    return Terms{value, value * value};
  });
}

struct Lanes {
  const float* mean;
  const float* scale;
  const float* shift;
};

template <bool rectifies, bool joins>
[[gnu::always_inline]] inline void normaliseRows(const float* __restrict input, const float* __restrict residual,
                                                 float* __restrict output, int64_t count, int64_t width, Lanes lanes) {
  const float* __restrict mean = lanes.mean, * __restrict scale = lanes.scale, * __restrict shift = lanes.shift;
  for (int64_t start = 0; start < count; start += width) {
    const int64_t length = std::min(width, count - start);
    const float* __restrict x = input + start, * __restrict r = residual + (joins ? start : 0);
    float* __restrict y = output + start;
    for (int64_t i = 0; i < length; i++) {
      float value = (x[i] - mean[i]) * scale[i] + shift[i];
      if (joins) value += r[i];
      y[i] = rectifies && value <= 0.0f ? 0.0f : value;
    }
  }
}

// Calls body(first, length) for the pieces of a row that have a word of bits each: a whole one's length is a constant.
template <typename Body>
[[gnu::always_inline]] inline void forWords(int64_t length, const Body& body) {
  int64_t first = 0;
  for (; first + kBitsOfWord <= length; first += kBitsOfWord) body(first, kBitsOfWord);
  if (first < length) body(first, length - first);
}

// The rectified sum with a residual, and a bit for what passed.
[[gnu::always_inline]] inline void joinAndTellRows(const float* __restrict input, const float* __restrict residual,
                                                   float* __restrict output, Passed* __restrict passed, int64_t count,
                                                   int64_t width, Lanes lanes) {
  for (int64_t start = 0; start < count; start += width) {
    forWords(std::min(width, count - start), [&](int64_t first, int64_t length) {
      const float* __restrict x = input + start + first, * __restrict r = residual + start + first;
      const float* __restrict mean = lanes.mean + first, * __restrict scale = lanes.scale + first;
      const float* __restrict shift = lanes.shift + first;
      float* __restrict y = output + start + first;
      Passed bits = 0;
      for (int64_t i = 0; i < length; i++) {
        const float value = (x[i] - mean[i]) * scale[i] + shift[i] + r[i];
        y[i] = value <= 0.0f ? 0.0f : value;
        bits |= value <= 0.0f ? Passed{0} : Passed{1} << i;
      }
      *passed++ = bits;
    });
  }
}

PEEKABOO_MULTIVERSION void normaliseRun(const float* input, const float* residual, float* output, Passed* passed,
                                        int64_t count, int64_t width, Lanes lanes, bool rectifies) {
  if (passed != nullptr) {
    joinAndTellRows(input, residual, output, passed, count, width, lanes);
  } else if (residual != nullptr) {
    if (rectifies) {
      normaliseRows<true, true>(input, residual, output, count, width, lanes);
    } else {
      normaliseRows<false, true>(input, residual, output, count, width, lanes);
    }
  } else if (rectifies) {
    normaliseRows<true, false>(input, residual, output, count, width, lanes);
  } else {
    normaliseRows<false, false>(input, residual, output, count, width, lanes);
  }
}

// All bits where a value is above zero or NaN, none elsewhere. Written as the comparison that it is, the compiler would
// load those gradients alone that pass; such loads wait for what decides, and take several times as long.
[[gnu::always_inline]] inline uint32_t letThrough(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t positive = -bits & ~bits, beyondInfinity = 0x7f800000u - (bits & 0x7fffffffu);
  return static_cast<uint32_t>(static_cast<int32_t>(positive | beyondInfinity) >> 31);
}

// A gradient where the mask has all bits, zero where it has none.
[[gnu::always_inline]] inline float masked(float grad, uint32_t mask) {
  uint32_t bits;
  std::memcpy(&bits, &grad, sizeof bits);
  bits &= mask;
  std::memcpy(&grad, &bits, sizeof bits);
  return grad;
}

// The gradient that passes the rectifier, x - mean being at hand.
template <Cut cut>
[[gnu::always_inline]] inline float gradThrough(float grad, float centred, float scale, float shift) {
  return cut == Cut::kNowhere ? grad : masked(grad, letThrough(centred * scale + shift));
}

[[gnu::always_inline]] inline Terms termsOf(float grad, float centred) {
  return {grad, static_cast<double>(grad) * static_cast<double>(centred)};
}

template <Cut cut>
[[gnu::always_inline]] inline void gradientSumsRows(const float* __restrict input, const float* __restrict grad,
                                                    int64_t count, int64_t width, Lanes lanes, double* __restrict first,
                                                    double* __restrict second) {
  const float* __restrict mean = lanes.mean, * __restrict scale = lanes.scale, * __restrict shift = lanes.shift;
  addUp(count, width, first, second, [=](int64_t at, int64_t i) {
    const float centred = input[at] - mean[i];
    return termsOf(gradThrough<cut>(grad[at], centred, scale[i], shift[i]), centred);
  });
}

// The same of what passed by the bits, which is written down.
[[gnu::always_inline]] inline void gradientSumsTold(const float* __restrict input, const Passed* __restrict passed,
                                                    const float* __restrict grad, float* __restrict kept, int64_t count,
                                                    int64_t width, const float* __restrict mean,
                                                    double* __restrict first, double* __restrict second) {
  for (int64_t start = 0; start < count; start += width) {
    forWords(std::min(width, count - start), [&](int64_t left, int64_t length) {
      const Passed bits = *passed++;
      const int64_t at = start + left;
#pragma GCC ivdep
      for (int64_t i = 0; i < length; i++) {
        const float centred = input[at + i] - mean[left + i];
        const float own = masked(grad[at + i], -(bits >> i & 1));
        kept[at + i] = own;
        const Terms terms = termsOf(own, centred);
        first[left + i] += terms.first;
        second[left + i] += terms.second;
      }
    });
  }
}

PEEKABOO_MULTIVERSION void gradientSumsRun(const float* input, const Passed* passed, const float* grad, float* kept,
                                           int64_t count, int64_t width, Lanes lanes, double* first, double* second,
                                           Cut cut) {
  switch (cut) {
    case Cut::kNowhere:
      return gradientSumsRows<Cut::kNowhere>(input, grad, count, width, lanes, first, second);
    case Cut::kAtNormalised:
      return gradientSumsRows<Cut::kAtNormalised>(input, grad, count, width, lanes, first, second);
    case Cut::kWhereTold:
      return gradientSumsTold(input, passed, grad, kept, count, width, lanes.mean, first, second);
  }
}

template <Cut cut>
[[gnu::always_inline]] inline void inputGradientRows(const float* __restrict input, const float* __restrict grad,
                                                     float* __restrict gradInput, int64_t count, int64_t width,
                                                     Lanes lanes, const float* __restrict centre,
                                                     const float* __restrict slope) {
  const float* __restrict mean = lanes.mean, * __restrict scale = lanes.scale, * __restrict shift = lanes.shift;
  for (int64_t start = 0; start < count; start += width) {
    const int64_t length = std::min(width, count - start);
    const float* __restrict x = input + start, * __restrict g = grad + start;
    float* __restrict dx = gradInput + start;
    for (int64_t i = 0; i < length; i++) {
      const float centred = x[i] - mean[i];
      const float own = gradThrough<cut>(g[i], centred, scale[i], shift[i]);
      dx[i] = ((own - centre[i]) - centred * slope[i]) * scale[i];
    }
  }
}

PEEKABOO_MULTIVERSION void inputGradientRun(const float* input, const float* grad, float* gradInput, int64_t count,
                                            int64_t width, Lanes lanes, const float* centre, const float* slope,
                                            bool cuts) {
  if (cuts) {
    inputGradientRows<Cut::kAtNormalised>(input, grad, gradInput, count, width, lanes, centre, slope);
  } else {
    inputGradientRows<Cut::kNowhere>(input, grad, gradInput, count, width, lanes, centre, slope);
  }
}

// What holds the lanes.
struct SpreadAffine {
  SpreadAffine(const Affine& affine, const Blocks& blocks)
      : mean(blocks.spread(affine.mean)), scale(blocks.spread(affine.scale)), shift(blocks.spread(affine.shift)) {}
  Lanes lanes() const { return {mean.data(), scale.data(), shift.data()}; }
  std::vector<float> mean;
  std::vector<float> scale;
  std::vector<float> shift;
};

}  // namespace

ChannelSums sumsOf(const float* input, PixelRows pixels) {
  const Blocks blocks(pixels);
  return sumBlocks(pixels, blocks, [&](int64_t begin, int64_t end, double* first, double* second) {
    sumsRun(input + begin, end - begin, blocks.width, first, second);
  });
}

int64_t wordsOf(PixelRows pixels) {
  const Blocks blocks(pixels);
  return (blocks.size + blocks.width - 1) / blocks.width * blocks.words;
}

void normalise(const float* input, const float* residual, float* output, Passed* passed, PixelRows pixels,
               const Affine& affine, bool rectifies) {
  const Blocks blocks(pixels);
  const SpreadAffine spread(affine, blocks);
  blocks.forEach(true, [&](int64_t, int64_t begin, int64_t end) {
    const float* own = residual == nullptr ? nullptr : residual + begin;
    normaliseRun(input + begin, own, output + begin, blocks.wordsAt(passed, begin), end - begin, blocks.width,
                 spread.lanes(), rectifies);
  });
}

ChannelSums gradientSums(const float* input, const Passed* passed, const float* grad, float* kept, PixelRows pixels,
                         const Affine& affine, Cut cut) {
  const Blocks blocks(pixels);
  const SpreadAffine spread(affine, blocks);
  return sumBlocks(pixels, blocks, [&](int64_t begin, int64_t end, double* first, double* second) {
    gradientSumsRun(input + begin, blocks.wordsAt(passed, begin), grad + begin,
                    kept == nullptr ? nullptr : kept + begin, end - begin, blocks.width, spread.lanes(), first, second,
                    cut);
  });
}

void inputGradient(const float* input, const float* grad, float* gradInput, PixelRows pixels, const Affine& affine,
                   const std::vector<float>& centre, const std::vector<float>& slope, Cut cut) {
  const Blocks blocks(pixels);
  const SpreadAffine spread(affine, blocks);
  const std::vector<float> centres = blocks.spread(centre), slopes = blocks.spread(slope);
  blocks.forEach(true, [&](int64_t, int64_t begin, int64_t end) {
    inputGradientRun(input + begin, grad + begin, gradInput + begin, end - begin, blocks.width, spread.lanes(),
                     centres.data(), slopes.data(), cut == Cut::kAtNormalised);
  });
}

}  // namespace peekaboo
