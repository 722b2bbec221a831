#pragma once

#include <cstdint>
#include <vector>

namespace peekaboo {

// The passes of batch normalisation over memory, for tensors whose channels lie innermost: `rows` pixels of `channels`
// floats. Sums are taken in double precision over blocks whose bounds follow from the shape alone, and the blocks' sums
// are added in their order: the same bits for every number of threads.
struct PixelRows {
  int64_t rows;
  int64_t channels;
};

// Per channel [C]: y = (x - mean) · scale + shift.
struct Affine {
  std::vector<float> mean;
  std::vector<float> scale;
  std::vector<float> shift;
};

// Two sums for each channel [C].
struct ChannelSums {
  std::vector<double> first;
  std::vector<double> second;
};

// A bit for each float, set where an output was above zero or NaN: rows of pixels as the passes below take them, each
// filled up to whole words. As many as `wordsOf` says.
using Passed = uint32_t;
int64_t wordsOf(PixelRows pixels);

// Where the gradient of what comes after the normalisation is zero.
enum class Cut {
  kNowhere,       // no rectifier follows
  kAtNormalised,  // where the normalised value, computed again, is not above zero
  kWhereTold,     // where `Passed` has no bit
};

// Σ x and Σ x².
ChannelSums sumsOf(const float* input, PixelRows pixels);

// y = (x - mean) · scale + shift [+ residual], rectified if asked for; NaN stays NaN. `residual` may be null; `passed`
// is written unless it is null, for a sum that is rectified alone.
void normalise(const float* input, const float* residual, float* output, Passed* passed, PixelRows pixels,
               const Affine& affine, bool rectifies);

// Σ g' and Σ g' · (x - mean), g' being the output's gradient where it isn't cut. For Cut::kWhereTold alone `passed` is
// read, and g' written to `kept`.
ChannelSums gradientSums(const float* input, const Passed* passed, const float* grad, float* kept, PixelRows pixels,
                         const Affine& affine, Cut cut);

// dx = ((g' - centre) - (x - mean) · slope) · scale; `cut` is not kWhereTold.
void inputGradient(const float* input, const float* grad, float* gradInput, PixelRows pixels, const Affine& affine,
                   const std::vector<float>& centre, const std::vector<float>& slope, Cut cut);

}  // namespace peekaboo
