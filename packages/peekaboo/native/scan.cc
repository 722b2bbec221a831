#include "scan.h"

#include <array>
#include <cmath>

#include "parallel.h"
#include "processor.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define PEEKABOO_HAS_AVX512_BUILD 1
#endif

namespace peekaboo {
namespace {

constexpr int64_t kGroup = 8;  // few enough that most groups have nothing inside the bracket

PEEKABOO_MULTIVERSION void multiplyRun(const double* values, const double* factors, int64_t count,
                                       double* __restrict products) {
  for (int64_t i = 0; i < count; i++) products[i] = std::abs(values[i] * factors[i]);
}

PEEKABOO_MULTIVERSION Scan countRun(const double* values, int64_t count, double low, double high) {
  Scan scan;
  for (int64_t i = 0; i < count; i++) {
    scan.below += values[i] < low;
    scan.atLow += values[i] == low;
    scan.atHigh += values[i] == high;
    scan.nan += values[i] != values[i];
  }
  return scan;
}

// How many of each full group are inside the bracket.
PEEKABOO_MULTIVERSION void countGroups(const double* values, int64_t groups, double low, double high,
                                       int64_t* __restrict inside) {
  for (int64_t g = 0; g < groups; g++) {
    int64_t count = 0;
    for (int64_t i = 0; i < kGroup; i++) {
      const double value = values[g * kGroup + i];
      count += static_cast<int64_t>(value > low) & static_cast<int64_t>(value < high);
    }
    inside[g] = count;
  }
}

// Copies what is inside the bracket and returns how many. Groups with nothing inside are skipped; the others are copied
// without a branch, which a processor could not foresee.
int64_t gatherRun(const double* values, int64_t count, double low, double high, double* found) {
  std::array<int64_t, kRun / kGroup> inside;
  const int64_t groups = count / kGroup;
  countGroups(values, groups, low, high, inside.data());
  int64_t size = 0;
  const auto copy = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      found[size] = values[i];
      size += static_cast<int64_t>(values[i] > low) & static_cast<int64_t>(values[i] < high);
    }
  };
  for (int64_t g = 0; g < groups; g++) {
    if (inside[g] != 0) copy(g * kGroup, (g + 1) * kGroup);
  }
  copy(groups * kGroup, count);
  return size;
}

Scan scanAny(const double* values, const double* factors, int64_t count, double low, double high, double* found) {
  std::array<double, kRun> products;
  if (factors != nullptr) {
    multiplyRun(values, factors, count, products.data());
    values = products.data();
  }
  Scan scan = countRun(values, count, low, high);
  scan.inside = gatherRun(values, count, low, high, found);
  return scan;
}

#ifdef PEEKABOO_HAS_AVX512_BUILD
// The same in one pass: the comparisons of eight scores are bits, which can be counted and which pick the scores to
// copy.
__attribute__((target("avx512f,popcnt"))) Scan scanAvx512(const double* values, const double* factors, int64_t count,
                                                          double low, double high, double* found) {
  const __m512d lows = _mm512_set1_pd(low);
  const __m512d highs = _mm512_set1_pd(high);
  Scan scan;
  for (int64_t i = 0; i < count; i += 8) {
    const auto live = static_cast<__mmask8>(count - i >= 8 ? 0xff : (1u << (count - i)) - 1);
    __m512d score = _mm512_maskz_loadu_pd(live, values + i);
    if (factors != nullptr) score = _mm512_abs_pd(_mm512_mul_pd(score, _mm512_maskz_loadu_pd(live, factors + i)));
    scan.below += _mm_popcnt_u32(_mm512_mask_cmp_pd_mask(live, score, lows, _CMP_LT_OQ));
    scan.atLow += _mm_popcnt_u32(_mm512_mask_cmp_pd_mask(live, score, lows, _CMP_EQ_OQ));
    scan.atHigh += _mm_popcnt_u32(_mm512_mask_cmp_pd_mask(live, score, highs, _CMP_EQ_OQ));
    scan.nan += _mm_popcnt_u32(_mm512_mask_cmp_pd_mask(live, score, score, _CMP_UNORD_Q));
    const __mmask8 above = _mm512_mask_cmp_pd_mask(live, score, lows, _CMP_GT_OQ);
    const __mmask8 inside = _mm512_mask_cmp_pd_mask(above, score, highs, _CMP_LT_OQ);
    const __m512d picked = _mm512_maskz_compress_pd(inside, score);
    const int picks = _mm_popcnt_u32(inside);
    _mm512_mask_storeu_pd(found + scan.inside, static_cast<__mmask8>((1u << picks) - 1), picked);
    scan.inside += picks;
  }
  return scan;
}
#endif

}  // namespace

const char* scanName() {
#ifdef PEEKABOO_HAS_AVX512_BUILD
  if (processor().avx512) return kAvx512Name;
#endif
  return kPortable;
}

Scan scanRun(const double* values, const double* factors, int64_t count, double low, double high, double* found) {
#ifdef PEEKABOO_HAS_AVX512_BUILD
  if (processor().avx512) return scanAvx512(values, factors, count, low, high, found);
#endif
  return scanAny(values, factors, count, low, high, found);
}

}  // namespace peekaboo
