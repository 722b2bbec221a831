// Which weights a pruning round keeps: the k-th smallest of all scores, and the masks above it (ALGORITHM §2).

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "parallel.h"

namespace peekaboo {
namespace {

// The order of doubles as unsigned integers: sign bit set for positive numbers, all bits flipped for negative ones.
inline uint64_t sortable(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits ^ (-(bits >> 63) | (uint64_t{1} << 63));
}

constexpr int kShift = 48;  // the first 16 bits: sign, exponent and 4 bits of the fraction
constexpr size_t kBuckets = size_t{1} << 16;

bool is_plain(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kDouble && tensor.is_contiguous();
}

// Calls body(values, count) for the runs that make up all elements of plain tensors, in parallel: each thread's share
// is one range, which may cover many small tensors.
template <typename MakeBody>
void for_all(at::TensorList scores, int64_t total, const MakeBody& make_body) {
  at::parallel_for(0, total, kGrain, [&](int64_t begin, int64_t end) {
    auto body = make_body();
    int64_t first = 0;
    for (const at::Tensor& tensor : scores) {
      const int64_t from = std::max(begin - first, int64_t{0});
      const int64_t to = std::min(end - first, tensor.numel());
      if (from < to) body(tensor.data_ptr<double>() + from, to - from);
      first += tensor.numel();
    }
  });
}

// A thread's histogram of the scores' leading bits, added to the common one in the end.
class LeadingBits {
 public:
  LeadingBits(std::vector<int64_t>& common, bool& numbers, std::mutex& merging)
      : common_(common), common_numbers_(numbers), merging_(merging), own_(kBuckets, 0) {}
  LeadingBits(const LeadingBits&) = delete;
  LeadingBits& operator=(const LeadingBits&) = delete;

  ~LeadingBits() {
    const std::lock_guard<std::mutex> lock(merging_);
    common_numbers_ &= numbers_;
    for (size_t b = 0; b < kBuckets; b++) common_[b] += own_[b];
  }

  void operator()(const double* values, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
      numbers_ &= !std::isnan(values[i]);
      own_[sortable(values[i]) >> kShift]++;
    }
  }

