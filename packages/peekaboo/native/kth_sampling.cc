#include <ATen/ATen.h>

#include <array>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "kth.h"
#include "scan.h"

namespace peekaboo {
namespace {

// A larger sample brackets more narrowly, but each of its scores takes a wait for memory.
constexpr int64_t kSample = int64_t{1} << 14;
// Beyond this, what is inside the bracket is worth a bracket of its own.
constexpr int64_t kWorthNarrowing = int64_t{1} << 17;

// Evenly spaced scores, `stride` from one to the next.
std::vector<double> sampleOf(const Scores& scores, int64_t stride) {
  std::vector<double> sample((scores.total + stride - 1) / stride);
  at::parallel_for(0, static_cast<int64_t>(sample.size()), kSample / 16, [&](int64_t begin, int64_t end) {
    size_t tensor = 0;
    int64_t first = 0;
    for (int64_t i = begin; i < end; i++) {
      while (i * stride >= first + scores.values[tensor].numel()) first += scores.values[tensor++].numel();
      sample[i] = scores.at(tensor, i * stride - first);
    }
  });
  return sample;
}

// Two scores between which the k-th smallest probably lies: quantiles of a sample, four standard deviations either way.
// NaN if one of those is NaN.
std::pair<double, double> bracket(const Scores& scores, int64_t k) {
  std::vector<double> sample = sampleOf(scores, std::max(scores.total / kSample, int64_t{1}));
  for (const double value : sample) {
    if (std::isnan(value)) return {value, value};
  }
  const auto size = static_cast<double>(sample.size());
  const double share = static_cast<double>(k) / static_cast<double>(scores.total);
  const double margin = 4 * std::sqrt(size * share * (1 - share)) + 2;
  const auto atPlace = [&](double place) {
    if (place < 0) return -std::numeric_limits<double>::infinity();
    if (place >= size) return std::numeric_limits<double>::infinity();
    const auto nth = sample.begin() + static_cast<int64_t>(place);
    std::nth_element(sample.begin(), nth, sample.end());
    return *nth;
  };
  return {atPlace(size * share - margin), atPlace(size * share + margin)};
}

struct Between {
  int64_t below = 0;
  int64_t atLow = 0;
  int64_t atHigh = 0;
  bool numbers = true;
  std::vector<double> inside;
};

// How many scores are below, at either end of, and which are inside the bracket.
Between between(const Scores& scores, double low, double high) {
  std::mutex merging;
  Between all;
  forAll(scores, [&] {
    return [&](const double* values, const double* factors, int64_t count) {
      Between own;
      std::array<double, kRun> found;
      for (int64_t begin = 0; begin < count; begin += kRun) {
        const double* ownFactors = factors == nullptr ? nullptr : factors + begin;
        const Scan scan = scanRun(values + begin, ownFactors, std::min(kRun, count - begin), low, high, found.data());
        own.below += scan.below;
        own.atLow += scan.atLow;
        own.atHigh += scan.atHigh;
        own.numbers &= scan.nan == 0;
        own.inside.insert(own.inside.end(), found.begin(), found.begin() + scan.inside);
      }
      const std::lock_guard<std::mutex> lock(merging);
      all.below += own.below;
      all.atLow += own.atLow;
      all.atHigh += own.atHigh;
      all.numbers &= own.numbers;
      all.inside.insert(all.inside.end(), own.inside.begin(), own.inside.end());
    };
  });
  return all;
}

}  // namespace

std::optional<double> kthBySampling(const Scores& scores, int64_t k) {
  const auto [low, high] = bracket(scores, k);
  if (std::isnan(low)) return low;
  Between found = between(scores, low, high);
  if (!found.numbers) return std::numeric_limits<double>::quiet_NaN();
  int64_t rank = k - found.below;
  if (rank < 1) return std::nullopt;
  if (rank <= found.atLow) return low;
  rank -= found.atLow;
  const auto size = static_cast<int64_t>(found.inside.size());
  if (rank <= size) {
    if (size > kWorthNarrowing) {
      const at::Tensor inside = at::from_blob(found.inside.data(), {size}, at::kDouble);
      if (const auto kth = kthBySampling({inside, {}, size}, rank)) return *kth;
    }
    const auto kth = found.inside.begin() + (rank - 1);
    std::nth_element(found.inside.begin(), kth, found.inside.end());
    return *kth;
  }
  if (low != high && rank - size <= found.atHigh) return high;
  return std::nullopt;
}

}  // namespace peekaboo
