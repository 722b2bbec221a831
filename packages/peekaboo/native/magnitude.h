#pragma once

#include <cstdint>
#include <vector>

namespace peekaboo {

// Largest magnitude of each run of `length` consecutive floats (the last run may be shorter), multithreaded; NaN if
// one of the run is NaN.
std::vector<float> maxMagnitudes(const float* values, int64_t count, int64_t length);

// Largest magnitude of all, multithreaded; NaN if one is NaN, 0 if there are none.
float maxMagnitude(const float* values, int64_t count);

}  // namespace peekaboo
