#pragma once

#include <cstdint>

namespace peekaboo {

// The most scores that one call of scanRun takes: few enough to be read twice from the first cache.
constexpr int64_t kRun = 2048;

// How scores lie to a bracket from low to high.
struct Scan {
  int64_t below = 0;
  int64_t atLow = 0;
  int64_t atHigh = 0;
  int64_t nan = 0;
  // Above low and below high.
  int64_t inside = 0;
};

// Counts up to kRun scores by where they lie, and copies those inside the bracket to `found`, which has room for kRun.
// The scores are `values`, or with `factors` |value * factor|.
Scan scanRun(const double* values, const double* factors, int64_t count, double low, double high, double* found);

// The instructions that it uses; what is portable is compiled for several widths.
const char* scanName();

}  // namespace peekaboo
