#include "magnitude.h"

#include <algorithm>
#include <cstring>

#include "parallel.h"

namespace peekaboo {
namespace {

// The bit patterns of non-negative floats order as the floats do, NaN above infinity: so an integer maximum vectorises
// and never loses a NaN.
PEEKABOO_MULTIVERSION float maxOfRun(const float* values, int64_t count) {
  int32_t largest = 0;
  for (int64_t i = 0; i < count; i++) {
    int32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bits &= 0x7fffffff;
    largest = bits > largest ? bits : largest;
  }
  float result;
  std::memcpy(&result, &largest, sizeof result);
  return result;
}

}  // namespace

std::vector<float> maxMagnitudes(const float* values, int64_t count, int64_t length) {
  std::vector<float> result((count + length - 1) / length);
  at::parallel_for(0, static_cast<int64_t>(result.size()), std::max<int64_t>(1, kGrain / length),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t run = begin; run < end; run++) {
                       const int64_t start = run * length;
                       result[run] = maxOfRun(values + start, std::min(length, count - start));
                     }
                   });
  return result;
}

float maxMagnitude(const float* values, int64_t count) {
  const std::vector<float> largest = maxMagnitudes(values, count, kGrain);
  return maxOfRun(largest.data(), static_cast<int64_t>(largest.size()));
}

}  // namespace peekaboo