 private:
  std::vector<int64_t>& common_;
  bool& common_numbers_;
  std::mutex& merging_;
  std::vector<int64_t> own_;
  bool numbers_ = true;
};

// Counts the scores by their leading bits; false if one is NaN.
bool count_leading(at::TensorList scores, int64_t total, std::vector<int64_t>& histogram) {
  std::mutex merging;
  bool numbers = true;
  for_all(scores, total, [&] { return LeadingBits(histogram, numbers, merging); });
  return numbers;
}

std::vector<double> in_bucket(at::TensorList scores, int64_t total, uint64_t bucket, int64_t count) {
  std::mutex merging;
  std::vector<double> found;
  found.reserve(count);
  for_all(scores, total, [&] {
    return [&](const double* values, int64_t run) {
      std::vector<double> own;
      for (int64_t i = 0; i < run; i++) {
        if (sortable(values[i]) >> kShift == bucket) own.push_back(values[i]);
      }
      const std::lock_guard<std::mutex> lock(merging);
      found.insert(found.end(), own.begin(), own.end());
    };
  });
  return found;
}

// Below this, two passes with a histogram are as fast.
constexpr int64_t kWorthSampling = int64_t{1} << 20;
constexpr int64_t kSample = int64_t{1} << 16;

// Two scores between which the k-th smallest probably lies: quantiles of evenly spaced scores, four standard deviations
// either way. NaN if one of those is NaN.
std::pair<double, double> bracket(at::TensorList scores, int64_t total, int64_t k) {
  std::vector<double> sample;
  sample.reserve(kSample + 1);
  const int64_t stride = total / kSample;
  int64_t next = 0;
  int64_t first = 0;
  for (const at::Tensor& tensor : scores) {
    const double* values = tensor.data_ptr<double>();
    for (; next < first + tensor.numel(); next += stride) sample.push_back(values[next - first]);
    first += tensor.numel();
  }
  for (const double value : sample) {
    if (std::isnan(value)) return {value, value};
  }
  const auto size = static_cast<double>(sample.size());
  const double share = static_cast<double>(k) / static_cast<double>(total);
  const double margin = 4 * std::sqrt(size * share * (1 - share)) + 2;
  const auto at_place = [&](double place) {
    if (place < 0) return -std::numeric_limits<double>::infinity();
    if (place >= size) return std::numeric_limits<double>::infinity();
    const auto nth = sample.begin() + static_cast<int64_t>(place);
    std::nth_element(sample.begin(), nth, sample.end());
    return *nth;
  };
  return {at_place(size * share - margin), at_place(size * share + margin)};
}

struct Between {
  int64_t below = 0;
  int64_t at_low = 0;
  int64_t at_high = 0;
  bool numbers = true;
  std::vector<double> inside;
};

constexpr int64_t kRun = 2048;  // small enough to be read twice from the first cache
constexpr int64_t kGroup = 8;   // few enough that most groups have nothing inside the bracket

struct Counts {
  int64_t below = 0;
  int64_t at_low = 0;
  int64_t at_high = 0;
  int64_t nan = 0;
};

PEEKABOO_MULTIVERSION Counts count_run(const double* values, int64_t count, double low, double high) {
  Counts counts;
  for (int64_t i = 0; i < count; i++) {
    counts.below += values[i] < low;
    counts.at_low += values[i] == low;
    counts.at_high += values[i] == high;
    counts.nan += values[i] != values[i];
  }
  return counts;
}

// How many of each full group are inside the bracket.
PEEKABOO_MULTIVERSION void count_groups(const double* values, int64_t groups, double low, double high,
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

// Copies what is inside the bracket and returns how many; `found` has room for all. Groups with nothing inside are
// skipped; the others are copied without a branch, which a processor could not foresee.
int64_t gather_run(const double* values, int64_t count, double low, double high, double* found) {
  std::array<int64_t, kRun / kGroup> inside;
  const int64_t groups = count / kGroup;
  count_groups(values, groups, low, high, inside.data());
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

// How many scores are below, at either end of, and which are inside the bracket.
Between between(at::TensorList scores, int64_t total, double low, double high) {
  std::mutex merging;
  Between all;
  for_all(scores, total, [&] {
    return [&](const double* values, int64_t count) {
      Between own;
      std::array<double, kRun> found;
      for (int64_t begin = 0; begin < count; begin += kRun) {
        const int64_t run = std::min(kRun, count - begin);
        const Counts counts = count_run(values + begin, run, low, high);
        own.below += counts.below;
        own.at_low += counts.at_low;
        own.at_high += counts.at_high;
        own.numbers &= counts.nan == 0;
        const int64_t size = gather_run(values + begin, run, low, high, found.data());
        own.inside.insert(own.inside.end(), found.begin(), found.begin() + size);
      }
      const std::lock_guard<std::mutex> lock(merging);
      all.below += own.below;
      all.at_low += own.at_low;
      all.at_high += own.at_high;
      all.numbers &= own.numbers;
      all.inside.insert(all.inside.end(), own.inside.begin(), own.inside.end());
    };
  });
  return all;
}

// The k-th smallest by one pass over the scores; nothing where the bracket missed it.
std::optional<double> kth_by_sampling(at::TensorList scores, int64_t total, int64_t k) {
  const auto [low, high] = bracket(scores, total, k);
  if (std::isnan(low)) return low;
  Between found = between(scores, total, low, high);
  if (!found.numbers) return std::numeric_limits<double>::quiet_NaN();
  int64_t rank = k - found.below;
  if (rank < 1) return std::nullopt;
  if (rank <= found.at_low) return low;
  rank -= found.at_low;
  const auto size = static_cast<int64_t>(found.inside.size());
  if (rank <= size) {
    const auto kth = found.inside.begin() + (rank - 1);
    std::nth_element(found.inside.begin(), kth, found.inside.end());
    return *kth;
  }
  if (low != high && rank - size <= found.at_high) return high;
  return std::nullopt;
}

// The k-th smallest (from 1) of all elements of `scores`; NaN if one is NaN.
double kth_smallest(at::TensorList scores, int64_t k) {
  int64_t total = 0;
  bool plain = true;
  for (const at::Tensor& tensor : scores) {
    total += tensor.numel();
    plain &= is_plain(tensor);
  }
  TORCH_CHECK(k >= 1 && k <= total, "kth_smallest: k must be from 1 to the number of scores ", total, ", received ", k);
  if (!plain) {
    std::vector<at::Tensor> flat;
    for (const at::Tensor& tensor : scores) flat.push_back(tensor.reshape({-1}).to(at::kDouble));
    const at::Tensor all = at::cat(flat);
    if (at::isnan(all).any().item<bool>()) return std::numeric_limits<double>::quiet_NaN();
    return std::get<0>(at::kthvalue(all, k)).item<double>();
  }
  if (total >= kWorthSampling) {
    if (const auto kth = kth_by_sampling(scores, total, k)) return *kth;
  }
  std::vector<int64_t> histogram(kBuckets, 0);
  if (!count_leading(scores, total, histogram)) return std::numeric_limits<double>::quiet_NaN();
  size_t bucket = 0;
  int64_t before = 0;
  while (before + histogram[bucket] < k) before += histogram[bucket++];
  std::vector<double> found = in_bucket(scores, total, bucket, histogram[bucket]);
  const auto kth = found.begin() + (k - before - 1);
  std::nth_element(found.begin(), kth, found.end());
  return *kth;
}

// Writes a run of keep_above's mask; how many are above the threshold, and how many equal it.
PEEKABOO_MULTIVERSION std::pair<int64_t, int64_t> mask_run(const double* values, uint8_t* kept, int64_t count,
                                                           double threshold) {
  int64_t above = 0;
  int64_t equal = 0;
  for (int64_t i = 0; i < count; i++) {
    const bool over = values[i] > threshold;
    kept[i] = over;
    above += over;
    equal += values[i] == threshold;
  }
  return {above, equal};
}

// The uint8 mask of the scores above `threshold`, how many these are, and how many equal it.
std::tuple<at::Tensor, int64_t, int64_t> keep_above(const at::Tensor& score, double threshold) {
  if (!is_plain(score)) {
    const at::Tensor mask = score > threshold;
    return {mask.to(at::kByte), mask.sum().item<int64_t>(), (score == threshold).sum().item<int64_t>()};
  }
  const at::Tensor mask = at::empty(score.sizes(), score.options().dtype(at::kByte));
  const double* values = score.data_ptr<double>();
  uint8_t* kept = mask.data_ptr<uint8_t>();
  std::mutex merging;
  int64_t above = 0;
  int64_t equal = 0;
  at::parallel_for(0, score.numel(), kGrain, [&](int64_t begin, int64_t end) {
    const auto [own_above, own_equal] = mask_run(values + begin, kept + begin, end - begin, threshold);
    const std::lock_guard<std::mutex> lock(merging);
    above += own_above;
    equal += own_equal;
  });
  return {mask, above, equal};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(peekaboo, m) {
  m.def("kth_smallest(Tensor[] scores, int k) -> float");
  m.def("keep_above(Tensor score, float threshold) -> (Tensor, int, int)");
}

TORCH_LIBRARY_IMPL(peekaboo, CompositeExplicitAutograd, m) {
  m.impl("kth_smallest", kth_smallest);
  m.impl("keep_above", keep_above);
}

}  // namespace peekaboo
