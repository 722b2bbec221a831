#pragma once

#include <cmath>
#include <cstdint>

namespace peekaboo {

// Levels of a range: v -> round((v - lo) / step) * step + lo, the rounded number within [0, top].
struct Levels {
  Levels(float scale, int64_t bits, bool isSigned)
      : lo(isSigned ? -scale : 0.0f),
        step((scale - lo) / std::ldexp(1.0f, static_cast<int>(bits))),
        top(static_cast<float>(std::ldexp(1.0, static_cast<int>(bits)) - 1.0)) {}
  float lo;
  float step;
  float top;
};

}  // namespace peekaboo
